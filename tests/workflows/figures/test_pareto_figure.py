"""The figure has a mark for each candidate that has both, and says what it leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from ranked_rows import row

from workflows.figures.pareto import MAX_WITH_BARS, pareto_figure
from workflows.figures.style import MM_PER_INCH, save

ROWS = [
    row("wide", 4.0, 1e-6),
    row("quick", 1.0, 1e-2, mobile_ion="Na"),
    row("bound", 2.0, bound_S_cm=1e-4),
    row("suspect", 5.0, 1e-1, rank=None, pareto_front=None, suspect=True),
    row("unknown", 3.0),
]


def labels(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize(("width", "width_mm"), [("column", 85), ("page", 170)])
def test_every_way_of_drawing_is_in_the_legend(tmp_path, width, width_mm):
    figure = pareto_figure(ROWS, width)
    assert labels(figure) == ["K", "Na", "not ranked", "upper bound, 95 %", "68 %", "first front"]
    (axes,) = figure.axes
    assert axes.get_ylabel() == "σ(300 K) (S/cm)"
    assert axes.get_yscale() == "log"
    assert figure.get_figwidth() * MM_PER_INCH == pytest.approx(width_mm)
    assert all(path.stat().st_size > 1000 for path in save(figure, tmp_path, "pareto"))


def test_the_line_runs_along_the_first_front():
    (axes,) = pareto_figure(ROWS).axes
    line = next(
        line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata())
    )
    np.testing.assert_allclose(line.get_xydata(), [[1.0, 1e-2], [4.0, 1e-6]])


def test_thousands_have_no_bars():
    many = [row(str(i), 1 + i / 1000, 10.0 ** (-i % 7)) for i in range(MAX_WITH_BARS + 1)]
    assert "68 %" not in labels(pareto_figure(many))


def test_without_points_it_says_so():
    figure = pareto_figure([row("a"), row("b", None, 1e-3)])
    assert not figure.legends
    assert "no candidate" in figure.axes[0].texts[0].get_text()
