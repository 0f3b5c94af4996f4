"""`halideflow status`: how far a campaign is, once or again and again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screening.errors import InvalidInput
from workflows.cli.common import CampaignOrResults, ExitCode, Json, print_json
from workflows.cli.results import nobody_runs, open_results
from workflows.views import SHOWN_STATES, UNFINISHED

if TYPE_CHECKING:
    from rich.table import Table

    from workflows.read_model import CampaignResults

_REFRESH_EVERY_S = 2.0
_LEAST_CORE_HOURS = 0.005


def status(
    campaign: CampaignOrResults,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Show it anew every 2 s until the campaign is finished."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Jobs per stage and state. Exit code 3 while work is pending, 4 if something failed."""
    from rich.console import Console

    if watch and as_json:
        raise InvalidInput("--watch and --json each stand alone; ask for one of them")
    results = open_results(campaign)
    if as_json:
        print_json(_status_document(results))
    elif watch:
        results = _watch(results, campaign)
    else:
        Console().print(_table(results))
        for line in _lines(results, campaign):
            typer.echo(line)
    totals = _totals(results.status())
    if any(totals[state] for state in UNFINISHED) or results.config_has_changed:
        raise typer.Exit(ExitCode.PENDING)
    if totals["failed"]:
        raise typer.Exit(ExitCode.FAILURES)


def _totals(stages: dict[str, dict[str, int]]) -> dict[str, int]:
    return {
        state: sum(counts.get(state, 0) for counts in stages.values()) for state in SHOWN_STATES
    }


def _status_document(results: CampaignResults) -> dict[str, Any]:
    from dataclasses import asdict

    stages, spent = results.status(), results.spent
    return {
        "campaign": results.name,
        "stages": stages,
        "totals": _totals(stages),
        "running_since": results.running_since,
        "core_hours": {**asdict(spent), "left_core_hours": spent.left_core_hours},
        "notes": {name: note.text for name, note in results.notes.items()},
    }


def _table(results: CampaignResults) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    stages = results.status()
    table = Table(title=results.name, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("stage")
    for state in SHOWN_STATES:
        table.add_column(state, justify="right")
    for stage, counts in stages.items():
        table.add_row(stage, *(str(counts.get(state, "")) for state in SHOWN_STATES))
    return table


def _lines(results: CampaignResults, campaign: Path) -> list[str]:
    """What else is known: core-hours, who runs it, what is in the way."""
    from workflows.execution.notes import TROUBLES

    lines = [_core_hours(results), *_holds(results)]
    if results.running_since is not None:
        driver = results.notes.get("driver")
        by = f" by {driver.text}" if driver else ""
        lines.append(f"being run since {_moment(results.running_since)}{by}")
        lines += [
            f"{name}: {note.text} (since {_moment(note.at)})"
            for name, note in results.notes.items()
            if name in TROUBLES
        ]
    elif any(_totals(results.status())[state] for state in UNFINISHED):
        lines.append(nobody_runs(results, campaign))
    return [line for line in lines if line]


def _holds(results: CampaignResults) -> list[str]:
    """What is held back, also where no job of it is there yet."""
    from workflows.waiting import holds_of

    return [
        f"paused: {' of '.join(filter(None, (hold.stage, hold.candidate))) or 'all jobs'} "
        f"(since {_moment(hold.since)})"
        for hold in holds_of(results.table)
    ]


def _core_hours(results: CampaignResults) -> str:
    """For instance `core-hours: 12.3 used, 40 promised to the queue, 47.7 of 100 left`."""
    spent = results.spent
    known = {
        "used": spent.used_core_hours,
        "promised to the queue": spent.promised_core_hours,
    }
    has_budget = spent.budget_core_hours is not None
    parts = [
        f"{hours:,.3g} {what}"
        for what, hours in known.items()
        if hours >= _LEAST_CORE_HOURS or (has_budget and hours)
    ]
    if spent.left_core_hours is not None:
        left = max(spent.left_core_hours, 0.0)
        parts.append(f"{left:,.3g} of {spent.budget_core_hours:,g} left")
    return f"core-hours: {', '.join(parts)}" if parts else ""


def _moment(at: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _watch(results: CampaignResults, campaign: Path) -> CampaignResults:
    """Show the status again and again until all jobs are finished, or Ctrl-C."""
    import contextlib
    import time

    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    def shown() -> Group:
        return Group(_table(results), *map(Text, _lines(results, campaign)))

    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(shown(), console=Console(), auto_refresh=False) as live,
    ):
        while any(_totals(results.status())[state] for state in UNFINISHED):
            time.sleep(_REFRESH_EVERY_S)
            results, before = open_results(campaign, quiet=True), results
            before.close()
            live.update(shown(), refresh=True)
    return results
