"""Size, fonts and files of all figures: fit for a journal's column without rework.

Figures are made without pyplot, so that they need no display and leave no global state.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Width = Literal["column", "page"]
MM_PER_INCH = 25.4
WIDTHS_MM: dict[Width, float] = {"column": 85.0, "page": 170.0}
STYLE: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    # the colours of Wong, Nat. Methods 8, 441 (2011), which colour-blind readers tell apart
    "axes.prop_cycle": cycler(
        color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
    ),
}


def new_figure(width: Width = "column", height_ratio: float = 0.75) -> tuple[Figure, Axes]:
    """A figure with one set of axes, 85 or 170 mm wide."""
    with mpl.rc_context(STYLE):
        width_in = WIDTHS_MM[width] / MM_PER_INCH
        figure = Figure(figsize=(width_in, width_in * height_ratio), layout="constrained")
        return figure, figure.add_subplot()


def formula_text(formula: str) -> str:
    """A formula with its numbers lowered, as mathtext."""
    return re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"$_{\1}$", formula)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `name`.pdf and `name`.svg and a .png to look at; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{ending}" for ending in ("pdf", "svg", "png")]
    with mpl.rc_context(STYLE):
        for path in paths:
            figure.savefig(path, dpi=200)
    return paths
