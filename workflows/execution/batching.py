"""Jobs side by side in one process, each as if it were alone.

While a job waits for its energy and forces others go on, and all that wait are evaluated as one
batch (`screening.potential.together`). What belongs to a process rather than to a job changes hands
with every switch: the working folder, where output goes, and what jobflow calls the current job.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB

from workflows.stages.boundary import LOG_TAIL_LINES

if TYPE_CHECKING:
    from workflows.execution.jobs import Key

_LOG_NAME = "job.log"


@dataclass(frozen=True, slots=True)
class Batching:
    """What one process may run side by side; by default nothing.

    Args:
        stages: whose jobs may.
        n_atoms: another job is started while the structures of those that run hold fewer.
    """

    stages: frozenset[str] = frozenset()
    n_atoms: int = 1


def log_tail(folder: Path) -> str:
    """The last lines that a job printed, if it has printed anything."""
    log = folder / _LOG_NAME
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_TAIL_LINES:])


class Desk:
    """Where a job is at work: its folder, its log, its place as jobflow's current job."""

    def __init__(self, key: Key, folder: Path) -> None:
        self.key = key
        self.folder = folder
        self.current: tuple[Any, Any] = None, None  # job and store
        folder.mkdir(parents=True, exist_ok=True)
        self.log = os.open(folder / _LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


class Room:
    """A process that moves between desks; what it prints at none of them stays its own."""

    def __init__(self) -> None:
        self._home = Path.cwd()
        self._output = os.dup(1), os.dup(2)
        self._at: Desk | None = None

    @property
    def key(self) -> Key | None:
        """Of the job at whose desk the process is."""
        return None if self._at is None else self._at.key

    def go_to(self, desk: Desk) -> None:
        """Go on with a job; takes some 10 µs, and nothing where the process was there already."""
        if desk is self._at:
            return
        if self._at is not None:
            self._at.current = CURRENT_JOB.job, CURRENT_JOB.store
        _send_output_to(desk.log, desk.log)
        os.chdir(desk.folder)
        CURRENT_JOB.job, CURRENT_JOB.store = desk.current
        self._at = desk

    def clear(self, desk: Desk) -> None:
        """A job has ended; the process is at no desk after that."""
        _send_output_to(*self._output)
        os.chdir(self._home)
        CURRENT_JOB.reset()  # type: ignore[no-untyped-call]  # jobflow is not typed here
        self._at = None
        os.close(desk.log)


def _send_output_to(stdout: int, stderr: int) -> None:
    """Send what this process prints from now on, from Python or C, to open files."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
