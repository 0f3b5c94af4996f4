from collections import Counter

import numpy as np
import pytest
from configuration_oracles import (
    Problem,
    closure,
    multinomial,
    necklaces,
    permutations_of_points,
    problems,
    problems_with_satellites,
    ring,
    signed_axes,
    sites_with_rotors,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from screening.orderings.sampling import random_orderings
from screening.orderings.space import ConfigurationSpace, Orderings, Sublattice

ANY_PROBLEM = st.one_of(problems(max_sites=8), problems_with_satellites())


def draw_each(space, n, seed):
    """Drawn one after the other, as from spaces too large to be enumerated."""
    return Orderings(*random_orderings(space, min(n, space.n_orderings), seed))


both_ways = pytest.mark.parametrize("sample", [ConfigurationSpace.sample, draw_each])


@both_ways
@given(ANY_PROBLEM, st.integers(1, 12), st.integers(0, 2**31))
@settings(deadline=None, max_examples=100)
def test_samples_are_distinct_orderings_with_their_degeneracies(sample, problem, n, seed):
    orbits = problem.orbits()
    found = sample(problem.space, n, seed)
    images = problem.images(found.occupants)
    assert len(images) == len(set(images)) == min(n, len(orbits))
    assert found.degeneracies.tolist() == [orbits[image] for image in images]


@given(ANY_PROBLEM, st.integers(0, 3), st.integers(0, 2**31))
@settings(deadline=None, max_examples=50)
def test_asking_for_all_gives_all(problem, more, seed):
    orbits = problem.orbits()
    found = problem.space.sample(len(orbits) + more, seed)
    sizes = found.degeneracies.tolist()
    assert dict(zip(problem.images(found.occupants), sizes, strict=True)) == dict(orbits)


@both_ways
@given(ANY_PROBLEM, st.integers(1, 8), st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_a_seed_gives_the_same_sample_again(sample, problem, n, seed):
    one, other = (sample(problem.space, n, seed) for _ in range(2))
    assert np.array_equal(one.occupants, other.occupants)
    assert np.array_equal(one.degeneracies, other.degeneracies)


def two_tetrahedra():
    """The tetrahedral group on two sets of four points at once; 4 of 8 filled."""
    once = closure([[1, 0, 2, 3], [1, 2, 3, 0]], 4)
    group = np.hstack([once, 4 + once])
    return Problem(group, [Sublattice(np.arange(8), (4, 4), None)], 8)


def square_of_rotors():
    """Four corners with four-fold rotors, two of them filled, one otherwise."""
    corners = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    points, satellites = sites_with_rotors(corners, lambda _: [(1, 0), (-1, 0), (0, 1), (0, -1)])
    group = permutations_of_points(points, signed_axes(2))
    return Problem(group, [Sublattice(np.arange(4), (2, 1, 1), satellites)], len(points))


def rotors_without_symmetry():
    """One of three sites holds a four-fold rotor: wherever it is, it points as often each way."""
    satellites = 3 + np.arange(12).reshape(3, 4)
    alone = np.arange(15, dtype=np.intp)[None, :]
    return Problem(alone, [Sublattice(np.arange(3), (1, 2), satellites)], 15)


def two_sublattices():
    """Two rings of six sites that turn together; two occupants on one, three on the other."""
    turns = ring(6, reflected=True)
    sublattices = [
        Sublattice(np.arange(6), (3, 3), None),
        Sublattice(6 + np.arange(6), (4, 1, 1), None),
    ]
    return Problem(np.hstack([turns, 6 + turns]), sublattices, 12)


def unlikely(counts):
    """Probability of counts at least so uneven were all outcomes equally likely."""
    return float(stats.chisquare(counts).pvalue)


@both_ways
@pytest.mark.parametrize(
    ("problem", "spread"),
    [
        pytest.param(two_tetrahedra(), 24, id="tetrahedra"),
        pytest.param(two_sublattices(), 2, id="two sublattices"),
        pytest.param(square_of_rotors(), 2, id="rotors"),
        pytest.param(rotors_without_symmetry(), 1, id="rotors without symmetry"),
        pytest.param(
            Problem(ring(12), [Sublattice(np.arange(12), (6, 6), None)], 12), 6, id="necklaces"
        ),
    ],
)
def test_every_ordering_is_equally_likely(sample, problem, spread):
    """Not in proportion to the configurations it stands for, which differ `spread`-fold or more."""
    orbits = problem.orbits()
    sizes = sorted(orbits.values())
    assert sizes[-1] >= spread * sizes[0]
    space, drawn = problem.space, Counter()
    n_draws = 12 * len(orbits)
    for seed in range(n_draws):
        drawn.update(problem.images(sample(space, 1, seed).occupants))
    assert set(drawn) <= set(orbits)
    assert unlikely([drawn[image] for image in orbits]) > 1e-3
    if len(set(sizes)) > 1:
        by_size = Counter()
        for image, size in orbits.items():
            by_size[size] += drawn[image]
        expected = [n_draws * sizes.count(size) / len(orbits) for size in by_size]
        assert stats.chisquare(list(by_size.values()), expected).pvalue > 1e-3


@both_ways
@pytest.mark.parametrize("n_each", [2, 4, 7])
def test_larger_samples_favour_no_ordering(sample, n_each):
    problem = two_tetrahedra()
    orbits, space, drawn = problem.orbits(), problem.space, Counter()
    assert len(orbits) == 9
    for seed in range(200):
        images = problem.images(sample(space, n_each, seed).occupants)
        assert len(set(images)) == n_each
        drawn.update(images)
    # without replacement the counts scatter less than by chance alone: the bound stays valid
    assert unlikely([drawn[image] for image in orbits]) > 1e-3


def test_a_space_that_nobody_could_enumerate():
    n = 120
    group = ring(n, reflected=True)
    amounts = (60, 40, 20)
    space = ConfigurationSpace(group, [Sublattice(np.arange(n), amounts, None)])
    assert space.n_configurations == multinomial(amounts) > 10**30
    found = space.sample(40, seed=1)
    assert found.occupants.shape == (40, n)
    smallest = set()
    for row, degeneracy in zip(found.occupants, found.degeneracies.tolist(), strict=True):
        assert np.bincount(row, minlength=3).tolist() == list(amounts)
        images = {row[permutation].tobytes() for permutation in group}
        assert degeneracy == len(images)
        smallest.add(min(images))
    assert len(smallest) == 40
    again = space.sample(40, seed=2)
    assert not np.array_equal(found.occupants, again.occupants)


def test_symmetric_orderings_of_a_large_space_are_reached():
    """Two ions on a ring: all 50 distances, the one with the ions opposite among them."""
    n = 100
    space = ConfigurationSpace(ring(n), [Sublattice(np.arange(n), (2, n - 2), None)])
    assert space.n_orderings == necklaces((2, n - 2)) == 50
    found = space.sample(50, seed=0)
    assert sorted(found.degeneracies.tolist()) == [50] + [100] * 49


@pytest.mark.parametrize("n_sites", [63, 64, 65, 200])
def test_without_symmetry_every_sample_stands_for_itself(n_sites):
    """Numbers of configurations near and far beyond a machine's word, each of them distinct."""
    alone = np.arange(n_sites, dtype=np.intp)[None, :]
    space = ConfigurationSpace(alone, [Sublattice(np.arange(n_sites), (30, n_sites - 30), None)])
    found = space.sample(5, seed=3)
    assert [int(d) for d in found.degeneracies] == [1] * 5
    assert ((found.occupants == 0).sum(axis=1) == 30).all()


def test_satellites_of_a_large_space():
    n_sites, n_around = 40, 3
    satellites = n_sites + np.arange(n_sites * n_around).reshape(n_sites, n_around)
    turns = ring(n_sites)
    group = np.hstack(
        [turns, (n_sites + n_around * turns[:, :, None] + np.arange(n_around)).reshape(n_sites, -1)]
    )
    sublattice = Sublattice(np.arange(n_sites), (30, 10), satellites)
    space = ConfigurationSpace(group, [sublattice])
    assert space.n_configurations == multinomial((30, 10)) * 3**30
    found = space.sample(20, seed=5)
    for row, degeneracy in zip(found.occupants, found.degeneracies.tolist(), strict=True):
        filled = row[satellites].sum(axis=1)
        assert filled.tolist() == (row[:n_sites] == 0).astype(int).tolist()
        assert row[:n_sites].sum() == 10
        assert degeneracy == len({row[permutation].tobytes() for permutation in group})
