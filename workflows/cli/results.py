"""Commands that read results: `status`, `rank`, `show`, `failures`, `export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.errors import InvalidInput
from workflows.cli.common import CampaignOrResults, ExitCode, Json, print_json

if TYPE_CHECKING:
    from workflows.read_model import CampaignResults
    from workflows.views import JobView


class ExportFormat(StrEnum):
    """What `export` writes."""

    CSV = "csv"
    JSON = "json"
    CIF = "cif"
    PROFILE = "profile"
    TRANSPORT = "transport"
    GLASS = "glass"


def status(campaign: CampaignOrResults, as_json: Json = False) -> None:
    """Jobs per stage and state. Exit code 3 while work is pending, 4 if something failed."""
    from rich.console import Console
    from rich.table import Table

    results = open_results(campaign)
    stages = results.status()
    totals = {
        state: sum(counts.get(state, 0) for counts in stages.values())
        for state in ("waiting", "running", "done", "rejected", "failed", "skipped")
    }
    if as_json:
        print_json({"campaign": results.name, "stages": stages, "totals": totals})
    else:
        table = Table(title=results.name, header_style="bold", pad_edge=False)
        table.add_column("stage")
        for state in totals:
            table.add_column(state, justify="right")
        for stage, counts in stages.items():
            table.add_row(stage, *(str(counts.get(state, "")) for state in totals))
        Console().print(table)
    if totals["waiting"] or totals["running"] or results.config_has_changed:
        raise typer.Exit(ExitCode.PENDING)
    if totals["failed"]:
        raise typer.Exit(ExitCode.FAILURES)


def rank(
    campaign: CampaignOrResults,
    top: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    changes: Annotated[
        bool,
        typer.Option(
            "--changes",
            help="Instead: what reference phases other than before changed in each candidate.",
        ),
    ] = False,
    published: Annotated[
        bool,
        typer.Option(
            "--published", help="Instead: windows from the literature beside those computed."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """The ranked list, from what is stored now; works while a run goes on."""
    from dataclasses import asdict

    from rich.console import Console

    from workflows.changes import snapshot_changes
    from workflows.cli.comparisons import changes_sections, published_sections
    from workflows.cli.tables import ranking_notes, ranking_table
    from workflows.published import compare_published

    if changes and published:
        raise InvalidInput("--changes and --published each stand alone; ask for one of them")
    results = open_results(campaign)
    if changes or published:
        if changes:
            replaced = snapshot_changes(results)
            document, sections = map(asdict, replaced), changes_sections(replaced)
        else:
            if not results.config.published:
                raise InvalidInput(
                    f"{results.name}: its config names no published windows; list them under "
                    "`published:`, as configs/papers/windows.yaml does"
                )
            compared = compare_published(results.config, results.ranking())
            document, sections = map(asdict, compared), published_sections(compared)
        if as_json:
            print_json(list(document))
            return
        console = Console()
        for section in sections:
            console.print(section, highlight=False)
        return
    rows = results.ranking()[:top]
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    console = Console()
    console.print(ranking_table(rows, console.width, title=results.name))
    console.print(ranking_notes(rows), highlight=False)


def show(
    campaign: CampaignOrResults,
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A candidate, as in `rank`.")],
    as_json: Json = False,
) -> None:
    """Everything about one candidate: origin, structure, stability, transport, glasses, jobs."""
    from dataclasses import asdict

    from rich.console import Console

    from workflows.cli.amorphous_section import amorphous_sections
    from workflows.cli.tables import candidate_sections

    view = open_results(campaign).candidate(identifier)
    if as_json:
        print_json(
            {
                "info": view.info.model_dump(mode="json"),
                "row": view.row.model_dump(mode="json"),
                **{
                    stage: document.model_dump(mode="json") if document else None
                    for stage, document in (
                        ("relax", view.relax),
                        ("stability", view.stability),
                        ("transport", view.transport),
                        ("amorphous", view.amorphous),
                    )
                },
                "ensemble": asdict(view.ensemble) if view.ensemble else None,
                "jobs": [asdict(job) for job in view.jobs],
            }
        )
        return
    console = Console()
    for section in candidate_sections(view, console.width):
        console.print(section)
    if view.amorphous:
        for section in amorphous_sections(view.amorphous):
            console.print(section)


def failures(campaign: CampaignOrResults, as_json: Json = False) -> None:
    """What failed, where, and why, with the end of the log. Exit code 4 if anything did."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.markup import escape

    results = open_results(campaign)
    failed, left_out = results.failures(), results.left_out_files()
    if as_json:
        print_json(
            [asdict(job) for job in failed]
            + [
                {"candidate": name, "stage": "enumerate", "code": "LEFT_OUT", "message": reason}
                for name, reason in left_out.items()
            ]
        )
    elif not (failed or left_out):
        typer.echo("no failures")
    else:
        console = Console(soft_wrap=True)
        for reason in left_out.values():
            console.print(f"[bold]left out[/bold]  {escape(reason)}", highlight=False)
        for job in failed:
            console.print(
                f"[bold]{job.candidate or job.stage}[/bold]  {job.stage}  [red]{job.code}[/red]",
                highlight=False,
            )
            console.print(f"  {job.message}", highlight=False, markup=False)
            for line in _last_lines(job):
                console.print(f"  │ {line}", style="dim", highlight=False, markup=False)
        console.print(
            f"{len(failed) + len(left_out)} failed; once the cause is mended, "
            f"`halideflow run {campaign} --retry-failed` tries them again",
            highlight=False,
        )
    if failed or left_out:
        raise typer.Exit(ExitCode.FAILURES)


def export(
    campaign: CampaignOrResults,
    out: Annotated[Path, typer.Option(help="Folder to write to; made if it is not there.")],
    formats: Annotated[
        list[ExportFormat] | None,
        typer.Option("--format", help="Repeat for several; default: all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the ranking as CSV and JSON, relaxed structures as CIF, profiles, transport, glasses.

    A profile is a CSV of the decomposition energy against voltage, and a JSON with its steps.
    Transport is a JSON with everything, a CSV of D over temperature and the Arrhenius figure. A
    glass comes with its crystal: diffusivities, radial distributions and symmetry measures.
    """
    from workflows.export import write_cifs, write_csv, write_json, write_profiles
    from workflows.glass_files import write_glasses
    from workflows.transport_files import write_transports

    results = open_results(campaign)
    rows = results.ranking()
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out}: is a file; --out needs a folder")
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for kind in formats or list(ExportFormat):
        if kind is ExportFormat.CSV:
            written.append(write_csv(rows, out / "ranking.csv"))
        elif kind is ExportFormat.JSON:
            written.append(write_json(rows, out / "ranking.json"))
        elif kind is ExportFormat.PROFILE:
            written += write_profiles(results.stabilities(), out / "profiles")
        elif kind is ExportFormat.TRANSPORT:
            written += write_transports(results.transports(), out / "transport")
        elif kind is ExportFormat.GLASS:
            written += write_glasses(results.glasses(), out / "glasses")
        else:
            written += write_cifs(results.relaxed(), out / "structures")
    if as_json:
        print_json([str(path) for path in written])
    else:
        typer.echo(f"{len(written)} files written to {out}")


def _last_lines(job: JobView, number: int = 8) -> list[str]:
    """The end of the log, unless it is the traceback of what the message says already."""
    lines = (job.log_tail or "").splitlines()
    is_traceback = any(line.startswith("Traceback ") for line in lines)
    if is_traceback and job.code not in ("UNEXPECTED", "EXCEPTION", "WORKER_DIED"):
        return []
    return [line for line in lines if line.strip()][-number:]


def open_results(campaign: Path) -> CampaignResults:
    """The results of a campaign, given its config file or its results folder."""
    from workflows.config_file import load_campaign, results_folder
    from workflows.read_model import CampaignResults
    from workflows.results import ResultsFolder

    if campaign.is_dir():
        folder = ResultsFolder(campaign)
        return CampaignResults(load_campaign(folder.config_copy), folder)
    config = load_campaign(campaign)
    results = CampaignResults(config, ResultsFolder(results_folder(campaign, config)))
    if results.config_has_changed:
        typer.echo(
            f"{campaign} has changed since its last run, whose results these are; "
            f"`halideflow run {campaign}` brings them up to date",
            err=True,
        )
    return results
