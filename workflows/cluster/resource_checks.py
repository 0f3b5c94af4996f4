"""What a campaign asks queues for, against what they give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from screening.errors import InvalidInput
from workflows.check import Check
from workflows.cluster.limits import Limits, queue_limits
from workflows.cluster.resources import resources_for_queue
from workflows.execution_settings import QUEUED_STAGES

if TYPE_CHECKING:
    from workflows.cluster.settings import ClusterSettings
    from workflows.cluster.worker_shell import WorkerShell
    from workflows.config import CampaignConfig
    from workflows.execution_settings import StageResources


@dataclass(frozen=True)
class _Asked:
    """What jobs of a stage ask for, from a size of cells on."""

    stage: str
    from_atoms: int | None
    resources: StageResources

    def __str__(self) -> str:
        return self.stage if self.from_atoms is None else f"{self.stage} from {self.from_atoms}"


def _asked(config: CampaignConfig) -> Iterator[_Asked]:
    """For every size of cells at which something changes."""
    runs = {"relax": True, "dynamics": config.dynamics, "quench": config.amorphous}
    for stage in QUEUED_STAGES:
        if runs[stage]:
            rules = getattr(config.execution.resources, stage).larger
            for n_atoms in (None, *sorted({rule.from_atoms for rule in rules})):
                yield _Asked(stage, n_atoms, config.execution.resources_for(stage, n_atoms))


def workers_asked(config: CampaignConfig, cluster: ClusterSettings) -> list[str]:
    """Workers that the campaign sends jobs to."""
    names = (asked.resources.worker or cluster.default_worker for asked in _asked(config))
    return list(dict.fromkeys(names))


def resources(config: CampaignConfig, cluster: ClusterSettings, shell: WorkerShell) -> Check:
    """What the campaign asks for against what the queues give."""
    from workflows.yaml_models import nearest

    problems, untimed = [], []
    limits: dict[str, Limits] = {}
    for asked in _asked(config):
        worker = asked.resources.worker or cluster.default_worker
        if worker not in cluster.workers:
            known = ", ".join(cluster.workers)
            hint = nearest(worker, cluster.workers)
            problems.append(f'{asked}: no worker "{worker}";{hint} allowed: {known}')
            continue
        try:
            if worker not in limits:
                queue = cluster.workers[worker].queue
                limits[worker] = queue_limits(shell, cluster.scheduler, queue)
            resources_for_queue(asked.resources, worker, cluster)
        except InvalidInput as error:
            problems.append(f"{asked}: {error}")
            continue
        problems += [f"{asked}: {text}" for text in limits[worker].complaints(asked.resources)]
        is_timed = asked.resources.wall_time_h is not None or cluster.scheduler == "shell"
        if not (is_timed or limits[worker].is_endless):
            untimed.append(str(asked))
    queues = [
        f"{worker}: {limit}"
        if limit.queue in {None, worker}
        else f"{worker} ({limit.queue}): {limit}"
        for worker, limit in limits.items()
    ]
    if cluster.scheduler == "shell":
        queues = ["no queue: jobs start at once"]
    if problems:
        return Check(
            "resources",
            "fail",
            "; ".join(dict.fromkeys(problems)),
            "correct execution.resources of the campaign, or the cluster's file; the queues: "
            + "; ".join(queues),
        )
    if closed := [worker for worker, limit in limits.items() if not limit.is_open]:
        return Check("resources", "warn", f"{', '.join(closed)}: takes no jobs now", "wait")
    if untimed:
        return Check(
            "resources",
            "warn",
            f"no wall time for {', '.join(untimed)}: the queue's default ends these jobs",
            "set execution.wall_time_h, so that they stop cleanly before; the queues: "
            + "; ".join(queues),
        )
    return Check("resources", "ok", "; ".join(queues))
