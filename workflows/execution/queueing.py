"""What an executor asks of a queue that runs jobs of some stages elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from workflows.execution.jobs import JobRow, Key, Outcome


@dataclass(frozen=True, slots=True)
class QueueNews:
    """Something that happened to a job in the queue.

    Args:
        key: of the job.
        outcome: what came of it; None where it has been started, or waits again.
        is_running: of a job without outcome.
    """

    key: Key
    outcome: Outcome | None = None
    is_running: bool = False


class Queue(Protocol):
    """A place where jobs of some stages are run; what it was given survives this process.

    What it holds of jobs that the table has as cancelled, it ends by itself.
    """

    @property
    def stages(self) -> frozenset[str]:
        """Whose jobs it runs."""

    def send(self, jobs: Sequence[JobRow]) -> list[Key]:
        """Send jobs that are ready, noting it in the table; those that it took.

        It may take none, or some, and is asked again.
        """

    def news(self) -> Iterator[QueueNews]:
        """What happened since it was asked before."""

    @property
    def is_ending(self) -> bool:
        """Whether something is to be heard in a moment, though all jobs have answered."""
