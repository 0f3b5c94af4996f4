"""The price of a campaign as people and scripts read it, at the end of `plan`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pymatgen.core.structure import Structure
    from rich.console import RenderableType
    from rich.table import Table

    from screening.survey import Survey
    from workflows.config import CampaignConfig
    from workflows.cost.model import Estimate
    from workflows.cost.price import CampaignPrice, StagePrice

_VERDICTS = {
    "yes": "the plan fits",
    "perhaps": "the plan may not fit",
    "no": "the plan does not fit",
}


def price_of(
    config: CampaignConfig, survey: Survey, structures: Mapping[str, Structure], results: Path
) -> CampaignPrice:
    """What a run would cost; shows on stderr how far it has come where that takes long.

    Args:
        config: with its reference phases resolved.
        survey: within its limits.
        structures: the user's own, by their path in the config.
        results: folder of the results, which need not be there.
    """
    from workflows.cli.counts import candidate_progress
    from workflows.cli.enumerate import n_kept_of
    from workflows.cost.cores import cores_here
    from workflows.cost.price import price_campaign
    from workflows.results import ResultsFolder

    database = ResultsFolder(results).database
    with candidate_progress(n_kept_of(survey)) as show:
        return price_campaign(config, survey, structures, database, cores_here(), show)


def price_json(price: CampaignPrice) -> dict[str, Any]:
    """All of it, for scripts; core-hours as median, low and high of the 68 % interval."""
    spending = price.spending
    return asdict(price) | {
        "stages": {stage.stage: _without_stage(stage) for stage in price.stages},
        "spending": asdict(spending) | {"left_core_hours": spending.left_core_hours},
    }


def _without_stage(stage: StagePrice) -> dict[str, Any]:
    return {key: value for key, value in asdict(stage).items() if key != "stage"}


def print_price(price: CampaignPrice) -> None:
    """A table of stages, and what is to be known of it."""
    from rich.console import Console

    console = Console()
    console.print()
    console.print(_table(price))
    for line in _lines(price):
        console.print(line, highlight=False, soft_wrap=True)


def _table(price: CampaignPrice) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    in_queue = any(stage.n_in_queue for stage in price.stages)
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("stage", no_wrap=True)
    names = ("new", "reused", "to redo", *(["in queue"] if in_queue else []))
    for name in (*names, "core-hours", "68 % interval", "disk"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in price.stages:
        queued = [f"{stage.n_in_queue:,}"] if in_queue else []
        table.add_row(
            stage.stage,
            _new(stage),
            f"{stage.n_reused:,}",
            f"{stage.n_redo:,}",
            *queued,
            *_cost(stage.core_hours, stage.disk_GB),
        )
    table.add_section()
    table.add_row("total", *[""] * len(names), *_cost(price.core_hours, price.disk_GB))
    return table


def _new(stage: StagePrice) -> str:
    """How many are certain; at most, and about how many, where gates decide."""
    if not stage.n_undecided:
        return f"{stage.n_new:,}"
    at_most = f"≤ {stage.n_new + stage.n_undecided:,}"
    if stage.n_expected is None:
        return at_most
    return f"{at_most}\nabout {stage.n_new + stage.n_expected:,.0f}"


def _cost(core_hours: Estimate, disk_GB: float) -> tuple[str, str, str]:
    if not core_hours.high:
        return "0", "", "0"
    interval = f"{amount(core_hours.low)} – {amount(core_hours.high)}"
    return amount(core_hours.median), interval, _size(disk_GB)


def _lines(price: CampaignPrice) -> Iterator[RenderableType]:
    if price.core_hours.high:
        yield f"basis: {price.basis}"
    for note in price.notes:
        yield f"note: {note}"
    if price.wall_time_h is not None and price.core_hours.high:
        cores = f"{price.n_cores} core{'s' * (price.n_cores != 1)}"
        yield f"here, on {cores}: about {_time(price.wall_time_h)}"
    spending = price.spending
    if (left := spending.left_core_hours) is not None:
        promised = f"{amount(spending.promised_core_hours)} promised to jobs in the queue"
        yield (
            f"budget of {amount(spending.budget_core_hours or 0)} core-hours: "
            f"{amount(spending.used_core_hours)} used, {promised}, {amount(left)} left; "
            f"{_VERDICTS[price.fits or 'perhaps']}"
        )


def amount(value: float) -> str:
    """Two digits that count, or whole numbers where these are more."""
    if abs(value) >= 99.5:
        return f"{value:,.0f}"
    text = f"{value:.2g}"
    return text if "e" not in text else f"{value:.1e}"


def _size(disk_GB: float) -> str:
    units = {"TB": 1e3, "GB": 1.0, "MB": 1e-3}
    unit = next((name for name, size_GB in units.items() if disk_GB >= 0.995 * size_GB), "kB")
    return f"{amount(disk_GB / units.get(unit, 1e-6))} {unit}"


def _time(time_h: Estimate) -> str:
    """In the unit that people would use."""
    units = {"days": 24.0, "h": 1.0, "min": 1 / 60}
    unit = next((name for name, hours in units.items() if time_h.median >= 2 * hours), "s")
    hours = units.get(unit, 1 / 3600)
    median, low, high = (amount(t / hours) for t in (time_h.median, time_h.low, time_h.high))
    return f"{median} {unit} ({low} – {high})"
