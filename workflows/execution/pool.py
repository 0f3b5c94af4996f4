"""Worker processes: how they start, and how they end."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from screening.errors import ScreeningError
from workflows.execution.batching import Batching
from workflows.execution.jobs import WORKER_DIED, Key, Outcome
from workflows.execution.process import computing_processes
from workflows.execution.worker import work

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from jobflow import JobStore

N = TypeVar("N")


class WorkerLost(ScreeningError):
    """Workers cannot be kept alive on this machine."""

    code = "WORKER_LOST"

    @classmethod
    def at_start(cls, exit_code: int | None) -> WorkerLost:
        """They end before they have done anything."""
        return cls(
            f"worker processes keep ending with exit code {exit_code} before they have any job; "
            "run `halideflow doctor`"
        )


@dataclass(slots=True)
class Worker(Generic[N]):
    """A process, how to talk to it, and what it is at.

    Args:
        process: itself.
        connection: to it.
        nodes: the jobs that it runs.
        stages: whose jobs it can run side by side; None until it is ready.
        has_room: whether it asked for another job beside those that it runs.
    """

    process: SpawnProcess
    connection: Connection
    nodes: dict[Key, N] = field(default_factory=dict)
    stages: frozenset[str] | None = None
    has_room: bool = False

    @property
    def is_idle(self) -> bool:
        """Whether it could do anything."""
        return self.stages is not None and not self.nodes


def start_worker(
    store: JobStore, preload: tuple[str, ...], batching: Callable[[], Batching], number: int
) -> Worker[N]:
    """Start the so many-th process; it says `Ready` when it has imported what it needs."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=work, args=(theirs, store, preload, batching, number), daemon=True
    )
    with computing_processes(), _deaf_to_interrupts():
        process.start()
    theirs.close()
    return Worker(process, ours)


def worker_for(
    node: N,
    workers: list[Worker[N]],
    n_ready: int,
    may_join: Callable[[N, Worker[N]], bool],
) -> Worker[N] | None:
    """One that is idle, or the least busy of those that have room for the job beside others.

    Args:
        node: the job.
        workers: all of them.
        n_ready: jobs that are ready, this one among them.
        may_join: whether a job may run beside those of a worker.
    """
    for worker in workers:
        if worker.is_idle:
            return worker
    with_room = [worker for worker in workers if worker.has_room and may_join(node, worker)]
    least = min(with_room, key=lambda worker: len(worker.nodes), default=None)
    if least is None:
        return None
    n_theirs = sum(  # what others, just starting or loading, will run to be as busy
        max(0, len(least.nodes) - len(worker.nodes))
        for worker in workers
        if worker.stages is None or all(may_join(other, worker) for other in worker.nodes.values())
    )
    return least if n_ready > n_theirs else None


def hear(workers: list[Worker[N]], timeout_s: float) -> Iterator[tuple[Worker[N], Any]]:
    """What workers say, waiting so long for the first; None of one that died."""
    if not workers:
        time.sleep(timeout_s)
    by_connection = {worker.connection: worker for worker in workers}
    for connection in wait(list(by_connection), timeout_s):
        worker = by_connection[connection]  # type: ignore[index]  # none of them is a socket
        try:
            yield worker, worker.connection.recv()
        except (EOFError, OSError):
            yield worker, None


def given_up(exit_code: int | None, n_attempts: int, log: str) -> Outcome:
    """What comes of a job whose process died at every attempt."""
    return Outcome(
        "failed",
        lost=True,
        code=WORKER_DIED,
        message=f"its process ended with exit code {exit_code} in each of {n_attempts} attempts "
        "(-9: killed, often for want of memory)",
        log_tail=log,
    )


def end_workers(workers: list[Worker[N]], kill: bool) -> None:
    """End all of them, at once or after what they run, and empty the list."""
    for worker in workers:
        if kill:
            worker.process.kill()
        else:
            with contextlib.suppress(OSError):
                worker.connection.send(None)
    for worker in workers:
        worker.process.join()
        worker.connection.close()
    workers.clear()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started here ignore Ctrl-C from their first moment: it is their parent's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
