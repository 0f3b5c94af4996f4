"""One candidate: where it came from, its crystal, stability, transport, jobs and files."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.amorphous_words import LocalOrder, local_order, meV_above_crystal, order_in_words
from workflows.array_files import ArrayFile, array_files
from workflows.candidate_structure import CandidateStructure, structure_of
from workflows.commands import advice_in
from workflows.dashboard.actions import Notice, notice_of
from workflows.dashboard.pages.candidate_sections import (
    PlotPart,
    RunPart,
    StabilityPart,
    run_parts,
    stability_part,
    why_nothing,
)
from workflows.dashboard.plots.arrhenius import arrhenius
from workflows.dashboard.plots.landscape import orderings
from workflows.dashboard.plots.msd import msd
from workflows.dashboard.plots.voltage import voltage
from workflows.dashboard.rendering import campaign_of, render
from workflows.job_list import JobFilter
from workflows.ordering_energies import OrderingEnergy, ordering_energies
from workflows.published import Comparison, compare_published
from workflows.ranking_words import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from screening.amorphous.documents import Amorphous, Phase
    from screening.documents import Origin
    from screening.ranked import RankedCandidate
    from screening.transport.documents import Transport
    from workflows.advice import Advice
    from workflows.read_model import CampaignResults
    from workflows.views import CandidateView, JobView

_N_NEAREST = 5
_MOST_ORDERINGS = 60
_LIVE_S, _FINISHED_S = 5, 30
_DOI = re.compile(r"10\.\d{4,9}/[^\s,;\"<>]+")


@dataclass(frozen=True)
class UnknownCandidateView:
    """There is no such candidate.

    Args:
        left_out: why it became no candidate, where that is known.
        nearest: ids that are like it.
    """

    id: str
    n_candidates: int
    left_out: str | None
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class Provenance:
    """Where it came from: one of its hosts, and a DOI of that."""

    origin: Origin
    doi: str | None


@dataclass(frozen=True)
class GlassRow:
    """The crystal or a glass, in one line."""

    phase: Phase
    meV_above_crystal: float | None
    order: LocalOrder


@dataclass(frozen=True)
class GlassPart:
    """The crystal and its glasses.

    Args:
        orders: temperature -> who moves faster than whom.
        failures: phase -> why there is nothing of it.
    """

    rows: tuple[GlassRow, ...]
    temperatures_K: tuple[float, ...]
    disorder_temperature_K: float
    orders: tuple[tuple[float, str], ...]
    failures: tuple[tuple[str, str], ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class CandidatePageView:
    """What the page shows.

    Args:
        said: what became of it.
        advice: on its failure.
        missing: stage -> why it has no result.
        interfaces: why there are none; empty where there are some.
        orderings: the lowest of its configuration space, itself among them.
        n_orderings: that were relaxed.
        has_trajectories: whether there is something to tell barriers from.
        reads_every_s: how often the page looks again.
    """

    known: CandidateView
    said: tuple[str, ...]
    advice: Advice | None
    origins: tuple[Provenance, ...]
    missing: dict[str, str]
    crystal: CandidateStructure | None
    atoms: tuple[dict[str, str | float], ...]
    stability: StabilityPart | None
    interfaces: str
    transport: Transport | None
    arrhenius: PlotPart | None
    runs: tuple[RunPart, ...]
    orderings: tuple[OrderingEnergy, ...]
    n_orderings: int
    orderings_plot: PlotPart | None
    has_trajectories: bool
    glasses: GlassPart | None
    asks_for_glasses: bool
    published: tuple[Comparison, ...]
    files: tuple[tuple[ArrayFile, JobView | None], ...]
    reads_every_s: int
    notice: Notice | None


def candidate(request: Request) -> Response:
    """`/c/SLUG/candidates/ID`."""
    campaign = campaign_of(request)
    identifier = request.path_params["id"]
    with campaign.open() as results:
        rows = campaign.ranking(results)
        if all(row.id != identifier for row in rows):
            unknown = unknown_candidate_view(results, rows, identifier)
            return render(request, "unknown_candidate.html", unknown, 404)
        notice = notice_of(request, results)
        view = candidate_page_view(results, campaign.path.absolute(), rows, identifier, notice)
    return render(request, "candidate.html", view)


def unknown_candidate_view(
    results: CampaignResults, rows: Sequence[RankedCandidate], identifier: str
) -> UnknownCandidateView:
    """The page of an id that there is not."""
    ids = [row.id for row in rows]
    return UnknownCandidateView(
        id=identifier,
        n_candidates=len(ids),
        left_out=results.left_out().get(identifier),
        nearest=tuple(difflib.get_close_matches(identifier, ids, n=_N_NEAREST, cutoff=0.4)),
    )


def candidate_page_view(
    results: CampaignResults,
    campaign: Path,
    rows: Sequence[RankedCandidate],
    identifier: str,
    notice: Notice | None = None,
) -> CandidatePageView:
    """The page of a candidate that is in the ranking.

    Args:
        results: of the campaign.
        campaign: its file or folder.
        rows: its ranking.
        identifier: of the candidate.
        notice: of what was asked for there.
    """
    known = results.candidate(identifier, rows)
    crystal = structure_of(results, known)
    stability = known.stability.result if known.stability else None
    transport: Transport | None = getattr(known.transport, "result", None)
    energies = ordering_energies(results.relaxed_orderings(identifier))
    moving = _dynamics_jobs(results, known)
    files = array_files(results, {job.uuid for job in known.jobs})
    of = {job.uuid: job for job in known.jobs}
    electrodes = results.last_config["stability"].get("electrodes")
    amorphous = known.amorphous.result if known.amorphous else None
    return CandidatePageView(
        known=known,
        said=tuple(verdict(known.row)),
        advice=_advice(results, campaign, known.row),
        origins=tuple(
            Provenance(origin, _doi(origin.source))
            for origin in (known.info.origin, *known.info.other_origins)
        ),
        missing=_missing(results, known),
        crystal=crystal,
        atoms=tuple(crystal.atoms()) if crystal else (),
        stability=stability_part(stability, voltage(stability, known.info.mobile_ion))
        if stability
        else None,
        interfaces="" if electrodes else "Not asked for: stability.electrodes names none.",
        transport=transport,
        arrhenius=PlotPart.of(arrhenius(transport)) if transport else None,
        runs=run_parts(
            transport,
            moving,
            {d.temperature_K: msd(d) for d in transport.diffusivities} if transport else {},
        ),
        orderings=_around(energies, identifier),
        n_orderings=len(energies),
        orderings_plot=PlotPart.of(orderings(energies, identifier)) if energies else None,
        has_trajectories=transport is not None
        and any(file.job_uuid in {job.uuid for job in moving} for file in files),
        glasses=_glasses(amorphous) if amorphous else None,
        asks_for_glasses=results.last_config.get("amorphous") is not None,
        published=tuple(
            comparison
            for comparison in compare_published(results.config, rows)
            if comparison.candidate == identifier
        ),
        files=tuple((file, of.get(file.job_uuid)) for file in files),
        reads_every_s=_LIVE_S if results.surroundings.is_being_run else _FINISHED_S,
        notice=notice,
    )


def _missing(results: CampaignResults, known: CandidateView) -> dict[str, str]:
    config = results.last_config
    return {
        "relax": why_nothing(known, "relax"),
        "stability": why_nothing(known, "stability"),
        "transport": why_nothing(known, "transport", config["dynamics"] is not None),
        "amorphous": why_nothing(known, "amorphous", config.get("amorphous") is not None),
    }


def _dynamics_jobs(results: CampaignResults, known: CandidateView) -> list[JobView]:
    """Of the crystal, not of its glasses."""
    transport = tuple(job.uuid for job in known.jobs if job.stage == "transport")
    return results.jobs.page(JobFilter(stage="dynamics", of=transport)) if transport else []


def _advice(results: CampaignResults, campaign: Path, row: RankedCandidate) -> Advice | None:
    return advice_in(results, campaign, row.failure.code, row.stage) if row.failure else None


def _doi(source: str) -> str | None:
    found = _DOI.search(source)
    return found[0].rstrip(".)") if found else None


def _around(energies: Sequence[OrderingEnergy], identifier: str) -> tuple[OrderingEnergy, ...]:
    lowest = list(energies[:_MOST_ORDERINGS])
    lowest += [e for e in energies[_MOST_ORDERINGS:] if e.id == identifier]
    return tuple(lowest)


def _glasses(compared: Amorphous) -> GlassPart:
    diffusivities = [d for phase in compared.phases for d in phase.transport.diffusivities]
    return GlassPart(
        rows=tuple(
            GlassRow(phase, meV_above_crystal(phase, compared), local_order(phase.disorder))
            for phase in compared.phases
        ),
        temperatures_K=tuple(sorted({d.temperature_K for d in diffusivities})),
        disorder_temperature_K=compared.disorder_temperature_K,
        orders=tuple((order.temperature_K, order_in_words(order)) for order in compared.orders),
        failures=tuple((name, f"{f.code}: {f.message}") for name, f in compared.failures.items()),
        caveats=compared.caveats,
    )
