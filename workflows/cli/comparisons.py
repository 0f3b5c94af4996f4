"""Computed windows beside published ones, and beside those of an earlier snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from workflows.cli.tables import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from workflows.changes import Place, SnapshotChange
    from workflows.published import Comparison, LimitComparison

_VERDICTS = {"agrees": "green", "differs": "bold red"}


def published_sections(comparisons: Sequence[Comparison]) -> Iterator[RenderableType]:
    """A table with two lines a window, then notes and sources."""
    table = Table(
        title="published beside computed (V against the metal)",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", overflow="fold")
    table.add_column("limit", no_wrap=True)
    table.add_column("publ.", justify="right", no_wrap=True)
    table.add_column("here", justify="right", no_wrap=True)
    table.add_column("differs by", justify="right", no_wrap=True)
    table.add_column("verdict, products", overflow="fold")
    for comparison in comparisons:
        for limit in comparison.limits:
            is_first = limit is comparison.limits[0]
            of = " *" if comparison.window_of == "equilibrium" else ""
            table.add_row(
                comparison.formula + of if is_first else "",
                limit.limit,
                _volts(limit.published_V),
                _volts(limit.computed_V),
                _difference(limit),
                _verdict(limit),
                end_section=not is_first,
            )
    yield table
    if any(comparison.window_of == "equilibrium" for comparison in comparisons):
        yield Text("* metastable: the window is that of the phases it decomposes into")
    for comparison in comparisons:
        note = f": {comparison.note}" if comparison.note else ""
        yield Text(f"{comparison.formula} ({comparison.source}){note}")


def _verdict(limit: LimitComparison) -> Text:
    text = Text(limit.verdict, _VERDICTS.get(limit.verdict, ""))
    if limit.is_unreliable and limit.computed_V is not None:
        text.append(" (unreliable: hidden divalent state)", "yellow")
    if limit.computed_products:
        text.append(f": {' + '.join(limit.computed_products)}", "")
    if limit.published_products and set(limit.published_products) != set(limit.computed_products):
        text.append(f" (published: {' + '.join(limit.published_products)})", "")
    return text


def _difference(limit: LimitComparison) -> str:
    if limit.difference_V is None:
        return UNKNOWN
    allowed = f" (±{limit.tolerance_V:.2f})" if limit.tolerance_V is not None else ""
    return f"{limit.difference_V:+.2f}{allowed}"


def _volts(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def changes_sections(changes: Sequence[SnapshotChange]) -> Iterator[RenderableType]:
    """What each replaced snapshot made of the candidates, before and after."""
    if not changes:
        yield Text("no other reference phases have been used: there is nothing to compare with")
    for change in changes:
        before, after = (
            snapshot.name + (f" ({snapshot.sha256[:12]})" if snapshot.sha256 else "")
            for snapshot in (change.before, change.after)
        )
        yield Text(f"reference phases: {before} → {after}", "bold")
        if not change.changed:
            yield Text("  neither E_hull nor a limit of any candidate changed")
            continue
        table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("candidate", overflow="fold")
        table.add_column("E_hull meV/at", justify="right", no_wrap=True)
        table.add_column("reduction V, products", overflow="fold")
        table.add_column("oxidation V, products", overflow="fold")
        for entry in change.changed:
            old, new = entry.before, entry.after
            table.add_row(
                entry.candidate,
                _arrow(
                    f"{1000 * old.e_hull_eV_per_atom:.1f}", f"{1000 * new.e_hull_eV_per_atom:.1f}"
                ),
                _limit_change(old, new, "reduction"),
                _limit_change(old, new, "oxidation"),
            )
        yield table
        if change.n_unchanged:
            yield Text(f"  unchanged: {change.n_unchanged} other candidates")


def _limit_change(old: Place, new: Place, limit: str) -> str:
    potentials = _arrow(*(f"{getattr(place, f'{limit}_limit_V'):.2f}" for place in (old, new)))
    products = [sorted(getattr(place, f"{limit}_products")) for place in (old, new)]
    if products[0] == products[1]:
        return potentials
    return f"{potentials}\n{_arrow(*(' + '.join(names) for names in products))}"


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"
