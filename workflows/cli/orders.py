"""Commands that act on jobs: `retry`, `pause`, `resume`, `cancel`; whether or not they run now."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.errors import InvalidInput
from workflows.cli.common import CampaignOrResults, ExitCode
from workflows.cli.jobs import (
    OneCandidate,
    Stage,
    known_candidate,
    known_code,
    known_stage,
    stage_of,
)
from workflows.cli.results import open_results
from workflows.commands import with_campaign

if TYPE_CHECKING:
    from workflows.campaign_orders import Carried
    from workflows.execution.orders import Orders
    from workflows.execution.selection import Selection
    from workflows.job_list import JobFilter
    from workflows.read_model import CampaignResults

_MOST_LISTED = 10


def retry(
    campaign: CampaignOrResults,
    reasons: Annotated[
        list[str] | None,
        typer.Option(
            "--reason",
            metavar="CODE",
            help="Only jobs that failed with this code; repeat for several.",
            show_default=False,
        ),
    ] = None,
    stage: Stage = None,
    candidate: OneCandidate = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which jobs would be tried again.")
    ] = False,
) -> None:
    """Let failed jobs wait again, and what depended on them."""
    from workflows.campaign_orders import counted, give, jobs_meant
    from workflows.execution.selection import Selection

    results = open_results(campaign)
    codes = tuple(known_code(results, code) for code in dict.fromkeys(reasons or ()))
    wanted = jobs_meant("retry", known_stage(stage), known_candidate(results, candidate), codes)
    if not results.jobs.count(wanted):
        typer.echo(f"nothing to try again: no job{_of(wanted)} has failed{_with(codes)}")
        return
    if dry_run:
        typer.echo(f"would try again {counted(results, wanted)}")
        _list(results, wanted)
        _say_dependents(results, wanted)
        return
    jobs = counted(results, wanted)
    selections = [Selection(stage, candidate, code) for code in codes or (None,)]
    carried = give(results.folder, "retry", selections)
    _conclude(carried, jobs, "wait again, and with them what depended on them", results, campaign)
    _say_what_follows(results, campaign)


def pause(campaign: CampaignOrResults, stage: Stage = None, candidate: OneCandidate = None) -> None:
    """Start no more jobs, of a stage or a candidate, or at all; what runs goes on."""
    from workflows.campaign_orders import jobs_in_words, named

    results, orders, selection = _for_holds(campaign, stage, candidate)
    if selection in orders.holds():
        typer.echo(f"{named(selection)}: is paused already")
    else:
        orders.pause(selection)
    states = _states(results, selection)
    n_held = states["waiting"] + states["paused"]
    lifted_by = _resume(selection, campaign)
    typer.echo(f"paused: {named(selection)}; {jobs_in_words(n_held)} held back until `{lifted_by}`")
    kinds = {"running": "running", "queued": "in the queue"}
    if going_on := [f"{states[s]:,} {what}" for s, what in kinds.items() if states[s]]:
        stop = with_campaign("halideflow cancel CAMPAIGN", campaign)
        typer.echo(f"{' and '.join(going_on)}: goes on; `{stop}` ends jobs")


def resume(
    campaign: CampaignOrResults, stage: Stage = None, candidate: OneCandidate = None
) -> None:
    """Let paused jobs start again: of a stage or a candidate, or all."""
    from workflows.campaign_orders import named

    results, orders, selection = _for_holds(campaign, stage, candidate)
    before = orders.holds()
    n_lifted = orders.resume(selection)
    if n_lifted:
        lifted = ", ".join(named(hold) for hold in before if hold not in orders.holds())
        typer.echo(f"resumed: {lifted}")
    else:
        what = named(selection) if before else "nothing"
        typer.echo(f"nothing to resume: {what} is {'not ' if before else ''}paused")
    for hold in orders.holds():
        typer.echo(f"still paused: {named(hold)}; `{_resume(hold, campaign)}` lifts it")
    if n_lifted:
        _say_what_follows(results, campaign)


def cancel(
    campaign: CampaignOrResults,
    stage: Stage = None,
    candidate: OneCandidate = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """End jobs that wait or run: of a stage or a candidate, or all. What is finished stays.

    What waits for them goes on without; `halideflow retry` takes it back.
    """
    from workflows.campaign_orders import counted, give, jobs_meant
    from workflows.execution.selection import EVERYTHING, Selection
    from workflows.views import UNFINISHED

    results = open_results(campaign)
    wanted = jobs_meant("cancel", known_stage(stage), known_candidate(results, candidate))
    if not results.jobs.count(wanted):
        typer.echo(f"nothing to cancel: no job{_of(wanted)} waits or runs")
        return
    jobs = counted(results, wanted)
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInput(f"would cancel {jobs}; --yes does it without asking")
        _list(results, wanted)
        if not typer.confirm(f"cancel {jobs}?", err=True):
            typer.echo("nothing was cancelled")
            return
    carried = give(results.folder, "cancel", [Selection(stage, candidate)])
    _conclude(carried, jobs, "were cancelled", results, campaign)
    retry_ = with_campaign("halideflow retry CAMPAIGN --reason CANCELLED", campaign)
    typer.echo(f"`{retry_}` takes it back")
    left = _states(open_results(campaign, quiet=True), EVERYTHING)
    if any(left[state] for state in UNFINISHED):
        _say_what_follows(results, campaign, "goes on with the rest")


def _for_holds(
    campaign: Path, stage: str | None, candidate: str | None
) -> tuple[CampaignResults, Orders, Selection]:
    from workflows.execution.jobs import JobTable
    from workflows.execution.orders import Orders
    from workflows.execution.selection import Selection

    results = open_results(campaign)
    selection = Selection(known_stage(stage), known_candidate(results, candidate))
    return results, Orders(JobTable(results.folder.database)), selection


def _conclude(
    carried: Carried, jobs: str, done: str, results: CampaignResults, campaign: Path
) -> None:
    """Say what was done; exit code 3 where it has still to be.

    A run in progress knows best what there was to do.
    """
    from workflows.campaign_orders import jobs_in_words

    if carried.by != "nobody yet":
        changed = jobs if carried.by == "here" else jobs_in_words(carried.n_jobs)
        typer.echo(f"{changed} {done}")
        return
    typer.echo(f"the order is given, for {jobs}")
    submit = with_campaign("halideflow submit CAMPAIGN", campaign)
    typer.echo(
        "the run in progress has not carried it out yet, but will"
        if results.folder.is_being_run()
        else f"some of them are in the queue: `{submit}` carries it out"
    )
    raise typer.Exit(ExitCode.PENDING)


def _say_what_follows(
    results: CampaignResults, campaign: Path, what_the_run_does: str = "takes it up now"
) -> None:
    if results.folder.is_being_run():
        typer.echo(f"the run in progress {what_the_run_does}")
    else:
        typer.echo(f"`{with_campaign(results.surroundings.command, campaign)}` goes on")


def _states(results: CampaignResults, selection: Selection) -> Counter[str]:
    from workflows.job_list import JobFilter

    wanted = JobFilter(stage=selection.stage, candidate=selection.candidate)
    states: Counter[str] = Counter()
    for counts in results.jobs.counts(wanted).values():
        states.update(counts)
    return states


def _list(results: CampaignResults, wanted: JobFilter) -> None:
    """The first of them, one a line."""
    for job in results.jobs.page(wanted, limit=_MOST_LISTED):
        what = job.code if job.state == "failed" else job.state
        typer.echo(f"  {job.candidate or results.name}  {stage_of(job)}  {what}")
    if (n_more := results.jobs.count(wanted) - _MOST_LISTED) > 0:
        typer.echo(f"  and {n_more:,} more")


def _say_dependents(results: CampaignResults, wanted: JobFilter) -> None:
    """What is finished and would be done anew."""
    from workflows.campaign_orders import jobs_in_words, n_dependents

    if n_jobs := n_dependents(results, wanted):
        typer.echo(f"and {jobs_in_words(n_jobs)} that depended on them")


def _of(wanted: JobFilter) -> str:
    parts = [f" of stage {wanted.stage}"] if wanted.stage else []
    return "".join([*parts, f" of {wanted.candidate}" if wanted.candidate else ""])


def _with(codes: tuple[str, ...]) -> str:
    return f" with {' or '.join(codes)}" if codes else ""


def _resume(selection: Selection, campaign: Path) -> str:
    """The command that lifts a pause."""
    parts = [f" --stage {selection.stage}"] if selection.stage else []
    parts += [f" --candidate {selection.candidate}"] if selection.candidate else []
    return with_campaign(f"halideflow resume CAMPAIGN{''.join(parts)}", campaign)
