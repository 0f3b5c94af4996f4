"""Many short jobs become one job of the queue."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflows.config import CampaignConfig
    from workflows.execution.jobs import JobRow, Key
    from workflows.execution_settings import QueuedStage, StageResources

_N_RELAXATIONS = 250
_N_RUNS_ON_GPU = 16
"""Runs of dynamics that a process evaluates together."""
LINGER_S = 10.0
"""So long after the last job became ready, what there is goes, though there is room for more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs of one stage that ask for the same, and what they ask for."""

    stage: QueuedStage
    resources: StageResources
    jobs: tuple[JobRow, ...]
    n_processes: int
    cores_per_process: int

    @property
    def n_cores(self) -> int:
        """Of the allocation."""
        return self.n_processes * self.cores_per_process


class Batches:
    """Packs jobs that are ready.

    Args:
        config: the campaign, whose `execution` may change while it is run.
    """

    def __init__(self, config: CampaignConfig) -> None:
        self.config = config
        self._seen_s: dict[Key, float] = {}

    def ready(self, jobs: Sequence[JobRow]) -> list[Batch]:
        """Full ones, and others once no job has come for a while."""
        now_s = time.monotonic()
        groups: dict[tuple[QueuedStage, StageResources], list[JobRow]] = defaultdict(list)
        for job in jobs:
            self._seen_s.setdefault(job.key, now_s)
            stage: QueuedStage = job.stage  # type: ignore[assignment]  # the queue takes no others
            resources = self.config.execution.resources_for(stage, job.n_atoms)
            groups[stage, resources].append(job)
        found = []
        for (stage, resources), group in groups.items():
            size = self._size(stage, resources)
            newest_s = max(self._seen_s[job.key] for job in group)
            n_sent = len(group)
            if now_s - newest_s < LINGER_S:
                n_sent -= n_sent % size
            found += [
                self._batch(stage, resources, group[start : start + size])
                for start in range(0, n_sent, size)
            ]
        return found

    def sent(self, batch: Batch) -> None:
        """These jobs are gone."""
        for job in batch.jobs:
            self._seen_s.pop(job.key, None)

    def _size(self, stage: QueuedStage, resources: StageResources) -> int:
        if resources.jobs_per_queue_job is not None:
            return resources.jobs_per_queue_job
        if self.config.engine.runs_vasp:
            return 1
        if stage == "relax":
            return _N_RELAXATIONS
        return resources.tasks * (_N_RUNS_ON_GPU if resources.gpus else 1)

    def _batch(
        self, stage: QueuedStage, resources: StageResources, jobs: Sequence[JobRow]
    ) -> Batch:
        if self.config.engine.name == "vasp":  # whose ranks are the tasks
            return Batch(stage, resources, tuple(jobs), 1, resources.n_cores)
        n_processes = min(resources.tasks, len(jobs))
        share = n_processes / resources.tasks
        memory_GB = None if resources.memory_GB is None else share * resources.memory_GB
        fewer = resources.model_copy(update={"tasks": n_processes, "memory_GB": memory_GB})
        return Batch(stage, fewer, tuple(jobs), n_processes, resources.cores_per_task)
