import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.ewald import EwaldSummation
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.errors import UnusableStructure
from screening.orderings import (
    count_orderings,
    enumerate_orderings,
    ewald_energies,
    site_permutations,
)


@functools.cache
def k2tacl6():
    return Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta5+", "K+", "Cl-"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    )


def sites_of(structure, symbol="K"):
    return [i for i, site in enumerate(structure) if site.specie.symbol == symbol]


def potassium_permutations(structure):
    return site_permutations(structure, sites_of(structure))


def closure(generators, n):
    """The group that some permutations of n things generate."""
    group, frontier = {tuple(range(n))}, [tuple(range(n))]
    while frontier:
        made = {tuple(g[p[i]] for i in range(n)) for p in frontier for g in generators} - group
        group |= made
        frontier = list(made)
    return np.array(sorted(group))


@st.composite
def groups(draw):
    n = draw(st.integers(1, 6))
    generators = draw(st.lists(st.permutations(range(n)), max_size=3))
    return closure(generators, n)


def brute_force(group, n_filled):
    """Orbits of all k-subsets, one by one."""
    subsets = {frozenset(c) for c in itertools.combinations(range(group.shape[1]), n_filled)}
    orbits = []
    while subsets:
        some = next(iter(subsets))
        orbit = {frozenset(p[list(some)].tolist()) for p in group}
        orbits.append(orbit)
        subsets -= orbit
    return orbits


@pytest.mark.parametrize(
    ("supercell", "n_filled", "degeneracies"),
    [((1, 1, 1), 4, [24, 24, 8, 6, 6, 2]), ((1, 1, 1), 1, [8]), ((1, 1, 1), 0, [1])],
)
def test_orderings_of_k2tacl6(supercell, n_filled, degeneracies):
    permutations = potassium_permutations(k2tacl6() * supercell)
    found = enumerate_orderings(permutations, n_filled)
    assert sorted(found.degeneracies, reverse=True) == degeneracies
    assert count_orderings(permutations, n_filled) == len(degeneracies)


def test_double_cell_holds_283_of_12870():
    permutations = potassium_permutations(k2tacl6() * (2, 1, 1))
    found = enumerate_orderings(permutations, 8)
    assert count_orderings(permutations, 8) == len(found.occupied) == 283
    assert found.degeneracies.sum() == math.comb(16, 8) == 12_870
    assert (found.occupied.sum(axis=1) == 8).all()


def test_quadruple_cell_is_counted_without_enumeration():
    permutations = potassium_permutations(k2tacl6() * (2, 2, 1))
    assert count_orderings(permutations, 16) == 2_386_468


@given(groups(), st.data())
@settings(deadline=None)
def test_enumeration_agrees_with_brute_force(group, data):
    n_filled = data.draw(st.integers(0, group.shape[1]))
    orbits = brute_force(group, n_filled)
    found = enumerate_orderings(group, n_filled)
    sets = [frozenset(np.flatnonzero(row).tolist()) for row in found.occupied]
    for representative, degeneracy in zip(sets, found.degeneracies, strict=True):
        (orbit,) = [orbit for orbit in orbits if representative in orbit]
        assert degeneracy == len(orbit)
    assert len(set(sets)) == len(orbits) == count_orderings(group, n_filled)


@given(groups(), st.data())
@settings(deadline=None)
def test_filled_and_empty_sites_may_change_places(group, data):
    n_sites = group.shape[1]
    n_filled = data.draw(st.integers(0, n_sites))
    one, other = (enumerate_orderings(group, k) for k in (n_filled, n_sites - n_filled))
    assert sorted(one.degeneracies) == sorted(other.degeneracies)


@given(n_sites=st.integers(65, 200), n_filled=st.integers(1, 2))
@settings(max_examples=10, deadline=None)
def test_more_sites_than_bits_in_a_word(n_sites, n_filled):
    ring = np.array([np.roll(np.arange(n_sites), shift) for shift in range(n_sites)])
    found = enumerate_orderings(ring, n_filled)
    assert len(found.occupied) == (1 if n_filled == 1 else n_sites // 2)
    assert len(found.occupied) == count_orderings(ring, n_filled)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=6, unique=True))
@settings(max_examples=40, deadline=None)
def test_permutations_of_points_on_a_cubic_grid(points):
    """Against all signed axis permutations and all translations, tried one by one."""
    grid = np.array(points)
    index = {tuple(point): i for i, point in enumerate(points)}
    expected = set()
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            turned = (grid * signs)[:, axes]
            for target in grid:
                images = [index.get(tuple(p)) for p in (turned + target - turned[0]) % 4]
                if None not in images:
                    expected.add(tuple(images))
    structure = Structure(Lattice.cubic(12.0), ["K"] * len(points), grid / 4)
    found = site_permutations(structure, range(len(points)))
    assert {tuple(row) for row in found.tolist()} == expected


@given(seed=st.integers(0, 2**32 - 1), doubled=st.booleans())
@settings(max_examples=20, deadline=None)
def test_neither_order_nor_origin_nor_noise_nor_setting_matters(seed, doubled):
    rng = np.random.default_rng(seed)
    parent = k2tacl6() * ((2, 1, 1) if doubled else (1, 1, 1))
    setting = np.eye(3, dtype=int)
    for _ in range(3):  # another basis of the same lattice
        i, j = rng.choice(3, size=2, replace=False)
        setting[i] += rng.choice([-1, 1]) * setting[j]
    cart = parent.cart_coords + rng.uniform(-10, 10, 3)
    cart += rng.uniform(-1e-4, 1e-4, cart.shape)
    order = rng.permutation(len(parent))
    lattice = Lattice(setting @ parent.lattice.matrix)
    structure = Structure(
        lattice, [parent[i].specie for i in order], cart[order], coords_are_cartesian=True
    )
    permutations = potassium_permutations(structure)
    found = enumerate_orderings(permutations, 4)
    known = enumerate_orderings(potassium_permutations(parent), 4)
    assert sorted(found.degeneracies) == sorted(known.degeneracies)
    assert count_orderings(permutations, 4) == len(known.degeneracies)


def test_pair_energies_add_up_to_the_ewald_sum_of_each_ordering():
    parent = k2tacl6()
    potassium = sites_of(parent)
    found = enumerate_orderings(site_permutations(parent, potassium), 4)
    present = np.ones((6, len(parent)), dtype=bool)
    present[:, potassium] = found.occupied
    charges = [site.specie.oxi_state for site in parent]
    expected = [
        EwaldSummation(Structure.from_sites([parent[i] for i in np.flatnonzero(row)])).total_energy
        for row in present
    ]
    assert ewald_energies(parent, charges, present) == pytest.approx(expected, rel=1e-9)


def test_no_charges_give_no_energy():
    assert not ewald_energies(k2tacl6(), [0.0] * 36, np.ones((2, 36), dtype=bool)).any()


@pytest.mark.parametrize("act", [count_orderings, enumerate_orderings])
def test_permutations_that_form_no_group(act):
    with pytest.raises(UnusableStructure, match="form no group"):
        act(np.array([[0, 1, 2], [1, 2, 0]]), 1)


def test_half_an_orbit_cannot_be_ordered():
    structure = k2tacl6()
    with pytest.raises(UnusableStructure, match="give whole orbits"):
        site_permutations(structure, sites_of(structure)[:3])


def test_atoms_on_top_of_each_other_have_no_symmetry():
    structure = Structure(Lattice.cubic(5), ["K", "K"], [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(UnusableStructure, match="on top of each other"):
        site_permutations(structure, [0, 1])
