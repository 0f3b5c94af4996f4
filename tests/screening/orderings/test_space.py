import itertools
import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from configuration_oracles import (
    Problem,
    assert_same_orbits,
    bracelets,
    closure,
    groups,
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
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.errors import InvalidInput, UnusableStructure
from screening.orderings.parent import Parent
from screening.orderings.space import ConfigurationSpace, Sublattice


def binary(group, n_filled):
    """One sublattice of all sites, n_filled of them filled."""
    n_sites = group.shape[1]
    sublattice = Sublattice(np.arange(n_sites), (n_filled, n_sites - n_filled), None)
    return ConfigurationSpace(group, [sublattice])


@given(problems())
@settings(deadline=None, max_examples=150)
def test_every_orbit_once_with_its_size(problem):
    space, orbits = problem.space, problem.orbits()
    assert space.n_configurations == sum(orbits.values())
    assert space.n_configurations == math.prod(multinomial(s.amounts) for s in problem.sublattices)
    assert space.n_orderings == len(orbits)
    assert_same_orbits(space.enumerate(), problem, orbits)


@given(problems_with_satellites())
@settings(deadline=None, max_examples=100)
def test_satellites_turn_with_their_sites(problem):
    space, orbits = problem.space, problem.orbits()
    raw = math.prod(
        multinomial(s.amounts)
        * (1 if s.satellites is None else s.satellites.shape[1] ** s.amounts[0])
        for s in problem.sublattices
    )
    assert space.n_configurations == sum(orbits.values()) == raw
    assert space.n_orderings == len(orbits)
    assert_same_orbits(space.enumerate(), problem, orbits)


@given(st.one_of(problems(max_sites=8), problems_with_satellites()), st.integers(1, 40))
@settings(deadline=None, max_examples=80)
def test_blocks_are_the_same_stream_in_pieces(problem, max_rows):
    space = problem.space
    whole, blocks = space.enumerate(), list(space.blocks(max_rows))
    assert all(1 <= len(block.degeneracies) <= max_rows for block in blocks)
    assert all(len(block.degeneracies) == len(block.occupants) for block in blocks)
    assert np.array_equal(np.vstack([block.occupants for block in blocks]), whole.occupants)
    counts = np.concatenate([block.degeneracies for block in blocks])
    assert np.array_equal(counts, whole.degeneracies)


def test_a_space_can_be_walked_twice():
    space = binary(ring(12), 6)
    first, second = space.enumerate(), space.enumerate()
    assert np.array_equal(first.occupants, second.occupants)


def test_the_first_block_of_an_endless_stream_comes_at_once():
    space = binary(ring(60, reflected=True), 30)
    assert space.n_configurations > 10**17
    block = next(iter(space.blocks(max_rows=10)))
    assert 1 <= len(block.degeneracies) <= 10
    assert (block.occupants == 0).sum(axis=1).tolist() == [30] * len(block.degeneracies)


def test_a_long_stream_takes_no_more_memory_than_a_block():
    space = binary(ring(24), 12)
    list(itertools.islice(space.blocks(max_rows=100), 2))  # compiled and allocated before measuring
    tracemalloc.start()
    try:
        n_orderings = n_configurations = 0
        for block in space.blocks(max_rows=500):
            n_orderings += len(block.degeneracies)
            n_configurations += int(block.degeneracies.sum())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_orderings == space.n_orderings == necklaces((12, 12)) == 112_720
    assert n_configurations == math.comb(24, 12)
    assert peak_bytes < 112_720 * 24 / 2  # half of what all occupants together would take


@given(groups(max_sites=8), st.data())
@settings(deadline=None, max_examples=60)
def test_occupants_may_be_renamed(group, data):
    """Which number stands for which occupant changes no orbit's size."""
    n_sites = group.shape[1]
    cuts = sorted(data.draw(st.lists(st.integers(0, n_sites), min_size=2, max_size=2)))
    amounts = (cuts[0], cuts[1] - cuts[0], n_sites - cuts[1])
    sizes = set()
    for order in itertools.permutations(amounts):
        space = ConfigurationSpace(group, [Sublattice(np.arange(n_sites), order, None)])
        sizes.add(tuple(sorted(space.enumerate().degeneracies.tolist())))
    assert len(sizes) == 1


@given(problems(max_sites=7), st.data())
@settings(deadline=None, max_examples=60)
def test_the_order_of_permutations_does_not_matter(problem, data):
    order = data.draw(st.permutations(range(len(problem.group))))
    again = Problem(problem.group[list(order)], problem.sublattices, problem.n_domain)
    assert_same_orbits(again.space.enumerate(), problem)
    assert again.space.n_orderings == problem.space.n_orderings


@given(groups(max_sites=6), groups(max_sites=3))
@settings(deadline=None, max_examples=60)
def test_independent_sublattices_multiply(one, other):
    """A direct product acts on each sublattice alone: orderings and their sizes multiply."""
    n, m = one.shape[1], other.shape[1]
    product = np.array([[*p, *(n + q)] for p in one for q in other], dtype=np.intp)
    amounts = [(n // 2, n - n // 2), (m // 2, m - m // 2)]
    together = ConfigurationSpace(
        product,
        [
            Sublattice(np.arange(n), amounts[0], None),
            Sublattice(n + np.arange(m), amounts[1], None),
        ],
    )
    parts = [binary(one, n // 2).enumerate(), binary(other, m // 2).enumerate()]
    expected = np.multiply.outer(parts[0].degeneracies, parts[1].degeneracies).ravel()
    assert together.n_orderings == len(expected)
    assert Counter(together.enumerate().degeneracies.tolist()) == Counter(expected.tolist())


SQUARE = sites_with_rotors(
    list(itertools.product((1, -1), repeat=2)), lambda site: [(1, 0), (-1, 0), (0, 1), (0, -1)]
)
CUBE = sites_with_rotors(
    list(itertools.product((1, -1), repeat=3)),
    lambda site: [np.eye(3)[i] * -site[i] for i in range(3)],
)
OCTAHEDRON = sites_with_rotors(
    [s * np.eye(3)[i] for i in range(3) for s in (1, -1)],
    lambda site: [s * np.eye(3)[i] for i in range(3) for s in (1, -1) if not site[i]],
)


@pytest.mark.parametrize(
    ("body", "n_dimensions", "amounts"),
    [
        pytest.param(SQUARE, 2, (4,), id="square full"),
        pytest.param(SQUARE, 2, (2, 2), id="square half full"),
        pytest.param(SQUARE, 2, (2, 1, 1), id="square with two others"),
        pytest.param(SQUARE, 2, (0, 3, 1), id="square without rotors"),
        pytest.param(CUBE, 3, (2, 6), id="cube with two"),
        pytest.param(CUBE, 3, (3, 3, 2), id="cube with two others"),
        pytest.param(CUBE, 3, (8,), id="cube full"),
        pytest.param(OCTAHEDRON, 3, (6,), id="octahedron full"),
        pytest.param(OCTAHEDRON, 3, (3, 2, 1), id="octahedron with two others"),
    ],
)
def test_rotors_on_corners(body, n_dimensions, amounts):
    points, satellites = body
    group = permutations_of_points(points, signed_axes(n_dimensions))
    sublattice = Sublattice(np.arange(len(satellites)), amounts, satellites)
    problem = Problem(group, [sublattice], len(points))
    space = problem.space
    assert space.n_configurations == multinomial(amounts) * satellites.shape[1] ** amounts[0]
    orbits = problem.orbits()
    assert space.n_orderings == len(orbits)
    assert_same_orbits(space.enumerate(), problem, orbits)


def test_one_free_rotor_has_one_ordering():
    n_around = 6
    turns = np.hstack([np.zeros((n_around, 1), dtype=np.intp), 1 + ring(n_around)])
    space = ConfigurationSpace(turns, [Sublattice(np.array([0]), (1,), 1 + np.arange(6)[None, :])])
    assert (space.n_configurations, space.n_orderings) == (6, 1)
    found = space.enumerate()
    assert found.degeneracies.tolist() == [6]
    assert found.occupants[0, 1:].sum() == 1


ABOUT_A_WORD = st.sampled_from([31, 32, 33, 34, 63, 64, 65, 66, 127, 128, 129])


@given(n=ABOUT_A_WORD | st.integers(70, 130), k=st.integers(1, 3), reflected=st.booleans())
@settings(deadline=None, max_examples=25)
def test_more_sites_than_bits_in_a_word(n, k, reflected):
    """A choice of k of n beads is, up to turning, a cyclic word of k gaps that sum to n."""
    words = Counter()
    for cuts in itertools.combinations(range(1, n), k - 1):
        edges = [0, *cuts, n]
        gaps = tuple(edges[i + 1] - edges[i] for i in range(k))
        turned = [gaps[i:] + gaps[:i] for i in range(k)]
        same = [*turned, *(t[::-1] for t in turned)] if reflected else turned
        words[min(same)] += 1
    space = binary(ring(n, reflected=reflected), k)
    expected = bracelets(n, k) if reflected else necklaces((k, n - k))
    assert space.n_orderings == len(words) == expected
    found = space.enumerate()
    for row, degeneracy in zip(found.occupants, found.degeneracies.tolist(), strict=True):
        filled = np.flatnonzero(row == 0)
        gaps = tuple(np.diff([*filled, filled[0] + n]).tolist())
        turned = [gaps[i:] + gaps[:i] for i in range(k)]
        word = min([*turned, *(t[::-1] for t in turned)] if reflected else turned)
        # each cut of the word at one of its k gaps, begun at any of the n beads, counts k times
        assert degeneracy * k == words.pop(word) * n
    assert not words


@given(n=st.integers(64, 130), data=st.data())
@settings(deadline=None, max_examples=15)
def test_counts_of_large_rings_in_closed_form(n, data):
    k = data.draw(st.integers(0, n))
    j = data.draw(st.integers(0, n - k))
    assert binary(ring(n), k).n_orderings == necklaces((k, n - k))
    assert binary(ring(n, reflected=True), k).n_orderings == bracelets(n, k)
    amounts = (k, j, n - k - j)
    space = ConfigurationSpace(ring(n), [Sublattice(np.arange(n), amounts, None)])
    assert space.n_configurations == multinomial(amounts)
    assert space.n_orderings == necklaces(amounts)


@pytest.mark.parametrize("n_sites", [8, 32, 63, 64, 65, 128])
def test_full_and_empty_lattices_have_one_ordering(n_sites):
    for n_filled in (0, n_sites):
        space = binary(ring(n_sites), n_filled)
        assert (space.n_configurations, space.n_orderings) == (1, 1)
        found = space.enumerate()
        assert found.degeneracies.tolist() == [1]
        assert (found.occupants == (0 if n_filled else 1)).all()


def test_without_symmetry_everything_is_distinct():
    space = ConfigurationSpace(
        np.arange(8, dtype=np.intp)[None, :],
        [Sublattice(np.arange(8), (3, 3, 2), None)],
    )
    found = space.enumerate()
    assert space.n_orderings == space.n_configurations == len(found.degeneracies) == 560
    assert (found.degeneracies == 1).all()
    assert len(np.unique(found.occupants, axis=0)) == 560


def test_all_permutations_leave_one_ordering():
    group = closure([[1, 0, 2, 3, 4], [1, 2, 3, 4, 0]], 5)
    space = ConfigurationSpace(group, [Sublattice(np.arange(5), (2, 2, 1), None)])
    assert space.enumerate().degeneracies.tolist() == [30]


@given(problems(max_sites=6, max_occupants=6))
@settings(deadline=None, max_examples=60)
def test_six_occupants(problem):
    assert_same_orbits(problem.space.enumerate(), problem)


@pytest.mark.parametrize(
    "amounts", [(2, 98), (98, 2), (97, 3), (2, 1, 97), (97, 1, 2), (1, 97, 2), (1, 1, 1, 97)]
)
def test_few_of_a_kind_are_quick_whichever_occupant_they_are(amounts):
    n = sum(amounts)
    space = ConfigurationSpace(ring(n), [Sublattice(np.arange(n), amounts, None)])
    n_orderings = n_configurations = 0
    for block in space.blocks(max_rows=3000):
        n_orderings += len(block.degeneracies)
        n_configurations += int(block.degeneracies.sum())
        counts = [(block.occupants == i).sum(axis=1) for i in range(len(amounts))]
        assert (amounts == np.array(counts).T).all()
    assert n_orderings == space.n_orderings == necklaces(amounts)
    assert n_configurations == space.n_configurations == multinomial(amounts)


def test_sublattices_beyond_a_word_together():
    """Three rings of 40 sites that turn together, two sites of each told apart: by Burnside."""
    n, turns = 40, ring(40)
    group = np.hstack([turns, n + turns, 2 * n + turns])
    parts = [Sublattice(i * n + np.arange(n), (2 - i, n - 2 + i), None) for i in range(2)]
    parts.append(Sublattice(2 * n + np.arange(n), (n - 1, 1), None))
    space = ConfigurationSpace(group, parts)
    found = space.enumerate()
    assert space.n_configurations == math.comb(40, 2) * 40 * 40
    assert space.n_orderings == len(found.degeneracies) == math.comb(40, 2) * 40
    assert (found.degeneracies == 40).all()  # a ring with a single mark has no symmetry left
    assert len(np.unique(found.occupants, axis=0)) == len(found.degeneracies)


@pytest.mark.parametrize(
    "act", [lambda s: s.n_orderings, lambda s: s.enumerate(), lambda s: list(s.blocks())]
)
def test_permutations_that_form_no_group(act):
    with pytest.raises(UnusableStructure, match="form no group"):
        act(binary(np.array([[0, 1, 2], [1, 2, 0]]), 1))


@pytest.mark.parametrize("amounts", [(1, 2), (2, 2, 1), (5,), ()])
def test_amounts_fill_the_sublattice(amounts):
    with pytest.raises(ValueError, match="do not sum to 4 sites"):
        ConfigurationSpace(ring(4), [Sublattice(np.arange(4), amounts, None)])


def test_one_of_many_sites_needs_no_table():
    """A cube of 512 sites turned and shifted onto itself: all are one, at once."""
    parent = Parent.from_structure(Structure(Lattice.cubic(4), ["K"], [[0, 0, 0]]))
    permutations = parent.supercell((8, 8, 8)).permutations(np.arange(512))
    space = ConfigurationSpace(permutations, [Sublattice(np.arange(512), (511, 1), None)])
    found = space.enumerate()
    assert found.degeneracies.tolist() == [512]
    assert space.n_orderings == 1


def test_what_would_not_fit_into_memory_is_refused():
    parent = Parent.from_structure(Structure(Lattice.cubic(4), ["K"], [[0, 0, 0]]))
    permutations = parent.supercell((10, 10, 10)).permutations(np.arange(1000))
    space = ConfigurationSpace(permutations, [Sublattice(np.arange(1000), (998, 2), None)])
    with pytest.raises(InvalidInput, match=r"48,000 symmetry operations would take 6 GB"):
        space.enumerate()
    with pytest.raises(InvalidInput, match=r"8,000 sites .* under 384,000 .* too many to keep"):
        parent.supercell((20, 20, 20)).permutations(np.arange(8000))
