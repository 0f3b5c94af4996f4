"""Diffusivities over inverse temperature with their Arrhenius law."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from screening.transport.arrhenius import ROOM_TEMPERATURE_K
from workflows.arrhenius_curve import ArrheniusCurve, arrhenius_curve
from workflows.dashboard.plot import TEXT, Plot, rounded
from workflows.dashboard.plots.marks import BELOW, bars, bound_traces
from workflows.figures.palette import BLUE, VERMILION
from workflows.words import interval_68, number, number_above

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from screening.transport.documents import Arrhenius, Diffusivity, Transport
    from workflows.figures.style import Width

_BAND = "rgba(128, 128, 128, 0.25)"


def arrhenius(transport: Transport) -> Plot | None:
    """D over 1000 / T: values with 68 % bars, bounds as arrows, the law with its band.

    The law is dashed where it is extrapolated, down to 300 K. Hollow points are of temperatures at
    which the framework moves; the law leaves them out.

    Returns:
        None where no temperature gave anything.
    """
    entries, law = transport.diffusivities, transport.arrhenius
    if not entries:
        return None
    curve = arrhenius_curve(law, entries)
    marked_K = sorted({ROOM_TEMPERATURE_K, *(entry.temperature_K for entry in entries)})

    def draw(width: Width) -> Figure:
        from workflows.figures.arrhenius import arrhenius_figure

        return arrhenius_figure(law, entries, width)

    return Plot(
        name="arrhenius",
        title=f"Diffusivity of {entries[0].species} over temperature",
        summary=_summary(entries, law),
        traces=(
            *_curve_traces(curve),
            *_point_traces(entries),
            *_room_traces(law, curve),
            # without points of its own plotly leaves out the axis of temperatures
            {
                "type": "scatter",
                "mode": "markers",
                "x": [_inverse(t) for t in marked_K],
                "y": [rounded(_height(entries[0]))] * len(marked_K),
                "xaxis": "x2",
                "opacity": 0,
                "hoverinfo": "skip",
                "showlegend": False,
            },
        ),
        layout={
            "xaxis": {"title": {"text": "1000 / T (1/K)"}},
            "xaxis2": {
                "title": {"text": "T (K)"},
                "overlaying": "x",
                "matches": "x",
                "side": "top",
                "tickvals": [_inverse(t) for t in marked_K],
                "ticktext": [f"{t:g}" for t in marked_K],
                "showgrid": False,
            },
            "yaxis": {
                "title": {"text": "D (cm²/s)"},
                "type": "log",
                "exponentformat": "power",
                **_range(entries),
            },
            "hovermode": "closest",
            "legend": BELOW,
            "margin": {"t": 60, "r": 15, "b": 100},
        },
        rows=(*_measured_rows(transport), *_law_rows(curve)),
        draw=draw,
    )


def _inverse(temperature_K: float) -> float:
    return rounded(1000 / temperature_K, 5)


def _height(entry: Diffusivity) -> float:
    """Where it is drawn: the value, or else the bound."""
    height = entry.D_cm2_s if entry.D_cm2_s is not None else entry.upper_bound_cm2_s
    assert height is not None
    return height


def _range(entries: Sequence[Diffusivity]) -> dict[str, Any]:
    """Two decades around what spans less than one, such as a few bounds; else plotly's own."""
    heights = [math.log10(height) for entry in entries if (height := _height(entry)) > 0]
    if not heights or max(heights) - min(heights) > 1:
        return {}
    middle = (max(heights) + min(heights)) / 2
    return {"range": [rounded(middle - 1), rounded(middle + 1)]}


def _curve_traces(curve: ArrheniusCurve | None) -> Iterator[dict[str, Any]]:
    if curve is None:
        return
    x = [_inverse(t) for t in curve.temperatures_K]
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "skip"}
    if curve.D_68_cm2_s is not None:
        low, high = curve.D_68_cm2_s
        edge = {"width": 0, "color": _BAND}
        yield line | {
            "x": x, "y": [rounded(D) for D in low], "line": edge, "showlegend": False,
        }  # fmt: skip
        yield line | {
            "x": x, "y": [rounded(D) for D in high], "line": edge, "fill": "tonexty",
            "fillcolor": _BAND, "name": "68 % of the law",
        }  # fmt: skip
    D = [rounded(D) for D in curve.D_cm2_s]
    n_cold = int((curve.temperatures_K < curve.fitted_from_K).sum())
    if n_cold:
        yield line | {
            "x": x[: n_cold + 1],
            "y": D[: n_cold + 1],
            "line": {"color": TEXT, "width": 1.5, "dash": "dash"},
            "name": "extrapolated",
        }
    yield line | {
        "x": x[n_cold:],
        "y": D[n_cold:],
        "line": {"color": TEXT, "width": 2},
        "name": "Arrhenius law",
    }


def _point_traces(entries: Sequence[Diffusivity]) -> Iterator[dict[str, Any]]:
    for moves in (False, True):
        suffix = ", framework moves" if moves else ""
        alike = [entry for entry in entries if entry.framework_moves is moves]
        values = [entry for entry in alike if entry.D_cm2_s is not None]
        if values:
            heights = [_height(entry) for entry in values]
            yield {
                "type": "scatter",
                "mode": "markers",
                "name": f"D, 68 %{suffix}",
                "x": [_inverse(entry.temperature_K) for entry in values],
                "y": [rounded(height) for height in heights],
                "error_y": bars(heights, [entry.D_68_cm2_s for entry in values], BLUE),
                "marker": {
                    "color": BLUE,
                    "symbol": "circle-open" if moves else "circle",
                    "size": 9,
                    "line": {"width": 2},
                },
                **_hovering(values),
            }
        bounds = [entry for entry in alike if entry.D_cm2_s is None]
        if bounds:
            bar = {
                "name": f"upper bound, 95 %{suffix}",
                "x": [_inverse(entry.temperature_K) for entry in bounds],
                "y": [rounded(_height(entry)) for entry in bounds],
                **_hovering(bounds),
            }
            for drawn in bound_traces(bar, VERMILION):
                yield drawn | ({"opacity": 0.6} if moves else {})


def _room_traces(law: Arrhenius, curve: ArrheniusCurve | None) -> tuple[dict[str, Any], ...]:
    """The bound at 300 K, where there is no line that leads there."""
    bound_cm2_s = law.D_300K_upper_bound_cm2_s
    if curve is not None or bound_cm2_s is None:
        return ()
    bar = {
        "name": "bound at 300 K",
        "x": [_inverse(ROOM_TEMPERATURE_K)],
        "y": [rounded(bound_cm2_s)],
        "hovertemplate": f"300 K<br>D &lt; {number_above(bound_cm2_s)} cm²/s<extra></extra>",
    }
    return bound_traces(bar, TEXT)


def _hovering(entries: Sequence[Diffusivity]) -> dict[str, Any]:
    return {
        "text": [
            f"{entry.temperature_K:g} K<br>D {_value(entry).replace('<', '&lt;')}<br>"
            f"{number(entry.n_hops)} hops in {number(entry.duration_ps)} ps"
            for entry in entries
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _value(entry: Diffusivity) -> str:
    if entry.D_cm2_s is None:
        return f"< {number_above(entry.upper_bound_cm2_s)} cm²/s"
    return f"{number(entry.D_cm2_s)} cm²/s{interval_68(entry.D_68_cm2_s)}"


def _measured_rows(transport: Transport) -> Iterator[dict[str, Any]]:
    for entry in transport.diffusivities:
        low_68, high_68 = entry.D_68_cm2_s or (None, None)
        low_95, high_95 = entry.D_95_cm2_s or (None, None)
        end = transport.ends.get(f"{entry.temperature_K:g}")
        yield {
            "kind": "measured",
            "temperature_K": entry.temperature_K,
            "D_cm2_s": entry.D_cm2_s,
            "D_68_low_cm2_s": low_68,
            "D_68_high_cm2_s": high_68,
            "D_95_low_cm2_s": low_95,
            "D_95_high_cm2_s": high_95,
            "upper_bound_cm2_s": entry.upper_bound_cm2_s,
            "n_hops": entry.n_hops,
            "duration_ps": entry.duration_ps,
            "framework_moves": entry.framework_moves,
            "outcome": end.outcome if end else None,
            "reason": entry.reason,
        }


def _law_rows(curve: ArrheniusCurve | None) -> Iterator[dict[str, Any]]:
    if curve is None:
        return
    for i, temperature_K in enumerate(curve.temperatures_K):
        low, high = (ends[i] for ends in curve.D_68_cm2_s) if curve.D_68_cm2_s else (None, None)
        yield {
            "kind": "law" if temperature_K >= curve.fitted_from_K else "extrapolated",
            "temperature_K": float(temperature_K),
            "D_cm2_s": float(curve.D_cm2_s[i]),
            "D_68_low_cm2_s": None if low is None else float(low),
            "D_68_high_cm2_s": None if high is None else float(high),
        }


def _summary(entries: Sequence[Diffusivity], law: Arrhenius) -> str:
    measured = "; ".join(f"{entry.temperature_K:g} K: {_value(entry)}" for entry in entries)
    text = f"D of {entries[0].species}: {measured}."
    if law.activation_energy_eV is None:
        return f"{text} No Arrhenius law: {law.reason}." if law.reason else text
    text += (
        f" Arrhenius law with Ea {number(law.activation_energy_eV)} eV"
        f"{interval_68(law.activation_energy_68_eV)}"
    )
    if law.D_300K_cm2_s is not None:
        room = f"{number(law.D_300K_cm2_s)} cm²/s{interval_68(law.D_300K_68_cm2_s)}"
        text += f", extrapolated to {room} at 300 K"
    if law.law is not None and not law.law.holds:
        text += "; the data do not follow one law"
    return f"{text}."
