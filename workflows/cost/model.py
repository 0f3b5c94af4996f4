"""What jobs of each stage cost: steps × core-seconds a step, both with their errors.

    core-hours = steps · c · n_atoms^p · noise / 3600

The errors of c and p, and of how many steps there are in the median, are common to all jobs and do
not average out in a sum over them; the noise from one job to the next does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workflows.cost.lengths import Moving, Relaxing
from workflows.cost.priors import Priors, priors_for
from workflows.cost.regression import N_DRAWS, Law, fitted

if TYPE_CHECKING:
    from workflows.config import CampaignConfig
    from workflows.execution_settings import QueuedStage

_S_PER_H = 3600.0
_MOST_DRAWN = 64  # more jobs of one size are summed as a Gaussian
_NO_LIMIT = 1e9
_SIGMA = 0.341345  # half of the 68 % interval
# Melting and quenching is dynamics of other cells.
_RATE_OF: dict[QueuedStage, QueuedStage] = {
    "relax": "relax",
    "dynamics": "dynamics",
    "quench": "dynamics",
}
_STREAMS = {"relax": 1, "dynamics": 2, "steps": 3}


@dataclass(frozen=True)
class Estimate:
    """A median with its 68 % interval, in core-hours unless it is said otherwise."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: NDArray[np.float64]) -> Estimate:
        """Of a sample."""
        low, median, high = np.quantile(draws, (0.5 - _SIGMA, 0.5, 0.5 + _SIGMA))
        return cls(float(median), float(low), float(high))


@dataclass(frozen=True)
class Measured:
    """Finished jobs of a stage, as columns; `timed` says of which the time is that of the steps."""

    n_atoms: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    n_steps: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    core_hours: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    timed: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))

    def __len__(self) -> int:
        return len(self.n_atoms)


@dataclass(frozen=True)
class CostModel:
    """What a job of each stage costs; see `CostModel.of`."""

    rates: Mapping[QueuedStage, Law]
    lengths: Mapping[QueuedStage, Relaxing | Moving]

    @classmethod
    def of(
        cls,
        config: CampaignConfig,
        measured: Mapping[QueuedStage, Measured] | None = None,
        priors: Priors | None = None,
    ) -> CostModel:
        """The prior of the campaign's engine, and what its finished jobs teach."""
        measured = measured or {}
        priors = priors or priors_for(config)
        none = Measured()
        rates = {
            rate: _rate(
                priors, rate, [measured.get(s, none) for s, own in _RATE_OF.items() if own == rate]
            )
            for rate in dict.fromkeys(_RATE_OF.values())
        }
        relaxed = measured.get("relax", none)
        lengths: dict[QueuedStage, Relaxing | Moving] = {
            "relax": Relaxing(
                fitted(priors.relax_steps, relaxed.n_atoms, relaxed.n_steps + 1, _STREAMS["steps"]),
                _NO_LIMIT if config.engine.runs_vasp else config.relax.max_steps + 1.0,
            )
        }
        if config.dynamics is not None:
            lengths["dynamics"] = _dynamics(config, measured.get("dynamics", none).n_steps)
        if config.dynamics is not None and (glass := config.amorphous) is not None:
            times_ps = (glass.heating_ps, glass.hold_ps, glass.quench_ps)
            n_steps = sum(round(1000 * t / config.dynamics.timestep_fs) for t in times_ps)
            lengths["quench"] = Moving(n_before=n_steps, n_production=0)
        return cls({stage: rates[rate] for stage, rate in _RATE_OF.items()}, lengths)

    def job(self, stage: QueuedStage, n_atoms: int) -> Estimate:
        """One job; no bound falls as the number of atoms grows."""
        core_s = self.lengths[stage].of_one(n_atoms) * self.rates[stage].of_one(n_atoms)
        return Estimate.of(core_s / _S_PER_H)

    def total(
        self, stage: QueuedStage, jobs: Mapping[int, int | NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        """Draws of the core-hours of many jobs, shape (N_DRAWS,).

        Args:
            stage: of all of them.
            jobs: number of atoms -> how many jobs, or how many in each draw.
        """
        rng = np.random.default_rng(list(stage.encode()))
        total_s = np.zeros(N_DRAWS)
        for n_atoms, count in sorted(jobs.items()):
            counts = np.broadcast_to(count, N_DRAWS)
            if (most := int(counts.max())) == 0:
                continue
            if most > _MOST_DRAWN:
                total_s += self._sum_of_many(stage, n_atoms, counts, rng)
                continue
            length, rate = self.lengths[stage], self.rates[stage]
            core_s = length.of_many(n_atoms, most, rng) * rate.of_many(n_atoms, most, rng)
            total_s += np.where(np.arange(most) < counts[:, None], core_s, 0).sum(axis=1)
        return np.asarray(total_s / _S_PER_H)

    def _sum_of_many(
        self,
        stage: QueuedStage,
        n_atoms: int,
        counts: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        rate = self.rates[stage]
        steps, steps_squared = self.lengths[stage].moments(n_atoms)
        median, variance = np.exp(rate.ln_median(n_atoms)), rate.noise**2
        mean = steps * median * np.exp(variance / 2)
        spread = np.sqrt(steps_squared * median**2 * np.exp(2 * variance) - mean**2)
        drawn = counts * mean + np.sqrt(counts) * spread * rng.standard_normal(N_DRAWS)
        return np.asarray(np.maximum(drawn, 0))


def _rate(priors: Priors, stage: QueuedStage, measured: Sequence[Measured]) -> Law:
    n_atoms = np.concatenate([jobs.n_atoms[jobs.timed] for jobs in measured])
    n_steps = np.concatenate([jobs.n_steps[jobs.timed] for jobs in measured])
    core_s = np.concatenate([jobs.core_hours[jobs.timed] for jobs in measured]) * _S_PER_H
    n_evaluations = n_steps + 1
    return fitted(priors.rates[stage], n_atoms, core_s / n_evaluations, _STREAMS[stage])


def _dynamics(config: CampaignConfig, n_steps: NDArray[np.float64]) -> Moving:
    settings = config.dynamics
    assert settings is not None
    heating, equilibration, production = (
        round(1000 * time_ps / settings.timestep_fs)
        for time_ps in (settings.heating_ps, settings.equilibration_ps, settings.production_ps)
    )
    n_before = heating + equilibration
    if settings.relative_error is None:
        return Moving(n_before, production)
    n_segments = int(np.ceil(settings.production_ps / settings.segment_ps - 1e-9))
    return Moving.adaptive(n_before, production, n_segments, n_steps)
