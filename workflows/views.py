"""A job and a candidate as people see them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from screening.amorphous.documents import AmorphousDocument
    from screening.documents import CandidateInfo, RelaxDocument, StageDocument
    from screening.ranked import RankedCandidate
    from screening.stability.documents import StabilityDocument
    from workflows.ordering_ensemble import OrderingEnsemble

STAGES = (
    "enumerate",
    "relax",
    "lowest",
    "polymorph",
    "stability",
    "gates",
    "dynamics",
    "transport",
    "quench",
    "amorphous",
    "rank",
)
"""All that a campaign may have, in the order in which a candidate goes through them."""
ShownState = Literal[
    "waiting", "paused", "queued", "running", "done", "rejected", "failed", "skipped"
]
SHOWN_STATES: tuple[ShownState, ...] = (
    "waiting", "paused", "queued", "running", "done", "rejected", "failed", "skipped",
)  # fmt: skip
"""States of a job; paused is one that waits and that somebody holds back."""
_TOLD_BY_TRACEBACKS = ("UNEXPECTED", "EXCEPTION", "WORKER_DIED")
UNFINISHED: tuple[ShownState, ...] = ("waiting", "paused", "queued", "running")


@dataclass(frozen=True)
class JobView:
    """A job as people see it; one that goes on as itself is one job, whose last part this is.

    Args:
        why: of a job that waits, is paused or in a queue: what it waits for.
        attempts: of the last part.
        core_hours: of all parts and attempts; None where nobody counted them.
        worker: of a cluster, to which it was sent last.
        queue_id: of its job in that queue, as the scheduler knows it.
        queued_at: when it was sent.
    """

    uuid: str
    index: int
    stage: str
    candidate: str | None
    temperature_K: float | None
    state: ShownState
    why: str | None
    attempts: int
    n_atoms: int | None
    core_hours: float | None
    worker: str | None
    queue_id: str | None
    queued_at: float | None
    started_at: float | None
    ended_at: float | None
    code: str | None
    message: str | None
    log_tail: str | None

    @property
    def waited_s(self) -> float | None:
        """In the queue, up to now where it is still there; None where it was sent to none."""
        if self.queued_at is None:
            return None
        if self.started_at is not None and self.started_at >= self.queued_at:
            return self.started_at - self.queued_at
        return time.time() - self.queued_at if self.state == "queued" else None

    @property
    def ran_s(self) -> float | None:
        """The last attempt, up to now where it still runs."""
        if self.started_at is None or self.state in ("waiting", "paused", "queued"):
            return None
        ended_at = time.time() if self.state == "running" else self.ended_at
        return None if ended_at is None else ended_at - self.started_at

    def last_lines(self, number: int = 8) -> list[str]:
        """The end of the log, unless it is the traceback of what the message says already."""
        lines = (self.log_tail or "").splitlines()
        is_traceback = any(line.startswith("Traceback ") for line in lines)
        if is_traceback and self.code not in _TOLD_BY_TRACEBACKS:
            return []
        return [line for line in lines if line.strip()][-number:]


@dataclass(frozen=True)
class FailureCause:
    """Failed jobs with one code, of each candidate those of the earliest stage.

    Args:
        stages: with how many of them.
        jobs: the first ones.
    """

    code: str
    n_jobs: int
    n_candidates: int
    stages: dict[str, int]
    jobs: tuple[JobView, ...]


@dataclass(frozen=True)
class CandidateView:
    """All that is known of one candidate."""

    info: CandidateInfo
    row: RankedCandidate
    relax: RelaxDocument | None
    stability: StabilityDocument | None
    transport: StageDocument | None  # of the gates alone where no dynamics is asked for
    amorphous: AmorphousDocument | None
    ensemble: OrderingEnsemble | None
    jobs: tuple[JobView, ...]
