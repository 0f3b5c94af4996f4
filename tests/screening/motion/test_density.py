import numpy as np
import pytest
from lattice_walks import (
    KT_EV,
    OBLIQUE_A,
    boltzmann_paths,
    lattice_paths,
    trajectory_of,
)

from screening.errors import InvalidInput
from screening.motion.density import default_spacing_A, density_of_paths, probability_density
from screening.motion.paths import mobile_paths


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(2)
    paths, _ = lattice_paths(rng, 400, 6, 3, hops_per_frame=0.02)
    return trajectory_of(rng, paths, OBLIQUE_A, drift_A=2.0)


def test_visits_are_numpys_histogram(run):
    density = probability_density(run, "K", spacing_A=0.5)
    wrapped = mobile_paths(run, "K").reshape(-1, 3) % 1.0
    expected, _ = np.histogramdd(wrapped, bins=density.shape, range=[(0, 1)] * 3)
    np.testing.assert_array_equal(density.visits.sum(axis=0), expected)


def test_density_integrates_to_the_number_of_ions(run):
    density = probability_density(run, "K")
    voxel_A3 = np.linalg.det(OBLIQUE_A) / np.prod(density.shape)
    assert density.ions_per_A3.sum() * voxel_A3 == pytest.approx(6, rel=1e-12)
    for axis, (u, v) in enumerate([(1, 2), (0, 2), (0, 1)]):
        pixels = density.projected_ions_per_A2(axis)
        area_A2 = np.linalg.norm(np.cross(OBLIQUE_A[u], OBLIQUE_A[v]))
        assert pixels.mean() * area_A2 == pytest.approx(6, rel=1e-12)


def test_voxels_are_no_longer_than_asked(run):
    density = probability_density(run, "K", spacing_A=0.3)
    edges_A = np.linalg.norm(OBLIQUE_A, axis=1)
    assert (edges_A / density.shape <= 0.3).all()
    assert (edges_A / (np.array(density.shape) - 1) > 0.3).all()
    assert density.spacing_A == pytest.approx((edges_A / density.shape).max())


def test_only_large_cells_have_a_coarser_grid():
    assert default_spacing_A(np.eye(3) * 25.0) == 0.2
    coarse_A = default_spacing_A(np.eye(3) * 100.0)
    assert (100.0 / coarse_A) ** 3 == pytest.approx(2e7)


def test_parts_are_stretches_of_the_run(run):
    paths = mobile_paths(run, "K")
    density = density_of_paths(paths, run)
    assert density.visits.sum(axis=(1, 2, 3)).tolist() == [600, 600, 600, 600]
    second = density_of_paths(paths[100:200], run)
    np.testing.assert_array_equal(density.visits[1], second.visits.sum(axis=0))


def test_free_energy_is_the_potential():
    rng = np.random.default_rng(3)
    barriers_eV = (0.10, 0.15, 0.20)
    paths = boltzmann_paths(rng, 20_000, 20, barriers_eV, 1)
    run = trajectory_of(rng, paths[:10], np.eye(3) * 4.0)
    energies_eV = density_of_paths(paths, run).free_energy_eV()
    x = (np.arange(20) + 0.5) / 20
    potential_eV = sum(
        barrier * (1 - np.cos(2 * np.pi * grid)) / 2
        for barrier, grid in zip(barriers_eV, np.meshgrid(x, x, x, indexing="ij"), strict=True)
    )
    low = potential_eV < 3 * KT_EV
    difference_eV = (energies_eV - potential_eV)[low]
    assert abs(difference_eV - difference_eV.mean()).max() < 0.5 * KT_EV
    assert difference_eV.std() < 0.1 * KT_EV
    assert energies_eV.min() == 0


def test_unvisited_places_cannot_be_entered(run):
    energies_eV = probability_density(run, "K").free_energy_eV()
    assert np.isinf(energies_eV).any()
    assert not np.isnan(energies_eV).any()


def test_what_a_run_sees_grows_with_its_length():
    rng = np.random.default_rng(4)
    paths = boltzmann_paths(rng, 4000, 4, (0.3, 0.3, 0.3), 1)
    run = trajectory_of(rng, paths[:10], np.eye(3) * 4.0)
    short, long = density_of_paths(paths[:1000], run), density_of_paths(paths, run)
    gain_eV = long.seen_up_to_eV() - short.seen_up_to_eV()
    assert gain_eV == pytest.approx(KT_EV * np.log(4), rel=0.1)


@pytest.mark.parametrize("spacing_A", [0.0, -1.0, np.nan])
def test_a_spacing_that_is_none_is_refused(run, spacing_A):
    with pytest.raises(InvalidInput, match="spacing_A="):
        probability_density(run, "K", spacing_A=spacing_A)
