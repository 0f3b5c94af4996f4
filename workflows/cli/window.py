"""`window`: hull and electrochemical window of anybody's structure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.errors import InvalidInput, ScreeningError
from workflows.cli.common import ExitCode, Json, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from screening.documents import Limit, Stability, Window
    from workflows.window import Question, WindowReport

_LABEL_WIDTH = 12


def window(
    structures: Annotated[
        list[Path],
        typer.Argument(
            metavar="STRUCTURE...",
            help="CIF, POSCAR or whatever pymatgen reads; every site filled by one kind of atom.",
            show_default=False,
        ),
    ],
    ion: Annotated[
        str | None,
        typer.Option(
            metavar="ION",
            help="Li, Na, K, Rb or Cs: potentials are against its metal. Default: the only one "
            "that the structure holds.",
            show_default=False,
        ),
    ] = None,
    references: Annotated[
        str | None,
        typer.Option(
            metavar="SNAPSHOT",
            help="Reference phases: a shipped snapshot's name, a file or a folder. Default: those "
            "shipped for the embedded engine.",
            show_default=False,
        ),
    ] = None,
    raw_halide_energies: Annotated[
        bool,
        typer.Option(
            "--raw-halide-energies",
            help="Without MP2020's corrections of halide energies, as some papers compute.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.cif", help="Write the relaxed structure of the one STRUCTURE as CIF."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Relax STRUCTURE, place it on the hull and give its window, voltage steps and guards.

    Needs no campaign and leaves no files unless --out asks for one.
    """
    _check_out(out, structures)
    from screening.stability.references import ReferencePhases
    from workflows.config import EngineSettings, RelaxSettings, StabilitySettings
    from workflows.window import read_question, require_convention_of, window_report, write_relaxed

    snapshot = references or StabilitySettings().references
    phases, engine = ReferencePhases.load(snapshot), EngineSettings()
    require_convention_of(engine, phases, snapshot)
    questions = [read_question(path, ion, phases) for path in structures]
    reports = []
    failed = False
    for question in questions:
        try:
            with _waiting(question):
                report = window_report(
                    question, phases, snapshot, engine, RelaxSettings(), raw_halide_energies
                )
        except ScreeningError as error:
            if len(questions) == 1:
                raise
            typer.echo(str(error), err=True)
            failed = True
            continue
        if out:
            write_relaxed(report, out)
        reports.append(report)
        if not as_json:
            _print(report)
    if as_json:
        documents = [report.model_dump(mode="json") for report in reports]
        print_json(documents if len(structures) > 1 else documents[0])
    if failed:
        raise typer.Exit(ExitCode.BAD_INPUT)


def _check_out(out: Path | None, structures: list[Path]) -> None:
    if out is None:
        return
    if len(structures) > 1:
        raise InvalidInput(f"--out is for one structure; found {len(structures)}")
    if out.is_dir():
        raise InvalidInput(f"--out {out}: is a folder; needed: a file")
    if not out.absolute().parent.is_dir():
        raise InvalidInput(f"--out {out}: no folder {out.absolute().parent}; make it first")


@contextmanager
def _waiting(question: Question) -> Iterator[None]:
    """Say on stderr what takes its time; torch's opinion of CHGNet's code is not for users."""
    import warnings

    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True)
    n_atoms = len(question.structure)
    text = f"{question.path}: relaxing {question.formula}, {n_atoms} atoms"
    if not console.is_terminal:
        console.print(escape(text), highlight=False, soft_wrap=True)
    with console.status(escape(text)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad", UserWarning)
        yield


def _print(report: WindowReport) -> None:
    from rich.console import Console

    console = Console()
    for part in report_parts(report, console.width):
        console.print(part, highlight=False)
    console.print()


def report_parts(report: WindowReport, width: int) -> Iterator[RenderableType]:
    """What people see of one structure."""
    from rich.text import Text

    from workflows.cli.voltage_bar import voltage_bar

    stability = report.stability
    yield Text.assemble((report.formula, "bold"), f"  {report.structure_file}")
    yield _facts(report)
    yield Text()
    yield voltage_bar(stability, width)
    yield steps_table(stability)
    yield _guards(stability)
    if stability.caveats:
        yield _pairs({"caveats": "\n".join(stability.caveats)})


def _facts(report: WindowReport) -> RenderableType:
    relaxed, stability, used = report.relaxation, report.stability, report.references
    depth_meV = 1000 * stability.energy_below_competitors_eV_per_atom
    others = " + ".join(stability.decomposition)
    place = (
        f"{depth_meV:.1f} meV/atom below"
        if stability.window_of == "candidate"
        else f"{-depth_meV:.1f} meV/atom above"
    )
    return _pairs(
        {
            "relaxed": f"{relaxed.n_steps} steps, {len(relaxed.structure)} atoms, volume "
            f"{relaxed.volume_change_percent:+.1f} %, {relaxed.energy_eV_per_atom:.4f} eV/atom "
            f"({relaxed.convention.potential})",
            "references": f"{used.name} of {used.date}, {used.n_phases} phases of this system, "
            f"sha256 {used.sha256[:12]}",
            "missing": "known compounds that the snapshot lacks: " + ", ".join(used.missing_phases)
            if used.missing_phases
            else "",
            "corrections": "none for halides (--raw-halide-energies)"
            if report.raw_halide_energies
            else "",
            "formation": f"{stability.formation_energy_eV_per_atom:.4f} eV/atom",
            "E_hull": f"{1000 * stability.e_hull_eV_per_atom:.1f} meV/atom; {place} the other "
            f"phases, {others}",
            "window": _window(report),
            "reduction": _limit(stability.window.reduction),
            "oxidation": _limit(stability.window.oxidation),
            **_other_window(stability),
        }
    )


def _window(report: WindowReport) -> str:
    found = report.stability.window
    of = {
        "candidate": "the candidate's own: it is stable",
        "equilibrium": "of the phases that the metastable candidate decomposes into",
    }[report.stability.window_of]
    return (
        f"{_range(found)} against {report.mobile_ion}/{report.mobile_ion}+, {found.width_V:.3f} V "
        f"wide{_interval(found.width_68_V)}; {of}"
    )


def _other_window(stability: Stability) -> dict[str, str]:
    """The one of the two windows that is not ranked."""
    if stability.window_of == "candidate":
        return {
            "equilibrium": f"{_range(stability.equilibrium_window)}: window of the reference "
            "phases in equilibrium at its composition"
        }
    return {"own window": f"{_range(stability.candidate_window)}: of the metastable candidate"}


def _range(window: Window) -> str:
    low_V, high_V = window.reduction.potential_V, window.oxidation.potential_V
    if low_V > high_V:
        return f"none, reduced below {low_V:.3f} V and oxidised above {high_V:.3f} V"
    return f"{low_V:.3f}–{high_V:.3f} V"


def _limit(limit: Limit) -> str:
    return f"{limit.potential_V:.3f} V{_interval(limit.potential_68_V)}: {limit.reaction}"


def _interval(bounds: tuple[float, float] | None) -> str:
    return f" (68 %: {bounds[0]:.2f}…{bounds[1]:.2f})" if bounds else ""


def steps_table(stability: Stability) -> RenderableType:
    """Every reaction on the way down, with its charge and energy per mass of candidate."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("V", "mAh/g", "Wh/kg"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("on the way down", overflow="fold")
    for step in stability.profile.steps:
        table.add_row(
            f"{step.potential_V:.3f}",
            f"{step.capacity_mAh_g:.1f}",
            f"{step.energy_Wh_kg:.0f}",
            Text(step.reaction),
        )
    return table


def _guards(stability: Stability) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for guard in stability.guards:
        mark = Text("ok", style="green") if guard.passed else Text("FAILED", style="bold red")
        table.add_row(mark, Text(guard.name), Text(guard.message))
    return table


def _pairs(entries: dict[str, str]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=_LABEL_WIDTH, style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in entries.items():
        if value:
            table.add_row(name, Text(value))
    return table
