"""What anybody's molecular dynamics says, without a campaign: read, analyse, draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field

from screening.disorder.documents import DisorderReport
from screening.errors import InvalidInput, ScreeningError
from screening.motion.documents import MotionReport
from screening.transport.documents import Diffusivity

if TYPE_CHECKING:
    from screening.transport.trajectory import Trajectory

Report = TypeVar("Report")


class MdReport(Diffusivity):
    """What `halideflow md analyze` finds out about one run."""

    files: tuple[str, ...] = Field(description="parts of the run, in order")
    formula: str = Field(description="of the whole cell")
    n_atoms: int
    n_ions: int = Field(description="mobile ones")
    n_frames: int = Field(description="read, equilibration included")
    timestep_fs: float
    stride: int = Field(description="steps between two frames")
    notes: tuple[str, ...] = Field(description="on the files, and on what could not be analysed")
    motion: MotionReport | None = Field(description="None where it cannot be told, see notes")
    disorder: DisorderReport | None = Field(description="None where it cannot be told, see notes")


@dataclass(frozen=True)
class Analysis:
    """A report, and the frames that it is about."""

    report: MdReport
    production: Trajectory


def analyse_files(
    paths: Sequence[Path],
    mobile_ion: str,
    *,
    timestep_fs: float | None = None,
    stride: int | None = None,
    temperature_K: float | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Analysis:
    """Diffusion of one species, structure of its motion, and local structure of one run.

    The structure of the motion and the local structure leave out the same equilibration as the
    diffusivity does. Where one of them cannot be told, `notes` say why.

    Args:
        paths: files of one run, in order.
        mobile_ion: element symbol.
        timestep_fs: where the files do not say; see `read_trajectory`.
        stride: steps between two frames, likewise.
        temperature_K: likewise.
        advance: called with the bytes read so far and those of all files.

    Raises:
        InvalidInput: files that cannot be used, see `read_trajectory`.
        UnusableRun: a run that carries no diffusivity.
    """
    from pymatgen.core import Composition

    from screening.disorder.report import disorder_report
    from screening.motion.report import motion_report
    from screening.transport.analysis import analyse_run
    from workflows.trajectory_files.reading import read_trajectory

    run = read_trajectory(
        paths,
        mobile_ion,
        timestep_fs=timestep_fs,
        stride=stride,
        temperature_K=temperature_K,
        advance=advance,
    )
    diffusivity = analyse_run(run, mobile_ion)
    production = run.from_frame(_first_frame(diffusivity, run))
    notes = list(run.notes)
    motion = _or_note(
        lambda: motion_report(production, mobile_ion), "structure of the motion", notes
    )
    disorder = _or_note(lambda: disorder_report(production, mobile_ion), "local structure", notes)
    report = MdReport(
        **dict(diffusivity),
        files=tuple(str(path) for path in paths),
        formula=Composition("".join(run.species)).formula.replace(" ", ""),
        n_atoms=len(run.species),
        n_ions=run.species.count(mobile_ion),
        n_frames=len(run.positions_A),
        timestep_fs=run.timestep_fs,
        stride=run.stride,
        notes=tuple(notes),
        motion=motion,
        disorder=disorder,
    )
    return Analysis(report, production)


def write_figures(analysis: Analysis, folder: Path) -> list[Path]:
    """Every figure of a report as PDF, SVG and PNG; the paths written."""
    from workflows.figures.disorder import disorder_figures
    from workflows.figures.motion import motion_figures
    from workflows.figures.msd import msd_figure
    from workflows.figures.style import save

    report = analysis.report
    figures = {"msd": msd_figure(report)} if report.msd else {}
    if report.motion is not None:
        figures |= motion_figures(analysis.production, report.species, report.motion)
    if report.disorder is not None:
        figures |= disorder_figures(report.disorder)
    return [path for name, figure in figures.items() for path in save(figure, folder, name)]


def check_folder(folder: Path) -> None:
    """Let a folder pass that is there or can be made, before anything slow.

    Raises:
        InvalidInput: there is a file in its place.
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"--figures {folder}: is a file; needed: a folder, or a name for one")


def _first_frame(diffusivity: Diffusivity, run: Trajectory) -> int:
    cut_ps = diffusivity.equilibration.cut_ps if diffusivity.equilibration else 0.0
    return round(cut_ps / run.frame_interval_ps)


def _or_note(make: Callable[[], Report], what: str, notes: list[str]) -> Report | None:
    """A part of the report, or the reason why it lacks; the diffusivity stands without it."""
    try:
        return make()
    except ScreeningError as error:
        notes.append(f"no {what}: {error}")
        return None
