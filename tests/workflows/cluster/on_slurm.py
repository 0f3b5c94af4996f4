"""Campaigns on a Slurm of the tests: the cluster's file, and what people would type."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from campaigns import halideflow
from queue_database import NAME, QueueDatabase
from slurm import SlurmCluster

from workflows.cluster.answers import ANSWERS, Answer, read
from workflows.cluster.project import as_yaml, read_project

CLUSTER = """\
name: ci
scheduler: slurm
host: {host}
environment: {environment}
scratch: {scratch}
polling_s: 1
before: ["export OMP_NUM_THREADS=1"]
workers: {workers}
queue_database: {{host: {server}, port: {port}, database: {database}}}
"""


@contextlib.contextmanager
def cluster_of(
    slurm: SlurmCluster,
    database: QueueDatabase,
    folder: Path,
    workers: str = "{main: {queue: main}}",
    host: str = "null",
) -> Iterator[Path]:
    """What `halideflow cluster init` makes of a file; the scratch folder."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch, projects = folder / "scratch", folder / "projects"
    scratch.mkdir(exist_ok=True)
    projects.mkdir()
    file = folder / "cluster.yaml"
    file.write_text(
        CLUSTER.format(
            host=host,
            environment=sys.prefix,
            scratch=scratch,
            workers=workers,
            server=database.host,
            port=database.port,
            database=NAME,
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in slurm.environment.items():
            patch.setenv(name, value)
        patch.setenv("JFREMOTE_PROJECTS_FOLDER", str(projects))
        made = halideflow("cluster", "init", file)
        assert made.returncode == 0, made.stderr
        try:
            yield scratch
        finally:
            _end_drivers(projects)


def _end_drivers(projects: Path) -> None:
    """Of campaigns that a failed test left, with the children that die with them."""
    for process in psutil.process_iter(["environ", "cmdline"]):
        environment, command = process.info["environ"] or {}, process.info["cmdline"] or []
        if environment.get("JFREMOTE_PROJECTS_FOLDER") == str(projects) and "submit" in command:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def edit_project(folder: Path, worker: str, **resources: str) -> None:
    """Change what a worker asks the queue for in jobflow-remote's file, as one might by hand."""
    file = folder / "projects" / "ci.yaml"
    project = read_project(file)
    project["workers"][worker]["resources"] |= resources
    file.write_text(as_yaml(project))


def sent_to(config: Path, **execution: object) -> Path:
    """The campaign file, with a cluster and what else `execution` says."""
    import json

    text = config.read_text().split("\nexecution:")[0]
    config.write_text(f"{text}\nexecution: {json.dumps({'cluster': 'ci', **execution})}\n")
    return config


def select(config: Path, sql: str, *parameters: object) -> list[tuple]:
    """Rows of the campaign's tables."""
    database = config.with_suffix("") / "results.sqlite"
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, parameters).fetchall()


def states(config: Path, stage: str) -> list[str]:
    """Of the jobs of a stage."""
    return [state for (state,) in select(config, "select state from jobs where stage = ?", stage)]


def codes(config: Path) -> set[str]:
    """Of the jobs that have failed."""
    return {code for (code,) in select(config, "select code from jobs where state = 'failed'")}


def queue_ids(config: Path, stage: str) -> list[str]:
    """Ids in Slurm of the queue's jobs of a stage that run now."""
    sql = "select queue_id from queue_jobs where stage = ? and state = 'running'"
    return [identifier for (identifier,) in select(config, sql, stage) if identifier]


def processes_of(queue_id: str) -> list[psutil.Process]:
    """What runs in a job of the queue."""
    return [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get("SLURM_JOB_ID") == queue_id
    ]


def freeze(queue_id: str) -> list[psutil.Process]:
    """Let a job hang until its processes are resumed."""
    processes = processes_of(queue_id)
    for process in processes:
        process.suspend()
    return processes


def until(condition: Callable[[], object], what: str, seconds: float = 180) -> None:
    """Wait."""
    give_up_s = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except sqlite3.OperationalError:  # no table yet
            pass
        assert time.monotonic() < give_up_s, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


def drivers(config: Path) -> list[psutil.Process]:
    """Processes on this machine that run a campaign on a cluster, and their children."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "submit" in command and str(config.absolute()) in command:
            found += [process, *process.children(recursive=True)]
    return found


def runners(config: Path) -> list[int]:
    """Ids of the processes of jobflow-remote that carry a campaign's jobs."""
    found = []
    for process in drivers(config):
        with contextlib.suppress(psutil.Error):
            if "workflows.cluster.runner" in process.cmdline():
                found.append(process.pid)
    return found


def kill(config: Path) -> None:
    """-9 for all of them."""
    for process in drivers(config):
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    until(lambda: not drivers(config), "the driver is gone")


def notes(config: Path) -> dict[str, str]:
    """What whoever runs the campaign noted."""
    return dict(select(config, "select name, text from notes"))


def answered(config: Path, stage: str) -> Counter[tuple[str, int]]:
    """How often each job of a stage was answered, as the files on the scratch say."""
    found: Counter[tuple[str, int]] = Counter()
    sql = "select run_dir from queue_jobs where stage = ? and run_dir is not null"
    for (folder,) in select(config, sql, stage):
        file = Path(folder) / ANSWERS
        content = file.read_bytes() if file.exists() else b""
        found.update(record.key for record, _ in read(content) if isinstance(record, Answer))
    return found
