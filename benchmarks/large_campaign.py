"""A campaign of thousands of candidates on disk: made-up numbers in documents of real shape.

Its candidates are those of a real enumeration of mixed chlorides, each of which stands for many
orderings. Failures, rejections by several gates, suspect candidates, lost runs and upper bounds are
all there, and jobs have specifications of real size; it was run on a cluster.

A campaign that runs has no ranking, and some of its jobs are left: waiting, running on the cluster,
in its queue, or paused. Whoever holds `ResultsFolder.locked()` makes it look being run.
"""

from __future__ import annotations

import re
import sqlite3
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jobflow import CURRENT_JOB
from large_campaign_documents import (
    DEAD,
    EXPLODED,
    GATES,
    RELAX_FAILURES,
    TEMPERATURES_K,
    Hull,
    Moved,
    Plain,
    at_temperature,
    dynamics,
    hulls,
    plain,
    relaxation,
    transports,
    with_energy,
)

from screening.candidates import enumerate_candidates
from screening.documents import Candidate, Failure, Rejection
from screening.ranked import RankedCandidate, Ranking
from screening.transport.trajectory import Trajectory
from workflows.campaign import build_campaign, formula_flow
from workflows.config import CampaignConfig
from workflows.config_file import load_campaign
from workflows.execution.jobs import JobRecord, JobTable, Key, Outcome
from workflows.execution.orders import Orders
from workflows.execution.selection import Selection
from workflows.execution.worker import records_of
from workflows.results import ResultsFolder
from workflows.stages.transport import TransportMaker
from workflows.store.codec import encode
from workflows.store.columns import to_column

N_CANDIDATES, N_JOBS = 10_000, 50_000
CONFIG = f"""\
name: large
description: made up, to measure how readers fare
results_dir: .
candidates:
  families:
    - formula: A(2+x)Zr(1-x)M(x)Cl6
      prototype: k2ptcl6
      elements: {{A: [K, Na, Li], M: [Y, Sc, In]}}
      x: [0, 0.25, 0.5, 0.75, 1]
dynamics: {{temperatures_K: {[int(t) for t in TEMPERATURES_K]}, timestep_fs: 2.0}}
gates: {{{", ".join(f"{name}: {value}" for name, value in GATES if value is not None)}}}
execution: {{cluster: large, budget_core_hours: 100000}}
"""
VERSIONS = {"halideflow": "0.1.0", "chgnet": "0.4.2", "torch": "2.9.0", "jobflow": "0.4.0"}
# Shares of all candidates.
FAILED, ABOVE_LOWEST = 0.03, 0.02
# Of a campaign that runs.
RELAXED, MEASURED = 0.97, 0.55
N_RUNNING, N_QUEUED = 6, 120
JOBS_A_BATCH = 50
ROWS_A_TRANSACTION = 2000
# When each stage began, seconds after the run, and how long one job of it takes.
BEGAN_S = {"relax": 10.0, "stability": 40_000.0, "transport": 45_000.0, "dynamics": 50_000.0}
TAKES_S = {"relax": 42.0, "dynamics": 3500.0}
CORES_OF_A_BATCH = 32


@dataclass(frozen=True)
class Kind:
    """A real candidate, which stands for many orderings of its composition."""

    candidate: Candidate
    records: dict[str, JobRecord]  # by stage; runs by their temperature
    entry: str
    relaxed: Plain
    sound: list[Hull]
    broken: list[Hull]

    @classmethod
    def of(cls, candidate: Candidate, config: CampaignConfig) -> Kind:
        """With its jobs, as a campaign makes them."""
        assert config.dynamics is not None
        larger = candidate.structure.copy()
        larger.scale_lattice(1.01 * larger.volume)
        other = candidate.model_copy(update={"id": "other", "structure": larger})
        flow, (entry, _) = formula_flow([candidate, other], config)  # two, so that they compete
        records = {
            record.stage or "": record
            for record in records_of(flow)
            if record.candidate in (None, candidate.id)
        }
        (gate,) = (made for made in flow.jobs if made.uuid == records["transport"].uuid)
        maker = TransportMaker(config.engine, config.dynamics, config.gates)
        labels = {k: v for k, v in gate.metadata.items() if k not in ("stage", "fingerprint")}
        CURRENT_JOB.job = gate
        measuring = maker.measure(entry.relax, candidate.mobile_ion, labels)
        CURRENT_JOB.reset()
        for record in records_of(measuring, "replace"):
            temperature_K = orjson.loads(record.spec)["metadata"].get("temperature_K", "fit")
            records[temperature_K] = record
        found = hulls(candidate)
        return cls(
            candidate=candidate,
            records=records,
            entry=orjson.dumps(plain(entry)).decode(),
            relaxed=relaxation(candidate),
            sound=[hull for hull in found if hull.rejection is None],
            broken=[hull for hull in found if hull.rejection is not None],
        )

    def ordering(self, number: int) -> Ordering:
        """One of those that it stands for."""
        name = f"{self.candidate.id.removesuffix('-1')}-{number}"
        words = {self.candidate.id: name}
        for stage, record in self.records.items():
            owner = self.candidate.id if stage in ("lowest", "polymorph") else name
            words[record.uuid] = _uuid(f"{owner} {'transport' if stage == 'fit' else stage}")
        words |= {_hex(old): _hex(new) for old, new in words.items() if old != self.candidate.id}
        return Ordering(self, name, words, re.compile("|".join(words)))


@dataclass(frozen=True)
class Ordering:
    """A candidate: the texts of its kind with names of its own."""

    kind: Kind
    id: str
    words: dict[str, str]
    pattern: re.Pattern[str]

    def renamed(self, text: str) -> str:
        """A text of the kind."""
        return self.pattern.sub(lambda found: self.words[found[0]], text)

    def record(self, stage: str) -> JobRecord:
        """A job of the kind, or of dynamics the one at a temperature."""
        record = self.kind.records[stage]
        return replace(
            record,
            uuid=self.words[record.uuid],
            candidate=record.candidate and self.id,
            parents=tuple(self.words.get(parent, parent) for parent in record.parents),
            spec=self.renamed(record.spec.decode()).encode(),
        )


@dataclass
class Row:
    """A job as the table has it, and what it answered."""

    record: JobRecord
    state: str = "waiting"
    output: Plain | None = None
    failure: Failure | None = None
    is_lost: bool = False


def write_large_campaign(
    folder: Path,
    n_candidates: int = N_CANDIDATES,
    n_jobs: int = N_JOBS,
    is_running: bool = False,
) -> CampaignConfig:
    """Everything but the ranking, in a new folder; `write_ranking` ends a campaign.

    Raises:
        ValueError: so many candidates have more jobs, or cannot have so many.
    """
    folder.mkdir(parents=True)
    (folder / "campaign.yaml").write_text(CONFIG)
    config = load_campaign(folder / "campaign.yaml")
    writer = _Writer(ResultsFolder(folder), config, is_running)
    writer.write(n_candidates, n_jobs)
    writer.close()
    return config


def write_ranking(folder: Path, config: CampaignConfig, rows: tuple[RankedCandidate, ...]) -> None:
    """What the ranking job leaves when a campaign ends."""
    results = ResultsFolder(folder)
    table = JobTable(results.database)
    ((identity,),) = table.select("select uuid from jobs where stage = 'rank'")
    output = plain(Ranking(campaign=config.name, candidates=rows))
    store = results.job_store(config.store)
    store.docs_store.update({"uuid": identity, "index": 1, "output": output}, ["uuid", "index"])
    store.close()
    table.start((identity, 1), time.time() - 60)
    table.finish((identity, 1), Outcome("done"), time.time() - 50)
    table.end_run(1, time.time() - 50)
    table.close()


class _Writer:
    """Makes candidates one after the other, and writes them in batches."""

    def __init__(self, folder: ResultsFolder, config: CampaignConfig, is_running: bool) -> None:
        self._config, self._is_running = config, is_running
        self._rng = np.random.default_rng(0)
        self._now = time.time()
        self._began_s = self._now - 6 * 86_400
        self._table = JobTable(folder.database)
        self._store = folder.job_store(config.store)
        self._connection = sqlite3.connect(folder.database, isolation_level=None)
        self._kinds = _kinds(config.model_dump_json())
        ions = sorted({kind.candidate.mobile_ion for kind in self._kinds})
        self._transports = {ion: transports(ion, self._rng) for ion in ions}
        self._run = self._run_with_trajectory(self._kinds[0].candidate)
        self._n_of_stage: Counter[str | None] = Counter()
        self._n_left = 0
        self._spawned: list[tuple[Any, ...]] = []

    def close(self) -> None:
        """Close the files."""
        self._connection.close()
        self._table.close()
        self._store.close()

    def write(self, n_candidates: int, n_jobs: int) -> None:
        """All candidates with their jobs, what these answered, and the queue."""
        n_moved = (n_jobs - 2 - 2 * len(self._kinds) - 3 * n_candidates) // len(TEMPERATURES_K)
        fates = self._fates(n_candidates, n_moved)
        began_s = self._began_s
        self._table.begin_run(self._config.name, self._config.model_dump_json(), VERSIONS, began_s)
        root, end = records_of(build_campaign(self._config, {}))
        entries: list[Plain] = []
        spawned: list[Row] = []
        rows: list[Row] = []
        n_of_kind = -(-n_candidates // len(self._kinds))
        for number, fate in enumerate(fates):
            kind = self._kinds[number // n_of_kind]
            ordering = kind.ordering(number % n_of_kind + 1)
            entries.append(orjson.loads(ordering.renamed(kind.entry)))
            chain = list(self._chain(ordering, fate))
            if number % n_of_kind == 0:
                lowest = {"energy_eV_per_atom": kind.sound[0].energy_eV_per_atom}
                for stage in ("polymorph", "lowest"):
                    chain.append(Row(ordering.record(stage), "done", lowest))
            spawned += [row for row in chain if row.record.spawn_kind is None]
            rows += chain
            if len(rows) > ROWS_A_TRANSACTION or number == n_candidates - 1:
                self._write_rows(rows)
                rows = []
        left_out = [{"formula": "K2.5Zr0.5In0.5Cl6", "reason": "K10 Zr2 In2 Cl24: more sites"}]
        enumeration = {"candidates": entries, "left_out": left_out}
        self._note_spawned(root.key, [row.record for row in spawned], "detour")
        self._write_rows([Row(root, "done", enumeration), Row(end)])
        self._write_queue()
        if self._is_running:
            orders = Orders(self._table)
            orders.pause(Selection(stage="relax"))
            orders.pause(Selection(candidate=entries[n_candidates // 2]["candidate"]["id"]))

    def _fates(self, n_candidates: int, n_moved: int) -> list[str]:
        """What becomes of each candidate."""
        n_relaxed = round(RELAXED * n_candidates) if self._is_running else n_candidates
        n_failed, n_above = round(FAILED * n_candidates), round(ABOVE_LOWEST * n_candidates)
        n_broken = n_relaxed - n_moved - n_failed - n_above
        if n_moved < 0 or n_broken < 0:
            raise ValueError(f"{n_candidates} candidates, of which {n_moved} would be moved")
        fates = ["moved"] * n_moved + ["failed"] * n_failed
        fates += ["above lowest"] * n_above + ["broken"] * n_broken
        if self._is_running:
            n_measured = round(MEASURED * n_moved)
            fates[n_measured:n_moved] = ["moving"] * (n_moved - n_measured)
        self._rng.shuffle(fates)
        return fates + ["unrelaxed"] * (n_candidates - n_relaxed)

    def _chain(self, ordering: Ordering, fate: str) -> Iterator[Row]:
        """The jobs of a candidate, in the order in which they are spawned."""
        kind = ordering.kind
        relax, stability, gate = map(ordering.record, ("relax", "stability", "transport"))
        if fate == "unrelaxed":
            yield Row(relax, self._left())
            yield from (Row(stability), Row(gate))
            return
        if fate == "failed":
            failure = (*RELAX_FAILURES, DEAD)[self._rng.integers(len(RELAX_FAILURES) + 1)]
            is_lost = failure is DEAD
            answer = None if is_lost else _stage("failed", failure=failure.model_dump(mode="json"))
            yield Row(relax, "failed", answer, failure, is_lost)
            yield from (Row(made, "skipped", _stage("skipped")) for made in (stability, gate))
            return
        found = kind.broken if fate == "broken" else kind.sound
        hull = found[self._rng.integers(len(found))]
        yield Row(relax, "done", with_energy(kind.relaxed, hull.energy_eV_per_atom))
        yield Row(stability, "done", hull.document)
        rejection = hull.rejection
        if fate == "above lowest":
            threshold = GATES.max_e_above_lowest_eV_per_atom or 0.0
            rejection = Rejection(
                gate="max_e_above_lowest_eV_per_atom",
                value=threshold + float(self._rng.exponential(0.1)),
                threshold=threshold,
            )
        if rejection is not None:
            yield Row(gate, "rejected", _stage("rejected", rejection=rejection.model_dump()))
            return
        yield Row(gate, "done")
        of_ion = self._transports[kind.candidate.mobile_ion]
        moved = of_ion[self._rng.integers(len(of_ion))]
        runs = [self._run_of(ordering, T, moved, fate == "moving") for T in TEMPERATURES_K]
        fit = Row(ordering.record("fit"))
        if fate == "moved":
            fit.state, fit.output = moved.document["state"], moved.document
            fit.failure = EXPLODED if fit.state == "failed" else None
        self._note_spawned(gate.key, [row.record for row in (*runs, fit)], "replace")
        yield from (*runs, fit)

    def _run_of(self, ordering: Ordering, temperature_K: float, moved: Moved, is_left: bool) -> Row:
        record = ordering.record(f"{temperature_K:g}")
        if is_left:
            return Row(record, self._left())
        is_exploded = temperature_K in moved.failed_K
        return Row(
            record,
            "failed" if is_exploded else "done",
            at_temperature(self._run, temperature_K, is_exploded),
            EXPLODED if is_exploded else None,
        )

    def _left(self) -> str:
        """Of what is left to do, the first jobs run, the next are in the queue."""
        self._n_left += 1
        if self._n_left <= N_RUNNING:
            return "running"
        return "queued" if self._n_left <= N_RUNNING + N_QUEUED else "waiting"

    def _run_with_trajectory(self, candidate: Candidate) -> Plain:
        """A run as the store keeps it, which names its arrays; all runs share these."""
        document = {"uuid": "", "index": 0, "output": dynamics(candidate, self._rng)}
        self._store.update(document, ["uuid"], save={"data": [Trajectory]})
        (stored,) = self._store.docs_store.query({"uuid": ""})
        self._store.docs_store.remove_docs({"uuid": ""})
        run: Plain = stored["output"]
        return run

    def _write_rows(self, rows: list[Row]) -> None:
        documents = [
            {
                "uuid": row.record.uuid,
                "index": row.record.index,
                "output": row.output,
                "completed_at": "2026-11-30T19:39:00.543134",
                "metadata": orjson.loads(row.record.spec)["metadata"],
                "hosts": [_uuid(f"host {n} {row.record.uuid}") for n in range(4)],
                "name": row.record.name,
            }
            for row in rows
            if row.output is not None
        ]
        table = self._store.docs_store._table
        with table.transaction():  # past `update`, which looks whether all of it is plain
            for document in documents:
                values = {path: to_column(document, path) for path in table.columns}
                table.put(None, values, encode(document))
        self._connection.execute("begin immediate")
        self._connection.executemany("insert into spawned values (?, ?, ?, ?, ?, ?)", self._spawned)
        self._spawned.clear()
        self._connection.executemany(
            "insert into jobs (uuid, idx, name, stage, candidate, parents, on_missing, spec, "
            "n_atoms, run, state, attempts, started_at, ended_at, lost, code, message, log_tail, "
            "n_steps, core_hours) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            map(self._values, rows),
        )
        self._connection.execute("commit")

    def _values(self, row: Row) -> tuple[Any, ...]:
        record, failure = row.record, row.failure
        number = self._n_of_stage[record.stage]
        self._n_of_stage[record.stage] += 1
        takes_s = TAKES_S.get(record.stage or "", 0.3) * self._rng.uniform(0.5, 1.5)
        started_at = self._began_s + BEGAN_S.get(record.stage or "", 0.0) + 8 * number
        is_over = row.state not in ("waiting", "queued", "running")
        if row.state == "running":
            started_at = self._now - 900.0
        return (
            *record.key,
            record.name,
            record.stage,
            record.candidate,
            orjson.dumps(record.parents).decode(),
            record.on_missing,
            zlib.compress(record.spec, 1),
            record.n_atoms,
            row.state,
            int(is_over or row.state == "running") + (number % 13 == 0),
            started_at if is_over or row.state == "running" else None,
            started_at + takes_s if is_over else None,
            row.is_lost,
            failure and failure.code,
            failure and failure.message,
            failure and failure.log_tail,
            500 if is_over and record.stage in TAKES_S else None,
            takes_s / 3600 if is_over else None,
        )

    def _note_spawned(self, spawner: Key, records: Iterable[JobRecord], kind: str) -> None:
        self._spawned += [
            (*spawner, position, kind, *record.key) for position, record in enumerate(records)
        ]

    def _write_queue(self) -> None:
        """Batches of the jobs that a cluster takes."""
        sent = self._connection.execute(
            "select state, uuid, idx, started_at, ended_at, core_hours, stage from jobs where "
            "stage in ('relax', 'dynamics') and state != 'waiting' "
            "order by stage, state in ('queued', 'running'), state = 'queued', rowid"
        ).fetchall()
        self._connection.execute("begin immediate")
        for (stage, state), jobs in groupby(
            sent, key=lambda row: (row[-1], row[0] if row[0] in ("queued", "running") else "ended")
        ):
            of_state = list(jobs)
            for first in range(0, len(of_state), JOBS_A_BATCH):
                batch = of_state[first : first + JOBS_A_BATCH]
                name = _uuid(f"queue job {first} {state} {stage}")
                started_at = None if state == "queued" else min(row[3] for row in batch)
                ended = state == "ended"
                self._connection.execute(
                    "insert into queue_jobs values (?, ?, 'large', ?, 24, 64, ?, ?, ?, ?, ?, ?, ?, "
                    "?)",
                    (
                        name,
                        stage,
                        CORES_OF_A_BATCH,
                        (started_at or self._now) - 600,
                        str(4_100_000 + first),
                        f"/scratch/large/{name}",
                        started_at,
                        max(row[4] for row in batch) if ended else None,
                        1.1 * sum(row[5] for row in batch) if ended else None,
                        "sent" if state == "queued" else state,
                        "in line: priority" if state == "queued" else None,
                    ),
                )
                self._connection.executemany(
                    "insert into queue_job_parts values (?, ?, ?)",
                    [(name, identity, index) for _, identity, index, *_ in batch],
                )
        self._connection.execute("commit")


@cache
def _kinds(config_json: str) -> list[Kind]:
    """One a composition."""
    config = CampaignConfig.model_validate_json(config_json)
    return [
        Kind.of(candidate, config)
        for candidate in enumerate_candidates(config.candidates).candidates
        if candidate.origin.ordering == 1
    ]


def _stage(state: str, **decided: Any) -> Plain:
    nothing = {"failure": None, "rejection": None, "wall_time_s": 0.1, "result": None}
    return {"state": state, **nothing, **decided}


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _hex(identity: str) -> str:
    """As fingerprints begin."""
    return identity.replace("-", "")
