"""What a run shows while it goes on: a bar per stage, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from workflows.execution.jobs import FINISHED

if TYPE_CHECKING:
    from rich.console import Console

    from workflows.execution.events import JobEvent

SHOWN = {
    "enumerate": "enumerate",
    "relax": "relax",
    "stability": "stability",
    "dynamics": "dynamics",
    "transport": "diffusivity",
    "quench": "quench",
    "amorphous": "glasses",
    "rank": "rank",
}
_LINE_EVERY_S = 15.0


class StageProgress:
    """Follows job events; use as a context manager.

    A running job counts by the fraction that it reports, so that bars of long dynamics move.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tallies = {stage: _Tally() for stage in SHOWN}
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=36),
            TextColumn("{task.fields[tally]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last_line_s = time.monotonic()

    def __enter__(self) -> StageProgress:
        self._progress.start()
        for stage, label in SHOWN.items():
            self._tasks[stage] = self._progress.add_task(
                label, total=None, start=False, tally=self._tallies[stage]
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if not self._console.is_terminal:
            self._print_line()

    def __call__(self, event: JobEvent) -> None:
        """Take in an event."""
        if event.stage not in SHOWN:
            return
        tally = self._tallies[event.stage]
        tally.count(event)
        task = self._tasks[event.stage]
        if event.state == "running" and not self._progress.tasks[task].started:
            self._progress.start_task(task)
        self._progress.update(task, total=tally.n_jobs, completed=tally.completed)
        # Not when a job ends: its worker has no new one yet, and the line would show it idle.
        is_due = time.monotonic() - self._last_line_s > _LINE_EVERY_S
        if is_due and event.state == "running" and not self._console.is_terminal:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line_s = time.monotonic()
        parts = [
            f"{SHOWN[stage]} {tally}" for stage, tally in self._tallies.items() if tally.n_jobs
        ]
        self._console.print(" · ".join(parts), highlight=False, soft_wrap=True)


class _Tally:
    """Jobs of a stage by state, kept by difference: a campaign may have very many."""

    def __init__(self) -> None:
        self._last: dict[str, JobEvent] = {}
        self._states: Counter[str] = Counter()
        self._n_reused = 0
        self._fractions = 0.0

    @property
    def n_jobs(self) -> int:
        return len(self._last)

    @property
    def n_finished(self) -> int:
        return sum(self._states[state] for state in FINISHED)

    @property
    def completed(self) -> float:
        return self.n_finished + (self._fractions if self._states["running"] else 0.0)

    def count(self, event: JobEvent) -> None:
        """A job that was replaced goes on under its uuid; its last event counts."""
        uuid = event.key[0]
        if (before := self._last.get(uuid)) is not None:
            self._add(before, -1)
        self._last[uuid] = event
        self._add(event, 1)

    def _add(self, event: JobEvent, sign: int) -> None:
        self._states[event.state] += sign
        self._n_reused += sign * event.reused
        self._fractions += sign * event.fraction

    def __str__(self) -> str:
        """For instance `3/14 (2 running, 21%)`."""
        counts = {state: self._states[state] for state in ("running", "rejected", "failed")}
        notes = [f"{number} {state}" for state, number in counts.items() if number]
        if counts["running"]:
            notes.append(f"{self.completed / self.n_jobs:.0%}")
        if self._n_reused:
            notes.append(f"{self._n_reused} reused")
        return f"{self.n_finished}/{self.n_jobs}" + (f" ({', '.join(notes)})" if notes else "")
