import numpy as np
import pytest
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.candidate_settings import CandidateSettings, Family, StructureFile
from screening.errors import InvalidInput
from screening.host_cells import HostCell, host_parent
from screening.hosts import file_host
from screening.survey import survey_candidates


def cell_of(**family):
    (surveyed,) = survey_candidates(CandidateSettings(families=(Family(**family),))).cells
    return surveyed.cell


CELLS = {
    "one sublattice": {"formula": "KTaCl6", "prototype": "k2ptcl6"},
    "two sublattices": {
        "formula": "Na0.75Sm1.75Cl6", "prototype": "ucl3", "supercell": (2, 2, 1),
    },
    "hydroxide": {"formula": "Li2OHCl", "prototype": "li2ohcl-cubic", "supercell": (1, 1, 1)},
    "nothing to order": {"formula": "NaAlCl4", "prototype": "naalcl4"},
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_structures_are_what_pymatgen_makes_of_the_atoms(name):
    """The quick way to make a structure gives one that differs in nothing."""
    cell = cell_of(**CELLS[name])
    orderings = next(cell.crystals())
    for occupants in orderings.occupants[:: max(1, len(orderings) // 5)]:
        symbols, coords = cell.atoms(occupants)
        expected = Structure(cell.lattice, symbols, coords)
        structure = cell.structure(occupants)
        assert structure == expected
        assert structure.as_dict() == expected.as_dict()
        np.testing.assert_array_equal(structure.cart_coords, expected.cart_coords)
        assert {frozenset(vars(site)) for site in structure} == {frozenset(vars(expected[0]))}
        assert len(structure) == cell.n_atoms


def test_structures_share_nothing_that_can_be_changed():
    cell = cell_of(**CELLS["one sublattice"])
    occupants = next(cell.crystals()).occupants[0]
    changed, kept = cell.structure(occupants), cell.structure(occupants)
    changed[0].frac_coords[:] = 0.123
    changed[1].properties["spin"] = 1
    changed.translate_sites([2], [0.1, 0, 0])
    changed.replace(3, "Na")
    assert kept == cell.structure(occupants)
    assert "Na" not in kept.symbol_set


@pytest.mark.parametrize("name", ["one sublattice", "two sublattices", "hydroxide"])
def test_ewald_energies_are_those_of_pymatgen(name):
    from pymatgen.core.ewald import EwaldSummation

    cell = cell_of(**CELLS[name])
    orderings = next(cell.crystals())[:4]
    charges = {str(s.symbol): s.oxi_state for s in cell.host.amounts()}
    expected_eV = []
    for occupants in orderings.occupants:
        structure = cell.structure(occupants)
        structure.add_oxidation_state_by_element(charges)
        expected_eV.append(EwaldSummation(structure).total_energy)
    np.testing.assert_allclose(cell.ewald_energies_eV(orderings), expected_eV, rtol=1e-8)


def test_ewald_energies_of_fractional_charges():
    from pymatgen.core.ewald import EwaldSummation

    structure = Structure(
        Lattice.cubic(5),
        [{"Na+": 0.5, "Mn2.5+": 0.5}, "Cl1.75-"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    host = file_host("a.cif", structure, "Na")
    cell = HostCell(host, host_parent(host).supercell((2, 1, 1)), "2x1x1")
    (orderings,) = cell.crystals()
    made = cell.structure(orderings.occupants[0])
    made.add_oxidation_state_by_element({"Na": 1, "Mn": 2.5, "Cl": -1.75})
    assert cell.ewald_energies_eV(orderings) == pytest.approx(
        [EwaldSummation(made).total_energy], rel=1e-6
    )


def test_a_supercell_too_small_for_an_occupancy():
    structure = Structure(Lattice.cubic(4), [{"K": 1 / 3}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    host = file_host("a.cif", structure, "K")
    with pytest.raises(InvalidInput, match=r"0\.6667 K on 2 sites; .* 3 times .* of 1/2$"):
        HostCell(host, host_parent(host).supercell((2, 1, 1)), "2x1x1")
    assert HostCell(host, host_parent(host).supercell((3, 1, 1)), "3x1x1").n_orderings == 1


def test_numbers_of_configurations_do_not_depend_on_the_cell_that_is_given():
    """Twice the conventional cell, from the conventional, the primitive and a double cell."""
    conventional = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta", {"K": 0.5}, "Cl"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    )
    primitive = conventional.get_primitive_structure()
    double = np.diag([2, 1, 1]) @ conventional.lattice.matrix
    rows = np.rint(double @ np.linalg.inv(primitive.lattice.matrix)).astype(int)
    if np.linalg.det(rows) < 0:
        rows = rows[[1, 0, 2]]
    cells = {
        (2, 1, 1): conventional,
        (1, 1, 1): conventional * (2, 1, 1),
        tuple(map(tuple, rows.tolist())): primitive,
    }
    for supercell, structure in cells.items():
        file = StructureFile(path="a.cif", mobile_ion="K", supercell=supercell)
        (counted,) = survey_candidates(
            CandidateSettings(files=(file,)), {"a.cif": structure}
        ).counts
        assert (counted.n_orderings, counted.n_configurations) == (283, 12_870)
