"""Every interval is named: in the bar where its products fit, else by a letter and below."""

from __future__ import annotations

import pytest
from stability_data import stability

from workflows.figures.palette import STABLE
from workflows.figures.style import MM_PER_INCH, save
from workflows.figures.voltage import voltage_figure

NARROW = {0.1 + 0.05 * i: {f"K{i + 2}TaCl{i + 7}": 1.0, "KCl": 2.0} for i in range(8)}


def in_axes(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def below(figure):
    return [text.get_text() for text in figure.texts]


def patches(figure, hatched=False):
    return [p for p in figure.axes[0].patches if bool(p.get_hatch()) is hatched]


@pytest.mark.parametrize(("width", "width_mm"), [("column", 85), ("page", 170)])
def test_the_window_is_filled_and_all_is_named(tmp_path, width, width_mm):
    figure = voltage_figure(stability(own=(2.334, 4.855, 0.2)), "K", width)
    (filled,) = (p for p in patches(figure) if p.get_facecolor()[:3] == pytest.approx(rgb(STABLE)))
    assert filled.get_x() == pytest.approx(2.334)
    assert filled.get_x() + filled.get_width() == pytest.approx(4.855)
    shown = " ".join(in_axes(figure) + below(figure))
    for formula in ("KTaCl$_{6}$", "K$_{2}$Ta$_{3}$Cl$_{9}$", "TaCl$_{5}$", "Ta"):
        assert formula in shown
    assert "brackets: 68 %" in shown
    assert figure.axes[0].get_xlabel() == "potential against K/K⁺ (V)"
    assert figure.get_figwidth() * MM_PER_INCH == pytest.approx(width_mm)
    assert all(path.stat().st_size > 1000 for path in save(figure, tmp_path, "voltage"))


def test_brackets_reach_over_the_intervals_of_both_limits():
    figure = voltage_figure(stability(own=(2.334, 4.855, 0.2)), "K")
    ends = [path.vertices[:, 0].tolist() for path in bars(figure)]
    assert ends == [pytest.approx([2.134, 2.534]), pytest.approx([4.655, 5.055])]
    without = voltage_figure(stability(), "K")
    assert not bars(without)
    assert "68 %" not in " ".join(below(without))


def test_what_is_narrow_has_its_letter_above_the_bar_and_none_hides_another():
    figure = voltage_figure(stability(NARROW | {2.3: {"KTaCl6": 1.0}}), "K")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
    assert not any(a.overlaps(b) for a, b in pairs)
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert all(text.get_window_extent().x1 <= figure.bbox.width for text in figure.texts)
    letters = [text for text in in_axes(figure) if len(text) == 1]
    assert [line[0] for line in below(figure)[::-1] if line[1:3] == "  "] == letters


def test_the_window_of_a_metastable_candidate_is_a_bar_of_its_own():
    figure = voltage_figure(stability(own=(1.5, 4.5), of="equilibrium"), "Na")
    (own,) = patches(figure, hatched=True)
    assert (own.get_x(), own.get_width()) == pytest.approx((1.5, 3.0))
    assert "metastable candidate itself" in " ".join(below(figure))
    assert not patches(voltage_figure(stability(), "K"), hatched=True)


def test_no_window_fills_nothing():
    figure = voltage_figure(stability(own=(3, 2), equilibrium=(2.3, 2.3), of="equilibrium"), "K")
    assert not any(p.get_facecolor()[:3] == pytest.approx(rgb(STABLE)) for p in patches(figure))
    assert "window" not in " ".join(below(figure))


def rgb(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def bars(figure):
    return [path for drawn in figure.axes[0].collections for path in drawn.get_paths()]
