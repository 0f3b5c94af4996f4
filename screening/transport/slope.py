"""The slope of a mean squared displacement by generalised least squares, and its variance.

Diffusion adds 2 d D t to a mean squared displacement (MSD); rattling adds a constant once it has
lost its memory. A straight line is fitted to the MSD at lags from a first one to sixteen times
that, each weighted by the inverse of the full covariance (`screening.transport.covariance`), as in
the Bayesian regression of McCluskey et al. The variance holds besides what theory gives it for
Gaussian motion:

- hops. Their shot noise is what the squared displacements of single ions over short stretches vary
  by beyond what Gaussian motion with this MSD would;
- ions that move together, or are trapped for long. Where means over ions vary more from one stretch
  of time to the next than single ions do (F test at 5 %), or means over time more from ion to ion,
  all variances grow by that ratio.

The diffusive regime begins at the shortest first lag whose line the MSD follows: an exponential
that fades over two first lags, fitted beside the line, is no larger than chance makes it in nine of
ten runs. It finds what squared residuals miss, ions that leave their cages seldom or never.
Tests miss the last of a curvature. Where shorter lags had to be given up, the fit therefore begins
at 3.4 times that lag; and in any case as late as costs no more than 15 % of the variance. That
choice is made from the data and widens the tails of what comes out: intervals are those of
Student's t with thirty degrees of freedom, which makes them cover as often as they say over the
synthetic runs of benchmarks/transport.py.

Reference:
    McCluskey, Coles, Morgan, J. Chem. Theory Comput. 21, 79 (2025), doi:10.1021/acs.jctc.4c01249.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import special

from screening.transport.covariance import gaussian_covariance, hop_covariance
from screening.transport.msd import PAIR_WEIGHTS, PAIRS, displacement_tensor

Array = NDArray[np.float64]

LAGS = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0])  # times the first one
MIN_LAGS = 5
LONGEST_LAG = 0.5  # of the run
UNITS_PER_FIRST_LAG = 32
ORIGINS_PER_LAG = 4
CELL_LAGS = (1, 4)  # times the first one: the longer where rattling hides hops
NEXT_FIRST_LAG = 1.5
MISFIT_LEVEL = 0.1
BEND_LAGS = 2.0  # first lags that the curvature looked for takes to fade
BEYOND_CURVATURE = NEXT_FIRST_LAG**3
FREE_GROWTH = 1.15
SELECTION_DOF = 30.0
GROUPING_LEVEL = 0.05
MIN_GROUPS = 4
LAGS_PER_STRETCH = 3


@dataclass(frozen=True)
class Motion:
    """Coordinates and the mean products of their displacements.

    Args:
        series_A: shape (n_ions, 3, n_frames), without drift.
        tensor_A2: shape (6, n_frames), see `screening.transport.msd.displacement_tensor`.
    """

    series_A: Array
    tensor_A2: Array

    @classmethod
    def of(cls, series_A: Array) -> Motion:
        """With the mean products of these series."""
        return cls(series_A, displacement_tensor(series_A))

    @property
    def n_frames(self) -> int:
        """Length of the run."""
        return int(self.series_A.shape[2])


@dataclass(frozen=True)
class Slope:
    """A straight line's slope, Å² per frame.

    Args:
        mean: d MSD / dt, summed over the axes asked for.
        offset: of the line, Å²: what rattling adds.
        variance: of `mean`, all of it.
        hop_variance: the part that counting hops adds.
        dof: degrees of freedom of Student's t for intervals.
        lag: first lag of the fit, frames.
        misfit_p: probability of a curvature as large as this where there is none.
    """

    mean: float
    offset: float
    variance: float
    hop_variance: float
    dof: float
    lag: int
    misfit_p: float


def longest_first_lag(n_frames: int) -> int:
    """The longest first lag that a run has enough lags for."""
    return int(LONGEST_LAG * n_frames / LAGS[MIN_LAGS - 1])


def first_lags(n_frames: int, min_lag: int) -> list[int]:
    """First lags to try, ascending; none where the run is too short."""
    tried, lag = [], float(min_lag)
    while lag <= longest_first_lag(n_frames):
        tried.append(int(lag))
        lag = max(lag * NEXT_FIRST_LAG, lag + 1)
    return tried


def diffusive_slope(motion: Motion, min_lag: int) -> tuple[Slope, bool]:
    """The slope where the diffusive regime begins, and whether there is one.

    Without one the slope is that of the longest lags.

    Args:
        motion: of all ions.
        min_lag: frames after which vibration is forgotten.
    """
    lags = first_lags(motion.n_frames, min_lag) or [max(1, longest_first_lag(motion.n_frames))]
    tried = 0
    while (slope := fit_slope(motion, lags[tried])).misfit_p <= MISFIT_LEVEL:
        tried += 1
        if tried == len(lags):
            return slope, False
    most = FREE_GROWTH * slope.variance
    least_lag = BEYOND_CURVATURE * lags[tried] if tried else 0.0
    for lag in lags[tried + 1 :]:
        longer = fit_slope(motion, lag)
        grown = longer.variance - longer.hop_variance + slope.hop_variance
        if lag > least_lag and grown > most:
            break
        slope = longer
    return slope, True


def fit_slope(motion: Motion, first_lag: int, axis: Array | None = None) -> Slope:
    """Generalised least squares from one first lag on.

    The covariance needs the slope and the slope needs the covariance: two rounds settle both.

    Args:
        motion: of all ions.
        first_lag: frames.
        axis: unit vector of the only direction that counts; all three if None.
    """
    n_ions, _, n_frames = motion.series_A.shape
    products, weights = _products_along(motion.tensor_A2, axis)
    n_axes = 3 if axis is None else 1
    unit = max(1, first_lag // UNITS_PER_FIRST_LAG)
    units = np.unique(np.round(first_lag / unit * LAGS).astype(np.int64))
    units = units[units * unit <= max(LONGEST_LAG * n_frames, units[MIN_LAGS - 1] * unit)]
    lags = units * unit
    design = np.column_stack([np.ones(lags.size), lags])
    lines = np.linalg.lstsq(design, products[:, lags].T, rcond=None)[0]
    n_origins = (n_frames - lags).astype(np.float64)
    hop_variance, grouping, dof = 0.0, 1.0, SELECTION_DOF
    for round_ in range(3):
        gamma = _straightened(products, n_axes, lines, units, unit)
        covariance = gaussian_covariance(gamma, weights, units, unit, n_origins) / n_ions
        if round_ > 0:
            if round_ == 1:
                hop_variance, grouping, dof = _beyond_gaussian(
                    motion, axis, gamma, weights, int(units[0]), unit
                )
            covariance += hop_variance * hop_covariance(lags, n_frames)
        inverse = np.linalg.inv(covariance)
        parameters = np.linalg.inv(design.T @ inverse @ design)
        lines = parameters @ design.T @ inverse @ products[:, lags].T
    bent = np.column_stack([design, np.exp(-lags / (BEND_LAGS * lags[0]))])
    bend = np.linalg.inv(bent.T @ inverse @ bent)
    height = (bend @ bent.T @ inverse @ products[:n_axes, lags].sum(axis=0))[2]
    return Slope(
        mean=float(lines[1, :n_axes].sum()),
        offset=float(lines[0, :n_axes].sum()),
        variance=float(parameters[1, 1]) * grouping,
        hop_variance=min(hop_variance, float(parameters[1, 1])) * grouping,
        dof=dof,
        lag=int(lags[0]),
        misfit_p=float(2 * special.ndtr(-abs(height) / np.sqrt(bend[2, 2] * grouping))),
    )


def _products_along(tensor_A2: Array, axis: Array | None) -> tuple[Array, Array]:
    """Mean products of the axes asked for, those of an axis with itself first; their weights."""
    if axis is None:
        return tensor_A2, PAIR_WEIGHTS
    return (_share(axis) @ tensor_A2)[None], np.ones(1)


def _share(axis: Array) -> Array:
    """Share of each of `PAIRS` in the products along a unit vector."""
    share: Array = np.array([axis[a] * axis[b] for a, b in PAIRS]) * PAIR_WEIGHTS
    return share


def _straightened(
    products: Array, n_axes: int, lines: Array, units: NDArray[np.int64], unit: int
) -> Array:
    """Mean products at multiples of `unit`: as measured to the first lag, then the line."""
    n_units, first = int(2 * units[-1]) + 1, int(units[0])
    intercepts, slopes = lines
    # an axis along which nothing moves has a slope of noise; a covariance needs a positive one
    least = 1e-3 * max(float(slopes[:n_axes].max()), 0.0) + 1e-12
    slopes = np.concatenate([np.maximum(slopes[:n_axes], least), slopes[n_axes:]])
    gamma: Array = intercepts[:, None] + slopes[:, None] * (np.arange(n_units) * unit)
    gamma[:, : first + 1] = products[:, : first * unit + 1 : unit]
    gamma[:n_axes] = np.maximum(gamma[:n_axes], 0.0)
    return gamma


def _beyond_gaussian(
    motion: Motion, axis: Array | None, gamma: Array, weights: Array, first: int, unit: int
) -> tuple[float, float, float]:
    """Variance of the slope that hops add, growth by grouping, and its degrees of freedom.

    Cells are stretches of time of each ion; their value is the slope between one and two first
    lags. Neighbouring stretches share increments over one lag; for hops this hides the share
    lag / (3 stretch) of their variance, which is put back.
    """
    longest = (gamma.shape[1] - 1) // 4  # increments over twice that lag, side by side
    choices = [
        _Stretches.of(motion.n_frames, first * times, unit)
        for times in CELL_LAGS
        if first * times <= longest
    ]
    gaussians = [choice.gaussian_variance(gamma, weights) for choice in choices]
    gaussian, stretches = min(
        zip(gaussians, choices, strict=True),
        key=lambda pair: pair[0] / pair[1].number ** 1.5,  # the error of a variance
    )
    share = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) if axis is None else _share(axis)
    cells = _cells(motion.series_A, share, stretches.lag_steps, stretches.step, stretches.number)
    variance = float(cells.var(ddof=1))
    hop_variance = max(variance - gaussian, 0.0) / cells.size / stretches.shown
    grouping, dof = 1.0, SELECTION_DOF
    for means in (cells.mean(axis=1), cells.mean(axis=0)):
        if means.size < MIN_GROUPS or variance == 0:
            continue
        ratio = float(means.var(ddof=1)) / means.size / (variance / cells.size)
        expected = special.fdtri(means.size - 1, cells.size - 1, 1 - GROUPING_LEVEL)
        if ratio > max(grouping, float(expected)):
            grouping, dof = ratio, min(means.size - 1.0, SELECTION_DOF)
    return hop_variance, grouping, dof


@dataclass(frozen=True)
class _Stretches:
    """How a run is cut into stretches for one lag.

    Args:
        lag_steps: the lag, in steps.
        step: frames between two origins; `unit` of the mean products times `units_per_step`.
        number: of stretches.
        length: of each, frames.
    """

    lag_steps: int
    step: int
    units_per_step: int
    number: int
    length: float

    @classmethod
    def of(cls, n_frames: int, lag_units: int, unit: int) -> _Stretches:
        """At least two, and `LAGS_PER_STRETCH` lags long where the run allows."""
        units_per_step = max(1, lag_units // ORIGINS_PER_LAG)
        lag_steps, step = lag_units // units_per_step, units_per_step * unit
        n_origins = (n_frames - 2 * lag_steps * step - 1) // step + 1
        number = max(2, int(n_origins / (LAGS_PER_STRETCH * lag_steps)))
        return cls(lag_steps, step, units_per_step, number, n_origins * step / number)

    @property
    def shown(self) -> float:
        """Share of the variance of hops that stretches show which overlap over one lag."""
        return 1.0 - self.lag_steps * self.step / (3.0 * self.length)

    def gaussian_variance(self, gamma: Array, weights: Array) -> float:
        """Variance of a cell if all motion were Gaussian."""
        pair = gaussian_covariance(
            gamma[:, :: self.units_per_step],
            weights,
            np.array([self.lag_steps, 2 * self.lag_steps], dtype=np.int64),
            self.step,
            np.array([self.length, self.length]),
        )
        difference = np.array([-1.0, 1.0]) / (self.lag_steps * self.step)
        return float(difference @ pair @ difference)


@numba.njit(cache=True)
def _cells(series_A, share, lag_steps, step, n_stretches):  # type: ignore[no-untyped-def]
    """[⟨ΔΔ⟩(2 lag) - ⟨ΔΔ⟩(lag)] / lag of each ion, mean over each stretch; `share` of `PAIRS`."""
    n_ions, _, n_frames = series_A.shape
    lag = lag_steps * step
    n_origins = (n_frames - 2 * lag - 1) // step + 1
    cells = np.zeros((n_stretches, n_ions))
    xx, yy, zz, xy, xz, yz = share
    for ion in range(n_ions):
        rx, ry, rz = series_A[ion, 0], series_A[ion, 1], series_A[ion, 2]
        for stretch in range(n_stretches):
            first = stretch * n_origins // n_stretches
            last = (stretch + 1) * n_origins // n_stretches
            total = 0.0
            for k in range(first * step, last * step, step):
                x, y, z = rx[k + lag] - rx[k], ry[k + lag] - ry[k], rz[k + lag] - rz[k]
                total -= xx * x * x + yy * y * y + zz * z * z + xy * x * y + xz * x * z + yz * y * z
                j = k + 2 * lag
                x, y, z = rx[j] - rx[k], ry[j] - ry[k], rz[j] - rz[k]
                total += xx * x * x + yy * y * y + zz * z * z + xy * x * y + xz * x * z + yz * y * z
            cells[stretch, ion] = total / (lag * (last - first))
    return cells
