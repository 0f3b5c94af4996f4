"""Whether diffusivities follow one Arrhenius law at all."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from screening.rounding import rounded_up
from screening.transport.arrhenius_points import ArrheniusPoints
from screening.transport.documents import ArrheniusLawTest
from screening.transport.line_posterior import (
    Array,
    LogBounds,
    LogValues,
    least_squares,
)
from screening.units import BOLTZMANN_EV_PER_K

LEVEL = 0.05
HERMITE_NODES = 40


def check_arrhenius_law(points: ArrheniusPoints) -> ArrheniusLawTest:
    """Up to three tests of the straight line, at 5 % together (Bonferroni).

    χ² of the values about the least squares line; from four temperatures on, the curvature of a
    parabola through them; for each upper bound, the chance that a run sees as few hops as that one
    did where the line through the values, with its error, has D. Errors in these tests are those of
    a normal distribution with the values' 95 % intervals.

    Args:
        points: values at three temperatures at least.
    """
    values = _normal(points.log_values())
    n_values = values.x.size
    line = least_squares(values, np.zeros(1))
    residuals = (values.y - line.at(values.x)[0]) / values.scale
    chi2 = float(residuals @ residuals)
    scatter_p = float(special.chdtrc(n_values - 2, chi2))
    found = [f"χ² {chi2:.1f} with {n_values - 2} degree{'s' * (n_values > 3)} of freedom"]
    p_values = [scatter_p]
    bends = math.nan
    if points.n_temperatures > 3:
        bends = _curvature(values)
        p_values.append(2 * float(special.ndtr(-abs(bends))))
        found.append(f"curvature {bends:+.1f} standard errors")
    broken = ""
    bounds = points.log_bounds()
    if bounds.x.size:
        chances = _chances(bounds, line.at(bounds.x)[0], line.error_at(bounds.x)[0])
        worst = int(np.argmin(chances))
        p_values.append(min(1.0, float(chances[worst]) * bounds.x.size))
        found.append(f"upper bounds agree with a chance of {p_values[-1]:.2g}")
        highest_cm2_s = rounded_up(math.exp(bounds.y[worst]), 2)
        broken = (
            f"D at {points.bounds[worst].temperature_K:g} K is below "
            f"{highest_cm2_s:.1e} cm²/s, where the line through the other temperatures "
            f"has {math.exp(float(line.at(bounds.x)[0, worst])):.1e}"
        )
    p = min(1.0, len(p_values) * min(p_values))
    figures = f"p = {p:.2g}; {', '.join(found)}"
    if p >= LEVEL:
        return ArrheniusLawTest(
            holds=True, p_value=p, message=f"ln D lies on a line over 1/T ({figures})"
        )
    by_bound = bool(broken) and p_values[-1] == min(p_values)
    return ArrheniusLawTest(
        holds=False,
        p_value=p,
        message=f"ln D lies on no line over 1/T ({figures}): "
        f"{broken if by_bound else _hinge(values)}; another phase or another mechanism, so do not "
        "rely on what the law gives at 300 K",
    )


def _normal(values: LogValues) -> LogValues:
    """The same values with normal errors whose 95 % interval is theirs."""
    wider = special.stdtrit(values.dof, 0.975) / special.ndtri(0.975)
    scale = values.scale * wider
    middle = values.y + (values.above - values.below) * wider / 2
    return LogValues(values.x, middle, scale, scale, np.full(scale.size, np.inf))


def _curvature(values: LogValues) -> float:
    """Coefficient of the parabola in standard errors; positive where ln D bends up."""
    x = (values.x - values.x.mean()) / np.ptp(values.x)
    columns = np.stack([np.ones_like(x), x, x**2], axis=1) / values.scale[:, None]
    covariance = np.linalg.inv(columns.T @ columns)
    coefficients = covariance @ columns.T @ (values.y / values.scale)
    return float(coefficients[2] / math.sqrt(covariance[2, 2]))


def _chances(bounds: LogBounds, ln_D: Array, error: Array) -> Array:
    """Of as few hops as were seen, averaged over the normal error of ln D on the line."""
    nodes, weights = special.roots_hermitenorm(HERMITE_NODES)
    draws = ln_D[:, None] + error[:, None] * nodes
    chance = np.exp(bounds.log_chance(draws.T)).T
    return np.asarray(chance @ weights / weights.sum())


def _hinge(values: LogValues) -> str:
    """Ea on both sides of the temperature at which it changes most."""
    best = (math.inf, 0.0, 0.0, 0.0)
    for x in np.unique(values.x)[1:-1]:
        hot = np.maximum(values.x - x, 0.0)
        columns = np.stack([np.ones_like(hot), np.minimum(values.x - x, 0.0), hot], axis=1)
        solution = np.linalg.lstsq(
            columns / values.scale[:, None], values.y / values.scale, rcond=None
        )[0]
        misfit = float(np.square((values.y - columns @ solution) / values.scale).sum())
        best = min(best, (misfit, float(x), float(solution[1]), float(solution[2])))
    _, x, cold_eV, hot_eV = best
    temperature_K = -1.0 / (BOLTZMANN_EV_PER_K * x)
    return f"Ea is {cold_eV:.2f} eV below {temperature_K:.0f} K and {hot_eV:.2f} eV above"
