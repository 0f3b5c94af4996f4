"""What is in equilibrium with the metal from 0 to 6 V, and the window in it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workflows.dashboard.plot import TEXT, Plot, rounded
from workflows.dashboard.plots.marks import bars
from workflows.figures.palette import GREYS, STABLE
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
from workflows.words import interval_68, lowered, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from screening.stability.documents import Limit, Stability, Window
    from workflows.figures.style import Width

_CHARACTER_V = 0.075  # of a name in the bar of a page of usual width
_BRACKETS_AT, _OWN_AT = -0.75, -1.25


def voltage(stability: Stability, metal: str) -> Plot:
    """The voltage bar: pieces by what is in equilibrium, the stable one in colour.

    Args:
        stability: its profile and the window that is ranked.
        metal: symbol of the one that potentials are measured against.
    """
    parts = intervals(stability.profile)
    stable = stable_interval(parts, stability.window)
    own = own_window(stability)
    traces = [
        _piece(interval, i, i == stable)
        for i, interval in enumerate(parts)
        if interval.low_V < MAX_V
    ]
    if stability.window.width_V > 0:
        traces += _brackets(stability.window, metal)
    if own is not None:
        traces.append(_own(own))
    against = f"{metal}/{metal}⁺"

    def draw(width: Width) -> Figure:
        from workflows.figures.voltage import voltage_figure

        return voltage_figure(stability, metal, width)

    return Plot(
        name="voltage",
        title=f"Phases in equilibrium against {against}",
        summary=_summary(stability, parts, against),
        traces=tuple(traces),
        layout={
            "height": 190 if own is None else 220,
            "showlegend": False,
            "barmode": "overlay",
            "hovermode": "closest",
            "dragmode": False,
            "margin": {"t": 10, "b": 50, "l": 10, "r": 10},
            "uniformtext": {"mode": "hide", "minsize": 11},
            "xaxis": {
                "title": {"text": f"potential against {plain(against)} (V)"},
                "range": [0, MAX_V],
                "fixedrange": True,
                "dtick": 1,
            },
            "yaxis": {
                "visible": False,
                "range": [_BRACKETS_AT - 0.25 if own is None else _OWN_AT - 0.35, 0.5],
                "fixedrange": True,
            },
        },
        rows=tuple(
            {
                "interval": interval_letter(i),
                "low_V": interval.low_V,
                "high_V": None if math.isinf(interval.high_V) else interval.high_V,
                "products": amounts(interval.products),
                "is_window": i == stable,
            }
            for i, interval in enumerate(parts)
        ),
        draw=draw,
    )


def _piece(interval: Interval, index: int, is_stable: bool) -> dict[str, Any]:
    low_V, high_V = max(0.0, interval.low_V), min(interval.high_V, MAX_V)
    names = " + ".join(interval.products)
    fits = len(names) * _CHARACTER_V < high_V - low_V
    text = lowered(names) if fits else interval_letter(index)
    return {
        "type": "bar",
        "orientation": "h",
        "y": [0],
        "base": [rounded(low_V)],
        "x": [rounded(high_V - low_V)],
        "width": 0.9,
        "marker": {"color": STABLE if is_stable else GREYS[index % 2]},
        "text": [f"<b>{text}</b>" if is_stable else text],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "insidetextfont": {"color": "#000000"},
        "hovertemplate": f"<b>{interval_letter(index)}</b>  {interval}<br>"
        f"{lowered(amounts(interval.products))}<extra></extra>",
    }


def _brackets(window: Window, metal: str) -> list[dict[str, Any]]:
    """68 % of both limits, under the bar."""
    limits = {
        "reduction": window.reduction,
        "oxidation": window.oxidation,
    }
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [rounded(limit.potential_V)],
            "y": [_BRACKETS_AT],
            "marker": {"symbol": "line-ns-open", "size": 8, "color": TEXT},
            "error_x": bars([limit.potential_V], [limit.potential_68_V], TEXT) | {"width": 5},
            "hovertemplate": f"{name} {_limit(limit)}<extra></extra>",
        }
        for name, limit in limits.items()
        if limit.potential_68_V is not None
    ]


def _own(window: Window) -> dict[str, Any]:
    low_V, high_V = window.reduction.potential_V, window.oxidation.potential_V
    return {
        "type": "bar",
        "orientation": "h",
        "y": [_OWN_AT],
        "base": [rounded(low_V)],
        "x": [rounded(high_V - low_V)],
        "width": 0.4,
        "marker": {
            "color": STABLE,
            "pattern": {"shape": "/", "fillmode": "overlay"},
            "line": {"color": STABLE, "width": 1},
        },
        "hovertemplate": "the metastable candidate itself<br>"
        f"{potential_range(low_V, high_V)}<extra></extra>",
    }


def _limit(limit: Limit) -> str:
    return f"{limit.potential_V:.2f} V{interval_68(limit.potential_68_V)}"


def _summary(stability: Stability, parts: list[Interval], against: str) -> str:
    window = stability.window
    if window.width_V > 0:
        text = (
            f"Stable from {_limit(window.reduction)} to {_limit(window.oxidation)} against "
            f"{against}, {WINDOW_NAMES[stability.window_of]}."
        )
    else:
        text = f"No window against {against}."
    if own := own_window(stability):
        own_range = potential_range(own.reduction.potential_V, own.oxidation.potential_V)
        text += f" The metastable candidate itself: {own_range}."
    phases = "; ".join(f"{part}: {' + '.join(part.products)}" for part in parts)
    return f"{text} In equilibrium: {phases}."
