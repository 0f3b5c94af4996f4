"""The posterior of a straight line through ln D, from values with Student errors and upper bounds.

ln D = mean + slope (x - pivot) + deviation. Deviations from the line are normal with the standard
deviation s: nought with the probability `LINE_HOLDS`, otherwise anything between the ends of
`SCATTER_RANGE` with equal probability per factor. Mean and slope have flat priors. Values that lie
on a line within their errors thus get the intervals of weighted least squares, values that scatter
further get wider ones, without a step in between.

A value's error is Student's t, which may be wider on one side. An upper bound at 95 % confidence is
censored data: D may be anything up to it, and its likelihood beyond falls like the probability that
a run sees no more hops than that one did, the Poisson sum P(N ≤ n | λ) with λ in proportion to D;
for a run without hops like exp(-3.0 D / bound). That sum alone, without the flat part, would push
D down even where the truth lies below the bound.

The integral over mean, slope, s and the deviations at bounds is done by importance sampling on a
Sobol sequence, with the least squares of each s as the proposal: no seed, no Markov chain, and the
same digits every time. Draws come in pairs about the least squares line, so that symmetric data
have their median on it.

References:
    Kruschke, Bayesian estimation supersedes the t test, doi:10.1037/a0029146, for Student errors;
    Helsel, Statistics for Censored Environmental Data, doi:10.1002/9781118162729, for bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

LINE_HOLDS = 0.8
SCATTER_RANGE = (0.05, 2.0)  # of ln D: from what nobody would notice to a factor of seven
BOUND_CONFIDENCE = 0.95
LOG2_DRAWS = 12
PROPOSAL_DOF = 4.0
PROPOSAL_WIDTH = 1.2
MOSTLY_BROKEN = 0.05
EASED_BOUND = 0.7  # ln D: how closely proposals keep to a bound that the values contradict

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LogValues:
    """ln D of runs that carry a value.

    Args:
        x: abscissa, shape (n,).
        y: ln D.
        below: scale of Student's t below y.
        above: the same above y.
        dof: degrees of freedom, infinite for normal errors.
    """

    x: Array
    y: Array
    below: Array
    above: Array
    dof: Array

    @property
    def scale(self) -> Array:
        """Mean of both sides."""
        return (self.below + self.above) / 2


@dataclass(frozen=True)
class LogBounds:
    """ln D of upper bounds at 95 % confidence.

    Args:
        x: abscissa, shape (n,).
        y: ln of the bound.
        n_hops: seen by the runs.
    """

    x: Array
    y: Array
    n_hops: Array

    def log_chance(self, ln_D: Array) -> Array:
        """Ln P(N ≤ n | D), 5 % at the bound; the last axis of `ln_D` is the bounds."""
        counts = self.n_hops + 1.0
        at_bound = special.gammainccinv(counts, 1 - BOUND_CONFIDENCE)
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(np.log(special.gammaincc(counts, at_bound * np.exp(ln_D - self.y))))

    def log_likelihood(self, ln_D: Array) -> Array:
        """Flat up to the bound, then falling with `log_chance`."""
        return np.minimum(0.0, self.log_chance(ln_D) - math.log(1 - BOUND_CONFIDENCE))


@dataclass(frozen=True)
class LinePosterior:
    """Weighted draws of the line; the arrays have shape (n_draws,).

    Args:
        pivot: abscissa of `mean`.
        mean: ln D on the line at the pivot.
        slope: of the line.
        scatter: standard deviation of the deviations.
        weights: sum to one.
    """

    pivot: float
    mean: Array
    slope: Array
    scatter: Array
    weights: Array

    def at(self, x: float) -> Array:
        """Draws of ln D on the line."""
        return self.mean + self.slope * (x - self.pivot)

    def quantiles(self, draws: Array, probabilities: tuple[float, ...]) -> tuple[float, ...]:
        """Quantiles of any quantity that was worked out for every draw."""
        order = np.argsort(draws)
        weights = self.weights[order]
        below = np.cumsum(weights) - weights / 2
        return tuple(float(q) for q in np.interp(probabilities, below, draws[order]))

    def average(self, draws: Array) -> float:
        """Posterior mean."""
        return float(self.weights @ draws)

    def correlation(self, one: Array, other: Array) -> float:
        """Of two quantities."""
        one, other = one - self.average(one), other - self.average(other)
        return self.average(one * other) / math.sqrt(self.average(one**2) * self.average(other**2))


def line_posterior(values: LogValues, bounds: LogBounds) -> LinePosterior:
    """Posterior of the line.

    Args:
        values: at two abscissae at least.
        bounds: any number.
    """
    uniform, symmetric = _standard_draws(bounds.x.size)
    scatter, log_prior = _scatter_draws(uniform)
    line = least_squares(values, np.zeros(1))
    broken = bounds.log_likelihood(line.at(bounds.x)) < math.log(MOSTLY_BROKEN)
    guide = _with_guides(values, bounds, broken.ravel())
    proposal = least_squares(guide, scatter)
    t_mean, t_slope = symmetric[:, 0], symmetric[:, 1]
    pivot = float(np.average(values.x, weights=values.scale**-2.0))
    slope = proposal.slope + PROPOSAL_WIDTH * proposal.slope_error * t_slope
    own_mean = proposal.mean + PROPOSAL_WIDTH * proposal.mean_error * t_mean
    mean = own_mean + slope * (pivot - proposal.pivot)
    log_weights = (
        log_prior
        + _log_likelihood(values, mean, slope, scatter, pivot)
        + np.log(proposal.mean_error * proposal.slope_error)
        - _log_t(t_mean, PROPOSAL_DOF)
        - _log_t(t_slope, PROPOSAL_DOF)
    )
    if bounds.x.size:
        deviations = scatter[:, None] * special.ndtri(uniform[:, 1:])
        on_line = mean[:, None] + slope[:, None] * (bounds.x - pivot)
        log_weights += bounds.log_likelihood(on_line + deviations).sum(axis=1)
    weights = np.exp(log_weights - log_weights.max())
    return LinePosterior(pivot, mean, slope, scatter, weights / weights.sum())


@dataclass(frozen=True)
class Line:
    """Weighted least squares, for each scatter; mean and slope have independent errors."""

    pivot: Array
    mean: Array
    slope: Array
    mean_error: Array
    slope_error: Array

    def at(self, x: Array) -> Array:
        """Ln D on the line, shape (n_scatter, n_x)."""
        return np.asarray(self.mean[:, None] + self.slope[:, None] * (x - self.pivot[:, None]))

    def error_at(self, x: Array) -> Array:
        """Standard error of the line, shape (n_scatter, n_x)."""
        return np.hypot(
            self.mean_error[:, None], self.slope_error[:, None] * (x - self.pivot[:, None])
        )


def least_squares(values: LogValues, scatter: Array) -> Line:
    """Lines with weights 1 / (scale² + scatter²).

    Args:
        values: at two abscissae at least.
        scatter: shape (n,).
    """
    weights = 1.0 / (values.scale**2 + scatter[:, None] ** 2)
    total = weights.sum(axis=1)
    pivot = weights @ values.x / total
    away = values.x - pivot[:, None]
    spread = (weights * away**2).sum(axis=1)
    return Line(
        pivot=pivot,
        mean=weights @ values.y / total,
        slope=(weights * away * values.y).sum(axis=1) / spread,
        mean_error=total**-0.5,
        slope_error=spread**-0.5,
    )


def _with_guides(values: LogValues, bounds: LogBounds, broken: NDArray[np.bool_]) -> LogValues:
    """Values and, as if they were values, the bounds that a line through the values breaks."""
    added = np.full(int(broken.sum()), EASED_BOUND)
    return LogValues(
        x=np.concatenate([values.x, bounds.x[broken]]),
        y=np.concatenate([values.y, bounds.y[broken]]),
        below=np.concatenate([values.below, added]),
        above=np.concatenate([values.above, added]),
        dof=np.concatenate([values.dof, np.full(added.size, np.inf)]),
    )


def _log_likelihood(
    values: LogValues, mean: Array, slope: Array, scatter: Array, pivot: float
) -> Array:
    total = np.zeros(mean.size)
    for x, y, below, above, dof in zip(
        values.x, values.y, values.below, values.above, values.dof, strict=True
    ):
        residual = mean + slope * (x - pivot) - y
        low, high = np.hypot(below, scatter), np.hypot(above, scatter)
        scale = np.where(residual < 0, low, high)
        total += _log_t(residual / scale, float(dof)) - np.log(low + high)
    return total


def _log_t(z: Array, dof: float) -> Array:
    """Student's density but for its constant; the normal one for infinite degrees of freedom."""
    if math.isinf(dof):
        return np.asarray(-(z**2) / 2)
    return np.asarray(-(dof + 1) / 2 * np.log1p(z**2 / dof))


def _scatter_draws(uniform: Array) -> tuple[Array, Array]:
    """Draws of s and ln(prior / proposal): half of them without scatter, half with.

    The first column of `uniform` says which.
    """
    low, high = SCATTER_RANGE
    holds = uniform[:, 0] < 0.5
    scatter = np.where(holds, 0.0, low * (high / low) ** (2 * uniform[:, 0] - 1))
    return scatter, np.log(np.where(holds, LINE_HOLDS, 1 - LINE_HOLDS) / 0.5)


@lru_cache(maxsize=8)
def _standard_draws(n_bounds: int) -> tuple[Array, Array]:
    """Uniform draws for s and the deviations, and pairs (t, -t) for mean and slope."""
    from scipy.stats import qmc  # far larger than all else that is needed here

    sequence = qmc.Sobol(3 + n_bounds, scramble=False)
    half = sequence.random_base2(LOG2_DRAWS)
    # off the origin; a quarter of a step, so that a draw and the mirror of another never coincide
    half = half + 0.25 / len(half)
    draws = special.stdtrit(PROPOSAL_DOF, half[:, :2])
    uniform = np.concatenate([half[:, 2:], half[:, 2:]])
    return uniform, np.concatenate([draws, -draws])
