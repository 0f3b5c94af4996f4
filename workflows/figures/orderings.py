"""Energies of the orderings of one composition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import MaxNLocator

from workflows.figures.palette import BLUE
from workflows.figures.style import STYLE, Width, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure


def orderings_figure(
    heights_meV_per_atom: Sequence[float], own: int | None, width: Width = "column"
) -> Figure:
    """Energies of orderings above the lowest, one of them marked.

    Args:
        heights_meV_per_atom: rising.
        own: place of the one to mark.
        width: of the figure.
    """
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(width, 0.75 if width == "column" else 0.5)
        numbers = range(1, len(heights_meV_per_atom) + 1)
        axes.plot(numbers, heights_meV_per_atom, "o", ms=4, color=BLUE)
        if own is not None:
            axes.plot(own + 1, heights_meV_per_atom[own], "o", ms=9, mfc="none", color="black")
        axes.set_xlabel("ordering, by energy")
        axes.set_ylabel("energy above the lowest (meV/atom)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=min(0.0, -0.05 * max(heights_meV_per_atom)))
    return figure
