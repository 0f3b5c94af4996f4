"""The two axes of the ranking, for a page where points are picked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from screening.rounding import rounded_up
from workflows.dashboard.plot import TEXT, Plot, rounded
from workflows.dashboard.plots.marks import ABOVE, bars, bound_traces
from workflows.figures.palette import ion_mark
from workflows.pareto_points import ParetoPoint, ParetoPoints, Quantity, pareto_points
from workflows.words import interval_68, lowered, number, number_above

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from matplotlib.figure import Figure

    from screening.ranked import RankedCandidate
    from workflows.figures.style import Width

ID_IN_URL = "CANDIDATE"
"""What stands for an id in `layout.meta.url`."""


def pareto(
    rows: Sequence[RankedCandidate],
    url_of: Callable[[str], str],
    with_bars: Collection[str] | None,
    quantity: Quantity | None = None,
) -> Plot:
    """σ(300 K), or D where no row has σ, over the window; `customdata` holds the ids.

    Args:
        rows: of a ranking; those without a place on both axes are left out.
        url_of: address of a candidate's page from its id.
        with_bars: ids of candidates with error bars and all numbers on hovering; the others are
            small. None: all of them.
        quantity: on the second axis; None chooses the one that is known best.
    """
    found = pareto_points(rows, quantity)

    def draw(width: Width) -> Figure:
        from workflows.figures.pareto import pareto_figure

        return pareto_figure(rows, width, found.quantity)

    return Plot(
        name="pareto",
        title=f"Window and {found.quantity.symbol}",
        summary=_summary(found),
        traces=tuple(_traces(found, with_bars)),
        layout={
            "meta": {"url": url_of(ID_IN_URL)},
            "xaxis": {"title": {"text": "electrochemical window (V)"}, "rangemode": "tozero"},
            "yaxis": {
                "title": {"text": found.quantity.axis_label},
                "type": "log",
                "exponentformat": "power",
                "range": [rounded(math.log10(end)) for end in found.height_range],
            },
            "hovermode": "closest",
            "hoverdistance": 8,
            "dragmode": "select",
            "legend": ABOVE,
            "margin": {"t": 50, "r": 15},
        },
        rows=tuple(_row(point, found.quantity) for point in found.points),
        draw=draw,
    )


def _traces(found: ParetoPoints, with_bars: Collection[str] | None) -> Iterator[dict[str, Any]]:
    edge = found.edge
    if len(edge) > 1:
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": "first front",
            "x": [rounded(p.window_V) for p in edge],
            "y": [rounded(p.height) for p in edge],
            "line": {"color": TEXT, "width": 1, "dash": "dot"},
            "hoverinfo": "skip",
        }
    groups: dict[tuple[bool, str, bool, bool], list[ParetoPoint]] = {}
    chosen = None if with_bars is None else set(with_bars)
    for point in found.points:
        has_bars = chosen is None or point.id in chosen
        key = has_bars, point.mobile_ion, point.is_ranked, point.value is not None
        groups.setdefault(key, []).append(point)
    named = set()
    for (has_bars, ion, is_ranked, is_value), points in sorted(groups.items()):
        mark = ion_mark(ion)
        trace = _trace(points, found.quantity, has_bars) | {"legendgroup": ion}
        if is_value:
            yield trace | {
                "type": "scatter",
                "mode": "markers",
                "showlegend": False,
                "marker": {
                    "color": mark.colour,
                    "symbol": mark.symbol if is_ranked else f"{mark.symbol}-open",
                    "size": 9 if has_bars else 5,
                    **_rings(points),
                },
            }
        else:
            opacity = {} if is_ranked else {"opacity": 0.6}
            size = 9 if has_bars else 6
            for drawn in bound_traces(trace | {"showlegend": False}, mark.colour, size):
                yield drawn | opacity
        if ion not in named:
            named.add(ion)
            yield _key(ion, {"symbol": mark.symbol, "color": mark.colour}) | {"legendgroup": ion}
    if any(p.value is None for p in found.points):
        symbol = {"symbol": "arrow-down", "color": TEXT}
        yield _key("upper bound, 95 %", symbol)
    if not all(p.is_ranked for p in found.points):
        yield _key("not ranked", {"symbol": "circle-open", "color": TEXT})


def _key(name: str, marker: dict[str, Any]) -> dict[str, Any]:
    """An entry of the legend."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [None],
        "y": [None],
        "marker": marker | {"size": 9},
        "hoverinfo": "skip",
    }


def _trace(points: Sequence[ParetoPoint], quantity: Quantity, has_bars: bool) -> dict[str, Any]:
    colour = ion_mark(points[0].mobile_ion).colour
    windows_V, heights = [p.window_V for p in points], [p.height for p in points]
    trace: dict[str, Any] = {
        "x": [rounded(window_V) for window_V in windows_V],
        "y": [rounded(height) for height in heights],
        "customdata": [p.id for p in points],
    }
    if not has_bars:
        sign = ""
        if points[0].value is None:
            sign = "&lt; "
            trace["y"] = [rounded_up(height, 3) for height in heights]
        return trace | {
            "hovertemplate": f"%{{customdata}}<br>window %{{x:.3~g}} V<br>{quantity.symbol} {sign}"
            f"%{{y:.3~g}} {quantity.unit}<extra></extra>"
        }
    if any(p.window_68_V for p in points):
        trace["error_x"] = bars(windows_V, [p.window_68_V for p in points], colour)
    if any(p.value_68 for p in points):
        trace["error_y"] = bars(heights, [p.value_68 for p in points], colour)
    return trace | {
        "text": [_hover(p, quantity) for p in points],
        "hovertemplate": "%{customdata}<br>%{text}<extra></extra>",
    }


def _rings(points: Sequence[ParetoPoint]) -> dict[str, Any]:
    """Around those of the first front."""
    if not any(p.front == 1 for p in points):
        return {}
    return {"line": {"color": TEXT, "width": [2 if p.front == 1 else 0 for p in points]}}


def _hover(point: ParetoPoint, quantity: Quantity) -> str:
    is_value = point.value is not None
    height = number(point.height) if is_value else f"&lt; {number_above(point.height)}"
    lines = [
        lowered(point.formula),
        f"window {number(point.window_V)} V{interval_68(point.window_68_V)}",
        f"{quantity.symbol} {height} {quantity.unit}{interval_68(point.value_68)}",
    ]
    if point.rank is not None:
        lines.append(f"rank {point.rank}, front {point.front}")
    else:
        lines.append("suspect" if point.suspect else point.state)
    return "<br>".join(lines)


def _row(point: ParetoPoint, quantity: Quantity) -> dict[str, Any]:
    window_68_low_V, window_68_high_V = point.window_68_V or (None, None)
    low, high = point.value_68 or (None, None)
    column = quantity.column
    return {
        "id": point.id,
        "formula": point.formula,
        "mobile_ion": point.mobile_ion,
        "state": point.state,
        "suspect": point.suspect,
        "rank": point.rank,
        "pareto_front": point.front,
        "window_V": point.window_V,
        "window_68_low_V": window_68_low_V,
        "window_68_high_V": window_68_high_V,
        column: point.value,
        f"{column}_68_low": low,
        f"{column}_68_high": high,
        f"{column}_upper_bound": point.upper_bound,
    }


def _summary(found: ParetoPoints) -> str:
    symbol, unit = found.quantity.symbol, found.quantity.unit
    if not found.points:
        return f"No candidate has both a window and a value of {symbol} yet."
    n_bounds = sum(p.value is None for p in found.points)
    windows_V = [p.window_V for p in found.points]
    text = (
        f"{_counted(len(found.points), 'candidate')} with a window and {symbol}"
        f"{f', {n_bounds} of them with an upper bound' if n_bounds else ''}"
        f"; {found.n_without} without are not drawn. "
        f"Windows from {number(min(windows_V))} to {number(max(windows_V))} V"
    )
    values = [p.value for p in found.points if p.value is not None]
    if values:
        text += f", {symbol} from {number(min(values))} to {number(max(values))} {unit}"
    edge = found.edge
    if edge:
        best = ", ".join(
            f"{p.id} ({number(p.window_V)} V, {number(p.height)} {unit})" for p in edge[:3]
        )
        more = f" and {len(edge) - 3} more" if len(edge) > 3 else ""
        text += f". Along the first front: {best}{more}"
    return f"{text}."


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
