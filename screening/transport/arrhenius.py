"""The Arrhenius law of a set of diffusivities and the conductivity at 300 K that follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from screening.errors import InvalidInput
from screening.transport.documents import Arrhenius, Diffusivity
from screening.units import (
    A3_TO_CM3,
    BOLTZMANN_EV_PER_K,
    BOLTZMANN_J_PER_K,
    ELEMENTARY_CHARGE_C,
)

ROOM_TEMPERATURE_K = 300.0
MIN_TEMPERATURES = 3
MISFIT_LEVEL = 0.05


def fit_arrhenius(
    diffusivities: Sequence[Diffusivity], *, n_mobile: float, volume_A3: float, charge: int = 1
) -> Arrhenius:
    """Fit ln D = ln D0 - Ea / (kB T) and extrapolate D and σ to 300 K.

    Least squares over 1/T, each ln D weighted by the inverse square of half its 68 % interval.
    Intervals of the result follow from those errors. Where the points scatter about the line
    significantly more than their errors allow (χ² at the 5 % level: another phase, another
    mechanism), all intervals grow by √(χ² / degrees of freedom). Ea is that of ln D, which is that
    of ln(σT); a fit of ln σ would give about kB T less. Neither upper bounds nor diffusivities
    in a framework that moves itself are used.

    σ = n z² e² D / (kB T), Nernst–Einstein with n = n_mobile / volume: all mobile ions of the cell
    carry charge, and they move independently (Haven ratio 1).

    Args:
        diffusivities: any number, in any order.
        n_mobile: mobile ions in the volume.
        volume_A3: of the cell that holds them, Å³.
        charge: z of the mobile ion.

    Returns:
        Intervals only from three temperatures that carry a value, a line without intervals from
        two, nothing from fewer; `reason` then says so.

    Raises:
        InvalidInput: n_mobile, volume or charge not positive, or a value that is not positive or
            has no interval.
    """
    for name, number in (("n_mobile", n_mobile), ("volume_A3", volume_A3), ("charge", charge)):
        if not (math.isfinite(number) and number > 0):
            raise InvalidInput(f"{name}={number:g} must be positive")
    values = [entry for entry in diffusivities if entry.D_cm2_s and not entry.framework_moves]
    n_temperatures = len({entry.temperature_K for entry in values})
    n_tried = len({entry.temperature_K for entry in diffusivities})
    found = f"{n_temperatures} of {n_tried} temperatures carry a diffusivity"
    if melted := [f"{entry.temperature_K:g}" for entry in diffusivities if entry.framework_moves]:
        found += f" (not counting {', '.join(melted)} K, where the framework moves)"
    if n_temperatures < 2:
        return Arrhenius(reason=f"{found}; a line needs 2, its error bars 3")
    abscissae = np.array([_abscissa(entry.temperature_K) for entry in values])
    line = _fit_line(abscissae, *np.array([_ln_with_error(entry) for entry in values]).T)
    at_room = _abscissa(ROOM_TEMPERATURE_K)
    D_cm2_s = math.exp(line.at(at_room))
    carriers_per_cm3 = n_mobile / (volume_A3 * A3_TO_CM3)
    S_s_per_cm3 = _conductivity_per_diffusivity(carriers_per_cm3, charge)
    without_errors = Arrhenius(
        activation_energy_eV=line.slope,
        prefactor_cm2_s=math.exp(line.at(0.0)),
        D_300K_cm2_s=D_cm2_s,
        conductivity_300K_S_cm=D_cm2_s * S_s_per_cm3,
        reason=f"{found}; error bars need 3",
    )
    if n_temperatures < MIN_TEMPERATURES:
        return without_errors
    reach = math.exp(line.error_at(at_room))
    low_cm2_s, high_cm2_s = D_cm2_s / reach, D_cm2_s * reach
    return without_errors.model_copy(
        update={
            "activation_energy_68_eV": (
                line.slope - line.slope_error,
                line.slope + line.slope_error,
            ),
            "D_300K_68_cm2_s": (low_cm2_s, high_cm2_s),
            "conductivity_300K_68_S_cm": (low_cm2_s * S_s_per_cm3, high_cm2_s * S_s_per_cm3),
            "reason": None,
        }
    )


@dataclass(frozen=True)
class _Line:
    """y = mean_y + slope (x - mean_x); the errors of mean_y and slope are independent."""

    mean_x: float
    mean_y: float
    slope: float
    mean_error: float
    slope_error: float

    def at(self, x: float) -> float:
        return self.mean_y + self.slope * (x - self.mean_x)

    def error_at(self, x: float) -> float:
        return math.hypot(self.mean_error, self.slope_error * (x - self.mean_x))


def _fit_line(x: NDArray[np.float64], y: NDArray[np.float64], errors: NDArray[np.float64]) -> _Line:
    """Weighted least squares; errors grow where the misfit is significant."""
    weights = errors**-2.0
    mean_x, mean_y = np.average(x, weights=weights), np.average(y, weights=weights)
    spread = float(weights @ (x - mean_x) ** 2)
    slope = float(weights @ ((x - mean_x) * (y - mean_y))) / spread
    chi2 = float(weights @ (y - mean_y - slope * (x - mean_x)) ** 2)
    dof = x.size - 2
    misfits = dof > 0 and chi2 > stats.chi2.ppf(1 - MISFIT_LEVEL, dof)
    growth = math.sqrt(chi2 / dof) if misfits else 1.0
    return _Line(
        mean_x=float(mean_x),
        mean_y=float(mean_y),
        slope=slope,
        mean_error=growth / math.sqrt(weights.sum()),
        slope_error=growth / math.sqrt(spread),
    )


def _abscissa(temperature_K: float) -> float:
    """The abscissa in which Ea is the slope of ln D, 1/eV."""
    return -1.0 / (BOLTZMANN_EV_PER_K * temperature_K)


def _ln_with_error(entry: Diffusivity) -> tuple[float, float]:
    """Ln D and half its 68 % interval."""
    if entry.D_cm2_s is None or entry.D_68_cm2_s is None:
        raise InvalidInput(f"D at {entry.temperature_K:g} K has no 68 % interval to weigh it by")
    low_cm2_s, high_cm2_s = entry.D_68_cm2_s
    if not 0 < low_cm2_s <= entry.D_cm2_s <= high_cm2_s < math.inf or low_cm2_s == high_cm2_s:
        raise InvalidInput(
            f"D at {entry.temperature_K:g} K is {entry.D_cm2_s:.3g} in {low_cm2_s:.3g} to "
            f"{high_cm2_s:.3g} cm²/s; a positive value inside an interval of some width is needed"
        )
    return math.log(entry.D_cm2_s), math.log(high_cm2_s / low_cm2_s) / 2


def _conductivity_per_diffusivity(carriers_per_cm3: float, charge: int) -> float:
    """Nernst–Einstein at 300 K, σ / D in S s/cm³: n z² e² / (kB T)."""
    kT_J = BOLTZMANN_J_PER_K * ROOM_TEMPERATURE_K
    return carriers_per_cm3 * (charge * ELEMENTARY_CHARGE_C) ** 2 / kT_J
