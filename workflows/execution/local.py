"""Run a jobflow graph on this machine: warm worker processes, job states on disk, restart.

The order is jobflow's: a job starts when all jobs that it refers to are finished, with everything
that replaced them or that they detoured to. Independent jobs run side by side: in processes, and
those of some stages also within one (`workflows.execution.batching`). What a job answers
(its output in the store, its state and the jobs it spawned in the job table) is on disk before the
next step, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Self

from screening.errors import ProgramKilled, WallTimeReached
from workflows.execution.batching import Batching, log_tail
from workflows.execution.folders import OWN_ATTEMPTS, clear
from workflows.execution.jobs import FINISHED, JobRow, JobState, JobTable, Key, Outcome
from workflows.execution.pool import Worker, WorkerLost, end_workers, start_worker
from workflows.execution.selection import Selection
from workflows.execution.worker import Finished, HasRoom, Progress, Ready, Started, records_of

if TYPE_CHECKING:
    from jobflow import Flow, Job, JobStore

MAX_ATTEMPTS = 3
"""A job whose process died this often in one run is given up until the next run."""

WORKER_DIED = "WORKER_DIED"
BROKEN_OFF = (WORKER_DIED, ProgramKilled.code, WallTimeReached.code)
"""Failures from outside, after which the next run goes on by itself."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something happened to a job; `fraction` is how far a running one has come."""

    key: Key
    name: str
    stage: str | None
    candidate: str | None
    state: JobState
    fraction: float = 0.0
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did."""

    n_executed: int
    n_reused: int
    n_failed: int
    interrupted: bool = False


@dataclass(eq=False, slots=True)
class _Node:
    """A job in memory: what it waits for and what waits for it."""

    row: JobRow
    state: JobState
    spawner: _Node | None
    depth: int = 0
    n_blockers: int = 0
    n_open_spawned: int = 0
    closed: bool = False
    waiters: list[_Node] = field(default_factory=list)


class LocalExecutor:
    """Runs flows over worker processes, which stay warm until the `with` block ends.

    Args:
        table: job states; see `JobTable`.
        store: the job store, given to every worker.
        work_root: each job runs in a folder of its own below it, which stays as it is while the
            job, and what it has itself replaced by, is not finished: a job that was killed finds
            there what it had saved. What it puts into `files` there stays for good.
        n_workers: processes, one thread each.
        preload: modules that every worker imports before its first job.
        batching: called in every worker, tells which jobs may run side by side there.
        on_event: told of every change of a job.
    """

    def __init__(
        self,
        table: JobTable,
        store: JobStore,
        work_root: Path,
        n_workers: int,
        preload: tuple[str, ...] = (),
        on_event: Callable[[JobEvent], None] = lambda event: None,
        batching: Callable[[], Batching] = Batching,
    ) -> None:
        self._table = table
        self._store = store
        self._work_root = work_root
        self._n_workers = n_workers
        self._preload = preload
        self._on_event = on_event
        self._batching = batching
        self._workers: list[Worker[_Node]] = []
        self._run = 0
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_workers(self._workers, kill=self._busy())

    def _forget(self) -> None:
        """Start with an empty graph."""
        self._nodes: dict[str, _Node] = {}
        self._ready: list[tuple[int, int, _Node]] = []  # a heap, see _make_ready
        self._n_readied = 0
        self._errored: set[str] = set()
        self._stopped: set[str] = set()
        self._stop_flow = False
        self._attempts: dict[Key, int] = {}
        self._alone: set[Key] = set()
        self._n_open = self._n_executed = self._n_reused = self._n_failed = 0
        self._n_idle_deaths = 0

    def run(self, flow: Flow | Job, run: int = 0, retry_failed: bool = False) -> Summary:
        """Run `flow` to its end, or until Ctrl-C; known jobs that are finished are not run again.

        Args:
            flow: the graph.
            run: number of the run in the job table.
            retry_failed: try failed jobs, and what depended on them, once more.
        """
        from jobflow.core.flow import get_flow

        self._forget()
        self._run = run
        for code in (None,) if retry_failed else BROKEN_OFF:
            self._table.reset_failed(Selection(code=code))
        rows = self._table.claim(records_of(get_flow(flow, allow_external_references=True)), run)
        self._add(rows, None)
        interrupted = False
        try:
            while self._n_open:
                self._dispatch()
                if self._stop_flow:
                    self._ready.clear()
                if not (self._ready or self._busy()):
                    break
                self._receive()
        except KeyboardInterrupt:
            interrupted = True
            running = [key for worker in self._workers for key in worker.nodes]
            self._table.wait_again(running)
            for key in running:  # an attempt that somebody broke off is none
                (self._folder(key) / OWN_ATTEMPTS).unlink(missing_ok=True)
            end_workers(self._workers, kill=True)
        if self._stop_flow:
            self._skip_rest()
        return Summary(self._n_executed, self._n_reused, self._n_failed, interrupted)

    def _start_workers(self) -> None:
        """As many as there is work for, and one more that is warm when there is."""
        n_jobs = len(self._ready) + sum(len(worker.nodes) for worker in self._workers)
        while len(self._workers) < min(self._n_workers, n_jobs + 1):
            self._workers.append(start_worker(self._store, self._preload, self._batching))

    def _busy(self) -> bool:
        return any(worker.nodes for worker in self._workers)

    # The graph in memory.

    def _add(self, rows: list[JobRow], spawner: _Node | None) -> None:
        """Take jobs into the graph; finished ones bring along what they had spawned."""
        batches = [(rows, spawner)]
        while batches:
            rows, spawner = batches.pop()
            ancestors = _ancestors(spawner)
            depth = spawner.depth + 1 if spawner else 0
            nodes = [_Node(row, "waiting", spawner, depth) for row in rows]
            for node in nodes:
                self._nodes.setdefault(node.row.uuid, node)
                if spawner is not None and node.row.spawn_kind != "addition":
                    spawner.n_open_spawned += 1
            self._n_open += len(nodes)
            for node in nodes:
                for uuid in node.row.parents:
                    parent = self._nodes.get(uuid)
                    if parent is not None and not parent.closed and parent not in ancestors:
                        parent.waiters.append(node)
                        node.n_blockers += 1
            for node in nodes:
                if node.row.state in FINISHED:
                    self._n_reused += 1
                    batches.append((self._settle(node, reused=True), node))
                else:
                    self._emit(node)
                    if node.n_blockers == 0:
                        self._make_ready(node)
            if spawner is not None:
                self._close(spawner)

    def _settle(self, node: _Node, reused: bool = False) -> list[JobRow]:
        """Take note that a job is finished; the jobs that it spawned."""
        row = node.row
        node.state = row.state
        self._n_open -= 1
        self._n_failed += row.state == "failed"
        if row.lost:
            self._errored.add(row.uuid)
        if row.stop_children:
            self._stopped.add(row.uuid)
        self._stop_flow = self._stop_flow or row.stop_flow
        self._emit(node, reused=reused)
        return [] if row.stop_flow else self._table.claim_spawned(row.key, self._run)

    def _close(self, node: _Node) -> None:
        """Release what waits for `node` once it and all that it spawned are finished."""
        while node.state in FINISHED and not node.n_open_spawned and not node.closed:
            node.closed = True
            for waiter in node.waiters:
                waiter.n_blockers -= 1
                if waiter.n_blockers == 0 and waiter.state == "waiting":
                    self._make_ready(waiter)
            if node.spawner is None or node.row.spawn_kind == "addition":
                break
            node.spawner.n_open_spawned -= 1
            node = node.spawner

    def _emit(self, node: _Node, fraction: float = 0.0, reused: bool = False) -> None:
        row = node.row
        self._on_event(
            JobEvent(row.key, row.name, row.stage, row.candidate, node.state, fraction, reused)
        )

    # Jobs and workers.

    def _dispatch(self) -> None:
        """Give ready jobs to workers in their order; jobs that must not run are settled here."""
        self._start_workers()
        while self._ready and not self._stop_flow:
            *_, node = self._ready[0]
            if reason := self._reason_to_skip(node):
                heapq.heappop(self._ready)
                self._finish(node, reason)
            elif worker := self._worker_for(node):
                heapq.heappop(self._ready)
                self._start(node, worker)
            else:
                break

    def _make_ready(self, node: _Node) -> None:
        """Queue a job; what was spawned later waits longer: all stabilities before any dynamics."""
        self._n_readied += 1
        heapq.heappush(self._ready, (node.depth, self._n_readied, node))

    def _reason_to_skip(self, node: _Node) -> Outcome | None:
        parents = set(node.row.parents)
        if parents & self._stopped:
            return Outcome("skipped", stop_children=True, message="a job before it said stop")
        if parents & self._errored and node.row.on_missing == "error":
            return Outcome("skipped", lost=True, message="a job that it needs failed")
        return None

    def _worker_for(self, node: _Node) -> Worker[_Node] | None:
        """One that is idle, or the least busy of those that have room for the job beside others."""
        for worker in self._workers:
            if worker.is_idle:
                return worker
        with_room = [w for w in self._workers if w.has_room and self._may_join(node, w)]
        least = min(with_room, key=lambda worker: len(worker.nodes), default=None)
        if least is None:
            return None
        n_theirs = sum(  # what others, just starting or loading, will run to be as busy
            max(0, len(least.nodes) - len(worker.nodes))
            for worker in self._workers
            if worker.stages is None
            or all(self._may_join(other, worker) for other in worker.nodes.values())
        )
        return least if len(self._ready) > n_theirs else None

    def _may_join(self, node: _Node, worker: Worker[_Node]) -> bool:
        """Whether a job may run beside others; where one killed a worker, no one knows which."""
        assert worker.stages is not None
        return node.row.stage in worker.stages and node.row.key not in self._alone

    def _start(self, node: _Node, worker: Worker[_Node]) -> None:
        key = node.row.key
        self._table.start(key, time.time())
        node.state, worker.nodes[key], worker.has_room = "running", node, False
        self._attempts[key] = self._attempts.get(key, 0) + 1
        started = Started(
            key, self._table.spec(key), self._folder(key), self._may_join(node, worker)
        )
        with contextlib.suppress(OSError):  # a worker that just died is noticed by _receive
            worker.connection.send(started)
        self._emit(node)

    def _receive(self) -> None:
        """Wait for a worker to say something, or to die."""
        for connection in wait([worker.connection for worker in self._workers]):
            worker = next(w for w in self._workers if w.connection is connection)
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            match message:
                case Ready():
                    worker.stages = message.stages
                case HasRoom():
                    worker.has_room = True
                case Progress():
                    self._emit(worker.nodes[message.key], fraction=message.fraction)
                case Finished():
                    self._n_executed += 1
                    self._finish(worker.nodes.pop(message.key), message.outcome)

    def _bury(self, worker: Worker[_Node]) -> None:
        """A worker died: its jobs wait again, or are given up after too many deaths."""
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        for node in worker.nodes.values():
            self._after_death(node, worker.process.exitcode)
        if not worker.nodes:
            self._n_idle_deaths += 1
            if self._n_idle_deaths > MAX_ATTEMPTS * self._n_workers:
                raise WorkerLost(
                    f"worker processes keep ending with exit code {worker.process.exitcode} before "
                    "they have any job; run `halideflow doctor`"
                )

    def _after_death(self, node: _Node, exit_code: int | None) -> None:
        key = node.row.key
        self._alone.add(key)
        ends_itself = (self._folder(key) / OWN_ATTEMPTS).exists()  # if it is asked once more
        if self._attempts[key] < MAX_ATTEMPTS + ends_itself:
            self._table.wait_again([key])
            node.state = "waiting"
            self._make_ready(node)
            self._emit(node)
            return
        self._finish(
            node,
            Outcome(
                "failed",
                lost=True,
                code=WORKER_DIED,
                message=f"its process ended with exit code {exit_code} in each of "
                f"{MAX_ATTEMPTS} attempts (-9: killed, often for want of memory)",
                log_tail=log_tail(self._folder(key)),
            ),
        )

    def _finish(self, node: _Node, outcome: Outcome) -> None:
        key = node.row.key
        self._table.finish(key, outcome, time.time())
        node.row = replace(self._table.row(key), spawn_kind=node.row.spawn_kind)
        goes_on = any(record.uuid == key[0] for record in outcome.spawned)
        if outcome.state != "failed" and not goes_on:
            clear(self._folder(key))
        self._add(self._settle(node), node)

    def _skip_rest(self) -> None:
        """After a job stopped the whole flow, nothing that waits will run."""
        for node in self._nodes.values():
            if node.state == "waiting":
                outcome = Outcome("skipped", message="a job before it stopped the flow")
                self._table.finish(node.row.key, outcome, time.time())

    def _folder(self, key: Key) -> Path:
        """Of a job and of all that goes on as that job."""
        return self._work_root / key[0]


def _ancestors(node: _Node | None) -> set[_Node]:
    found = set()
    while node is not None:
        found.add(node)
        node = node.spawner
    return found
