"""Covariances of mean squared displacements against brute force, closed formulas and walks."""

import itertools

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.spatial.transform import Rotation

from screening.transport.covariance import gaussian_covariance, hop_covariance
from screening.transport.msd import PAIR_WEIGHTS, PAIRS

ONE = np.ones(1)


def brownian_gamma(n, *, step_A2, noise_A2=0.0):
    """Mean squared displacement along one axis of Brownian motion seen with white noise."""
    gamma = step_A2 * np.arange(n, dtype=float)
    gamma[1:] += 2 * noise_A2
    return gamma


def covariance_of_run(gamma, weights, lags, n_frames):
    """Unit of one frame, all origins of the run."""
    lags = np.asarray(lags, dtype=np.int64)
    return gaussian_covariance(gamma, weights, lags, 1, (n_frames - lags).astype(float))


def double_sum(gamma, lags, n_frames):
    """Isserlis' theorem, origin by origin."""
    covariance = np.empty((len(lags), len(lags)))
    for (a, n), (b, m) in itertools.product(enumerate(lags), repeat=2):
        i = np.arange(n_frames - n)[:, None]
        j = np.arange(n_frames - m)
        common = 0.5 * (
            gamma[abs(j + m - i)]
            + gamma[abs(j - i - n)]
            - gamma[abs(j - i)]
            - gamma[abs(j + m - i - n)]
        )
        covariance[a, b] = 2 * np.square(common).mean()
    return covariance


def msd_of_walks(walks_A, lags):
    """MSD of each walk: shape (n_walks, n_lags) from (n_walks, n_frames, n_axes)."""
    return np.column_stack(
        [np.square(walks_A[:, lag:] - walks_A[:, :-lag]).sum(axis=2).mean(axis=1) for lag in lags]
    )


def assert_same_covariance(found, samples, rtol):
    """Element by element, in units of the samples' standard deviations."""
    expected = np.cov(samples.T)
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(found / np.outer(scale, scale), np.corrcoef(samples.T), atol=rtol)


@pytest.mark.parametrize("noise_A2", [0.0, 0.3, 20.0])
def test_covariance_equals_the_double_sum_over_origins(noise_A2):
    lags = (1, 2, 5, 20, 41, 70)
    gamma = brownian_gamma(200, step_A2=0.1, noise_A2=noise_A2)
    found = covariance_of_run(gamma[None], ONE, lags, 90)
    np.testing.assert_allclose(found, double_sum(gamma, lags, 90), rtol=1e-9)


@pytest.mark.parametrize("lag", [1, 3, 30, 50, 80])
def test_variance_of_brownian_motion_is_that_of_qian(lag):
    """Qian, Sheetz, Elson, Biophys. J. 60, 910 (1991), doi:10.1016/S0006-3495(91)82125-7."""
    n, n_origins = lag, 100 - lag
    gamma = brownian_gamma(2 * lag + 1, step_A2=0.7)
    found = covariance_of_run(gamma[None], ONE, [lag], 100)[0, 0]
    if n <= n_origins:
        relative = (4 * n**2 * n_origins + 2 * n_origins + n - n**3) / (3 * n * n_origins**2)
    else:
        relative = 2 + (n_origins**3 - 4 * n * n_origins**2 + 4 * n - n_origins) / (
            3 * n**2 * n_origins
        )
    assert found == pytest.approx(relative * (0.7 * lag) ** 2, rel=1e-9, abs=0)


def test_covariance_is_that_of_many_noisy_walks():
    rng = np.random.default_rng(0)
    lags = np.array([5, 8, 16, 40, 80])
    step_A2, noise_A2 = np.array([1.0, 0.5, 0.1]), 2.0
    steps_A = rng.normal(scale=np.sqrt(step_A2), size=(6000, 200, 3))
    walks_A = np.cumsum(steps_A, axis=1) + rng.normal(scale=np.sqrt(noise_A2), size=steps_A.shape)
    gamma = np.stack([brownian_gamma(161, step_A2=s, noise_A2=noise_A2) for s in step_A2])
    found = covariance_of_run(gamma, np.ones(3), lags, 200)
    assert_same_covariance(found, msd_of_walks(walks_A, lags), 0.07)


def test_origins_in_steps_of_a_unit_lose_little():
    """Noise remembered for as long as the unit, as vibration is."""
    lags, unit = np.array([32, 48, 64, 128]), 4
    gamma = brownian_gamma(600, step_A2=1.0) + 10 * (1 - np.exp(-np.arange(600) / unit))
    coarse = gaussian_covariance(gamma[None, ::unit], ONE, lags // unit, unit, 400.0 - lags)
    np.testing.assert_allclose(coarse, double_sum(gamma, lags, 400), rtol=0.03)


@settings(deadline=None, max_examples=50)  # the first call compiles
@given(
    angles=npst.arrays(float, 3, elements=st.floats(-3, 3)),
    slopes=npst.arrays(float, 3, elements=st.floats(0, 2)),
)
def test_rotated_motion_has_the_same_covariance(angles, slopes):
    """Pairs of different coordinates count twice; a channel along a diagonal is one."""
    lags = np.array([3, 4, 6, 12])
    along = np.stack([brownian_gamma(25, step_A2=s, noise_A2=0.1) for s in slopes])
    rotation = Rotation.from_rotvec(angles).as_matrix()
    tensor = np.einsum("ai,bi,ik->abk", rotation, rotation, along)
    turned = np.stack([tensor[pair] for pair in PAIRS])
    np.testing.assert_allclose(
        covariance_of_run(turned, PAIR_WEIGHTS, lags, 60),
        covariance_of_run(along, np.ones(3), lags, 60),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("hops_per_frame", [0.01, 0.2])
def test_hops_add_their_shot_noise_to_the_gaussian_part(hops_per_frame):
    """Compound Poisson hops: nothing beyond the fourth cumulant enters a covariance."""
    rng = np.random.default_rng(1)
    lags, n_frames = np.array([10, 15, 30, 60, 120]), 300
    counts = rng.poisson(hops_per_frame, size=(12_000, n_frames))
    steps = 2 * rng.binomial(counts, 0.5) - counts
    msd = msd_of_walks(np.cumsum(steps, axis=1)[:, :, None].astype(float), lags)
    slope = hops_per_frame
    gaussian = covariance_of_run(brownian_gamma(241, step_A2=slope)[None], ONE, lags, n_frames)
    shot = hop_covariance(lags, n_frames) * slope**2 / (hops_per_frame * n_frames)
    assert_same_covariance(gaussian + shot, msd, 0.08)
    np.testing.assert_allclose(msd.mean(axis=0), slope * lags, rtol=0.05)


def test_at_short_lags_shot_noise_is_a_scatter_of_slopes():
    lags = np.array([1, 10, 20])
    np.testing.assert_allclose(hop_covariance(lags, 10_000), np.outer(lags, lags), rtol=0.01)
    assert hop_covariance(lags, 10_000)[0, 0] > 1  # hops near the ends are seen less
