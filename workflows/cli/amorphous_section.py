"""A crystal and its glasses as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from workflows.amorphous_words import local_order, meV_above_crystal, order_in_words
from workflows.cli.stability_sections import section
from workflows.cli.tables import UNKNOWN, number
from workflows.cli.transport_section import diffusivity

if TYPE_CHECKING:
    from rich.console import RenderableType

    from screening.amorphous.documents import Amorphous, AmorphousDocument


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
        moves = {d.temperature_K: diffusivity(d) for d in phase.transport.diffusivities}
        activation_eV = phase.transport.arrhenius.activation_energy_eV
        moving.add_row(
            phase.name,
            *(moves.get(temperature_K, UNKNOWN) for temperature_K in temperatures_K),
            number(activation_eV, ".2f"),
        )
    yield moving
    ordering = _table(f"local order at {compared.disorder_temperature_K:g} K")
    for heading in ("atoms", "E above crystal\nmeV/atom", "nearest, Å", "neighbours", "CSM of MX₆"):
        ordering.add_column(heading, justify="right")
    for phase in compared.phases:
        found = local_order(phase.disorder)
        ordering.add_row(
            phase.name,
            str(phase.n_atoms),
            number(meV_above_crystal(phase, compared), ".0f"),
            *map("\n".join, (found.nearest, found.coordination, found.symmetry)),
        )
    yield ordering
    yield section(
        "",
        {
            **{f"D({order.temperature_K:g} K)": order_in_words(order) for order in compared.orders},
            **{name: f"{f.code}: {f.message}" for name, f in compared.failures.items()},
            "note": "\n".join(compared.caveats),
        },
    )


def _table(title: str) -> Table:
    table = Table(title=Text(title, "bold"), title_justify="left", box=None, header_style="dim")
    table.add_column("")
    return table
