"""What a moving ion has to get over, and what an ordering has below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.candidate_motion import PATHS
from workflows.dashboard.plot import TEXT, Plot, rounded
from workflows.dashboard.plots.marks import ABOVE
from workflows.figures.palette import BLUE, COLOURS
from workflows.ordering_energies import TEMPERATURE_K
from workflows.words import number, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from screening.motion.documents import MotionReport, Percolation
    from workflows.figures.style import Width
    from workflows.ordering_energies import OrderingEnergy

_SYMBOLS = ("circle", "square", "diamond", "x")
_ASIDE = 0.14  # from one temperature to the next, so that their points do not hide each other


def landscape(reports: Sequence[MotionReport]) -> Plot | None:
    """Migration barriers by dimension and along a, b and c, a colour for each temperature.

    A dotted line is the free energy up to which that run sees anything: barriers above it cannot be
    told.

    Returns:
        None without reports.
    """
    if not reports:
        return None

    def draw(width: Width) -> Figure:
        from workflows.figures.motion import percolation_figure

        return percolation_figure(reports, width)

    return Plot(
        name="landscape",
        title=f"Migration barriers of {reports[0].species}",
        summary=" ".join(map(_summary, reports)),
        traces=tuple(
            trace
            for place, report in enumerate(reports)
            for trace in _traces(report, place, len(reports))
        ),
        layout={
            "xaxis": {
                "tickvals": list(range(len(PATHS))),
                "ticktext": list(PATHS),
                "range": [-0.5, len(PATHS) - 0.5],
                "title": {"text": "path through the crystal in 1, 2, 3 dimensions; along a, b, c"},
                "showgrid": False,
            },
            "yaxis": {
                "title": {"text": "−kT ln p at the bottleneck (eV)"},
                "rangemode": "tozero",
            },
            "hovermode": "closest",
            "legend": ABOVE,
            "margin": {"t": 50, "r": 15},
        },
        rows=tuple(row for report in reports for row in _rows(report)),
        draw=draw,
    )


def _traces(report: MotionReport, place: int, n: int) -> Iterator[dict[str, Any]]:
    colour = COLOURS[place % len(COLOURS)]
    name = f"{report.temperature_K:g} K"
    found = _barriers(report.percolation)
    aside = _ASIDE * (place - (n - 1) / 2)
    yield {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "legendgroup": name,
        "x": [PATHS.index(path) + aside for path, _, _ in found],
        "y": [rounded(barrier_eV) for _, barrier_eV, _ in found],
        "error_y": {
            "type": "data",
            "array": [rounded(error_eV or 0.0) for _, _, error_eV in found],
            "color": colour,
            "thickness": 1.2,
            "width": 3,
        },
        "marker": {"color": colour, "symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 9},
        "text": [
            f"{name}, {path}<br>{number(barrier_eV)} eV"
            + (f" ± {number(error_eV)}" if error_eV is not None else "")
            for path, barrier_eV, error_eV in found
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }
    seen_eV = report.percolation.seen_up_to_eV
    yield {
        "type": "scatter",
        "mode": "lines",
        "name": f"{name} sees up to here",
        "legendgroup": name,
        "x": [-0.5, len(PATHS) - 0.5],
        "y": [rounded(seen_eV)] * 2,
        "line": {"color": colour, "dash": "dot", "width": 1.5},
        "hovertemplate": f"{name}: one visit in the whole run expected at {number(seen_eV)} eV; "
        "higher barriers cannot be told<extra></extra>",
    }


def _barriers(percolation: Percolation) -> list[tuple[str, float, float | None]]:
    """Path, barrier and its standard error."""
    by_dimension = zip(PATHS[:3], percolation.barriers_eV, percolation.errors_eV, strict=False)
    along = zip(PATHS[3:], percolation.barriers_along_abc_eV, strict=True)
    return [*by_dimension, *((path, eV, None) for path, eV in along if eV is not None)]


def _rows(report: MotionReport) -> Iterator[dict[str, Any]]:
    found = {path: (eV, error_eV) for path, eV, error_eV in _barriers(report.percolation)}
    for path in PATHS:
        barrier_eV, error_eV = found.get(path, (None, None))
        yield {
            "temperature_K": report.temperature_K,
            "path": path,
            "barrier_eV": barrier_eV,
            "standard_error_eV": error_eV,
            "seen_up_to_eV": report.percolation.seen_up_to_eV,
        }


def _summary(report: MotionReport) -> str:
    percolation = report.percolation
    if not percolation.dimension:
        text = "places that ions visit do not run through the crystal"
    else:
        text = "barriers " + ", ".join(
            f"{path} {number(eV)}" for path, eV, _ in _barriers(percolation)
        )
        text += " eV"
    return (
        f"At {report.temperature_K:g} K, {number(report.duration_ps)} ps: {text}; the run tells "
        f"up to {number(percolation.seen_up_to_eV)} eV."
    )


def orderings(energies: Sequence[OrderingEnergy], identifier: str) -> Plot | None:
    """Energies of the orderings of one space above the lowest, the candidate's own marked.

    Args:
        energies: by rising energy.
        identifier: of the candidate.

    Returns:
        None without energies.
    """
    if not energies:
        return None
    heights = [1000 * o.energy_above_lowest_eV_per_atom for o in energies]
    own = next((i for i, o in enumerate(energies) if o.id == identifier), None)

    def draw(width: Width) -> Figure:
        from workflows.figures.orderings import orderings_figure

        return orderings_figure(heights, own, width)

    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "relaxed ordering",
            "x": list(range(1, len(energies) + 1)),
            "y": [rounded(height) for height in heights],
            "customdata": [o.id for o in energies],
            "text": [
                f"{number(height)} meV/atom above the lowest<br>{o.degeneracy} configurations<br>"
                f"{100 * o.probability:.3g} % at {TEMPERATURE_K:g} K"
                for o, height in zip(energies, heights, strict=True)
            ],
            "marker": {"color": BLUE, "size": 7},
            "hovertemplate": "%{customdata}<br>%{text}<extra></extra>",
        }
    ]
    if own is not None:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(identifier),
                "x": [own + 1],
                "y": [rounded(heights[own])],
                "marker": {
                    "symbol": "circle-open",
                    "size": 15,
                    "color": TEXT,
                    "line": {"width": 2},
                },
                "hoverinfo": "skip",
            }
        )
    return Plot(
        name="orderings",
        title="Energies of the orderings",
        summary=_orderings_summary(energies, own),
        traces=tuple(traces),
        layout={
            "xaxis": {"title": {"text": "ordering, by energy"}, "tickformat": "d"},
            "yaxis": {"title": {"text": "energy above the lowest (meV/atom)"}},
            "hovermode": "closest",
            "legend": ABOVE,
            "margin": {"t": 50, "r": 15},
        },
        rows=tuple(
            {
                "id": o.id,
                "degeneracy": o.degeneracy,
                "energy_above_lowest_eV_per_atom": o.energy_above_lowest_eV_per_atom,
                f"probability_at_{TEMPERATURE_K:g}K": o.probability,
            }
            for o in energies
        ),
        draw=draw,
    )


def _orderings_summary(energies: Sequence[OrderingEnergy], own: int | None) -> str:
    highest = 1000 * energies[-1].energy_above_lowest_eV_per_atom
    text = f"{len(energies)} relaxed orderings within {number(highest)} meV/atom"
    if own is not None:
        mine = energies[own]
        text += (
            f"; {mine.id} is number {own + 1}, "
            f"{number(1000 * mine.energy_above_lowest_eV_per_atom)} meV/atom above the lowest, "
            f"{100 * mine.probability:.3g} % of the equilibrium at {TEMPERATURE_K:g} K"
        )
    return f"{text}."
