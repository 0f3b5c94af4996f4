"""What is in equilibrium with the metal from 0 to 6 V, and the window in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure

from workflows.figures.palette import PRINTED_GREYS, STABLE
from workflows.figures.style import MM_PER_INCH, STYLE, WIDTHS_MM, Width, formula_text
from workflows.voltage_intervals import (
    MAX_V,
    WINDOW_NAMES,
    Interval,
    interval_letter,
    intervals,
    own_window,
    potential_range,
    stable_interval,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from screening.stability.documents import Stability, Window

_MARGIN_MM, _AXIS_MM, _LINE_MM = 3.0, 8.5, 3.3
_BAR_MM, _LEVEL_MM, _BRACKETS_MM, _OWN_MM = 7.0, 3.0, 3.0, 4.0
_PAD_MM = 1.5  # of a name to the ends of its interval
_STYLE = STYLE | {"font.size": 7}


@dataclass(frozen=True)
class _Piece:
    """One interval as it is drawn.

    Args:
        text: in or above the bar: products, or the letter.
        level: above the bar, 1 or more, where not even the letter fits inside; 0 inside.
    """

    interval: Interval
    text: str
    level: int
    is_stable: bool

    @property
    def middle_V(self) -> float:
        """Of what is seen of it."""
        low_V, high_V = _seen(self.interval)
        return (low_V + high_V) / 2


def voltage_figure(stability: Stability, metal: str, width: Width = "column") -> Figure:
    """A bar of the intervals with the products of each; the stable one is filled.

    Products stand in the bar where they fit, else a letter does, and the products below. Brackets
    show 68 % of both limits. A metastable candidate's own window is a second bar.

    Args:
        stability: its profile and the window that is ranked.
        metal: symbol of the one that potentials are measured against.
        width: of the figure.
    """
    with mpl.rc_context(_STYLE):
        paper = _Paper(width)
        pieces = _pieces(stability, paper)
        own = own_window(stability)
        n_levels = max(piece.level for piece in pieces)
        above_mm = _BAR_MM + n_levels * _LEVEL_MM + _PAD_MM
        below_mm = _BRACKETS_MM + (0 if own is None else _OWN_MM)
        lines = [line for text in _legend(stability, pieces) for line in paper.wrapped(text)]
        axes = paper.axes_above(lines, above_mm + below_mm)
        axes.set(xlim=(0, MAX_V), ylim=(-below_mm, above_mm), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"potential against {metal}/{metal}⁺ (V)", labelpad=2)
        for i, piece in enumerate(pieces):
            _draw_piece(axes, piece, PRINTED_GREYS[i % 2])
        _draw_brackets(axes, stability.window)
        if own is not None:
            low_V, high_V = own.reduction.potential_V, own.oxidation.potential_V
            middle_mm = -_BRACKETS_MM - _OWN_MM / 2
            axes.barh(
                middle_mm, high_V - low_V, _OWN_MM / 2, low_V,
                color="white", edgecolor=STABLE, hatch="////", lw=0.8,
            )  # fmt: skip
    return paper.figure


def _pieces(stability: Stability, paper: _Paper) -> list[_Piece]:
    parts = intervals(stability.profile)
    stable = stable_interval(parts, stability.window)
    ends_V: list[float] = []  # of the letters above the bar, by level
    pieces = []
    for i, interval in enumerate(parts):
        low_V, high_V = _seen(interval)
        products = _products(interval)
        text, level = interval_letter(i), 0
        if paper.length_V(products) < high_V - low_V:
            text = products
        elif low_V < high_V and paper.length_V(text, pad_mm=0.3) > high_V - low_V:
            half_V = paper.length_V(text, pad_mm=0.3) / 2
            left_V = (low_V + high_V) / 2 - half_V
            free = [place for place, end_V in enumerate(ends_V) if end_V < left_V]
            level = (free[0] if free else len(ends_V)) + 1
            ends_V[level - 1 : level] = [left_V + 2 * half_V]
        pieces.append(_Piece(interval, text, level, i == stable))
    return pieces


def _legend(stability: Stability, pieces: Sequence[_Piece]) -> list[str]:
    """Products that are not in the bar, then what is green in it."""
    texts = [
        f"{piece.text}  {piece.interval}  {_products(piece.interval)}"
        for piece in pieces
        if piece.text != _products(piece.interval)
    ]
    window = stability.window
    if window.width_V > 0:
        text = f"filled  {_range(window)}  {WINDOW_NAMES[stability.window_of]}"
        limits = (window.reduction, window.oxidation)
        if any(limit.potential_68_V for limit in limits):
            text += "; brackets: 68 %"
        texts.append(text)
    if own := own_window(stability):
        texts.append(f"hatched  {_range(own)}  the metastable candidate itself")
    return texts


def _range(window: Window) -> str:
    return potential_range(window.reduction.potential_V, window.oxidation.potential_V)


def _products(interval: Interval) -> str:
    return " + ".join(map(formula_text, interval.products))


def _seen(interval: Interval) -> tuple[float, float]:
    """What of an interval lies on the axis."""
    return max(0.0, min(interval.low_V, MAX_V)), min(interval.high_V, MAX_V)


def _draw_piece(axes: Axes, piece: _Piece, grey: str) -> None:
    low_V, high_V = _seen(piece.interval)
    axes.barh(
        _BAR_MM / 2, high_V - low_V, _BAR_MM, low_V,
        color=STABLE if piece.is_stable else grey, edgecolor="white", lw=0.5,
    )  # fmt: skip
    if low_V == high_V:
        return
    if piece.level == 0:
        axes.text(
            piece.middle_V, _BAR_MM / 2, piece.text,
            ha="center", va="center", fontweight="bold" if piece.is_stable else "normal",
        )  # fmt: skip
        return
    top_mm = _BAR_MM + (piece.level - 1) * _LEVEL_MM + _PAD_MM / 2
    axes.plot([piece.middle_V] * 2, [_BAR_MM, top_mm], color="0.5", lw=0.5)
    axes.text(piece.middle_V, top_mm, piece.text, ha="center", va="bottom")


def _draw_brackets(axes: Axes, window: Window) -> None:
    """68 % of each limit, under the bar."""
    if window.width_V == 0:
        return
    for limit in (window.reduction, window.oxidation):
        if limit.potential_68_V is not None:
            low_V, high_V = limit.potential_68_V
            value_V = limit.potential_V
            axes.errorbar(
                value_V, -_BRACKETS_MM / 2,
                xerr=[[max(0.0, value_V - low_V)], [max(0.0, high_V - value_V)]],
                fmt="none", color="black", capsize=2.5, elinewidth=0.8,
            )  # fmt: skip


class _Paper:
    """A figure that is as high as what it holds, and measures text."""

    def __init__(self, width: Width) -> None:
        self._width_mm = WIDTHS_MM[width]
        self._inner_mm = self._width_mm - 2 * _MARGIN_MM
        self.figure = Figure(figsize=(self._width_mm / MM_PER_INCH,) * 2)
        self._renderer: Any = RendererAgg(1, 1, self.figure.dpi)  # type: ignore[no-untyped-call]

    def length_mm(self, text: str) -> float:
        """Of a text in one line."""
        drawn = self.figure.text(0, 0, text)
        pixels = drawn.get_window_extent(self._renderer).width
        drawn.remove()
        return float(pixels / self.figure.dpi * MM_PER_INCH)

    def length_V(self, text: str, pad_mm: float = _PAD_MM) -> float:
        """Of a text with space around it, on the axis."""
        return (self.length_mm(text) + pad_mm) * MAX_V / self._inner_mm

    def wrapped(self, text: str) -> list[str]:
        """In lines that fit; the ones after the first are indented."""
        lines = [""]
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if self.length_mm(longer) <= self._inner_mm or not lines[-1].strip():
                lines[-1] = longer
            else:
                lines.append(f"    {word}")
        return lines

    def axes_above(self, lines: Sequence[str], rows_mm: float) -> Axes:
        """Axes of that height over lines of text."""
        height_mm = rows_mm + _AXIS_MM + _LINE_MM * len(lines) + _MARGIN_MM
        self.figure.set_size_inches(self._width_mm / MM_PER_INCH, height_mm / MM_PER_INCH)
        for i, line in enumerate(reversed(lines)):
            y_mm = _MARGIN_MM / 2 + _LINE_MM * i
            self.figure.text(_MARGIN_MM / self._width_mm, y_mm / height_mm, line)
        return self.figure.add_axes(
            (
                _MARGIN_MM / self._width_mm,
                1 - rows_mm / height_mm,
                self._inner_mm / self._width_mm,
                rows_mm / height_mm,
            )
        )
