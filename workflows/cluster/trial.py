"""A job that does next to nothing, sent all the way through jobflow-remote and the queue.

It has a project of its own, as a campaign has; nothing is left of it afterwards, here, in the queue
database or on the cluster.
"""

from __future__ import annotations

import contextlib
import logging
import platform
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jobflow import Job
from jobflow_remote.jobs.runner import Runner
from jobflow_remote.jobs.state import JobState

from workflows.cluster.campaign_project import CampaignProject, campaign_project, open_queue
from workflows.cluster.worker_shell import WorkerShell, without_stdin
from workflows.config import StoreSettings
from workflows.execution_settings import StageResources
from workflows.results import ResultsFolder

if TYPE_CHECKING:
    from jobflow_remote.jobs.data import JobInfo

    from workflows.cluster.settings import ClusterSettings

_LOOK_EVERY_S = 1.0
_WALL_TIME_H = 0.1
_STEPS = [
    state.value
    for state in (
        JobState.CHECKED_OUT,
        JobState.UPLOADED,
        JobState.RUN_FINISHED,
        JobState.DOWNLOADED,
    )
]
_LAST_LINES = 3
_ERROR = re.compile(r"[A-Za-z_.]+( error)?: ")
_REASON = {
    "slurm": "squeue --noheader --jobs={} --format='%T, %r'",
    "pbs": "qstat -f {} | grep -E 'job_state|comment' | tr -s ' \\n' ' '",
}


@dataclass(frozen=True)
class Trial:
    """What became of the job of one worker.

    Args:
        worker: that it was sent to.
        end: came back, failed, or still waits.
        text: the machine that it ran on, or what is known of why.
        seconds: that it took, or was waited for.
    """

    worker: str
    end: Literal["back", "failed", "waiting"]
    text: str
    seconds: float


def try_workers(
    cluster: ClusterSettings, project_file: Path, workers: Iterable[str], limit_s: float
) -> list[Trial]:
    """Send a job to each worker, all at once, and wait for them.

    Args:
        cluster: whose workers they are.
        project_file: of the cluster.
        workers: their names.
        limit_s: that is waited.

    Raises:
        ScreeningError: nothing could be sent.
    """
    with tempfile.TemporaryDirectory(prefix="halideflow-doctor-") as folder:
        project = campaign_project(
            cluster, project_file, "doctor", ResultsFolder(Path(folder)), StoreSettings()
        )
        open_queue(project).close()
        with _quiet(), project.selected(), project.database_errors():
            runner = Runner(project.name)
            for host in runner.hosts.values():
                without_stdin(host)
            try:
                return list(_trials(runner, project, workers, limit_s))
            finally:
                _remove(runner, project)


def _trials(
    runner: Runner, project: CampaignProject, workers: Iterable[str], limit_s: float
) -> Iterator[Trial]:
    controller = runner.job_controller
    started_s = time.monotonic()
    jobs: dict[str, Job] = {}
    for worker in dict.fromkeys(workers):
        resources = StageResources(worker=worker, wall_time_h=_WALL_TIME_H)
        jobs[worker] = Job(platform.node, name="halideflow doctor")
        controller.add_flow(jobs[worker], worker, resources=project.queue_resources(resources))
    while jobs:
        runner.checkout()
        runner.advance_state(_STEPS)
        runner.check_run_status()
        seconds = time.monotonic() - started_s
        for worker, job in list(jobs.items()):
            info = controller.get_job_info(job_id=job.uuid)
            assert info is not None
            if info.state == JobState.COMPLETED:
                node = controller.jobstore.get_output(job.uuid)
                yield Trial(worker, "back", str(node), seconds)
            elif error := info.error or info.remote.error:
                yield Trial(worker, "failed", _why(runner, info, error), seconds)
            elif seconds > limit_s:
                yield Trial(worker, "waiting", _reason(runner, info), seconds)
                _cancel(runner, info)
            else:
                continue
            del jobs[worker]
        if jobs:
            time.sleep(_LOOK_EVERY_S)


def _why(runner: Runner, info: JobInfo, error: str) -> str:
    """The error that a traceback ends with, and the last lines of what the job printed."""
    lines = error.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if _ERROR.match(line)]
    told = lines[starts[-1] if starts else -1 :]
    if info.run_dir:
        shell = WorkerShell(runner.get_host(info.worker), "")
        tail = shell.run(f"tail -n {_LAST_LINES} {info.run_dir}/queue.err 2>/dev/null")
        told += tail.stdout.strip().splitlines()
    return " | ".join(line.strip() for line in told)


def _reason(runner: Runner, info: JobInfo) -> str:
    """Where it is, and why it is there, in the scheduler's words."""
    identifier = info.remote.process_id
    scheduler = str(runner.get_worker(info.worker).scheduler_type)
    if identifier is None:
        return f"not submitted yet ({info.state.value})"
    if scheduler not in _REASON:
        return f"submitted as {identifier} ({info.state.value})"
    shell = WorkerShell(runner.get_host(info.worker), "")
    said = shell.run(_REASON[scheduler].format(identifier)).stdout.strip()
    return f"submitted as {identifier}: {said or info.state.value}"


def _cancel(runner: Runner, info: JobInfo) -> None:
    if info.remote.process_id is not None:
        runner.get_queue_manager(info.worker).cancel(info.remote.process_id)


def _remove(runner: Runner, project: CampaignProject) -> None:
    """All that there is of the project but its folder here."""
    controller = runner.job_controller
    for worker in project.project.workers:
        with contextlib.suppress(Exception):  # nothing was put there, or nothing can be removed
            folder = project.scratch(worker)
            host = runner.get_host(worker)
            if host.exists(str(folder)):
                host.rmtree(str(folder))
    for collection in (
        controller.jobs,
        controller.flows,
        controller.auxiliary,
        controller.batches,
    ):
        with contextlib.suppress(Exception):
            collection.drop()
    runner.cleanup()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A runner that is a guest in this process: it sets up no logging and prints nothing."""
    module: Any = sys.modules[Runner.__module__]
    logger = logging.getLogger("jobflow_remote")
    propagates, logger.propagate = logger.propagate, False
    silence = logging.NullHandler()
    logger.addHandler(silence)
    set_up = module.initialize_runner_logger
    module.initialize_runner_logger = lambda *_, **__: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        module.initialize_runner_logger = set_up
        logger.removeHandler(silence)
        logger.propagate = propagates
