"""`references`: snapshots of reference phases, listed, shown, built and read from VASP runs."""

from __future__ import annotations

import time
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from screening.errors import InvalidInput
from workflows.cli import references_check, references_fetch
from workflows.cli.common import (
    EXIT_CODES,
    Commands,
    ExitCode,
    Json,
    Model,
    OptionalCampaignFile,
    engine_settings,
    print_json,
)
from workflows.cost.cores import cores_here

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.table import Table

    from screening.stability.references import ReferencePhases
    from workflows.references import Built

app = typer.Typer(
    name="references",
    help="Reference phases that candidates compete with: list, show, build, vasp, fetch, check.",
    cls=Commands,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_LINE_EVERY_S = 15.0
_SHOWN_ELEMENTS = 5
_SHOWN_IN_FULL = 100  # phases; more take thousands of lines

Out = Annotated[
    Path, typer.Option(metavar="FILE", help="The snapshot's file; what it holds is reused.")
]


@app.command("list")
def list_snapshots(
    snapshots: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SNAPSHOT]...",
            help="Files or folders, besides the shipped.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List snapshots: the shipped ones, and those of the given files and folders."""
    from screening.stability.references import ReferencePhases
    from screening.stability.snapshots import shipped_snapshots

    names = [*shipped_snapshots(), *(snapshots or [])]
    rows = [_summary(name, ReferencePhases.load(name)) for name in names]
    if as_json:
        print_json(rows)
        return
    from rich.console import Console

    Console().print(_summary_table(rows))


@app.command()
def show(
    snapshot: Annotated[
        str, typer.Argument(metavar="SNAPSHOT", help="Shipped name, file, folder.")
    ],
    system: Annotated[
        str | None,
        typer.Option(metavar="K-Ta-Cl", help="Only phases of these elements.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the phases of SNAPSHOT: energies, place on the hull, sources, and what is missing.

    Formation energies and energies above the hull are those of each phase among the phases of its
    own elements.
    """
    from screening.stability.overview import missing_phases
    from screening.stability.references import ReferencePhases

    references = ReferencePhases.load(snapshot)
    if system:
        references = references.system(_elements(system))
    summary = _summary(snapshot, references)
    document: dict[str, Any] = {
        **summary,
        "element_caveats": references.element_caveats,
        "phases": _phases(references),
        "missing": missing_phases(references, summary["elements"]),
    }
    if as_json:
        print_json(document)
        return
    from rich.console import Console

    _print_snapshot(Console(), document)


@app.command()
def build(
    campaign: OptionalCampaignFile = None,
    elements: Annotated[
        str | None,
        typer.Option(
            metavar="K,Ta,Cl",
            help="Only phases of these elements; default: all that come with the package.",
            show_default=False,
        ),
    ] = None,
    model: Model = None,
    out: Out = Path("references.json"),
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that relax at a time.")
    ] = cores_here(),
    as_json: Json = False,
) -> None:
    """Relax the reference structures that come with the package, with CAMPAIGN's engine.

    Without CAMPAIGN --model names the weights. Phases that FILE holds already are taken over if
    their starting structure is the same. Stop it at any time: the same command goes on. A phase
    that fails, or holds an element that the weights do not know, is listed and stops nothing.
    """
    from rich.console import Console

    from workflows.config_file import load_campaign
    from workflows.reference_relaxations import shipped_compounds
    from workflows.references import build as build_snapshot
    from workflows.references import require_folder_of

    settings = load_campaign(campaign).engine if campaign else engine_settings(model)
    if campaign and model not in (None, settings.model):
        raise InvalidInput(
            f"--model {model}: {campaign} names the weights {settings.model}; leave out either"
        )
    if settings.runs_vasp:
        raise InvalidInput(
            f"{campaign}: engine {settings.name}; needed: chgnet, whose phases are relaxed here. "
            "For VASP take the Materials Project's (`halideflow references fetch`) or your own "
            "runs (`halideflow references vasp DIR`); a rehearsal has the snapshot `rehearsal`"
        )
    wanted = None if elements is None else _elements(elements)
    require_folder_of(out)
    compounds = shipped_compounds(wanted)
    console = Console(stderr=True)
    told = (
        f"{out}: {len(compounds)} phases with {settings.name} {settings.model}, {workers} at a time"
    )
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    if lacking := sorted(set(wanted or ()).difference(*(c.elements for c in compounds))):
        console.print(
            f"note: no structure that comes with the package holds {', '.join(lacking)}; the "
            "snapshot will be without",
            highlight=False,
            soft_wrap=True,
        )
    try:
        with _Progress(console, "relaxing") as progress:
            built = build_snapshot(compounds, settings, out, workers, progress.relaxed)
    except KeyboardInterrupt:
        console.print("stopped; what is relaxed is kept, the same command goes on")
        raise typer.Exit(ExitCode.PENDING) from None
    if as_json:
        print_json({**_summary(str(out), built.references), **_account(built)})
    else:
        _print_account(console, out, built)
    if built.failures:
        raise typer.Exit(ExitCode.FAILURES)


@app.command()
def vasp(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Searched with its subfolders.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The snapshot's file, written anew.")],
    as_json: Json = False,
) -> None:
    """Make a snapshot of the VASP runs below DIR, corrected as the Materials Project's entries.

    Runs must be in Materials Project settings (MPRelaxSet, legacy PBE POTCARs); then the file can
    lie in one folder with fetched ones. Any other run is refused and listed with its reason.
    """
    from rich.console import Console

    from workflows.references import require_folder_of, write_snapshot
    from workflows.vasp_references import read_runs

    require_folder_of(out)
    console = Console(stderr=True)
    with _Progress(console, "reading") as progress:
        runs = read_runs(folder, progress)
    write_snapshot(out, runs.references)
    if as_json:
        print_json({**_summary(str(out), runs.references), "refused": runs.refused})
        return
    console.print(
        f"{out}: {len(runs.references.phases)} phases, hash {runs.references.sha256[:12]}; "
        f"{len(runs.refused)} runs refused",
        highlight=False,
        soft_wrap=True,
    )
    for run, reason in runs.refused.items():
        console.print(f"  {run}: {reason}", highlight=False, markup=False, soft_wrap=True)


app.command()(references_fetch.fetch)
app.command()(references_check.check)


class _Progress:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, verb: str) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn(verb),
            BarColumn(bar_width=36),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)
        self._verb = verb
        self._last_line_s = time.monotonic()

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, n_done: int, n_total: int) -> None:
        """So many of so many are done."""
        self.relaxed("", n_done, n_total)

    def relaxed(self, name: str, n_done: int, n_total: int) -> None:
        """The relaxation of `name` has ended, as one of so many."""
        self._bar.update(self._task, description=name, completed=n_done, total=n_total)
        due = time.monotonic() - self._last_line_s > _LINE_EVERY_S
        if due and not self._console.is_terminal:
            self._last_line_s = time.monotonic()
            self._console.print(f"{self._verb} {n_done}/{n_total} {name}", highlight=False)


def _elements(text: str) -> list[str]:
    """Symbols in the order of the alphabet, from `K,Ta,Cl` or `K-Ta-Cl`."""
    from workflows.chemical_systems import valid_symbols

    return sorted(valid_symbols(text.replace("-", ",").split(",")))


def _summary(name: str, references: ReferencePhases) -> dict[str, Any]:
    elements = frozenset[str]().union(*(phase.elements for phase in references.phases))
    return {
        "name": name,
        "sha256": references.sha256,
        "date": references.date,
        "source": references.source,
        "convention": references.convention.model_dump(),
        "n_phases": len(references.phases),
        "elements": sorted(elements),
    }


def _phases(references: ReferencePhases) -> list[dict[str, Any]]:
    """All but the structures, by elements and composition."""
    from screening.stability.overview import places

    found = places(references)
    rows = []
    for phase in sorted(references.phases, key=lambda p: (len(p.elements), p.formula, p.name)):
        place = found[phase.name]
        rows.append(
            {
                **phase.model_dump(mode="json", exclude={"structure", "start_sha256"}),
                "n_atoms": len(phase.structure),
                "formation_energy_eV_per_atom": place and place.formation_energy_eV_per_atom,
                "e_hull_eV_per_atom": place and place.e_hull_eV_per_atom,
            }
        )
    return rows


def _summary_table(rows: Iterable[dict[str, Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("snapshot", "hash", "date", "energies", "phases", "elements"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        symbols = row["elements"]
        table.add_row(
            row["name"],
            row["sha256"][:12],
            row["date"],
            row["convention"]["potential"],
            str(row["n_phases"]),
            " ".join(symbols) if len(symbols) <= _SHOWN_ELEMENTS else str(len(symbols)),
        )
    return table


def _print_snapshot(console: Console, document: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from workflows.cli.tables import number

    console.print(_summary_table([document]))
    if len(document["elements"]) > _SHOWN_ELEMENTS:
        console.print(f"elements: {' '.join(document['elements'])}", highlight=False)
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("phase", no_wrap=True)
    for heading in ("energy\neV/at", "formation\neV/at", "E_hull\nmeV/at"):
        table.add_column(heading, justify="right")
    brief = len(document["phases"]) > _SHOWN_IN_FULL
    table.add_column("source" if brief else "source and caveats", overflow="fold")
    for row in document["phases"]:
        e_hull = row["e_hull_eV_per_atom"]
        notes = (f"caveat: {text}" for text in row["caveats"])
        table.add_row(
            row["name"],
            number(row["energy_eV_per_atom"], ".4f"),
            number(row["formation_energy_eV_per_atom"], ".4f"),
            number(None if e_hull is None else 1000 * e_hull, ".0f"),
            Text(
                shorten(row["source"], max(20, console.width - 52), placeholder="…")
                if brief
                else "\n".join([row["source"], *notes])
            ),
        )
    console.print(table)
    for symbol, text in document["element_caveats"].items():
        console.print(f"{symbol}: {text}", highlight=False)
    missing = document["missing"]
    if brief:
        told = f"{len(missing)} known compounds of these elements are missing. " if missing else ""
        console.print(f"{told}--system K-Ta-Cl names them for one system, and sources in full")
    elif missing:
        console.print("\nknown compounds of these elements that are missing:")
        for source in dict.fromkeys(missing.values()):
            named = ", ".join(formula for formula, its in missing.items() if its == source)
            console.print(f"  {named}: {source}", highlight=False, markup=False)


def _account(built: Built) -> dict[str, Any]:
    return {
        "n_relaxed": built.n_relaxed,
        "n_reused": built.n_reused,
        "failures": dict(built.failures),
        "left_out": dict(built.left_out),
    }


def _print_account(console: Console, out: Path, built: Built) -> None:
    console.print(
        f"{out}: {len(built.references.phases)} phases, hash {built.references.sha256[:12]}; "
        f"{built.n_relaxed} structures relaxed, {built.n_reused} phases as they were",
        highlight=False,
        soft_wrap=True,
    )
    for reason in dict.fromkeys(built.left_out.values()):
        names = ", ".join(name for name, its in built.left_out.items() if its == reason)
        console.print(f"  left out: {names}: {reason}", highlight=False, soft_wrap=True)
    for name, reason in built.failures.items():
        console.print(f"  {name} failed: {reason}", highlight=False, markup=False, soft_wrap=True)
