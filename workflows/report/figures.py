"""Figures of a report: inlined into its HTML, or as files at both widths."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
from markupsafe import Markup, escape

from workflows.figures.style import STYLE, WIDTHS_MM

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from workflows.dashboard.plot import Plot
    from workflows.figures.style import Width

FORMATS = ("pdf", "svg")
_NOT_DRAWN = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<style[^>]*>.*?</style>", re.DOTALL)
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#)')


@dataclass(frozen=True)
class ReportFigure:
    """A figure in the page.

    Args:
        svg: what is drawn; its text says the same to who cannot see it.
        title: of its caption.
        summary: what is seen, with the numbers.
        width: of a column, or of the page.
    """

    svg: Markup
    title: str
    summary: str
    width: Width


def report_figure(plot: Plot, name: str, width: Width) -> ReportFigure:
    """A plot as part of a page.

    Args:
        plot: what is drawn.
        name: like that of no other figure of the page.
        width: that it is drawn for.
    """
    return ReportFigure(
        inline_svg(plot.draw(width), name, plot.summary), plot.title, plot.summary, width
    )


def inline_svg(figure: Figure, name: str, summary: str) -> Markup:
    """The element of a figure, whose ids no other figure of the page has.

    Matplotlib takes ids from what is drawn, so two figures would share some, and one would be drawn
    with the parts of the other. Its styles count for the whole page, which has them once.
    """
    buffer = io.StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = _NOT_DRAWN.sub("", text[text.index("<svg") :])
    prefix = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    text = _ID.sub(rf"\g<1>{prefix}-", text)
    label = escape(summary)
    text = text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()
    return Markup(text)  # noqa: S704  matplotlib has escaped what it drew


def write_figure(plot: Plot, folder: Path, name: str) -> list[Path]:
    """The figure as `NAME_85mm.pdf`, `NAME_170mm.svg` ...; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for width, mm in WIDTHS_MM.items():
        figure = plot.draw(width)
        for ending in FORMATS:
            path = folder / f"{name}_{mm:g}mm.{ending}"
            with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
                figure.savefig(path, metadata={"Date" if ending == "svg" else "CreationDate": None})
            paths.append(path)
    return paths
