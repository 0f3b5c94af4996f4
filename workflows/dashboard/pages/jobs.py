"""Jobs as a table: what they do, where, how long, and why they failed or wait."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self, cast, get_args
from urllib.parse import urlencode

from starlette.exceptions import HTTPException

from workflows.advice import KNOWN_CODES
from workflows.dashboard.actions import Notice, notice_of
from workflows.dashboard.downloads import table_response
from workflows.dashboard.queries import page_in
from workflows.dashboard.rendering import campaign_of, render
from workflows.execution.orders import Order, Orders
from workflows.execution_settings import QUEUED_STAGES
from workflows.job_list import EVERY_JOB, JobFilter, JobOrder
from workflows.views import SHOWN_STATES, STAGES, JobView, ShownState
from workflows.waiting import Hold, holds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from workflows.read_model import CampaignResults

N_ON_A_PAGE = 100
_MOST_ORDERS = 20
_N_NEAREST = 8
NEVER, AGAIN = "never", "again"
OUTCOMES = {
    NEVER: "failed and never succeeded",
    AGAIN: "succeeded, but not at the first attempt",
}
"""Values of `outcome` in the address."""
_COLUMNS: tuple[tuple[JobOrder, str, str], ...] = (
    ("stage", "stage", ""),
    ("candidate", "candidate", ""),
    ("state", "state, and why", ""),
    ("temperature", "T", "K"),
    ("worker", "where", ""),
    ("attempts", "attempts", ""),
    ("waited", "waited", ""),
    ("ran", "ran", ""),
    ("core_hours", "core-hours", ""),
    ("ended", "last change", ""),
)
_OF_QUEUES = ("worker", "waited")
_ORDERS: tuple[JobOrder, ...] = get_args(JobOrder)
_NUMBERS = ("temperature", "attempts", "waited", "ran", "core_hours")


@dataclass(frozen=True)
class JobsQuery:
    """Which jobs, in which order, as the address says; None stands for all.

    Args:
        outcome: of `OUTCOMES`.
        sort: a column, with a minus in front for the other way round; empty: those first that
            failed, run or wait.
    """

    stage: str | None = None
    state: ShownState | None = None
    candidate: str | None = None
    code: str | None = None
    outcome: str | None = None
    sort: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str], codes: Iterable[str]) -> Self:
        """As an address says.

        Raises:
            HTTPException: 400, it says what there is not.
        """
        given = {f.name: text for f in fields(cls) if (text := query.get(f.name, "").strip())}
        known: dict[str, Iterable[str]] = {
            "stage": STAGES,
            "state": SHOWN_STATES,
            "code": {*codes, *KNOWN_CODES},
            "outcome": OUTCOMES,
            "sort": [name for column in _ORDERS for name in (column, f"-{column}")],
        }
        for name, allowed in known.items():
            if name in given and given[name] not in allowed:
                raise HTTPException(
                    400, f"{name}={given[name]}: there is {', '.join(sorted(allowed))}."
                )
        return cls(**cast("Any", given))

    def filter(self) -> JobFilter:
        """Of the list of jobs."""
        states: tuple[ShownState, ...] = (self.state,) if self.state else ()
        if self.outcome == NEVER:
            states = ("failed",)
        elif self.outcome == AGAIN:
            states = ("done",)
        return JobFilter(
            stage=self.stage,
            stages=QUEUED_STAGES if self.outcome == AGAIN and not self.stage else (),
            candidate=self.candidate,
            states=states,
            codes=(self.code,) if self.code else (),
            min_attempts=2 if self.outcome == AGAIN else None,
        )

    def address(self, **changed: str | None) -> str:
        """Its query in an address."""
        asked = {f.name: getattr(self, f.name) for f in fields(self)} | changed
        return urlencode({name: value for name, value in asked.items() if value})


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Args:
        order: ascending or descending, where it is sorted by; else None.
        query: of the page sorted by it; the other way round where it is already.
    """

    label: str
    unit: str
    is_number: bool
    order: str | None
    query: str


@dataclass(frozen=True)
class JobsView:
    """What the page shows.

    Args:
        query: of the address, without the number of the page.
        rows: of this page.
        counts: of all pages, by state.
        has_queue: whether any job was ever sent to a queue.
        nearest: candidates that may have been meant, where none is called so.
        codes: of failed jobs, with how many there are.
        history: what was asked of the campaign, the last ones.
    """

    wanted: JobsQuery
    query: str
    columns: tuple[Column, ...]
    rows: tuple[JobView, ...]
    counts: tuple[tuple[ShownState, int], ...]
    page: int
    n_pages: int
    has_queue: bool
    nearest: tuple[str, ...]
    stages: tuple[str, ...]
    states: tuple[ShownState, ...]
    codes: tuple[tuple[str, int], ...]
    outcomes: tuple[tuple[str, str], ...]
    holds: tuple[Hold, ...]
    notice: Notice | None
    history: tuple[Order, ...]

    @property
    def n_jobs(self) -> int:
        """On all pages."""
        return sum(number for _, number in self.counts)


def jobs_view(
    results: CampaignResults, query: Mapping[str, str], notice: Notice | None = None
) -> JobsView:
    """The page of a campaign.

    Raises:
        HTTPException: 400, the query asks for what there is not.
    """
    codes = results.jobs.codes()
    wanted = JobsQuery.of(query, codes)
    status = results.status()
    shown = wanted.filter()
    totals = _by_state(status if shown == EVERY_JOB else results.jobs.counts(shown))
    n_pages = max(-(-totals.total() // N_ON_A_PAGE), 1)
    page = min(page_in(query), n_pages)
    rows = results.jobs.page(shown, N_ON_A_PAGE, (page - 1) * N_ON_A_PAGE, **_sorting(wanted))
    of_all = _by_state(status)
    ((has_queue,),) = results.table.select("select exists (select 1 from queue_jobs)")
    return JobsView(
        wanted=wanted,
        query=wanted.address(),
        columns=tuple(_columns(wanted, bool(has_queue))),
        rows=tuple(rows),
        counts=tuple((state, totals[state]) for state in SHOWN_STATES if totals[state]),
        page=page,
        n_pages=n_pages,
        has_queue=bool(has_queue),
        nearest=_nearest(results, wanted.candidate) if wanted.candidate and not rows else (),
        stages=tuple(status),
        states=tuple(s for s in SHOWN_STATES if of_all[s] or s == wanted.state),
        codes=tuple(codes.items()),
        outcomes=tuple(OUTCOMES.items()),
        holds=tuple(holds_of(results.table)),
        notice=notice,
        history=tuple(Orders(results.table).history()[-_MOST_ORDERS:]),
    )


def jobs(request: Request) -> Response:
    """`/c/SLUG/jobs`."""
    with campaign_of(request).open() as results:
        view = jobs_view(results, request.query_params, notice_of(request, results))
    return render(request, "jobs.html", view)


def jobs_file(request: Request) -> Response:
    """`/c/SLUG/jobs.csv` and `.json`: all pages of what the table shows."""
    with campaign_of(request).open() as results:
        wanted = JobsQuery.of(request.query_params, results.jobs.codes())
        rows = [job_row(job) for job in results.jobs.page(wanted.filter(), **_sorting(wanted))]
    return table_response(request, "jobs", rows)


def job_row(job: JobView) -> dict[str, Any]:
    """Of a file: what the table shows, as numbers, and what tells jobs apart."""
    return {
        "uuid": job.uuid,
        "state": job.state,
        "stage": job.stage,
        "candidate": job.candidate,
        "temperature_K": job.temperature_K,
        "n_atoms": job.n_atoms,
        "worker": job.worker,
        "queue_id": job.queue_id,
        "attempts": job.attempts,
        "waited_s": job.waited_s,
        "ran_s": job.ran_s,
        "core_hours": job.core_hours,
        "queued_at": job.queued_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "waits_for": job.why,
        "code": job.code,
        "message": job.message,
    }


def _by_state(counts: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    """Of all stages together."""
    total: Counter[str] = Counter()
    for states in counts.values():
        total.update(states)
    return total


def _sorting(wanted: JobsQuery) -> dict[str, Any]:
    if not wanted.sort:
        return {}
    return {
        "order": wanted.sort.removeprefix("-"),
        "is_descending": wanted.sort.startswith("-"),
    }


def _columns(wanted: JobsQuery, has_queue: bool) -> Iterable[Column]:
    for name, label, unit in _COLUMNS:
        if name in _OF_QUEUES and not has_queue:
            continue
        order = {name: "ascending", f"-{name}": "descending"}.get(wanted.sort)
        is_number = name in _NUMBERS
        first, second = (f"-{name}", name) if is_number else (name, f"-{name}")
        query = wanted.address(sort=second if wanted.sort == first else first)
        yield Column(label, unit, is_number, order, query)


def _nearest(results: CampaignResults, asked: str) -> tuple[str, ...]:
    """Candidates with this in their name, or else names like it; empty where there is one."""
    known = results.jobs.candidates()
    if asked in known:
        return ()
    with_it = [candidate for candidate in known if asked.lower() in candidate.lower()]
    near = with_it or difflib.get_close_matches(asked, known, n=_N_NEAREST, cutoff=0.4)
    return tuple(near[:_N_NEAREST])
