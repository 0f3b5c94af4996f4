"""What a job recorded over its steps: energy, temperature or forces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from workflows.figures.style import Width


@dataclass(frozen=True, eq=False)
class Line:
    """One curve; `x` and `y` have shape (n,), NaN leaves a gap."""

    name: str
    colour: str
    dash: str  # of plotly: solid, dash, dot
    x: NDArray[np.float64]
    y: NDArray[np.float64]


_STYLES = {"solid": "-", "dash": "--", "dot": ":"}


def steps_figure(
    lines: Sequence[Line], x_label: str, y_label: str, is_log: bool, width: Width = "column"
) -> Figure:
    """Curves over steps or time, with a legend where there are several.

    Args:
        lines: to draw.
        x_label: with its unit.
        y_label: with its unit.
        is_log: whether heights are on a logarithmic axis.
        width: of the figure.
    """
    import matplotlib as mpl  # lines are made without it

    from workflows.figures.style import STYLE, new_figure

    with mpl.rc_context(STYLE):
        figure, axes = new_figure(width, 0.75 if width == "column" else 0.5)
        for line in lines:
            axes.plot(line.x, line.y, _STYLES[line.dash], color=line.colour, label=line.name)
        axes.set(xlabel=x_label, ylabel=y_label, yscale="log" if is_log else "linear")
        if len(lines) > 1:
            figure.legend(loc="outside lower center", ncols=2 if width == "column" else 4)
    return figure
