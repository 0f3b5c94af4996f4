"""A plot: what a page draws with plotly, as numbers, and as a matplotlib figure."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from workflows.figures.style import Width

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
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


def plain(text: str) -> str:
    """Any text as plotly's pseudo-HTML, which then shows it as it is."""
    return html.escape(text, quote=False)


def lowered(formula: str) -> str:
    """A formula, or text with formulas, as plotly's pseudo-HTML with its numbers lowered."""
    return re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", plain(formula))


@overload
def rounded(value: float, digits: int = 4) -> float: ...
@overload
def rounded(value: None, digits: int = 4) -> None: ...
def rounded(value: float | None, digits: int = 4) -> float | None:
    """So many significant digits: more cannot be seen, and files become large by them."""
    return None if value is None else float(f"{value:.{digits}g}")


def number(value: float) -> str:
    """As people read it: three significant digits."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}".replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}".replace("-", "−")


def interval_68(ends: tuple[float, float] | None) -> str:
    """In brackets behind its value; nothing where there is none."""
    return "" if ends is None else f" (68 %: {number(ends[0])}…{number(ends[1])})"
