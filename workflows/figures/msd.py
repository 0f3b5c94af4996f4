"""The mean squared displacement of every species over time, and what D was read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from screening.rounding import rounded_up
from screening.transport.documents import Diffusivity
from screening.units import A2_PER_PS_TO_CM2_PER_S
from workflows.figures.style import STYLE, Width, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REGION = "0.92"  # a light grey


def msd_figure(diffusivity: Diffusivity, width: Width = "column") -> Figure:
    """Log-log, mobile ion first, the diffusive regime shaded; what never moves has no curve.

    The dashed line is the one that was fitted, 6 D t and what the rattling adds. An upper bound is
    drawn dotted, without rattling.

    Args:
        diffusivity: with its curves.
        width: of the figure.
    """
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(width, 0.75 if width == "column" else 0.5)
        curves = sorted(diffusivity.msd, key=lambda curve: curve.species != diffusivity.species)
        for curve in curves:
            seen = [
                (t, msd) for t, msd in zip(curve.lag_ps, curve.msd_A2, strict=True) if msd > 0 < t
            ]
            if not seen:  # a rigid host; nothing has no logarithm
                continue
            style = "o-" if curve.species == diffusivity.species else "-"
            axes.plot(*zip(*seen, strict=True), style, markersize=2.5, label=curve.species)
        longest_ps = max(t for curve in curves for t in curve.lag_ps)
        from_ps = diffusivity.diffusive_from_ps
        if from_ps is not None:
            axes.axvspan(from_ps, longest_ps, color=_REGION, zorder=0, lw=0, label="fitted")
        D_cm2_s = diffusivity.D_cm2_s
        is_value = D_cm2_s is not None
        value = D_cm2_s if D_cm2_s is not None else diffusivity.upper_bound_cm2_s
        if value:
            shown = f"= {value:.1e}" if is_value else f"< {rounded_up(value, 2):.1e}"
            lags_ps = [from_ps or longest_ps / 10, longest_ps]
            axes.plot(
                lags_ps,
                [
                    6 * value / A2_PER_PS_TO_CM2_PER_S * t + (diffusivity.msd_offset_A2 or 0.0)
                    for t in lags_ps
                ],
                "--" if is_value else ":",
                color="black",
                label=f"D {shown} cm²/s",
            )
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="lag (ps)",
            ylabel="mean squared displacement (Å²)",
            title=f"{diffusivity.species} at {diffusivity.temperature_K:g} K",
        )
        axes.legend()
    return figure
