"""The two axes of the ranking: how wide the window is, and how well the ion moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.lines import Line2D
from matplotlib.path import Path

from workflows.figures.palette import ion_mark
from workflows.figures.style import STYLE, Width, new_figure
from workflows.pareto_points import ParetoPoint, Quantity, pareto_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from screening.ranked import RankedCandidate

MAX_WITH_BARS = 200  # more of them would hide each other
_ARROW_DOWN = Path(  # a bar at the point, and an arrow that hangs from it
    [(-0.5, 0), (0.5, 0), (0, 0), (0, -1.0), (-0.3, -0.7), (0, -1.0), (0.3, -0.7)],
    [Path.MOVETO, Path.LINETO, *([Path.MOVETO, Path.LINETO] * 2), Path.LINETO],
)
_GREY = "0.5"


def pareto_figure(
    rows: Sequence[RankedCandidate], width: Width = "column", quantity: Quantity | None = None
) -> Figure:
    """σ(300 K), or D where no row has σ, over the window, with 68 % bars; bounds are arrows.

    What is hollow or faint is not ranked: rejected or suspect. The line runs along the first Pareto
    front.

    Args:
        rows: of a ranking; those without a place on both axes are left out.
        width: of the figure.
        quantity: on the second axis; None chooses the one that is known best.
    """
    found = pareto_points(rows, quantity)
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(width, 0.85 if width == "column" else 0.6)
        axes.set_xlabel("electrochemical window (V)")
        axes.set_ylabel(found.quantity.axis_label)
        if not found.points:
            axes.text(0.5, 0.5, "no candidate has both yet", ha="center", transform=axes.transAxes)
            return figure
        axes.set_yscale("log")
        axes.set_ylim(found.height_range)
        edge = found.edge
        axes.plot([p.window_V for p in edge], [p.height for p in edge], color=_GREY, zorder=1, lw=1)
        with_bars = len(found.points) <= MAX_WITH_BARS
        for ion, is_ranked, points in _groups(found.points):
            _draw(axes, ion, is_ranked, points, with_bars)
        figure.legend(
            handles=list(_handles(found.points, bool(edge), with_bars)),
            loc="outside lower center",
            ncols=3 if width == "column" else 6,
        )
    return figure


def _groups(points: Sequence[ParetoPoint]) -> Iterator[tuple[str, bool, list[ParetoPoint]]]:
    """Points that are drawn alike, ranked ones last and so on top."""
    for is_ranked in (False, True):
        for ion in _ions(points):
            alike = [p for p in points if p.mobile_ion == ion and p.is_ranked is is_ranked]
            if alike:
                yield ion, is_ranked, alike


def _ions(points: Sequence[ParetoPoint]) -> list[str]:
    return sorted({p.mobile_ion for p in points})


def _draw(
    axes: Axes, ion: str, is_ranked: bool, points: Sequence[ParetoPoint], with_bars: bool
) -> None:
    mark = ion_mark(ion)
    size = 4.0 if with_bars else 2.0
    values = [p for p in points if p.value is not None]
    if values:
        axes.errorbar(
            [p.window_V for p in values],
            [p.height for p in values],
            xerr=_reach([(p.window_V, p.window_68_V) for p in values]) if with_bars else None,
            yerr=_reach([(p.height, p.value_68) for p in values]) if with_bars else None,
            fmt=mark.marker,
            markersize=size,
            markerfacecolor=mark.colour if is_ranked else "white",
            color=mark.colour,
            elinewidth=0.7,
        )
    bounds = [p for p in points if p.value is None]
    if bounds:
        axes.errorbar(
            [p.window_V for p in bounds],
            [p.height for p in bounds],
            xerr=_reach([(p.window_V, p.window_68_V) for p in bounds]) if with_bars else None,
            fmt="none",
            ecolor=mark.colour,
            elinewidth=0.7,
            alpha=1.0 if is_ranked else 0.5,
        )
        axes.plot(
            [p.window_V for p in bounds],
            [p.height for p in bounds],
            ls="",
            marker=_ARROW_DOWN,
            markersize=4 * size,
            markerfacecolor="none",
            markeredgecolor=mark.colour,
            alpha=1.0 if is_ranked else 0.5,
        )


def _handles(points: Sequence[ParetoPoint], has_front: bool, with_bars: bool) -> Iterator[Line2D]:
    """One legend entry for each ion, and one for each way of drawing."""
    for ion in _ions(points):
        mark = ion_mark(ion)
        yield Line2D([], [], ls="", marker=mark.marker, ms=4, color=mark.colour, label=ion)
    if any(not p.is_ranked for p in points):
        yield Line2D([], [], ls="", marker="o", ms=4, color=_GREY, mfc="white", label="not ranked")
    if any(p.value is None for p in points):
        yield Line2D(
            [], [], ls="", marker=_ARROW_DOWN, ms=12, color=_GREY, mfc="none",
            label="upper bound, 95 %",
        )  # fmt: skip
    if with_bars and any(p.window_68_V or p.value_68 for p in points):
        yield Line2D([], [], ls="", marker="+", ms=7, color=_GREY, label="68 %")
    if has_front:
        yield Line2D([], [], color=_GREY, lw=1, label="first front")


def _reach(
    values: Sequence[tuple[float, tuple[float, float] | None]],
) -> list[list[float]]:
    """From values and intervals to what matplotlib wants: down and up, 0 without an interval."""
    ends = [interval or (value, value) for value, interval in values]
    return [
        [max(0.0, value - low) for (value, _), (low, _) in zip(values, ends, strict=True)],
        [max(0.0, high - value) for (value, _), (_, high) in zip(values, ends, strict=True)],
    ]
