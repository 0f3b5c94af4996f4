import numpy as np
import pytest
from lattice_walks import OBLIQUE_A, cubic_sites, lattice_paths, trajectory_of

from screening.errors import UnusableRun
from screening.motion.density import probability_density
from screening.motion.sites import find_sites, shortest_distances_A


def distances_A(found, expected, cell_A):
    """From every found to every expected site, nearest images."""
    off = found[:, None] - expected
    return np.linalg.norm((off - np.round(off)) @ cell_A, axis=2)


@pytest.mark.parametrize("cell_A", [np.eye(3) * 11.0, OBLIQUE_A], ids=["cubic", "oblique"])
@pytest.mark.parametrize("origin", [0.0, 0.137])
def test_sites_are_those_of_the_walk(cell_A, origin):
    rng = np.random.default_rng(1)
    paths, _ = lattice_paths(rng, 3000, 20, 3, hops_per_frame=0.01)
    run = trajectory_of(rng, paths + origin, cell_A)
    found = find_sites(probability_density(run, "K"))
    apart_A = distances_A(found, cubic_sites(3) + origin, cell_A)
    assert len(found) == 27
    assert sorted(apart_A.argmin(axis=1)) == list(range(27))
    assert apart_A.min(axis=1).max() < 0.1
    assert ((found >= 0) & (found < 1)).all()


def test_sites_come_by_occupancy_and_rare_places_belong_to_the_path():
    rng = np.random.default_rng(2)
    paths = np.full((2000, 1, 3), 0.25)
    paths[1000:1600] += 0.3
    paths[:30] = 0.0
    run = trajectory_of(rng, paths, np.eye(3) * 12.0)
    found = find_sites(probability_density(run, "K"))
    np.testing.assert_allclose(found, [[0.25] * 3, [0.55] * 3], atol=0.005)


def test_two_sites_close_by_are_told_apart_and_a_flat_one_is_one_site():
    rng = np.random.default_rng(3)
    paths = np.full((4000, 1, 3), 0.5)
    paths[2000:, 0, 0] += 1.6 / 10
    run = trajectory_of(rng, paths, np.eye(3) * 10.0)
    assert len(find_sites(probability_density(run, "K"))) == 2
    paths[2000:, 0, 0] -= 0.8 / 10
    run = trajectory_of(rng, paths, np.eye(3) * 10.0)
    assert len(find_sites(probability_density(run, "K"))) == 1


def test_a_fluid_has_no_sites():
    rng = np.random.default_rng(4)
    paths = 0.5 + np.cumsum(rng.normal(scale=0.08, size=(2000, 1, 3)), axis=0)
    run = trajectory_of(rng, paths, np.eye(3) * 24.0)
    with pytest.raises(UnusableRun, match="have no sites"):
        find_sites(probability_density(run, "K"))


def test_nearest_sites_include_a_sites_own_images():
    cell_A = np.diag([3.0, 8.0, 9.0])
    sites = np.array([[0.0, 0.0, 0.0], [0.0, 0.25, 0.0], [0.5, 0.9, 0.5]])
    assert shortest_distances_A(sites, cell_A) == pytest.approx([2.0, 2.0, 3.0])
    assert shortest_distances_A(sites[:1], OBLIQUE_A) == pytest.approx(
        [np.linalg.norm(OBLIQUE_A, axis=1).min()]
    )
