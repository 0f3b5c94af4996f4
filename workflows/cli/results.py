"""Commands that read results: `rank`, `show`, `failures`, `export`."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screening.errors import InvalidInput
from workflows.cli.common import CampaignOrResults, ExitCode, Json, print_json
from workflows.commands import with_campaign

if TYPE_CHECKING:
    from rich.console import Console

    from workflows.advice import Advice, FailureGroup
    from workflows.read_model import CampaignResults
    from workflows.views import JobView

LEFT_OUT = "LEFT_OUT"
"""Code of the user's files that became no candidate, among those of failed jobs."""


class ExportFormat(StrEnum):
    """What `export` writes."""

    CSV = "csv"
    JSON = "json"
    CIF = "cif"
    PROFILE = "profile"
    TRANSPORT = "transport"
    GLASS = "glass"


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
    """What failed, by its cause: what that means, what to do, and the end of each log.

    Exit code 4 if anything did.
    """
    from rich.console import Console

    from workflows.advice import by_code

    results = open_results(campaign)
    failed, left_out = results.failures(), results.left_out_files()
    on_cluster = results.config.execution.cluster is not None
    if as_json:
        print_json(_failures_document(failed, left_out, on_cluster))
    elif failed or left_out:
        console = Console(soft_wrap=True, highlight=False)
        _print_left_out(console, left_out)
        for group in by_code(failed, on_cluster):
            _print_group(console, group, campaign)
        console.print(
            f"{len(failed) + len(left_out)} failed and never succeeded; once the cause is mended, "
            f"{_again(campaign, on_cluster)} tries them again"
        )
    else:
        typer.echo("no failures")
    if not as_json and (later := results.jobs.tried_again()):
        stages = Counter(job.stage for job in later)
        counted = ", ".join(f"{stage} {number}" for stage, number in stages.items())
        typer.echo(f"{len(later)} needed more than one attempt, and then succeeded: {counted}")
    if failed or left_out:
        raise typer.Exit(ExitCode.FAILURES)


def _again(campaign: Path, on_cluster: bool) -> str:
    again = "halideflow retry CAMPAIGN" if on_cluster else "halideflow run CAMPAIGN --retry-failed"
    return f"`{with_campaign(again, campaign)}`"


def _failures_document(
    failed: list[JobView], left_out: dict[str, str], on_cluster: bool
) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from workflows.advice import advice_for

    jobs = [
        {**asdict(job), **asdict(advice_for(job.code, job.stage, on_cluster))} for job in failed
    ]
    advice = asdict(advice_for(LEFT_OUT))
    files = [
        {"candidate": name, "stage": "enumerate", "code": LEFT_OUT, "message": reason, **advice}
        for name, reason in left_out.items()
    ]
    return jobs + files


def _print_left_out(console: Console, left_out: dict[str, str]) -> None:
    from rich.markup import escape

    for reason in left_out.values():
        console.print(f"[bold]left out[/bold]  {escape(reason)}")
    if left_out:
        console.print()


def _print_group(console: Console, group: FailureGroup, campaign: Path) -> None:
    """A code, what to do about it, and its jobs with the end of their logs."""
    n_jobs = len(group.jobs)
    console.print(f"[bold red]{group.code}[/bold red]  {n_jobs} {'job' if n_jobs == 1 else 'jobs'}")
    for line in advice_lines(group.advice, campaign):
        console.print(line, markup=False)
    for job in group.jobs:
        temperature = "" if job.temperature_K is None else f" {job.temperature_K:g} K"
        tries = f"  ({job.attempts} attempts)" if job.attempts > 1 else ""
        console.print(f"[bold]{job.candidate or job.stage}[/bold]  {job.stage}{temperature}{tries}")
        console.print(f"  {job.message}", markup=False)
        for line in job.last_lines():
            console.print(f"  │ {line}", style="dim", markup=False)
    console.print()


def advice_lines(advice: Advice, campaign: Path) -> list[str]:
    """What a failure means, what to do, and the command that does it."""
    return [
        f"  what it means: {advice.meaning}",
        f"  what to do: {with_campaign(advice.action, campaign)}",
        f"  then: {with_campaign(advice.command, campaign)}",
    ]


def nobody_runs(results: CampaignResults, campaign: Path) -> str:
    """Said where jobs wait and no process runs the campaign."""
    command = with_campaign(results.surroundings.command, campaign)
    return f"nobody runs this campaign now; `{command}` goes on"


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


def open_results(campaign: Path, quiet: bool = False) -> CampaignResults:
    """The results of a campaign, given its config file or its results folder."""
    from workflows.config_file import load_campaign, results_folder
    from workflows.read_model import CampaignResults
    from workflows.results import ResultsFolder

    if campaign.is_dir():
        folder = ResultsFolder(campaign)
        return CampaignResults(load_campaign(folder.config_copy), folder)
    config = load_campaign(campaign)
    results = CampaignResults(config, ResultsFolder(results_folder(campaign, config)))
    if results.config_has_changed and not quiet:
        typer.echo(
            f"{campaign} has changed since its last run, whose results these are; "
            f"`halideflow run {campaign}` brings them up to date",
            err=True,
        )
    return results
