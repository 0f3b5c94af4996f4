"""A warm worker process: imports once, then runs job after job, or several side by side."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import threading
import traceback
import warnings
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

import orjson

from screening.documents import Failure, StageDocument
from screening.errors import ScreeningError
from screening.potential.together import busy_s, run_together
from workflows.cost.cores import cores_of_a_job
from workflows.cost.steps import n_steps_of
from workflows.execution.batching import Batching, Desk, Room, log_tail
from workflows.execution.jobs import JobRecord, Key, Outcome, SpawnKind
from workflows.execution.process import take_gpu
from workflows.execution.progress import listen
from workflows.execution_settings import QUEUED_STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from jobflow import Flow, Job, JobStore, Response

    from screening.potential.together import Ended

# Each has a log open, and all of them begin anew where the process dies.
_MOST_JOBS_AT_ONCE = 256
# The executor answers in a millisecond or two if it has a job to give; if not, no one waits again.
_ANSWER_WITHIN_S = 0.005


@dataclass(frozen=True, slots=True)
class Started:
    """Work for a worker: one job, the folder it runs in, and whether others may run beside it."""

    key: Key
    spec: bytes
    folder: Path
    may_join: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has imported what it needs and reached the store.

    Args:
        stages: whose jobs it can run side by side.
    """

    stages: frozenset[str]


@dataclass(frozen=True, slots=True)
class HasRoom:
    """The worker could run one more job beside those that it runs."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come, 0 to 1."""

    key: Key
    fraction: float


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a job."""

    key: Key
    outcome: Outcome


def work(
    connection: Connection,
    store: JobStore,
    preload: tuple[str, ...],
    batching: Callable[[], Batching],
    number: int,
) -> None:
    """Run jobs from `connection` until it sends None or the parent dies.

    Args:
        connection: says `Ready` once and gets `Started`; says `Progress` while a job runs,
            `HasRoom` when another may join it, and `Finished` after each.
        store: where outputs go; connected here.
        preload: modules to import before the first job, so that it starts warm.
        batching: tells what may run side by side here; asked after `preload`.
        number: of this process among several, which share the GPUs that there are.
    """
    _die_with_parent()
    take_gpu(number)
    _import_for_good(preload)
    limits = batching()
    store.connect()
    connection.send(Ready(limits.stages))
    jobs = _Jobs(connection, store)
    listen(jobs.report)
    for ended in run_together(jobs.take, limits.n_atoms, jobs.go_on_with):
        connection.send(jobs.finish(ended))


class _Jobs:
    """The jobs that a worker runs: it asks for one when it can run it, and holds no other."""

    def __init__(self, connection: Connection, store: JobStore) -> None:
        self._connection = connection
        self._store = store
        self._room = Room()
        self._desks: dict[int, Desk] = {}
        self._n_taken = 0
        self._may_join = True
        self._has_asked = False
        self._is_over = False

    def take(self) -> Callable[[], Outcome] | None:
        """The next job, if there is one now; with nothing else to do, wait for it."""
        if self._is_over or (self._desks and not self._another_came()):
            return None
        started: Started | None = self._connection.recv()
        if started is None:
            self._is_over = True
            return None
        self._has_asked = False
        self._may_join = started.may_join
        self._desks[self._n_taken] = Desk(started.key, started.folder)
        self._n_taken += 1
        return partial(_run, started.spec, self._store)

    def _another_came(self) -> bool:
        """Whether there is a job to join those that run."""
        if not self._may_join or len(self._desks) >= _MOST_JOBS_AT_ONCE:
            return False
        if self._has_asked:
            return self._connection.poll()
        self._connection.send(HasRoom())
        self._has_asked = True
        return self._connection.poll(_ANSWER_WITHIN_S)

    def go_on_with(self, index: int) -> None:
        """What is done from now on is done for another job."""
        self._room.go_to(self._desks[index])

    def report(self, fraction: float) -> None:
        """Say how far the job has come that runs at this moment."""
        if (key := self._room.key) is not None:
            self._connection.send(Progress(key, fraction))

    def finish(self, ended: Ended[Outcome]) -> Finished:
        """Put away what a job had to itself."""
        desk = self._desks.pop(ended.index)
        self._room.clear(desk)
        if ended.value is None:
            raise ended.error or AssertionError
        if ended.value.lost:
            return Finished(desk.key, replace(ended.value, log_tail=log_tail(desk.folder)))
        return Finished(desk.key, ended.value)


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
        n_atoms=job.metadata.get("n_atoms"),
        spawn_kind=kind,
    )


def records_of(flow: Flow, kind: SpawnKind | None = None) -> tuple[JobRecord, ...]:
    """All jobs of a flow, parents first."""
    with warnings.catch_warnings():  # the executor does not need one order of unrelated jobs
        warnings.filterwarnings("ignore", "Some jobs are not connected")
        pairs = list(flow.iterflow())  # type: ignore[no-untyped-call]
    return tuple(record_of(job, parents, kind) for job, parents in pairs)


def _run(spec: bytes, store: JobStore) -> Outcome:
    """Run a job in the working folder, and take the time that it takes of this process."""
    start_s = busy_s()
    content = orjson.loads(spec)
    is_costly = content["metadata"].get("stage") in QUEUED_STAGES
    with contextlib.nullcontext() if is_costly else _no_search_for_garbage():
        outcome = _attempt(content, store)
    n_cores = cores_of_a_job() if is_costly else 1
    return replace(outcome, core_hours=(busy_s() - start_s) / 3600 * n_cores)


@contextlib.contextmanager
def _no_search_for_garbage() -> Iterator[None]:
    """What makes thousands of jobs within seconds is gone through again and again, in vain."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _attempt(content: dict[str, Any], store: JobStore) -> Outcome:
    from monty.json import MontyDecoder

    try:
        job = MontyDecoder().process_decoded(content)
        return _outcome(job.run(store=store))
    except Exception as error:  # a job that is no stage may raise anything
        traceback.print_exc()
        code = error.code if isinstance(error, ScreeningError) else "EXCEPTION"
        message = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Outcome("failed", lost=True, code=code, message=message)


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
        log_tail=_log_tail(failure) if failure else None,
        n_steps=n_steps_of(document),
    )


def _log_tail(failure: Failure) -> str:
    """The end of the log, and what was tried in vain."""
    tried = [f"corrected and tried again: {correction}" for correction in failure.corrections]
    return "\n".join([failure.log_tail, *tried])


def _import_for_good(modules: tuple[str, ...]) -> None:
    """Import, and keep Python's garbage collector from what that makes: it saves 2 s of 5.

    Otherwise it goes through all of it many times meanwhile, and once more when the process ends.
    """
    gc.disable()
    for module in modules:
        importlib.import_module(module)
    gc.freeze()
    gc.enable()


def _die_with_parent() -> None:
    """End this process as soon as its parent ends, however that happened."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
