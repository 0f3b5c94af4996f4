"""Campaigns that `cluster.py` submits: their cluster, their processes, what these take.

The cluster's project of jobflow-remote has a twin of which Halideflow knows nothing: the peer.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

sys.path.append(str(Path(__file__).parents[1] / "tests" / "workflows" / "cluster"))
from queue_database import NAME, QueueDatabase

if TYPE_CHECKING:
    from jobflow_remote import JobController

ALONE = "alone"
"""Project of jobflow-remote, derived from that of the cluster, which knows nothing of us."""

CLUSTER = """\
name: bench
scheduler: {scheduler}
scratch: {folder}/scratch
polling_s: 1
before: {before}
workers: {{main: {worker}}}
queue_database: {{host: {host}, port: {port}, database: {database}}}
"""


@dataclass
class Part:
    """What one half of this finds."""

    ratios: dict[str, float]
    correct: bool
    found: dict[str, Any]


def init_cluster(
    folder: Path, database: QueueDatabase, scheduler: str, before: list[str], worker: dict[str, Any]
) -> None:
    """`halideflow cluster init`."""
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    file = folder / "cluster.yaml"
    where = {"host": database.host, "port": database.port, "database": NAME}
    file.write_text(
        CLUSTER.format(
            scheduler=scheduler,
            folder=folder,
            before=json.dumps(before),
            worker=json.dumps(worker),
            **where,
        )
    )
    command = [sys.executable, "-m", "workflows.cli", "cluster", "init", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def project_alone(folder: Path) -> JobController:
    """jobflow-remote's own project on the same cluster: what differs is what runs in a job."""
    from jobflow_remote.config.manager import ConfigManager

    from workflows.cluster.project import as_yaml, project_file, read_project
    from workflows.cluster.translation import collections_of

    project = read_project(project_file("bench"))
    for worker in project["workers"].values():
        del worker["execution_cmd"]
        worker["work_dir"] = f"{folder}/scratch/{ALONE}"
    project["queue"]["store"]["collection_name"] = f"{ALONE}_jobs"
    project |= {"name": ALONE, "queue": {**project["queue"], **collections_of(ALONE)}}
    project_file(ALONE).write_text(as_yaml(project))
    controller = ConfigManager().get_project(ALONE).get_job_controller()
    controller.reset(max_limit=0)
    return controller


def rows(config: Path, sql: str) -> list[tuple[Any, ...]]:
    """Of a campaign's tables; none as long as there are no tables."""
    database = config.with_suffix("") / "results.sqlite"
    uri = f"{database.as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=60)) as connection:
            return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return []


def energies_eV_per_atom(config: Path) -> dict[str, float]:
    """Of a campaign's relaxations, by uuid."""
    from workflows.config import StoreSettings
    from workflows.results import ResultsFolder

    store = ResultsFolder(config.with_suffix("")).job_store(StoreSettings(), read_only=True)
    uuids = [uuid for (uuid,) in rows(config, "select uuid from jobs where stage = 'relax'")]
    return energies_in(store.query({"uuid": {"$in": uuids}}))


def energies_in(documents: Any) -> dict[str, float]:
    """Of relaxations in a store, by uuid."""
    return {
        document["uuid"]: document["output"]["result"]["energy_eV_per_atom"]
        for document in documents
        if document["output"]["result"]
    }


# Processes.


@dataclass
class Spent:
    """What the processes behind `halideflow submit` took."""

    wall_s: float = 0.0
    peak_GB: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def submitting(config: Path) -> Iterator[psutil.Popen]:
    """`halideflow submit --wait`; whatever of it is left at the end is killed."""
    with config.with_suffix(".log").open("w") as log:
        driver = psutil.Popen(
            [sys.executable, "-m", "workflows.cli", "submit", str(config), "--wait"],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield driver
    finally:
        for process in [driver, *_children(driver)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        driver.wait()


def watch(driver: psutil.Popen, config: Path, until: Callable[[], bool]) -> Spent:
    """What it takes until something holds.

    Raises:
        RuntimeError: it has ended, and that does still not hold.
    """
    start_s = time.perf_counter() - (time.time() - driver.create_time())
    spent = Spent()
    by_process: dict[psutil.Process, tuple[str, float]] = {}
    while True:
        has_ended = driver.poll() is not None
        bytes_now = 0
        for process in [driver, *_children(driver)]:
            with contextlib.suppress(psutil.Error):
                bytes_now += process.memory_info().rss
                times = process.cpu_times()
                by_process[process] = _role(process, driver), times.user + times.system
        spent.peak_GB = max(spent.peak_GB, bytes_now / 1e9)
        spent.wall_s = time.perf_counter() - start_s
        if until():
            break
        if has_ended:
            raise RuntimeError(config.with_suffix(".log").read_text()[-3000:])
        time.sleep(0.2)
    total_s: dict[str, float] = defaultdict(float)
    for role, cpu_s in by_process.values():
        total_s[role] += cpu_s
    spent.cpu_s = dict(total_s)
    return spent


def _children(driver: psutil.Popen) -> list[psutil.Process]:
    try:
        return driver.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _role(process: psutil.Process, driver: psutil.Popen) -> str:
    if process == driver:
        return "driver"
    return "runner" if "workflows.cluster.runner" in process.cmdline() else "workers"
