"""A power law through few measurements: y = c · (n/50)^p · noise, Bayesian in the logarithms.

With a prior on ln c and p (Gaussian, p not negative: more atoms never cost less) and a grid for the
standard deviation of the noise, the posterior is exact: Gaussian for each point of the grid,
weighted by its evidence. Without any measurement it is the prior, and after many of them the prior
no longer counts.

It is handed on as draws. They are stratified in each dimension and always the same, so that a
posterior gives the same numbers every time, and their order says which belong together: what is
computed with the same draw shares the errors of the same parameters.

Reference:
    Gelman et al., Bayesian Data Analysis, 3rd edition, chapter 14.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

N_DRAWS = 1000
REFERENCE_ATOMS = 50
"""Where, before any measurement, the law's factor and power are known independently."""
_N_GRID = 41
_GRID_REACH = 2.0  # of ln σ to either side
_LN_NOISE_ERROR = 0.4  # of the prior of ln σ
_LEAST_PROBABILITY = 1e-300


@dataclass(frozen=True)
class LawPrior:
    """What is known of a power law before anything is measured.

    Args:
        typical: median at 50 atoms.
        factor: 68 % of the prior lies within this factor of `typical`, either way.
        power: of the number of atoms, its most likely value.
        power_error: standard deviation.
        noise: of the logarithm from one job to the next, its typical standard deviation.
    """

    typical: float
    factor: float
    power: float
    power_error: float
    noise: float


@dataclass(frozen=True)
class Law:
    """Draws from the posterior of a power law, each of shape (N_DRAWS,).

    Args:
        ln_typical: of the median at 50 atoms.
        power: of the number of atoms.
        noise: standard deviation of the logarithm from one job to the next.
        scores: standard normal; where one job stands among those like it.
    """

    ln_typical: NDArray[np.float64]
    power: NDArray[np.float64]
    noise: NDArray[np.float64]
    scores: NDArray[np.float64]

    def ln_median(self, n_atoms: int) -> NDArray[np.float64]:
        """Of the median over jobs of one size."""
        return np.asarray(self.ln_typical + self.power * np.log(n_atoms / REFERENCE_ATOMS))

    def of_one(self, n_atoms: int) -> NDArray[np.float64]:
        """One job: no draw of it falls as the number of atoms grows."""
        return np.asarray(np.exp(self.ln_median(n_atoms) + self.noise * self.scores))

    def of_many(self, n_atoms: int, n_jobs: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Jobs of one size, each with noise of its own, shape (N_DRAWS, n_jobs)."""
        noise = self.noise[:, None] * rng.standard_normal((N_DRAWS, n_jobs))
        return np.asarray(np.exp(self.ln_median(n_atoms)[:, None] + noise))


def fitted(prior: LawPrior, n_atoms: ArrayLike, values: ArrayLike, stream: int) -> Law:
    """What is known after measurements, whatever their order.

    Args:
        prior: before them.
        n_atoms: of each measured job.
        values: of each, positive.
        stream: laws with different numbers have independent draws.
    """
    x = np.log(np.asarray(n_atoms, dtype=float) / REFERENCE_ATOMS)
    y = np.log(np.asarray(values, dtype=float))
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    design = np.stack([np.ones_like(x), x], axis=1)
    mean_0 = np.array([np.log(prior.typical), prior.power])
    precision_0 = np.diag([np.log(prior.factor) ** -2, prior.power_error**-2])
    ln_noise = np.log(prior.noise) + np.linspace(-_GRID_REACH, _GRID_REACH, _N_GRID)
    noise = np.exp(ln_noise)
    precision = precision_0 + design.T @ design / noise[:, None, None] ** 2
    covariance = np.linalg.inv(precision)
    weighted = precision_0 @ mean_0 + (design.T @ y) / noise[:, None] ** 2
    mean = np.einsum("gij,gj->gi", covariance, weighted)
    power_error = np.sqrt(covariance[:, 1, 1])
    misfit = (
        y @ y / noise**2
        + mean_0 @ precision_0 @ mean_0
        - np.einsum("gi,gij,gj->g", mean, precision, mean)
    )
    positive = ndtr(mean[:, 1] / power_error)
    ln_weight = (
        -len(y) * ln_noise
        - np.linalg.slogdet(precision)[1] / 2
        - misfit / 2
        - ((ln_noise - np.log(prior.noise)) / _LN_NOISE_ERROR) ** 2 / 2
        + np.log(np.maximum(positive, _LEAST_PROBABILITY))
    )
    weight = np.exp(ln_weight - ln_weight.max())
    u_noise, u_power, u_typical, u_job = stratified(4, stream)
    grid = np.searchsorted(np.cumsum(weight) / weight.sum(), u_noise).clip(0, _N_GRID - 1)
    mean, covariance, power_error = mean[grid], covariance[grid], power_error[grid]
    power = mean[:, 1] - power_error * ndtri(u_power * positive[grid])  # its upper part alone
    slope = covariance[:, 0, 1] / covariance[:, 1, 1]
    rest = np.sqrt(covariance[:, 0, 0] - slope * covariance[:, 0, 1])
    ln_typical = mean[:, 0] + slope * (power - mean[:, 1]) + rest * ndtri(u_typical)
    return Law(ln_typical, np.maximum(power, 0), noise[grid], ndtri(u_job))


def stratified(n_dimensions: int, stream: int) -> NDArray[np.float64]:
    """Numbers between 0 and 1, each dimension evenly filled, shape (n_dimensions, N_DRAWS)."""
    rng = np.random.default_rng(stream)
    even = (np.arange(N_DRAWS) + 0.5) / N_DRAWS
    return np.stack([rng.permutation(even) for _ in range(n_dimensions)])
