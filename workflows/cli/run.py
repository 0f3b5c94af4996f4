"""`halideflow run`: the main job."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from workflows.cli.common import CampaignFile, ExitCode, Json, print_json


def _n_cores() -> int:
    """Those that this process may use: on a cluster fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    campaign: CampaignFile,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Worker processes, one thread each; default: the cores this process may use.",
        ),
    ] = _n_cores(),
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
    from rich.markup import escape

    from workflows.cli.progress import StageProgress
    from workflows.cli.tables import ranking_notes, ranking_table
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

    from workflows.read_model import CampaignResults
    from workflows.run import run_campaign

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped like Ctrl-C
    with StageProgress(console) as progress:
        summary = run_campaign(
            config, campaign, structures, folder, workers, retry_failed, progress
        )
    elapsed_s = time.monotonic() - started_s
    if summary.interrupted:
        console.print(
            f"stopped after {elapsed_s:.0f} s; what is finished is stored, "
            f"`halideflow run {campaign}` goes on",
            soft_wrap=True,
        )
        raise typer.Exit(ExitCode.PENDING)
    results = CampaignResults(config, folder)
    rows = results.ranking()
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    else:
        if rows:
            output = Console()
            output.print(ranking_table(rows, output.width))
            output.print(ranking_notes(rows), highlight=False)
        for name, reason in results.left_out().items():
            text = reason if reason.startswith(name) else f"{name}: {reason}"
            console.print(f"left out: {escape(text)}", soft_wrap=True)
        for job in results.failures():
            text = escape(f"{job.candidate or job.stage}: {job.message}")
            console.print(f"failed: {text}", style="red", soft_wrap=True)
    if summary.n_executed:
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
            f"not all went well: halideflow failures {campaign} says why; once that is mended, "
            f"halideflow run {campaign} --retry-failed tries again",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(ExitCode.FAILURES)
