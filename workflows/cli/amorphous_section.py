"""A crystal and its glasses as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from workflows.cli.stability_sections import section
from workflows.cli.tables import UNKNOWN, number
from workflows.cli.transport_section import diffusivity

if TYPE_CHECKING:
    from rich.console import RenderableType

    from screening.amorphous.documents import (
        Amorphous,
        AmorphousDocument,
        DiffusivityOrder,
        Phase,
    )
    from screening.disorder.documents import DisorderReport


def amorphous_sections(document: AmorphousDocument) -> Iterator[RenderableType]:
    """How the ions of each phase move, how each is ordered, and who is fastest; or the failure."""
    if document.result is not None:
        yield from _comparison(document.result)
    elif document.failure is not None:
        yield section("glasses failed", {document.failure.code: document.failure.message})


def _comparison(compared: Amorphous) -> Iterator[RenderableType]:
    moving = _table("crystal and glasses: diffusivity, cm²/s (68 %)")
    temperatures_K = sorted(
        {d.temperature_K for phase in compared.phases for d in phase.transport.diffusivities}
    )
    for temperature_K in temperatures_K:
        moving.add_column(f"{temperature_K:g} K", no_wrap=True)
    moving.add_column("Ea, eV", justify="right")
    for phase in compared.phases:
        found = {d.temperature_K: diffusivity(d) for d in phase.transport.diffusivities}
        activation_eV = phase.transport.arrhenius.activation_energy_eV
        moving.add_row(
            phase.name,
            *(found.get(temperature_K, UNKNOWN) for temperature_K in temperatures_K),
            number(activation_eV, ".2f"),
        )
    yield moving
    ordering = _table(f"local order at {compared.disorder_temperature_K:g} K")
    for heading in ("atoms", "E above crystal\nmeV/atom", "nearest, Å", "neighbours", "CSM of MX₆"):
        ordering.add_column(heading, justify="right")
    crystal = next((phase for phase in compared.phases if phase.melt_temperature_K is None), None)
    for phase in compared.phases:
        ordering.add_row(
            phase.name,
            str(phase.n_atoms),
            _above(phase, crystal),
            *_local_order(phase.disorder),
        )
    yield ordering
    yield section(
        "",
        {
            **{f"D({order.temperature_K:g} K)": _order(order) for order in compared.orders},
            **{name: f"{f.code}: {f.message}" for name, f in compared.failures.items()},
            "note": "\n".join(compared.caveats),
        },
    )


def _table(title: str) -> Table:
    table = Table(title=Text(title, "bold"), title_justify="left", box=None, header_style="dim")
    table.add_column("")
    return table


def _above(phase: Phase, crystal: Phase | None) -> str:
    energy_eV = phase.potential_energy_eV_per_atom
    crystal_eV = crystal.potential_energy_eV_per_atom if crystal else None
    if crystal_eV is None or energy_eV is None:
        return UNKNOWN
    return f"{1000 * (energy_eV - crystal_eV):.0f}"


def _local_order(report: DisorderReport) -> tuple[str, str, str]:
    """Nearest distances, coordination and symmetry measure of the host's cations."""
    around = [each for each in report.coordination if each.centre != report.mobile_ion]
    centres = {each.centre: each for each in report.symmetry}
    bonds = {frozenset((s.centre, anion)) for s in centres.values() for anion in s.neighbours}
    peaks = [
        f"{rdf.centre}–{rdf.neighbour} {rdf.shell.peak_A:.2f}"
        for rdf in report.rdfs
        if rdf.shell and frozenset((rdf.centre, rdf.neighbour)) in bonds
    ]
    coordination = [f"{c.centre} {c.mean:.2f}" for c in around if c.centre in centres]
    measures = [
        f"{s.centre} {s.mean:.2f} ({100 * s.share_of_six:.0f} % MX₆)" for s in centres.values()
    ]
    return "\n".join(peaks), "\n".join(coordination), "\n".join(measures)


def _order(order: DiffusivityOrder) -> str:
    """`A > B ≈ C`: intervals apart, or overlapping."""
    signs = [" > " if apart else " ≈ " for apart in order.apart]
    return "".join(name + sign for name, sign in zip(order.names, [*signs, ""], strict=True))
