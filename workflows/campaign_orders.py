"""Orders to a campaign, whoever runs it: a process that does carries them out, else they are here.

Orders are carried out in the order in which they were given. One that stops jobs in the queue of a
cluster waits for `halideflow submit`, which alone can do that, and those given later wait with it.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from screening.errors import NotFinished
from workflows.execution.jobs import JobTable
from workflows.execution.orders import OrderKind, Orders
from workflows.job_list import JobFilter
from workflows.views import UNFINISHED, ShownState

if TYPE_CHECKING:
    from workflows.execution.selection import Selection
    from workflows.read_model import CampaignResults
    from workflows.results import ResultsFolder

By = Literal["here", "the run", "nobody yet"]
_CONCERNS: dict[OrderKind, tuple[ShownState, ...]] = {
    "retry": ("failed",),
    "cancel": UNFINISHED,
    "pause": ("waiting", "paused"),
    "resume": ("paused",),
}
_LONGEST_WAIT_S = 15.0
_LOOK_EVERY_S = 0.2
_IN_QUEUE = (
    "select part.uuid, part.idx from queue_job_parts as part join queue_jobs on queue_jobs.uuid = "
    "part.queue_job where queue_jobs.state != 'ended'"
)


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of orders: by whom they were carried out, on how many jobs, and their numbers."""

    by: By
    n_jobs: int
    numbers: tuple[int, ...] = ()


def give(
    folder: ResultsFolder,
    kind: OrderKind,
    selections: list[Selection],
    longest_wait_s: float = _LONGEST_WAIT_S,
) -> Carried:
    """Have jobs cancelled or tried again.

    Args:
        folder: of the campaign.
        kind: cancel or retry.
        selections: one order each.
        longest_wait_s: for a process that runs the campaign to carry them out.
    """
    table = JobTable(folder.database)
    orders = Orders(table)
    numbers = tuple(orders.give(kind, selection) for selection in selections)
    until_s = time.monotonic() + longest_wait_s
    by: By = "the run"
    while True:
        given = [order for order in orders.history() if order.number in numbers]
        if all(order.applied_at is not None for order in given):
            return Carried(by, sum(order.n_jobs or 0 for order in given), numbers)
        if time.monotonic() > until_s:
            return Carried("nobody yet", 0, numbers)
        if folder.is_being_run():
            time.sleep(_LOOK_EVERY_S)
            continue
        with contextlib.suppress(NotFinished), folder.locked():  # else somebody just began to
            by = "here"
            if not _carry_out_pending(table, orders):
                return Carried("nobody yet", 0, numbers)


def _carry_out_pending(table: JobTable, orders: Orders) -> bool:
    """Carry out what can be here; whether that is all."""
    in_queue = set(table.select(_IN_QUEUE))
    for order in orders.pending():
        if order.kind == "cancel" and in_queue.intersection(
            table.matching(order.selection, ("queued", "running"))
        ):
            return False
        orders.carry_out(order)
    return True


def jobs_meant(
    kind: OrderKind, stage: str | None, candidate: str | None, codes: tuple[str, ...] = ()
) -> JobFilter:
    """Jobs that an order of this kind would change, or that a pause would hold back."""
    return JobFilter(stage=stage, candidate=candidate, states=_CONCERNS[kind], codes=codes)


def counted(results: CampaignResults, wanted: JobFilter) -> str:
    """For instance `12 jobs (relax 2, dynamics 10)`."""
    stages = {stage: sum(states.values()) for stage, states in results.jobs.counts(wanted).items()}
    by_stage = ", ".join(f"{stage} {number:,}" for stage, number in stages.items())
    return f"{jobs_in_words(sum(stages.values()))} ({by_stage})"


def n_dependents(results: CampaignResults, wanted: JobFilter) -> int:
    """Jobs that are finished, and would be done anew with those that they depend on."""
    failed = {(job.uuid, job.index) for job in results.jobs.page(wanted)}
    finished = set(
        results.table.select(
            "select uuid, idx from jobs where run = ? and state in ('done', 'rejected', 'failed', "
            "'skipped')",
            (results.run,),
        )
    )
    return len((results.table.dependent_on(failed) - failed) & finished)


def jobs_in_words(number: int) -> str:
    """For instance `1 job`."""
    return f"{number:,} {'job' if number == 1 else 'jobs'}"


def named(selection: Selection) -> str:
    """For instance `dynamics of KCl-1`; `everything` where nothing is left out."""
    parts = [selection.stage or "all stages"] if selection.stage or selection.candidate else []
    parts += [f"of {selection.candidate}"] if selection.candidate else []
    return " ".join(parts) or "everything"
