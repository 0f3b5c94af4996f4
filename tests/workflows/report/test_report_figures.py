"""Figures inside a page: none shares an id with another, and nothing that is drawn is markup."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from workflows.dashboard.plot import Plot
from workflows.report.figures import inline_svg, report_figure, write_figure

MARKUP = "<script>alert(1)</script> & --> <!-- \"'"


def drawn(_width="column") -> Figure:
    figure = Figure()
    axes = figure.add_subplot(title=MARKUP)
    axes.plot([1, 2], [3, 4], "o-", label=MARKUP)
    axes.legend()
    return figure


def ids_and_references(svg: str) -> tuple[list[str], set[str]]:
    found = re.findall(r'url\(#([^)]+)\)|xlink:href="#([^"]+)"', svg)
    return re.findall(r'\bid="([^"]+)"', svg), {a or b for a, b in found}


def test_figures_share_no_id_and_lose_no_reference():
    first, second = (inline_svg(drawn(), name, "") for name in ("a", "b"))
    ids, references = ids_and_references(first)
    others, _ = ids_and_references(second)
    assert ids
    assert references
    assert len(ids) == len(set(ids))
    assert references <= set(ids)
    assert not set(ids) & set(others)


def test_what_is_drawn_is_text():
    svg = inline_svg(drawn(), "a b<c>", MARKUP)
    root = ET.fromstring(svg)
    assert not [e for e in root.iter() if e.tag.endswith(("script", "style", "metadata"))]
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == MARKUP
    texts = [e.text for e in root.iter() if e.tag.endswith("}text")]
    assert MARKUP in texts
    assert "<!--" not in svg


def test_the_same_figure_is_the_same_text():
    assert inline_svg(drawn(), "a", "s") == inline_svg(drawn(), "a", "s")


def test_a_plot_in_the_page():
    plot = Plot("p", "Title", "What is seen.", (), {}, (), drawn)
    figure = report_figure(plot, "c1_p", "column")
    assert (figure.title, figure.summary, figure.width) == ("Title", "What is seen.", "column")


def test_files_at_both_widths(tmp_path):
    from workflows.figures.style import new_figure

    plot = Plot("p", "T", "S", (), {}, (), lambda width: new_figure(width)[0])
    written = write_figure(plot, tmp_path / "figures", "KCl_p")
    assert {path.name for path in written} == {
        "KCl_p_85mm.pdf",
        "KCl_p_85mm.svg",
        "KCl_p_170mm.pdf",
        "KCl_p_170mm.svg",
    }
    for mm in (85, 170):
        svg = (tmp_path / "figures" / f"KCl_p_{mm}mm.svg").read_text()
        width_pt = float(re.search(r'width="([\d.]+)pt"', svg)[1])
        assert width_pt == pytest.approx(mm / 25.4 * 72, rel=0.01)
