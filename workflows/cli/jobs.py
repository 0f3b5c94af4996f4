"""Commands that show single jobs: `jobs`, `logs`, `explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.errors import InvalidInput
from workflows.cli.common import CampaignOrResults, Json, print_json
from workflows.cli.results import nobody_runs, open_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from workflows.job_list import JobFilter
    from workflows.job_logs import JobLog
    from workflows.read_model import CampaignResults
    from workflows.views import JobView, ShownState

Stage = Annotated[
    str | None, typer.Option(metavar="STAGE", help="Only jobs of this stage.", show_default=False)
]
OneCandidate = Annotated[
    str | None,
    typer.Option(
        "--candidate", metavar="ID", help="Only jobs of this candidate.", show_default=False
    ),
]
_FOLLOW_EVERY_S = 1.0
_LINES_OF_EACH = 20  # where there are several jobs
_LONGEST_CAUSE = 120
_LEAST_CORE_HOURS = 0.005
_WIDTH_OF_FILES = 240


def jobs(
    campaign: CampaignOrResults,
    stage: Stage = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE",
            help="Only waiting, paused, queued, running, done, rejected, failed or skipped jobs.",
            show_default=False,
        ),
    ] = None,
    candidate: OneCandidate = None,
    code: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="Only jobs that failed with this code.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """List jobs: what they do, where, how long, and why they failed or wait.

    Those that failed, run or wait come first.
    """
    from dataclasses import asdict

    from rich.console import Console

    from workflows.job_list import JobFilter

    results = open_results(campaign)
    wanted = JobFilter(
        stage=known_stage(stage),
        candidate=known_candidate(results, candidate),
        states=() if state is None else (_known_state(state),),
        codes=() if code is None else (known_code(results, code),),
    )
    found = results.jobs.page(wanted, limit=limit)
    if as_json:
        print_json([asdict(job) for job in found])
        return
    n_jobs = results.jobs.count(wanted)
    console = Console()
    if not console.is_terminal:  # lines that other programs can read
        console.width = _WIDTH_OF_FILES
    if found:
        console.print(_table(found, f"{results.name}: {_counted(results, wanted)}"))
    else:
        console.print(f"{results.name}: no such jobs")
    if n_jobs > len(found):
        console.print(f"the first {len(found):,} of {n_jobs:,}; --limit N shows more")
    if not results.surroundings.is_being_run and any(job.why for job in found):
        console.print(nobody_runs(results, campaign), highlight=False, soft_wrap=True)


def _counted(results: CampaignResults, wanted: JobFilter) -> str:
    """For instance `3 failed, 20 done`."""
    from workflows.views import SHOWN_STATES

    counts = results.jobs.counts(wanted).values()
    totals = {state: sum(states.get(state, 0) for states in counts) for state in SHOWN_STATES}
    return ", ".join(f"{number:,} {state}" for state, number in totals.items() if number)


def _table(found: Sequence[JobView], title: str) -> Table:
    """Columns that nothing is known of are left out."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    optional = {
        "worker": [_place(job) for job in found],
        "waited": [duration(job.waited_s) for job in found],
        "ran": [duration(job.ran_s) for job in found],
        "core-h": [_core_hours(job) for job in found],
    }
    shown = {name: cells for name, cells in optional.items() if any(cells)}
    table = Table(title=title, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("candidate", "stage", "state"):
        table.add_column(name, overflow="fold")
    table.add_column("tries", justify="right")
    for name in shown:
        table.add_column(name, justify="left" if name == "worker" else "right")
    table.add_column("why", overflow="fold", min_width=20)
    for place, job in enumerate(found):
        table.add_row(
            job.candidate or "",
            stage_of(job),
            job.state,
            str(job.attempts or ""),
            *(cells[place] for cells in shown.values()),
            escape(_cause(job)),
            style={"failed": "red", "running": "green"}.get(job.state),
        )
    return table


def _cause(job: JobView) -> str:
    """Why it failed or waits, in few words."""
    if job.state != "failed":
        return job.why or ""
    text = f"{job.code}: {job.message}"
    return text if len(text) <= _LONGEST_CAUSE else f"{text[: _LONGEST_CAUSE - 1]}…"


def _core_hours(job: JobView) -> str:
    """Nothing where it is next to nothing."""
    return f"{job.core_hours:.2f}" if (job.core_hours or 0.0) >= _LEAST_CORE_HOURS else ""


def _place(job: JobView) -> str:
    if job.worker is None or job.state in ("waiting", "paused"):
        return ""
    return f"{job.worker} {job.queue_id}" if job.queue_id else job.worker


def stage_of(job: JobView) -> str:
    """Its stage, and of dynamics the temperature."""
    return job.stage if job.temperature_K is None else f"{job.stage} {job.temperature_K:g} K"


def duration(seconds: float | None) -> str:
    """For instance `42 s`, `12 min`, `3.4 h` or `2.1 d`; nothing where it is unknown."""
    if seconds is None:
        return ""
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            number = seconds / length_s
            return (
                f"{number:.0f} {unit}" if number >= 10 or unit == "min" else f"{number:.1f} {unit}"
            )
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def logs(
    campaign: CampaignOrResults,
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A candidate, or the beginning of a job's uuid.", show_default=False
        ),
    ],
    stage: Stage = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the jobs end, or Ctrl-C.")
    ] = False,
    lines: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Only the last so many of each job; default: all of one job, 20 of each of "
            "several.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what jobs printed: those first that failed, run or wait."""
    from workflows.job_logs import log_of

    results = open_results(campaign)
    wanted = _jobs_named(results, identifier, stage)
    found = results.jobs.page(wanted)
    if lines is None and (len(found) > 1 or follow):
        lines = _LINES_OF_EACH
    printed: dict[str, int] = {}
    for job in found:
        log = log_of(results, job)
        _print_header(job, log)
        _print_log(log, lines)
        printed[job.uuid] = len(log.content)
    if follow:
        _follow(campaign, wanted, printed)


def _print_header(job: JobView, log: JobLog) -> None:
    of = f" of {job.candidate}" if job.candidate else ""
    typer.secho(f"==> {stage_of(job)}{of}, {job.state} ({job.uuid})", bold=True)
    typer.secho(f"    {log.note}{'' if log.content or not log.is_live else ' (empty)'}", dim=True)


def _print_log(log: JobLog, lines: int | None) -> None:
    text = log.text.rstrip("\n")
    if text:
        typer.echo("\n".join(text.split("\n")[-(lines or 0) :]))


def _follow(campaign: Path, wanted: JobFilter, printed: dict[str, int]) -> None:
    """Print what comes, as far as it can be read here, until all jobs have ended."""
    import contextlib
    import time

    from workflows.job_logs import log_of
    from workflows.views import UNFINISHED

    last = None
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            results = open_results(campaign, quiet=True)
            found = results.jobs.page(wanted)
            for job in found:
                log = log_of(results, job)
                new = log.content[printed.get(job.uuid, 0) :]
                if not (log.is_live and new):
                    continue
                if job.uuid != last:
                    _print_header(job, log)
                last = job.uuid
                typer.echo(new.decode(errors="replace"), nl=False)
                printed[job.uuid] = len(log.content)
            results.close()
            if not any(job.state in UNFINISHED for job in found):
                return
            time.sleep(_FOLLOW_EVERY_S)


def _jobs_named(results: CampaignResults, identifier: str, stage: str | None) -> JobFilter:
    """Of a candidate, or with a uuid that begins so.

    Raises:
        InvalidInput: there are none.
    """
    from workflows.job_list import JobFilter

    stage = known_stage(stage)
    candidates = results.jobs.candidates()
    for wanted in (
        JobFilter(stage=stage, candidate=identifier),
        JobFilter(stage=stage, uuid=identifier.lower()),
    ):
        if results.jobs.count(wanted):
            return wanted
    if stage and identifier in candidates:
        raise InvalidInput(f"{identifier} has no job of stage {stage}")
    raise InvalidInput(
        f"{identifier}: no candidate, nor the beginning of a job's uuid; "
        f"{nearest(identifier, candidates)}`halideflow jobs CAMPAIGN --json` lists them"
    )


def known_stage(stage: str | None) -> str | None:
    """The stage, if there is such a one.

    Raises:
        InvalidInput: there is none.
    """
    from workflows.views import STAGES

    if stage is not None and stage not in STAGES:
        raise InvalidInput(
            f"--stage {stage}: no such stage; {nearest(stage, STAGES)}there are {', '.join(STAGES)}"
        )
    return stage


def known_candidate(results: CampaignResults, candidate: str | None) -> str | None:
    """The candidate, if the campaign has it.

    Raises:
        InvalidInput: it has not, or not yet.
    """
    if candidate is None:
        return None
    known = results.jobs.candidates()
    if candidate not in known:
        raise InvalidInput(
            f"--candidate {candidate}: no such candidate among {len(known)}; "
            f"{nearest(candidate, known)}`halideflow rank CAMPAIGN` lists them"
        )
    return candidate


def known_code(results: CampaignResults, code: str) -> str:
    """The code, if a job of the campaign may have failed with it.

    Raises:
        InvalidInput: there is no such code.
    """
    from workflows.advice import KNOWN_CODES

    here = results.jobs.codes()
    if code not in here and code not in KNOWN_CODES:
        counted = ", ".join(f"{known} ({number})" for known, number in here.items())
        raise InvalidInput(
            f"{code}: no such code; {nearest(code, here or KNOWN_CODES)}failed jobs of this "
            f"campaign have {counted or 'none, for no job failed'}"
        )
    return code


def _known_state(state: str) -> ShownState:
    from workflows.views import SHOWN_STATES

    for known in SHOWN_STATES:
        if state == known:
            return known
    raise InvalidInput(
        f"--state {state}: no such state; {nearest(state, SHOWN_STATES)}there are "
        f"{', '.join(SHOWN_STATES)}"
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean X? `, or nothing."""
    import difflib

    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.4)
    return f"did you mean {lower[near[0]]}? " if near else ""
