"""How values, intervals and bounds are drawn, the same in all plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.dashboard.plot import rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ARROW_PX = 13
BELOW = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}
"""A legend under everything, where both sides of the axes are taken."""
ABOVE = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
_SHARED: tuple[str, ...] = ("x", "y", "customdata", "legendgroup")


def bars(
    values: Sequence[float], intervals: Iterable[tuple[float, float] | None], colour: str
) -> dict[str, Any]:
    """Error bars from the ends of intervals; none where there is no interval."""
    ends = [interval or (value, value) for value, interval in zip(values, intervals, strict=True)]
    reach = list(zip(values, ends, strict=True))
    return {
        "type": "data",
        "symmetric": False,
        "array": [rounded(max(0.0, high - value)) for value, (_, high) in reach],
        "arrayminus": [rounded(max(0.0, value - low)) for value, (low, _) in reach],
        "color": colour,
        "thickness": 1.2,
        "width": 3,
    }


def bound_traces(bar: dict[str, Any], colour: str, size: int = 9) -> tuple[dict[str, Any], ...]:
    """Upper bounds: a bar at each, and an arrow that hangs from it.

    Args:
        bar: the trace of the bars, without its markers.
        colour: of both.
        size: of the arrow; the bar is a little wider.
    """
    shared = {"type": "scatter", "mode": "markers"}
    arrow = {key: bar[key] for key in _SHARED if key in bar}
    return (
        {
            **shared,
            **bar,
            "marker": {
                "symbol": "line-ew-open",
                "size": size + 3,
                "color": colour,
                "line": {"width": 1.5},
            },
        },
        {
            **shared,
            **arrow,
            "showlegend": False,
            "hoverinfo": "skip",
            "marker": {
                "symbol": "arrow-down",
                "standoff": _ARROW_PX * size / 9,
                "size": size,
                "color": colour,
            },
        },
    )
