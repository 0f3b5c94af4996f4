"""`halideflow submit`: the main job, on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflows.cli.common import CampaignFile, ExitCode, Json

if TYPE_CHECKING:
    import subprocess

    from rich.console import Console

    from workflows.execution.jobs import JobTable
    from workflows.execution.notes import Notes
    from workflows.results import ResultsFolder

_LOOK_EVERY_S = 0.5
_N_LOG_LINES = 15


def submit(
    campaign: CampaignFile,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Stay until all is finished, with progress, instead of going to the background. "
            "Ctrl-C leaves jobs in the queue.",
        ),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try once more what failed before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a campaign on the cluster that its config names; finished work is not done again.

    Relaxations and dynamics go to the queue; stages of seconds, and whatever hands jobs out, run
    on this machine, in the background. Submit again at any time: a changed config adds what
    changed, resources that were changed hold for all jobs that are not in the queue yet.
    """
    from rich.console import Console

    from screening.survey import survey_candidates
    from workflows.cli.plan_price import price_of, print_price
    from workflows.cli.run import print_references
    from workflows.cluster.driver import start_in_background, stop_running
    from workflows.cluster.site import named_cluster
    from workflows.config_file import (
        load_campaign,
        read_structures,
        resolve_references,
        results_folder,
    )
    from workflows.execution.jobs import JobTable
    from workflows.execution.notes import Notes
    from workflows.results import ResultsFolder

    console = Console(stderr=True)
    config = resolve_references(load_campaign(campaign), campaign)
    named_cluster(config)
    structures = read_structures(config, campaign)
    folder = ResultsFolder(results_folder(campaign, config))
    folder.path.mkdir(parents=True, exist_ok=True)
    table = JobTable(folder.database)
    notes = Notes(table)
    if former := stop_running(folder, notes):
        console.print(f"taking over from {former}; its jobs stay in the queue", highlight=False)
    console.print(f"{config.name}: results go to {folder.path}", highlight=False, soft_wrap=True)
    if wait:
        _drive(campaign, folder, console, retry_failed, as_json)
        return
    print_references(config, console)
    survey = survey_candidates(config.candidates, structures)
    if not survey.problems():  # the driver says what is wrong
        print_price(price_of(config, survey, structures, folder.path))
    process = start_in_background(campaign, folder, retry_failed)
    _wait_for_the_first_jobs(process, notes, table, folder, console)
    _say_what_follows(campaign, notes, table, folder, console)


def _drive(
    campaign: Path, folder: ResultsFolder, console: Console, retry_failed: bool, as_json: bool
) -> None:
    """Run it in this process."""
    import signal
    import time

    from workflows.cli.progress import StageProgress
    from workflows.cli.run import report
    from workflows.cluster.driver import drive
    from workflows.config_file import load_campaign

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped like Ctrl-C
    started_s = time.monotonic()
    with StageProgress(console) as progress:
        summary = drive(campaign, retry_failed, progress)
    config = load_campaign(campaign)
    elapsed_s = time.monotonic() - started_s
    report(config, campaign, folder, summary, elapsed_s, console, "submit", as_json)


def _wait_for_the_first_jobs(
    process: subprocess.Popen[bytes],
    notes: Notes,
    table: JobTable,
    folder: ResultsFolder,
    console: Console,
) -> None:
    """Until jobs are in the queue, or something keeps them out; else say what ended the process."""
    import time

    from workflows.cluster.driver import driver_log
    from workflows.cluster.queue_jobs import QueueJobs
    from workflows.execution.notes import TROUBLES
    from workflows.execution.orders import Orders

    def has_taken_over() -> bool:
        found = notes.all()
        is_driven = "driver" in found and found["driver"].text.split()[1] == str(process.pid)
        reasons = {"sent", *TROUBLES} & found.keys()
        return is_driven and bool(reasons or QueueJobs(table).open() or Orders(table).holds())

    with console.status("enumerating and sending the first jobs …"):
        while process.poll() is None:
            if has_taken_over():
                return
            time.sleep(_LOOK_EVERY_S)
    for line in driver_log(folder).read_text(errors="replace").splitlines()[-_N_LOG_LINES:]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(process.returncode)


def _say_what_follows(
    campaign: Path, notes: Notes, table: JobTable, folder: ResultsFolder, console: Console
) -> None:
    from workflows.cluster.driver import driver_log
    from workflows.execution.notes import TROUBLES

    def counted(number: int, what: str) -> str:
        return f"{number} {what}{'s' * (number != 1)}"

    ((n_jobs, n_queue_jobs),) = table.select(
        "select count(*), count(distinct queue_job) from queue_job_parts as part join queue_jobs "
        "on queue_jobs.uuid = queue_job where queue_jobs.state != 'ended'"
    )
    found = notes.all()
    for name in TROUBLES:
        if name in found:
            console.print(found[name].text, style="yellow", soft_wrap=True, highlight=False)
    driver = found["driver"].text if "driver" in found else "the process just started"
    console.print(
        f"{counted(n_jobs, 'job')} in {counted(n_queue_jobs, 'allocation')} of the queue; more "
        f"follow as these answer, from {driver} "
        f"(log: {driver_log(folder)})\n"
        f"look at them: halideflow status {campaign} --watch · halideflow jobs {campaign} · "
        f"halideflow failures {campaign}\n"
        f"stop: halideflow pause {campaign} (no more are sent) · halideflow cancel {campaign}",
        highlight=False,
        soft_wrap=True,
    )
    raise typer.Exit(ExitCode.PENDING)
