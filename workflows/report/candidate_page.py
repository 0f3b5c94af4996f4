"""One candidate's page of a report."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from screening.transport.documents import Transport, TransportDocument
from workflows.methods import SOFT_FORCES
from workflows.report.figures import ReportFigure, report_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from screening.documents import Relaxation
    from screening.ranked import RankedCandidate
    from screening.stability.documents import Stability
    from screening.transport.documents import Diffusivity
    from workflows.dashboard.plot import Plot
    from workflows.figures.style import Width
    from workflows.read_model import CampaignResults
    from workflows.views import CandidateView


@dataclass(frozen=True)
class Atom:
    """A site of the relaxed cell, in fractions of its edges."""

    symbol: str
    x: float
    y: float
    z: float


@dataclass(frozen=True)
class RelaxedCell:
    """The relaxed structure."""

    lengths_A: tuple[float, float, float]
    angles_deg: tuple[float, float, float]
    volume_A3: float
    atoms: tuple[Atom, ...]
    cif: str

    @property
    def cif_address(self) -> str:
        """The CIF as a link."""
        return f"data:chemical/x-cif;base64,{base64.b64encode(self.cif.encode()).decode()}"


@dataclass(frozen=True)
class Run:
    """Molecular dynamics at one temperature.

    Args:
        diffusivity: None where the run gave nothing.
        ended: the numbers behind `outcome`.
        core_hours: of all its jobs and attempts, where they were counted.
        said: why there is only a bound, what the framework did, caveats; or the failure.
    """

    temperature: str
    diffusivity: Diffusivity | None
    outcome: str | None
    ended: str | None
    core_hours: float | None
    said: tuple[str, ...]


@dataclass(frozen=True)
class CandidatePage:
    """All of it.

    Args:
        anchor: its id in the page.
        view: what is known.
        without_transport: why there are no diffusivities; None where there are.
        soft_forces: what to know about diffusivities of this potential.
    """

    anchor: str
    view: CandidateView
    cell: RelaxedCell | None
    stability: Stability | None
    voltage: ReportFigure | None
    transport: Transport | None
    without_transport: str | None
    arrhenius: ReportFigure | None
    msd: tuple[ReportFigure, ...]
    runs: tuple[Run, ...]
    soft_forces: str | None


def candidate_page(
    results: CampaignResults,
    row: RankedCandidate,
    anchor: str,
    on_plot: Callable[[str, Plot], None],
) -> CandidatePage:
    """The page of one candidate.

    Args:
        results: of the campaign.
        row: of the candidate in the ranking.
        anchor: like that of no other page.
        on_plot: given each figure with a name that no other has.
    """
    identifier = row.id
    view = results.candidate(identifier, (row,))
    relaxed = view.relax.result if view.relax else None
    stability = view.stability.result if view.stability else None
    moved = view.transport.result if isinstance(view.transport, TransportDocument) else None
    figures: dict[str, ReportFigure] = {}
    for name, plot in _plots(view, stability, moved):
        on_plot(f"{identifier}_{name}", plot)
        width: Width = "page" if name == "voltage" else "column"
        figures[name] = report_figure(plot, f"{anchor}_{name}", width)
    soft = relaxed is not None and "chgnet" in relaxed.convention.potential
    asked = results.last_config["dynamics"] is not None
    return CandidatePage(
        anchor=anchor,
        view=view,
        cell=_cell(relaxed) if relaxed else None,
        stability=stability,
        voltage=figures.get("voltage"),
        transport=moved,
        without_transport=None if moved else _why_no_transport(asked),
        arrhenius=figures.get("arrhenius"),
        msd=tuple(figure for name, figure in figures.items() if name.startswith("msd")),
        runs=tuple(_runs(moved, view)) if moved else (),
        soft_forces=SOFT_FORCES.strip() if soft and moved else None,
    )


def _why_no_transport(asked: bool) -> str:
    return "no run has given a result yet" if asked else "the campaign asks for no dynamics"


def _plots(
    view: CandidateView, stability: Stability | None, moved: Transport | None
) -> Iterator[tuple[str, Plot]]:
    from workflows.dashboard.plots.arrhenius import arrhenius
    from workflows.dashboard.plots.msd import msd
    from workflows.dashboard.plots.voltage import voltage

    if stability is not None:
        yield "voltage", voltage(stability, view.info.mobile_ion)
    if moved is None:
        return
    if law := arrhenius(moved):
        yield "arrhenius", law
    for diffusivity in moved.diffusivities:
        if curves := msd(diffusivity):
            yield f"msd_{diffusivity.temperature_K:g}K", curves


def _cell(relaxed: Relaxation) -> RelaxedCell:
    from pymatgen.io.cif import CifWriter

    structure = relaxed.structure
    lattice = structure.lattice
    return RelaxedCell(
        lengths_A=lattice.abc,
        angles_deg=lattice.angles,
        volume_A3=structure.volume,
        atoms=tuple(Atom(site.specie.symbol, *site.frac_coords) for site in structure),
        cif=str(CifWriter(structure)),
    )


def _runs(moved: Transport, view: CandidateView) -> Iterator[Run]:
    found = {f"{d.temperature_K:g}": d for d in moved.diffusivities}
    took = {
        f"{job.temperature_K:g}": job.core_hours
        for job in view.jobs
        if job.stage == "dynamics" and job.temperature_K is not None
    }
    for temperature in sorted({*found, *moved.failures}, key=float):
        entry, end = found.get(temperature), moved.ends.get(temperature)
        said: list[str | None] = []
        if entry is not None:
            said = [entry.reason, *(each.message for each in entry.framework), *entry.caveats]
        if failure := moved.failures.get(temperature):
            said.append(f"{failure.code}: {failure.message}")
        yield Run(
            temperature,
            entry,
            end.outcome if end else None,
            end.message if end else None,
            took.get(temperature),
            tuple(dict.fromkeys(text for text in said if text)),
        )
