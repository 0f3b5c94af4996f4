"""Slopes of walks: exact for lines, unbiased, scattering as they say, from the right lag on."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from synthetic_walks import brownian, hopping, rattling, to_and_fro

from screening.transport import slope as slope_module
from screening.transport.covariance import gaussian_covariance
from screening.transport.slope import (
    LONGEST_LAG,
    MIN_LAGS,
    NEXT_FIRST_LAG,
    Motion,
    diffusive_slope,
    first_lags,
    fit_slope,
)

RATTLING = {"amplitude_A": 0.25, "correlation_frames": 3.0}


def motion_of(paths_A):
    """From positions of shape (n_frames, n_ions, 3)."""
    return Motion.of(np.ascontiguousarray(np.moveaxis(paths_A, 0, -1)))


def small_steps(seed):
    """Brownian motion and rattling, and 6 D per frame."""
    rng = np.random.default_rng(seed)
    paths_A = brownian(rng, 600, 8, D_A2_per_frame=0.02)
    return motion_of(paths_A + rattling(rng, paths_A.shape, **RATTLING)), 0.12


def hops(seed):
    """40 hops of 3.5 Å expected in the run, and rattling."""
    rng = np.random.default_rng(seed)
    rate = 40 / (8 * 600)
    paths_A = hopping(rng, 600, 8, hops_per_frame=rate, hop_length_A=3.5)
    return motion_of(paths_A + rattling(rng, paths_A.shape, **RATTLING)), rate * 3.5**2


def concerted_hops(seed):
    """As `hops`, but four ions always move as one, and many hops."""
    rng = np.random.default_rng(seed)
    rate = 400 / (4 * 800)
    paths_A = hopping(rng, 800, 4, hops_per_frame=rate, hop_length_A=3.5)
    paths_A = np.repeat(paths_A, 4, axis=1)
    return motion_of(paths_A + rattling(rng, paths_A.shape, **RATTLING)), rate * 3.5**2


def trapped(seed):
    """Wide, slow motion about a site."""
    rng = np.random.default_rng(seed)
    return motion_of(rattling(rng, (600, 8, 3), amplitude_A=1.0, correlation_frames=3.0)), 0.0


def replicas(make, n, first_lag):
    """Means, stated variances and misfits of `n` runs, and the true slope."""
    slopes = [fit_slope(make(seed)[0], first_lag) for seed in range(n)]
    mean, variance, misfit_p = np.array([(s.mean, s.variance, s.misfit_p) for s in slopes]).T
    return mean, variance, misfit_p, make(0)[1]


@pytest.mark.parametrize(
    ("make", "first_lag", "within"),
    [
        (small_steps, 15, (0.8, 1.2)),
        (small_steps, 60, (0.8, 1.3)),  # the longest first lag of such a run
        (hops, 15, (0.8, 1.2)),
        (concerted_hops, 15, (0.75, 1.4)),
        (trapped, 25, (0.8, 1.25)),
    ],
)
def test_slopes_are_unbiased_and_scatter_as_they_say(make, first_lag, within):
    mean, variance, _, true = replicas(make, 150, first_lag)
    scatter = mean.std(ddof=1)
    assert abs(mean.mean() - true) < 3.5 * scatter / math.sqrt(150)
    low, high = within  # of a scatter that 150 runs tell to 6 %
    assert low < math.sqrt(np.median(variance)) / scatter < high


def test_variance_at_the_longest_first_lags_rests_on_what_was_measured(monkeypatch):
    """The compiled loop reads beyond its arrays without a word; Python's raises."""
    motion, _ = small_steps(0)
    for first_lag in (31, 45, 60):
        compiled = fit_slope(motion, first_lag)
        with monkeypatch.context() as patch:
            patch.setattr(slope_module, "gaussian_covariance", gaussian_covariance.py_func)
            assert fit_slope(motion, first_lag).variance == pytest.approx(compiled.variance)


@pytest.mark.parametrize("make", [small_steps, hops])
def test_misfits_are_rare_where_there_is_nothing_to_find(make):
    _, _, misfit_p, _ = replicas(make, 150, 15)
    assert np.mean(misfit_p < 0.1) < 0.18  # 0.1 and three standard errors
    assert 0.3 < np.mean(misfit_p < 0.5) < 0.65


def test_vibration_is_a_misfit():
    """From lags on at which the rattling is still remembered the line is not straight."""
    _, _, misfit_p, _ = replicas(small_steps, 20, 2)
    assert np.mean(misfit_p < 0.01) == 1


@settings(deadline=None, max_examples=30)  # the first call compiles
@given(intercept=st.floats(0, 5), per_frame=st.floats(1e-3, 2), first_lag=st.integers(2, 60))
def test_a_straight_line_gives_its_slope(intercept, per_frame, first_lag):
    """And its height at lag zero, whatever the weights, without a misfit."""
    series_A = np.cumsum(np.random.default_rng(0).normal(size=(3, 3, 600)), axis=2)
    line_A2 = intercept + per_frame * np.arange(600.0)
    line_A2[0] = 0
    isotropic = np.stack([line_A2] * 3 + [np.zeros(600)] * 3)
    found = fit_slope(Motion(series_A, isotropic), first_lag)
    assert found.mean == pytest.approx(3 * per_frame, rel=1e-6, abs=0)
    assert found.offset == pytest.approx(3 * intercept, abs=1e-4)
    assert found.misfit_p == pytest.approx(1.0, abs=1e-6)
    along = fit_slope(Motion(series_A, isotropic), first_lag, np.array([0.6, 0.0, 0.8]))
    assert along.mean == pytest.approx(per_frame, rel=1e-6, abs=0)


@settings(deadline=None, max_examples=30)  # the first call compiles
@given(angles=st.tuples(*[st.floats(-3, 3)] * 3))
def test_slopes_do_not_depend_on_the_axes(angles):
    rotation = Rotation.from_rotvec(angles).as_matrix()
    motion, _ = hops(0)
    turned = Motion.of(np.einsum("ab,ibt->iat", rotation, motion.series_A))
    axis = np.array([0.0, 0.6, 0.8])
    for before, after in (
        (fit_slope(motion, 15), fit_slope(turned, 15)),
        (fit_slope(motion, 15, axis), fit_slope(turned, 15, rotation @ axis)),
    ):
        assert after.mean == pytest.approx(before.mean, rel=1e-6, abs=0)
        assert after.variance == pytest.approx(before.variance, rel=1e-4, abs=0)
        assert after.misfit_p == pytest.approx(before.misfit_p, rel=1e-4)


def test_a_channel_is_as_uncertain_as_its_axis():
    """Motion along z is all there is: one axis asked for, or all three."""
    rng = np.random.default_rng(4)
    paths_A = np.zeros((600, 8, 3))
    paths_A[:, :, 2] = brownian(rng, 600, 8, D_A2_per_frame=0.06)[:, :, 2]
    motion = motion_of(paths_A)
    everywhere = fit_slope(motion, 15)
    along = fit_slope(motion, 15, np.array([0.0, 0.0, 1.0]))
    assert everywhere.mean == pytest.approx(along.mean, rel=1e-3, abs=0)
    assert everywhere.variance == pytest.approx(along.variance, rel=0.01, abs=0)
    across = fit_slope(motion, 15, np.array([1.0, 0.0, 0.0]))
    assert abs(across.mean) < 1e-6 * along.mean


def test_more_ions_know_better():
    """Four times the independent ions, half the standard error."""
    rng = np.random.default_rng(0)
    for D_A2_per_frame in (1e-3, 0.1):
        many = motion_of(brownian(rng, 600, 64, D_A2_per_frame=D_A2_per_frame))
        few = Motion.of(many.series_A[:16])
        one, other = (fit_slope(motion, 15) for motion in (few, many))
        relative = [math.sqrt(found.variance) / found.mean for found in (one, other)]
        assert relative[0] / relative[1] == pytest.approx(2, rel=0.25)


def test_hops_add_what_counting_them_tells():
    """Poisson: at least 1 / n_hops of relative variance, and not much more of hops alone."""
    _, variance, _, true = replicas(hops, 40, 15)
    shares = [fit_slope(hops(seed)[0], 15) for seed in range(40)]
    hop_variance = np.mean([found.hop_variance for found in shares]) / true**2
    assert 0.6 / 40 < hop_variance < 1.6 / 40
    assert variance.mean() / true**2 > 1 / 40
    none = [fit_slope(small_steps(seed)[0], 15) for seed in range(40)]
    assert np.mean([found.hop_variance / found.variance for found in none]) < 0.1


def test_ions_that_move_together_are_counted_as_one():
    """Copies of ions tell nothing new, as the F test finds."""
    apart, _ = concerted_hops(0)
    alone = fit_slope(Motion.of(apart.series_A[::4]), 15)
    together = fit_slope(apart, 15)
    assert together.variance > alone.variance / 2


def test_ions_trapped_for_long_scatter_from_ion_to_ion():
    """Half of the ions move, the others never: some for the whole run."""
    rng = np.random.default_rng(0)
    paths_A = brownian(rng, 800, 16, D_A2_per_frame=0.02)
    everyone = fit_slope(motion_of(paths_A), 15)
    paths_A[:, ::2] = rattling(rng, (800, 8, 3), **RATTLING)
    half = fit_slope(motion_of(paths_A), 15)
    assert half.variance / half.mean**2 > 2 * everyone.variance / everyone.mean**2


def test_hops_to_and_fro_put_the_diffusive_regime_off():
    """Half of the ions hop to and fro beside others that go on: curved until 2 τ = 50 frames."""
    rng = np.random.default_rng(0)
    going_on = hopping(rng, 3000, 32, hops_per_frame=0.01, hop_length_A=3.5)
    straight, is_diffusive = diffusive_slope(motion_of(going_on), 10)
    assert is_diffusive
    assert straight.lag <= 2 * 10
    back_and_forth = going_on + to_and_fro(rng, 3000, 32, hops_per_frame=0.02, hop_length_A=3.5)
    late, is_diffusive = diffusive_slope(motion_of(back_and_forth), 10)
    assert is_diffusive
    assert late.lag >= 50
    assert late.mean == pytest.approx(straight.mean, abs=3 * math.sqrt(late.variance))


def test_no_diffusive_regime_while_ions_fly():
    velocity_A = np.random.default_rng(0).normal(scale=0.02, size=(8, 3))
    flight_A = np.arange(600)[:, None, None] * velocity_A
    flight_A = flight_A + rattling(np.random.default_rng(1), flight_A.shape, **RATTLING)
    slope, is_diffusive = diffusive_slope(motion_of(flight_A), 10)
    assert not is_diffusive
    assert slope.lag >= 600 / 20  # the longest lags there are


@given(n_frames=st.integers(10, 100_000), min_lag=st.integers(1, 2000))
def test_first_lags_ascend_and_leave_lags_for_a_line(n_frames, min_lag):
    lags = first_lags(n_frames, min_lag)
    assert lags == sorted(set(lags))
    if lags:
        assert lags[0] == min_lag
        longest_needed = slope_module.LAGS[MIN_LAGS - 1] * lags[-1]
        assert longest_needed <= LONGEST_LAG * n_frames
        assert all(b <= NEXT_FIRST_LAG * a + 2 for a, b in itertools.pairwise(lags))
    else:
        assert slope_module.LAGS[MIN_LAGS - 1] * min_lag > LONGEST_LAG * n_frames - 4


@pytest.mark.parametrize("n_frames", [10, 12, 20, 50])
def test_the_shortest_runs_give_a_slope_and_a_variance(n_frames):
    rng = np.random.default_rng(0)
    slope, _ = diffusive_slope(motion_of(brownian(rng, n_frames, 4, D_A2_per_frame=0.1)), 10)
    assert math.isfinite(slope.mean)
    assert slope.variance > 0
    assert slope.hop_variance >= 0
