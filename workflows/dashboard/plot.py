"""A plot: what a page draws with plotly, as numbers, and as a matplotlib figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from workflows.figures.style import Width

TEXT, MUTED, SURFACE = "var(--text)", "var(--muted)", "var(--surface)"
"""Colours of the page: in traces and layouts they stand for what the style sheet says."""


@dataclass(frozen=True)
class Plot:
    """One plot in all its forms.

    Args:
        name: of its files.
        title: for people.
        summary: one or two sentences that say what is seen, with the numbers.
        traces: of plotly. Colours are such that they are seen on a light and on a dark page, or
            names of the style sheet's, such as `TEXT`.
        layout: of plotly, likewise; axis titles with units, ranges, kinds of axes.
        rows: what is drawn, as numbers; keys are names with units.
        draw: makes the figure for print.
    """

    name: str
    title: str
    summary: str
    traces: tuple[dict[str, Any], ...]
    layout: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    draw: Callable[[Width], Figure]


@overload
def rounded(value: float, digits: int = 4) -> float: ...
@overload
def rounded(value: None, digits: int = 4) -> None: ...
def rounded(value: float | None, digits: int = 4) -> float | None:
    """So many significant digits: more cannot be seen, and files become large by them."""
    return None if value is None else float(f"{value:.{digits}g}")
