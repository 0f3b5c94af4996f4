"""The diffusivity of one run: a value whose intervals cover, or an upper bound with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from screening.errors import InvalidInput, UnusableRun
from screening.transport.documents import Diffusivity, PrincipalDiffusivity
from screening.transport.msd import PAIRS, mobile_mask, series_from_framework
from screening.transport.posterior import ONE_SIGMA, interval
from screening.transport.slope import Motion, Slope, diffusive_slope, fit_slope
from screening.transport.trajectory import Trajectory
from screening.units import A2_PER_PS_TO_CM2_PER_S

DEFAULT_HOP_LENGTH_A = 3.5
VIBRATION_MEMORY_PS = 1.0
MIN_DURATION_PS = 5.0
MIN_FRAMES = 10
MIN_HOPS = 10.0
MIN_HOPS_FOR_DIMENSION = 30.0
MIN_SIGNIFICANCE = 3.0
CLOSED_BELOW = 0.1
BALLISTIC_EXPONENT = 1.5


def estimate_diffusivity(
    trajectory: Trajectory, mobile_ion: str, *, hop_length_A: float = DEFAULT_HOP_LENGTH_A
) -> Diffusivity:
    """Tracer and charge diffusivity, from slopes of mean squared displacements.

    The tracer diffusivity D is a sixth of the slope of the ions' mean squared displacement, from
    `screening.transport.slope`; its intervals are those of `screening.transport.posterior`. It is
    a value if the run lasts `MIN_DURATION_PS` and holds at least `MIN_HOPS` hops, D stands out of
    the rattling, and there is a diffusive regime; otherwise an upper bound at 95 % confidence with
    the reason. Vibration is taken to be forgotten after `VIBRATION_MEMORY_PS`.

    The charge diffusivity is a sixth of the slope of the squared displacement of all mobile ions
    together, divided by their number, from the same first lag; one sum has no ions to average over,
    so that it is far less certain. It is given where it stands two standard errors above zero.

    An axis of the tensor counts as open where its D stands out of the rattling by two standard
    errors and is more than a tenth of the largest; the dimensionality, from
    `MIN_HOPS_FOR_DIMENSION` hops on, is the number of open axes.

    Args:
        trajectory: at least `MIN_FRAMES` frames of production, equilibration left out.
        mobile_ion: element symbol; all other atoms but alkali metals are the framework that drift
            is measured by.
        hop_length_A: distance between neighbouring sites, Å. It turns squared displacement into a
            number of hops, so the bound for a run without hops grows with its square.

    Returns:
        The document. `n_hops` is 6 D n_ions duration / hop_length²: the summed squared displacement
        of He et al., N_eff, with the rattling taken out.

    Raises:
        InvalidInput: no such ion, no framework, or parts that do not fit together.
        UnusableRun: too few frames, positions that are not finite or not unwrapped, or ions that
            fly instead of diffusing.

    Reference:
        He, Zhu, Epstein, Mo, npj Comput. Mater. 4, 18 (2018), doi:10.1038/s41524-018-0074-y.
    """
    if not (np.isfinite(hop_length_A) and hop_length_A > 0):
        raise InvalidInput(f"hop_length_A={hop_length_A:g} must be positive")
    check_run(trajectory, mobile_ion)
    motion = Motion.of(series_from_framework(trajectory, mobile_ion))
    frames = VIBRATION_MEMORY_PS / trajectory.frame_interval_ps
    slope, is_diffusive = diffusive_slope(motion, math.ceil(round(frames, 6)))
    run = _Run(trajectory, motion, slope, is_diffusive, hop_length_A)
    reason = run.why_no_value()
    common: dict[str, Any] = {
        "species": mobile_ion,
        "temperature_K": trajectory.temperature_K,
        "duration_ps": trajectory.duration_ps,
        "n_hops": run.n_hops,
        "rsd_he_2018": 3.43 / math.sqrt(run.n_hops) + 0.04 if run.n_hops > 0 else None,
    }
    if reason is not None:
        return Diffusivity(**common, upper_bound_cm2_s=run.bound_cm2_s(slope), reason=reason)
    principal = run.principal()
    return Diffusivity(
        **common,
        D_cm2_s=slope.mean * run.unit_cm2_s,
        D_68_cm2_s=run.interval_cm2_s(slope, ONE_SIGMA),
        D_95_cm2_s=run.interval_cm2_s(slope, 0.95),
        diffusive_from_ps=slope.lag * trajectory.frame_interval_ps,
        msd_offset_A2=slope.offset,
        principal=principal,
        dimensionality=run.dimensionality(principal),
        **run.charge(),
    )


@dataclass(frozen=True)
class _Run:
    """A run and the slope of its mobile ions' mean squared displacement."""

    trajectory: Trajectory
    motion: Motion
    slope: Slope
    is_diffusive: bool
    hop_length_A: float

    @property
    def unit_cm2_s(self) -> float:
        """D of a slope of 1 Å² per frame in three dimensions."""
        return A2_PER_PS_TO_CM2_PER_S / (6.0 * self.trajectory.frame_interval_ps)

    @property
    def hops_per_slope(self) -> float:
        """Hops of all ions in the run for a slope of 1 Å² per frame."""
        return len(self.motion.series_A) * (self.motion.n_frames - 1) / self.hop_length_A**2

    @property
    def n_hops(self) -> float:
        """Summed squared displacement / hop length²; noise may be below zero."""
        return max(self.slope.mean, 0.0) * self.hops_per_slope

    def interval_cm2_s(self, slope: Slope, confidence: float) -> tuple[float, float]:
        """Central interval of D."""
        relative_variance = slope.variance / slope.mean**2
        hop_share = slope.hop_variance / slope.variance
        return interval(
            slope.mean * self.unit_cm2_s, relative_variance, hop_share, slope.dof, confidence
        )

    def bound_cm2_s(self, slope: Slope) -> float:
        """D that shows more than was seen in 95 % of runs.

        Poisson's upper limit for the hops seen (3.0 for none in the part of the run that was seen),
        joined in quadrature with the noise of the rattling.
        """
        n_hops = max(slope.mean, 0.0) * self.hops_per_slope
        seen = 1 - 2 * slope.lag / self.motion.n_frames
        poisson = float(stats.chi2.ppf(0.95, 2 * n_hops * seen + 2)) / 2 / seen - n_hops
        noise = float(stats.t.ppf(0.95, slope.dof)) * _noise(slope) * self.hops_per_slope
        return (n_hops + math.hypot(poisson, noise)) / self.hops_per_slope * self.unit_cm2_s

    def why_no_value(self) -> str | None:
        """What keeps D from being a value, with numbers; None where nothing does.

        Raises:
            UnusableRun: the ions fly, so that no D bounds their motion.
        """
        slope, trajectory = self.slope, self.trajectory
        significance = max(slope.mean, 0.0) / _noise(slope) if _noise(slope) > 0 else math.inf
        if slope.mean <= 0:
            significance = 0.0
        too_short = round(trajectory.duration_ps, 6) < MIN_DURATION_PS
        too_few = self.n_hops < MIN_HOPS
        hidden = significance < MIN_SIGNIFICANCE
        if self.is_diffusive and not (too_short or too_few or hidden):
            return None
        once_A2, twice_A2 = self.motion.tensor_A2[:3, [slope.lag, 2 * slope.lag]].sum(axis=0)
        exponent = float(np.log2(twice_A2 / once_A2)) if min(once_A2, twice_A2) > 0 else 0.0
        lag_ps = slope.lag * trajectory.frame_interval_ps
        regime = f"log-log slope {exponent:.2f} from {lag_ps:.3g} to {2 * lag_ps:.3g} ps"
        if not self.is_diffusive and exponent > BALLISTIC_EXPONENT:
            raise UnusableRun(
                f"the ions fly instead of diffusing ({regime}, 1 needed); equilibrate longer"
            )
        reasons = []
        if too_short:
            reasons.append(
                f"{trajectory.duration_ps:.3g} ps, at least {MIN_DURATION_PS:g} ps needed to "
                "outlast the vibration"
            )
        if too_few:
            reasons.append(
                f"{self.n_hops:.1f} hops of {self.hop_length_A:g} Å in "
                f"{trajectory.duration_ps:.3g} ps, at least {MIN_HOPS:g} needed"
            )
        if hidden:
            reasons.append(
                f"the mean squared displacement, {twice_A2:.2g} Å² at {2 * lag_ps:.3g} ps, rises "
                f"by {significance:.1f} standard errors beyond rattling, at least "
                f"{MIN_SIGNIFICANCE:g} needed"
            )
        if not self.is_diffusive:
            reasons.append(f"no diffusive regime: {regime}, a straight line needed")
        return "; ".join(reasons) + "; run longer"

    def principal(self) -> tuple[PrincipalDiffusivity, ...]:
        """The tensor by its principal axes, largest first."""
        slopes_A2 = (
            self.motion.tensor_A2[:, 2 * self.slope.lag] - self.motion.tensor_A2[:, self.slope.lag]
        )
        tensor = np.empty((3, 3))
        for (a, b), value in zip(PAIRS, slopes_A2, strict=True):
            tensor[a, b] = tensor[b, a] = value
        axes = np.linalg.eigh(tensor)[1].T
        found = [(fit_slope(self.motion, self.slope.lag, axis), axis) for axis in axes]
        return tuple(
            self._along(slope, axis) for slope, axis in sorted(found, key=lambda one: -one[0].mean)
        )

    def _along(self, slope: Slope, axis: NDArray[np.float64]) -> PrincipalDiffusivity:
        is_value = slope.mean > 2 * _noise(slope)
        # a slope of one axis has a third of the dimensions
        return PrincipalDiffusivity(
            axis=tuple(float(x) for x in axis),
            D_cm2_s=3 * slope.mean * self.unit_cm2_s if is_value else None,
            D_68_cm2_s=(_tripled(self.interval_cm2_s(slope, ONE_SIGMA)) if is_value else None),
            upper_bound_cm2_s=None if is_value else 3 * self.bound_cm2_s(slope),
        )

    def dimensionality(
        self, principal: tuple[PrincipalDiffusivity, ...]
    ) -> Literal[1, 2, 3] | None:
        """Number of open axes; None where too few hops tell."""
        if self.n_hops < MIN_HOPS_FOR_DIMENSION:
            return None
        values = [axis.D_cm2_s or 0.0 for axis in principal]
        n_open = sum(value > CLOSED_BELOW * values[0] for value in values)
        return {1: 1, 2: 2, 3: 3}.get(n_open)  # type: ignore[return-value]

    def charge(self) -> dict[str, Any]:
        """Charge diffusivity and Haven ratio, where they are more than noise."""
        n_ions = len(self.motion.series_A)
        together = Motion.of(self.motion.series_A.sum(axis=0, keepdims=True) / math.sqrt(n_ions))
        slope = fit_slope(together, self.slope.lag)
        if slope.mean < 2 * math.sqrt(slope.variance):
            return {}
        ratio = self.slope.mean / slope.mean
        variance = slope.variance / slope.mean**2 + self.slope.variance / self.slope.mean**2
        low, high = interval(1 / ratio, variance, 0.0, slope.dof, ONE_SIGMA)
        return {
            "charge_D_cm2_s": slope.mean * self.unit_cm2_s,
            "charge_D_68_cm2_s": self.interval_cm2_s(slope, ONE_SIGMA),
            "haven_ratio": ratio,
            "haven_ratio_68": (1 / high, 1 / low),
        }


def _noise(slope: Slope) -> float:
    """Standard error without the shot noise of hops, which vanishes where nothing hops."""
    return math.sqrt(max(slope.variance - slope.hop_variance, 0.0))


def _tripled(pair: tuple[float, float]) -> tuple[float, float]:
    return 3 * pair[0], 3 * pair[1]


def check_run(trajectory: Trajectory, mobile_ion: str) -> None:
    """Parts that fit together, enough frames, a mobile ion and a framework.

    Raises:
        InvalidInput, UnusableRun: what does not.
    """
    positions_A = trajectory.positions_A
    n_atoms = len(trajectory.species)
    if positions_A.ndim != 3 or positions_A.shape[1:] != (n_atoms, 3):
        raise InvalidInput(
            f"positions of shape {positions_A.shape} do not fit {n_atoms} species; "
            f"(n_frames, {n_atoms}, 3) needed"
        )
    if not (np.isfinite(trajectory.frame_interval_ps) and trajectory.frame_interval_ps > 0):
        raise InvalidInput(
            f"timestep_fs={trajectory.timestep_fs:g} and stride={trajectory.stride} "
            "must both be positive"
        )
    if len(positions_A) < MIN_FRAMES:
        raise UnusableRun(
            f"{len(positions_A)} frames, at least {MIN_FRAMES} needed; run longer or store more"
        )
    if not np.isfinite(trajectory.cell_A).all() or np.linalg.det(trajectory.cell_A) == 0:
        raise InvalidInput(f"the cell {trajectory.cell_A.tolist()} has no volume")
    mobile_mask(trajectory, mobile_ion)
