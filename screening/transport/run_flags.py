"""Whether energy and temperature of a run stayed where they should."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from screening.transport.series import block_means, change_along_line, statistical_inefficiency
from screening.transport.trajectory import Trajectory
from screening.units import BOLTZMANN_EV_PER_K

LARGE_SHARE = 0.05
SIGNIFICANCE = 0.001


def run_flags(trajectory: Trajectory) -> tuple[str, ...]:
    """What drifted, in figures; nothing where all is well or nothing was recorded.

    A drift is named if it is both beyond chance (p < `SIGNIFICANCE`, correlation in time counted)
    and large: over the run, `LARGE_SHARE` of the target temperature, or of what the potential
    energy of a harmonic crystal is at that temperature, 3/2 k_B T per atom. So is a mean
    temperature off its target.

    Args:
        trajectory: production, equilibration left out.
    """
    flags = []
    target_K = trajectory.temperature_K
    if trajectory.potential_energies_eV is not None:
        thermal_eV = 1.5 * BOLTZMANN_EV_PER_K * target_K
        per_atom_eV = trajectory.potential_energies_eV / len(trajectory.species)
        drift_eV = _drift(per_atom_eV, LARGE_SHARE * thermal_eV)
        if drift_eV is not None:
            flags.append(
                f"potential energy drifted by {1000 * drift_eV:+.1f} meV/atom in "
                f"{trajectory.duration_ps:.3g} ps, {abs(drift_eV) / thermal_eV:.0%} of 3/2 k_B T: "
                "not in equilibrium; run longer or leave out more of the start"
            )
    temperatures_K = trajectory.kinetic_temperatures_K
    if temperatures_K is not None:
        drift_K = _drift(temperatures_K, LARGE_SHARE * target_K)
        if drift_K is not None:
            flags.append(
                f"temperature drifted by {drift_K:+.0f} K in {trajectory.duration_ps:.3g} ps at a "
                f"target of {target_K:g} K; look at thermostat and time step"
            )
        mean_K = float(np.mean(temperatures_K))
        if _is_off(temperatures_K, target_K):
            flags.append(
                f"mean temperature {mean_K:.0f} K, target {target_K:g} K; look at the thermostat, "
                "or give the run's own temperature"
            )
    return tuple(flags)


def _drift(values: NDArray[np.float64], large: float) -> float | None:
    """Change along the least-squares line over the run; None unless significant and large."""
    means, _ = block_means(values)
    if len(means) < 3:
        return None
    change, error, dof = change_along_line(means)
    return change if abs(change) >= large and abs(change) > _reach(dof) * error else None


def _is_off(values: NDArray[np.float64], target: float) -> bool:
    """Whether the mean differs from the target significantly and by `LARGE_SHARE` of it."""
    means, _ = block_means(values)
    off = abs(float(means.mean()) - target)
    n_samples = len(means) / statistical_inefficiency(means)
    if len(means) < 3 or off < LARGE_SHARE * target:
        return False
    error = float(means.std(ddof=1)) / math.sqrt(n_samples)
    return off > _reach(max(n_samples - 1, 1.0)) * error


def _reach(dof: float) -> float:
    return float(stats.t.ppf(1 - SIGNIFICANCE / 2, dof))
