"""The Arrhenius figure shows what the document says, and nothing that it does not say."""

from __future__ import annotations

import numpy as np
import pytest
from arrhenius_data import TEMPERATURES_K, bound, law, melted, value

from screening.transport.arrhenius import fit_arrhenius
from workflows.figures.arrhenius import arrhenius_figure
from workflows.figures.style import save


def drawn(entries):
    answer = fit_arrhenius(entries, n_mobile=4, volume_A3=1000.0)
    figure = arrhenius_figure(answer, entries)
    (axes,) = figure.axes
    return answer, figure, axes


def labels(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def bands(axes):
    """Outlines of what is filled; error bars are lines of two points."""
    paths = [path.vertices for drawn in axes.collections for path in drawn.get_paths()]
    return [vertices for vertices in paths if len(vertices) > 20]


def test_points_law_band_and_extrapolation(tmp_path):
    entries = [bound(450.0), *(value(t, law(t), 0.2) for t in TEMPERATURES_K)]
    answer, figure, axes = drawn([*entries, melted(value(1200.0, 1e-3))])
    dashed, solid = (line for line in axes.lines if len(line.get_xdata()) > 10)
    assert dashed.get_linestyle() == "--"
    assert 1000 / dashed.get_xdata()[[0, -1]] == pytest.approx([300, 1000])
    assert 1000 / solid.get_xdata()[[0, -1]] == pytest.approx([600, 1000])
    assert dashed.get_ydata()[0] == pytest.approx(answer.D_300K_cm2_s, rel=1e-9, abs=0)
    (band,) = bands(axes)
    at_room = band[np.isclose(band[:, 0], 1000 / 300), 1]
    assert at_room.min() == pytest.approx(answer.D_300K_68_cm2_s[0], rel=1e-9, abs=0)
    assert at_room.max() == pytest.approx(answer.D_300K_68_cm2_s[1], rel=1e-9, abs=0)
    assert set(labels(figure)) == {
        "Arrhenius law",
        "D, 68 %",
        "D, 68 %, framework moves",
        "upper bound, 95 %",
    }
    assert "Ea 0.3" in figure.legends[0].get_title().get_text()
    assert axes.get_xlabel() == "1000 / T (1/K)"
    assert axes.get_ylabel() == "D (cm² s⁻¹)"
    assert axes.get_yscale() == "log"
    paths = save(figure, tmp_path, "arrhenius")
    assert [path.suffix for path in paths] == [".pdf", ".svg", ".png"]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_two_temperatures_have_a_line_and_no_band():
    _, figure, axes = drawn([value(600.0, 1e-6), value(800.0, 1e-5)])
    assert sum(len(line.get_xdata()) > 10 for line in axes.lines) == 2
    assert not bands(axes)
    assert labels(figure) == ["Arrhenius law", "D, 68 %"]


def test_bounds_alone_have_arrows_and_no_line():
    _, figure, axes = drawn([bound(600.0), bound(700.0)])
    assert not any(len(line.get_xdata()) > 10 for line in axes.lines)
    assert labels(figure) == ["upper bound, 95 %", "bound at 300 K"]


def test_arrows_are_short_and_labels_apart():
    entries = [bound(800.0), bound(1000.0)]
    _, figure, axes = drawn(entries)
    low, high = axes.get_ylim()
    assert low <= entries[0].upper_bound_cm2_s / 10
    assert high > entries[0].upper_bound_cm2_s
    figure.draw_without_rendering()
    (top,) = axes.child_axes
    boxes = [label.get_window_extent() for label in top.get_xticklabels()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert top.get_xticklabels()[0].get_text() == "300"


def test_a_broken_law_is_said_in_the_figure():
    entries = [value(t, law(t) * (30 if t > 750 else 1)) for t in TEMPERATURES_K]
    _, figure, _ = drawn(entries)
    assert "no single Arrhenius law" in figure.legends[0].get_title().get_text()
