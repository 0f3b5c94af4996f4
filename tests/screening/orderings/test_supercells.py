import itertools
import math

import numpy as np
import pytest
from configuration_oracles import smallest_images
from hypothesis import given, settings
from hypothesis import strategies as st
from ordering_parents import (
    k2tacl6,
    metal,
    operations,
    other_setting,
    permutations_by_spglib,
    pure_translations,
    rock_salt,
    ucl3,
)

from screening.orderings.parent import Parent
from screening.orderings.space import ConfigurationSpace, Sublattice


def n_distinct(structure, n_cells):
    """Classes of superlattices of one index."""
    return len(Parent.from_structure(structure).distinct_supercells(n_cells))


def sublattices(index):
    """Every sublattice of Z³ of an index, as its Hermite normal form (rows span it)."""
    for a in range(1, index + 1):
        for d in range(1, index + 1):
            if index % (a * d) == 0:
                f = index // (a * d)
                for b, c, e in itertools.product(range(d), range(f), range(f)):
                    yield np.array([[a, b, c], [0, d, e], [0, 0, f]])


def n_classes(structure, index):
    """Sublattices that no rotation of the primitive crystal carries onto each other, one by one.

    H and H' span the same lattice when each is a whole multiple of the other.
    """
    primitive = structure.get_primitive_structure()
    kinds = [site.specie.Z for site in primitive]
    rotations, _ = operations(primitive.lattice.matrix, primitive.frac_coords, kinds)
    left, n_found = list(sublattices(index)), 0
    while left:
        n_found += 1
        turned = [left[0] @ rotation.T for rotation in rotations]
        left = [
            h
            for h in left
            if not any(
                np.allclose(t @ np.linalg.inv(h), np.rint(t @ np.linalg.inv(h))) for t in turned
            )
        ]
    return n_found


@pytest.mark.parametrize("kind", ["fcc", "bcc"])
def test_distinct_supercells_of_fcc_and_bcc(kind):
    """Hart, Forcade, doi:10.1103/PhysRevB.77.224115; further terms in OEIS A159842."""
    published = [1, 2, 3, 7, 5, 10, 7, 20, 14, 18, 11, 41]
    assert [n_distinct(metal(kind), n) for n in range(1, 13)] == published


def test_all_supercells_of_a_triclinic_lattice_are_distinct():
    """Σ d σ(d) over the divisors of n is the number of sublattices of index n; OEIS A001001."""

    def divisors(n):
        return [d for d in range(1, n + 1) if n % d == 0]

    for n in range(1, 11):
        wanted = sum(d * sum(divisors(d)) for d in divisors(n))
        assert wanted == len(list(sublattices(n)))
        assert n_distinct(metal("triclinic"), n) == wanted


@pytest.mark.parametrize("index", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(
    "structure",
    [
        pytest.param(metal("sc"), id="sc"),
        pytest.param(metal("hcp"), id="hcp"),
        pytest.param(ucl3(), id="UCl3"),
        pytest.param(k2tacl6(), id="K2TaCl6"),
    ],
)
def test_classes_found_one_by_one(structure, index):
    assert n_distinct(structure, index) == n_classes(structure, index)


@given(seed=st.integers(0, 2**32 - 1), index=st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_the_setting_of_the_parent_does_not_matter(seed, index):
    structure = k2tacl6()
    shaken, _ = other_setting(structure, np.random.default_rng(seed))
    assert n_distinct(shaken, index) == n_distinct(structure, index)
    assert n_distinct(structure.get_primitive_structure(), index) == n_distinct(structure, index)
    assert n_distinct(structure * (1, 2, 1), index) == n_distinct(structure, index)


@pytest.mark.parametrize("index", [1, 2, 3, 4])
def test_supercells_are_whole_and_symmetric_as_spglib_finds_them(index):
    structure = k2tacl6()
    parent = Parent.from_structure(structure)
    kinds = [site.specie.Z for site in structure]
    primitive_A3 = structure.volume / 4
    for supercell in parent.distinct_supercells(index):
        n_sites = len(supercell.frac_coords)
        assert supercell.n_cells == index
        assert n_sites == len(supercell.unit_site) == 9 * index
        assert supercell.lattice.volume == pytest.approx(primitive_A3 * index, rel=1e-6, abs=0)
        held = [structure[i].specie.symbol for i in supercell.unit_site]
        assert [held.count(s) for s in ("Ta", "K", "Cl")] == [index, 2 * index, 6 * index]
        sites = np.arange(n_sites)
        found = {tuple(row) for row in supercell.permutations(sites).tolist()}
        assert found == permutations_by_spglib(supercell, kinds, sites)


def partitions(n, n_parts):
    """Amounts of so many occupants, all present, largest first."""
    for cuts in itertools.combinations(range(1, n), n_parts - 1):
        edges = [0, *cuts, n]
        amounts = tuple(edges[i + 1] - edges[i] for i in range(n_parts))
        if all(a >= b for a, b in itertools.pairwise(amounts)):
            yield amounts


def exchanges(amounts):
    """Renamings of the occupants that keep how many there are of each."""
    n = len(amounts)
    for names in itertools.permutations(range(n)):
        if all(amounts[names[i]] == amounts[i] for i in range(n)):
            yield np.array(names)


def n_derivative_structures(structure, index, n_kinds):
    """Structures of n_kinds atoms with no smaller cell, the same if atoms merely change names."""
    n_found = 0
    for supercell in Parent.from_structure(structure).distinct_supercells(index):
        sites = np.arange(len(supercell.unit_site))
        group = supercell.permutations(sites)
        translations = pure_translations(supercell, sites)
        for amounts in partitions(len(sites), n_kinds):
            found = ConfigurationSpace(group, [Sublattice(sites, amounts, None)]).enumerate()
            smallest = np.ones(len(found.degeneracies), dtype=bool)
            for permutation in translations:
                smallest &= (found.occupants[:, permutation] != found.occupants).any(axis=1)
            rows = found.occupants[smallest].astype(np.int64)
            if not len(rows):
                continue
            named = [smallest_images(names[rows], group, n_kinds) for names in exchanges(amounts)]
            n_found += len({min(keys) for keys in zip(*named, strict=True)})
    return n_found


@pytest.mark.parametrize(
    ("kind", "n_kinds", "published"),
    [
        ("fcc", 2, {2: 2, 3: 3, 4: 12, 5: 14, 6: 50, 7: 52, 8: 229}),
        ("sc", 2, {2: 3, 3: 3, 4: 15}),
        ("fcc", 3, {3: 3, 4: 13, 5: 23, 6: 130}),
        ("fcc", 4, {4: 7, 5: 9}),
        ("hcp", 2, {1: 1, 2: 7, 3: 30, 4: 163}),
    ],
)
def test_published_derivative_structures(kind, n_kinds, published):
    """Hart, Forcade, doi:10.1103/PhysRevB.77.224115; for hcp doi:10.1103/PhysRevB.80.014120."""
    found = {n: n_derivative_structures(metal(kind), n, n_kinds) for n in published}
    assert found == published


def test_rock_salt_cations_are_an_fcc_lattice():
    """One sublattice of a compound decorates as the bare lattice does."""
    structure = rock_salt()
    for index in (2, 3, 4):
        counts = []
        for host, symbol in ((structure, "Pb"), (metal("fcc"), "Cu")):
            held = np.array([site.specie.symbol == symbol for site in host])
            counts.append([])
            for supercell in Parent.from_structure(host).distinct_supercells(index):
                sites = np.flatnonzero(held[supercell.unit_site])
                space = ConfigurationSpace(
                    supercell.permutations(sites),
                    [Sublattice(np.arange(index), (1, index - 1), None)],
                )
                counts[-1].append((space.n_configurations, space.n_orderings))
        assert sorted(counts[0]) == sorted(counts[1])
        assert all(n == (math.comb(index, 1), 1) for n in counts[0])
