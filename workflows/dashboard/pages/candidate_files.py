"""Files of a candidate's page: its crystal, its tables, its plots, its trajectories."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from workflows.array_files import array_files
from workflows.candidate_motion import CandidateMotion, motion_of
from workflows.candidate_structure import structure_of, vacant_sites_of
from workflows.dashboard.downloads import (
    PlotEnding,
    attached,
    csv_response,
    json_response,
    plot_response,
)
from workflows.dashboard.pages.candidate_sections import MotionView, PlotPart
from workflows.dashboard.plots.arrhenius import arrhenius
from workflows.dashboard.plots.landscape import landscape, orderings
from workflows.dashboard.plots.msd import msd
from workflows.dashboard.plots.voltage import voltage
from workflows.dashboard.rendering import campaign_of, render
from workflows.dashboard.scene import structure_scene
from workflows.glass_files import diffusivity_rows
from workflows.ordering_energies import ordering_energies
from workflows.published import compare_published
from workflows.transport_files import run_rows
from workflows.voltage_intervals import amounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

    from screening.ranked import RankedCandidate
    from workflows.dashboard.plot import Plot
    from workflows.dashboard.served import ServedCampaign
    from workflows.read_model import CampaignResults
    from workflows.views import CandidateView

_ENDINGS: tuple[str, ...] = (*get_args(PlotEnding), "cif", "vasp")


def candidate_file(request: Request) -> Response:
    """`/c/SLUG/candidates/ID/FILE`: structure.cif and .vasp, or a table, or a plot.

    Raises:
        HTTPException: 404, there is no such candidate or no such file of it.
    """
    campaign = campaign_of(request)
    identifier, file = request.path_params["id"], request.path_params["file"]
    name, ending = _parts(file)
    with campaign.open() as results:
        rows = _rows(campaign, results, identifier)
        if name == "landscape":
            plot = landscape(_motion(campaign, results, identifier).reports)
        else:
            known = results.candidate(identifier, rows)
            if name == "structure" and ending in ("cif", "vasp"):
                return _structure(results, known, ending)
            if ending in ("csv", "json"):
                table = _table(name, results, known, rows)
                if table is not None:
                    answer = csv_response if ending == "csv" else json_response
                    return answer(f"{identifier}_{name}", table)
            plot = _plot(name, results, known)
    if plot is None:
        raise HTTPException(404, f"{identifier} has no {file}.")
    return plot_response(request, plot, ending)


def array_file(request: Request) -> Response:
    """`/c/SLUG/candidates/ID/arrays/NAME`: one that the store lists for a job of the candidate.

    Raises:
        HTTPException: 404, it lists no such file, or that is gone.
    """
    campaign = campaign_of(request)
    identifier, name = request.path_params["id"], request.path_params["name"]
    with campaign.open() as results:
        _rows(campaign, results, identifier)
        jobs = {job.uuid for job in results.jobs_of(identifier)}
        listed = {file.name: file for file in array_files(results, jobs)}
    if name not in listed or listed[name].n_bytes is None:
        raise HTTPException(404, f"{identifier} has no file {name!r}.")
    return FileResponse(listed[name].path, media_type="application/octet-stream", filename=name)


def scene_file(request: Request) -> Response:
    """`/c/SLUG/candidates/ID/scene.json`: the crystal, for structure.js.

    Raises:
        HTTPException: 404, there is no such candidate, or no crystal of it.
    """
    campaign = campaign_of(request)
    identifier = request.path_params["id"]
    with campaign.open() as results:
        known = results.candidate(identifier, _rows(campaign, results, identifier))
        crystal = structure_of(results, known)
        if crystal is None:
            raise HTTPException(404, f"{identifier}: its structure is not stored.")
        scene = campaign.kept(
            "scene",
            (identifier, results.run, crystal),
            lambda: structure_scene(
                crystal.structure, vacant_sites_of(results, known, crystal.structure)
            ),
        )
    return Response(orjson.dumps(scene), media_type="application/json")


def motion_part(request: Request) -> Response:
    """`/c/SLUG/candidates/ID/motion`: a part of the page that takes its time."""
    campaign = campaign_of(request)
    identifier = request.path_params["id"]
    with campaign.open() as results:
        _rows(campaign, results, identifier)
        found = _motion(campaign, results, identifier)
    view = MotionView(identifier, PlotPart.of(landscape(found.reports)), found.notes)
    return render(request, "motion.html", view)


def _rows(
    campaign: ServedCampaign, results: CampaignResults, identifier: str
) -> tuple[RankedCandidate, ...]:
    """The ranking, in which the candidate is."""
    rows = campaign.ranking(results)
    if all(row.id != identifier for row in rows):
        raise HTTPException(404, f"No candidate {identifier!r} in this campaign.")
    return rows


def _parts(file: str) -> tuple[str, str]:
    """Name and ending; names may have dots, as `msd_873.15K` has."""
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if file.endswith(f".{ending}"):
            return file.removesuffix(f".{ending}"), ending
    raise HTTPException(404, f"{file}: files end in {', '.join(_ENDINGS)}.")


def _structure(results: CampaignResults, known: CandidateView, ending: str) -> Response:
    crystal = structure_of(results, known)
    if crystal is None:
        raise HTTPException(404, f"{known.info.id}: its structure is not stored.")
    name = known.info.id if crystal.is_relaxed else f"{known.info.id}_as_made"
    text = crystal.cif() if ending == "cif" else crystal.poscar(name)
    kind = "chemical/x-cif" if ending == "cif" else "text/plain"
    media_type = f"{kind}; charset=utf-8"
    return Response(text, media_type=media_type, headers=attached(f"{name}.{ending}"))


def _motion(campaign: ServedCampaign, results: CampaignResults, identifier: str) -> CandidateMotion:
    """Kept for the candidate that was looked at last."""
    jobs = {job.uuid for job in results.jobs_of(identifier)}
    files = array_files(results, jobs)
    return campaign.kept("motion", (identifier, files), lambda: motion_of(results, identifier))


def _plot(name: str, results: CampaignResults, known: CandidateView) -> Plot | None:
    stability = known.stability.result if known.stability else None
    transport = getattr(known.transport, "result", None)
    if name == "voltage" and stability is not None:
        return voltage(stability, known.info.mobile_ion)
    if name == "orderings":
        return orderings(ordering_energies(results.relaxed_orderings(known.info.id)), known.info.id)
    if transport is None:
        return None
    if name == "arrhenius":
        return arrhenius(transport)
    for diffusivity in transport.diffusivities:
        plot = msd(diffusivity)
        if plot is not None and plot.name == name:
            return plot
    return None


def _table(
    name: str, results: CampaignResults, known: CandidateView, rows: Sequence[RankedCandidate]
) -> Iterable[Mapping[str, Any]] | None:
    """None where the candidate has none of that name."""
    stability = known.stability.result if known.stability else None
    transport = getattr(known.transport, "result", None)
    if name == "atoms":
        crystal = structure_of(results, known)
        return crystal.atoms() if crystal else None
    if name == "steps" and stability is not None:
        return (
            {**step.model_dump(mode="json"), "products": amounts(step.products)}
            for step in stability.profile.steps
        )
    if name == "interfaces" and stability is not None:
        return (
            {
                **interface.model_dump(mode="json", exclude={"kinks"}),
                "worst_mutual_energy_eV_per_atom": interface.worst_mutual.mutual_energy_eV_per_atom,
                "products": amounts(interface.products),
            }
            for interface in stability.interfaces
        )
    if name == "runs" and transport is not None:
        return run_rows(transport)
    if name == "conductivity" and transport is not None:
        return [transport.arrhenius.model_dump(mode="json")]
    if name == "glasses" and known.amorphous is not None and known.amorphous.result is not None:
        return diffusivity_rows(known.amorphous.result)
    if name == "published":
        return (
            {"formula": comparison.formula, **asdict(limit), "source": comparison.source}
            for comparison in compare_published(results.config, rows)
            if comparison.candidate == known.info.id
            for limit in comparison.limits
        )
    if name == "jobs":
        return map(asdict, known.jobs)
    return None
