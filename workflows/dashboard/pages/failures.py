"""Failures by cause: what each means, what to do, the command that does it, and whom it met."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.advice import Advice, advice_for
from workflows.commands import with_campaign
from workflows.dashboard.actions import Notice, notice_of
from workflows.dashboard.downloads import table_response
from workflows.dashboard.rendering import campaign_of, render
from workflows.execution_settings import QUEUED_STAGES
from workflows.job_list import JobFilter
from workflows.views import JobView

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from workflows.read_model import CampaignResults

_N_FIRST = 3
_N_TRIED_AGAIN = 10
_LEFT_OUT = "LEFT_OUT"


@dataclass(frozen=True)
class FailureGroup:
    """Jobs that failed with one code.

    Args:
        stages: with how many of them.
        jobs: the first ones.
    """

    code: str
    n_jobs: int
    n_candidates: int
    stages: tuple[tuple[str, int], ...]
    advice: Advice
    jobs: tuple[JobView, ...]


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
    again = {
        stage: JobFilter(stage=stage, states=("done",), min_attempts=2) for stage in QUEUED_STAGES
    }
    counts = {stage: results.jobs.count(wanted) for stage, wanted in again.items()}
    first = [
        job
        for stage, wanted in again.items()
        if counts[stage]
        for job in results.jobs.page(wanted, limit=_N_TRIED_AGAIN)
    ]
    return FailuresView(
        groups=_groups(results, campaign),
        tried_again=tuple(first[:_N_TRIED_AGAIN]),
        n_tried_again=tuple((stage, number) for stage, number in counts.items() if number),
        left_out=tuple(results.left_out_files().items()),
        left_out_advice=_advice(results, campaign, _LEFT_OUT, None),
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
            "n_candidates": group.n_candidates,
            "stages": ", ".join(f"{stage} {number}" for stage, number in group.stages),
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


def _groups(results: CampaignResults, campaign: Path) -> tuple[FailureGroup, ...]:
    stages: dict[str, Counter[str]] = {}
    candidates: Counter[str] = Counter()
    for code, stage, n_jobs in results.table.select(
        "select coalesce(code, ''), stage, count(*) from jobs where run = ? and state = 'failed' "
        "and stage is not null group by code, stage",
        (results.run,),
    ):
        stages.setdefault(code, Counter())[stage] += n_jobs
    for code, n_candidates in results.table.select(
        "select coalesce(code, ''), count(distinct candidate) from jobs where run = ? "
        "and state = 'failed' group by code",
        (results.run,),
    ):
        candidates[code] = n_candidates
    return tuple(
        FailureGroup(
            code,
            number.total(),
            candidates[code],
            tuple(number.most_common()),
            _advice(results, campaign, code, number.most_common(1)[0][0]),
            tuple(results.jobs.page(JobFilter(states=("failed",), codes=(code,)), limit=_N_FIRST)),
        )
        for code, number in sorted(stages.items(), key=lambda it: (-it[1].total(), it[0]))
    )


def _advice(results: CampaignResults, campaign: Path, code: str, stage: str | None) -> Advice:
    advice = advice_for(code, stage, results.config.execution.cluster is not None)
    return Advice(
        advice.meaning,
        with_campaign(advice.action, campaign),
        with_campaign(advice.command, campaign),
    )
