"""The tracer diffusivity of one run: a value whose intervals cover, or an upper bound."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from screening.errors import InvalidInput, UnusableRun
from screening.transport.documents import Diffusivity
from screening.transport.msd import (
    displacements_from_framework,
    mean_squared_displacement,
    mobile_mask,
)
from screening.transport.slope import LAG_FRACTIONS, Estimate, Slope, diffusive_slope
from screening.transport.trajectory import Trajectory
from screening.units import A2_PER_PS_TO_CM2_PER_S

DEFAULT_HOP_LENGTH_A = 3.5
VIBRATION_MEMORY_PS = 0.5
MIN_DURATION_PS = VIBRATION_MEMORY_PS / max(LAG_FRACTIONS)
MIN_FRAMES = 10
MIN_HOPS = 10.0
MIN_SIGNIFICANCE = 3.0
BALLISTIC_EXPONENT = 1.5
ONE_SIGMA = 0.6827
FRAMES_PER_CHECK = 1000


def estimate_diffusivity(
    trajectory: Trajectory, mobile_ion: str, *, hop_length_A: float = DEFAULT_HOP_LENGTH_A
) -> Diffusivity:
    """Tracer diffusivity D, a sixth of the slope of the mean squared displacement.

    It is a value if the run lasts `MIN_DURATION_PS` and holds at least `MIN_HOPS` hops, D stands
    out of the rattling and does not change with the lag (see `screening.transport.slope`);
    otherwise an upper bound at 95 % confidence with the reason. Vibration is taken to be forgotten
    after `VIBRATION_MEMORY_PS`; motion that turns back only after two fifths of the run cannot be
    told from diffusion.

    Args:
        trajectory: at least `MIN_FRAMES` frames of production, equilibration left out.
        mobile_ion: element symbol; all other atoms are the framework that drift is measured by.
        hop_length_A: distance between neighbouring sites, Å. It turns squared displacement into a
            number of hops, so the bound for a run without hops grows with its square.

    Returns:
        The document. `n_hops` is 6 D n_ions duration / hop_length²: the summed squared displacement
        of He et al. with the rattling taken out. `caveats` name framework species that move.

    Raises:
        InvalidInput: no such ion, no framework, or parts that do not fit together.
        UnusableRun: too few frames, positions that are not finite or not unwrapped, or ions that
            fly instead of diffusing.

    Reference:
        He, Zhu, Epstein, Mo, npj Comput. Mater. 4, 18 (2018), doi:10.1038/s41524-018-0074-y.
    """
    _check_input(trajectory, hop_length_A)
    mobile = mobile_mask(trajectory, mobile_ion)
    displacements_A = displacements_from_framework(trajectory, mobile_ion)
    _check_unwrapped(displacements_A, trajectory)
    ions_A = displacements_A[:, mobile]
    slope = _diffusive_slope(ions_A, trajectory)
    hops = _hops(slope, ions_A, hop_length_A)
    reason = _why_no_value(slope, hops, ions_A, trajectory, hop_length_A)
    unit = _cm2_s_per_hop(ions_A, trajectory, hop_length_A)
    is_value = reason is None
    caveats = _framework_caveats(displacements_A, trajectory, mobile_ion, hop_length_A)
    return Diffusivity(
        species=mobile_ion,
        temperature_K=trajectory.temperature_K,
        duration_ps=trajectory.duration_ps,
        n_hops=max(hops.mean, 0.0),
        D_cm2_s=hops.mean * unit if is_value else None,
        D_68_cm2_s=_interval(hops, ONE_SIGMA, unit) if is_value else None,
        D_95_cm2_s=_interval(hops, 0.95, unit) if is_value else None,
        upper_bound_cm2_s=None if is_value else _most_hops(hops, slope.seen) * unit,
        reason=reason,
        framework_moves=bool(caveats),
        caveats=caveats,
    )


def _diffusive_slope(atoms_A: NDArray[np.float64], trajectory: Trajectory) -> Slope:
    frames = VIBRATION_MEMORY_PS / trajectory.frame_interval_ps
    return diffusive_slope(atoms_A, min_lag=math.ceil(round(frames, 6)))


def _hops(slope: Slope, atoms_A: NDArray[np.float64], hop_length_A: float) -> Estimate:
    """Summed squared displacement of all atoms over the run / hop length²; noise may be < 0."""
    n_frames, n_atoms, _ = atoms_A.shape
    return slope.D.scaled(6.0 * n_atoms * (n_frames - 1) / hop_length_A**2)


def _cm2_s_per_hop(
    atoms_A: NDArray[np.float64], trajectory: Trajectory, hop_length_A: float
) -> float:
    """D of a run in which all atoms together hop once."""
    n_atoms = int(atoms_A.shape[1])
    return hop_length_A**2 / (6.0 * n_atoms * trajectory.duration_ps) * A2_PER_PS_TO_CM2_PER_S


def _significance(hops: Estimate) -> float:
    """Standard errors by which hops stand out, their own Poisson noise left out.

    That noise vanishes where nothing hops, so it is no reason to doubt that something does.
    """
    n_hops = max(hops.mean, 0.0)
    variance = hops.error**2 - n_hops
    return n_hops / math.sqrt(variance) if variance > 0 else math.inf


def _interval(hops: Estimate, confidence: float, unit: float) -> tuple[float, float]:
    """Central interval of ln D; a run has no more degrees of freedom than hops."""
    dof = min(hops.dof, hops.mean - 1.0)
    reach = math.exp(stats.t.ppf((1 + confidence) / 2, dof) * hops.error / hops.mean)
    return hops.mean / reach * unit, hops.mean * reach * unit


def _most_hops(hops: Estimate, seen: float) -> float:
    """The mean number of hops that shows more than was seen in 95 % of runs.

    Poisson's upper limit for the hops seen (3.0 for none in the part of the run that was seen),
    joined in quadrature with the statistical error, which is that of the rattling where hops are
    few.
    """
    n_hops = max(hops.mean, 0.0)
    poisson = float(stats.chi2.ppf(0.95, 2 * n_hops * seen + 2)) / 2 / seen - n_hops
    noise = float(stats.t.ppf(0.95, hops.dof)) * hops.error
    return n_hops + math.hypot(poisson, noise)


def _why_no_value(
    slope: Slope,
    hops: Estimate,
    ions_A: NDArray[np.float64],
    trajectory: Trajectory,
    hop_length_A: float,
) -> str | None:
    """What keeps D from being a value, with numbers; None where nothing does.

    Raises:
        UnusableRun: the ions fly, so that no D bounds their motion.
    """
    n_hops = max(hops.mean, 0.0)
    significance = _significance(hops)
    too_short = round(trajectory.duration_ps, 6) < MIN_DURATION_PS
    too_few = n_hops < MIN_HOPS
    hidden = significance < MIN_SIGNIFICANCE
    if slope.is_diffusive and not (too_short or too_few or hidden):
        return None
    msd_A2 = mean_squared_displacement(ions_A).mean(axis=1)
    once_A2, twice_A2 = msd_A2[slope.lag], msd_A2[2 * slope.lag]
    exponent = float(np.log2(twice_A2 / once_A2)) if min(once_A2, twice_A2) > 0 else 0.0
    lag_ps = slope.lag * trajectory.frame_interval_ps
    regime = f"log-log slope {exponent:.2f} from {lag_ps:.3g} to {2 * lag_ps:.3g} ps"
    if slope.is_rising and exponent > BALLISTIC_EXPONENT:
        raise UnusableRun(
            f"the ions fly instead of diffusing ({regime}, 1 needed); equilibrate longer"
        )
    reasons = []
    if too_short:
        reasons.append(
            f"{trajectory.duration_ps:.3g} ps, at least {MIN_DURATION_PS:g} ps needed to outlast "
            "the vibration"
        )
    if too_few:
        reasons.append(
            f"{n_hops:.1f} hops of {hop_length_A:g} Å in {trajectory.duration_ps:.3g} ps, "
            f"at least {MIN_HOPS:g} needed"
        )
    if hidden:
        reasons.append(
            f"mean squared displacement {twice_A2:.2g} Å² stays within rattling "
            f"({significance:.1f} standard errors above it, at least {MIN_SIGNIFICANCE:g} needed)"
        )
    if not slope.is_diffusive:
        reasons.append(f"no diffusive regime: {regime}")
    return "; ".join(reasons)


def _framework_caveats(
    displacements_A: NDArray[np.float64],
    trajectory: Trajectory,
    mobile_ion: str,
    hop_length_A: float,
) -> tuple[str, ...]:
    """Which framework species leave their sites, and by how much."""
    caveats = []
    for species in sorted(set(trajectory.species) - {mobile_ion}):
        atoms_A = displacements_A[:, mobile_mask(trajectory, species)]
        hops = _hops(_diffusive_slope(atoms_A, trajectory), atoms_A, hop_length_A)
        if hops.mean >= MIN_HOPS and _significance(hops) >= MIN_SIGNIFICANCE:
            D_cm2_s = hops.mean * _cm2_s_per_hop(atoms_A, trajectory, hop_length_A)
            caveats.append(
                f"{species} of the framework moves as far as {hops.mean:.0f} hops "
                f"(D {D_cm2_s:.1e} cm²/s): it melts, decomposes or its units rotate"
            )
    return tuple(caveats)


def _check_input(trajectory: Trajectory, hop_length_A: float) -> None:
    positions_A = trajectory.positions_A
    n_atoms = len(trajectory.species)
    if positions_A.ndim != 3 or positions_A.shape[1:] != (n_atoms, 3):
        raise InvalidInput(
            f"positions of shape {positions_A.shape} do not fit {n_atoms} species; "
            f"(n_frames, {n_atoms}, 3) needed"
        )
    if not (np.isfinite(hop_length_A) and hop_length_A > 0):
        raise InvalidInput(f"hop_length_A={hop_length_A:g} must be positive")
    if not (np.isfinite(trajectory.frame_interval_ps) and trajectory.frame_interval_ps > 0):
        raise InvalidInput(
            f"timestep_fs={trajectory.timestep_fs:g} and stride={trajectory.stride} "
            "must both be positive"
        )
    if len(positions_A) < MIN_FRAMES:
        raise UnusableRun(
            f"{len(positions_A)} frames, at least {MIN_FRAMES} needed; run longer or store more"
        )
    bad = ~np.isfinite(positions_A).all(axis=(1, 2))
    if bad.any():
        raise UnusableRun(
            f"positions are not finite in {bad.sum()} of {bad.size} frames, first in frame "
            f"{bad.argmax()}; the run exploded or its file is damaged"
        )


def _check_unwrapped(displacements_A: NDArray[np.float64], trajectory: Trajectory) -> None:
    """No atom may cross half the cell from one frame to the next."""
    if not np.isfinite(trajectory.cell_A).all() or np.linalg.det(trajectory.cell_A) == 0:
        raise InvalidInput(f"the cell {trajectory.cell_A.tolist()} has no volume")
    to_fractional = np.linalg.inv(trajectory.cell_A)
    for first in range(0, len(displacements_A) - 1, FRAMES_PER_CHECK):
        stretch_A = displacements_A[first : first + FRAMES_PER_CHECK + 1]
        steps = np.abs(np.diff(stretch_A, axis=0) @ to_fractional).max(axis=2)
        if steps.max() > 0.5:
            frame, atom = np.unravel_index(steps.argmax(), steps.shape)
            raise UnusableRun(
                f"atom {atom} ({trajectory.species[atom]}) crosses {steps.max():.2f} of the cell "
                f"between frames {first + frame} and {first + frame + 1}; unwrap the positions or "
                "store frames more often"
            )
