"""The walks move as they say: their known diffusivities are those of their hops."""

import numpy as np
import pytest
from walks import AMPLITUDES_A, CLASSES, DIRECTIONS, HARDER, HOP_LENGTH_A, WALKS, Hopping

from screening.units import A2_PER_PS_TO_CM2_PER_S

ALL = CLASSES | HARDER


@pytest.mark.parametrize("title", WALKS)
def test_a_seed_is_a_trajectory(title):
    hopping = ALL[title]
    first, again, other = (WALKS[title](seed).trajectory.positions_A for seed in (1, 1, 2))
    assert first.dtype == np.float32
    assert first.shape == (hopping.n_frames, 4 * hopping.n_ions, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


def correlation_factor(hopping):
    """1 + 2 Σ <cos θ_k>, θ_k between a hop and the k-th after it, from the chain of directions."""
    axes = [k for k in range(6) if k % 3 >= 3 - hopping.n_axes]
    vectors = DIRECTIONS[axes]
    back = vectors @ vectors.T < -0.5
    p = hopping.back_hop_probability
    chain = np.where(back, p, (1 - p) / (len(axes) - 1))
    cosines = [
        (vectors * (np.linalg.matrix_power(chain, k) @ vectors)).sum(axis=1).mean()
        for k in range(1, 80)
    ]
    return 1 + 2 * sum(cosines)


@pytest.mark.parametrize("n_axes", [1, 3])
@pytest.mark.parametrize("back_hop_probability", [0.1, 0.4, 0.7])
def test_correlation_factor_is_that_of_the_chain(n_axes, back_hop_probability):
    hopping = Hopping(
        (2, 2, 2), 10, 0.1, 1, n_axes=n_axes, back_hop_probability=back_hop_probability
    )
    assert hopping.correlation_factor == pytest.approx(correlation_factor(hopping))


@pytest.mark.parametrize("title", WALKS)
def test_hops_give_the_known_diffusivity(title):
    """Mean squares of the second half of runs, against 6 D t + a² (1 - f²) / 2."""
    hopping = ALL[title]
    n_ions, half = hopping.n_ions, hopping.n_frames // 2
    elapsed_ps = (hopping.n_frames - 1 - half) * hopping.frame_interval_ps
    squares, collective = [], []
    for seed in range(40):
        paths_A = hopping.paths_A(np.random.default_rng(seed))
        moved_A = paths_A[-1] - paths_A[half]
        squares.append(np.square(moved_A).sum(axis=1).mean())
        collective.append(np.square(moved_A.sum(axis=0)).sum() / n_ions)
        np.testing.assert_allclose(np.mod(paths_A[-1] / HOP_LENGTH_A + 0.5, 1.0), 0.5, atol=1e-9)
        assert (paths_A[:, :, : 3 - hopping.n_axes] == 0).all()
    expected_A2 = 6 * hopping.D_cm2_s / A2_PER_PS_TO_CM2_PER_S * elapsed_ps
    expected_A2 += HOP_LENGTH_A**2 * (1 - hopping.correlation_factor**2) / 2
    error_A2 = np.std(squares, ddof=1) / np.sqrt(len(squares))
    assert abs(np.mean(squares) - expected_A2) < 3.5 * error_A2
    haven_ratio = np.mean(squares) / np.mean(collective)
    assert haven_ratio == pytest.approx(1 / hopping.n_together, rel=0.5)


def test_ions_drift_with_the_crystal():
    trajectory = Hopping((2, 2, 2), 2000, 0.04, n_hops=1e-9, drift_A=12.0).walk(0).trajectory
    moved_A = trajectory.positions_A[-200:].mean(axis=0) - trajectory.positions_A[:200].mean(axis=0)
    mobile = np.array(trajectory.species) == "K"
    assert np.linalg.norm(moved_A[~mobile].mean(axis=0)) > 4
    np.testing.assert_allclose(
        moved_A[mobile].mean(axis=0), moved_A[~mobile].mean(axis=0), atol=0.1
    )


def test_atoms_rattle_about_their_sites():
    trajectory = Hopping((2, 2, 2), 3000, 0.04, n_hops=1e-9).walk(0).trajectory
    rattling_A = trajectory.positions_A.std(axis=0).mean(axis=1)
    species = np.array(trajectory.species)
    for symbol, amplitude_A in AMPLITUDES_A.items():
        assert rattling_A[species == symbol].mean() == pytest.approx(amplitude_A, rel=0.05)
