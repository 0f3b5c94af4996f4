"""Where numbers come from: runs and what changed between them, versions, hashes, citations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from workflows.citations import Citation, citations, to_bibtex
from workflows.config import NOT_SCIENCE
from workflows.config_changes import ConfigChange, config_changes
from workflows.dashboard.downloads import attached
from workflows.dashboard.rendering import campaign_of, render
from workflows.execution.orders import Order, Orders
from workflows.ingredients import Ingredients, ingredients
from workflows.memory import give_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from workflows.dashboard.served import ServedCampaign
    from workflows.read_model import CampaignResults

_MOST_RUNS = 50


@dataclass(frozen=True)
class RunRow:
    """A run of the campaign, and what was other than in the one before.

    Args:
        versions: package -> version before (None in the first run shown) and then, where they
            differ.
    """

    number: int
    started_at: float
    ended_at: float | None
    config_changes: tuple[ConfigChange, ...]
    version_changes: tuple[tuple[str, str | None, str | None], ...]


@dataclass(frozen=True)
class ProvenanceView:
    """What the page shows, the last run first.

    Args:
        n_runs: of which the last ones are shown.
        versions: of the last run.
        pending: what a run of the config as it is now would find other than in the last run.
    """

    runs: tuple[RunRow, ...]
    n_runs: int
    versions: tuple[tuple[str, str], ...]
    pending: tuple[ConfigChange, ...]
    history: tuple[Order, ...]


@dataclass(frozen=True)
class IngredientsView:
    """What results were made with, read from all of them."""

    used: Ingredients
    citations: tuple[Citation, ...]


def provenance_view(results: CampaignResults) -> ProvenanceView:
    """The page of a campaign."""
    runs = [
        (number, started_at, ended_at, orjson.loads(config), orjson.loads(versions))
        for number, started_at, ended_at, config, versions in results.table.select(
            "select run, started_at, ended_at, config, versions from runs where run <= ? "
            "order by run desc limit ?",
            (results.run, _MOST_RUNS + 1),
        )
    ]
    ((n_runs,),) = results.table.select("select count(*) from runs")
    before = [*runs[1:], None]
    return ProvenanceView(
        runs=tuple(
            _row(run, earlier) for run, earlier in list(zip(runs, before, strict=True))[:_MOST_RUNS]
        ),
        n_runs=n_runs,
        versions=tuple(runs[0][4].items()),
        pending=_pending(results, runs[0][3]),
        history=tuple(reversed(Orders(results.table).history())),
    )


def _pending(results: CampaignResults, last_config: Mapping[str, Any]) -> tuple[ConfigChange, ...]:
    if not results.config_has_changed:
        return ()
    found = config_changes(last_config, results.config.model_dump(mode="json"))
    return tuple(change for change in found if change.key.split(".")[0] not in NOT_SCIENCE)


def _row(run: tuple[Any, ...], earlier: tuple[Any, ...] | None) -> RunRow:
    number, started_at, ended_at, config, versions = run
    if earlier is None:
        return RunRow(number, started_at, ended_at, (), ())
    *_, config_before, versions_before = earlier
    return RunRow(
        number,
        started_at,
        ended_at,
        tuple(config_changes(config_before, config)),
        tuple(_changed(versions_before, versions)),
    )


def _changed(
    before: Mapping[str, str], after: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    names = dict.fromkeys((*before, *after))
    return [(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)]


def provenance(request: Request) -> Response:
    """`/c/SLUG/provenance`."""
    with campaign_of(request).open() as results:
        view = provenance_view(results)
    return render(request, "provenance.html", view)


def ingredients_part(request: Request) -> Response:
    """`/c/SLUG/provenance/ingredients`: a part of the page that takes its time."""
    return render(request, "ingredients.html", _ingredients(campaign_of(request)))


def citations_file(request: Request) -> Response:
    """`/c/SLUG/citations.bib`."""
    text = to_bibtex(_ingredients(campaign_of(request)).citations)
    return Response(text, media_type="application/x-bibtex", headers=attached("citations.bib"))


def config_file(request: Request) -> Response:
    """`/c/SLUG/campaign.yaml`: the config of the last run, as it was read."""
    content = campaign_of(request).folder.config_copy.read_bytes()
    return Response(content, media_type="application/yaml", headers=attached("campaign.yaml"))


def _ingredients(campaign: ServedCampaign) -> IngredientsView:
    with campaign.open() as results:
        (finished,) = results.table.select(
            "select run, count(*), max(ended_at), sum(attempts) from jobs where run = ? "
            "and state = 'done'",
            (results.run,),
        )

        def read() -> IngredientsView:
            used = ingredients(results)
            give_back()
            return IngredientsView(used, citations(used))

        return campaign.kept("ingredients", finished, read)
