"""What a campaign file says of how jobs are run: commands, wall times, resources; no results."""

from __future__ import annotations

import shlex
from typing import Literal, Self

from pydantic import Field, model_validator

from screening.ordering_settings import Settings

QueuedStage = Literal["relax", "dynamics", "quench"]
QUEUED_STAGES: tuple[QueuedStage, ...] = ("relax", "dynamics", "quench")
"""Stages that cost core-hours; all others take seconds and run where `halideflow submit` runs."""


class SizeRule(Settings):
    """What jobs of large cells get otherwise; the last rule that applies decides."""

    from_atoms: int = Field(ge=1, description="for cells of so many atoms or more")
    worker: str | None = Field(default=None, min_length=1, description="instead of the stage's")
    nodes: int | None = Field(default=None, ge=1, description="instead of the stage's")
    tasks: int | None = Field(default=None, ge=1, description="instead of the stage's")
    cores_per_task: int | None = Field(default=None, ge=1, description="instead of the stage's")
    gpus: int | None = Field(default=None, ge=0, description="instead of the stage's")
    memory_GB: float | None = Field(default=None, gt=0, description="instead of the stage's")
    wall_time_h: float | None = Field(default=None, gt=0, description="instead of the stage's")


class StageResources(Settings):
    """What a job of one stage asks the queue of a cluster for."""

    worker: str | None = Field(
        default=None, min_length=1, description="of the cluster's file; default: its first"
    )
    nodes: int = Field(default=1, ge=1, description="that the tasks are spread over")
    tasks: int = Field(
        default=1,
        ge=1,
        description="in all: MPI ranks of VASP, or processes of the embedded potential",
    )
    cores_per_task: int = Field(default=1, ge=1, description="threads of each")
    gpus: int = Field(default=0, ge=0, description="in all")
    memory_GB: float | None = Field(
        default=None, gt=0, description="in all; default: what the queue gives"
    )
    wall_time_h: float | None = Field(
        default=None, gt=0, description="default: execution.wall_time_h"
    )
    jobs_per_queue_job: int | None = Field(
        default=None,
        ge=1,
        description="default: with VASP 1; with the embedded potential 250 relaxations, or as many "
        "runs of dynamics as there are tasks (16 times as many on GPUs)",
    )
    larger: tuple[SizeRule, ...] = Field(
        default=(), description="rules by cell size, such as [{from_atoms: 100, tasks: 64}]"
    )

    @property
    def n_cores(self) -> int:
        """That one job of the queue takes."""
        return self.tasks * self.cores_per_task

    def for_cell(self, n_atoms: int | None) -> StageResources:
        """With the rules for a cell of this size applied."""
        changed = self
        for rule in self.larger:
            if n_atoms is not None and n_atoms >= rule.from_atoms:
                update = rule.model_dump(exclude_none=True, exclude={"from_atoms"})
                changed = changed.model_copy(update=update)
        return changed


class ResourceSettings(Settings):
    """Resources by stage, for `halideflow submit`; stages not named here take seconds."""

    relax: StageResources = Field(default=StageResources(), description="relaxations")
    dynamics: StageResources = Field(default=StageResources(), description="molecular dynamics")
    quench: StageResources = Field(default=StageResources(), description="glasses being made")


class ExecutionSettings(Settings):
    """How jobs are run; decides no result."""

    vasp_command: str | None = Field(
        default=None,
        min_length=1,
        description="engine vasp: such as srun vasp_std; default: VASP_CMD of atomate2's settings",
    )
    vasp_gamma_command: str | None = Field(
        default=None,
        min_length=1,
        description="engine vasp, at Γ only: such as srun vasp_gam; default: vasp_command, or "
        "VASP_GAMMA_CMD of atomate2's settings",
    )
    wall_time_h: float | None = Field(
        default=None,
        gt=0,
        description="that one job may take; VASP is asked to stop cleanly before. null: no limit",
    )
    stop_before_min: float = Field(
        default=5.0,
        gt=0,
        description="how long before the wall time; three ionic steps where they take longer",
    )
    vasp_files: Literal["keep", "compress", "delete"] = Field(
        default="compress",
        description="what becomes of VASP's large files once they have been read: kept as they "
        "are, gzipped, or deleted (inputs, CONTCAR and OSZICAR stay)",
    )
    cluster: str | None = Field(
        default=None,
        min_length=1,
        description="where `halideflow submit` sends jobs: the name in the file that `halideflow "
        "cluster init` was given",
    )
    resources: ResourceSettings = Field(
        default=ResourceSettings(), description="that jobs ask the queue for, by stage"
    )
    budget_core_hours: float | None = Field(
        default=None,
        gt=0,
        description="once so much is spent, or promised to jobs in the queue, no more are started; "
        "null: no limit",
    )

    @model_validator(mode="after")
    def _commands_can_be_read(self) -> Self:
        for key in ("vasp_command", "vasp_gamma_command"):
            try:
                shlex.split(getattr(self, key) or "")
            except ValueError as error:
                raise ValueError(f"{key} cannot be read as a command: {error}") from error
        return self

    @model_validator(mode="after")
    def _time_is_left(self) -> Self:
        given = [("wall_time_h", self.wall_time_h)]
        for stage in QUEUED_STAGES:
            resources: StageResources = getattr(self.resources, stage)
            given.append((f"resources.{stage}.wall_time_h", resources.wall_time_h))
            given += [
                (f"resources.{stage}.larger[{number}].wall_time_h", rule.wall_time_h)
                for number, rule in enumerate(resources.larger)
            ]
        for key, hours in given:
            if hours is not None and self.stop_before_min >= 60 * hours:
                raise ValueError(
                    f"stop_before_min={self.stop_before_min:g} leaves nothing of "
                    f"{key}={hours:g}; make it shorter"
                )
        return self

    def resources_for(self, stage: QueuedStage, n_atoms: int | None) -> StageResources:
        """What a job of a stage asks for, with its cell's size and the wall time settled."""
        resources: StageResources = getattr(self.resources, stage)
        resources = resources.for_cell(n_atoms)
        if resources.wall_time_h is None:
            resources = resources.model_copy(update={"wall_time_h": self.wall_time_h})
        return resources
