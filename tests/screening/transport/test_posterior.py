"""Intervals against the exact distributions that they join, and their order."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from screening.transport.posterior import interval

CONFIDENCES = (0.6827, 0.95)


def quantiles(distribution, confidence):
    return distribution.ppf([(1 - confidence) / 2, (1 + confidence) / 2])


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("n_squares", [20, 60, 1000])
def test_a_mean_of_squares_gives_inverse_chi_squared(n_squares, confidence):
    """Prior 1/D: n D_estimate / D follows chi squared with n degrees of freedom."""
    found = interval(1.0, 2 / n_squares, 0.0, math.inf, confidence)
    expected = quantiles(stats.invgamma(n_squares / 2, scale=n_squares / 2), confidence)
    np.testing.assert_allclose(found, expected, rtol=0.02)


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("n_hops", [10, 30, 1000])
def test_counted_hops_give_gamma(n_hops, confidence):
    """Jeffreys's prior: the rate times the run follows gamma of shape n + 1/2."""
    found = interval(1.0, 1 / n_hops, 1.0, math.inf, confidence)
    np.testing.assert_allclose(
        found, quantiles(stats.gamma(n_hops + 0.5), confidence) / n_hops, rtol=0.02
    )


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_both_noises_give_the_distribution_of_the_product(confidence):
    relative_variance, hop_share = 0.1, 0.6
    rng = np.random.default_rng(0)
    shape, n_hops = 1 / (relative_variance * (1 - hop_share)), 1 / (relative_variance * hop_share)
    draws = shape / rng.gamma(shape, size=200_000) * rng.gamma(n_hops + 0.5, size=200_000) / n_hops
    expected = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    found = interval(1.0, relative_variance, hop_share, math.inf, confidence)
    np.testing.assert_allclose(found, expected, rtol=0.02)


@pytest.mark.parametrize("hop_share", [0.0, 0.5, 1.0])
def test_small_errors_are_normal(hop_share):
    low, high = interval(1.0, 1e-6, hop_share, math.inf, 0.95)
    assert 1 - low == pytest.approx(1.96e-3, rel=0.01)
    assert high - 1 == pytest.approx(1.96e-3, rel=0.01)


def test_a_variance_estimated_from_few_groups_is_students():
    """Student's t with 3 degrees of freedom reaches to 3.182 standard errors at 95 %."""
    low, high = interval(1.0, 1e-6, 0.0, 3.0, 0.95)
    assert 1 - low == pytest.approx(3.182e-3, rel=0.01)
    assert high - 1 == pytest.approx(3.182e-3, rel=0.01)


VARIANCES = st.floats(1e-4, 0.12)  # a value stands three standard errors out of its noise
SHARES = st.one_of(st.just(0.0), st.floats(1e-6, 1))
DOFS = st.one_of(st.just(math.inf), st.floats(3, 100))


@given(
    relative_variance=VARIANCES,
    hop_share=SHARES,
    dof=DOFS,
    confidences=st.lists(st.floats(0.05, 0.95), min_size=2, max_size=2),
)
def test_more_confidence_is_a_wider_interval(relative_variance, hop_share, dof, confidences):
    narrow, wide = sorted(confidences)
    inner = interval(1.0, relative_variance, hop_share, dof, narrow)
    outer = interval(1.0, relative_variance, hop_share, dof, wide)
    assert 0 < outer[0] <= inner[0] < inner[1] <= outer[1]


@given(
    relative_variance=VARIANCES, hop_share=SHARES, dof=DOFS, factor=st.floats(1.2, 4), down=SHARES
)
def test_more_noise_is_a_wider_interval(relative_variance, hop_share, dof, factor, down):
    def width(variance, dof):
        low, high = interval(1.0, variance, hop_share, dof, 0.6827)
        return math.log(high / low)

    assert width(relative_variance / factor, dof) < width(relative_variance, dof)
    assert width(relative_variance, dof) <= width(relative_variance, 3 + down * (min(dof, 9) - 3))


@given(
    estimate=st.floats(1e-12, 1e3),
    relative_variance=VARIANCES,
    hop_share=SHARES,
    dof=DOFS,
)
def test_the_interval_holds_the_estimate_in_its_unit(estimate, relative_variance, hop_share, dof):
    low, high = interval(estimate, relative_variance, hop_share, dof, 0.6827)
    assert low < estimate < high
    one_low, one_high = interval(1.0, relative_variance, hop_share, dof, 0.6827)
    assert low == pytest.approx(estimate * one_low, rel=1e-12, abs=0)
    assert high == pytest.approx(estimate * one_high, rel=1e-12, abs=0)
