"""Plots of local structure: radial distributions, coordination numbers, symmetry of MX6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from screening.disorder.documents import DisorderReport, PartialRdf
from workflows.figures.style import STYLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_COLUMNS = 2
ROW_OF_WIDTH = 0.22  # height of a row of panels
MOST_NEIGHBOURS = 16  # of a first shell; n(r) is drawn up to here


def disorder_figures(report: DisorderReport) -> dict[str, Figure]:
    """Figures of one run: `rdf` with n(r) and cutoffs, `coordination`, `symmetry`.

    `coordination` and `symmetry` are missing where the report has none.
    """
    figures = {"rdf": _rdf_figure({"": report})}
    if report.coordination:
        figures["coordination"] = _coordination_figure(report)
    if report.symmetry:
        figures["symmetry"] = _symmetry_figure({"": report})
    return figures


def comparison_figures(reports: Mapping[str, DisorderReport]) -> dict[str, Figure]:
    """Several runs of one compound in the same axes, such as a crystal and its glasses.

    Args:
        reports: label, as in the legend -> report.
    """
    figures = {"rdf": _rdf_figure(reports)}
    if any(report.symmetry for report in reports.values()):
        figures["symmetry"] = _symmetry_figure(reports)
    return figures


def _rdf_figure(reports: Mapping[str, DisorderReport]) -> Figure:
    """A panel for each pair of species: g(r), and for a single run n(r) beside it."""
    pairs = list(
        dict.fromkeys((rdf.centre, rdf.neighbour) for each in reports.values() for rdf in each.rdfs)
    )
    n_rows = -(-len(pairs) // N_COLUMNS)
    with mpl.rc_context(STYLE):
        figure, axes = new_figure("page", ROW_OF_WIDTH * n_rows + 0.05)
        axes.remove()
        panels = figure.subplots(n_rows, N_COLUMNS, squeeze=False).ravel().tolist()
        for unused in panels[len(pairs) :]:
            unused.remove()
        for panel, pair in zip(panels, pairs, strict=False):
            half_widths_A = {report.half_width_A for report in reports.values()}
            for half_width_A in half_widths_A:
                panel.axvline(half_width_A, color="0.8", linewidth=0.8, zorder=0)
            for label, report in reports.items():
                for rdf in report.rdfs:
                    if (rdf.centre, rdf.neighbour) == pair:
                        panel.plot(report.r_A, rdf.g, label=label)
                        if len(reports) == 1:
                            _mark_shell(panel, report, rdf)
            panel.set_ylabel("{1} around {0}, g(r)".format(*pair))
            panel.set_xlabel("r (Å)")
            panel.set_xlim(0, max(report.r_A[-1] for report in reports.values()))
            panel.set_ylim(bottom=0)
        if len(reports) > 1:
            panels[0].legend()
    return figure


def _mark_shell(panel: Axes, report: DisorderReport, rdf: PartialRdf) -> None:
    """n(r) on an axis of its own, and the end of the first shell."""
    running = panel.twinx()
    running.spines["right"].set_visible(True)
    running.plot(report.r_A, rdf.running_number, color="C1", linestyle="--")
    running.set_ylabel("n(r)", color="C1")
    running.set_ylim(0, MOST_NEIGHBOURS)
    if rdf.shell is not None:
        panel.axvline(rdf.shell.minimum_A, color="0.3", linestyle=":", linewidth=0.8)


def _coordination_figure(report: DisorderReport) -> Figure:
    """Share of each coordination number, a line for each kind of centre."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure()
        for each in report.coordination:
            label = f"{'+'.join(each.neighbours)} around {each.centre}, mean {each.mean:.2f}"
            axes.plot(each.numbers, each.shares, marker="o", markersize=3, label=label)
        axes.set_xlabel("neighbours in the first shell")
        axes.set_ylabel("share of centres and frames")
        axes.set_ylim(0, 1.05)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure


def _symmetry_figure(reports: Mapping[str, DisorderReport]) -> Figure:
    """Distribution of the continuous symmetry measure of every kind of MX6."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure()
        for run, report in reports.items():
            for each in report.symmetry:
                anions = ",".join(each.neighbours)
                unit = f"{each.centre}{anions if len(each.neighbours) == 1 else f'({anions})'}$_6$"
                label = f"{run} {unit}, mean {each.mean:.2f}".strip()
                if each.share_of_six < 1:
                    label += f" ({100 * each.share_of_six:.0f} % six-fold)"
                edges = each.bin_width * np.arange(len(each.density) + 1)
                axes.stairs(each.density, edges, label=label)
        axes.set_xlabel("symmetry measure (0: regular octahedron)")
        axes.set_ylabel("probability density")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.legend()
    return figure
