from collections import deque
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lattice_walks import KT_EV, boltzmann_paths, trajectory_of

from screening.motion.density import density_of_paths
from screening.motion.percolation import density_percolation, percolation_thresholds

NEIGHBOURS = [step for step in product((-1, 0, 1), repeat=3) if any(step)]


def windings_of_components(is_open):
    """Breadth-first walks through the unwrapped crystal: (voxels, windings) of every component."""
    shape = np.array(is_open.shape)
    cell_of = {}
    for start in map(tuple, np.argwhere(is_open)):
        if start in cell_of:
            continue
        cell_of[start] = np.zeros(3, dtype=int)
        voxels, windings, queue = [start], [np.zeros(3, dtype=int)], deque([start])
        while queue:
            here = queue.popleft()
            for step in NEIGHBOURS:
                cell, there = np.divmod(np.array(here) + step, shape)
                there = tuple(there.tolist())
                if not is_open[there]:
                    continue
                cell = cell + cell_of[here]
                if there in cell_of:
                    windings.append(cell - cell_of[there])
                else:
                    cell_of[there] = cell
                    voxels.append(there)
                    queue.append(there)
        yield voxels, np.unique(windings, axis=0)


def thresholds_by_walking(landscape):
    by_dimension, along = [np.inf] * 3, [np.inf] * 3
    for level in np.unique(landscape[np.isfinite(landscape)]):
        for voxels, windings in windings_of_components(landscape <= level):
            barrier = level - min(landscape[voxel] for voxel in voxels)
            for d in range(np.linalg.matrix_rank(windings)):
                if by_dimension[d] == np.inf:
                    by_dimension[d] = barrier
            for axis in range(3):
                if windings[:, axis].any() and along[axis] == np.inf:
                    along[axis] = barrier
    return tuple(by_dimension), tuple(along)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 3)] * 3),
    seed=st.integers(0, 2**32 - 1),
    closed=st.sampled_from([0.0, 0.4, 0.8]),
)
def test_thresholds_are_those_of_walks_through_the_crystal(shape, seed, closed):
    rng = np.random.default_rng(seed)
    landscape = rng.permutation(np.prod(shape)).reshape(shape).astype(float)
    landscape[rng.random(shape) < closed] = np.inf
    found = percolation_thresholds(landscape)
    assert (found.by_dimension, found.along) == thresholds_by_walking(landscape)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.tuples(*[st.integers(0, 9)] * 3),
    order=st.permutations(range(3)),
)
def test_origin_zero_and_order_of_axes_do_not_matter(seed, shift, order):
    landscape = np.random.default_rng(seed).permutation(6 * 7 * 8).reshape(6, 7, 8) / 100
    landscape[landscape > 2.5] = np.inf
    one = percolation_thresholds(landscape)
    other = percolation_thresholds(np.roll(landscape, shift, axis=(0, 1, 2)).transpose(order) + 5.0)
    assert other.by_dimension == pytest.approx(one.by_dimension)
    assert other.along == pytest.approx(tuple(one.along[axis] for axis in order))


def walls(shape=(12, 10, 8)):
    return np.full(shape, np.inf)


def test_an_island_does_not_percolate():
    landscape = walls()
    landscape[2:5, 2:5, 2:5] = 0.0
    assert percolation_thresholds(landscape).dimension == 0


def test_a_channel_percolates_along_itself():
    landscape = walls()
    landscape[:, 3, 3] = 0.2
    landscape[4, 3, 3] = 0.5
    landscape[0, 3, 3] = 0.1
    found = percolation_thresholds(landscape)
    assert found.dimension == 1
    assert found.by_dimension[0] == pytest.approx(0.4)
    assert found.along == pytest.approx((0.4, np.inf, np.inf))


def test_a_diagonal_channel_is_one_dimensional_and_gets_on_along_two_axes():
    landscape = walls((10, 10, 10))
    steps = np.arange(10)
    landscape[steps, steps, 5] = 0.3
    landscape[0, 0, 5] = 0.0
    found = percolation_thresholds(landscape)
    assert found.dimension == 1
    assert found.along == pytest.approx((0.3, 0.3, np.inf))


def test_a_trapped_deep_place_does_not_raise_the_barrier_of_a_channel():
    landscape = walls()
    landscape[6:8, 7, 6] = -3.0
    landscape[:, 3, 3] = 0.2
    landscape[4, 3, 3] = 0.5
    assert percolation_thresholds(landscape).by_dimension[0] == pytest.approx(0.3)


def test_two_crossing_channels_that_never_meet_are_one_dimensional():
    landscape = walls()
    landscape[:, 2, 2] = 0.1
    landscape[5, :, 6] = 0.1
    found = percolation_thresholds(landscape)
    assert found.dimension == 1
    assert np.isfinite(found.along).tolist() == [True, True, False]


def test_barriers_of_a_known_potential_are_found():
    rng = np.random.default_rng(7)
    barriers_eV = (0.12, 0.20, 0.28)
    paths = boltzmann_paths(rng, 20_000, 16, barriers_eV, 2)
    run = trajectory_of(rng, paths[:10], np.eye(3) * 7.0)
    found = density_percolation(density_of_paths(paths, run))
    assert found.dimension == 3
    assert found.barriers_eV == pytest.approx(barriers_eV, abs=0.4 * KT_EV)
    assert found.barriers_along_abc_eV == pytest.approx(barriers_eV, abs=0.4 * KT_EV)
    for error_eV in found.errors_eV:
        assert 0 < error_eV < 0.4 * KT_EV
    assert found.seen_up_to_eV > 0.3


@pytest.mark.parametrize("dimension", [0, 1, 2])
def test_closed_directions_have_no_barrier(dimension):
    rng = np.random.default_rng(8)
    barriers_eV = [0.1] * dimension + [2.5] * (3 - dimension)
    paths = boltzmann_paths(rng, 5_000, 16, barriers_eV, 1)
    run = trajectory_of(rng, paths[:10], np.eye(3) * 4.0)
    found = density_percolation(density_of_paths(paths, run))
    assert found.dimension == len(found.barriers_eV) == len(found.errors_eV) == dimension
    assert [eV is not None for eV in found.barriers_along_abc_eV] == [True] * dimension + [
        False
    ] * (3 - dimension)


def test_a_barrier_seen_in_one_quarter_only_has_no_error():
    rng = np.random.default_rng(9)
    still = boltzmann_paths(rng, 3_000, 16, (2.5, 2.5, 2.5), 1)
    moving = boltzmann_paths(rng, 1_000, 16, (0.1, 2.5, 2.5), 1)
    run = trajectory_of(rng, still[:10], np.eye(3) * 4.0)
    found = density_percolation(density_of_paths(np.concatenate([still, moving]), run))
    assert found.dimension == 1
    assert found.errors_eV == (None,)
