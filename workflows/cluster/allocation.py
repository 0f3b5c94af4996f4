"""What runs in an allocation of a cluster: one jobflow job that runs many of a campaign's jobs.

Each runs in a folder of its own that does not depend on the allocation, so that a job whose
allocation ended finds its checkpoints in the next one. The cores of the allocation are warm worker
processes, as on one machine; before the wall time ends, what still runs is broken off.

`python -m workflows.cluster.allocation FOLDER` is what jobflow-remote's job scripts call.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import gc
import os
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import Job, JobStore, OnMissing, OutputReference, job
from monty.json import jsanitize
from pydantic import BaseModel

from workflows.cluster.answers import ANSWERS, Answer, Unfinished, append, cut_torn_record
from workflows.cluster.translation import STARTED_AT
from workflows.config import EngineSettings
from workflows.execution.jobs import JobRecord, JobTable, Key, Outcome
from workflows.execution_settings import ExecutionSettings

if TYPE_CHECKING:
    from maggma.core import Store

    from workflows.execution.events import JobEvent

_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}  # of some file systems of clusters
_LONGEST_END_S = 30.0
_SHARE_OF_END = 0.1
"""So much of a wall time, but at most half a minute, is left for breaking off and saying so."""


class Terms(BaseModel):
    """How an allocation runs its jobs; decides no result."""

    engine: EngineSettings
    execution: ExecutionSettings
    work_root: str
    n_processes: int
    cores_per_process: int
    wall_time_h: float | None


def queue_job(uuid: str, name: str, records: Iterable[JobRecord], terms: Terms) -> Job:
    """The job that jobflow-remote gets: it runs `records`, and fetches what they refer to."""
    records = list(records)
    parents = {parent for record in records for parent in _referred_to(record)}
    made = run_in_allocation(
        [_packed(record) for record in records],
        {parent: OutputReference(parent) for parent in sorted(parents)},
        terms.model_dump(mode="json"),
    )
    made.set_uuid(uuid)
    made.name = name
    made.config.on_missing_references = OnMissing.NONE
    return made


@job
def run_in_allocation(
    packed: list[str], parents: dict[str, Any], terms: dict[str, Any]
) -> dict[str, int]:
    """Run jobs with the answers of their parents; what they answer goes into a file."""
    folder = Path.cwd()
    with _only_one(folder):
        return _run([_unpacked(text) for text in packed], parents, Terms(**terms), folder)


def _run(
    records: list[JobRecord], parents: dict[str, Any], terms: Terms, folder: Path
) -> dict[str, int]:
    from functools import partial

    from workflows.cost.cores import jobs_take
    from workflows.engines import batching
    from workflows.execution.local import LocalExecutor
    from workflows.vasp.execution import ENDS_AT, processes_execute

    answers = folder / ANSWERS
    answered = {r.key for r in cut_torn_record(answers) if isinstance(r, Answer)}
    left = [record for record in records if record.key not in answered]
    until_s, last_start_s = _deadlines(terms)
    if until_s is not None:
        os.environ[ENDS_AT] = f"{until_s:.0f}"
    fractions: dict[Key, float] = {}

    def note(event: JobEvent) -> None:
        fractions[event.key] = event.fraction

    with (
        _scratch_store(parents) as store,
        jobs_take(terms.cores_per_process),
        processes_execute(terms.execution.model_copy(update={"wall_time_h": None})),
    ):
        table = JobTable(Path(":memory:"))

        def keep(key: Key, outcome: Outcome) -> None:
            append(answers, _answer(key, outcome, store))

        with LocalExecutor(
            table,
            store,
            Path(terms.work_root),
            min(terms.n_processes, len(left)),
            _preload(left, terms.engine),
            note,
            partial(batching, terms.engine),
            keep,
        ) as executor:
            summary = executor.run_records(left, until_s=until_s, last_start_s=last_start_s)
        unfinished = list(
            table.select("select uuid, idx, attempts from jobs where state = 'waiting'")
        )
    for *key, n_attempts in unfinished:
        fraction = fractions.get((key[0], key[1]), 0.0)
        append(answers, Unfinished((key[0], key[1]), fraction, was_started=n_attempts > 0))
    return {"n_answered": summary.n_executed, "n_unfinished": len(unfinished)}


def _preload(records: list[JobRecord], engine: EngineSettings) -> tuple[str, ...]:
    """What workers import before their first job: no more than these jobs need."""
    if engine.runs_vasp:
        return "workflows.vasp.relaxation", "workflows.vasp.dynamics"
    if any(record.stage == "relax" for record in records):
        return "screening.potential.evaluation", "atomate2.forcefields.jobs"
    return ("screening.potential.evaluation",)


def _deadlines(terms: Terms) -> tuple[float | None, float | None]:
    """When jobs are broken off, and after when none is started: seconds since the epoch.

    The time counts from the first line of the job script: modules and imports take some of it.
    """
    if terms.wall_time_h is None:
        return None, None
    wall_time_s = 3600 * terms.wall_time_h
    said = os.environ.get(STARTED_AT, "")
    started_s = float(said) if said.isdecimal() else time.time()
    until_s = started_s + wall_time_s - min(_LONGEST_END_S, _SHARE_OF_END * wall_time_s)
    if not terms.engine.runs_vasp:
        return until_s, until_s
    return until_s, until_s - 60 * terms.execution.stop_before_min


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Wait for another allocation of the same folder: a submission may have been repeated."""
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield


@contextlib.contextmanager
def _scratch_store(parents: dict[str, Any]) -> Iterator[JobStore]:
    """A store on this node alone, which holds what the jobs refer to."""
    from workflows.store.arrays import ArrayFileStore
    from workflows.store.sqlite import SqliteStore

    with tempfile.TemporaryDirectory(prefix="halideflow-") as folder:
        database = Path(folder) / "results.sqlite"
        store = JobStore(
            SqliteStore(database),
            additional_stores={"data": ArrayFileStore(database, Path(folder) / "arrays")},
        )
        store.connect()
        known = [
            {
                "uuid": uuid,
                "index": 1,
                "output": jsanitize(output, strict=True, enum_values=True),
            }
            for uuid, output in parents.items()
            if output is not None
        ]
        store.docs_store.update(known, key=["uuid", "index"])
        try:
            yield store
        finally:
            store.close()  # type: ignore[no-untyped-call]  # jobflow is not typed here


def _answer(key: Key, outcome: Outcome, store: JobStore) -> Answer:
    uuid, index = key
    arrays: Store = store.additional_stores["data"]  # type: ignore[has-type]
    return Answer(
        key,
        outcome,
        list(store.docs_store.query({"uuid": uuid, "index": index})),
        list(arrays.query({"job_uuid": uuid, "job_index": index})),
    )


def _referred_to(record: JobRecord) -> set[str]:
    """Jobs whose answers a job needs; the graph knows only of those in its own part."""
    import orjson
    from jobflow.core.reference import find_and_get_references

    if b"OutputReference" not in record.spec:
        return set()
    spec = orjson.loads(record.spec)
    inputs = (spec["function_args"], spec["function_kwargs"])
    return {reference.uuid for reference in find_and_get_references(inputs)}


def _packed(record: JobRecord) -> str:
    """A job as text: jobflow must not take it for one of its own."""
    import orjson

    fields = asdict(record)
    fields["spec"] = fields["spec"].decode()
    return base64.b64encode(zlib.compress(orjson.dumps(fields))).decode("ascii")


def _unpacked(text: str) -> JobRecord:
    import orjson

    fields = orjson.loads(zlib.decompress(base64.b64decode(text)))
    fields["spec"] = fields["spec"].encode()
    fields["parents"] = tuple(fields["parents"])
    return JobRecord(**fields)


def main() -> None:
    """Run the jobflow job in a folder, as jobflow-remote wrote it there."""
    from jobflow_remote.jobs.run import run_remote_job

    gc.freeze()  # what was imported stays, and is not searched for garbage, not even at the end
    warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)  # jobflow-remote's use
    run_remote_job(sys.argv[1])


if __name__ == "__main__":
    main()
