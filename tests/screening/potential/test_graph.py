"""Bonds and angles against other ways of finding them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from distorted import distorted
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from stock_chgnet import crystal, stock_graphs

from screening.potential.graph import CUTOFF_A, SHORT_CUTOFF_A, find_bonds, join
from screening.prototypes.phases import reference_structure

NAMES = ["Cu", "W", "Cs", "Mg", "NaCl", "CsCl", "KTaCl6", "Li3YCl6", "LiFePO4", "H2", "La2O3"]
CELLS = {
    f"{name} {seed}": distorted(reference_structure(name), seed)
    for name in NAMES
    for seed in (1, 2)
}
every_cell = pytest.mark.parametrize("name", CELLS)


@st.composite
def skewed_cells(draw):
    """One to four atoms, some outside the cell, between lattice vectors of 2.5 to 8 Å."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    # no neighbour at exactly a cutoff, which pymatgen counts and where it has no effect
    lengths_A = rng.uniform(0.999, 1.001, 3) * draw(
        st.lists(st.floats(2.5, 8), min_size=3, max_size=3)
    )
    angles = draw(
        st.lists(st.floats(55, 119), min_size=3, max_size=3).filter(lambda a: sum(a) < 350)
    )
    lattice = Lattice.from_parameters(*lengths_A, *angles)
    assume(lattice.volume > 15)  # a flat cell has endless neighbours
    places = rng.uniform(-2, 2, (draw(st.integers(1, 4)), 3))
    return Structure(lattice, ["K"] * len(places), places)


def sorted_bonds(first, second, vectors_A):
    """Both directions of every bond as rows that are the same however they were found."""
    rows = np.column_stack([first, second, np.round(vectors_A, 6) + 0.0])
    return rows[np.lexsort(rows.T[::-1])]


def both_directions(structure):
    bonds = find_bonds(crystal(structure))
    return sorted_bonds(
        np.concatenate([bonds.first, bonds.second]),
        np.concatenate([bonds.second, bonds.first]),
        np.concatenate([bonds.vectors_A, -bonds.vectors_A]),
    )


def of_pymatgen(structure):
    first, second, images, _ = structure.get_neighbor_list(CUTOFF_A, numerical_tol=1e-8)
    ends = structure.frac_coords[second] + images - structure.frac_coords[first]
    return sorted_bonds(first, second, ends @ structure.lattice.matrix)


@every_cell
def test_bonds_are_those_of_pymatgen(name):
    np.testing.assert_allclose(
        both_directions(CELLS[name]), of_pymatgen(CELLS[name]), rtol=0, atol=3e-6
    )


@settings(max_examples=60)
@given(structure=skewed_cells())
def test_bonds_of_any_cell_are_those_of_pymatgen(structure):
    found, expected = both_directions(structure), of_pymatgen(structure)
    assert len(found) == len(expected)
    for column in range(5):  # rows of equal rounding may come in another order
        np.testing.assert_allclose(
            np.sort(found[:, column]), np.sort(expected[:, column]), rtol=0, atol=3e-6
        )


@every_cell
def test_short_bonds_come_first(name):
    bonds = find_bonds(crystal(CELLS[name]))
    assert (bonds.lengths_A[: bonds.n_short] < SHORT_CUTOFF_A).all()
    assert (bonds.lengths_A[bonds.n_short :] >= SHORT_CUTOFF_A).all()
    np.testing.assert_allclose(np.linalg.norm(bonds.vectors_A, axis=1), bonds.lengths_A)


def angles_by_hand(structure):
    """Every ordered pair of different short neighbours of each atom: (atom, cosine)."""
    found = []
    for n, neighbours in enumerate(structure.get_all_neighbors(SHORT_CUTOFF_A)):
        vectors = [other.coords - structure[n].coords for other in neighbours]
        for one, other in itertools.permutations(vectors, 2):
            found.append((n, one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    return np.array(sorted(found)).reshape(-1, 2)


def angles_of_graph(structures):
    crystals = [crystal(structure) for structure in structures]
    graph, vectors_A = join(crystals, [find_bonds(one) for one in crystals], torch.device("cpu"))
    units = vectors_A / vectors_A.norm(dim=1, keepdim=True)
    one, other = units[graph.angle_bonds], units[graph.other_bonds]
    cosines = graph.angle_signs * (one * other).sum(1)
    return np.array(
        sorted(zip(graph.angle_centres.tolist(), cosines.tolist(), strict=True))
    ).reshape(-1, 2)


@every_cell
def test_angles_are_all_pairs_of_short_bonds_at_an_atom(name):
    np.testing.assert_allclose(
        angles_of_graph([CELLS[name]]), angles_by_hand(CELLS[name]), rtol=0, atol=1e-9
    )


@settings(max_examples=40)
@given(structure=skewed_cells())
def test_angles_of_any_cell_are_all_pairs_of_short_bonds_at_an_atom(structure):
    np.testing.assert_allclose(
        angles_of_graph([structure]), angles_by_hand(structure), rtol=0, atol=1e-7
    )


@every_cell
def test_there_are_as_many_as_in_the_graph_of_the_package(name):
    (stock,) = stock_graphs([CELLS[name]])
    bonds = find_bonds(crystal(CELLS[name]))
    assert len(bonds.first) == len(stock.undirected2directed)
    assert len(angles_of_graph([CELLS[name]])) == len(stock.bond_graph)


def test_a_graph_of_several_holds_the_angles_of_each():
    together = angles_of_graph(list(CELLS.values()))
    n_before, expected = 0, []
    for structure in CELLS.values():
        expected.append(angles_by_hand(structure) + np.array([n_before, 0]))
        n_before += len(structure)
    np.testing.assert_allclose(together, np.concatenate(expected), rtol=0, atol=1e-9)


def test_an_atom_that_is_only_bonded_to_its_images_has_their_angles():
    """Simple cubic, 2.8 Å: six short neighbours, 30 ordered pairs, 6 of them in line."""
    angles = angles_of_graph([Structure(Lattice.cubic(2.8), ["Na"], [[0.3, 1.2, -4]])])
    assert len(angles) == 30
    assert (angles[:, 1] < -0.999999).sum() == 6
    assert (np.abs(angles[:, 1]) < 1e-6).sum() == 24
