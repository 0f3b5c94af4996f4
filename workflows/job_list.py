"""The jobs of a campaign as people see them: what they are doing, where, and why they wait.

All of it is asked of the table's file, page by page: a campaign may have very many jobs. Which jobs
there are, in which order, is asked of the table's index alone; their rows are read for a page.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import orjson

from screening.documents import Failure, StageDocument
from workflows.execution_settings import QUEUED_STAGES
from workflows.views import STAGES, FailureCause, JobView, ShownState
from workflows.waiting import Surroundings, holds_of, in_words, unfinished_behind, why_paused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from workflows.execution.jobs import JobTable

JobOrder = Literal[
    "state", "stage", "candidate", "temperature", "worker", "attempts", "waited", "ran",
    "core_hours", "started", "ended",
]  # fmt: skip
"""What a list can be sorted by; `state` has those first that failed, run or wait."""


def _place_in(column: str, values: Sequence[str]) -> str:
    cases = " ".join(f"when '{value}' then {place}" for place, value in enumerate(values))
    return f"case {column} {cases} else {len(values)} end"


def _list(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_IN_QUEUE = (
    "exists (select 1 from queue_job_parts as part join queue_jobs on queue_jobs.uuid = "
    "part.queue_job where part.uuid = job.uuid and part.idx = job.idx "
    "and queue_jobs.state != 'ended')"
)
_IS_HELD = (
    "exists (select 1 from holds where (holds.stage is null or holds.stage = job.stage) "
    "and (holds.candidate is null or holds.candidate = job.candidate))"
)
_HAS_LATER_PART = (  # idx > 1 tells SQLite of the index that has such parts alone
    "exists (select 1 from jobs as later where later.run = job.run and later.stage = job.stage "
    "and later.uuid = job.uuid and later.idx > job.idx and later.idx > 1)"
)
_LAST_QUEUE_JOB = (
    "select part.queue_job from queue_job_parts as part join queue_jobs as other "
    "on other.uuid = part.queue_job where part.uuid = job.uuid and part.idx = job.idx "
    "order by other.sent_at desc limit 1"
)
_CORE_HOURS = (
    "(select nullif(sum(part.core_hours), 0) from jobs as part where part.uuid = job.uuid "
    "and +part.run = job.run)"  # the plus: by uuid, not by run
)
# What needs somebody, or goes on now, comes before what is over.
_BY_STATE = _place_in("shown", ("failed", "running", "queued", "paused", "waiting"))
_BY_STAGE = _place_in("job.stage", STAGES)
_ORDERS: dict[JobOrder, str] = {
    "state": _BY_STATE,
    "stage": _BY_STAGE,
    "candidate": "job.candidate",
    "temperature": "temperature_K(job.stage, job.spec)",
    "worker": f"(select worker from queue_jobs where uuid = ({_LAST_QUEUE_JOB}))",
    "attempts": "job.attempts",
    "waited": "(select iif(job.started_at >= sent_at, job.started_at - sent_at, iif(shown = "
    f"'queued', :now - sent_at, null)) from queue_jobs where uuid = ({_LAST_QUEUE_JOB}))",
    "ran": "iif(shown in ('waiting', 'paused', 'queued'), null, "
    "iif(shown = 'running', :now, job.ended_at) - job.started_at)",
    "core_hours": _CORE_HOURS,
    "started": "job.started_at",
    "ended": "coalesce(job.ended_at, job.started_at)",
}
_UNFINISHED = ("waiting", "queued", "running")
# What the table says of jobs that are shown in a state.
_STORED: dict[ShownState, tuple[str, ...]] = {"paused": _UNFINISHED, "waiting": _UNFINISHED}


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Jobs of a stage and a candidate, in some states, with some codes; nothing stands for all.

    Args:
        stages: instead of one.
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
    stages: tuple[str, ...] = ()

    def condition(self) -> tuple[str, dict[str, object]]:
        """In SQL, as far as the table alone tells, and its parameters."""
        in_index = "job.run = :run and job.stage is not null"
        if self.uuid is not None or self.of:  # the plus keeps SQLite from reading the whole run
            in_index = "+job.run = :run and job.stage is not null"
        elif self.stage is None and not self.stages and (self.candidate or self.states):
            in_index = f"job.run = :run and job.stage in ({_list(STAGES)})"
        wanted = [in_index]
        if self.stage is not None:
            wanted.append("job.stage = :stage")
        if self.stages:
            wanted.append("job.stage in (select value from json_each(:stages))")
        if self.candidate is not None:
            wanted.append("job.candidate = :candidate")
        if self.states:
            wanted.append("job.state in (select value from json_each(:stored))")
        if self.codes:
            wanted.append("job.code in (select value from json_each(:codes))")
        if self.uuid is not None:
            wanted.append("job.uuid between :uuid and :uuid || '~'")
        if self.of:
            wanted.append(
                "job.uuid in (select value from json_each(:of) union select spawned.uuid "
                "from json_each(:of) join spawned on spawner_uuid = value)"
            )
        if self.min_attempts is not None:
            wanted.append("job.attempts >= :min_attempts")
        return " and ".join(wanted), {
            "stage": self.stage,
            "stages": _json(self.stages),
            "candidate": self.candidate,
            "stored": _json([raw for s in self.states for raw in _STORED.get(s, (s,))]),
            "states": _json(self.states),
            "codes": _json(self.codes),
            "uuid": self.uuid,
            "of": _json(self.of),
            "min_attempts": self.min_attempts,
        }


def _json(values: object) -> str:
    return orjson.dumps(values).decode()


EVERY_JOB = JobFilter()
_FAILED = JobFilter(states=("failed",))
_RANKED = JobFilter(stages=("relax", "stability", "gates", "transport"))


@dataclass(frozen=True)
class JobList:
    """The jobs of one run; of a job that goes on as itself, its last part."""

    table: JobTable
    run: int
    surroundings: Surroundings = field(default_factory=lambda: Surroundings(is_being_run=False))

    def __post_init__(self) -> None:
        self.table.define("temperature_K", 2, _temperature_K)

    def counts(self, wanted: JobFilter = EVERY_JOB) -> dict[str, dict[str, int]]:
        """How many there are, by stage and state."""
        found: dict[str, dict[str, int]] = {}
        for shown, condition in (
            ("job.state", f"job.state not in ({_list(_UNFINISHED)})"),  # groups as in the index
            (
                self._shown,
                f"job.state in ({_list(_UNFINISHED)}) and job.stage in ({_list(STAGES)})",
            ),
        ):
            jobs, parameters = self._jobs("job.stage, count(*)", wanted, shown, condition)
            for stage, number, state in self.table.select(
                f"{jobs} group by job.stage, shown", parameters
            ):
                found.setdefault(stage, {})[state] = number
        return {stage: found[stage] for stage in STAGES if stage in found}

    def page(
        self,
        wanted: JobFilter = EVERY_JOB,
        limit: int | None = None,
        offset: int = 0,
        order: JobOrder = "state",
        *,
        is_descending: bool = False,
    ) -> list[JobView]:
        """Jobs in an order, those last of which nobody knows what it goes by.

        Among equals the stages come one after the other, and candidates by their names.
        """
        jobs, parameters = self._jobs("job.rowid", wanted)
        rows = self.table.select(
            f"{jobs} order by {_ORDERS[order]}{' desc' if is_descending else ''} nulls last, "
            f"{_BY_STAGE}, job.candidate, job.uuid limit :limit offset :offset",
            parameters | {"limit": -1 if limit is None else limit, "offset": offset},
        )
        return self._views(dict(rows))

    def count(self, wanted: JobFilter = EVERY_JOB) -> int:
        """How many there are in all."""
        return sum(sum(states.values()) for states in self.counts(wanted).values())

    def failures(self) -> list[JobView]:
        """Failed jobs: of each candidate those of the earliest stage, where the cause lies."""
        return self._views({row: "failed" for row, *_ in self._causes()})

    def causes(self, limit: int) -> list[FailureCause]:
        """The same by code, with the first jobs of each; the most frequent code comes first."""
        stages: dict[str, Counter[str]] = defaultdict(Counter)
        candidates: dict[str, set[str | None]] = defaultdict(set)
        first: dict[str, list[int]] = defaultdict(list)
        for row, code, stage, candidate in self._causes():
            stages[code][stage] += 1
            candidates[code].add(candidate)
            if len(first[code]) < limit:
                first[code].append(row)
        rows = [row for of_code in first.values() for row in of_code]
        views = iter(self._views(dict.fromkeys(rows, "failed")))
        found = [
            FailureCause(
                code,
                n_jobs=of_stage.total(),
                n_candidates=len(candidates[code] - {None}),
                stages=dict(of_stage),
                jobs=tuple(next(views) for _ in first[code]),
            )
            for code, of_stage in stages.items()
        ]
        return sorted(found, key=lambda cause: (-cause.n_jobs, cause.code))

    def tried_again(self) -> list[JobView]:
        """Jobs that are done, but not since their first attempt.

        Of stages that no other makes begin anew: attempts of the rest say nothing.
        """
        return self.page(JobFilter(stages=QUEUED_STAGES, states=("done",), min_attempts=2))

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
                f"select code, count(*) from jobs where run = ? and stage in ({_list(STAGES)}) "
                "and state = 'failed' and code is not null group by code order by code",
                (self.run,),
            )
        )

    def ends(self) -> dict[str, tuple[int, float | None, str]]:
        """Part, end and state in the table of each job that a place in the ranking goes by."""
        jobs, parameters = self._jobs("job.uuid, job.idx, job.ended_at", _RANKED, "job.state")
        return {uuid: tuple(end) for uuid, *end in self.table.select(jobs, parameters)}

    def running(self) -> set[str]:
        """Candidates that have a job that runs."""
        jobs, parameters = self._jobs("job.candidate", JobFilter(states=("running",)))
        return {candidate for candidate, _ in self.table.select(jobs, parameters)}

    def reasons(self, uuids: Iterable[str]) -> dict[str, StageDocument]:
        """Of jobs that failed: how each ended."""
        wanted = JobFilter(of=tuple(uuids), states=("failed",))
        jobs, parameters = self._jobs("job.uuid, job.code, job.message, job.log_tail", wanted)
        return {
            uuid: StageDocument(
                state="failed",
                failure=Failure(code=code or "", message=message or "", log_tail=log_tail or ""),
            )
            for uuid, code, message, log_tail, _ in self.table.select(jobs, parameters)
        }

    def _causes(self) -> Iterator[tuple[Any, ...]]:
        """Row, code, stage and candidate of each failure of the earliest stage."""
        jobs, parameters = self._jobs(
            "job.rowid as row, coalesce(job.code, '') as code, job.stage as stage, job.candidate "
            f"as candidate, job.uuid as uuid, {_BY_STAGE} as place, "
            f"min({_BY_STAGE}) over (partition by job.candidate) as earliest",
            _FAILED,
        )
        return self.table.select(
            f"select row, code, stage, candidate from ({jobs}) where place = earliest "
            "order by place, candidate, uuid",
            parameters,
        )

    def _jobs(
        self, columns: str, wanted: JobFilter, shown: str | None = None, also: str = "1"
    ) -> tuple[str, dict[str, object]]:
        """A query for them, whose last column is the state that they are shown in.

        Args:
            columns: in SQL.
            wanted: which of them.
            shown: that state in SQL, where it is not for people.
            also: another condition.
        """
        in_parts = [
            stage
            for (stage,) in self.table.select(
                "select distinct stage from jobs where run = ? and idx > 1", (self.run,)
            )
        ]
        condition, parameters = wanted.condition()
        if in_parts:  # of the others every job is its own last part
            of_these = "job.stage in (select value from json_each(:in_parts))"
            condition += f" and not ({of_these} and {_HAS_LATER_PART})"
        if wanted.states:
            condition += " and shown in (select value from json_each(:states))"
        return (
            f"select {columns}, {shown or self._shown} as shown from jobs as job where {condition} "
            f"and {also}",
            parameters | {"run": self.run, "now": time.time(), "in_parts": _json(in_parts)},
        )

    @property
    def _shown(self) -> str:
        """In SQL: what a process left running when it was killed waits, unless it is in a queue."""
        now = "job.state"
        if not self.surroundings.is_being_run:
            left = f"job.state in ('queued', 'running') and not {_IN_QUEUE}"
            now = f"iif({left}, 'waiting', job.state)"
        if not holds_of(self.table):
            return now
        return f"iif({now} = 'waiting' and {_IS_HELD}, 'paused', {now})"

    def _views(self, states: Mapping[int, ShownState]) -> list[JobView]:
        """Jobs by their rows in the table, with the states that they are shown in."""
        rows = list(
            self.table.select(
                "select job.rowid, job.parents, sent.message, job.uuid, job.idx, job.stage, "
                "job.candidate, temperature_K(job.stage, job.spec), job.attempts, job.n_atoms, "
                f"{_CORE_HOURS}, sent.worker, sent.queue_id, sent.sent_at, job.started_at, "
                "job.ended_at, job.code, job.message, job.log_tail from json_each(?) as page "
                "join jobs as job on job.rowid = page.value left join queue_jobs as sent "
                f"on sent.uuid = ({_LAST_QUEUE_JOB}) order by page.key",
                (_json(list(states)),),
            )
        )
        holds = holds_of(self.table)
        parents = {
            row: orjson.loads(text)
            for row, text, *_ in rows
            if states[row] in ("waiting", "paused")
        }
        behind = (
            unfinished_behind(self.table, self.run, {p for of in parents.values() for p in of})
            if parents
            else {}
        )
        views = []
        for row, _, told, uuid, index, stage, candidate, temperature_K, *values in rows:
            state = states[row]
            why = told if state in ("queued", "running") else None
            if state == "paused":
                why = why_paused(holds, stage, candidate)
            elif state == "waiting":
                unfinished = sum((behind.get(p, Counter()) for p in parents[row]), Counter())
                why = (
                    in_words(unfinished, candidate)
                    if unfinished
                    else self.surroundings.why_ready(stage)
                )
            views.append(JobView(uuid, index, stage, candidate, temperature_K, state, why, *values))
        return views


def _temperature_K(stage: str, spec: bytes) -> float | None:
    """Of a job of dynamics, as its labels say."""
    if stage != "dynamics":
        return None
    text = orjson.loads(zlib.decompress(spec))["metadata"].get("temperature_K")
    return None if text is None else float(text)
