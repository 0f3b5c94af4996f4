"""The ranking as a table beside its Pareto plot; what is shown is in the address."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import orjson
from starlette.exceptions import HTTPException

from screening.errors import InvalidInput
from workflows.dashboard.downloads import plot_response, table_response
from workflows.dashboard.pages.candidate_sections import PlotPart
from workflows.dashboard.plots.pareto import pareto
from workflows.dashboard.queries import page_in
from workflows.dashboard.rendering import campaign_of, prefix_of, render
from workflows.export import flat_row
from workflows.funnel import rejection_label
from workflows.pareto_points import ParetoPoints, Quantity, pareto_points
from workflows.ranking_selection import (
    SIGMA,
    STATES,
    RankingFacts,
    RankingFilter,
    quantity_name,
    quantity_named,
    sorted_rows,
)
from workflows.ranking_words import Footnote, common_caveats, footnotes, more_caveats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from screening.ranked import RankedCandidate
    from screening.transport.documents import Diffusivity
    from workflows.dashboard.plot import Plot
    from workflows.dashboard.served import ServedCampaign

N_ON_A_PAGE = 100
_MOST_WITH_BARS = 200
_LONGEST_CAUSE = 160
_TELLER = "its page"
_BEST_IS_HIGH = ("window", SIGMA)


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Args:
        name: in addresses.
        unit: empty where there is none.
        order: in which it is sorted now.
        query: of the page sorted by it; the other way round where it is already.
    """

    name: str
    label: str
    unit: str
    order: str | None
    query: str


@dataclass(frozen=True)
class RunCell:
    """What came of a candidate's run at one temperature: a diffusivity, a failure, or nothing."""

    diffusivity: Diffusivity | None = None
    lost: str | None = None


@dataclass(frozen=True)
class RankingRow:
    """One candidate.

    Args:
        why: of its state, in words; empty where the state says all.
        runs: by the columns' temperatures.
        notes: numbers of its caveats among the footnotes.
        n_more_caveats: that are not among them.
    """

    candidate: RankedCandidate
    why: str
    runs: tuple[RunCell, ...]
    notes: tuple[int, ...]
    n_more_caveats: int

    @property
    def e_hull_meV_per_atom(self) -> float | None:
        """As people say it."""
        energy_eV = self.candidate.e_hull_eV_per_atom
        return None if energy_eV is None else 1000 * energy_eV


@dataclass(frozen=True)
class PlotChoice:
    """A quantity that can be on the second axis of the plot."""

    quantity: Quantity
    is_chosen: bool
    query: str

    @property
    def name(self) -> str:
        """In addresses."""
        return quantity_name(self.quantity)


@dataclass(frozen=True)
class RankingsView:
    """What the page shows.

    Args:
        query: of the address, without the number of the page.
        order: as in the address.
        n_shown: that the filter lets through, on all pages.
        n_unfinished: among all.
        states: that rows have.
        hosts: with how many candidates.
        caveats: numbered from 1.
        plot: None where the table alone is wanted.
        marked: ids of the plotted ones among the shown, as JSON; None: all of them.
    """

    wanted: RankingFilter
    query: str
    order: str
    columns: tuple[Column, ...]
    rows: tuple[RankingRow, ...]
    n_shown: int
    n_all: int
    n_unfinished: int
    page: int
    n_pages: int
    ions: tuple[str, ...]
    states: tuple[str, ...]
    hosts: tuple[tuple[str, int], ...]
    footnotes: tuple[Footnote, ...]
    caveats: tuple[str, ...]
    more_caveats: str
    plotted: PlotChoice
    plots: tuple[PlotChoice, ...]
    plot: PlotPart | None
    marked: str | None

    @property
    def asked(self) -> dict[str, str]:
        """What the filter asks for, as its form has it."""
        return dict(self.wanted.query())

    @property
    def reset_query(self) -> str:
        """Of the page with every candidate, in the order that it has."""
        return _query(RankingFilter(), self.order)

    @property
    def boxless_query(self) -> str:
        """Of the page without the box."""
        return _query(self.wanted.without_box(), self.order)

    @property
    def plot_query(self) -> str:
        """Of the plot."""
        return urlencode({"y": self.plotted.name})


def rankings_view(
    rows: Sequence[RankedCandidate],
    facts: RankingFacts,
    query: Mapping[str, str],
    plot_of: Callable[[Quantity], Plot] | None,
) -> RankingsView:
    """The page of a ranking.

    Args:
        rows: all of the campaign.
        facts: of these rows.
        query: of the address.
        plot_of: makes the Pareto plot of these rows; None where the table alone is wanted.

    Raises:
        InvalidInput: it asks for something that there is not.
        HTTPException: 400, for no page that there can be.
    """
    wanted, order = RankingFilter.from_query(query), query.get("sort", "")
    quantity = _plotted(facts, wanted)
    shown = sorted_rows(wanted.rows(rows, quantity), order)
    n_pages = max(1, -(-len(shown) // N_ON_A_PAGE))
    page = min(page_in(query), n_pages)
    here = shown[(page - 1) * N_ON_A_PAGE : page * N_ON_A_PAGE]
    temperatures_K = facts.temperatures_K
    caveats, n_more = common_caveats(here)
    numbers = {caveat: number for number, caveat in enumerate(caveats, start=1)}
    choices = _choices(temperatures_K, quantity, wanted, order)
    return RankingsView(
        wanted=wanted,
        query=_query(wanted, order),
        order=order,
        columns=tuple(_columns(temperatures_K, wanted, order)),
        rows=tuple(_row(row, temperatures_K, numbers) for row in here),
        n_shown=len(shown),
        n_all=len(rows),
        n_unfinished=sum(facts.n_of_state.get(state, 0) for state in ("waiting", "running")),
        page=page,
        n_pages=n_pages,
        ions=facts.ions,
        states=tuple(state for state in STATES if facts.n_of_state.get(state)),
        hosts=facts.hosts,
        footnotes=tuple(footnotes(here, _TELLER)),
        caveats=tuple(caveats),
        more_caveats=more_caveats(n_more, _TELLER) if n_more else "",
        plotted=next(choice for choice in choices if choice.is_chosen),
        plots=choices,
        plot=PlotPart.of(plot_of(quantity)) if plot_of else None,
        marked=None if wanted.is_open else _ids(pareto_points(shown, quantity)),
    )


def rankings(request: Request) -> Response:
    """`/c/SLUG/rankings`."""
    campaign = campaign_of(request)
    with campaign.open() as results:
        rows = campaign.ranking(results)
    with _wishes():
        view = rankings_view(
            rows,
            _facts(campaign, rows),
            request.query_params,
            None if _is_for_table(request) else partial(_pareto, request, campaign, rows),
        )
    return render(request, "rankings.html", view)


def rankings_file(request: Request) -> Response:
    """`/c/SLUG/rankings.csv` and `.json`: all pages of what the filter shows, in its order."""
    campaign = campaign_of(request)
    with campaign.open() as results:
        rows = campaign.ranking(results)
    query = request.query_params
    with _wishes():
        wanted = RankingFilter.from_query(query)
        shown = sorted_rows(
            wanted.rows(rows, _plotted(_facts(campaign, rows), wanted)), query.get("sort")
        )
    return table_response(request, "rankings", map(flat_row, shown))


def pareto_file(request: Request) -> Response:
    """`/c/SLUG/pareto.ENDING`: of all candidates, whatever the table shows."""
    campaign = campaign_of(request)
    with campaign.open() as results:
        rows = campaign.ranking(results)
    with _wishes():
        wanted = RankingFilter.from_query(request.query_params)
        quantity = _plotted(_facts(campaign, rows), wanted)
    plot = _pareto(request, campaign, rows, quantity)
    return plot_response(request, plot, request.path_params["ending"])


def _is_for_table(request: Request) -> bool:
    """Whether a page asks that only puts the table in the place of its own."""
    headers = request.headers
    return "HX-Request" in headers and "HX-History-Restore-Request" not in headers


@contextlib.contextmanager
def _wishes() -> Iterator[None]:
    """What an address asks for in vain is answered with a page that says so."""
    try:
        yield
    except InvalidInput as error:
        raise HTTPException(400, str(error)) from error


def _pareto(
    request: Request,
    campaign: ServedCampaign,
    rows: Sequence[RankedCandidate],
    quantity: Quantity,
) -> Plot:
    address = f"{prefix_of(request)}/c/{campaign.slug}/candidates"

    def make() -> Plot:
        n_points = len(pareto_points(rows, quantity).points)
        first = {row.id for row in rows[:N_ON_A_PAGE]}
        return pareto(
            rows,
            lambda identifier: f"{address}/{identifier}",
            None if n_points <= _MOST_WITH_BARS else first,
            quantity,
        )

    return campaign.kept("pareto", (rows, quantity, address), make)


def _facts(campaign: ServedCampaign, rows: Sequence[RankedCandidate]) -> RankingFacts:
    return campaign.kept("ranking", rows, lambda: RankingFacts.of(rows))


def _plotted(facts: RankingFacts, wanted: RankingFilter) -> Quantity:
    asked = quantity_named(wanted.y) if wanted.y else None
    return asked or facts.best_known


def _query(wanted: RankingFilter, order: str) -> str:
    return urlencode([*wanted.query(), *([("sort", order)] if order else [])])


def _columns(temperatures_K: Sequence[float], wanted: RankingFilter, order: str) -> list[Column]:
    moving = [Quantity(kelvin) for kelvin in temperatures_K]
    shown = [
        ("rank", "#", ""),
        ("front", "front", ""),
        ("id", "candidate", ""),
        ("ion", "ion", ""),
        ("state", "state", ""),
        ("e_hull", "E_hull", "meV/atom"),
        ("window", "window", "V vs A/A⁺"),
    ]
    if moving:
        shown += [(SIGMA, Quantity().symbol, Quantity().unit), ("Ea", "Ea", "eV")]
    shown += [
        *((quantity_name(quantity), quantity.symbol, quantity.unit) for quantity in moving),
        ("caveats", "caveats", ""),
    ]
    columns = []
    for name, label, unit in shown:
        first, second = name, f"-{name}"
        if name in _BEST_IS_HIGH or quantity_named(name):
            first, second = second, first
        orders = {name: "ascending", f"-{name}": "descending"}
        following = second if order == first else first
        columns.append(Column(name, label, unit, orders.get(order), _query(wanted, following)))
    return columns


def _row(
    row: RankedCandidate, temperatures_K: Sequence[float], numbers: Mapping[str, int]
) -> RankingRow:
    found = {d.temperature_K: d for d in row.diffusivity}
    lost = {float(kelvin): code for kelvin, code in row.lost_runs.items()}
    notes = tuple(numbers[caveat] for caveat in row.caveats if caveat in numbers)
    return RankingRow(
        candidate=row,
        why=_why(row),
        runs=tuple(RunCell(found.get(kelvin), lost.get(kelvin)) for kelvin in temperatures_K),
        notes=notes,
        n_more_caveats=len(row.caveats) - len(notes),
    )


def _why(row: RankedCandidate) -> str:
    if row.rejection is not None:
        return rejection_label(row.rejection)
    if row.failure is not None:
        return _shortened(f"{row.stage}, {row.failure.code}: {row.failure.message}")
    if row.state != "done":
        return row.stage
    return "" if row.diffusivity or row.lost_runs else "no dynamics"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_CAUSE else f"{line[: _LONGEST_CAUSE - 1]}…"


def _choices(
    temperatures_K: Sequence[float], chosen: Quantity, wanted: RankingFilter, order: str
) -> tuple[PlotChoice, ...]:
    """A box belongs to the plot in which it was drawn: another plot is without it."""
    quantities = {Quantity(), *map(Quantity, temperatures_K), chosen}
    rest = wanted.without_box()
    return tuple(
        PlotChoice(
            quantity, quantity == chosen, _query(replace(rest, y=quantity_name(quantity)), order)
        )
        for quantity in sorted(quantities, key=lambda q: q.diffusivity_at_K or 0.0)
    )


def _ids(found: ParetoPoints) -> str:
    return orjson.dumps([point.id for point in found.points]).decode()
