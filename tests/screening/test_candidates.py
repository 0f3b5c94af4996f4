import functools
import re

import pytest
from pydantic import ValidationError
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.candidates import CandidateSettings, Family, StructureFile, enumerate_candidates
from screening.errors import InvalidInput, UnusableStructure
from screening.structures import check_structure

CHARGES = {"Li": 1, "Na": 1, "K": 1, "F": -1, "Cl": -1, "Br": -1, "Ta": 5, "Nb": 5, "Zr": 4, "Y": 3}


def family(**changes):
    values = {
        "prototype": "k2ptcl6",
        "mobile_ions": ("K",),
        "framework": ("Ta",),
        "anions": ("Cl",),
        "mobile_filling": (0.5, 1.0),
    }
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
        assert "doi" in candidate.origin.source
    assert [entry.formula for entry in found.left_out] == ["K2TaCl6"]


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
    found = enumerate_families(
        family(mobile_filling=(0.5,), supercell=(2, 1, 1), max_orderings=283)
    )
    assert len(found.candidates) == 283
    assert sum(c.origin.degeneracy for c in found.candidates) == 12_870
    assert found.candidates[-1].id == "KTaCl6-k2ptcl6-2x1x1-283"


def test_every_candidate_is_neutral_unique_sound_and_safely_named():
    found = enumerate_families(
        family(
            mobile_ions=("Li", "Na", "K"), framework=("Ta", "Zr", "Y"), anions=("F", "Cl", "Br")
        ),
        family(prototype="elpasolite", framework=("Y", "Zr"), mobile_filling=(1.0,)),
    )
    ids = [c.id for c in found.candidates]
    assert len(set(ids)) == len(ids) == 3 * 3 * (6 + 1) + 1
    for candidate in found.candidates:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", candidate.id)
        amounts = candidate.structure.composition.get_el_amt_dict()
        assert sum(CHARGES[symbol] * n for symbol, n in amounts.items()) == 0
        check_structure(candidate.structure, candidate.mobile_ion)
    assert "K3YCl6-elpasolite-1" in ids


def test_the_same_settings_give_the_same_candidates():
    one, other = (enumerate_families(family()) for _ in range(2))
    assert [c.id for c in one.candidates] == [c.id for c in other.candidates]
    assert [c.structure for c in one.candidates] == [c.structure for c in other.candidates]


def test_what_two_families_share_is_there_once():
    found = enumerate_families(family(), family(framework=("Nb", "Ta"), mobile_filling=(0.5, 0.5)))
    assert [c.id for c in found.candidates[::6]] == ["KTaCl6-k2ptcl6-1", "KNbCl6-k2ptcl6-1"]
    assert len(found.candidates) == 12


def test_reasons_are_gathered_by_formula():
    found = enumerate_families(
        family(mobile_filling=(1.0,)), family(prototype="elpasolite", mobile_filling=(2 / 3,))
    )
    (entry,) = found.left_out
    assert entry.formula == "K2TaCl6"
    assert entry.reason == (
        "k2ptcl6: neutral only with Ta 4+; allowed: 5+; "
        "elpasolite: neutral only with Ta 4+; allowed: 5+"
    )
    assert found.candidates == ()


def test_too_many_orderings_are_an_error():
    with pytest.raises(InvalidInput, match=r"2,386,468 distinct orderings .*raise max_orderings"):
        enumerate_families(family(mobile_filling=(0.5,), supercell=(2, 2, 1)))


def test_an_ordered_file_is_taken_as_it_is():
    structure = rock_salt(a="K+", b="Cl-", c="K+")
    (candidate,) = enumerate_file(structure, "cells/my salt.cif").candidates
    assert candidate.id == "K2Cl-my-salt-1"
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
    with pytest.raises(InvalidInput, match=r"a\.cif: 6 distinct orderings of 4 K on 8 sites"):
        enumerate_file(half_filled(), max_orderings=5)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (half_filled(0.3), r"a\.cif: 0\.3 of 8 K sites is 2\.4 ions; round the occupancy"),
        (rock_salt(a={"K": 0.5, "Na": 0.5}, b="Cl", c="Cl"), "site 1 holds .*Na"),
        (rock_salt(a="K", b={"Cl": 0.5}, c="Cl"), "site 2 holds Cl:0.5;.*mobile ion K alone"),
        (rock_salt(a={"K": 0.5}, b={"K": 0.25}, c="Cl"), r"filled to \[0\.25, 0\.5\]"),
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
    structures = {path: half_filled() for path in ("x/a.cif", "y/a.cif")}
    made = enumerate_candidates(CandidateSettings(files=files), structures)
    identifiers = [candidate.id for candidate in made.candidates]
    assert len(set(identifiers)) == len(identifiers) == 12
    assert sum(name.endswith(".2") for name in identifiers) == 6


def test_one_file_for_two_mobile_ions():
    files = tuple(StructureFile(path="a.cif", mobile_ion=ion) for ion in ("K", "Na"))
    made = enumerate_candidates(
        CandidateSettings(files=files), {"a.cif": rock_salt(a="K", b="Na", c="Cl")}
    )
    assert [candidate.mobile_ion for candidate in made.candidates] == ["K", "Na"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"framework": ("Tq",)}, '"Tq" is no element symbol; did you mean T'),
        ({"framework": ("ta",)}, "did you mean Ta"),
        ({"prototype": "k2ptcl"}, 'no prototype "k2ptcl"; did you mean k2ptcl6'),
        ({"mobile_ions": ("Rb",)}, "Input should be 'Li', 'Na' or 'K'"),
        ({"anions": ("O",)}, "Input should be 'F', 'Cl', 'Br' or 'I'"),
        ({"mobile_filling": (0.0,)}, "greater than 0"),
        ({"mobile_filling": (float("nan"),)}, "mobile_filling"),
        ({"mobile_filling": ()}, "at least 1 item"),
        ({"oxidation_states": {"Nb": (5,)}}, "oxidation_states names Nb, which the framework"),
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
    with pytest.raises(ValidationError, match="name at least one of either"):
        CandidateSettings()


@pytest.mark.parametrize("model", [Family, StructureFile, CandidateSettings])
def test_every_setting_is_described(model):
    assert all(field.description for field in model.model_fields.values())
