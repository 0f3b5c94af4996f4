"""The posterior against plain integration, and what must hold of it whatever was measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, truncnorm

from workflows.cost.regression import N_DRAWS, REFERENCE_ATOMS, LawPrior, fitted

PRIOR = LawPrior(typical=0.02, factor=2.0, power=1.0, power_error=0.4, noise=0.3)
LN_NOISE_ERROR = 0.4
measurements = st.lists(
    st.tuples(st.integers(1, 500), st.floats(1e-4, 1e2)), min_size=0, max_size=12
)


def law(pairs, prior=PRIOR):
    n_atoms, values = zip(*pairs, strict=True) if pairs else ((), ())
    return fitted(prior, n_atoms, values, stream=1)


def drawn_from(prior, rng):
    """A truth that the prior expects: ln c, p, σ."""
    low = -prior.power / prior.power_error
    return (
        rng.normal(np.log(prior.typical), np.log(prior.factor)),
        truncnorm.rvs(low, np.inf, prior.power, prior.power_error, random_state=rng),
        np.exp(rng.normal(np.log(prior.noise), LN_NOISE_ERROR)),
    )


def test_without_measurements_it_is_the_prior():
    prior = law([])
    low, median, high = np.quantile(np.exp(prior.ln_typical), (0.1587, 0.5, 0.8413))
    assert median == pytest.approx(0.02, rel=0.02)
    assert (low, high) == (pytest.approx(0.01, rel=0.05), pytest.approx(0.04, rel=0.05))
    assert np.mean(prior.power) == pytest.approx(1.0, abs=0.03)
    assert np.std(prior.power) == pytest.approx(0.4, rel=0.05)
    assert np.median(prior.noise) == pytest.approx(0.3, rel=0.1)
    assert abs(np.corrcoef(prior.ln_typical, prior.power)[0, 1]) < 0.1


def integrated(pairs, prior, n_atoms):
    """Mean and standard deviation of ln c, p and ln of the median at a size: sums over a grid."""
    x = np.log([n / REFERENCE_ATOMS for n, _ in pairs])
    y = np.log([value for _, value in pairs])
    ln_c = np.log(prior.typical) + np.linspace(-4, 4, 161)[:, None, None]
    p = np.linspace(0, 3, 151)[None, :, None]
    s = np.exp(np.log(prior.noise) + np.linspace(-2, 2, 61))[None, None, :]
    weight = norm.logpdf(ln_c, np.log(prior.typical), np.log(prior.factor))
    weight = weight + norm.logpdf(p, prior.power, prior.power_error)
    weight = weight + norm.logpdf(np.log(s), np.log(prior.noise), LN_NOISE_ERROR)
    for x_i, y_i in zip(x, y, strict=True):
        weight = weight + norm.logpdf(y_i, ln_c + p * x_i, s)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    found = []
    for value in (ln_c, p, ln_c + p * np.log(n_atoms / REFERENCE_ATOMS), np.log(s)):
        mean = np.sum(weight * value)
        found += [mean, np.sqrt(np.sum(weight * (value - mean) ** 2))]
    return found


@pytest.mark.parametrize(
    "pairs",
    [
        [(30, 0.05)],
        [(30, 0.05), (60, 0.04), (120, 0.03)],  # falls: only the part with p >= 0 counts
        [(8, 0.004), (16, 0.009), (32, 0.015), (64, 0.02), (128, 0.06), (200, 0.08)],
    ],
)
def test_posterior_is_that_of_bayes_rule(pairs):
    found = law(pairs)
    ours = []
    for draws in (found.ln_typical, found.power, found.ln_median(150), np.log(found.noise)):
        ours += [np.mean(draws), np.std(draws)]
    theirs = integrated(pairs, PRIOR, 150)
    np.testing.assert_allclose(ours[::2], theirs[::2], atol=0.04)
    np.testing.assert_allclose(ours[1::2], theirs[1::2], rtol=0.1)


@given(pairs=measurements, data=st.data())
def test_the_order_of_measurements_does_not_matter(pairs, data):
    shuffled = data.draw(st.permutations(pairs))
    ours, theirs = law(pairs), law(shuffled)
    np.testing.assert_array_equal(ours.ln_typical, theirs.ln_typical)
    np.testing.assert_array_equal(ours.power, theirs.power)
    np.testing.assert_array_equal(ours.noise, theirs.noise)


@given(pairs=measurements, sizes=st.tuples(st.integers(1, 1000), st.integers(1, 1000)))
def test_more_atoms_never_cost_less(pairs, sizes):
    few, many = sorted(sizes)
    found = law(pairs)
    assert np.all(found.of_one(few) <= found.of_one(many))
    assert np.all(np.isfinite(found.of_one(many)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), power=st.floats(0.5, 3), noise=st.floats(0.1, 0.5))
def test_many_measurements_find_the_law(seed, power, noise):
    rng = np.random.default_rng(seed)
    n_atoms = rng.integers(8, 200, 400)
    values = 0.05 * (n_atoms / REFERENCE_ATOMS) ** power
    values *= np.exp(noise * rng.standard_normal(400))
    found = fitted(PRIOR, n_atoms, values, stream=1)
    assert np.median(found.power) == pytest.approx(power, abs=0.15)
    assert np.median(found.ln_typical) == pytest.approx(np.log(0.05), abs=0.15)
    assert np.median(found.noise) == pytest.approx(noise, rel=0.2)


@pytest.mark.parametrize("n_measured", [0, 3, 20])
def test_intervals_of_one_job_hold_the_truth_as_often_as_they_say(n_measured):
    """Truths drawn from the prior, 500 campaigns: 68 % within 2.5 standard errors."""
    rng = np.random.default_rng(n_measured)
    n_inside, n_campaigns = 0, 500
    for _ in range(n_campaigns):
        ln_c, p, s = drawn_from(PRIOR, rng)
        n_atoms = rng.integers(8, 200, n_measured + 1)
        values = np.exp(
            ln_c + p * np.log(n_atoms / REFERENCE_ATOMS) + s * rng.standard_normal(n_measured + 1)
        )
        found = fitted(PRIOR, n_atoms[1:], values[1:], stream=1)
        low, high = np.quantile(found.of_one(int(n_atoms[0])), (0.1587, 0.8413))
        n_inside += low <= values[0] <= high
    assert n_inside / n_campaigns == pytest.approx(0.683, abs=2.5 * np.sqrt(0.22 / n_campaigns))


def test_jobs_side_by_side_have_noise_of_their_own():
    found = law([])
    many = found.of_many(50, 200, np.random.default_rng(0))
    assert many.shape == (N_DRAWS, 200)
    noise = np.std(np.log(many), axis=1)
    np.testing.assert_allclose(np.median(noise / found.noise), 1, rtol=0.05)
