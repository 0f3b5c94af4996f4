import numpy as np
import pytest
from lattice_walks import OBLIQUE_A, cubic_sites, lattice_paths

from screening.errors import InvalidInput, UnusableRun
from screening.motion.jumps import CORE_SHARE, find_jumps
from screening.motion.sites import shortest_distances_A


def rattled(rng, paths, cell_A, rattle_A=0.25):
    return paths + rng.normal(scale=rattle_A, size=paths.shape) @ np.linalg.inv(cell_A)


def by_hand(path, sites, cell_A, core_A):
    """(frame, from, to, cells between) of one ion, image by image, in plain Python."""
    images = np.stack(np.meshgrid(*[range(-4, 6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    state, jumps = None, []
    for frame, place in enumerate(path):
        off = place - (sites[:, None] + images)
        near = np.argwhere(np.linalg.norm(off @ cell_A, axis=2) <= core_A[:, None])
        if not len(near):
            continue
        site, cell = int(near[0, 0]), images[near[0, 1]]
        if state is not None and (site != state[0] or (cell != state[1]).any()):
            jumps.append((frame, state[0], site, *(cell - state[1]).tolist()))
        state = site, cell
    return jumps


def test_jumps_are_those_found_by_hand():
    rng = np.random.default_rng(1)
    paths, _ = lattice_paths(rng, 300, 6, 2, hops_per_frame=0.05)
    paths = rattled(rng, paths, OBLIQUE_A, rattle_A=0.7)
    sites = cubic_sites(2)
    events = find_jumps(paths, sites, OBLIQUE_A)
    core_A = CORE_SHARE * shortest_distances_A(sites, OBLIQUE_A)
    for ion in range(6):
        mine = events.ion == ion
        found = np.column_stack([events.frame, events.origin, events.target, events.image])[mine]
        assert [tuple(row) for row in found.tolist()] == by_hand(
            paths[:, ion], sites, OBLIQUE_A, core_A
        )


def test_every_hop_is_a_jump_and_vibration_is_none():
    rng = np.random.default_rng(2)
    paths, n_hops = lattice_paths(rng, 4000, 12, 3, hops_per_frame=0.01)
    events = find_jumps(rattled(rng, paths, OBLIQUE_A), cubic_sites(3), OBLIQUE_A)
    assert len(events) == n_hops
    lengths_A = np.linalg.norm(events.vector_A, axis=1)
    edges_A = np.linalg.norm(OBLIQUE_A, axis=1) / 3
    assert np.abs(lengths_A[:, None] - edges_A).min(axis=1).max() < 1e-9
    assert events.frames_at.sum() == pytest.approx(4000 * 12, rel=0.01)


def test_jump_vectors_add_up_to_the_way_of_each_ion():
    rng = np.random.default_rng(3)
    paths, _ = lattice_paths(rng, 2000, 8, 3, hops_per_frame=0.02)
    events = find_jumps(rattled(rng, paths, OBLIQUE_A), cubic_sites(3), OBLIQUE_A)
    for ion in range(8):
        way_A = events.vector_A[events.ion == ion].sum(axis=0)
        np.testing.assert_allclose(way_A, (paths[-1, ion] - paths[0, ion]) @ OBLIQUE_A, atol=1e-9)


def test_a_jump_to_the_next_cells_image_of_the_only_site_counts():
    paths = np.full((20, 1, 3), 0.1)
    paths[10:, 0, 2] += 1.0
    events = find_jumps(paths, np.array([[0.1, 0.1, 0.1]]), np.eye(3) * 4.0)
    assert events.image.tolist() == [[0, 0, 1]]
    assert events.vector_A.tolist() == [[0.0, 0.0, 4.0]]
    assert events.frame.tolist() == [10]


def test_turning_back_on_the_pass_is_no_jump():
    sites = np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    path = np.array([0.0, 0.05, 0.24, 0.27, 0.24, 0.0, 0.26, 0.23, 0.28, 0.5, 0.3, 0.5])
    paths = np.stack([path, 0 * path, 0 * path], axis=1)[:, None]
    events = find_jumps(paths, sites, np.eye(3) * 8.0)
    assert events.frame.tolist() == [9]
    assert events.frames_at.tolist() == [[9, 3]]


def test_sites_that_are_none_are_refused():
    paths = np.zeros((20, 1, 3))
    with pytest.raises(InvalidInput, match="one or more needed"):
        find_jumps(paths, np.empty((0, 3)), OBLIQUE_A)
    with pytest.raises(InvalidInput, match="two sites at one place"):
        find_jumps(paths, np.array([[0.1, 0.0, 0.0], [1.1, 0.0, 0.0]]), OBLIQUE_A)
    with pytest.raises(UnusableRun, match="no ion ever"):
        find_jumps(paths, np.array([[0.5, 0.5, 0.5]]), OBLIQUE_A)
