"""The Arrhenius law of a set of diffusivities and the conductivity at 300 K that follows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput, UnusableRun
from screening.transport.arrhenius_law import check_arrhenius_law
from screening.transport.arrhenius_points import ArrheniusPoints, abscissa, arrhenius_points
from screening.transport.documents import Arrhenius, Diffusivity
from screening.transport.line_posterior import LinePosterior, line_posterior
from screening.transport.nernst_einstein import conductivity_per_diffusivity
from screening.transport.posterior import ONE_SIGMA
from screening.units import A3_TO_CM3, BOLTZMANN_EV_PER_K

ROOM_TEMPERATURE_K = 300.0
MIN_TEMPERATURES = 3
TAILS = ((1 - ONE_SIGMA) / 2, (1 + ONE_SIGMA) / 2, 0.025, 0.975)  # of 68 and of 95 %
NERNST_EINSTEIN = "σ = n z² e² D / (kB T), Nernst–Einstein with Haven ratio 1"
MAX_LN = 230.0  # a hundred decades: what lies beyond is no diffusivity


def fit_arrhenius(
    diffusivities: Sequence[Diffusivity], *, n_mobile: float, volume_A3: float, charge: int = 1
) -> Arrhenius:
    """Posterior of ln D = ln D0 - Ea / (kB T), with D and σ at 300 K.

    Values enter with Student errors as their 68 and 95 % intervals have them, upper bounds as
    censored data, and the points may scatter about the line further than their errors say; see
    `screening.transport.line_posterior`. Intervals at 300 K thus hold the extrapolation and the
    correlation of Ea with D0. `law` tests whether there is one line. Diffusivities in a framework
    that moves itself are left out.

    Ea of ln D is that of ln(σT). Fitting ln σ instead over the same temperatures with the same
    weights gives the Ea of ln σ, about kB T less. Extrapolation to 300 K is along ln D.

    σ = n z² e² D / (kB T), Nernst–Einstein with n = n_mobile / volume: all mobile ions of the cell
    carry charge, and they move independently (Haven ratio 1).

    Args:
        diffusivities: any number, in any order.
        n_mobile: mobile ions in the volume.
        volume_A3: of the cell that holds them, Å³.
        charge: z of the mobile ion.

    Returns:
        Intervals only from three temperatures that carry a value, a line without intervals from
        two, nothing from fewer; `reason` then says so, and D(300 K) is bounded by D at the lowest
        temperature, which is at least as large unless there is a phase change in between.

    Raises:
        InvalidInput: n_mobile, volume or charge not positive, or a value that is not positive or
            has no interval.
    """
    for name, number in (("n_mobile", n_mobile), ("volume_A3", volume_A3), ("charge", charge)):
        if not (math.isfinite(number) and number > 0):
            raise InvalidInput(f"{name}={number:g} must be positive")
    points = arrhenius_points(diffusivities)
    carriers_per_cm3 = n_mobile / (volume_A3 * A3_TO_CM3)
    S_s_per_cm3 = conductivity_per_diffusivity(carriers_per_cm3, charge, ROOM_TEMPERATURE_K)
    known: dict[str, Any] = {
        "carriers_per_cm3": carriers_per_cm3,
        "charge": charge,
        "conductivity_formula": NERNST_EINSTEIN,
        "notes": _bounds_note(points),
    }
    n_tried = len({round(entry.temperature_K) for entry in diffusivities})
    found = f"{points.n_temperatures} of {n_tried} temperatures carry a diffusivity"
    if points.left_out:
        found += f" (not counting {_list(points.left_out)}, where the framework moves)"
    if points.n_temperatures < 2:
        return _bounded(
            points, S_s_per_cm3, known, reason=f"{found}; a line needs 2, its error bars 3"
        )
    posterior = line_posterior(points.log_values(), points.log_bounds())
    with_errors = points.n_temperatures >= MIN_TEMPERATURES
    law = _law(posterior, _ln_T_slope_eV(points), S_s_per_cm3, with_errors=with_errors)
    if law is None:
        return _bounded(points, S_s_per_cm3, known, reason=f"{found}, too close together for a law")
    known |= law
    if not with_errors:
        return _bounded(points, S_s_per_cm3, known, reason=f"{found}; error bars need 3")
    if points.left_out:
        left_out = f"left out: {_list(points.left_out)}, where the framework moves"
        known["notes"] = (left_out, *known["notes"])
    return Arrhenius(**known, law=check_arrhenius_law(points))


def arrhenius_band(
    diffusivities: Iterable[Diffusivity], temperatures_K: Sequence[float]
) -> NDArray[np.float64]:
    """D of the law at any temperature, from the same posterior as `fit_arrhenius`.

    Returns:
        shape (3, n): lower end of the 68 % interval, median and upper end, cm²/s.

    Raises:
        UnusableRun: values at fewer than three temperatures.
        InvalidInput: as `fit_arrhenius`.
    """
    points = arrhenius_points(diffusivities)
    if points.n_temperatures < MIN_TEMPERATURES:
        raise UnusableRun(
            f"{points.n_temperatures} temperatures carry a diffusivity; a band needs "
            f"{MIN_TEMPERATURES}"
        )
    posterior = line_posterior(points.log_values(), points.log_bounds())
    tails = (TAILS[0], 0.5, TAILS[1])
    return np.exp([posterior.quantiles(posterior.at(abscissa(t)), tails) for t in temperatures_K]).T


def arrhenius_line(
    arrhenius: Arrhenius, temperatures_K: NDArray[np.float64]
) -> NDArray[np.float64]:
    """D of a law that has a line, cm²/s.

    Raises:
        UnusableRun: it has none.
    """
    if arrhenius.prefactor_cm2_s is None or arrhenius.activation_energy_eV is None:
        raise UnusableRun(f"no Arrhenius law: {arrhenius.reason}")
    kT_eV = BOLTZMANN_EV_PER_K * temperatures_K
    return np.asarray(arrhenius.prefactor_cm2_s * np.exp(-arrhenius.activation_energy_eV / kT_eV))


def _law(
    posterior: LinePosterior, ln_T_slope_eV: float, S_s_per_cm3: float, *, with_errors: bool
) -> dict[str, Any] | None:
    """The fields of the law; None where D0 or D(300 K) would be a hundred decades off."""
    ln_D0 = posterior.at(0.0)
    room = abscissa(ROOM_TEMPERATURE_K)
    (mean,) = posterior.quantiles(posterior.mean, (0.5,))
    Ea_eV, *Ea_ends_eV = posterior.quantiles(posterior.slope, (0.5, *TAILS))
    prefactor = mean - Ea_eV * posterior.pivot, *posterior.quantiles(ln_D0, TAILS)
    at_room = (
        mean + Ea_eV * (room - posterior.pivot),
        *posterior.quantiles(posterior.at(room), TAILS),
    )
    reported = (*prefactor, *at_room) if with_errors else (prefactor[0], at_room[0])
    if max(map(abs, reported)) > MAX_LN:
        return None
    D0_cm2_s, D_cm2_s = np.exp(prefactor).tolist(), np.exp(at_room).tolist()
    law: dict[str, Any] = {
        "activation_energy_eV": Ea_eV,
        "activation_energy_ln_sigma_eV": Ea_eV - ln_T_slope_eV,
        "prefactor_cm2_s": D0_cm2_s[0],
        "D_300K_cm2_s": D_cm2_s[0],
        "conductivity_300K_S_cm": D_cm2_s[0] * S_s_per_cm3,
        "conductivity_300K_mS_cm": 1000 * D_cm2_s[0] * S_s_per_cm3,
    }
    if not with_errors:
        return law
    for percent, ends in ((68, slice(0, 2)), (95, slice(2, 4))):
        law |= {
            f"activation_energy_{percent}_eV": tuple(Ea_ends_eV[ends]),
            f"activation_energy_ln_sigma_{percent}_eV": tuple(
                e - ln_T_slope_eV for e in Ea_ends_eV[ends]
            ),
            f"prefactor_{percent}_cm2_s": tuple(D0_cm2_s[1:][ends]),
            f"D_300K_{percent}_cm2_s": tuple(D_cm2_s[1:][ends]),
            f"conductivity_300K_{percent}_S_cm": tuple(D * S_s_per_cm3 for D in D_cm2_s[1:][ends]),
        }
    law["correlation_Ea_ln_D0"] = posterior.correlation(posterior.slope, ln_D0)
    law["scatter_ln_D"] = posterior.average(posterior.scatter)
    return law


def _bounded(
    points: ArrheniusPoints, S_s_per_cm3: float, known: dict[str, Any], *, reason: str
) -> Arrhenius:
    """What can be said where the law has no intervals: D(300 K) ≤ D at the lowest temperature."""
    temperature_K, high_cm2_s = points.highest_at_lowest_temperature_cm2_s(ROOM_TEMPERATURE_K)
    if math.isinf(high_cm2_s):
        return Arrhenius(**known, reason=reason)
    known["notes"] = (
        *known["notes"],
        f"upper bounds at 300 K are those at {temperature_K:g} K: D does not rise on cooling, "
        "unless the phase changes",
    )
    return Arrhenius(
        **known,
        D_300K_upper_bound_cm2_s=high_cm2_s,
        conductivity_300K_upper_bound_S_cm=high_cm2_s * S_s_per_cm3,
        reason=reason,
    )


def _ln_T_slope_eV(points: ArrheniusPoints) -> float:
    """What a weighted fit of ln T over -1/(kB T) has as its slope, about the mean kB T."""
    values = points.log_values()
    ln_T = -np.log(-BOLTZMANN_EV_PER_K * values.x)
    return float(np.polyfit(values.x, ln_T, 1, w=1 / values.scale)[0])


def _bounds_note(points: ArrheniusPoints) -> tuple[str, ...]:
    if not points.bounds or points.n_temperatures < 2:
        return ()
    return (f"as censored data: the upper bounds at {_list(points.bounds)}",)


def _list(entries: Iterable[Diffusivity]) -> str:
    return ", ".join(f"{entry.temperature_K:g}" for entry in entries) + " K"
