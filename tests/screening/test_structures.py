import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.errors import UnusableStructure
from screening.structures import check_structure


def kcl(a_A=6.29):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a_A), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def test_rock_salt_passes():
    check_structure(kcl(), "K")


@given(st.floats(0.3, 3.0))
@settings(deadline=None)
def test_a_pair_is_refused_below_its_limit(distance_A):
    structure = Structure(
        Lattice.cubic(12), ["K", "Cl"], [[0, 0, 0], [0, 0, distance_A]], coords_are_cartesian=True
    )
    limit_A = 0.6 * (2.03 + 1.02)
    if distance_A < limit_A:
        with pytest.raises(UnusableStructure, match=rf"are {distance_A:.3f} Å apart; needed: 1.83"):
            check_structure(structure, "K")
    else:
        check_structure(structure, "K")


def test_the_two_atoms_are_named_across_the_cell_boundary():
    structure = Structure(Lattice.cubic(8), ["Cl", "K"], [[0.01, 0, 0], [0.96, 0, 0]])
    with pytest.raises(UnusableStructure, match=r"Cl \(atom 1\) and K \(atom 2\).* 0\.400 Å"):
        check_structure(structure, "K")


def test_an_atom_too_near_its_own_image():
    structure = Structure(Lattice.orthorhombic(2, 9, 9), ["K"], [[0, 0, 0]])
    with pytest.raises(UnusableStructure, match=r"K \(atom 1\) and K \(atom 1\).* 2\.000 Å"):
        check_structure(structure, "K")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_coordinates_that_are_no_numbers(bad):
    structure = Structure(Lattice.cubic(8), ["K", "Cl"], [[0, 0, 0], [0.5, bad, 0.5]])
    with pytest.raises(UnusableStructure, match="the coordinates of K1 Cl1 holds NaN or infinity"):
        check_structure(structure, "K")


def test_a_cell_that_is_no_number():
    structure = Structure(np.diag([8, 8, np.nan]), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(UnusableStructure, match="the cell of K1 Cl1 holds NaN"):
        check_structure(structure, "K")


def test_a_collapsed_cell():
    with pytest.raises(UnusableStructure, match="Å³ per atom; at least 1 is needed"):
        check_structure(kcl(a_A=1.0), "K")


def test_no_mobile_ion():
    with pytest.raises(UnusableStructure, match="no Na, the mobile ion, in K4 Cl4"):
        check_structure(kcl(), "Na")


def test_partial_occupancy():
    structure = Structure(Lattice.cubic(8), [{"K": 0.5}], [[0, 0, 0]])
    with pytest.raises(UnusableStructure, match="partially occupied"):
        check_structure(structure, "K")


def test_an_element_without_radius():
    structure = Structure(Lattice.cubic(8), ["K", "Og"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(UnusableStructure, match="no covalent radius is known for Og"):
        check_structure(structure, "K")
