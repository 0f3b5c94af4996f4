"""What a campaign has spent of its budget, and what it has promised."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflows.execution.jobs import JobTable


@dataclass(frozen=True, slots=True)
class Spending:
    """Core-hours: used by all attempts of all jobs so far, promised to the queue, allowed."""

    used_core_hours: float
    promised_core_hours: float
    budget_core_hours: float | None = None

    @property
    def left_core_hours(self) -> float | None:
        """What may still be promised; None without a budget, negative beyond it."""
        if self.budget_core_hours is None:
            return None
        return self.budget_core_hours - self.used_core_hours - self.promised_core_hours


def spending(table: JobTable, budget_core_hours: float | None) -> Spending:
    """What the table says; failed and earlier attempts count as they were paid for.

    On a cluster all cores of a job of the queue count for as long as it runs, busy or not; one that
    runs longer than was promised has been promised as much as it has taken.
    """
    ((used,),) = table.select(
        "select coalesce((select sum(core_hours) from queue_jobs), 0.0) + coalesce((select sum("
        "core_hours) from jobs where stage is null or stage not in (select stage from queue_jobs) "
        "or not exists (select 1 from queue_job_parts as part where part.uuid = jobs.uuid "
        "and part.idx = jobs.idx)), 0.0)"
    )
    ((promised,),) = table.select(
        "select coalesce(sum(max(core_hours_promised, coalesce(n_cores * (? - started_at) / 3600, "
        "0.0))), 0.0) from queue_jobs where state != 'ended'",
        (time.time(),),
    )
    return Spending(used, promised, budget_core_hours)
