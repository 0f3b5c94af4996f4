"""A voltage profile: what is in equilibrium from 0 to 6 V as a bar, and its steps as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_lowercase
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from screening.stability.documents import Stability, VoltageProfile, Window

MAX_V = 6
_MIN_CELLS, _MAX_CELLS = 24, 96
_STABLE, _OTHERS, _OWN = "█", "░▒", "╌"
_STYLE = "green"
_UNIT = " V"


@dataclass(frozen=True)
class Interval:
    """Between two steps of a profile."""

    low_V: float
    high_V: float
    products: Mapping[str, float]

    def holds(self, potential_V: float) -> bool:
        """Whether a potential lies in it."""
        return self.low_V <= potential_V < self.high_V


def intervals(profile: VoltageProfile) -> list[Interval]:
    """The intervals of a profile by rising potential; the first starts at 0 V or below."""
    # the last step may lie at 0 V itself: what is below it needs no place on an axis from 0 V on
    bounds_V = [math.inf, *(step.potential_V for step in profile.steps)]
    products = [profile.oxidized, *(step.products for step in profile.steps)]
    bounds_V.append(min(0.0, bounds_V[-1]))
    found = [
        Interval(low_V, high_V, inside)
        for (high_V, low_V), inside in zip(pairwise(bounds_V), products, strict=True)
    ]
    return [interval for interval in reversed(found) if interval.high_V > max(0.0, interval.low_V)]


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
    stable = _stable(parts, stability.window)
    names = [_name(i) for i in range(len(parts))]
    lines = [_axis(n_cells), _bar(parts, names, stable, n_cells)]
    window = {"candidate": "its own window", "equilibrium": "window of the equilibrium"}[
        stability.window_of
    ]
    legend = Table.grid(padding=(0, 2, 0, 0))
    for i, (name, interval) in enumerate(zip(names, parts, strict=True)):
        is_stable = i == stable
        legend.add_row(
            f"{_STABLE}{name}" if is_stable else f" {name}",
            _range(interval.low_V, interval.high_V),
            Text(amounts(interval.products) + (f", {window}" if is_stable else "")),
            style=f"bold {_STYLE}" if is_stable else None,
        )
    own = stability.candidate_window
    if stability.window_of == "equilibrium" and own.width_V > 0:
        low_V, high_V = own.reduction.potential_V, own.oxidation.potential_V
        lines.append(_line(low_V, high_V, n_cells))
        legend.add_row(f"{_OWN}{_OWN}", _range(low_V, high_V), "the metastable candidate itself")
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


def amounts(phases: Mapping[str, float]) -> str:
    """Phases with their amounts: `K2Ta3Cl9 + 4 KCl`."""
    return " + ".join(
        formula if f"{amount:.3g}" == "1" else f"{amount:.3g} {formula}"
        for formula, amount in phases.items()
    )


def _stable(parts: list[Interval], window: Window) -> int | None:
    """Index of the interval that the window is."""
    if window.width_V == 0:
        return None
    middle_V = (window.reduction.potential_V + window.oxidation.potential_V) / 2
    return next((i for i, interval in enumerate(parts) if interval.holds(middle_V)), None)


def _name(index: int) -> str:
    """`a` to `z`, then `a1` to `z1` ..."""
    turn, letter = divmod(index, len(ascii_lowercase))
    return ascii_lowercase[letter] + (str(turn) if turn else "")


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


def _range(low_V: float, high_V: float) -> str:
    if math.isinf(high_V):
        return f"above {low_V:.2f} V"
    return f"{max(low_V, 0):.2f}–{high_V:.2f} V"
