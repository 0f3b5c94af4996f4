"""The process that runs a campaign on a cluster: it hands out jobs and takes in what they answer.

It may be stopped or killed at any time. What is in the queue goes on without it, and the next one
finds everything in the campaign's table, in jobflow-remote and on the cluster.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from screening.errors import NotFinished
from workflows.cluster.queue import ClusterQueue
from workflows.cluster.queue_jobs import QueueJobs
from workflows.cluster.runner import RunnerProcess
from workflows.cluster.site import Site
from workflows.config_file import (
    load_campaign,
    read_structures,
    resolve_references,
    results_folder,
)
from workflows.cost.cores import cores_here
from workflows.execution.notes import TROUBLES, Note, NoteName, Notes
from workflows.results import ResultsFolder
from workflows.run import run_campaign

if TYPE_CHECKING:
    from jobflow import JobStore

    from workflows.execution.events import JobEvent, Summary
    from workflows.execution.jobs import JobTable
    from workflows.execution_settings import ExecutionSettings

_MOST_WORKERS = 4
"""Processes here, for stages of seconds: a login node is not ours alone."""
_STOP_WITHIN_S = 90.0


def drive(
    campaign: Path,
    retry_failed: bool = False,
    on_event: Callable[[JobEvent], None] = lambda event: None,
) -> Summary:
    """Run a campaign with the cluster that it names, to its end or until Ctrl-C.

    Raises:
        InvalidInput: it names none, or one that there is not.
        Unavailable: the queue database does not answer.
        NotFinished: another process is running it.
    """
    warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)  # jobflow-remote's use
    config = resolve_references(load_campaign(campaign), campaign)
    folder = ResultsFolder(results_folder(campaign, config))

    @contextlib.contextmanager
    def open_queue(table: JobTable, store: JobStore) -> Iterator[ClusterQueue]:
        notes = Notes(table)
        _forget(notes)
        site = Site.of(config, folder, store, notes, bool(QueueJobs(table).open()))
        site.prepare()
        runner = RunnerProcess(
            site.project_name, site.projects_folder, folder.cluster / "runner.log", site.unlock
        )
        queue = ClusterQueue(table, site, config, lambda: _execution(campaign), runner)
        notes.write("work_root", site.work_root(site.worker(None)))
        notes.write("driver", f"process {os.getpid()} on {socket.gethostname()}")
        try:
            yield queue
        finally:
            runner.stop()
            _forget(notes)

    return run_campaign(
        config,
        campaign,
        read_structures(config, campaign),
        folder,
        min(_MOST_WORKERS, cores_here()),
        retry_failed,
        on_event,
        open_queue,
    )


def _forget(notes: Notes) -> None:
    """What one driver noted of its own is nothing to the next."""
    names: tuple[NoteName, ...] = ("driver", "sent", *TROUBLES)
    for name in names:
        notes.write(name, None)


def _execution(campaign: Path) -> ExecutionSettings:
    return load_campaign(campaign).execution


def start_in_background(
    campaign: Path, folder: ResultsFolder, retry_failed: bool
) -> subprocess.Popen[bytes]:
    """Start `halideflow submit --wait` so that it outlives this terminal."""
    folder.cluster.mkdir(parents=True, exist_ok=True)
    with driver_log(folder).open("ab") as log:
        return subprocess.Popen(  # noqa: S603  our own interpreter and module
            [
                *(sys.executable, "-m", "workflows.cli", "submit", str(campaign.absolute())),
                *("--wait", *(["--retry-failed"] if retry_failed else [])),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def driver_log(folder: ResultsFolder) -> Path:
    """What a driver in the background prints."""
    return folder.cluster / "driver.log"


def stop_running(folder: ResultsFolder, notes: Notes) -> str | None:
    """End the driver that runs a campaign, which leaves its jobs in the queue; its name, if any.

    Raises:
        NotFinished: what runs the campaign is no driver, or is on another machine, or stays.
    """
    if not folder.is_being_run():
        return None
    note = notes.all().get("driver")
    pid = folder.runner_pid()
    if note is None or (note.text.endswith(f" on {socket.gethostname()}") and pid != _pid_in(note)):
        raise NotFinished(
            f"{folder.path}: process {pid} is running this campaign and is no driver: `halideflow "
            "run`, or a `submit` that has just begun; wait for it, or stop it and submit again"
        )
    if not note.text.endswith(f" on {socket.gethostname()}"):
        raise NotFinished(
            f"{folder.path}: {note.text} drives this campaign; stop it there (kill "
            f"{_pid_in(note)}), then submit again"
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(_pid_in(note), signal.SIGTERM)
    give_up_s = time.monotonic() + _STOP_WITHIN_S
    while folder.is_being_run():
        if time.monotonic() > give_up_s:
            raise NotFinished(f"{folder.path}: {note.text} does not end; kill it and submit again")
        time.sleep(0.2)
    return note.text


def _pid_in(note: Note) -> int:
    """Of the process that wrote a note `process PID on HOST`."""
    return int(note.text.split()[1])
