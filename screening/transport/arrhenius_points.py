"""What runs say of ln D over 1/T: values with their errors, upper bounds, and what is left out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import special

from screening.errors import InvalidInput
from screening.transport.documents import Diffusivity
from screening.transport.line_posterior import Array, LogBounds, LogValues
from screening.transport.posterior import ONE_SIGMA
from screening.units import BOLTZMANN_EV_PER_K

_DOF = np.concatenate([np.geomspace(1.0, 300.0, 400), [np.inf]])
_RATIO = special.stdtrit(_DOF, 0.975) / special.stdtrit(_DOF, (1 + ONE_SIGMA) / 2)


@dataclass(frozen=True)
class ArrheniusPoints:
    """Diffusivities sorted by what they are good for, by rising temperature.

    Args:
        values: carry a value.
        bounds: carry an upper bound only.
        left_out: the framework moves, so that D is not that of the crystal.
    """

    values: tuple[Diffusivity, ...]
    bounds: tuple[Diffusivity, ...]
    left_out: tuple[Diffusivity, ...]

    @property
    def n_temperatures(self) -> int:
        """Temperatures that carry a value; those that agree to a kelvin count as one."""
        return len({round(entry.temperature_K) for entry in self.values})

    def log_values(self) -> LogValues:
        """Ln D over -1/(kB T), with scale and degrees of freedom read off the intervals.

        The ratio of the 95 to the 68 % interval of ln D is 1.96 for a normal error and more for
        Student's t. A value without 95 % interval is taken to be normal.
        """
        y = np.log([entry.D_cm2_s or math.nan for entry in self.values])
        low_68, high_68 = np.log([_interval_68(entry) for entry in self.values]).T
        low_95, high_95 = np.log([_interval_95(entry) for entry in self.values]).T
        dof = np.interp(-(high_95 - low_95) / (high_68 - low_68), -_RATIO, _DOF)
        sigma = special.stdtrit(dof, (1 + ONE_SIGMA) / 2)
        tiny = 1e-3 * (high_68 - low_68)  # an interval may end at its value, a scale must not
        return LogValues(
            x=_abscissae(self.values),
            y=y,
            below=np.maximum(y - low_68, tiny) / sigma,
            above=np.maximum(high_68 - y, tiny) / sigma,
            dof=dof,
        )

    def log_bounds(self) -> LogBounds:
        """Ln of the bounds over -1/(kB T)."""
        return LogBounds(
            x=_abscissae(self.bounds),
            y=np.log([entry.upper_bound_cm2_s or math.nan for entry in self.bounds]),
            n_hops=np.array([entry.n_hops for entry in self.bounds], dtype=np.float64),
        )

    def highest_at_lowest_temperature_cm2_s(self, temperature_K: float) -> tuple[float, float]:
        """Upper end of D at the lowest temperature from `temperature_K` on: that and the end.

        At 95 % confidence or more. (inf, inf) where no run was as hot.
        """
        hotter = [e for e in (*self.values, *self.bounds) if e.temperature_K >= temperature_K]
        if not hotter:
            return math.inf, math.inf
        coldest = min(hotter, key=lambda entry: entry.temperature_K)
        high_cm2_s = coldest.upper_bound_cm2_s or _interval_95(coldest)[1]
        return coldest.temperature_K, high_cm2_s


def arrhenius_points(diffusivities: Iterable[Diffusivity]) -> ArrheniusPoints:
    """Sort diffusivities.

    Raises:
        InvalidInput: a temperature, value or bound that is not positive, or a value without an
            interval.
    """
    entries = sorted(diffusivities, key=lambda entry: entry.temperature_K)
    for entry in entries:
        _check(entry)
    usable = [entry for entry in entries if not entry.framework_moves]
    return ArrheniusPoints(
        values=tuple(entry for entry in usable if entry.D_cm2_s is not None),
        bounds=tuple(entry for entry in usable if entry.D_cm2_s is None),
        left_out=tuple(entry for entry in entries if entry.framework_moves),
    )


def abscissa(temperature_K: float) -> float:
    """The abscissa in which Ea is the slope of ln D, 1/eV."""
    return -1.0 / (BOLTZMANN_EV_PER_K * temperature_K)


def _abscissae(entries: Iterable[Diffusivity]) -> Array:
    return np.array([abscissa(entry.temperature_K) for entry in entries], dtype=np.float64)


def _interval_68(entry: Diffusivity) -> tuple[float, float]:
    if entry.D_68_cm2_s is None:
        raise InvalidInput(f"D at {entry.temperature_K:g} K has no 68 % interval to weigh it by")
    return entry.D_68_cm2_s


def _interval_95(entry: Diffusivity) -> tuple[float, float]:
    """As stored, or as wide as a normal error of ln D has it."""
    low_cm2_s, high_cm2_s = _interval_68(entry)
    if entry.D_95_cm2_s is not None:
        return entry.D_95_cm2_s
    reach = (high_cm2_s / low_cm2_s) ** (float(_RATIO[-1] - 1) / 2)
    return low_cm2_s / reach, high_cm2_s * reach


def _check(entry: Diffusivity) -> None:
    at = f"at {entry.temperature_K:g} K"
    if not 0 < entry.temperature_K < math.inf:
        raise InvalidInput(f"a diffusivity {at}; a positive temperature is needed")
    if entry.D_cm2_s is None:
        if not 0 < (entry.upper_bound_cm2_s or 0.0) < math.inf:
            raise InvalidInput(
                f"the upper bound of D {at} is {entry.upper_bound_cm2_s}; a positive one is needed"
            )
        return
    low_cm2_s, high_cm2_s = _interval_68(entry)
    if not 0 < low_cm2_s <= entry.D_cm2_s <= high_cm2_s < math.inf or low_cm2_s == high_cm2_s:
        raise InvalidInput(
            f"D {at} is {entry.D_cm2_s:.3g} in {low_cm2_s:.3g} to {high_cm2_s:.3g} cm²/s; a "
            "positive value inside an interval of some width is needed"
        )
