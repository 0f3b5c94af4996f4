"""`md`: molecular dynamics that was run elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflows.cli.common import EXIT_CODES, Commands, Json, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="md",
    help="Molecular dynamics of any origin: analyze.",
    cls=Commands,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Molecular dynamics of any origin: analyze."""


@app.command()
def analyze(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRAJECTORY...",
            help="XDATCAR, vasprun.xml, OUTCAR, extended XYZ, .traj of ASE, or .npz of a results "
            "folder; several are the parts of one run, in order.",
            show_default=False,
        ),
    ],
    species: Annotated[
        str, typer.Option(metavar="ION", help="The mobile ion, such as K.", show_default=False)
    ],
    timestep_fs: Annotated[
        float | None,
        typer.Option(
            "--timestep-fs",
            help="Time step of the integration, fs; where the files do not say.",
            show_default=False,
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help="Steps between two frames; where the files do not say, 1.", show_default=False
        ),
    ] = None,
    temperature_K: Annotated[
        float | None,
        typer.Option(
            "--temperature-K",
            help="Temperature of the thermostat, K; where the files do not say.",
            show_default=False,
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw figures into this folder.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give the diffusivity of ION with its intervals, and how and among what it moves.

    A run too short gives an upper bound and the reason. What is given as an option goes before what
    the files say.
    """
    from workflows.md_analysis import analyse_files, check_folder, write_figures

    if figures is not None:
        check_folder(figures)
    with _reading() as advance:
        analysis = analyse_files(
            files,
            species,
            timestep_fs=timestep_fs,
            stride=stride,
            temperature_K=temperature_K,
            advance=advance,
        )
    if as_json:
        print_json(analysis.report.model_dump(mode="json"))
    else:
        from rich.console import Console

        from workflows.cli.md_sections import md_sections

        console = Console()
        for part in md_sections(analysis.report):
            console.print(part, highlight=False)
            console.print()
    if figures is not None:
        written = write_figures(analysis, figures)
        typer.echo(f"{len(written)} files written to {figures}", err=True)


@contextmanager
def _reading() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while files are read, on terminals; it says when the analysis goes on."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=36),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task("reading", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done >= total:
                bar.update(task, description="analysing")

        yield advance
