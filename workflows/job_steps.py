"""Energies and temperatures over the steps of a job: while it runs, and as far as they are kept.

relaxation, embedded   ASE's lines in job.log, until the job is done
relaxation, VASP       OSZICAR of each of its runs
dynamics, embedded     frames-*.npz, written with each checkpoint; then the stored trajectory
dynamics, VASP         OSZICAR of each piece; else the stored trajectory

The steps of a relaxation with the embedded potential are not kept once it is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from workflows.array_files import array_files
from workflows.execution.folders import KEPT_FILES
from workflows.job_files import work_folders
from workflows.job_inputs import JobSettings
from workflows.job_logs import LOG
from workflows.step_files import (
    Part,
    checkpointed_step,
    read_checkpoints,
    read_optimizer_log,
    read_oszicar,
    read_trajectory,
)
from workflows.vasp.files import located

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from workflows.read_model import CampaignResults
    from workflows.views import JobView

_HEATED_FROM_K = 100.0


@dataclass(frozen=True, slots=True)
class Programme:
    """What dynamics is to do.

    Args:
        corners: steps, and temperatures of the thermostat there; linear in between.
        n_before: steps before those that are recorded by the embedded potential.
        n_most: steps that there will be at most.
        stride: steps between two frames.
    """

    timestep_fs: float
    corners: tuple[tuple[int, float], ...]
    n_before: int
    n_most: int
    stride: int

    @property
    def is_constant(self) -> bool:
        """Whether the temperature stays as it is after `n_before`, so that energy is conserved."""
        return self.corners[-1][1] == self.corners[-2][1]


@dataclass(frozen=True, eq=False)
class JobSteps:
    """What is known of the steps of a job.

    Args:
        kind: what it does.
        parts: in their order; those that recorded nothing are not there.
        n_atoms: of the cell; None where it is not known.
        programme: of dynamics; None where it is not known.
        n_done: steps so far, also those that were not recorded.
    """

    kind: Literal["relaxation", "dynamics"]
    parts: tuple[Part, ...] = ()
    n_atoms: int | None = None
    programme: Programme | None = None
    n_done: int = 0

    @property
    def mean_temperature_K(self) -> float | None:
        """While the thermostat is constant; None where it is not, or nothing was recorded."""
        if self.programme is None or not self.programme.is_constant:
            return None
        constant = [
            part.temperatures_K[part.steps >= self.programme.n_before]
            for part in self.parts
            if part.temperatures_K is not None
        ]
        kept = np.concatenate(constant) if constant else np.array([])
        kept = kept[np.isfinite(kept)]
        return float(kept.mean()) if len(kept) else None

    @property
    def conserved_range_eV(self) -> float | None:
        """How far the conserved energy went up and down; None where nothing is conserved."""
        found = [p.conserved_eV for p in self.parts if p.conserved_eV is not None]
        kept = np.concatenate(found) if found else np.array([])
        kept = kept[np.isfinite(kept)]
        return float(np.ptp(kept)) if len(kept) else None


def steps_of(results: CampaignResults, job: JobView) -> JobSteps | None:
    """What is known of the steps of a job; None of a job that makes none."""
    if job.stage == "relax":
        return _relaxation(results, job)
    if job.stage in ("dynamics", "quench"):
        return _dynamics(results, job)
    return None


def _relaxation(results: CampaignResults, job: JobView) -> JobSteps:
    folders = work_folders(results, job)
    parts = _runs_of_vasp(folders)
    if not parts:
        logged = (read_optimizer_log(folder / LOG) for folder in folders[:1])
        parts = tuple(part for part in logged if part is not None)
    return JobSteps("relaxation", parts, job.n_atoms, n_done=_last(parts))


def _dynamics(results: CampaignResults, job: JobView) -> JobSteps:
    folders = work_folders(results, job)
    programme = _programme(JobSettings.of(results, job), job)
    known = JobSteps("dynamics", (), job.n_atoms, programme)
    if parts := _runs_of_vasp(folders):
        if programme is not None:
            parts = _conserving(parts, programme.n_before)
        return replace(known, parts=parts, n_done=_last(parts))
    if job.state != "done" and programme is not None and folders:
        recorded = read_checkpoints(folders[0], programme.n_before, programme.stride)
        parts = () if recorded is None else (_only_conserved(recorded, programme),)
        if n_done := max(checkpointed_step(folders[0]), _last(parts)):
            return replace(known, parts=parts, n_done=n_done)
    return _stored(results, job, known) if job.state in ("done", "failed") else known


def _stored(results: CampaignResults, job: JobView, known: JobSteps) -> JobSteps:
    """Of a job that has ended: the trajectory that it left in the folder of arrays."""
    programme = known.programme
    for file in array_files(results, [job.uuid]):
        part = read_trajectory(file.path, programme.n_before if programme else 0)
        if part is not None:
            parts = (_only_conserved(part, programme),)
            return replace(known, parts=parts, n_done=_last(parts))
    return known


def _last(parts: Iterable[Part]) -> int:
    return max((int(part.steps[-1]) for part in parts), default=0)


def _programme(settings: JobSettings, job: JobView) -> Programme | None:
    if (dynamics := settings.by_key.get("dynamics")) is None:
        return None
    timestep_fs = float(dynamics["timestep_fs"])

    def steps(time_ps: float) -> int:
        return round(time_ps * 1000 / timestep_fs)

    stride = max(steps(dynamics["frame_interval_fs"] / 1000), 1)
    glass = settings.by_key.get("amorphous")
    top_K = job.temperature_K if glass is None else settings.melt_temperature_K
    if top_K is None:
        return None
    start_K = min(_HEATED_FROM_K, top_K)
    if glass is None:
        heated = steps(dynamics["heating_ps"])
        before = heated + steps(dynamics["equilibration_ps"])
        most = before + steps(dynamics["production_ps"])
        corners = ((0, start_K), (heated, top_K), (most, top_K))
        return Programme(timestep_fs, corners, before, most, stride)
    heated = steps(glass["heating_ps"])
    held = heated + steps(glass["hold_ps"])
    most = held + steps(glass["quench_ps"])
    end_K = float(glass["quench_temperature_K"])
    corners_of_glass = ((0, start_K), (heated, top_K), (held, top_K), (most, end_K))
    return Programme(timestep_fs, corners_of_glass, heated, most, stride)


def _runs_of_vasp(folders: Iterable[Path]) -> tuple[Part, ...]:
    """Of each run with steps, in the folder that changed last and has any."""
    for folder in folders:
        runs = [run for run in (folder / KEPT_FILES).glob("*/") if ".interrupted-" not in run.name]
        parts: list[Part] = []
        for run in sorted(runs, key=lambda run: (_first_step(run.name) or 0, run.name)):
            file = located(run, "OSZICAR")
            if file is None or (found := read_oszicar(file)) is None:
                continue
            first = _first_step(run.name)
            if first is None:  # a relaxation follows on the one before
                first = _last(parts)
            parts.append(replace(found, name=run.name, steps=found.steps + first))
        if parts:
            return tuple(parts)
    return ()


def _first_step(run: str) -> int | None:
    """Of a piece of dynamics, in its folder's name; None of a relaxation."""
    _, is_piece, step = run.rpartition("-from-")
    return int(step) if is_piece and step.isdigit() else None


def _conserving(parts: Iterable[Part], n_before: int) -> tuple[Part, ...]:
    """The conserved energy from where there is one, going on from piece to piece.

    A thermostat that starts anew begins from another zero.
    """
    end_eV: float | None = None
    found = []
    for part in parts:
        conserved_eV = part.conserved_eV
        if conserved_eV is not None:
            conserved_eV = np.where(part.steps >= n_before, conserved_eV, np.nan)
            known = conserved_eV[np.isfinite(conserved_eV)]
            if len(known):
                conserved_eV = conserved_eV + (0.0 if end_eV is None else end_eV - known[0])
                end_eV = float(conserved_eV[np.isfinite(conserved_eV)][-1])
        found.append(replace(part, conserved_eV=conserved_eV))
    return tuple(found)


def _only_conserved(part: Part, programme: Programme | None) -> Part:
    """Without an energy that a changing thermostat does not conserve."""
    if programme is None or programme.is_constant or part.conserved_eV is None:
        return part
    (from_step, _), (to_step, _) = programme.corners[1:3]
    held = (part.steps >= from_step) & (part.steps <= to_step)
    return replace(part, conserved_eV=np.where(held, part.conserved_eV, np.nan))
