"""Run a jobflow graph on this machine: warm worker processes, job states on disk, restart.

Independent jobs run side by side: in processes, and those of some stages also within one
(`workflows.execution.batching`). Jobs of stages that a queue takes are run there instead
(`workflows.execution.queueing`). What a job answers (its output in the store, its state and the
jobs it spawned in the job table) is on disk before the next step, so a run that was killed goes on
where it was.
"""

from __future__ import annotations

import contextlib
import heapq
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from workflows.execution.batching import Batching, log_tail
from workflows.execution.events import JobEvent, Summary
from workflows.execution.folders import OWN_ATTEMPTS, clear
from workflows.execution.graph import Graph, Node
from workflows.execution.jobs import (
    BROKEN_OFF,
    JobRecord,
    JobTable,
    Key,
    Outcome,
)
from workflows.execution.orders import CANCELLATION, Order, Orders
from workflows.execution.pool import (
    Worker,
    WorkerLost,
    end_workers,
    given_up,
    hear,
    start_worker,
    worker_for,
)
from workflows.execution.selection import Selection
from workflows.execution.worker import Finished, HasRoom, Progress, Ready, Started, records_of

if TYPE_CHECKING:
    from jobflow import Flow, Job, JobStore

    from workflows.execution.queueing import Queue

MAX_ATTEMPTS = 3
"""A job whose process died this often in one run is given up until the next run."""
_ENDS_WITHIN_S = 60.0
_LOOK_EVERY_S = 1.0
"""How often it is asked what people want, and what the queue has to tell."""


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
        on_outcome: told of what came of each job, before the table is.
        queue: runs the jobs of its stages.
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
        on_outcome: Callable[[Key, Outcome], None] = lambda key, outcome: None,
        queue: Queue | None = None,
    ) -> None:
        self._table = table
        self._orders = Orders(table)
        self._store = store
        self._work_root = work_root.absolute()  # workers move between folders
        self._n_workers = n_workers
        self._preload = preload
        self._on_event = on_event
        self._batching = batching
        self._on_outcome = on_outcome
        self._queue = queue
        self._workers: list[Worker[Node]] = []
        self._records: tuple[JobRecord, ...] = ()
        self._run = 0
        self._last_start_s = math.inf
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_workers(self._workers, kill=self._busy())

    def _forget(self) -> None:
        """Start with an empty graph, and as if no job had ever been tried."""
        self._attempts: dict[Key, int] = {}
        self._alone: set[Key] = set()
        self._executed: set[Key] = set()
        self._holds: list[Selection] = []
        self._looked_s = 0.0
        self._n_idle_deaths = 0
        self._new_graph()

    def _new_graph(self) -> None:
        self._ready: list[tuple[int, int, Node]] = []  # a heap, see _make_ready
        self._n_readied = 0
        self._held: list[Node] = []
        self._for_queue: list[Node] = []
        self._in_queue: set[Key] = set()
        self._graph = Graph(self._table, self._run, self._make_ready, self._tell_change)

    def run(self, flow: Flow | Job, run: int = 0, retry_failed: bool = False) -> Summary:
        """Run `flow` to its end, or until Ctrl-C; known jobs that are finished are not run again.

        Args:
            flow: the graph.
            run: number of the run in the job table.
            retry_failed: try failed jobs, and what depended on them, once more.
        """
        from jobflow.core.flow import get_flow

        for code in (None,) if retry_failed else BROKEN_OFF:
            self._table.reset_failed(Selection(code=code))
        return self.run_records(records_of(get_flow(flow, allow_external_references=True)), run)

    def run_records(
        self,
        records: Sequence[JobRecord],
        run: int = 0,
        until_s: float | None = None,
        last_start_s: float | None = None,
    ) -> Summary:
        """Run jobs to their end, or until Ctrl-C.

        Args:
            records: the jobs.
            run: number of the run in the job table.
            until_s: when what runs is broken off, seconds since the epoch.
            last_start_s: after when no job is started.
        """
        self._run, self._records = run, tuple(records)
        self._last_start_s = math.inf if last_start_s is None else last_start_s
        self._forget()
        interrupted = False
        try:
            self._graph.add(self._table.claim(self._records, run))
            n_reused = self._graph.n_reused
            while self._graph.n_open and not interrupted:
                self._look_around()
                self._dispatch()
                if self._graph.is_stopped:
                    self._ready.clear()
                if not self._has_work():
                    break
                interrupted = time.time() > (math.inf if until_s is None else until_s)
                if not interrupted:
                    self._receive()
            self._hear_the_end()
        except KeyboardInterrupt:
            interrupted = True
        if interrupted:
            self._break_off()
        if self._graph.is_stopped:
            self._graph.skip_waiting()
        return Summary(len(self._executed), n_reused, self._graph.n_failed, interrupted)

    def _hear_the_end(self) -> None:
        """Of what the queue holds, once all of this run has answered: a matter of seconds."""
        give_up_s = time.monotonic() + _ENDS_WITHIN_S
        while self._queue is not None and self._queue.is_ending and time.monotonic() < give_up_s:
            time.sleep(_LOOK_EVERY_S)
            self._hear_from(self._queue)

    def _has_work(self) -> bool:
        """Whether anything runs, could run, or is held from running."""
        elsewhere = self._queue is not None and (self._for_queue or self._in_queue)
        could_start = (self._ready or self._held) and self._may_start
        return bool(could_start or self._busy() or elsewhere)

    @property
    def _may_start(self) -> bool:
        return time.time() < self._last_start_s

    def _break_off(self) -> None:
        """What runs here waits for the next run; what is in a queue stays there."""
        running = [key for worker in self._workers for key in worker.nodes]
        self._table.wait_again(running)
        for key in running:  # an attempt that somebody broke off is none
            (self._folder(key) / OWN_ATTEMPTS).unlink(missing_ok=True)
        end_workers(self._workers, kill=True)

    def _start_workers(self) -> None:
        """As many as there is work for, and one more that is warm when there is."""
        n_jobs = len(self._ready) + sum(len(worker.nodes) for worker in self._workers)
        while len(self._workers) < min(self._n_workers, n_jobs + 1):
            number = len(self._workers)
            made: Worker[Node] = start_worker(self._store, self._preload, self._batching, number)
            self._workers.append(made)

    def _busy(self) -> bool:
        return any(worker.nodes for worker in self._workers)

    def _tell_change(self, node: Node, was_finished: bool) -> None:
        is_queued = node.state in ("queued", "running")
        (self._in_queue.add if is_queued else self._in_queue.discard)(node.row.key)
        self._emit(node, reused=was_finished and node.row.key not in self._executed)

    def _emit(self, node: Node, fraction: float = 0.0, reused: bool = False) -> None:
        self._on_event(JobEvent.of(node.row, node.state, fraction, reused))

    # What people ask for, and what the queue tells.

    def _look_around(self) -> None:
        """Now and then: carry out orders, heed holds, hear from the queue and feed it."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        for order in self._orders.pending():
            self._carry_out(order)
        holds = self._orders.holds()
        if holds != self._holds:
            self._holds = holds
            while self._held:
                self._make_ready(self._held.pop(0))
        if self._queue is not None:
            self._hear_from(self._queue)
            self._send_to(self._queue)

    def _carry_out(self, order: Order) -> None:
        if order.kind == "retry":
            n_jobs = self._table.reset_failed(order.selection, self._run)
            if n_jobs:
                self._rebuild()
        else:
            keys = self._orders.to_cancel(order.selection, self._run)
            n_jobs = len(keys)
            self._cancel(set(keys))
        self._orders.applied(order.number, n_jobs)

    def _cancel(self, keys: set[Key]) -> None:
        """End jobs; what a worker ran beside one of them starts anew."""
        for worker in [worker for worker in self._workers if keys & worker.nodes.keys()]:
            end_workers([worker], kill=True)
            self._workers.remove(worker)
            for key in worker.nodes.keys() - keys:
                self._attempts[key] -= 1
                self._graph.put_back(key)
        for key in keys:
            self._graph.finish(key, CANCELLATION)

    def _rebuild(self) -> None:
        """Make the graph anew from the table, where finished jobs wait again."""
        self._new_graph()
        self._graph.add(self._table.claim(self._records, self._run))
        for worker in self._workers:
            for key in list(worker.nodes):  # with inputs that are made anew: it runs in vain
                if (node := self._graph.get(key)) and node.state == "waiting":
                    del worker.nodes[key]

    def _hear_from(self, queue: Queue) -> None:
        for news in queue.news():
            if news.outcome is not None:
                self._executed.add(news.key)
                self._graph.finish(news.key, news.outcome)
            elif not news.is_running:
                self._graph.put_back(news.key)
            elif (node := self._graph.get(news.key)) and node.state == "queued":
                self._graph.move([node], "running")

    def _send_to(self, queue: Queue) -> None:
        waiting = []
        for node in self._for_queue:
            if node.state != "waiting":
                continue
            if reason := self._graph.reason_to_skip(node):
                self._graph.finish(node.row.key, reason)
            elif self._is_held(node):
                self._held.append(node)
            else:
                waiting.append(node)
        taken = set(queue.send([node.row for node in waiting])) if waiting else set()
        self._for_queue = [node for node in waiting if node.row.key not in taken]
        self._graph.move([node for node in waiting if node.row.key in taken], "queued")

    def _is_held(self, node: Node) -> bool:
        return any(hold.includes(node.row.stage, node.row.candidate) for hold in self._holds)

    # Jobs and workers.

    def _dispatch(self) -> None:
        """Give ready jobs to workers in their order; jobs that must not run are settled here."""
        self._start_workers()
        while self._ready and self._may_start and not self._graph.is_stopped:
            *_, node = self._ready[0]
            if node.state != "waiting":  # cancelled meanwhile
                heapq.heappop(self._ready)
            elif self._is_held(node):
                heapq.heappop(self._ready)
                self._held.append(node)
            elif reason := self._graph.reason_to_skip(node):
                heapq.heappop(self._ready)
                self._graph.finish(node.row.key, reason)
            elif worker := worker_for(node, self._workers, len(self._ready), self._may_join):
                heapq.heappop(self._ready)
                self._start(node, worker)
            else:
                break

    def _make_ready(self, node: Node) -> None:
        """Queue a job; what was spawned later waits longer: all stabilities before any dynamics."""
        at_work = next((w for w in self._workers if node.row.key in w.nodes), None)
        if at_work is not None:  # since before the graph was made anew
            at_work.nodes[node.row.key] = node
            self._table.run_on([node.row.key])
            self._graph.move([node], "running")
            return
        if self._queue is not None and node.row.stage in self._queue.stages:
            self._for_queue.append(node)
            return
        self._n_readied += 1
        heapq.heappush(self._ready, (node.depth, self._n_readied, node))

    def _may_join(self, node: Node, worker: Worker[Node]) -> bool:
        """Whether a job may run beside others; where one killed a worker, no one knows which."""
        assert worker.stages is not None
        return node.row.stage in worker.stages and node.row.key not in self._alone

    def _start(self, node: Node, worker: Worker[Node]) -> None:
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
        for worker, message in hear(self._workers, _LOOK_EVERY_S):
            match message:
                case None:
                    self._bury(worker)
                case Ready():
                    worker.stages = message.stages
                case HasRoom():
                    worker.has_room = True
                case Progress() if message.key in worker.nodes:
                    self._emit(worker.nodes[message.key], fraction=message.fraction)
                case Finished() if worker.nodes.pop(message.key, None):
                    self._executed.add(message.key)
                    self._finish(message.key, message.outcome)

    def _bury(self, worker: Worker[Node]) -> None:
        """A worker died: its jobs wait again, or are given up after too many deaths."""
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        for key in worker.nodes:
            self._after_death(key, worker.process.exitcode)
        if not worker.nodes:
            self._n_idle_deaths += 1
            if self._n_idle_deaths > MAX_ATTEMPTS * self._n_workers:
                raise WorkerLost.at_start(worker.process.exitcode)

    def _after_death(self, key: Key, exit_code: int | None) -> None:
        self._alone.add(key)
        ends_itself = (self._folder(key) / OWN_ATTEMPTS).exists()  # if it is asked once more
        if self._attempts[key] < MAX_ATTEMPTS + ends_itself:
            self._graph.put_back(key)
            return
        self._finish(key, given_up(exit_code, MAX_ATTEMPTS, log_tail(self._folder(key))))

    def _finish(self, key: Key, outcome: Outcome) -> None:
        self._on_outcome(key, outcome)
        self._graph.finish(key, outcome)
        goes_on = any(record.uuid == key[0] for record in outcome.spawned)
        if outcome.state != "failed" and not goes_on:
            clear(self._folder(key))

    def _folder(self, key: Key) -> Path:
        """Of a job and of all that goes on as that job."""
        return self._work_root / key[0]
