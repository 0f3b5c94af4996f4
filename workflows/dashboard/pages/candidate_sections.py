"""What the sections of a candidate's page show, and why they show nothing where they do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from workflows.funnel import gate_label
from workflows.views import UNFINISHED
from workflows.voltage_intervals import (
    WINDOW_NAMES,
    amounts,
    interval_letter,
    intervals,
    stable_interval,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from screening.documents import Failure, StageDocument
    from screening.stability.documents import Stability, Window
    from screening.transport.documents import Diffusivity, RunEnd, Transport
    from workflows.dashboard.plot import Plot
    from workflows.views import CandidateView, JobView


@dataclass(frozen=True)
class PlotPart:
    """A plot that the page fetches: name of its files, title, and what is seen in it."""

    name: str
    title: str
    summary: str

    @classmethod
    def of(cls, plot: Plot | None) -> Self | None:
        """None where there is no plot."""
        return None if plot is None else cls(plot.name, plot.title, plot.summary)


@dataclass(frozen=True)
class MotionView:
    """How the ions of a candidate move: a part of its page.

    Args:
        notes: why runs were left out.
    """

    id: str
    plot: PlotPart | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class IntervalRow:
    """What is in equilibrium between two potentials; the letter is that in the plot."""

    letter: str
    potentials: str
    products: str
    is_window: bool


@dataclass(frozen=True)
class WindowRow:
    """One of the two windows.

    Args:
        is_open: False where the reduction limit is not below the other.
    """

    name: str
    window: Window
    is_ranked: bool
    is_open: bool


@dataclass(frozen=True)
class StabilityPart:
    """Place on the hull.

    Args:
        formation: what it is formed from, or decomposes into, in words.
    """

    stability: Stability
    formation: str
    windows: tuple[WindowRow, ...]
    intervals: tuple[IntervalRow, ...]
    plot: PlotPart | None

    @property
    def e_hull_meV_per_atom(self) -> float:
        """As people say it."""
        return 1000 * self.stability.e_hull_eV_per_atom


@dataclass(frozen=True)
class RunPart:
    """One run of molecular dynamics, at whatever stage.

    Args:
        said: what limits the diffusivity, what the framework does, caveats.
        job: the last one of the run; None where nothing is known of it any more.
    """

    temperature_K: float
    diffusivity: Diffusivity | None
    end: RunEnd | None
    failure: Failure | None
    said: tuple[str, ...]
    job: JobView | None
    msd: PlotPart | None


def stability_part(stability: Stability, plot: Plot | None) -> StabilityPart:
    """From a stability and its plot."""
    depth_meV = 1000 * stability.energy_below_competitors_eV_per_atom
    products = amounts(stability.decomposition)
    if stability.window_of == "candidate":
        formation = f"It is formed from {products}, with {depth_meV:.1f} meV/atom gained."
    else:
        formation = (
            f"It decomposes into {products}: a stable mixture of these lies "
            f"{-depth_meV:.1f} meV/atom below it."
        )
    windows: tuple[tuple[Literal["candidate", "equilibrium"], Window], ...] = (
        ("candidate", stability.candidate_window),
        ("equilibrium", stability.equilibrium_window),
    )
    parts = intervals(stability.profile)
    stable = stable_interval(parts, stability.window)
    return StabilityPart(
        stability=stability,
        formation=formation,
        windows=tuple(
            WindowRow(WINDOW_NAMES[of], window, of == stability.window_of, window.width_V > 0)
            for of, window in windows
        ),
        intervals=tuple(
            IntervalRow(interval_letter(i), str(part), amounts(part.products), i == stable)
            for i, part in enumerate(parts)
        ),
        plot=PlotPart.of(plot),
    )


def run_parts(
    transport: Transport | None, jobs: Sequence[JobView], plots: dict[float, Plot | None]
) -> tuple[RunPart, ...]:
    """One a temperature, by rising temperature.

    Args:
        transport: None where it has not been analysed.
        jobs: of the dynamics of the crystal.
        plots: of the mean squared displacements.
    """
    of = {job.temperature_K: job for job in jobs if job.temperature_K is not None}
    found = {d.temperature_K: d for d in transport.diffusivities} if transport else {}
    ends = {float(t): end for t, end in transport.ends.items()} if transport else {}
    failures = {float(t): failure for t, failure in transport.failures.items()} if transport else {}
    return tuple(
        RunPart(
            temperature_K=kelvin,
            diffusivity=found.get(kelvin),
            end=ends.get(kelvin),
            failure=failures.get(kelvin),
            said=tuple(dict.fromkeys(_said(found.get(kelvin)))),
            job=of.get(kelvin),
            msd=PlotPart.of(plots.get(kelvin)),
        )
        for kelvin in sorted({*of, *found, *failures})
    )


def _said(diffusivity: Diffusivity | None) -> Iterator[str]:
    if diffusivity is None:
        return
    if diffusivity.reason:
        yield diffusivity.reason
    yield from (motion.message for motion in diffusivity.framework)
    yield from diffusivity.caveats


def why_nothing(
    view: CandidateView,
    stage: Literal["relax", "stability", "transport", "amorphous"],
    asked_for: bool = True,
) -> str:
    """Why a stage of a candidate has no result; empty where it has one.

    Args:
        view: of the candidate.
        stage: one of those that answer with a result.
        asked_for: whether the config of the last run wants it.
    """
    document: StageDocument | None = getattr(view, stage)
    if getattr(document, "result", None) is not None:
        return ""
    if not asked_for:
        return "Not asked for: the campaign's config says so."
    if view.row.rejection is not None and stage in ("transport", "amorphous"):
        gate = gate_label(view.row.rejection.gate, view.row.rejection.threshold)
        return f"Not computed: it was rejected before, by the gate {gate}."
    job = next((job for job in view.jobs if job.stage == stage), None)
    if job is not None and job.state in UNFINISHED:
        return f"Not there yet: {stage} is {job.state}{f', {job.why}' if job.why else ''}."
    if document is not None and document.failure is not None:
        return f"Not there: {stage} failed with {document.failure.code}."
    if job is not None and job.state == "failed":
        return f"Not there: {stage} failed with {job.code}."
    if view.row.failure is not None:
        return f"Not computed: {view.row.stage} failed before with {view.row.failure.code}."
    return "Not computed: an earlier stage gave it nothing to work on."
