"""The stability of one candidate as people read it: hull, both windows, voltages, guards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from workflows.cli.voltage_bar import steps_table, voltage_bar
from workflows.voltage_intervals import amounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from screening.stability.documents import Interface, Limit, Stability, Window


def stability_sections(stability: Stability, width: int) -> Iterator[RenderableType]:
    """Hull and windows, the bar with its steps, guards, interfaces, caveats.

    Args:
        stability: of the candidate.
        width: columns of the terminal.
    """
    yield section("stability", _hull(stability))
    yield Text()
    yield voltage_bar(stability, width)
    yield steps_table(stability.profile)
    if stability.interfaces:
        yield _interfaces(stability.interfaces)
    yield section(
        "guards",
        {
            guard.name: f"{'passed' if guard.passed else 'FAILED'}: {guard.message}"
            for guard in stability.guards
        },
    )
    if stability.caveats:
        yield section("caveats", {"": "\n".join(stability.caveats)})


def section(title: str, entries: dict[str, str]) -> Table:
    """Names and values under a title; empty values are left out."""
    table = Table(title=Text(title, "bold"), title_justify="left", show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")  # long paths, too, can be copied
    for name, value in entries.items():
        if value:
            table.add_row(f"[dim]{name}[/dim]", Text(value))
    return table


def _hull(stability: Stability) -> dict[str, str]:
    depth_meV = 1000 * stability.energy_below_competitors_eV_per_atom
    products = amounts(stability.decomposition)
    if stability.window_of == "candidate":
        place = {"is formed from": f"{products}, with {depth_meV:.1f} meV/atom gained"}
    else:
        place = {"decomposes to": products}
    own, others = stability.candidate_window, stability.equilibrium_window
    ranked = {stability.window_of: " (ranked)"}
    return {
        "formation energy": f"{stability.formation_energy_eV_per_atom:.4f} eV/atom",
        "E_hull": f"{1000 * stability.e_hull_eV_per_atom:.1f} meV/atom",
        "below its competitors": f"{depth_meV:.1f} meV/atom",
        **place,
        "own window": _window(own) + ranked.get("candidate", ""),
        "reduction": _limit(own.reduction),
        "oxidation": _limit(own.oxidation),
        "window of equilibrium": _window(others) + ranked.get("equilibrium", ""),
        "its reduction": _limit(others.reduction),
        "its oxidation": _limit(others.oxidation),
        "references": f"{stability.references_sha256[:12]} (hash of this chemical system's phases)",
    }


def _window(window: Window) -> str:
    low_V, high_V = window.reduction.potential_V, window.oxidation.potential_V
    if low_V > high_V:
        return f"none: it is reduced below {low_V:.3f} V and oxidised above {high_V:.3f} V"
    text = f"{low_V:.3f}–{high_V:.3f} V, {window.width_V:.3f} V wide"
    if window.width_68_V:
        text += " (68 %: {:.2f}…{:.2f})".format(*window.width_68_V)
    return text


def _limit(limit: Limit) -> str:
    interval = (
        " (68 %: {:.2f}…{:.2f})".format(*limit.potential_68_V) if limit.potential_68_V else ""
    )
    return f"{limit.potential_V:.3f} V{interval}: {limit.reaction}"


def _interfaces(interfaces: tuple[Interface, ...]) -> Table:
    table = Table(
        title="interfaces: where the reaction is worst",
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=None,
    )
    table.add_column("with", no_wrap=True)
    table.add_column("at", no_wrap=True)
    table.add_column("meV/atom", justify="right")
    table.add_column("mutual", justify="right")
    table.add_column("reaction", overflow="fold")
    for interface in interfaces:
        table.add_row(
            interface.partner,
            "closed" if interface.potential_V is None else f"{interface.potential_V:.2f} V",
            f"{1000 * interface.worst_energy_eV_per_atom:.0f}",
            f"{1000 * interface.worst_mutual.mutual_energy_eV_per_atom:.0f}",
            Text(interface.reaction),
        )
    return table
