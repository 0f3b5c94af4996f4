"""A job and a candidate as people see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screening.amorphous.documents import AmorphousDocument
    from screening.documents import CandidateInfo, RelaxDocument, StageDocument
    from screening.ranked import RankedCandidate
    from screening.stability.documents import StabilityDocument
    from workflows.execution.jobs import JobState
    from workflows.ordering_ensemble import OrderingEnsemble


@dataclass(frozen=True)
class JobView:
    """A job as people see it."""

    uuid: str
    index: int
    stage: str
    candidate: str | None
    state: JobState
    attempts: int
    started_at: float | None
    ended_at: float | None
    code: str | None
    message: str | None
    log_tail: str | None


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
