"""Retry, pause, resume and cancel from a page: asked for first, then in the campaign's history.

`GET actions/KIND` says what would happen, to how many jobs; `POST` does it and leads back to where
one came from, with the number of the order, whose fate that page then tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from workflows.advice import KNOWN_CODES
from workflows.campaign_orders import (
    counted,
    give,
    jobs_in_words,
    jobs_meant,
    n_dependents,
    named,
)
from workflows.commands import with_campaign
from workflows.dashboard.queries import number_in
from workflows.dashboard.rendering import campaign_of, prefix_of, render, site_of
from workflows.dashboard.security import is_from_our_page, read_form
from workflows.execution.jobs import JobTable
from workflows.execution.orders import OrderKind, Orders
from workflows.execution.selection import Selection
from workflows.job_list import JobFilter
from workflows.views import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from workflows.read_model import CampaignResults
    from workflows.views import JobView

ORDER = "order"
"""Name in a query: the order whose fate a page tells."""
_LONGEST_WAIT_S = 2.0  # for a run in progress to carry it out, while the browser waits
_N_NAMED = 10
_DOES = {
    "retry": "Try again",
    "pause": "Pause",
    "resume": "Resume",
    "cancel": "Cancel jobs",
}


@dataclass(frozen=True)
class ConfirmationView:
    """What a page asks before it does something.

    Args:
        kind: of the order.
        does: what a button calls it.
        what: which jobs, in words.
        consequences: what would happen; or why nothing would.
        goes_on_with: command that then goes on with the campaign, where nobody runs it.
        is_possible: whether there is anything to do.
        jobs: the first of those meant.
        n_more: that are not among them.
        fields: of the form that does it.
        back: address to go to afterwards.
    """

    kind: OrderKind
    does: str
    what: str
    consequences: tuple[str, ...]
    goes_on_with: str | None
    is_possible: bool
    jobs: tuple[JobView, ...]
    n_more: int
    fields: tuple[tuple[str, str], ...]
    back: str


@dataclass(frozen=True)
class Notice:
    """What became of an order.

    Args:
        is_pending: it has still to be carried out.
        command: that does so; empty where the run in progress will.
    """

    text: str
    is_pending: bool = False
    command: str = ""


def ask(request: Request) -> Response:
    """`GET /c/SLUG/actions/KIND`: nothing is done yet."""
    return _ask(request, request.query_params)


async def act(request: Request) -> Response:
    """`POST /c/SLUG/actions/KIND`."""
    form = await read_form(request)
    if not is_from_our_page(request, form, site_of(request).keys):
        raise HTTPException(
            403,
            "This did not come from a page of this dashboard, or from one that was open before it "
            "was started anew. Go back, reload the page, and try again.",
        )
    return await run_in_threadpool(_act, request, form)


def notice_of(request: Request, results: CampaignResults) -> Notice | None:
    """What a page has to tell of the order that its address names; None where it names none."""
    number = number_in(request.query_params.get(ORDER, ""))
    history = [] if number is None else Orders(results.table).history()
    order = next((order for order in history if order.number == number), None)
    if order is None:
        return None
    code = f", failed with {order.selection.code}" if order.selection.code else ""
    what = f"{named(order.selection)}{code}"
    if order.kind == "pause":
        return Notice(f"Paused: {what}. What runs goes on.")
    if order.kind == "resume":
        return Notice(f"Resumed: {what}.")
    does = "Trying again" if order.kind == "retry" else "Cancelling"
    if order.applied_at is None:
        if results.surroundings.is_being_run:
            given = f"{does} {what}: given to the run, which has not carried it out yet."
            return Notice(given, is_pending=True)
        path = campaign_of(request).path.absolute()
        submit = with_campaign("halideflow submit CAMPAIGN", path)
        return Notice(f"{does} {what}: some of these are in the queue.", True, submit)
    jobs = jobs_in_words(order.n_jobs or 0)
    if order.kind == "cancel":
        return Notice(f"{does} {what}: {jobs} ended.")
    wait = "waits" if order.n_jobs == 1 else "wait"
    return Notice(f"{does} {what}: {jobs} {wait} again, and with them what depended on them.")


def _ask(request: Request, fields: Mapping[str, str]) -> Response:
    kind = _kind(request)
    with campaign_of(request).open() as results:
        view = _confirmation(request, results, kind, fields)
    return render(request, "confirmation.html", view)


def _act(request: Request, form: Mapping[str, str]) -> Response:
    kind, campaign = _kind(request), campaign_of(request)
    with campaign.open() as results:
        view = _confirmation(request, results, kind, form)
        if not view.is_possible:
            return render(request, "confirmation.html", view)
        number = _carry_out(results, kind, _selection(results, kind, form))
    return RedirectResponse(_with_order(view.back, number), status_code=303)


def _carry_out(results: CampaignResults, kind: OrderKind, selection: Selection) -> int:
    """Do it; the number of the order."""
    if kind in ("retry", "cancel"):
        return give(results.folder, kind, [selection], _LONGEST_WAIT_S).numbers[-1]
    table = JobTable(results.folder.database)
    try:
        orders = Orders(table)
        (orders.pause if kind == "pause" else orders.resume)(selection)
        return orders.history()[-1].number
    finally:
        table.close()


def _kind(request: Request) -> OrderKind:
    kind = request.path_params["kind"]
    if kind not in get_args(OrderKind):
        raise HTTPException(404, f"No action {kind!r}: {', '.join(get_args(OrderKind))}.")
    return cast("OrderKind", kind)


def _selection(results: CampaignResults, kind: OrderKind, fields: Mapping[str, str]) -> Selection:
    """Jobs that a form means.

    Raises:
        HTTPException: 400, the campaign has no such jobs.
    """
    stage, candidate, code = (fields.get(name) or None for name in ("stage", "candidate", "code"))
    if stage is not None and stage not in STAGES:
        raise HTTPException(400, f"No stage {stage!r}: {', '.join(STAGES)}.")
    if candidate is not None and candidate not in results.jobs.candidates():
        raise HTTPException(400, f"No candidate {candidate!r} has jobs in this campaign.")
    if code is not None and kind != "retry":
        raise HTTPException(400, f"{_DOES[kind]} by code is not possible; leave it out.")
    if code is not None and code not in results.jobs.codes() and code not in KNOWN_CODES:
        raise HTTPException(400, f"No job of this campaign has failed with {code!r}.")
    return Selection(stage, candidate, code)


def _confirmation(
    request: Request, results: CampaignResults, kind: OrderKind, fields: Mapping[str, str]
) -> ConfirmationView:
    selection = _selection(results, kind, fields)
    codes = (selection.code,) if selection.code else ()
    wanted = jobs_meant(kind, selection.stage, selection.candidate, codes)
    impossible = _nothing_to_do(results, kind, selection, wanted)
    found = results.jobs.page(wanted, limit=_N_NAMED)
    told = (impossible,) if impossible else _consequences(results, kind, selection, wanted)
    is_left = kind != "pause" and not impossible and not results.surroundings.is_being_run
    command = with_campaign(results.surroundings.command, campaign_of(request).path.absolute())
    of_code = f", failed with {selection.code}" if selection.code else ""
    given = (
        ("stage", selection.stage), ("candidate", selection.candidate), ("code", selection.code),
    )  # fmt: skip
    return ConfirmationView(
        kind=kind,
        does=_DOES[kind],
        what=f"{named(selection)}{of_code}",
        consequences=told,
        goes_on_with=command if is_left else None,
        is_possible=not impossible,
        jobs=() if impossible else tuple(found),
        n_more=0 if impossible else results.jobs.count(wanted) - len(found),
        fields=tuple((name, value) for name, value in given if value),
        back=_back(request, fields),
    )


def _nothing_to_do(
    results: CampaignResults, kind: OrderKind, selection: Selection, wanted: JobFilter
) -> str:
    """Why; empty where there is something."""
    holds = Orders(results.table).holds()
    if kind == "pause":
        return f"{named(selection)}: is paused already." if selection in holds else ""
    if kind == "resume":
        if any(_lifts(selection, hold) for hold in holds):
            return ""
        still = ", ".join(named(hold) for hold in holds)
        return f"Nothing to resume; paused is {still or 'nothing'}."
    if results.jobs.count(wanted):
        return ""
    if kind == "retry":
        return "Nothing to try again: no such job has failed."
    return "Nothing to cancel: no such job waits or runs."


def _consequences(
    results: CampaignResults, kind: OrderKind, selection: Selection, wanted: JobFilter
) -> tuple[str, ...]:
    """What would happen, in sentences."""
    jobs = counted(results, wanted)
    if kind == "retry":
        told = [f"Tried again: {jobs}, and with them what depended on them."]
        if n_again := n_dependents(results, wanted):
            told.append(f"Done anew although finished, for it depended on them: {n_again:,}.")
    elif kind == "cancel":
        told = [
            f"Ended: {jobs}. What is finished stays, and what waits for them goes on without.",
            "Trying again what failed with CANCELLED takes it back.",
        ]
    elif kind == "pause":
        told = [f"Not started until somebody resumes them: {jobs}."]
        going_on = JobFilter(
            stage=selection.stage, candidate=selection.candidate, states=("running", "queued")
        )
        if n_going_on := results.jobs.count(going_on):
            told.append(f"What runs or is in the queue goes on: {jobs_in_words(n_going_on)}.")
    else:
        holds = Orders(results.table).holds()
        lifted = [named(hold) for hold in holds if _lifts(selection, hold)]
        kept = [named(hold) for hold in holds if not _lifts(selection, hold)]
        told = [f"Lifted is the pause of: {', '.join(lifted)}."]
        told += [f"Still paused: {', '.join(kept)}."] if kept else []
    return tuple(told)


def _lifts(selection: Selection, hold: Selection) -> bool:
    """As `Orders.resume` does."""
    return selection.stage in (None, hold.stage) and selection.candidate in (None, hold.candidate)


def _back(request: Request, fields: Mapping[str, str]) -> str:
    """Where one came from, if that is a page of this campaign; else its jobs."""
    campaign = f"{prefix_of(request)}/c/{request.path_params['slug']}/"
    asked = fields.get("back", "")
    try:
        parts = urlsplit(asked)
    except ValueError:  # such as brackets that do not close
        return f"{campaign}jobs"
    path = unquote(parts.path)  # browsers take %2e%2e for two dots
    is_ours = not parts.scheme and not parts.netloc and parts.path.startswith(campaign)
    is_plain = asked.isprintable() and "\\" not in path and not {".", ".."} & set(path.split("/"))
    if not is_ours or not is_plain or path.startswith(f"{campaign}actions/"):
        return f"{campaign}jobs"
    query = urlencode([(k, v) for k, v in parse_qsl(parts.query) if k != ORDER])
    return f"{parts.path}?{query}" if query else parts.path


def _with_order(address: str, number: int) -> str:
    return f"{address}{'&' if '?' in address else '?'}{ORDER}={number}"
