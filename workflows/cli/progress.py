"""What a run shows while it goes on: a bar per stage, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from rich.console import Console

    from workflows.execution.local import JobEvent

SHOWN = {
    "enumerate": "enumerate",
    "relax": "relax",
    "stability": "stability",
    "dynamics": "dynamics",
    "transport": "diffusivity",
    "rank": "rank",
}
_FINISHED = ("done", "rejected", "failed", "skipped")
_LINE_EVERY_S = 15.0


class StageProgress:
    """Follows job events; use as a context manager.

    A running job counts by the fraction that it reports, so that bars of long dynamics move.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, dict[str, JobEvent]] = {stage: {} for stage in SHOWN}
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=36),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[note]}"),
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
                label, total=None, start=False, count="", note=""
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
        jobs = self._states[event.stage]
        jobs[event.key[0]] = event
        task = self._tasks[event.stage]
        if event.state == "running" and not self._progress.tasks[task].started:
            self._progress.start_task(task)
        self._progress.update(
            task,
            total=len(jobs),
            completed=sum(_completed(job) for job in jobs.values()),
            count=self._count(event.stage),
            note=self._note(event.stage),
        )
        quiet_s = time.monotonic() - self._last_line_s
        # Not when a job ends: its worker has no new one yet, and the line would show it idle.
        if event.state == "running" and not self._console.is_terminal and quiet_s > _LINE_EVERY_S:
            self._print_line()

    def _count(self, stage: str) -> str:
        jobs = self._states[stage].values()
        return f"{sum(job.state in _FINISHED for job in jobs)}/{len(jobs)}"

    def _note(self, stage: str) -> str:
        """What deserves attention, e.g. `2 running, 1 failed`."""
        jobs = self._states[stage].values()
        states = [job.state for job in jobs]
        counts = {state: states.count(state) for state in ("running", "rejected", "failed")}
        reused = sum(job.reused for job in jobs)
        notes = [f"{number} {state}" for state, number in counts.items() if number]
        if counts["running"]:
            notes.append(f"{sum(map(_completed, jobs)) / len(jobs):.0%}")
        return ", ".join(notes + ([f"{reused} reused"] if reused else []))

    def _print_line(self) -> None:
        self._last_line_s = time.monotonic()
        parts = [
            f"{label} {self._count(stage)}" + (f" ({note})" if (note := self._note(stage)) else "")
            for stage, label in SHOWN.items()
            if self._states[stage]
        ]
        self._console.print(" · ".join(parts), highlight=False, soft_wrap=True)


def _completed(job: JobEvent) -> float:
    return 1.0 if job.state in _FINISHED else job.fraction
