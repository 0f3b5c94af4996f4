"""How long a run will still take, by how long its jobs took so far: for people, not for plans."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.views import UNFINISHED

if TYPE_CHECKING:
    from workflows.execution.jobs import JobTable

_OF_SECONDS = ("enumerate", "lowest", "polymorph", "stability", "gates", "transport", "rank")
"""Stages that wait for others nearly all of their time."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Seconds until the jobs that are known now are done; None where nothing tells, as `why` says.

    Candidates that have yet to pass their gates may add jobs.
    """

    seconds: float | None
    why: str


def time_left(
    table: JobTable, run: int, counts: Mapping[str, Mapping[str, int]], since: float
) -> TimeLeft:
    """Unfinished jobs of each stage, times the mean time of those that ended, over the pace.

    The pace is how much of jobs' time passed in a second of the run: jobs side by side.

    Args:
        table: of the campaign.
        run: that goes on.
        counts: jobs by stage and state.
        since: when it began.
    """
    now = time.time()
    unfinished = {
        stage: n
        for stage, states in counts.items()
        if stage not in _OF_SECONDS and (n := sum(states.get(s, 0) for s in UNFINISHED))
    }
    if not unfinished:
        return TimeLeft(None, "no relaxation or dynamics is waiting")
    mean_s: dict[str, float] = {}
    busy_s = 0.0
    for stage, mean, in_run in table.select(
        "select stage, avg(ended_at - started_at), sum(max(0, ended_at - max(started_at, ?))) "
        "from jobs where run = ? and state = 'done' and started_at is not null "
        "and ended_at > started_at group by stage",
        (since, run),
    ):
        if stage in _OF_SECONDS:
            continue
        mean_s[stage] = mean
        busy_s += in_run
    ((n_running, ran_s),) = table.select(
        "select count(*), coalesce(sum(? - max(started_at, ?)), 0) from jobs where run = ? and "
        "state = 'running' and started_at is not null",
        (now, since, run),
    )
    unknown = [stage for stage in unfinished if stage not in mean_s]
    if unknown:
        return TimeLeft(None, f"no {' or '.join(unknown)} has ended yet")
    pace = (busy_s + ran_s) / max(now - since, 1e-3)
    if pace <= 0 or not n_running:
        return TimeLeft(None, "nothing runs at this moment")
    work_s = sum(n * mean_s[stage] for stage, n in unfinished.items()) - ran_s
    slowest_s = max(mean_s[stage] for stage in unfinished)
    seconds = max(work_s / pace, slowest_s if work_s > slowest_s else work_s, 0.0)
    return TimeLeft(seconds, "by the mean time of the jobs that have ended, at the present pace")
