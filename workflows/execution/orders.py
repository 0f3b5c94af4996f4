"""What people ask of a campaign, whether or not it is being run: pause, resume, cancel, retry.

A pause is a hold, which whoever runs the campaign reads before it starts a job. Cancel and retry
change jobs, so that whoever runs the campaign carries them out, and the command itself where
nobody does. All of it stays in the table as the campaign's history.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from workflows.execution.jobs import CANCELLED, JobTable, Key, Outcome
from workflows.execution.selection import Selection

OrderKind = Literal["pause", "resume", "cancel", "retry"]
CANCELLATION = Outcome(
    "failed",
    lost=True,
    code=CANCELLED,
    message="cancelled; `halideflow retry CAMPAIGN --reason CANCELLED` takes it back",
)


@dataclass(frozen=True, slots=True)
class Order:
    """One of them; `applied_at` is None until it was carried out."""

    number: int
    kind: OrderKind
    selection: Selection
    given_at: float
    applied_at: float | None
    n_jobs: int | None


class Orders:
    """The orders of a campaign."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def pause(self, selection: Selection) -> None:
        """Start no more of these jobs; what runs goes on."""
        now = time.time()
        with self._table.transaction() as connection:
            connection.execute(
                "insert into holds values (?, ?, ?)", (selection.stage, selection.candidate, now)
            )
            self._note("pause", selection, now)

    def resume(self, selection: Selection) -> int:
        """Lift the holds on these jobs, or on a part of them; how many there were."""
        now = time.time()
        with self._table.transaction() as connection:
            n_lifted = connection.execute(
                "delete from holds where (? is null or stage = ?) and (? is null or candidate = ?)",
                (selection.stage, selection.stage, selection.candidate, selection.candidate),
            ).rowcount
            self._note("resume", selection, now)
        return n_lifted

    def holds(self) -> list[Selection]:
        """Whose jobs are not started now."""
        return [Selection(*row) for row in self._table.select("select stage, candidate from holds")]

    def give(self, kind: OrderKind, selection: Selection) -> int:
        """Ask whoever runs the campaign to cancel or retry; the number of the order."""
        with self._table.transaction():
            return self._note(kind, selection, None)

    def pending(self) -> list[Order]:
        """Those that nobody has carried out yet."""
        return [order for order in self.history() if order.applied_at is None]

    def history(self) -> list[Order]:
        """All of them, the first given first."""
        return [
            Order(number, kind, Selection(stage, candidate, code), given_at, applied_at, n_jobs)
            for number, kind, stage, candidate, code, given_at, applied_at, n_jobs in (
                self._table.select(
                    "select number, kind, stage, candidate, code, given_at, applied_at, n_jobs "
                    "from orders order by number"
                )
            )
        ]

    def applied(self, number: int, n_jobs: int) -> None:
        """Note that an order was carried out, on so many jobs."""
        with self._table.transaction() as connection:
            connection.execute(
                "update orders set applied_at = ?, n_jobs = ? where number = ?",
                (time.time(), n_jobs, number),
            )

    def carry_out(self, order: Order) -> list[Key]:
        """Carry out an order in the table; which jobs it changed."""
        run = self._table.last_run()
        if order.kind == "cancel":
            keys = self.to_cancel(order.selection, run)
            for key in keys:
                self._table.finish(key, CANCELLATION, time.time())
        else:
            keys = self._table.matching(order.selection, ("failed",), run)
            self._table.reset_failed(order.selection, run)
        self.applied(order.number, len(keys))
        return keys

    def to_cancel(self, selection: Selection, run: int | None) -> list[Key]:
        """Jobs of a run that wait, and all that are started, those of earlier configs, too."""
        started = self._table.matching(selection, ("queued", "running"))
        return started + self._table.matching(selection, ("waiting",), run)

    def _note(self, kind: OrderKind, selection: Selection, applied_at: float | None) -> int:
        (number,) = next(
            self._table.select(
                "insert into orders (kind, stage, candidate, code, given_at, applied_at) "
                "values (?, ?, ?, ?, ?, ?) returning number",
                (
                    kind,
                    selection.stage,
                    selection.candidate,
                    selection.code,
                    time.time(),
                    applied_at,
                ),
            )
        )
        return int(number)
