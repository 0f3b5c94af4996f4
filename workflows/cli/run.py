"""`halideflow run`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflows.cli.common import CampaignFile, ExitCode, Json, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from screening.ranked import RankedCandidate
    from workflows.config import CampaignConfig
    from workflows.execution.events import Summary
    from workflows.read_model import CampaignResults
    from workflows.results import ResultsFolder


def run(
    campaign: CampaignFile,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes, one thread each; default: the cores this process may use, and "
            "one with engine vasp, whose runs take many cores themselves.",
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try once more what failed before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a campaign on this machine; finished work is not done again.

    Stop it with Ctrl-C at any time; the next run goes on where it was.
    """
    import signal
    import time

    from rich.console import Console

    from workflows.cli.progress import StageProgress
    from workflows.config_file import (
        load_campaign,
        read_structures,
        resolve_references,
        results_folder,
    )
    from workflows.results import ResultsFolder

    started_s = time.monotonic()
    config = resolve_references(load_campaign(campaign), campaign)
    structures = read_structures(config, campaign)
    folder = ResultsFolder(results_folder(campaign, config))
    console = Console(stderr=True)
    console.print(f"{config.name}: results go to {folder.path}", highlight=False, soft_wrap=True)

    from workflows.cost.cores import cores_here
    from workflows.run import run_campaign

    if workers is None:
        workers = 1 if config.engine.name == "vasp" else cores_here()
    print_references(config, console)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped like Ctrl-C
    with StageProgress(console) as progress:
        summary = run_campaign(
            config, campaign, structures, folder, workers, retry_failed, progress
        )
    elapsed_s = time.monotonic() - started_s
    report(config, campaign, folder, summary, elapsed_s, console, "run", as_json)


def report(
    config: CampaignConfig,
    campaign: Path,
    folder: ResultsFolder,
    summary: Summary,
    elapsed_s: float,
    console: Console,
    command: str,
    as_json: bool,
) -> None:
    """Print what a run came to, and end with its exit code; `command` goes on with it."""
    from workflows.read_model import CampaignResults

    if summary.interrupted:
        console.print(
            f"stopped after {elapsed_s:.0f} s; what is finished is stored, "
            f"`halideflow {command} {campaign}` goes on",
            soft_wrap=True,
        )
        raise typer.Exit(ExitCode.PENDING)
    results = CampaignResults(config, folder)
    rows = results.ranking()
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    else:
        _print_ranking(config, rows)
        _print_what_is_missing(results, console)
    if summary.n_executed:
        _print_changes(results, campaign, console)
        console.print(
            f"{summary.n_executed} jobs run, {summary.n_reused} reused, in {elapsed_s:.0f} s"
        )
    else:
        console.print(
            f"nothing to do: all {summary.n_reused} jobs of this config are finished, "
            f"{summary.n_failed} of them failed ({elapsed_s:.1f} s)"
        )
    console.print(
        f"results: {folder.path}\n"
        f"look at them: halideflow rank {campaign} · halideflow show {campaign} ID · "
        f"halideflow export {campaign} --out FOLDER",
        highlight=False,
        soft_wrap=True,
    )
    if summary.n_failed or results.left_out_files():
        console.print(
            f"not all went well: halideflow failures {campaign} says why, and what mends it; then "
            f"halideflow {command} {campaign} --retry-failed tries again",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(ExitCode.FAILURES)


def print_references(config: CampaignConfig, console: Console) -> None:
    """Which snapshot it is, and how to hold on to it."""
    from screening.stability.references import ReferencePhases

    references = ReferencePhases.load(config.stability.references)
    console.print(
        f"reference phases: {config.stability.references}, {len(references.phases)} phases of "
        f'{references.date}; to pin them: references_sha256: "{references.sha256[:16]}"',
        highlight=False,
        soft_wrap=True,
    )


def _print_ranking(config: CampaignConfig, rows: Sequence[RankedCandidate]) -> None:
    """The campaign's answer, and what the literature has beside it."""
    from rich.console import Console

    from workflows.cli.comparisons import published_sections
    from workflows.cli.tables import ranking_notes, ranking_table
    from workflows.published import compare_published

    if not rows:
        return
    output = Console()
    output.print(ranking_table(rows, output.width))
    output.print(ranking_notes(rows), highlight=False)
    if config.dynamics is None:
        output.print("no dynamics was asked for: candidates are ranked by their windows alone")
    if config.published:
        for section in published_sections(compare_published(config, rows)):
            output.print(section, highlight=False)


def _print_what_is_missing(results: CampaignResults, console: Console) -> None:
    """What became no candidate, and what failed."""
    from rich.markup import escape

    for name, reason in results.left_out().items():
        text = reason if reason.startswith(name) else f"{name}: {reason}"
        console.print(f"left out: {escape(text)}", soft_wrap=True)
    for job in results.failures():
        text = escape(f"{job.candidate or job.stage}: {job.message}")
        console.print(f"failed: {text}", style="red", soft_wrap=True)


def _print_changes(results: CampaignResults, campaign: Path, console: Console) -> None:
    """What this run's reference phases changed, if the run before had others."""
    from workflows.changes import snapshot_changes
    from workflows.cli.comparisons import changes_sections

    if not (replaced := snapshot_changes(results, since_last_run=True)):
        return
    for section in changes_sections(replaced):
        console.print(section, highlight=False)
    console.print(f"again: halideflow rank {campaign} --changes", soft_wrap=True)
