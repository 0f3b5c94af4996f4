"""`window`: hull and electrochemical window of anybody's structure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.errors import InvalidInput, ScreeningError
from workflows.cli.common import ExitCode, Json, Model, engine_settings, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workflows.window import Question, WindowReport


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
            "shipped for the weights.",
            show_default=False,
        ),
    ] = None,
    model: Model = None,
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
    from screening.stability.corrections import require_raw_halides
    from screening.stability.references import ReferencePhases
    from workflows.config import RelaxSettings
    from workflows.window import read_question, require_convention_of, window_report, write_relaxed

    engine = engine_settings(model)
    snapshot = references or engine.references
    phases = ReferencePhases.load(snapshot)
    require_convention_of(engine, phases, snapshot)
    if raw_halide_energies:
        require_raw_halides(phases.convention)
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
        reports.append(report)
        if not as_json:
            _print(report)
    if as_json:
        documents = [report.model_dump(mode="json") for report in reports]
        print_json(documents if len(structures) > 1 else documents[0])
    if out:  # last: where it cannot be written, the answer is there all the same
        write_relaxed(reports[0], out)
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
    from workflows.cli.stability_sections import section, stability_sections

    relaxed, used = report.relaxation, report.references
    yield section(
        f"{report.formula}, {report.structure_file}",
        {
            "relaxed": f"{relaxed.n_steps} steps, {len(relaxed.structure)} atoms, volume "
            f"{relaxed.volume_change_percent:+.1f} %, {relaxed.energy_eV_per_atom:.4f} eV/atom "
            f"({relaxed.convention.potential})",
            "references": f"{used.name} of {used.date}, sha256 {used.sha256[:12]}, "
            f"{used.n_phases} phases of this chemical system",
            "not among them": ", ".join(used.missing_phases),
            "potentials": f"in V against {report.mobile_ion}/{report.mobile_ion}+",
        },
    )
    yield from stability_sections(report.stability, width)
