"""Worker processes: how they start, and how they end."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from screening.errors import ScreeningError
from workflows.execution.worker import work

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from jobflow import JobStore

N = TypeVar("N")


class WorkerLost(ScreeningError):
    """Workers cannot be kept alive on this machine."""

    code = "WORKER_LOST"


@dataclass(slots=True)
class Worker(Generic[N]):
    """A process, how to talk to it, and what it is at."""

    process: SpawnProcess
    connection: Connection
    node: N | None = None
    is_ready: bool = False


def start_worker(store: JobStore, preload: tuple[str, ...]) -> Worker[N]:
    """Start a process; it says `Ready` when it has imported what it needs."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, store, preload), daemon=True)
    with _one_thread_each(), _deaf_to_interrupts():
        process.start()
    theirs.close()
    return Worker(process, ours)


def end_workers(workers: list[Worker[N]], kill: bool) -> None:
    """End all of them, at once or after their current job, and empty the list."""
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
def _one_thread_each() -> Iterator[None]:
    """Processes, not threads, share the cores; numeric libraries read this when they load."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
