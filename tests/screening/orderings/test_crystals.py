import math
from collections import Counter

import numpy as np
import pytest
from configuration_oracles import Problem, assert_same_orbits
from hypothesis import given, settings
from hypothesis import strategies as st
from ordering_parents import (
    binary_space,
    decorated,
    hydroxide,
    k2tacl6,
    li3ycl6,
    metal,
    positions,
    pure_translations,
    satellites_around,
    ucl3,
)
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core.structure import Structure

from screening.orderings.crystals import distinct_crystals, n_without_repeats, without_repeats
from screening.orderings.parent import Parent
from screening.orderings.space import Sublattice


def together(blocks):
    """All blocks as (row, degeneracy) pairs."""
    return [
        (row, int(degeneracy))
        for block in blocks
        for row, degeneracy in zip(block.occupants, block.degeneracies.tolist(), strict=True)
    ]


def copies_in(large, small, sites_of_large, sites_of_small):
    """For each site of a larger supercell, the place in a smaller one that it repeats."""
    cart_A = large.lattice.get_cartesian_coords(large.frac_coords[sites_of_large])
    moved = small.lattice.get_fractional_coords(cart_A)
    shifts = moved[:, None, :] - small.frac_coords[sites_of_small][None, :, :]
    shifts_A = np.linalg.norm((shifts - np.round(shifts)) @ small.lattice.matrix, axis=-1)
    assert shifts_A.min(axis=1).max() < 1e-3
    return shifts_A.argmin(axis=1)


def crystal_names(rows, large, small, sites_of_large, sites_of_small):
    """A name for each ordering of a supercell, the same exactly when the crystals are.

    Repeated to a supercell that every rotation of the parent leaves alone, two orderings are one
    crystal when a permutation of that supercell's group carries one into the other.
    """
    repeated = np.array(rows)[:, copies_in(large, small, sites_of_large, sites_of_small)]
    assert repeated.shape[1] <= 64
    places = np.uint64(1) << np.arange(repeated.shape[1], dtype=np.uint64)
    best = np.full(len(repeated), np.iinfo(np.uint64).max)
    for permutation in large.permutations(sites_of_large):
        best = np.minimum(best, repeated.astype(np.uint64) @ places[permutation])
    return best.tolist()


def assert_crystals(structure, symbol, matrix, n_filled, n_large):
    """Crystals and their degeneracies against names found in the n×n×n supercell."""
    parent = Parent.from_structure(structure)
    small, large = parent.supercell(matrix), parent.supercell((n_large,) * 3)
    sites, sites_of_large = (positions(s, structure, symbol) for s in (small, large))
    space = binary_space(small, sites, n_filled)
    orderings = space.enumerate()
    sizes = Counter()
    names = crystal_names(orderings.occupants, large, small, sites_of_large, sites)
    for name, degeneracy in zip(names, orderings.degeneracies.tolist(), strict=True):
        sizes[name] += degeneracy
    found = together(distinct_crystals(small, sites, space.blocks(max_rows=97)))
    names = crystal_names([row for row, _ in found], large, small, sites_of_large, sites)
    assert len(set(names)) == len(names)
    assert dict(zip(names, (n for _, n in found), strict=True)) == dict(sizes)
    return len(orderings.degeneracies), found


def test_of_283_orderings_279_are_crystals_of_their_own():
    n_orderings, found = assert_crystals(k2tacl6(), "K", (2, 1, 1), 8, 2)
    assert (n_orderings, len(found)) == (283, 279)
    assert sum(degeneracy for _, degeneracy in found) == math.comb(16, 8)


DOUBLE = [(2, 1, 1), (1, 1, 2), (2, 2, 1), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], (2, 2, 2)]


@pytest.mark.parametrize(
    ("host", "symbol", "matrices"),
    [
        (k2tacl6, "K", [(1, 1, 1), *DOUBLE[:4]]),
        (ucl3, "Na", DOUBLE),
        (ucl3, "Sm", DOUBLE),
        (li3ycl6, "Li", [(1, 1, 1)]),
        (lambda: metal("hcp"), "Cu", DOUBLE),
        (lambda: metal("fcc"), "Cu", DOUBLE),
        (lambda: metal("sc"), "Cu", DOUBLE),
    ],
)
def test_crystals_are_told_apart_as_in_a_cell_that_keeps_all_symmetry(host, symbol, matrices):
    structure = host()
    n_sites_of = sum(site.specie.symbol == symbol for site in structure)
    for matrix in matrices:
        rows = np.diag(matrix) if np.ndim(matrix) == 1 else np.array(matrix)
        n_sites = n_sites_of * round(np.linalg.det(rows))
        for n_filled in {1, 2, n_sites // 2}:
            if 1 <= n_filled <= n_sites and math.comb(n_sites, n_filled) < 5_000:
                n_large = 1 if matrix == (1, 1, 1) else 2
                assert_crystals(structure, symbol, matrix, n_filled, n_large)


@given(n_filled=st.integers(0, 9), rows=st.permutations([(3, 0, 0), (0, 3, 0), (0, 0, 1)]))
@settings(max_examples=10, deadline=None)
def test_crystals_in_threefold_cells(n_filled, rows):
    assert_crystals(metal("sc"), "Cu", list(rows), n_filled, 3)


def test_crystals_as_structures_are_compared():
    """pymatgen's word on all six orderings of the conventional cell and twelve larger ones."""
    structure = k2tacl6()
    same = StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.5, scale=False).fit
    for matrix, n_filled in (((1, 1, 1), 4), ((2, 1, 1), 2)):
        supercell = Parent.from_structure(structure).supercell(matrix)
        sites = positions(supercell, structure, "K")
        space = binary_space(supercell, sites, n_filled)
        classes = []
        for row, degeneracy in together(space.blocks()):
            crystal = decorated(supercell, structure, sites, row)
            for known in classes:
                if same(known[0], crystal):
                    known[1] += degeneracy
                    break
            else:
                classes.append([crystal, degeneracy])
        found = together(distinct_crystals(supercell, sites, space.blocks()))
        assert sorted(n for _, n in found) == sorted(n for _, n in classes)


def distances_A(structure, symbol):
    """How many pairs of an element lie how far apart, up to 13 Å: the same for equal crystals."""
    ions = Structure.from_sites([site for site in structure if site.specie.symbol == symbol])
    return tuple(sorted(Counter(np.round(ions.get_neighbor_list(13.0)[3], 2).tolist()).items()))


@pytest.mark.slow
def test_283_orderings_as_structures_are_compared():
    """pymatgen's StructureMatcher, asked where all distances between the ions are the same."""
    structure = k2tacl6()
    supercell = Parent.from_structure(structure).supercell((2, 1, 1))
    sites = positions(supercell, structure, "K")
    space = binary_space(supercell, sites, 8)
    same = StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.5, scale=False).fit
    for found, n_classes in (
        (space.blocks(), 279),
        (distinct_crystals(supercell, sites, space.blocks()), 279),
    ):
        classes = {}
        for row, _ in together(found):
            crystal = decorated(supercell, structure, sites, row)
            alike = classes.setdefault(distances_A(crystal, "K"), [])
            if not any(same(known, crystal) for known in alike):
                alike.append(crystal)
        assert sum(map(len, classes.values())) == n_classes


def superstructures(structure, symbol, n_cells, share):
    """(supercell, its ordered sites, its space) of each shape that the share divides."""
    for supercell in Parent.from_structure(structure).distinct_supercells(n_cells):
        sites = positions(supercell, structure, symbol)
        n_filled = share * len(sites)
        if n_filled == int(n_filled):
            yield supercell, sites, binary_space(supercell, sites, int(n_filled))


@pytest.mark.parametrize(
    ("host", "symbol", "share", "sizes"),
    [
        (k2tacl6, "K", 0.5, range(1, 6)),
        (ucl3, "Na", 0.25, range(1, 5)),
        (lambda: metal("hcp"), "Cu", 0.5, range(1, 5)),
        (lambda: metal("fcc"), "Cu", 0.25, (4, 8)),
        (lambda: metal("sc"), "Cu", 0.5, (2, 4, 6)),
    ],
)
def test_orderings_without_repeats_against_each_translation(host, symbol, share, sizes):
    structure = host()
    for n_cells in sizes:
        for supercell, sites, space in superstructures(structure, symbol, n_cells, share):
            orderings = space.enumerate()
            own = np.ones(len(orderings.degeneracies), dtype=bool)
            for permutation in pure_translations(supercell, sites):
                own &= (orderings.occupants[:, permutation] != orderings.occupants).any(axis=1)
            found = together(without_repeats(supercell, sites, space.blocks(max_rows=50)))
            assert [n for _, n in found] == orderings.degeneracies[own].tolist()
            rows = orderings.occupants[own]
            assert all(np.array_equal(r, w) for (r, _), w in zip(found, rows, strict=True))
            assert n_without_repeats(supercell, sites, space) == own.sum()


def test_half_full_superstructures_of_eight_cells():
    """As many as icet and CASM find for K half full on 8c of the K2PtCl6 type."""
    n_found = n_counted = 0
    for supercell, sites, space in superstructures(k2tacl6(), "K", 8, 0.5):
        n_counted += n_without_repeats(supercell, sites, space)
        for block in without_repeats(supercell, sites, space.blocks()):
            n_found += len(block.degeneracies)
    assert n_found == n_counted == 9_663


@pytest.mark.parametrize(
    ("matrix", "n_lithium", "n_oxygen"),
    [
        ((1, 1, 1), 2, 1),
        ((2, 1, 1), 4, 2),
        ((2, 1, 1), 6, 1),
        ((2, 2, 1), 12, 4),
        ((2, 2, 1), 11, 2),
    ],
)
def test_hydroxide_ions_turn_in_a_crystal(matrix, n_lithium, n_oxygen):
    """Cubic Li2OHCl: Li on some of the edges, H at one of six places around each O."""
    structure = hydroxide()
    supercell = Parent.from_structure(structure).supercell(matrix)
    lithium, oxygen, hydrogen = (positions(supercell, structure, s) for s in ("Li", "O", "H"))
    around = satellites_around(supercell, oxygen, hydrogen, 6)
    sites = np.concatenate([lithium, oxygen, hydrogen])
    first_h = len(lithium) + len(oxygen)
    sublattices = [
        Sublattice(np.arange(len(lithium)), (n_lithium, len(lithium) - n_lithium), None),
        Sublattice(
            len(lithium) + np.arange(len(oxygen)),
            (n_oxygen, len(oxygen) - n_oxygen),
            first_h + around,
        ),
    ]
    problem = Problem(supercell.permutations(sites).astype(np.intp), sublattices, len(sites))
    space, orbits = problem.space, problem.orbits()
    assert space.n_orderings == len(orbits)
    assert_same_orbits(space.enumerate(), problem, orbits)
    found = together(distinct_crystals(supercell, sites, space.blocks()))
    assert sum(n for _, n in found) == space.n_configurations
    own = together(without_repeats(supercell, sites, space.blocks()))
    assert n_without_repeats(supercell, sites, space) == len(own)
    held = {row.tobytes() for row, _ in found}
    assert all(row.tobytes() in held for row, _ in own)
