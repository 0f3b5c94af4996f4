"""A warm worker process: imports once, then runs one job after the other."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

import orjson

from screening.documents import StageDocument
from screening.errors import ScreeningError
from workflows.execution.jobs import JobRecord, Key, Outcome, SpawnKind
from workflows.execution.progress import listen
from workflows.stages.boundary import LOG_TAIL_LINES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from jobflow import Flow, Job, JobStore, Response

LOG_NAME = "job.log"


@dataclass(frozen=True, slots=True)
class Started:
    """Work for a worker: one job and the folder it runs in."""

    key: Key
    spec: bytes
    folder: Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the worker's current job has come, 0 to 1."""

    fraction: float


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has imported what it needs and reached the store."""


def work(connection: Connection, store: JobStore, preload: tuple[str, ...]) -> None:
    """Run jobs from `connection` until it sends None or the parent dies.

    Args:
        connection: says `Ready` once, gets `Started`, answers with `Progress` while a job runs and
            `Outcome` after it.
        store: where outputs go; connected here.
        preload: modules to import before the first job, so that it starts warm.
    """
    _die_with_parent()
    for module in preload:
        importlib.import_module(module)
    store.connect()
    listen(lambda fraction: connection.send(Progress(fraction)))
    connection.send(Ready())
    while (started := connection.recv()) is not None:
        connection.send(_run(started, store))


def record_of(job: Job, parents: list[str], kind: SpawnKind | None = None) -> JobRecord:
    """The table's view of a job; `parents` are the uuids that it waits for."""
    return JobRecord(
        uuid=job.uuid,
        index=job.index,
        name=job.name,
        stage=job.metadata.get("stage"),
        candidate=job.metadata.get("candidate"),
        parents=tuple(parents),
        on_missing=job.config.on_missing_references.value,
        spec=orjson.dumps(job.as_dict(), option=orjson.OPT_SERIALIZE_NUMPY),
        spawn_kind=kind,
    )


def records_of(flow: Flow, kind: SpawnKind | None = None) -> tuple[JobRecord, ...]:
    """All jobs of a flow, parents first."""
    with warnings.catch_warnings():  # the executor does not need one order of unrelated jobs
        warnings.filterwarnings("ignore", "Some jobs are not connected")
        pairs = list(flow.iterflow())  # type: ignore[no-untyped-call]
    return tuple(record_of(job, parents, kind) for job, parents in pairs)


def _run(started: Started, store: JobStore) -> Outcome:
    from monty.json import MontyDecoder

    started.folder.mkdir(parents=True, exist_ok=True)
    log = started.folder / LOG_NAME
    with _output_to(log), contextlib.chdir(started.folder):
        try:
            job = MontyDecoder().process_decoded(orjson.loads(started.spec))
            return _outcome(job.run(store=store))
        except Exception as error:  # a job that is no stage may raise anything
            traceback.print_exc()
            code = error.code if isinstance(error, ScreeningError) else "EXCEPTION"
            message = f"{type(error).__name__}: {' '.join(str(error).split())}"
    lines = log.read_text(errors="replace").splitlines()
    return Outcome(
        "failed",
        lost=True,
        code=code,
        message=message,
        log_tail="\n".join(lines[-LOG_TAIL_LINES:]),
    )


def _outcome(response: Response[Any]) -> Outcome:
    document = response.output
    spawned = [
        record
        for kind in ("replace", "detour", "addition")
        if (flow := getattr(response, kind)) is not None
        for record in records_of(flow, kind)
    ]
    is_stage = isinstance(document, StageDocument)
    failure = document.failure if is_stage else None
    return Outcome(
        document.state if is_stage else "done",
        spawned=tuple(spawned),
        stop_children=bool(response.stop_children),
        stop_flow=bool(response.stop_jobflow),
        stored_data=orjson.dumps(response.stored_data, default=str).decode()
        if response.stored_data
        else None,
        code=failure.code if failure else None,
        message=failure.message if failure else None,
        log_tail=failure.log_tail if failure else None,
    )


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send what this process prints, from Python or C, to `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)


def _die_with_parent() -> None:
    """End this process as soon as its parent ends, however that happened."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
