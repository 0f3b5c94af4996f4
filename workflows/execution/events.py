"""What a run tells while it goes on, and at its end."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.execution.jobs import JobRow, JobState, Key


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

    @classmethod
    def of(cls, row: JobRow, state: JobState, fraction: float, reused: bool) -> JobEvent:
        """What happened to the job of a row."""
        return cls(row.key, row.name, row.stage, row.candidate, state, fraction, reused)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did."""

    n_executed: int
    n_reused: int
    n_failed: int
    interrupted: bool = False
