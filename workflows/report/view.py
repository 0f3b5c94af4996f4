"""What a report shows: filled from the results at any moment of a run."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.advice import FailureGroup, by_code
from workflows.citations import Citation, citations, to_bibtex
from workflows.funnel import FunnelStep, campaign_funnel
from workflows.ingredients import Ingredients, ingredients
from workflows.methods import Paragraph, in_order, methods
from workflows.ranking_words import Footnote, common_caveats, footnotes
from workflows.report.candidate_page import CandidatePage, candidate_page
from workflows.report.figures import ReportFigure, report_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from screening.ranked import RankedCandidate
    from workflows.dashboard.plot import Plot
    from workflows.read_model import CampaignResults

MOST_ROWS = 100
"""Of the ranking in the page; the data that go with it hold all."""
_MOST_UNPACKED = 1_500_000  # bytes of a file inside the page
_TELLER = "its page or halideflow show"


@dataclass(frozen=True)
class Download:
    """A file inside the page."""

    name: str
    address: str
    n_bytes: int


@dataclass(frozen=True)
class Report:
    """The page.

    Args:
        missing: what keeps it from being the whole answer; none of a finished campaign.
        sources: as the methods number them.
        rows: the first of the ranking.
        n_rows: of the whole ranking.
        caveats: of ranked candidates, the most frequent.
        without_page: why there is no page of any candidate; None where there are some.
        left_out: the user's files that became no candidate, with the reason.
    """

    name: str
    description: str
    made_at: float
    used: Ingredients
    missing: tuple[str, ...]
    methods: tuple[Paragraph, ...]
    sources: tuple[Citation, ...]
    funnel: tuple[FunnelStep, ...]
    rows: tuple[RankedCandidate, ...]
    n_rows: int
    footnotes: tuple[Footnote, ...]
    caveats: tuple[str, ...]
    pareto: ReportFigure | None
    pages: tuple[CandidatePage, ...]
    without_page: str | None
    failures: tuple[FailureGroup, ...]
    left_out: tuple[tuple[str, str], ...]
    downloads: tuple[Download, ...]

    def numbers_of(self, keys: Iterable[str]) -> list[tuple[int, int]]:
        """Of sources, from 1 on: the first and last of each unbroken series."""
        places = {source.key: i for i, source in enumerate(self.sources, start=1)}
        series: list[tuple[int, int]] = []
        for number in sorted(places[key] for key in keys):
            if series and number == series[-1][1] + 1:
                series[-1] = series[-1][0], number
            else:
                series.append((number, number))
        return series

    def page_of(self, identifier: str) -> CandidatePage | None:
        """Of a candidate, where it has one."""
        return next((page for page in self.pages if page.view.info.id == identifier), None)


def report_view(
    results: CampaignResults,
    top: int,
    on_page: Callable[[int, int], None] = lambda done, n_pages: None,
    on_plot: Callable[[str, Plot], None] = lambda name, plot: None,
) -> Report:
    """The report of a campaign's last run.

    Args:
        results: of the campaign.
        top: so many candidates get a page, from the first of the ranking on.
        on_page: told how many of them are made.
        on_plot: given each figure with a name that no other has.
    """
    rows = results.ranking()
    used = ingredients(results)
    cited = citations(used)
    text = methods(used, cited)
    sources = in_order(text, cited)
    chosen = [row for row in rows if row.rank is not None][:top]
    pareto = _pareto(rows, on_plot)
    pages = []
    for i, row in enumerate(chosen):
        on_page(i, len(chosen))
        pages.append(candidate_page(results, row, f"c{i + 1}", on_plot))
    on_page(len(chosen), len(chosen))
    shown = rows[:MOST_ROWS]
    left_out = results.left_out_files()
    return Report(
        name=results.name,
        description=used.config.description,
        made_at=time.time(),
        used=used,
        missing=tuple(_missing(results, rows, used)),
        methods=text,
        sources=tuple(sources),
        funnel=campaign_funnel(results, rows),
        rows=shown,
        n_rows=len(rows),
        footnotes=tuple(footnotes(shown, _TELLER)),
        caveats=tuple(common_caveats(shown)[0]),
        pareto=pareto,
        pages=tuple(pages),
        without_page=None if chosen else "No candidate has reached a rank.",
        failures=tuple(by_code(results.failures(), results.config.execution.cluster is not None)),
        left_out=tuple(left_out.items()),
        downloads=tuple(_downloads(results, rows, sources, {row.id for row in chosen})),
    )


def _pareto(
    rows: Sequence[RankedCandidate], on_plot: Callable[[str, Plot], None]
) -> ReportFigure | None:
    """None where no candidate has a place on both axes."""
    from workflows.dashboard.plots.pareto import pareto
    from workflows.pareto_points import pareto_points

    if not pareto_points(rows).points:
        return None
    plot = pareto(rows, lambda identifier: "", None)
    on_plot("pareto", plot)
    return report_figure(plot, "pareto", "page")


def _missing(
    results: CampaignResults, rows: Sequence[RankedCandidate], used: Ingredients
) -> Iterable[str]:
    if not rows:
        failed = any(job.stage == "enumerate" for job in results.failures())
        yield (
            "The enumeration failed: there is no candidate."
            if failed
            else ("The enumeration has not ended yet: no candidate is known.")
        )
    if unfinished := [row for row in rows if row.state in ("waiting", "running")]:
        words = {"waiting": "waiting for", "running": "running"}
        doing = Counter(f"{words[row.state]} {row.stage}" for row in unfinished)
        listed = ", ".join(f"{number} {what}" for what, number in doing.most_common())
        now = "is being run" if results.surroundings.is_being_run else "is not being run now"
        yield (
            f"The campaign is not finished and {now}: {len(unfinished)} of {len(rows)} candidates "
            f"have no answer yet ({listed}). Ranks will change."
        )
    if n_failed := sum(row.state == "failed" for row in rows):
        yield f"{n_failed} of {len(rows)} candidates failed; see Failures."
    if lost := sum(bool(row.lost_runs) for row in rows):
        yield f"{lost} candidates lost runs at single temperatures; see Failures."
    if left_out := results.left_out_files():
        yield f"{len(left_out)} structure files could not be used; see Failures."
    if used.config.engine.name == "rehearsal":
        yield (
            "This was a rehearsal with a stand-in for VASP: its numbers are those of a "
            "machine-learned potential, not of density functional theory."
        )
    if used.snapshot.sha256 is None:
        yield "The last run noted no hash of its reference phases: they are not described."
    elif used.snapshot.known is None:
        yield (
            f"The reference phases {used.snapshot.name} are not there any more as they were; "
            "only their hash is given."
        )
    if results.config_has_changed:
        yield "The campaign's file has changed since its last run, which is what is shown here."


def _downloads(
    results: CampaignResults,
    rows: Sequence[RankedCandidate],
    sources: Sequence[Citation],
    with_page: Collection[str],
) -> Iterable[Download]:
    """The ranking, with displacement curves of those that have a page: they are most of it."""
    without_curves = {"diffusivity": {"__all__": {"msd"}}}
    listed = [
        row.model_dump(mode="json", exclude=None if row.id in with_page else without_curves)
        for row in rows
    ]
    ranking = json.dumps(listed, separators=(",", ":"), allow_nan=False)
    yield _download("ranking.json", "application/json", ranking)
    yield _download("citations.bib", "text/plain", to_bibtex(sources))
    yield _download(
        "campaign.yaml", "text/plain", results.folder.config_copy.read_text(encoding="utf-8")
    )


def _download(name: str, media_type: str, text: str) -> Download:
    """Packed where it is large."""
    content = text.encode()
    if len(content) > _MOST_UNPACKED:
        name, media_type = f"{name}.gz", "application/gzip"
        content = gzip.compress(content, mtime=0)
    encoded = base64.b64encode(content).decode()
    return Download(name, f"data:{media_type};base64,{encoded}", len(content))
