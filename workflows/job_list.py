"""The jobs of a campaign as people see them: what they are doing, where, and why they wait.

All of it is asked of the table's file, page by page: a campaign may have very many jobs.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from workflows.execution_settings import QUEUED_STAGES
from workflows.views import STAGES, JobView, ShownState
from workflows.waiting import Surroundings, holds_of, in_words, unfinished_behind, why_paused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflows.execution.jobs import JobTable


def _place_in(column: str, values: Sequence[str]) -> str:
    cases = " ".join(f"when '{value}' then {place}" for place, value in enumerate(values))
    return f"case {column} {cases} else {len(values)} end"


_IN_QUEUE = (
    "exists (select 1 from queue_job_parts as part join queue_jobs on queue_jobs.uuid = "
    "part.queue_job where part.uuid = job.uuid and part.idx = job.idx "
    "and queue_jobs.state != 'ended')"
)
_IS_HELD = (
    "exists (select 1 from holds where (holds.stage is null or holds.stage = job.stage) "
    "and (holds.candidate is null or holds.candidate = job.candidate))"
)
_IS_LAST_PART = (
    "not exists (select 1 from jobs as later where later.uuid = job.uuid and later.idx > job.idx "
    "and later.run = job.run)"
)
# What needs somebody, or goes on now, comes before what is over.
_BY_STATE = _place_in("shown", ("failed", "running", "queued", "paused", "waiting"))
_BY_STAGE = _place_in("stage", STAGES)
_LAST_QUEUE_JOB = (
    "select part.queue_job from queue_job_parts as part join queue_jobs as other "
    "on other.uuid = part.queue_job where part.uuid = job.uuid and part.idx = job.idx "
    "order by other.sent_at desc limit 1"
)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Jobs of a stage and a candidate, in some states, with some codes; nothing stands for all.

    Args:
        uuid: the beginning of one.
        of: only jobs with these uuids, and those that they spawned.
        min_attempts: only jobs that were started so often.
    """

    stage: str | None = None
    candidate: str | None = None
    states: tuple[ShownState, ...] = ()
    codes: tuple[str, ...] = ()
    uuid: str | None = None
    of: tuple[str, ...] = ()
    min_attempts: int | None = None

    def condition(self) -> tuple[str, tuple[object, ...]]:
        """In SQL, and its parameters."""
        spawned = "select spawned.uuid from spawned join json_each(?) on spawner_uuid = value"
        wanted: list[tuple[str, tuple[object, ...]]] = []
        if self.stage is not None:
            wanted.append(("stage = ?", (self.stage,)))
        if self.candidate is not None:
            wanted.append(("candidate = ?", (self.candidate,)))
        if self.states:
            wanted.append(("shown in (select value from json_each(?))", (_json(self.states),)))
        if self.codes:
            wanted.append(("code in (select value from json_each(?))", (_json(self.codes),)))
        if self.uuid is not None:
            wanted.append(("uuid between ? and ?", (self.uuid, f"{self.uuid}~")))
        if self.of:
            known = f"uuid in (select value from json_each(?) union {spawned})"
            wanted.append((known, (_json(self.of),) * 2))
        if self.min_attempts is not None:
            wanted.append(("attempts >= ?", (self.min_attempts,)))
        return (
            " and ".join(["1", *(condition for condition, _ in wanted)]),
            tuple(value for _, values in wanted for value in values),
        )


def _json(values: tuple[str, ...]) -> str:
    return orjson.dumps(values).decode()


EVERY_JOB = JobFilter()


@dataclass(frozen=True)
class JobList:
    """The jobs of one run; of a job that goes on as itself, its last part."""

    table: JobTable
    run: int
    surroundings: Surroundings = field(default_factory=lambda: Surroundings(is_being_run=False))

    def counts(self, wanted: JobFilter = EVERY_JOB) -> dict[str, dict[str, int]]:
        """How many there are, by stage and state."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        condition, parameters = wanted.condition()
        for stage, state, number in self.table.select(
            f"select stage, shown, count(*) from ({self._jobs}) where {condition} "
            "group by stage, shown",
            (self.run, *parameters),
        ):
            found[stage][state] += number
        return {stage: dict(found[stage]) for stage in STAGES if stage in found}

    def page(
        self,
        wanted: JobFilter = EVERY_JOB,
        limit: int | None = None,
        offset: int = 0,
        by_stage: bool = False,
    ) -> list[JobView]:
        """Jobs, those first that failed, run or wait; or all in the order of stages."""
        condition, parameters = wanted.condition()
        order = f"{'' if by_stage else f'{_BY_STATE}, '}{_BY_STAGE}, candidate, uuid"
        rows = list(
            self.table.select(
                "select job.parents, case when job.stage = 'dynamics' then job.spec end, "
                "sent.message, job.uuid, job.idx, job.stage, job.candidate, page.shown, "
                "job.attempts, job.n_atoms, (select nullif(sum(part.core_hours), 0) from jobs "
                "as part where part.uuid = job.uuid and part.run = job.run), sent.worker, "
                "sent.queue_id, sent.sent_at, job.started_at, job.ended_at, job.code, job.message, "
                "job.log_tail from (select id, shown, row_number() over "
                f"(order by {order}) as place from ({self._jobs}) where {condition} "
                "order by place limit ? offset ?) as page join jobs as job on job.rowid = page.id "
                f"left join queue_jobs as sent on sent.uuid = ({_LAST_QUEUE_JOB}) "
                "order by page.place",
                (self.run, *parameters, -1 if limit is None else limit, offset),
            )
        )
        return self._views(rows)

    def count(self, wanted: JobFilter = EVERY_JOB) -> int:
        """How many there are in all."""
        return sum(sum(states.values()) for states in self.counts(wanted).values())

    def failures(self) -> list[JobView]:
        """Failed jobs: of each candidate those of the earliest stage, where the cause lies."""
        earliest: dict[str | None, str] = {}
        failures = []
        for job in self.page(JobFilter(states=("failed",)), by_stage=True):
            if earliest.setdefault(job.candidate, job.stage) == job.stage:
                failures.append(job)
        return failures

    def tried_again(self) -> list[JobView]:
        """Jobs that are done, but not since their first attempt.

        Of stages that no other makes begin anew: attempts of the rest say nothing.
        """
        return [
            job
            for stage in QUEUED_STAGES
            for job in self.page(JobFilter(stage=stage, states=("done",), min_attempts=2))
        ]

    def candidates(self) -> list[str]:
        """Those that have jobs."""
        return [
            candidate
            for (candidate,) in self.table.select(
                "select distinct candidate from jobs where run = ? and candidate is not null "
                "order by candidate",
                (self.run,),
            )
        ]

    def codes(self) -> dict[str, int]:
        """Codes of jobs that failed -> how many."""
        return dict(
            self.table.select(
                "select code, count(*) from jobs where run = ? and state = 'failed' "
                "and code is not null group by code order by code",
                (self.run,),
            )
        )

    def not_done(self) -> Iterator[tuple[Any, ...]]:
        """Uuid, candidate, state, code, message and log tail of jobs without a result."""
        return self.table.select(
            "select job.uuid, job.candidate, shown, job.code, job.message, job.log_tail from "
            f"({self._jobs}) as it join jobs as job on job.rowid = it.id "
            "where shown not in ('done', 'rejected', 'skipped')",
            (self.run,),
        )

    @property
    def _jobs(self) -> str:
        """All of them, with the state that they are shown in: a query with the run as parameter.

        What a process left running when it was killed waits, unless it is in a queue.
        """
        goes_on = "1" if self.surroundings.is_being_run else _IN_QUEUE
        now = f"iif(state in ('queued', 'running') and not {goes_on}, 'waiting', state)"
        return (
            "select rowid as id, uuid, stage, candidate, code, attempts, "
            f"iif({now} = 'waiting' and {_IS_HELD}, 'paused', {now}) as shown from jobs as job "
            f"where run = ? and stage is not null and {_IS_LAST_PART}"
        )

    def _views(self, rows: list[tuple[Any, ...]]) -> list[JobView]:
        holds = holds_of(self.table)
        parents = {row[3]: orjson.loads(row[0]) for row in rows if row[7] in ("waiting", "paused")}
        behind = (
            unfinished_behind(self.table, self.run, {p for of in parents.values() for p in of})
            if parents
            else {}
        )
        views = []
        for _, spec, told, uuid, index, stage, candidate, state, *values in rows:
            why = told if state in ("queued", "running") else None
            if state == "paused":
                why = why_paused(holds, stage, candidate)
            elif state == "waiting":
                unfinished = sum((behind.get(p, Counter()) for p in parents[uuid]), Counter())
                why = (
                    in_words(unfinished, candidate)
                    if unfinished
                    else self.surroundings.why_ready(stage)
                )
            temperature_K = _temperature_K(spec)
            views.append(JobView(uuid, index, stage, candidate, temperature_K, state, why, *values))
        return views


def _temperature_K(spec: bytes | None) -> float | None:
    """Of a job of dynamics, as its labels say."""
    if spec is None:
        return None
    text = orjson.loads(zlib.decompress(spec))["metadata"].get("temperature_K")
    return None if text is None else float(text)
