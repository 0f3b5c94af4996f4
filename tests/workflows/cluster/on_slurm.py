"""Campaigns on a Slurm of the tests: the cluster's file, and what people would type."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from campaigns import halideflow
from queue_database import NAME, QueueDatabase
from slurm import SlurmCluster

CLUSTER = """\
name: ci
scheduler: slurm
scratch: {scratch}
polling_s: 1
before: ["export OMP_NUM_THREADS=1"]
workers: {{main: {{queue: main}}}}
queue_database: {{host: {host}, port: {port}, database: {database}}}
"""


@contextmanager
def cluster_of(slurm: SlurmCluster, database: QueueDatabase, folder: Path) -> Iterator[Path]:
    """What `halideflow cluster init` makes of a file; the scratch folder."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch, projects = folder / "scratch", folder / "projects"
    scratch.mkdir()
    projects.mkdir()
    file = folder / "cluster.yaml"
    where = {"host": database.host, "port": database.port, "database": NAME}
    file.write_text(CLUSTER.format(scratch=scratch, **where))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in slurm.environment.items():
            patch.setenv(name, value)
        patch.setenv("JFREMOTE_PROJECTS_FOLDER", str(projects))
        made = halideflow("cluster", "init", file)
        assert made.returncode == 0, made.stderr
        yield scratch


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


def queue_ids(config: Path, stage: str) -> list[str]:
    """Ids in Slurm of the queue's jobs of a stage that run now."""
    sql = "select queue_id from queue_jobs where stage = ? and state = 'running'"
    return [identifier for (identifier,) in select(config, sql, stage) if identifier]


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


def kill(config: Path) -> None:
    """-9 for all of them."""
    for process in drivers(config):
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    until(lambda: not drivers(config), "the driver is gone")
