"""A voltage profile: what is in equilibrium from 0 to 6 V as a bar, and its steps as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from workflows.voltage_intervals import (
    MAX_V,
    WINDOW_NAMES,
    Interval,
    amounts,
    interval_letter,
    intervals,
    own_window,
    potential_range,
    stable_interval,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from screening.stability.documents import Stability, VoltageProfile

_MIN_CELLS, _MAX_CELLS = 24, 96
_STABLE, _OTHERS, _OWN = "█", "░▒", "╌"
_STYLE = "green"
_UNIT = " V"


def voltage_bar(stability: Stability, width: int) -> RenderableType:
    """A bar from 0 to 6 V with the stable interval filled, and what is in equilibrium where.

    The intervals have letters, so that the bar can be read without colour. A metastable candidate's
    own window, if it has one, is a line under the bar.

    Args:
        stability: its profile and the window that is ranked.
        width: columns of the terminal.
    """
    n_cells = max(_MIN_CELLS, min(width - len(_UNIT) - 1, _MAX_CELLS))
    parts = intervals(stability.profile)
    stable = stable_interval(parts, stability.window)
    names = [interval_letter(i) for i in range(len(parts))]
    lines = [_axis(n_cells), _bar(parts, names, stable, n_cells)]
    window = WINDOW_NAMES[stability.window_of]
    legend = Table.grid(padding=(0, 2, 0, 0))
    for i, (name, interval) in enumerate(zip(names, parts, strict=True)):
        is_stable = i == stable
        legend.add_row(
            f"{_STABLE}{name}" if is_stable else f" {name}",
            str(interval),
            Text(amounts(interval.products) + (f", {window}" if is_stable else "")),
            style=f"bold {_STYLE}" if is_stable else None,
        )
    if own := own_window(stability):
        low_V, high_V = own.reduction.potential_V, own.oxidation.potential_V
        lines.append(_line(low_V, high_V, n_cells))
        legend.add_row(
            f"{_OWN}{_OWN}", potential_range(low_V, high_V), "the metastable candidate itself"
        )
    return Group(*lines, legend)


def steps_table(profile: VoltageProfile) -> Table:
    """Every reaction on the way down, with its charge and energy per mass of candidate."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("V", "mAh/g", "Wh/kg"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("on the way down", overflow="fold")
    for step in profile.steps:
        table.add_row(
            f"{step.potential_V:.3f}",
            f"{step.capacity_mAh_g:.1f}",
            f"{step.energy_Wh_kg:.0f}",
            Text(step.reaction),
        )
    return table


def _axis(n_cells: int) -> Text:
    """Whole volts above the cells that they fall on."""
    marks = [" "] * (n_cells + 1)
    for volt in range(MAX_V + 1):
        marks[round(volt * n_cells / MAX_V)] = str(volt)
    return Text("".join(marks) + _UNIT)


def _bar(parts: list[Interval], names: list[str], stable: int | None, n_cells: int) -> Text:
    bar = Text()
    potentials_V = [(cell + 0.5) * MAX_V / n_cells for cell in range(n_cells)]
    for i, interval in enumerate(parts):
        n_filled = sum(interval.holds(potential_V) for potential_V in potentials_V)
        filling = _STABLE if i == stable else _OTHERS[i % 2]
        # a name on a narrow piece would hide it; it is in the legend all the same
        text = f" {names[i]} " if n_filled > 4 else names[i] if n_filled > 1 else ""
        bar.append(
            text.center(n_filled, filling) if text else filling * n_filled,
            _STYLE if i == stable else None,
        )
    return bar


def _line(low_V: float, high_V: float, n_cells: int) -> Text:
    """Cells between two potentials."""
    first, last = (
        round(min(max(potential_V, 0), MAX_V) * n_cells / MAX_V) for potential_V in (low_V, high_V)
    )
    return Text(" " * first + _OWN * (last - first))
