"""Jobs of the queue in the campaign's table: what was sent, its parts, what became of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from workflows.execution.jobs import CANCELLED, JobTable, Key


@dataclass(frozen=True, slots=True)
class QueueJob:
    """A job of the queue, which runs several of ours."""

    uuid: str
    stage: str
    worker: str
    n_cores: int
    wall_time_h: float | None
    core_hours_promised: float
    sent_at: float
    queue_id: str | None = None
    run_dir: str | None = None
    started_at: float | None = None
    state: str = "sent"
    message: str | None = None

    def core_hours_until(self, end: float) -> float:
        """What the cluster charges for it if it ends then, seconds since the epoch."""
        return 0.0 if self.started_at is None else self.n_cores * (end - self.started_at) / 3600


_COLUMNS = (
    "uuid, stage, worker, n_cores, wall_time_h, core_hours_promised, sent_at, queue_id, run_dir, "
    "started_at, state, message"
)


class QueueJobs:
    """Access to them; each change is one transaction."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def open(self) -> list[QueueJob]:
        """Those whose end has not been dealt with."""
        rows = self._table.select(
            f"select {_COLUMNS} from queue_jobs where state != 'ended' order by sent_at"
        )
        return [QueueJob(*row) for row in rows]

    def open_parts(self, uuid: str) -> list[Key]:
        """Our jobs in one of them that have not ended, and that no later one has."""
        return list(
            self._table.select(
                "select part.uuid, part.idx from queue_job_parts as part join jobs on "
                "jobs.uuid = part.uuid and jobs.idx = part.idx where part.queue_job = ? and "
                "jobs.state in ('queued', 'running') and not exists (select 1 from queue_job_parts "
                "as later where later.uuid = part.uuid and later.idx = part.idx and "
                "later.rowid > part.rowid) order by part.rowid",
                (uuid,),
            )
        )

    def cancelled(self) -> set[str]:
        """Those that are open, though of their parts some were cancelled and none is left."""
        rows = self._table.select(
            "select distinct part.queue_job from queue_job_parts as part join queue_jobs on "
            "queue_jobs.uuid = part.queue_job join jobs on jobs.uuid = part.uuid and "
            "jobs.idx = part.idx where queue_jobs.state != 'ended' and jobs.code = ?",
            (CANCELLED,),
        )
        return {uuid for (uuid,) in rows if not self.open_parts(uuid)}

    def sent(self, with_parts: Iterable[tuple[QueueJob, list[Key]]]) -> None:
        """Note what is being sent, before it is, with its parts: whoever finds it looks for it."""
        with_parts = list(with_parts)
        with self._table.transaction() as connection:
            connection.executemany(
                f"insert into queue_jobs ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [astuple(queue_job) for queue_job, _ in with_parts],
            )
            connection.executemany(
                "insert into queue_job_parts values (?, ?, ?)",
                [(queue_job.uuid, *key) for queue_job, parts in with_parts for key in parts],
            )
            connection.executemany(
                "update jobs set state = 'queued', attempts = attempts + 1, started_at = null, "
                "ended_at = null where uuid = ? and idx = ?",
                [key for _, parts in with_parts for key in parts],
            )

    def goes_on_with(self, uuid: str, key: Key) -> None:
        """A part was replaced by a following one, which runs in the same allocation."""
        with self._table.transaction() as connection:
            connection.execute(
                "insert or ignore into queue_job_parts values (?, ?, ?)", (uuid, *key)
            )

    def update(
        self, job: QueueJob, queue_id: str | None, run_dir: str | None, message: str | None
    ) -> None:
        """Note what the queue says of it, if that is anything new: most only wait, for days."""
        found = queue_id or job.queue_id, run_dir or job.run_dir, message
        if found == (job.queue_id, job.run_dir, job.message):
            return
        with self._table.transaction() as connection:
            connection.execute(
                "update queue_jobs set queue_id = ?, run_dir = ?, message = ? where uuid = ?",
                (*found, job.uuid),
            )

    def started(self, uuid: str, at: float) -> None:
        """Note that it runs, and its parts with it."""
        with self._table.transaction() as connection:
            connection.execute(
                "update queue_jobs set state = 'running', started_at = ? where uuid = ?", (at, uuid)
            )
            connection.execute(
                "update jobs set state = 'running', started_at = ? where state = 'queued' and "
                "(uuid, idx) in (select uuid, idx from queue_job_parts where queue_job = ?)",
                (at, uuid),
            )

    def ended(self, uuid: str, core_hours: float, message: str | None) -> None:
        """Note that nothing more is to come from it, and what the cluster charged."""
        with self._table.transaction() as connection:
            connection.execute(
                "update queue_jobs set state = 'ended', ended_at = ?, core_hours = ?, message = ? "
                "where uuid = ?",
                (time.time(), core_hours, message, uuid),
            )
