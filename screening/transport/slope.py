"""The slope of a mean squared displacement, free of rattling, and its standard error.

Diffusion adds 6 D t to a mean squared displacement; rattling adds a constant once the vibration
has lost its memory. The slope between a lag and twice that lag,

    D(lag) = [MSD(2 lag) - MSD(lag)] / (6 lag),

is therefore free of rattling; it is the covariance-based estimator of Vestergaard et al. A short
lag has the smaller error, a long one is more surely in the diffusive regime: the shortest of
`LAG_FRACTIONS` of the run that outlasts the vibration is taken at which D(lag) agrees within its
error with D(2 lag) and with D of a fifth of the run, and does not fade to half: ions that move to
and fro in a cage have a slope too, but one that dies away.

The error is the spread over cells, each one ion in one stretch of time. Where stretches of time
differ more than independent ions allow (ions that move together), or ions differ more than
independent stretches allow (ions trapped for long), that larger spread is the error.

Reference:
    Vestergaard, Blainey, Flyvbjerg, Phys. Rev. E 89, 022726 (2014),
    doi:10.1103/PhysRevE.89.022726.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LAG_FRACTIONS = (1 / 40, 1 / 20, 1 / 10)
ORIGINS_PER_LAG = 32
LAGS_PER_STRETCH = 3
MIN_GROUPS = 4
MAX_FADING = 0.5


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error and the degrees of freedom that the error rests on."""

    mean: float
    error: float
    dof: int

    def scaled(self, factor: float) -> Estimate:
        """The same estimate in another unit."""
        return Estimate(self.mean * factor, self.error * factor, self.dof)

    def differs_from_zero(self) -> bool:
        """Two-sided t test at the 5 % level."""
        return abs(self.mean) > float(stats.t.ppf(0.975, self.dof)) * self.error


@dataclass(frozen=True)
class Slope:
    """D(lag), Å² per frame, and what is known about it.

    Args:
        D: its estimate.
        lag: where the regime was judged, frames.
        seen: share of the run that D counts hops in; those near its ends weigh less.
        is_diffusive: D no longer changes with the lag.
        is_rising: it grows with the lag.
    """

    D: Estimate
    lag: int
    seen: float
    is_diffusive: bool
    is_rising: bool


def diffusive_slope(positions_A: NDArray[np.float64], *, min_lag: int) -> Slope:
    """D(lag) at the shortest lag that agrees with longer ones.

    Where none does, D is the largest: that of the shortest lag if D(lag) falls (ions that turn
    back), that of the longest if it rises (ions that fly).

    Args:
        positions_A: shape (n_frames, n_atoms, 3), unwrapped and without drift, Å; at least ten
            frames.
        min_lag: frames after which the vibration is forgotten; no more than the longest lag is
            used of it.
    """
    n_frames = len(positions_A)
    choices = [max(1, int(n_frames * fraction)) for fraction in LAG_FRACTIONS]
    longest = choices[-1]
    tried = []
    for lag in sorted({min(max(choice, min_lag), longest) for choice in choices}):
        step = max(1, lag // ORIGINS_PER_LAG)
        here = _slope_per_origin(positions_A, lag, step)
        tried.append(_mean_over_cells(here, lag / step))
        changes = []
        for longer in sorted({2 * lag, 2 * longest}):
            there = _slope_per_origin(positions_A, longer, step)
            changes.append(_mean_over_cells(there - here[: len(there)], longer / step))
        fades = changes[-1].mean < -max(MAX_FADING * tried[-1].mean, changes[-1].error)
        if not fades and not any(change.differs_from_zero() for change in changes):
            seen = 1 - 2 * lag / n_frames
            return Slope(tried[-1], lag, seen, is_diffusive=True, is_rising=False)
    if changes[-1].mean > 0:
        last = _mean_over_cells(there, longer / step)
        seen = 1 - 2 * longer / n_frames
        return Slope(last, longest, seen, is_diffusive=False, is_rising=True)
    seen = 1 - 2 * longest / n_frames
    return Slope(tried[0], longest, seen, is_diffusive=False, is_rising=False)


def _slope_per_origin(positions_A: NDArray[np.float64], lag: int, step: int) -> NDArray[np.float64]:
    """D(lag) of every `step`-th origin and each atom, Å² per frame, shape (n_origins, n_atoms)."""
    start = positions_A[: -2 * lag : step]
    once = np.square(positions_A[lag:-lag:step] - start).sum(axis=2)
    twice = np.square(positions_A[2 * lag :: step] - start).sum(axis=2)
    return np.asarray((twice - once) / (6.0 * lag))


def _mean_over_cells(samples: NDArray[np.float64], lag: float) -> Estimate:
    """Mean over origins and atoms with an error that knows which samples overlap.

    Cells are stretches of at least two and, where the run allows, `LAGS_PER_STRETCH` lags. Samples
    of neighbouring stretches share their increments over one lag; for a random walk of many small
    or few long hops this hides the share lag / (3 stretch) of the variance, which is put back.

    Args:
        samples: shape (n_origins, n_atoms).
        lag: in origins.
    """
    n_origins = len(samples)
    n_stretches = max(2, int(n_origins / (LAGS_PER_STRETCH * lag)))
    cells = np.array([part.mean(axis=0) for part in np.array_split(samples, n_stretches)])
    overlap = 1.0 - lag * n_stretches / (3.0 * n_origins)
    variance, dof = _variance_of_mean(cells.ravel())
    for means in (cells.mean(axis=1), cells.mean(axis=0)):
        if means.size < MIN_GROUPS:
            continue
        other, other_dof = _variance_of_mean(means)
        if other > variance * float(stats.f.ppf(0.95, other_dof, dof)):
            variance, dof = other, other_dof
    return Estimate(float(samples.mean()), float(np.sqrt(variance / overlap)), dof)


def _variance_of_mean(values: NDArray[np.float64]) -> tuple[float, int]:
    return float(values.var(ddof=1)) / values.size, values.size - 1
