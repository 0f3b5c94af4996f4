"""The table of jobs: what is to run, what ran, what came of it. One SQLite file, safe against kill.

A row is one job of a graph, keyed by uuid and index as in jobflow. Each change of state is one
transaction, and what a job answers with (its state, the jobs it spawned) is written in the same
one, so that at any moment the table says what is left to do.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from screening.errors import ProgramKilled, WallTimeReached
from workflows.execution.schema import ensure_tables, lacks_columns
from workflows.execution.selection import EVERYTHING, Selection

JobState = Literal["waiting", "queued", "running", "done", "rejected", "failed", "skipped"]
SpawnKind = Literal["replace", "detour", "addition"]
Key = tuple[str, int]
UNFINISHED: tuple[JobState, ...] = ("waiting", "queued", "running")
FINISHED: tuple[JobState, ...] = ("done", "rejected", "failed", "skipped")
CANCELLED = "CANCELLED"
WORKER_DIED = "WORKER_DIED"
NODE_FAILURE = "NODE_FAILURE"
QUEUE_LOST = "QUEUE_LOST"
BROKEN_OFF = (WORKER_DIED, ProgramKilled.code, WallTimeReached.code, NODE_FAILURE, QUEUE_LOST)
"""Failures from outside, which another attempt may mend without anybody changing anything."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it enters the table."""

    uuid: str
    index: int
    name: str
    stage: str | None
    candidate: str | None
    parents: tuple[str, ...]
    on_missing: str
    spec: bytes = field(repr=False)
    n_atoms: int | None = None
    spawn_kind: SpawnKind | None = None

    @property
    def key(self) -> Key:
        """What identifies it."""
        return self.uuid, self.index


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job; `lost` says that it left no output.

    `n_steps` and `core_hours` are those of the attempt that ended with it.
    """

    state: JobState
    spawned: tuple[JobRecord, ...] = ()
    lost: bool = False
    stop_children: bool = False
    stop_flow: bool = False
    stored_data: str | None = None
    code: str | None = None
    message: str | None = None
    log_tail: str | None = None
    n_steps: int | None = None
    core_hours: float | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the table knows it, without its specification."""

    uuid: str
    index: int
    name: str
    stage: str | None
    candidate: str | None
    parents: tuple[str, ...]
    on_missing: str
    state: JobState
    stop_children: bool
    stop_flow: bool
    lost: bool
    n_atoms: int | None
    spawn_kind: SpawnKind | None = None

    @property
    def key(self) -> Key:
        """What identifies it."""
        return self.uuid, self.index


_ROW = (
    "jobs.uuid, jobs.idx, name, stage, candidate, parents, on_missing, state, stop_children, "
    "stop_flow, lost, n_atoms"
)


class JobTable:
    """Access to the table; one writer at a time, any number of readers."""

    def __init__(self, path: Path, read_only: bool = False, busy_timeout_s: float = 60) -> None:
        self.path = path
        if read_only:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(
                uri, timeout=busy_timeout_s, isolation_level=None, uri=True
            )
            if lacks_columns(self._connection):  # of an earlier version
                JobTable(path).close()
            return
        self._connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)
        self._connection.execute("pragma journal_mode=WAL")
        self._connection.execute("pragma synchronous=FULL")
        ensure_tables(self._connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin_run(self, campaign: str, config: str, versions: dict[str, str], now: float) -> int:
        """Number of a new run, which its jobs will carry."""
        cursor = self._connection.execute(
            "insert into runs (campaign, started_at, config, versions) values (?, ?, ?, ?)",
            (campaign, now, config, orjson.dumps(versions).decode()),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def end_run(self, run: int, now: float) -> None:
        """Note that a run came to its end."""
        self._connection.execute("update runs set ended_at = ? where run = ?", (now, run))

    def claim(self, records: Iterable[JobRecord], run: int) -> list[JobRow]:
        """Make jobs part of `run`: new ones are inserted, known ones keep what came of them.

        Those that are not done are specified anew: what does not decide a result, such as the path
        of a file, may be another now.
        A known job found running belongs to a process that died, and waits again; what is part of
        a job in the queue of a cluster is queued or running there.
        """
        records = list(records)
        with self.transaction():
            self._insert(records)
            self._adopt([record.key for record in records], run)
        return [self.row(record.key) for record in records]

    def claim_spawned(self, spawner: Key, run: int) -> list[JobRow]:
        """Make what a finished job spawned part of `run`, in the order it was spawned."""
        keys = self.select(
            "select uuid, idx from spawned where spawner_uuid = ? and spawner_idx = ?", spawner
        )
        if found := list(keys):
            with self.transaction():
                self._adopt(found, run)
        return [
            _row(values)
            for values in self._connection.execute(
                f"select {_ROW}, kind from spawned join jobs on jobs.uuid = spawned.uuid "
                "and jobs.idx = spawned.idx where spawner_uuid = ? and spawner_idx = ? "
                "order by position",
                spawner,
            )
        ]

    def row(self, key: Key) -> JobRow:
        """One job."""
        values = self._connection.execute(
            f"select {_ROW} from jobs where uuid = ? and idx = ?", key
        ).fetchone()
        return _row(values)

    def state(self, key: Key) -> JobState | None:
        """Of one job; None where there is no such job."""
        found = self._connection.execute(
            "select state from jobs where uuid = ? and idx = ?", key
        ).fetchone()
        return found[0] if found else None

    def spec(self, key: Key) -> bytes:
        """The serialised job."""
        (blob,) = self._connection.execute(
            "select spec from jobs where uuid = ? and idx = ?", key
        ).fetchone()
        return zlib.decompress(blob)

    def start(self, key: Key, now: float) -> int:
        """Note that a job starts; the number of the attempt."""
        (attempts,) = self._connection.execute(
            "update jobs set state = 'running', attempts = attempts + 1, started_at = ?, "
            "ended_at = null where uuid = ? and idx = ? returning attempts",
            (now, *key),
        ).fetchone()
        return int(attempts)

    def wait_again(self, keys: Iterable[Key]) -> None:
        """Put jobs back that were started, or that are to be tried anew."""
        with self.transaction():
            self._connection.executemany(
                "update jobs set state = 'waiting', code = null, message = null, log_tail = null, "
                "lost = 0 where uuid = ? and idx = ?",
                list(keys),
            )

    def run_on(self, keys: Iterable[Key]) -> None:
        """Note that jobs run that had been started before."""
        with self.transaction() as connection:
            connection.executemany(
                "update jobs set state = 'running' where uuid = ? and idx = ?", list(keys)
            )

    def finish(self, key: Key, outcome: Outcome, now: float) -> None:
        """Note what came of a job, together with the jobs that it spawned."""
        with self.transaction():
            self._insert(outcome.spawned)
            self._connection.execute(
                "delete from spawned where spawner_uuid = ? and spawner_idx = ?", key
            )
            self._connection.executemany(
                "insert into spawned values (?, ?, ?, ?, ?, ?)",
                [
                    (*key, position, record.spawn_kind, *record.key)
                    for position, record in enumerate(outcome.spawned)
                ],
            )
            self._connection.execute(
                "update jobs set state = ?, ended_at = ?, stop_children = ?, stop_flow = ?, "
                "lost = ?, stored_data = ?, code = ?, message = ?, log_tail = ?, n_steps = ?, "
                "core_hours = coalesce(core_hours, 0) + coalesce(?, 0) where uuid = ? and idx = ?",
                (
                    outcome.state,
                    now,
                    outcome.stop_children,
                    outcome.stop_flow,
                    outcome.lost,
                    outcome.stored_data,
                    outcome.code,
                    outcome.message,
                    outcome.log_tail,
                    outcome.n_steps,
                    outcome.core_hours,
                    *key,
                ),
            )

    def reset_failed(self, selection: Selection = EVERYTHING, run: int | None = None) -> int:
        """Let failed jobs that match, of one run or of all, and what depended on them, wait again.

        Returns:
            How many had failed.
        """
        failed = self.matching(selection, ("failed",), run)
        self.wait_again(self.dependent_on(failed))
        return len(failed)

    def matching(
        self, selection: Selection, states: Iterable[JobState], run: int | None = None
    ) -> list[Key]:
        """Jobs in one of these states that a selection names, of one run or of all."""
        marks = ", ".join("?" * len(states := tuple(states)))
        return [
            (uuid, index)
            for uuid, index in self.select(
                f"select uuid, idx from jobs where state in ({marks}) and stage is coalesce(?, "
                "stage) and candidate is coalesce(?, candidate) and code is coalesce(?, code) "
                "and run = coalesce(?, run)",
                (*states, selection.stage, selection.candidate, selection.code, run),
            )
        ]

    def last_run(self) -> int | None:
        """Number of the last run; None where there was none."""
        ((run,),) = self.select("select max(run) from jobs")
        return None if run is None else int(run)

    def dependent_on(self, keys: Iterable[Key]) -> set[Key]:
        """Jobs, with all that waits for them or for what they spawned."""
        waiters = defaultdict(set)
        spawner = {}
        for uuid, index, parents in self.select("select uuid, idx, parents from jobs"):
            for parent in orjson.loads(parents):
                waiters[parent].add((uuid, index))
        for *origin, uuid, index in self.select(
            "select spawner_uuid, spawner_idx, uuid, idx from spawned where kind != 'addition'"
        ):
            spawner[uuid, index] = tuple(origin)
        pending = list(keys)
        found = set(pending)
        while pending:
            key: Key | None = pending.pop()
            while key is not None:  # who waits for a job waits for all that the job spawned
                new = waiters[key[0]] - found
                found |= new
                pending += new
                key = spawner.get(key)
        return found

    def _insert(self, records: Iterable[JobRecord]) -> None:
        self._connection.executemany(
            "insert into jobs (uuid, idx, name, stage, candidate, parents, on_missing, "
            "spec, n_atoms, run, state) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'waiting') "
            "on conflict (uuid, idx) do update set spec = excluded.spec, "
            "n_atoms = excluded.n_atoms where state in ('waiting', 'running', 'failed')",
            (
                (
                    *record.key,
                    record.name,
                    record.stage,
                    record.candidate,
                    orjson.dumps(record.parents).decode(),
                    record.on_missing,
                    zlib.compress(record.spec, 1),
                    record.n_atoms,
                )
                for record in records
            ),
        )

    def _adopt(self, keys: Iterable[Key], run: int) -> None:
        self._connection.executemany(
            "update jobs set run = ?, state = case when state not in ('waiting', 'queued', "
            "'running') then state else coalesce((select case queue_jobs.state when 'running' "
            "then 'running' else 'queued' end from queue_job_parts as part join queue_jobs "
            "on queue_jobs.uuid = queue_job where part.uuid = jobs.uuid and part.idx = jobs.idx "
            "and queue_jobs.state != 'ended' order by part.rowid desc limit 1), 'waiting') end "
            "where uuid = ? and idx = ?",
            [(run, *key) for key in keys],
        )

    def transaction(self) -> _Transaction:
        """All or nothing, and nobody else writes meanwhile."""
        return _Transaction(self._connection)

    def select(
        self, sql: str, parameters: tuple[object, ...] | Mapping[str, object] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Read anything; for the read model."""
        return self._connection.execute(sql, parameters)

    def define(self, name: str, n_arguments: int, function: Callable[..., Any]) -> None:
        """Make a function known to `select`: the same arguments always give the same."""
        self._connection.create_function(name, n_arguments, function, deterministic=True)


class _Transaction:
    """`begin immediate` … `commit`, or `rollback` on an exception."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection.execute("begin immediate")
        except BaseException:  # Ctrl-C while waiting for the lock arrives after it was had
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise
        return self._connection

    def __exit__(self, kind: object, *_: object) -> None:
        self._connection.execute("commit" if kind is None else "rollback")


def _row(values: tuple[Any, ...]) -> JobRow:
    uuid, index, name, stage, candidate, parents, on_missing, state, *flags = values
    stop_children, stop_flow, lost, n_atoms, *kind = flags
    return JobRow(
        uuid=uuid,
        index=index,
        name=name,
        stage=stage,
        candidate=candidate,
        parents=tuple(orjson.loads(parents)),
        on_missing=on_missing,
        state=state,
        stop_children=bool(stop_children),
        stop_flow=bool(stop_flow),
        lost=bool(lost),
        n_atoms=n_atoms,
        spawn_kind=kind[0] if kind else None,
    )
