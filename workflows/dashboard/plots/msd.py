"""The mean squared displacement of every species, and what D was read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from screening.units import A2_PER_PS_TO_CM2_PER_S
from workflows.dashboard.plot import TEXT, Plot, rounded
from workflows.dashboard.plots.marks import ABOVE
from workflows.figures.palette import COLOURS
from workflows.words import interval_68, number, number_above, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from screening.transport.documents import Diffusivity
    from workflows.figures.style import Width

_REGION = "rgba(128, 128, 128, 0.18)"
_DASHES = ("solid", "dash", "dot", "dashdot")


def msd(diffusivity: Diffusivity) -> Plot | None:
    """Log-log, one curve a species, the fitted region shaded, and the fitted line.

    The line is 6 D t and what the rattling adds; for an upper bound it is dotted.

    Returns:
        None where there are no curves.
    """
    curves = {
        curve.species: [
            (t, msd_A2)
            for t, msd_A2 in zip(curve.lag_ps, curve.msd_A2, strict=True)
            if msd_A2 > 0 < t  # a rigid host; nothing has no logarithm
        ]
        for curve in sorted(diffusivity.msd, key=lambda c: c.species != diffusivity.species)
    }
    curves = {species: seen for species, seen in curves.items() if seen}
    if not curves:
        return None
    longest_ps = max(t for seen in curves.values() for t, _ in seen)

    def draw(width: Width) -> Figure:
        from workflows.figures.msd import msd_figure

        return msd_figure(diffusivity, width)

    return Plot(
        name=f"msd_{diffusivity.temperature_K:g}K",
        title=f"Mean squared displacement at {diffusivity.temperature_K:g} K",
        summary=_summary(diffusivity, {species: seen[-1] for species, seen in curves.items()}),
        traces=(
            *(
                _curve(species, seen, i, species == diffusivity.species)
                for i, (species, seen) in enumerate(curves.items())
            ),
            *_fitted(diffusivity, longest_ps),
        ),
        layout={
            "xaxis": {"title": {"text": "lag (ps)"}, "type": "log", "exponentformat": "power"},
            "yaxis": {
                "title": {"text": "mean squared displacement (Å²)"},
                "type": "log",
                "exponentformat": "power",
            },
            "shapes": _region(diffusivity, longest_ps),
            "hovermode": "closest",
            "legend": ABOVE,
            "margin": {"t": 50, "r": 15},
        },
        rows=tuple(
            {
                "temperature_K": diffusivity.temperature_K,
                "species": curve.species,
                "lag_ps": t,
                "msd_A2": msd_A2,
                "is_fitted": diffusivity.diffusive_from_ps is not None
                and curve.species == diffusivity.species
                and t >= diffusivity.diffusive_from_ps,
            }
            for curve in diffusivity.msd
            for t, msd_A2 in zip(curve.lag_ps, curve.msd_A2, strict=True)
        ),
        draw=draw,
    )


def _curve(
    species: str, seen: list[tuple[float, float]], place: int, is_mobile: bool
) -> dict[str, Any]:
    colour = COLOURS[place % len(COLOURS)]
    return {
        "type": "scatter",
        "mode": "lines+markers" if is_mobile else "lines",
        "name": plain(species),
        "x": [rounded(t) for t, _ in seen],
        "y": [rounded(msd_A2) for _, msd_A2 in seen],
        "line": {"color": colour, "width": 2, "dash": _DASHES[place % len(_DASHES)]},
        "marker": {"color": colour, "size": 5},
        "hovertemplate": "%{x:.3~g} ps: %{y:.3~g} Å²",
    }


def _fitted(diffusivity: Diffusivity, longest_ps: float) -> tuple[dict[str, Any], ...]:
    is_value = diffusivity.D_cm2_s is not None
    D_cm2_s = diffusivity.D_cm2_s if is_value else diffusivity.upper_bound_cm2_s
    if not D_cm2_s:
        return ()
    name = f"D = {number(D_cm2_s)}" if is_value else f"D &lt; {number_above(D_cm2_s)}"
    lags_ps = _fitted_lags(diffusivity, longest_ps)
    offset_A2 = diffusivity.msd_offset_A2 or 0.0
    return (
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{name} cm²/s",
            "x": [rounded(t) for t in lags_ps],
            "y": [rounded(6 * D_cm2_s / A2_PER_PS_TO_CM2_PER_S * t + offset_A2) for t in lags_ps],
            "line": {"color": TEXT, "width": 2, "dash": "dash" if is_value else "dot"},
            "hoverinfo": "skip",
        },
    )


def _fitted_lags(diffusivity: Diffusivity, longest_ps: float) -> list[float]:
    """Some, evenly in the logarithm: the line is bent by what the rattling adds."""
    first_ps = diffusivity.diffusive_from_ps or longest_ps / 10
    return [first_ps * (longest_ps / first_ps) ** (i / 20) for i in range(21)]


def _region(diffusivity: Diffusivity, longest_ps: float) -> list[dict[str, Any]]:
    if diffusivity.diffusive_from_ps is None:
        return []
    return [
        {
            "type": "rect",
            "yref": "paper",
            "x0": rounded(diffusivity.diffusive_from_ps),
            "x1": rounded(longest_ps),
            "y0": 0,
            "y1": 1,
            "fillcolor": _REGION,
            "line": {"width": 0},
            "layer": "below",
        }
    ]


def _summary(diffusivity: Diffusivity, last: dict[str, tuple[float, float]]) -> str:
    reached = ", ".join(
        f"{species} {number(msd_A2)} Å² after {number(t)} ps"
        for species, (t, msd_A2) in last.items()
    )
    text = f"At {diffusivity.temperature_K:g} K: {reached}."
    if diffusivity.D_cm2_s is not None:
        text += f" D {number(diffusivity.D_cm2_s)} cm²/s{interval_68(diffusivity.D_68_cm2_s)}"
        if diffusivity.diffusive_from_ps is not None:
            text += f", fitted from {number(diffusivity.diffusive_from_ps)} ps on"
        return f"{text}."
    if diffusivity.upper_bound_cm2_s is not None:
        text += f" D below {number_above(diffusivity.upper_bound_cm2_s)} cm²/s (95 %)."
    return text
