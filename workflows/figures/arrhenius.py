"""Diffusivities over inverse temperature with their Arrhenius law."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from screening.transport.arrhenius import ROOM_TEMPERATURE_K
from workflows.arrhenius_curve import ArrheniusCurve, arrhenius_curve
from workflows.figures.style import STYLE, Width, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from screening.transport.documents import Arrhenius, Diffusivity

_MOST_LABELS: dict[Width, int] = {"column": 8, "page": 16}
VALUE, BOUND, LAW = "#0072B2", "#D55E00", "#000000"


def arrhenius_figure(
    arrhenius: Arrhenius, diffusivities: Sequence[Diffusivity], width: Width = "column"
) -> Figure:
    """D over 1000 / T: values with 68 % bars, upper bounds as arrows, the law with its band.

    The law is dashed where it is extrapolated, down to 300 K. Hollow points are of temperatures at
    which the framework moves; the law leaves them out.

    Args:
        arrhenius: the law of `diffusivities`; nothing of it is drawn where it has no line.
        diffusivities: at least one.
        width: of the figure.
    """
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(width, 0.95 if width == "column" else 0.6)
        kelvin = [entry.temperature_K for entry in diffusivities]
        for hollow in (False, True):
            _draw_points(axes, [d for d in diffusivities if d.framework_moves is hollow], hollow)
        if curve := arrhenius_curve(arrhenius, diffusivities):
            _draw_curve(axes, curve)
        elif arrhenius.D_300K_upper_bound_cm2_s is not None:
            bound_cm2_s = arrhenius.D_300K_upper_bound_cm2_s
            _draw_arrow(axes, ROOM_TEMPERATURE_K, bound_cm2_s, LAW, "bound at 300 K")
        axes.set_yscale("log")
        _make_room(axes, [d.upper_bound_cm2_s for d in diffusivities if d.upper_bound_cm2_s])
        axes.set_xlabel("1000 / T (1/K)")
        axes.set_ylabel("D (cm² s⁻¹)")
        top = axes.secondary_xaxis("top", functions=_BOTH_WAYS)
        marks = _apart(sorted({ROOM_TEMPERATURE_K, *kelvin}), _MOST_LABELS[width])
        top.set_xticks(marks, [f"{temperature_K:g}" for temperature_K in marks])
        top.set_xlabel("T (K)")
        figure.legend(loc="outside lower center", ncols=2, title=_title(arrhenius))
        return figure


def _draw_points(axes: Axes, entries: Sequence[Diffusivity], hollow: bool) -> None:
    suffix = ", framework moves" if hollow else ""
    values = [(d, d.D_cm2_s, d.D_68_cm2_s) for d in entries if d.D_cm2_s and d.D_68_cm2_s]
    if values:
        axes.errorbar(
            [1000 / entry.temperature_K for entry, _, _ in values],
            [D_cm2_s for _, D_cm2_s, _ in values],
            yerr=np.array([(D - low, high - D) for _, D, (low, high) in values]).T,
            fmt="o",
            markersize=4,
            markerfacecolor="white" if hollow else VALUE,
            color=VALUE,
            capsize=2,
            label=f"D, 68 %{suffix}",
        )
    label = f"upper bound, 95 %{suffix}"
    for entry in entries:
        if entry.upper_bound_cm2_s is not None:
            _draw_arrow(axes, entry.temperature_K, entry.upper_bound_cm2_s, BOUND, label)
            label = "_"  # one entry in the legend


def _draw_arrow(
    axes: Axes, temperature_K: float, bound_cm2_s: float, color: str, label: str
) -> None:
    """From the bound down, a third of a decade."""
    axes.errorbar(
        [1000 / temperature_K],
        [bound_cm2_s],
        yerr=[[bound_cm2_s * (1 - 10 ** (-1 / 3))], [0.0]],
        uplims=True,
        fmt="_",
        color=color,
        label=label,
    )


def _make_room(axes: Axes, bounds_cm2_s: Sequence[float]) -> None:
    """A decade below the lowest bound, so that an arrow is an arrow and not the whole axis."""
    if bounds_cm2_s:
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, min(bounds_cm2_s) / 10), max(high, 3 * max(bounds_cm2_s)))


def _draw_curve(axes: Axes, curve: ArrheniusCurve) -> None:
    inverse = 1000 / curve.temperatures_K
    if curve.D_68_cm2_s is not None:
        axes.fill_between(inverse, *curve.D_68_cm2_s, color=LAW, alpha=0.15, lw=0)
    axes.plot(inverse, curve.D_cm2_s, "--", color=LAW, lw=0.8)
    fitted = curve.temperatures_K >= curve.fitted_from_K
    axes.plot(inverse[fitted], curve.D_cm2_s[fitted], color=LAW, label="Arrhenius law")


def _title(arrhenius: Arrhenius) -> str | None:
    if arrhenius.activation_energy_eV is None:
        return None
    text = f"Ea {arrhenius.activation_energy_eV:.2f} eV"
    if arrhenius.activation_energy_68_eV:
        text += " ({:.2f}…{:.2f})".format(*arrhenius.activation_energy_68_eV)
    if arrhenius.law is not None and not arrhenius.law.holds:
        text += "\nno single Arrhenius law"
    return text


def _inverse(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """1000 / x in both directions; matplotlib asks at zero, too."""
    with np.errstate(divide="ignore"):
        return np.asarray(1000 / np.asarray(value, dtype=float))


_BOTH_WAYS: Any = (_inverse, _inverse)  # the stubs know functions of a single number alone


def _apart(kelvin: Sequence[float], most: int) -> list[float]:
    """The temperatures whose labels do not overlap, from 300 K on.

    Args:
        kelvin: rising.
        most: labels that fit beside each other.
    """
    kept: list[float] = []
    span = 1000 / kelvin[0] - 1000 / kelvin[-1]
    for t in kelvin:
        if not kept or 1000 / kept[-1] - 1000 / t > span / most:
            kept.append(t)
    return kept
