import functools
import re

import pytest
from pydantic import ValidationError
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.candidate_settings import CandidateSettings, Family, StructureFile, Substitution
from screening.candidates import enumerate_candidates, iterate_candidates
from screening.errors import InvalidInput, UnusableStructure
from screening.structures import check_structure
from screening.survey import survey_candidates

CHARGES = {"Li": 1, "Na": 1, "K": 1, "F": -1, "Cl": -1, "Br": -1, "Ta": 5, "Nb": 5, "Zr": 4, "Y": 3}


def family(**changes):
    values = {"formula": "KTaCl6", "prototype": "k2ptcl6"}
    return Family(**values | changes)


def enumerate_families(*families):
    return enumerate_candidates(CandidateSettings(families=families))


def enumerate_file(structure, path="a.cif", **changes):
    file = StructureFile(path=path, mobile_ion="K", **changes)
    return enumerate_candidates(CandidateSettings(files=(file,)), {path: structure})


@functools.cache
def half_filled(occupancy=0.5):
    """KTaCl6 as a CIF gives it."""
    return Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta", {"K": occupancy}, "Cl"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    )


def rock_salt(**species):
    return Structure(
        Lattice.cubic(7), list(species.values()), [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]]
    )


def test_the_six_orderings_of_ktacl6():
    found = enumerate_families(family())
    assert [c.id for c in found.candidates] == [f"KTaCl6-k2ptcl6-{i}" for i in range(1, 7)]
    assert sorted(c.origin.degeneracy for c in found.candidates) == [2, 6, 6, 8, 24, 24]
    for number, candidate in enumerate(found.candidates, start=1):
        assert candidate.formula == "KTaCl6"
        assert candidate.mobile_ion == "K"
        assert candidate.structure.composition.formula == "K4 Ta4 Cl24"
        assert candidate.origin.parent_formula == "K8 Ta4 Cl24"
        assert candidate.origin.ordering == number
        assert candidate.origin.n_orderings == 6
        assert candidate.origin.n_configurations == 70
        assert candidate.origin.selection == "all"
        assert "doi" in candidate.origin.source
    energies_eV = [c.origin.ewald_energy_eV for c in found.candidates]
    assert energies_eV == sorted(energies_eV)
    assert found.left_out == ()


def test_layers_of_vacancies_cost_most_and_the_tetrahedral_order_least():
    """Equal charges keep away from each other: no two K of the best ordering are neighbours."""
    best, *_, worst = enumerate_families(family()).candidates

    def n_close_pairs(candidate):
        potassium = candidate.structure.copy()
        potassium.remove_species(["Ta", "Cl"])
        return sum(len(near) for near in potassium.get_all_neighbors(5.0))

    assert n_close_pairs(best) == 0
    assert n_close_pairs(worst) > 0


def test_double_cell():
    """283 orderings are distinct in the cell, 279 of them as crystals."""
    settings = CandidateSettings(families=(family(supercell=(2, 1, 1), max_orderings=283),))
    survey = survey_candidates(settings)
    (counted,) = survey.counts
    assert (counted.n_orderings, counted.n_configurations) == (283, 12_870)
    candidates = list(iterate_candidates(survey))
    assert len(candidates) == candidates[0].origin.n_orderings == 279
    assert sum(c.origin.degeneracy for c in candidates) == 12_870
    assert candidates[-1].id == "KTaCl6-k2ptcl6-2x1x1-279"


def test_every_candidate_is_neutral_unique_sound_and_safely_named():
    ions = {"A": ("Li", "Na", "K"), "X": ("F", "Cl", "Br")}
    found = enumerate_families(
        family(formula="AMX6", elements={**ions, "M": ("Ta", "Nb")}),
        family(formula="A2MX6", elements={**ions, "M": ("Zr",)}),
        family(formula="K3YCl6", prototype="elpasolite"),
    )
    ids = [c.id for c in found.candidates]
    assert len(set(ids)) == len(ids) == 3 * 3 * (2 * 6 + 1) + 1
    for candidate in found.candidates:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", candidate.id)
        amounts = candidate.structure.composition.get_el_amt_dict()
        assert sum(CHARGES[symbol] * n for symbol, n in amounts.items()) == 0
        check_structure(candidate.structure, candidate.mobile_ion)
    assert "K3YCl6-elpasolite-1" in ids


def test_every_shape_of_supercell_holds_every_crystal_once():
    """1 + 4 + 7 + 47 superstructures of up to 4 cells are found again in their common supercell."""
    settings = CandidateSettings(
        families=(family(supercell={"max_cells": 4}, max_orderings=200),),
    )
    survey = survey_candidates(settings)
    per_size = dict.fromkeys("1234", 0)
    for counted in survey.counts:
        per_size[counted.supercell[0]] += counted.n_orderings
    assert per_size == {"1": 1, "2": 4, "3": 7, "4": 47}
    candidates = list(iterate_candidates(survey))
    assert len({c.id for c in candidates}) == len(candidates) == 59


def test_a_sample_of_every_shape_holds_no_smaller_cell():
    """Orderings that repeat themselves are in another shape's sample, if at all."""
    sampled, everything = (
        enumerate_families(
            family(supercell={"max_cells": 4}, max_orderings=n, when_more=when, seed=3)
        ).candidates
        for n, when in ((2, "sample"), (200, "error"))
    )
    keys = [candidate.id.rsplit("-", 1)[0] for candidate in sampled]
    assert max(map(keys.count, keys)) == 2
    assert set(keys) == {candidate.id.rsplit("-", 1)[0] for candidate in everything}


def test_two_sublattices_and_two_species_at_once():
    """Na0.75Sm1.75Cl6 in a 2x2x2 cell: 2 of 16 Sm sites and 4 of 16 channel sites hold Na."""
    sodium = family(
        formula="A(3x)M(2-x)Cl6",
        prototype="ucl3",
        elements={"A": ("Na",), "M": ("Sm3+", "La3+")},
        x=(0.25,),
        supercell=(2, 2, 2),
        max_orderings=20,
        when_more="lowest_ewald",
    )
    survey = survey_candidates(CandidateSettings(families=(sodium,)))
    assert [c.formula for c in survey.counts] == ["Na3Sm7Cl24", "Na3La7Cl24"]
    for counted in survey.counts:
        assert (counted.n_orderings, counted.n_configurations) == (2380, 218_400)
        assert (counted.n_kept, counted.selection) == (20, "lowest_ewald")
    candidates = list(iterate_candidates(survey))
    assert len(candidates) == 40
    for candidate in candidates:
        check_structure(candidate.structure, "Na")
        assert candidate.structure.composition.get_el_amt_dict()["Na"] == 6


def test_the_lowest_are_those_of_all():
    """Chosen by energy from a stream or from everything at once: the same orderings."""
    cell = {"supercell": (2, 1, 1)}
    everything = enumerate_families(family(**cell, max_orderings=300)).candidates
    lowest = enumerate_families(
        family(**cell, max_orderings=40, when_more="lowest_ewald")
    ).candidates
    assert len(lowest) == 40
    last_eV = lowest[-1].origin.ewald_energy_eV
    for one, other in zip(lowest, everything[:40], strict=True):
        assert one.id == other.id
        assert one.origin.ewald_energy_eV == pytest.approx(other.origin.ewald_energy_eV, abs=1e-6)
    below = [c for c in lowest if c.origin.ewald_energy_eV < last_eV - 1e-4]
    assert below
    atoms = [(c.structure.species, c.structure.frac_coords.tolist()) for c in everything[:40]]
    for candidate in below:
        structure = candidate.structure
        assert (structure.species, structure.frac_coords.tolist()) in atoms
    assert {c.origin.selection for c in lowest} == {"lowest_ewald"}
    assert {c.origin.n_orderings for c in lowest} == {283}


def test_orderings_that_charges_do_not_tell_apart_are_drawn_at_random():
    """Cl and Br have one charge: all of their orderings have one Ewald energy."""

    def kept(seed):
        found = enumerate_families(
            family(formula="K2TaCl3Br3", max_orderings=5, when_more="lowest_ewald", seed=seed)
        ).candidates
        assert len(found) == 5
        n_tied = found[0].origin.n_orderings - 5
        note = f"{n_tied:,} more orderings have the Ewald energy of the last kept; drawn at random"
        assert all(note in candidate.origin.notes for candidate in found)
        return [candidate.structure.species for candidate in found], [
            candidate.structure.frac_coords.tolist() for candidate in found
        ]

    assert kept(1) == kept(1) != kept(2)


def test_one_composition_in_two_blocks():
    same, other = family(), family(max_orderings=50)
    assert enumerate_families(same, same).left_out == ()
    found = enumerate_families(same, other)
    assert len(found.candidates) == 6
    assert "is there already, from an earlier block" in found.left_out[0].reason


def test_an_ordered_composition_in_its_smallest_cell():
    (candidate,) = enumerate_families(
        family(formula="K2TaCl6", supercell={"max_cells": 3})
    ).candidates
    assert candidate.structure.composition.formula == "K2 Ta1 Cl6"
    check_structure(candidate.structure, "K")


def test_a_random_sample_is_reproducible_and_of_the_same_crystals():
    def sample(seed):
        return enumerate_families(
            family(supercell=(2, 2, 1), max_orderings=30, when_more="sample", seed=seed)
        ).candidates

    def atoms(candidates):
        return [(c.structure.species, c.structure.frac_coords.tolist()) for c in candidates]

    one, same, other = sample(1), sample(1), sample(2)
    assert atoms(one) == atoms(same) != atoms(other)
    assert len(one) == 30
    for candidate in one:
        assert candidate.origin.n_orderings == 2_386_468
        assert candidate.structure.composition.formula == "K16 Ta16 Cl96"


def test_the_same_settings_give_the_same_candidates():
    one, other = (enumerate_families(family()) for _ in range(2))
    assert [c.id for c in one.candidates] == [c.id for c in other.candidates]
    assert [c.structure for c in one.candidates] == [c.structure for c in other.candidates]


def test_what_two_families_share_is_there_once():
    metals = family(formula="KMCl6", elements={"M": ("Nb", "Ta")})
    found = enumerate_families(family(), metals)
    assert [c.id for c in found.candidates[::6]] == ["KTaCl6-k2ptcl6-1", "KNbCl6-k2ptcl6-1"]
    assert len(found.candidates) == 12


def test_the_same_crystal_from_two_hosts_keeps_both_origins():
    """All sites of K2PtCl6 filled is that type, whether a prototype or a file says so."""
    file = StructureFile(path="cells/k2zrcl6.cif", mobile_ion="K")
    settings = CandidateSettings(families=(family(formula="K2ZrCl6"),), files=(file,))
    structure = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(10.1),
        ["Zr", "K", "Cl"],
        [[0.5, 0.5, 0.5], [0.25, 0.25, 0.25], [0.26, 0.5, 0.5]],
    ).get_primitive_structure()
    (candidate,) = enumerate_candidates(settings, {file.path: structure}).candidates
    assert candidate.id == "K2ZrCl6-k2ptcl6-1"
    assert candidate.origin.host == "k2ptcl6"
    assert [origin.host for origin in candidate.other_origins] == ["cells/k2zrcl6.cif"]


def test_reasons_are_gathered_by_formula():
    found = enumerate_families(
        family(formula="K2TaCl6", oxidation_states={"Ta": (5,)}),
        family(formula="K2TaCl6", prototype="elpasolite", oxidation_states={"Ta": (5,)}),
    )
    (entry,) = found.left_out
    assert entry.formula == "K2TaCl6"
    assert re.search(r"k2ptcl6: neutral only with Ta 4\+.*; elpasolite: neutral", entry.reason)
    assert found.candidates == ()


def test_too_many_orderings_are_an_error_that_names_all():
    metals = {"M": ("Nb", "Ta")}
    settings = CandidateSettings(
        families=(family(formula="KMCl6", elements=metals, supercell=(2, 2, 1)),)
    )
    survey = survey_candidates(settings)
    with pytest.raises(InvalidInput) as caught:
        list(iterate_candidates(survey))
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    for line, formula in zip(lines, ("KNbCl6", "KTaCl6"), strict=True):
        assert f"{formula} has 2,386,468 distinct orderings in supercell 2x2x1" in line
        assert "raise max_orderings" in line


def test_too_many_for_energies():
    huge = family(supercell=(2, 2, 2), when_more="lowest_ewald")
    with pytest.raises(InvalidInput, match="at most 50,000,000 can be compared; set when_more to"):
        enumerate_families(huge)


def test_an_ordered_file_is_taken_as_it_is():
    structure = rock_salt(a="K+", b="O2-", c="K+")
    (candidate,) = enumerate_file(structure, "cells/my salt.cif").candidates
    assert candidate.id == "K2O-my-salt-1"
    assert candidate.structure.cart_coords == pytest.approx(structure.cart_coords)
    assert candidate.structure.composition == structure.copy().remove_oxidation_states().composition
    assert candidate.origin.host == candidate.origin.source == "cells/my salt.cif"
    assert candidate.origin.n_configurations == candidate.origin.n_orderings == 1


def test_overlapping_atoms_fail_later_and_alone():
    structure = Structure(Lattice.cubic(7), ["K", "Cl"], [[0, 0, 0], [0.05, 0, 0]])
    (candidate,) = enumerate_file(structure).candidates
    with pytest.raises(UnusableStructure, match="Å apart"):
        check_structure(candidate.structure, "K")


def test_partial_occupancy_is_ordered_like_the_family():
    from_file = enumerate_file(half_filled()).candidates
    from_family = enumerate_families(family()).candidates
    assert [c.id for c in from_file] == [f"KTaCl6-a-{i}" for i in range(1, 7)]
    assert [c.origin.degeneracy for c in from_file] == [c.origin.degeneracy for c in from_family]


def test_fully_occupied_sites_of_the_mobile_ion_stay():
    structure = rock_salt(a={"K": 0.5}, b="Cl", c="K")
    found = enumerate_file(structure, supercell=(2, 1, 1)).candidates
    assert {c.id for c in found} == {"K3Cl2-a-2x1x1-1"}
    assert found[0].origin.degeneracy == 2


def test_too_many_orderings_of_a_file():
    with pytest.raises(InvalidInput, match=r"a\.cif: KTaCl6 has 6 distinct orderings"):
        enumerate_file(half_filled(), max_orderings=5)


def test_symmetry_that_rounding_has_cost_is_said():
    """Thirds with three digits in a large cell: a file as papers print them."""
    structure = half_filled().copy()
    structure.translate_sites([5], [0.0024, 0, 0])
    (counted,) = survey_candidates(
        CandidateSettings(files=(StructureFile(path="a.cif", mobile_ion="K"),)),
        {"a.cif": structure},
    ).cells
    assert counted.counted.n_orderings > 6
    assert any("Fm-3m within 0.1 Å; if that is rounding" in n for n in counted.cell.host.notes)


def test_several_occupancies_of_a_file():
    """Two K of four on one sublattice and one of four on another, each a sublattice of its own."""
    structure = rock_salt(a={"K": 0.5}, b={"K": 0.25}, c="Cl")
    settings = CandidateSettings(
        files=(StructureFile(path="a.cif", mobile_ion="K", supercell=(2, 2, 1)),)
    )
    (counted,) = survey_candidates(settings, {"a.cif": structure}).counts
    assert counted.n_configurations == 6 * 4
    assert counted.n_atoms == 4 + 2 + 1


def test_a_mixed_site_of_a_file():
    structure = rock_salt(a={"K": 0.5, "Na": 0.5}, b="Cl", c={"Cl": 0.5, "Br": 0.5})
    found = enumerate_file(structure, supercell=(2, 1, 1)).candidates
    assert {c.structure.composition.formula for c in found} == {"K1 Na1 Br1 Cl3"}
    assert sum(c.origin.degeneracy for c in found) == 4


def test_other_ions_in_a_file():
    substitution = Substitution(
        path="a.cif", mobile_ion="K", ions={"K": ("K", "Na"), "Ta": ("Ta", "Nb")}
    )
    found = enumerate_candidates(
        CandidateSettings(substitutions=(substitution,)), {"a.cif": half_filled()}
    )
    formulas = {candidate.formula for candidate in found.candidates}
    assert formulas == {"KNbCl6", "NaTaCl6", "NaNbCl6"} | formulas & {"KTaCl6"}
    assert {c.origin.n_orderings for c in found.candidates} == {6}


@pytest.mark.parametrize("supercell", [(1, 1, 1), {"max_cells": 1}])
def test_substitutions_that_give_one_crystal_twice_are_one_candidate(supercell):
    """K and Na on equivalent sites: exchanged they are what they were."""
    structure = Structure(
        Lattice.tetragonal(4, 8),
        ["Na+", "K+", "Cl-", "Br-"],
        [[0, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0.25], [0.5, 0.5, 0.75]],
    )
    substitution = Substitution(
        path="a.cif",
        mobile_ion="K",
        ions={"Na": ("Na", "K"), "K": ("K", "Na")},
        supercell=supercell,
    )
    found = enumerate_candidates(
        CandidateSettings(substitutions=(substitution,)), {"a.cif": structure}
    ).candidates
    mixed = [c for c in found if c.structure.composition.reduced_formula == "KNaBrCl"]
    assert len(mixed) == 1


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (half_filled(0.3), r"a\.cif: 2\.4 K on 8 sites; .*5 times as many.*2/8 or 3/8"),
        (rock_salt(a="Na", b="Cl", c="Cl"), r"no K, the mobile ion, on any site; .* Cl, Na"),
        (rock_salt(a="K+", b="Cl-", c={"Cl-": 0.5}), r"charges of the file sum to -0\.5 a cell"),
    ],
)
def test_disorder_that_cannot_be_ordered_leaves_out_that_file_alone(structure, message):
    files = tuple(StructureFile(path=path, mobile_ion="K") for path in ("a.cif", "fine.cif"))
    structures = {"a.cif": structure, "fine.cif": half_filled()}
    made = enumerate_candidates(CandidateSettings(files=files), structures)
    (left_out,) = made.left_out
    assert left_out.formula == "a.cif"
    assert re.search(message, left_out.reason)
    assert {candidate.origin.host for candidate in made.candidates} == {"fine.cif"}


def test_two_files_of_one_name():
    files = tuple(StructureFile(path=path, mobile_ion="K") for path in ("x/a.cif", "y/a.cif"))
    lattice, sites = Lattice.cubic(6), [[0, 0, 0], [0.5, 0.5, 0.5]]
    structures = {
        path: Structure.from_spacegroup(group, lattice, ["K", "Cl"], sites)
        for path, group in (("x/a.cif", "Fm-3m"), ("y/a.cif", "Pm-3m"))
    }
    made = enumerate_candidates(CandidateSettings(files=files), structures)
    assert [candidate.id for candidate in made.candidates] == ["KCl-a-1", "KCl-a.2-1"]


def test_one_file_for_two_mobile_ions():
    files = tuple(StructureFile(path="a.cif", mobile_ion=ion) for ion in ("K", "Na"))
    made = enumerate_candidates(
        CandidateSettings(files=files), {"a.cif": rock_salt(a="K", b="Na", c="Cl")}
    )
    assert [candidate.mobile_ion for candidate in made.candidates] == ["K", "Na"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formula": "KTqCl6"}, "Tq"),
        ({"prototype": "k2ptcl"}, 'no prototype "k2ptcl"; did you mean k2ptcl6'),
        ({"oxidation_states": {"Nb": (5,)}}, "oxidation_states names Nb"),
        ({"oxidation_states": {"Ta": ()}}, "at least 1 item"),
        ({"supercell": (2, 0, 1)}, "greater than 0"),
        ({"max_orderings": 0}, "greater than 0"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(ValidationError, match=message):
        family(**changes)


def test_nothing_to_screen():
    with pytest.raises(ValidationError, match="name at least one of them"):
        CandidateSettings()


@pytest.mark.parametrize("model", [Family, StructureFile, Substitution, CandidateSettings])
def test_every_setting_is_described(model):
    assert all(field.description for field in model.model_fields.values())
