"""Figures of the motion: density, barriers, jumps, van Hove functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from screening.motion.density import ProbabilityDensity, probability_density
from screening.motion.documents import Jumps, MotionReport, VanHove
from screening.transport.trajectory import Trajectory
from workflows.candidate_motion import PATHS
from workflows.figures.palette import COLOURS
from workflows.figures.style import STYLE, Width, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LATTICE_VECTORS = "abc"


def motion_figures(
    trajectory: Trajectory, mobile_ion: str, report: MotionReport
) -> dict[str, Figure]:
    """Every figure of a motion report by its name, ready for `workflows.figures.style.save`.

    `density_ab`, `density_ac` and `density_bc` are projections of the probability density with the
    sites; `percolation`, `jumps`, `van_hove_self` and `van_hove_distinct` draw the report alone.
    """
    density = probability_density(trajectory, mobile_ion)
    with mpl.rc_context(STYLE):
        figures = {
            f"density_{LATTICE_VECTORS.replace(LATTICE_VECTORS[axis], '')}": _projection(
                density, axis, report
            )
            for axis in range(3)
        }
        figures["percolation"] = percolation_figure([report])
        if report.jumps and report.jumps.kinds:
            figures["jumps"] = _jump_kinds(report.jumps, report.species)
        figures["van_hove_self"] = _van_hove_self(report.van_hove, report.species)
        figures["van_hove_distinct"] = _van_hove_distinct(report.van_hove, report.species)
    return figures


def _projection(density: ProbabilityDensity, axis: int, report: MotionReport) -> Figure:
    """The density seen along one lattice vector; the drawn plane holds the two others."""
    first, second = (i for i in range(3) if i != axis)
    u_A, v_A = density.cell_A[[first, second]]
    # the plane's own Cartesian axes: x along the first vector
    x_axis = u_A / np.linalg.norm(u_A)
    across = v_A - (v_A @ x_axis) * x_axis
    plane_A = np.array([[u_A @ x_axis, 0.0], [v_A @ x_axis, np.linalg.norm(across)]])
    edges = np.meshgrid(
        *(np.linspace(0, 1, density.shape[i] + 1) for i in (first, second)), indexing="ij"
    )
    x_A, y_A = np.moveaxis(np.stack(edges, axis=-1) @ plane_A, -1, 0)
    figure, axes = new_figure(height_ratio=0.9)
    image = axes.pcolormesh(
        x_A, y_A, density.projected_ions_per_A2(axis), cmap="magma_r", rasterized=True
    )
    sites = np.array([site.fractional for site in report.sites]).reshape(-1, 3)
    sites_A = sites[:, [first, second]] @ plane_A
    axes.plot(*sites_A.T, "o", mfc="none", mec="#56B4E9", ms=4, mew=0.9)
    axes.set_aspect("equal")
    axes.set_xlabel(f"x ∥ {LATTICE_VECTORS[first]} (Å)")
    axes.set_ylabel(f"y in the plane of {LATTICE_VECTORS[first]} and {LATTICE_VECTORS[second]} (Å)")
    figure.colorbar(image, label=f"{report.species} per Å²")
    return figure


def percolation_figure(reports: Sequence[MotionReport], width: Width = "column") -> Figure:
    """Barriers by dimension and along the lattice vectors, a colour for each run.

    What a single run cannot see is grey; of several, a dotted line is where each ends to see.

    Args:
        reports: at least one, at different temperatures.
        width: of the figure.
    """
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(width, 0.75 if width == "column" else 0.5)
        for place, report in enumerate(reports):
            _draw_barriers(axes, report, place, len(reports))
        known_eV = [
            eV
            for report in reports
            for eV in (report.percolation.seen_up_to_eV, *report.percolation.barriers_eV)
        ]
        axes.set_xticks(range(len(PATHS)), PATHS)
        axes.set_xlim(-0.5, len(PATHS) - 0.5)
        axes.set_ylim(0, 1.15 * max(known_eV))
        axes.set_ylabel("−kT ln p at the bottleneck (eV)")
        if len(reports) == 1:
            axes.set_title("grey: less than one visit expected in this run", fontsize=7)
        else:
            figure.legend(loc="outside lower center", ncols=4, title="dotted: seen up to here")
    return figure


def _draw_barriers(axes: Axes, report: MotionReport, place: int, n_reports: int) -> None:
    percolation = report.percolation
    colour = COLOURS[place % len(COLOURS)]
    aside = 0.14 * (place - (n_reports - 1) / 2)
    if n_reports == 1:
        axes.axhspan(percolation.seen_up_to_eV, 1e3, color="0.9", lw=0)
    else:
        axes.axhline(percolation.seen_up_to_eV, color=colour, ls=":", lw=0.8)
        axes.plot([], [], "o", ms=4, color=colour, label=f"{report.temperature_K:g} K")
    for i, (barrier_eV, error_eV) in enumerate(
        zip(percolation.barriers_eV, percolation.errors_eV, strict=True)
    ):
        axes.errorbar(i + aside, barrier_eV, yerr=error_eV, fmt="o", ms=4, capsize=2, color=colour)
    for i, along_eV in enumerate(percolation.barriers_along_abc_eV):
        if along_eV is not None:
            axes.plot(i + 3 + aside, along_eV, "s", ms=4, color=colour)


def _jump_kinds(jumps: Jumps, species: str) -> Figure:
    """Rates of the most frequent jumps by their lengths."""
    figure, axes = new_figure()
    kinds = jumps.kinds
    rates = np.array([kind.rate_per_ion_per_ps for kind in kinds])
    low, high = np.array([kind.rate_68_per_ion_per_ps for kind in kinds]).T
    axes.errorbar(
        [kind.length_A for kind in kinds], rates, yerr=[rates - low, high - rates],
        fmt="o", ms=4, capsize=2,
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlabel("length of the jump (Å)")
    axes.set_ylabel(f"jumps per {species} and ps")
    axes.set_title(_summary(jumps), fontsize=7)
    return figure


def _summary(jumps: Jumps) -> str:
    parts = [f"{jumps.n_jumps} jumps"]
    if jumps.back_jump_fraction is not None:
        parts.append(f"{100 * jumps.back_jump_fraction:.0f} % undone by the next")
    if jumps.correlation_factor is not None:
        parts.append(f"\ncorrelation factor {jumps.correlation_factor:.2f}")
    return ", ".join(parts)


def _van_hove_self(van_hove: VanHove, species: str) -> Figure:
    """Self part at every lag but zero, where it is a spike."""
    figure, axes = new_figure()
    for curve in van_hove.curves:
        if curve.lag_ps > 0:
            axes.plot(van_hove.self_r_A, curve.self_per_A, label=f"{curve.lag_ps:.3g} ps")
    axes.set_xlabel(f"displacement of {species} (Å)")
    axes.set_ylabel("4πr² G$_s$(r, t) (1/Å)")
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def _van_hove_distinct(van_hove: VanHove, species: str) -> Figure:
    figure, axes = new_figure()
    for curve in van_hove.curves:
        axes.plot(van_hove.distinct_r_A, curve.distinct, label=f"{curve.lag_ps:.3g} ps")
    axes.axhline(1.0, color="0.7", lw=0.6, zorder=0)
    axes.set_xlabel(f"distance from where another {species} was (Å)")
    axes.set_ylabel("G$_d$(r, t) / ρ")
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure
