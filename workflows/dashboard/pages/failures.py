"""Failures by cause: what each means, what to do, the command that does it, and whom it met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.commands import advice_in
from workflows.dashboard.actions import Notice, notice_of
from workflows.dashboard.downloads import table_response
from workflows.dashboard.rendering import campaign_of, render
from workflows.execution_settings import QUEUED_STAGES
from workflows.job_list import JobFilter
from workflows.views import FailureCause, JobView

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from workflows.advice import Advice
    from workflows.read_model import CampaignResults

_N_FIRST = 3
_N_TRIED_AGAIN = 10
_LEFT_OUT = "LEFT_OUT"


@dataclass(frozen=True)
class FailureGroup:
    """Jobs that failed with one code.

    Args:
        cause: candidates and the first jobs, of the stages where the cause lies; None where it lies
            in what other jobs failed with.
        n_jobs: of all stages.
    """

    code: str
    n_jobs: int
    cause: FailureCause | None
    advice: Advice


@dataclass(frozen=True)
class FailuresView:
    """What the page shows.

    Args:
        groups: of jobs that failed and never succeeded, the most frequent first.
        tried_again: the first of those that are done, but not since their first attempt.
        n_tried_again: of each stage that has any.
        left_out: the user's own files that became no candidate, with the reason.
        left_out_advice: on these.
    """

    groups: tuple[FailureGroup, ...]
    tried_again: tuple[JobView, ...]
    n_tried_again: tuple[tuple[str, int], ...]
    left_out: tuple[tuple[str, str], ...]
    left_out_advice: Advice
    notice: Notice | None

    @property
    def n_failed(self) -> int:
        """Jobs, of all codes."""
        return sum(group.n_jobs for group in self.groups)


def failures_view(
    results: CampaignResults, campaign: Path, notice: Notice | None = None
) -> FailuresView:
    """The page of a campaign, whose file or folder is `campaign`."""
    codes, causes = results.jobs.codes(), results.jobs.causes(_N_FIRST)
    groups = [
        FailureGroup(
            cause.code,
            codes.pop(cause.code, cause.n_jobs),
            cause,
            advice_in(
                results, campaign, cause.code, max(cause.stages, key=cause.stages.__getitem__)
            ),
        )
        for cause in causes
    ]
    groups += [
        FailureGroup(code, n_jobs, None, advice_in(results, campaign, code))
        for code, n_jobs in codes.items()
    ]
    again = JobFilter(stages=QUEUED_STAGES, states=("done",), min_attempts=2)
    return FailuresView(
        groups=tuple(groups),
        tried_again=tuple(results.jobs.page(again, limit=_N_TRIED_AGAIN, order="stage")),
        n_tried_again=tuple(
            (stage, sum(states.values())) for stage, states in results.jobs.counts(again).items()
        ),
        left_out=tuple(results.left_out_files().items()),
        left_out_advice=advice_in(results, campaign, _LEFT_OUT),
        notice=notice,
    )


def failures(request: Request) -> Response:
    """`/c/SLUG/failures`."""
    campaign = campaign_of(request)
    with campaign.open() as results:
        notice = notice_of(request, results)
        view = failures_view(results, campaign.path.absolute(), notice)
    return render(request, "failures.html", view)


def failures_file(request: Request) -> Response:
    """`/c/SLUG/failures.csv` and `.json`: one row a code."""
    campaign = campaign_of(request)
    with campaign.open() as results:
        view = failures_view(results, campaign.path.absolute())
    rows: list[dict[str, Any]] = [
        {
            "code": group.code,
            "n_jobs": group.n_jobs,
            "n_candidates": group.cause.n_candidates if group.cause else None,
            "stages": group.cause.stages if group.cause else None,
            "meaning": group.advice.meaning,
            "action": group.advice.action,
            "command": group.advice.command,
        }
        for group in view.groups
    ]
    rows += [
        {
            "code": _LEFT_OUT,
            "file": name,
            "message": reason,
            "meaning": view.left_out_advice.meaning,
        }
        for name, reason in view.left_out
    ]
    return table_response(request, "failures", rows)
