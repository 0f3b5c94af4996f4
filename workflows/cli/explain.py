"""`halideflow explain`: why a candidate was rejected, failed or waits; whom a gate rejected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screening.errors import InvalidInput
from workflows.cli.common import CampaignOrResults, Json, print_json
from workflows.cli.jobs import nearest, stage_of
from workflows.cli.results import advice_lines, nobody_runs, open_results
from workflows.commands import with_campaign
from workflows.ranking_words import verdict

if TYPE_CHECKING:
    from screening.ranked import RankedCandidate
    from workflows.advice import Advice
    from workflows.read_model import CampaignResults
    from workflows.views import JobView

_MOST_JOBS = 20


def explain(
    campaign: CampaignOrResults,
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|GATE",
            help="A candidate, or a gate such as max_e_hull_eV_per_atom.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Say why a candidate was rejected, failed or waits, or which candidates a gate rejected."""
    from screening.gates import Gates

    results = open_results(campaign)
    if what in Gates.model_fields:
        document = _gate(results, what)
        if as_json:
            print_json(document)
        else:
            _print_gate(document)
        return
    rows = {row.id: row for row in results.ranking()}
    if what in rows:
        _explain_candidate(results, rows[what], campaign, as_json)
        return
    if (reason := results.left_out().get(what)) is not None:
        if as_json:
            print_json({"candidate": what, "state": "left out", "reason": reason})
        else:
            typer.echo(f"{what} was left out: {reason}")
        return
    raise InvalidInput(
        f"{what}: neither a candidate nor a gate; {nearest(what, [*rows, *Gates.model_fields])}"
        f"gates are {', '.join(Gates.model_fields)}; `halideflow rank CAMPAIGN` lists candidates"
    )


def _gate(results: CampaignResults, gate: str) -> dict[str, Any]:
    """Whom it rejected, those nearest to the threshold first."""
    from screening.gates import Gates

    rows = results.ranking()
    rejected = [
        {"candidate": row.id, "value": row.rejection.value, "threshold": row.rejection.threshold}
        for row in rows
        if row.rejection and row.rejection.gate == gate
    ]
    rejected.sort(key=lambda entry: abs((entry["value"] or 0.0) - entry["threshold"]))  # type: ignore[operator]
    return {
        "gate": gate,
        "meaning": Gates.model_fields[gate].description,
        "threshold": getattr(results.config.gates, gate),
        "n_candidates": len(rows),
        "rejected": rejected,
    }


def _print_gate(document: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    rejected = document["rejected"]
    threshold = document["threshold"]
    allowed = "open in this campaign" if threshold is None else f"allowed: {threshold:g}"
    console.print(f"[bold]{document['gate']}[/bold], {allowed}", highlight=False)
    console.print(f"{document['meaning']}", highlight=False, markup=False)
    console.print(
        f"it rejected {len(rejected)} of {document['n_candidates']} candidates", highlight=False
    )
    if not rejected:
        return
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("candidate", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("allowed", justify="right")
    for entry in rejected:
        table.add_row(entry["candidate"], f"{entry['value']:.4g}", f"{entry['threshold']:g}")
    console.print(table)


def _explain_candidate(
    results: CampaignResults, row: RankedCandidate, campaign: Path, as_json: bool
) -> None:
    from dataclasses import asdict

    from workflows.advice import advice_for

    on_cluster = results.config.execution.cluster is not None
    jobs = [job for job in results.jobs_of(row.id) if job.why or job.state in ("failed", "running")]
    advice = advice_for(row.failure.code, row.stage, on_cluster) if row.failure else None
    if as_json:
        print_json(
            {
                "candidate": row.id,
                "state": row.state,
                "stage": row.stage,
                "rank": row.rank,
                "suspect": row.suspect,
                "rejection": row.rejection.model_dump() if row.rejection else None,
                "failure": {**row.failure.model_dump(), **asdict(advice)}
                if row.failure and advice
                else None,
                "lost_runs": row.lost_runs,
                "jobs": [asdict(job) for job in jobs],
            }
        )
        return
    for line in _sentences(row, advice, campaign):
        typer.echo(line)
    _print_jobs(results, row, jobs, campaign)


def _sentences(row: RankedCandidate, advice: Advice | None, campaign: Path) -> list[str]:
    """What became of a candidate, and what to do or where to look."""
    said = verdict(row)
    if row.failure and advice:
        said += advice_lines(advice, campaign)
    elif row.state == "done" and row.suspect:
        show = with_campaign(f"halideflow show CAMPAIGN {row.id}", campaign)
        said[0] += f"; `{show}` says which"
    return said


def _print_jobs(
    results: CampaignResults, row: RankedCandidate, jobs: list[JobView], campaign: Path
) -> None:
    """Jobs that failed, run or wait, and why."""
    if row.state == "rejected":
        return
    for job in jobs[:_MOST_JOBS]:
        if job.state == "failed":
            same = row.failure and row.failure.message == job.message
            typer.echo(
                f"  {stage_of(job)}: failed with {job.code}{'' if same else f': {job.message}'}"
            )
        else:
            typer.echo(f"  {stage_of(job)}: {_doing(job)}")
    if len(jobs) > _MOST_JOBS:
        typer.echo(f"  and {len(jobs) - _MOST_JOBS} more jobs")
    if any(job.why for job in jobs) and not results.surroundings.is_being_run:
        typer.echo(nobody_runs(results, campaign))


def _doing(job: JobView) -> str:
    if job.why is None or job.state == "paused":
        return job.why or job.state
    return f"{job.state}, {job.why}"
