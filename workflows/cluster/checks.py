"""Is a cluster ready for a campaign? Looked at up to a job that comes back from its queue."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from screening.errors import InvalidInput, ScreeningError
from workflows.check import Check, guarded
from workflows.cluster.environment_checks import environment_checks, scratch
from workflows.cluster.project import cluster_called, project_file, read_project
from workflows.cluster.resource_checks import resources, workers_asked
from workflows.cluster.worker_shell import WorkerShell

if TYPE_CHECKING:
    from jobflow_remote.config.base import Project, WorkerConfig

    from workflows.cluster.settings import ClusterSettings, Host
    from workflows.config import CampaignConfig

TEST_JOB_LIMIT_S = 300.0
_SLOW_ROUND_TRIP_MS = 200
_OLDEST_MONGODB = 5
_COMMANDS = {
    "slurm": ("sbatch", "squeue", "scancel", "scontrol"),
    "pbs": ("qsub", "qstat", "qdel"),
    "sge": ("qsub", "qstat", "qdel", "qconf"),
    "shell": ("bash", "nohup", "ps", "kill"),
}
_SCHEDULER_ANSWERS = {
    "slurm": "sbatch --version && sinfo --noheader > /dev/null",
    "pbs": "qstat --version && qstat -Q > /dev/null",
    "sge": "qstat -help | head -n 1 && qconf -sql > /dev/null",
    "shell": "uname -sr",
}


def cluster_checks(
    config: CampaignConfig, labels: Callable[[], list[str]], *, test_job: bool
) -> Iterator[Check]:
    """All checks of the cluster that a campaign names.

    Args:
        config: of the campaign.
        labels: of the pseudopotentials that it needs.
        test_job: send a job through the queue at the end.
    """
    name = config.execution.cluster
    assert name is not None
    try:
        cluster = cluster_called(name)
        project = _project(project_file(name))
    except ScreeningError as error:
        yield Check("cluster", "fail", str(error), "correct execution.cluster, or make it known")
        return
    yield Check("cluster", "ok", f"{name}: {project_file(name)}")
    seen: list[Check] = []
    for check in _before_sending(config, cluster, project, labels):
        seen.append(check)
        yield check
    if test_job:
        failed = [check.name for check in seen if check.state == "fail"]
        if failed:
            found = f"not sent, for it needs: {', '.join(failed)}"
            yield Check("test job", "warn", found, "mend these, and run doctor again")
        else:
            yield from _test_jobs(cluster, workers_asked(config, cluster))


def _project(file: Path) -> Project:
    from jobflow_remote.config.base import Project
    from pydantic import ValidationError

    try:
        return Project.model_validate(read_project(file))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"]))
        raise InvalidInput(f"{file}: {place}: {detail['msg'].splitlines()[0]}") from error


def _before_sending(
    config: CampaignConfig,
    cluster: ClusterSettings,
    project: Project,
    labels: Callable[[], list[str]],
) -> Iterator[Check]:
    worker = project.workers[next(iter(project.workers))]
    shell = WorkerShell.of(worker)
    connection = guarded("connection", lambda: _connection(shell, cluster), _by_hand(cluster.host))
    yield connection
    if connection.state != "fail":
        try:
            yield from _on_the_worker(config, cluster, worker, shell, labels)
        finally:
            shell.host.close()
    yield guarded("queue database", lambda: _database(project, cluster), "look at it by hand")


def _on_the_worker(
    config: CampaignConfig,
    cluster: ClusterSettings,
    worker: WorkerConfig,
    shell: WorkerShell,
    labels: Callable[[], list[str]],
) -> Iterator[Check]:
    by_hand = "try it by hand on the cluster"
    if cluster.host is not None:
        yield guarded("login shell", lambda: _login_shell(shell, worker), by_hand)
    scheduler = guarded("scheduler", lambda: _scheduler(shell, cluster.scheduler), by_hand)
    yield scheduler
    if scheduler.state != "fail":
        yield guarded("resources", lambda: resources(config, cluster, shell), by_hand)
    yield from environment_checks(shell, cluster, config, labels)
    yield guarded("scratch", lambda: scratch(shell, cluster.scratch), "choose scratch")


def _connection(shell: WorkerShell, cluster: ClusterSettings) -> Check:
    if cluster.host is None:
        return Check("connection", "ok", f"none needed: this machine submits ({platform.node()})")
    start_s = time.monotonic()
    node = shell.run("uname -n").stdout.strip()
    seconds = time.monotonic() - start_s
    return Check("connection", "ok", f"{cluster.host.address} ({node}), {seconds:.1f} s")


def _by_hand(host: Host | None) -> str:
    if host is None:
        return "look at this machine by hand"
    words = ["ssh"]
    if host.gateway is not None:
        user = f"{host.gateway.user}@" if host.gateway.user else ""
        words += ["-J", f"{user}{host.gateway.address}"]
    if host.port is not None:
        words += ["-p", str(host.port)]
    if host.key_file is not None:
        words += ["-i", host.key_file]
    words.append(f"{host.user}@{host.address}" if host.user else host.address)
    return f"`{' '.join(words)} true` must work without a question; correct host"


def _login_shell(shell: WorkerShell, worker: WorkerConfig) -> Check:
    """Whether all that commands print is what they print."""
    stdout, stderr, _ = shell.host.execute("echo halideflow")
    if worker.sanitize_command:
        return Check(
            "login shell",
            "warn",
            "sanitize_command is on: commands lose their exit codes, and a scheduler that does not "
            "answer looks like one whose jobs have ended",
            "set sanitize_command: false in the project file, and silence the login shell instead",
        )
    noise = [line for line in stdout.splitlines() if line != "halideflow"]
    if noise or stderr.strip():
        told = " | ".join([*noise, *stderr.strip().splitlines()])
        shown = told if len(told) <= 200 else f"{told[:200]}…"
        return Check(
            "login shell",
            "fail" if noise or worker.scheduler_type == "shell" else "warn",  # ps fails by stderr
            f"prints with every command: {shown}",
            "let ~/.bashrc and ~/.bash_profile print in interactive shells only, by "
            "`[[ $- == *i* ]] || return` before what prints; else answers of the scheduler cannot "
            "be read",
        )
    return Check("login shell", "ok", "prints nothing of its own")


def _scheduler(shell: WorkerShell, scheduler: str) -> Check:
    needed = _COMMANDS[scheduler]
    lacking = [name for name in needed if shell.run(f"command -v {name}").code]
    if lacking:
        return Check(
            "scheduler",
            "fail",
            f"{scheduler}: no command {', '.join(lacking)}",
            "correct scheduler or host, or put the commands on the PATH of login shells",
        )
    answer = shell.run(_SCHEDULER_ANSWERS[scheduler])
    if answer.code:
        return Check("scheduler", "fail", f"{scheduler}: {answer.complaint}", "wait, or ask there")
    return Check("scheduler", "ok", answer.stdout.strip().splitlines()[0])


def _database(project: Project, cluster: ClusterSettings) -> Check:
    """Whether it can be written, and how long an answer takes."""
    from jobflow_remote.utils.data import store_from_dict
    from pymongo.errors import PyMongoError

    from workflows.cluster.stores import unavailable

    where = cluster.queue_database
    server = f"{where.host}:{where.port}"
    store = store_from_dict(project.queue.store)
    try:
        store.connect()
        collection = store._collection.database[f"halideflow_doctor_{uuid.uuid4().hex}"]
        try:
            start_s = time.monotonic()
            collection.insert_one({"written": True})
            round_trip_ms = 1000 * (time.monotonic() - start_s)
            collection.find_one({})
        finally:
            collection.drop()
        release = str(collection.database.client.server_info().get("version", "unknown"))
    except PyMongoError as error:
        found = str(unavailable(error, server, "queue_database of the cluster's file"))
        return Check("queue database", "fail", found, "the queue's jobs are kept there")
    finally:
        store.close()
    found = f"MongoDB {release} at {server}: writable, {round_trip_ms:.0f} ms a write"
    major = release.partition(".")[0]
    if major.isdigit() and int(major) < _OLDEST_MONGODB:
        return Check("queue database", "warn", found, f"needed: MongoDB {_OLDEST_MONGODB} or newer")
    if round_trip_ms > _SLOW_ROUND_TRIP_MS:
        return Check("queue database", "warn", found, "one nearer to this machine serves better")
    return Check("queue database", "ok", found)


def _test_jobs(cluster: ClusterSettings, workers: list[str]) -> Iterator[Check]:
    from workflows.cluster.trial import try_workers

    def look() -> Iterator[Check]:
        file = project_file(cluster.name)
        for trial in try_workers(cluster, file, workers, TEST_JOB_LIMIT_S):
            took = f"worker {trial.worker}: "
            match trial.end:
                case "back":
                    yield Check(
                        "test job",
                        "ok",
                        f"{took}ran on {trial.text} and came back after {trial.seconds:.0f} s",
                    )
                case "waiting":
                    yield Check(
                        "test job",
                        "warn",
                        f"{took}still waits after {trial.seconds:.0f} s, now cancelled: "
                        f"{trial.text}",
                        "a full queue is no error; try again later, or leave it out by "
                        "--no-test-job",
                    )
                case "failed":
                    yield Check(
                        "test job",
                        "fail",
                        f"{took}{trial.text}",
                        "mend what it says, and try again",
                    )

    try:
        yield from look()
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        yield Check("test job", "fail", found, "mend what it says, and try again")
