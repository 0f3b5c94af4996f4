"""Why candidates failed whose jobs left no answer: the table of jobs knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from screening.documents import Failure
from workflows.stages.boundary import LOST

if TYPE_CHECKING:
    from screening.ranked import RankedCandidate
    from workflows.views import JobView


def with_causes(
    rows: tuple[RankedCandidate, ...], failures: Callable[[], Iterable[JobView]]
) -> tuple[RankedCandidate, ...]:
    """Rows of the ranking, with the cause in the place of `LOST`.

    Args:
        rows: of the ranking.
        failures: gives the failed jobs, of each candidate those of the earliest stage first.
    """
    if not any(row.failure and row.failure.code == LOST.code for row in rows):
        return rows
    causes: dict[str | None, JobView] = {}
    for job in failures():
        if job.code is not None and job.code != LOST.code:
            causes.setdefault(job.candidate, job)
    return tuple(_with_cause(row, causes.get(row.id)) for row in rows)


def _with_cause(row: RankedCandidate, job: JobView | None) -> RankedCandidate:
    if job is None or row.failure is None or row.failure.code != LOST.code:
        return row
    failure = Failure(code=job.code or "", message=job.message or "", log_tail=job.log_tail or "")
    return row.model_copy(update={"stage": job.stage, "failure": failure})
