"""When a run is long enough: the decision after each segment of adaptive molecular dynamics.

Pure functions of what was produced so far, so that any loop can ask them: one in a single process,
or a chain of jobs of which each continues the last.
"""

from __future__ import annotations

from dataclasses import dataclass

from screening.errors import UnusableRun
from screening.gates import Gates
from screening.rounding import rounded_up
from screening.transport.analysis import analyse_run
from screening.transport.arrhenius import ROOM_TEMPERATURE_K
from screening.transport.diffusivity import MIN_DURATION_PS
from screening.transport.documents import Diffusivity, RunEnd
from screening.transport.nernst_einstein import conductivity_per_diffusivity
from screening.transport.series import block_means, change_along_line
from screening.transport.trajectory import Trajectory
from screening.units import A3_TO_CM3

# A bound that holds at 95 % when looked at once is crossed more often by somebody who looks again
# and again. Hops at the threshold's own rate, looked at all the time, pass below a threshold / 1.3
# in under 5 % of runs; below the threshold itself in 18 %.
REPEATED_LOOKS = 1.3
# In 10 ps, what heats a crystal by 200 K: 3 k_B T per atom.
MAX_DRIFT_EV_PER_ATOM_PER_PS = 0.005
MIN_DRIFT_FRAMES = 10


@dataclass(frozen=True)
class Threshold:
    """The gate that a diffusivity must pass, as D at this run's temperature.

    Args:
        gate: its name in the config.
        D_cm2_s: smallest D with which it can still be passed.
    """

    gate: str
    D_cm2_s: float


@dataclass(frozen=True)
class StoppingRule:
    """What ends a run before its budget.

    Args:
        relative_error: of D, that is small enough; None for a fixed length, which nothing ends
            early.
        threshold: below it the candidate is rejected, however exactly D is known.
    """

    relative_error: float | None
    threshold: Threshold | None = None


def threshold_of(
    gates: Gates, temperature_K: float, *, n_mobile: int, volume_A3: float, charge: int = 1
) -> Threshold | None:
    """The strictest gate that a small diffusivity at this temperature cannot pass.

    The gate on D holds at every temperature. That on σ(300 K) is one on D(300 K), by the law of
    Nernst and Einstein; since D(300 K) <= D(T) at T >= 300 K, a D(T) below it rejects as well.

    Args:
        gates: of the campaign.
        temperature_K: of the run.
        n_mobile: mobile ions in the volume.
        volume_A3: of the cell that holds them.
        charge: of the mobile ion, in elementary charges.
    """
    thresholds = []
    if gates.min_diffusivity_cm2_s is not None:
        thresholds.append(Threshold("min_diffusivity_cm2_s", gates.min_diffusivity_cm2_s))
    if gates.min_conductivity_300K_S_cm is not None and temperature_K >= ROOM_TEMPERATURE_K:
        S_s_per_cm3 = conductivity_per_diffusivity(
            n_mobile / (volume_A3 * A3_TO_CM3), charge, ROOM_TEMPERATURE_K
        )
        thresholds.append(
            Threshold("min_conductivity_300K_S_cm", gates.min_conductivity_300K_S_cm / S_s_per_cm3)
        )
    return max(thresholds, key=lambda threshold: threshold.D_cm2_s, default=None)


def relative_error(diffusivity: Diffusivity) -> float | None:
    """Half the 68 % interval over D; None where there is only an upper bound."""
    if diffusivity.D_cm2_s is None or diffusivity.D_68_cm2_s is None:
        return None
    low, high = diffusivity.D_68_cm2_s
    return (high - low) / (2 * diffusivity.D_cm2_s)


def judge(
    trajectory: Trajectory, mobile_ion: str, rule: StoppingRule, *, is_last: bool
) -> RunEnd | None:
    """Whether the run ends here, and why; None to go on.

    An integrator that does not conserve its energy ends every run, those of a fixed length too, and
    before all else: its atoms move in no ensemble that anything follows from.

    Args:
        trajectory: all that was produced so far.
        mobile_ion: element symbol.
        rule: what ends the run.
        is_last: the budget is used up.

    Raises:
        InvalidInput: what no longer run would mend, such as no framework.
    """
    if message := _drifts(trajectory):
        return RunEnd(outcome="drifted", message=message)
    if rule.relative_error is None:
        fixed = f"fixed length of {trajectory.duration_ps:.4g} ps"
        return RunEnd(outcome="budget", message=fixed) if is_last else None
    try:
        return decide(analyse_run(trajectory, mobile_ion), rule, is_last=is_last)
    except UnusableRun as error:
        return RunEnd(outcome="budget", message=str(error)) if is_last else None


def decide(diffusivity: Diffusivity, rule: StoppingRule, *, is_last: bool) -> RunEnd | None:
    """The decision itself, from what the run says so far.

    In this order: a framework that melts ends the run, for D is then not that of the crystal; so
    does a D that is known as exactly as asked; so does one that lies below the threshold with 95 %
    confidence, repeated looks allowed for, after `MIN_DURATION_PS` at least; so does the budget.
    """
    melting = [m.message for m in diffusivity.framework if m.leaves_the_crystal]
    if melting:
        return RunEnd(outcome="melted", message="; ".join(melting))
    error, target = relative_error(diffusivity), rule.relative_error
    known = "D has only an upper bound" if error is None else f"D is known to {error:.0%}"
    if target is not None and error is not None and error <= target:
        return RunEnd(outcome="converged", message=f"{known}, {target:.0%} asked for")
    highest_cm2_s = _highest(diffusivity)
    outlasts_vibration = diffusivity.duration_ps >= MIN_DURATION_PS
    if (
        rule.threshold
        and outlasts_vibration
        and highest_cm2_s * REPEATED_LOOKS < rule.threshold.D_cm2_s
    ):
        return RunEnd(
            outcome="bound_rejects",
            message=f"D < {rounded_up(highest_cm2_s, 2):.2g} cm²/s at 95 % confidence, while "
            f"{rule.threshold.gate} needs {rule.threshold.D_cm2_s:.2g}",
        )
    if is_last:
        return RunEnd(outcome="budget", message=f"{known}, {target or 0:.0%} asked for")
    return None


def conserved_drift_eV_per_atom_per_ps(trajectory: Trajectory) -> tuple[float, float] | None:
    """Least-squares slope of the conserved energy, and its standard error.

    The error counts the residuals' correlation in time, see `change_along_line`.

    Returns:
        None where the energy was not recorded, or in fewer than `MIN_DRIFT_FRAMES` frames.
    """
    energies_eV = trajectory.conserved_energies_eV
    if energies_eV is None or len(energies_eV) < MIN_DRIFT_FRAMES:
        return None
    per_atom_eV, n_frames = block_means((energies_eV - energies_eV[0]) / len(trajectory.species))
    change_eV, error_eV, _ = change_along_line(per_atom_eV)
    time_ps = trajectory.frame_interval_ps * n_frames * (len(per_atom_eV) - 1)
    return change_eV / time_ps, error_eV / time_ps


def _drifts(trajectory: Trajectory) -> str | None:
    """The drift in numbers, where it is too large beyond chance."""
    drift = conserved_drift_eV_per_atom_per_ps(trajectory)
    if drift is None:
        return None
    slope, error = (1000 * value for value in drift)
    largest = 1000 * MAX_DRIFT_EV_PER_ATOM_PER_PS
    if not abs(slope) - 2 * error > largest:  # NaN is for others to judge
        return None
    return (
        f"the conserved energy drifts by {slope:+.3g} ± {error:.2g} meV/atom/ps, at most "
        f"{largest:g} allowed; use a shorter dynamics.timestep_fs, or with DFT a tighter EDIFF"
    )


def _highest(diffusivity: Diffusivity) -> float:
    """What D does not exceed at 95 % confidence, or more, cm²/s."""
    if diffusivity.D_95_cm2_s is not None:
        return diffusivity.D_95_cm2_s[1]
    return diffusivity.upper_bound_cm2_s or float("inf")
