"""Energies, temperatures and forces over the steps of a job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workflows.dashboard.plot import TEXT, Plot
from workflows.figures.palette import BLUE, COLOURS, VERMILION
from workflows.figures.steps import Line, steps_figure
from workflows.words import number, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from workflows.figures.style import Width
    from workflows.job_steps import JobSteps
    from workflows.step_files import Part

Quantity = Literal["energy", "temperature", "force"]
_MOST_POINTS = 1500  # of a curve
_DASHES: tuple[str, ...] = ("solid", "dash", "dot")
_BLACK = "#000000"  # on paper


def quantities_of(stage: str | None) -> tuple[Quantity, ...]:
    """What there is to draw of the jobs of a stage, as far as it is recorded."""
    if stage == "relax":
        return ("energy", "force")
    return ("energy", "temperature") if stage in ("dynamics", "quench") else ()


def over_steps(steps: JobSteps, quantity: Quantity) -> Plot:
    """A quantity over steps, or over time where there is one; an empty plot says why it is.

    Of dynamics energies are relative to the first conserved one and the mean of the potential
    ones, for how they move is what there is to see.
    """
    drawing = {"energy": _energy, "temperature": _temperature, "force": _force}[quantity](steps)
    x_label = "step" if steps.programme is None else "time (ps)"
    print_lines = [
        replace(line, colour=_BLACK if line.colour == TEXT else line.colour)
        for line in drawing.lines
    ]

    def draw(width: Width) -> Figure:
        return steps_figure(print_lines, x_label, drawing.y_label, drawing.is_log, width)

    return Plot(
        name=quantity,
        title=drawing.title,
        summary=drawing.summary if drawing.lines else _why_nothing(steps, quantity),
        traces=tuple(_trace(line) for line in drawing.lines),
        layout={
            "xaxis": {"title": {"text": x_label}},
            "yaxis": {
                "title": {"text": drawing.y_label},
                "type": "log" if drawing.is_log else "linear",
                **({"exponentformat": "power"} if drawing.is_log else {}),
            },
            "hovermode": "closest",
            "showlegend": len(drawing.lines) > 1,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            "margin": {"t": 40, "r": 15},
        },
        rows=tuple(_rows(steps)) if drawing.lines else (),
        draw=draw,
    )


@dataclass(frozen=True, eq=False)
class _Drawing:
    title: str
    y_label: str
    summary: str
    lines: tuple[Line, ...]
    is_log: bool = False


def _energy(steps: JobSteps) -> _Drawing:
    share = steps.n_atoms or 1
    per = "/atom" if steps.n_atoms else " (of the cell)"
    if steps.kind == "relaxation":
        lines = tuple(
            Line(
                part.name or "energy",
                COLOURS[place % len(COLOURS)],
                _DASHES[place % len(_DASHES)],
                part.steps.astype(np.float64),
                part.energies_eV / share,
            )
            for place, part in enumerate(steps.parts)
        )
        summary = ""
        if steps.parts:
            last_eV = float(steps.parts[-1].energies_eV[-1]) / share
            fell_eV = float(steps.parts[0].energies_eV[0]) / share - last_eV
            summary = (
                f"After {steps.n_done:,} steps the energy is {_fixed(last_eV)} eV{per}, "
                f"{number(1000 * fell_eV)} meV{per} below that of the first step."
            )
        return _Drawing("Energy over steps", f"energy (eV{_unit(steps)})", summary, lines)
    potential_eV = _joined(steps, "energies_eV")
    conserved_eV = _joined(steps, "conserved_eV")
    x = _times(steps)
    found = []
    if np.isfinite(potential_eV).any():
        moved = 1000 * (potential_eV - np.nanmean(potential_eV)) / share
        found.append(Line("potential energy, from its mean", BLUE, "solid", x, moved))
    if np.isfinite(conserved_eV).any():
        first_eV = conserved_eV[np.isfinite(conserved_eV)][0]
        kept = 1000 * (conserved_eV - first_eV) / share
        found.append(Line("conserved energy, from its first", VERMILION, "solid", x, kept))
    summary = _progress(steps)
    if (span_eV := steps.conserved_range_eV) is not None:
        summary += f" The conserved energy stays within {number(1000 * span_eV / share)} meV{per}."
    return _Drawing("Energy over time", f"ΔE (meV{_unit(steps)})", summary, tuple(found))


def _temperature(steps: JobSteps) -> _Drawing:
    found = []
    temperatures_K = _joined(steps, "temperatures_K")
    if np.isfinite(temperatures_K).any():
        found.append(Line("kinetic temperature", BLUE, "solid", _times(steps), temperatures_K))
    programme = steps.programme
    if found and programme is not None:
        ps = programme.timestep_fs / 1000
        corners = [(0 * ps, programme.corners[0][1])]
        for (before, before_K), (step, at_K) in zip(
            programme.corners, programme.corners[1:], strict=False
        ):
            reached = min(step, steps.n_done)
            if reached <= before:
                break
            share = (reached - before) / (step - before)
            corners.append((reached * ps, before_K + share * (at_K - before_K)))
        x, y = np.array(corners, dtype=np.float64).T
        found.append(Line("thermostat", TEXT, "dash", x, y))
    summary = _progress(steps)
    if (mean_K := steps.mean_temperature_K) is not None and programme is not None:
        summary += (
            f" {mean_K:.0f} K on average after heating and equilibration, at a target of "
            f"{programme.corners[-1][1]:g} K."
        )
    return _Drawing("Temperature over time", "temperature (K)", summary, tuple(found))


def _force(steps: JobSteps) -> _Drawing:
    lines = tuple(
        Line("largest force", BLUE, "solid", part.steps.astype(np.float64), part.forces_eV_per_A)
        for part in steps.parts
        if part.forces_eV_per_A is not None
    )
    summary = ""
    if lines:
        summary = (
            f"After {steps.n_done:,} steps the largest force, of the cell as of the atoms, is "
            f"{number(float(lines[-1].y[-1]))} eV/Å."
        )
    return _Drawing("Largest force over steps", "force (eV/Å)", summary, lines, is_log=True)


def _fixed(energy_eV: float) -> str:
    return f"{energy_eV:.4f}".replace("-", "−")


def _unit(steps: JobSteps) -> str:
    return "/atom" if steps.n_atoms else ", cell"


def _progress(steps: JobSteps) -> str:
    if steps.programme is None:
        return f"{steps.n_done:,} steps."
    done_ps = steps.n_done * steps.programme.timestep_fs / 1000
    most_ps = steps.programme.n_most * steps.programme.timestep_fs / 1000
    return f"{number(done_ps)} of at most {number(most_ps)} ps are done."


def _why_nothing(steps: JobSteps, quantity: Quantity) -> str:
    if steps.kind == "relaxation":
        if steps.parts and quantity == "force":
            return "VASP's OSZICAR tells no forces; OUTCAR has them."
        return (
            "No steps are recorded: it has not begun, or it is done, and the embedded potential's "
            "are not kept then."
        )
    if steps.programme is not None and 0 < steps.n_done < steps.programme.n_before:
        return (
            f"{_progress(steps)} Frames are recorded once it is heated and equilibrated, after "
            f"{number(steps.programme.n_before * steps.programme.timestep_fs / 1000)} ps."
        )
    return "No steps are recorded: it has not begun, or its files are not on this machine."


def _trace(line: Line) -> dict[str, Any]:
    x, y = _thinned(line.x), _thinned(line.y)
    return {
        "type": "scatter",
        "mode": "lines" if len(x) > 1 else "markers",
        "name": plain(line.name),
        "x": [float(f"{value:.7g}") for value in x],
        "y": [float(f"{value:.7g}") if np.isfinite(value) else None for value in y],
        "line": {"color": line.colour, "width": 1.5, "dash": line.dash},
        "marker": {"color": line.colour, "size": 6},
    }


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evenly, with the first and the last."""
    if len(values) <= _MOST_POINTS:
        return values
    kept: NDArray[np.float64] = values[
        np.linspace(0, len(values) - 1, _MOST_POINTS).round().astype(int)
    ]
    return kept


def _joined(steps: JobSteps, name: str) -> NDArray[np.float64]:
    """A series of all parts; NaN where a part has none."""
    found = [np.full(len(part.steps), np.nan) if (s := getattr(part, name)) is None else s
             for part in steps.parts]  # fmt: skip
    return np.concatenate(found) if found else np.array([])


def _times(steps: JobSteps) -> NDArray[np.float64]:
    """In ps, or steps where the time of one is not known."""
    numbers = [part.steps for part in steps.parts]
    joined = np.concatenate(numbers).astype(np.float64) if numbers else np.array([])
    return joined if steps.programme is None else joined * steps.programme.timestep_fs / 1000


def _rows(steps: JobSteps) -> list[dict[str, Any]]:
    """All that was recorded, a step a row."""
    return [row for part in steps.parts for row in _rows_of(part, steps)]


def _rows_of(part: Part, steps: JobSteps) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {
        "run": [part.name] * len(part.steps),
        "step": part.steps.tolist(),
    }
    if steps.programme is not None:
        columns["time_ps"] = (part.steps * steps.programme.timestep_fs / 1000).round(9).tolist()
    columns["energy_eV"] = part.energies_eV.tolist()
    for name, series in (
        ("temperature_K", part.temperatures_K),
        ("conserved_energy_eV", part.conserved_eV),
        ("max_force_eV_per_A", part.forces_eV_per_A),
    ):
        if series is not None:
            columns[name] = [value if np.isfinite(value) else None for value in series.tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
