"""The first page of a campaign: how far it is, what stops it, what it costs, what leads."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.commands import advice_in, with_campaign
from workflows.dashboard.downloads import table_response
from workflows.dashboard.rendering import campaign_of, render
from workflows.execution.notes import TROUBLES, Note
from workflows.funnel import FunnelStep, campaign_funnel
from workflows.time_left import TimeLeft, time_left
from workflows.views import SHOWN_STATES, UNFINISHED, ShownState
from workflows.waiting import Hold, holds_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from screening.ranked import RankedCandidate
    from workflows.advice import Advice
    from workflows.cost.spending import Spending
    from workflows.read_model import CampaignResults

_N_LEADING = 5


@dataclass(frozen=True)
class StageRow:
    """Jobs of a stage by state, in the order of `SHOWN_STATES`."""

    stage: str
    counts: tuple[tuple[ShownState, int], ...]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(number for _, number in self.counts)


@dataclass(frozen=True)
class FailureRow:
    """Failures of one cause."""

    code: str
    n_jobs: int
    advice: Advice


@dataclass(frozen=True)
class OverviewView:
    """What the page shows.

    Args:
        goes_on_with: command that goes on where jobs wait and nobody runs the campaign.
        totals: jobs by state.
        holds: jobs that somebody holds back.
        troubles: what is in the way of the run in progress.
        left: None where no run is in progress.
        leading: the first of the ranking.
    """

    name: str
    engine: str
    path: str
    running_since: float | None
    runner: str | None
    goes_on_with: str | None
    config_has_changed: bool
    totals: tuple[tuple[ShownState, int], ...]
    stages: tuple[StageRow, ...]
    holds: tuple[Hold, ...]
    troubles: tuple[tuple[str, Note], ...]
    funnel: tuple[FunnelStep, ...]
    failures: tuple[FailureRow, ...]
    n_left_out_files: int
    spent: Spending
    left: TimeLeft | None
    leading: tuple[RankedCandidate, ...]
    n_candidates: int
    read_at: float

    @property
    def n_jobs(self) -> int:
        """In all."""
        return sum(number for _, number in self.totals)

    @property
    def n_unfinished(self) -> int:
        """Jobs that have not ended."""
        return sum(number for state, number in self.totals if state in UNFINISHED)


def overview_view(
    results: CampaignResults, rows: Sequence[RankedCandidate], path: Path
) -> OverviewView:
    """The page of a campaign, whose ranking is `rows`, and whose file or folder is `path`."""
    counts = results.status()
    since = results.running_since
    totals = tuple(
        (state, sum(states.get(state, 0) for states in counts.values())) for state in SHOWN_STATES
    )
    n_unfinished = sum(number for state, number in totals if state in UNFINISHED)
    driver = results.notes.get("driver")
    return OverviewView(
        name=results.name,
        engine=results.last_config["engine"]["name"],
        path=str(path),
        running_since=since,
        runner=driver.text if driver else None,
        goes_on_with=(
            with_campaign(results.surroundings.command, path)
            if n_unfinished and since is None
            else None
        ),
        config_has_changed=results.config_has_changed,
        totals=totals,
        stages=tuple(
            StageRow(stage, tuple((state, states.get(state, 0)) for state in SHOWN_STATES))
            for stage, states in counts.items()
        ),
        holds=tuple(holds_of(results.table)),
        troubles=tuple(
            (name, results.notes[name]) for name in TROUBLES if since and name in results.notes
        ),
        funnel=campaign_funnel(results, rows),
        failures=tuple(
            FailureRow(code, number, advice_in(results, path, code))
            for code, number in sorted(results.jobs.codes().items(), key=lambda it: -it[1])
        ),
        n_left_out_files=len(results.left_out_files()),
        spent=results.spent,
        left=None if since is None else time_left(results.table, results.run, counts, since),
        leading=tuple(row for row in rows[:_N_LEADING] if row.rank is not None),
        n_candidates=len(rows),
        read_at=time.time(),
    )


def overview(request: Request) -> Response:
    """`/c/SLUG/`."""
    campaign = campaign_of(request)
    with campaign.open() as results:
        view = overview_view(results, campaign.ranking(results), campaign.path.absolute())
    return render(request, "overview.html", view)


def funnel_file(request: Request) -> Response:
    """`/c/SLUG/funnel.csv` and `.json`."""
    campaign = campaign_of(request)
    with campaign.open() as results:
        steps = campaign_funnel(results, campaign.ranking(results))
    rows = [
        {
            "step": step.name,
            "label": step.label,
            "entered": step.entered,
            "passed": step.passed,
            "rejected": step.rejected,
            "failed": step.failed,
            "unfinished": step.unfinished,
            "reasons": "; ".join(f"{reason} ({number})" for reason, number in step.reasons),
        }
        for step in steps
    ]
    return table_response(request, "funnel", rows)


def stages_file(request: Request) -> Response:
    """`/c/SLUG/stages.csv` and `.json`."""
    with campaign_of(request).open() as results:
        counts = results.status()
    rows = [
        {"stage": stage, **{state: states.get(state, 0) for state in SHOWN_STATES}}
        for stage, states in counts.items()
    ]
    return table_response(request, "stages", rows)
