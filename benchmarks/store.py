"""What it costs to store one document (SqliteStore, maggma's embedded stores), and to read 10,000.

A document of 17 kB is stored by one `update` call, as a job does, in a store that holds 500. Ours
is on disk when the call returns (write-ahead log, fsync on each commit). The peers run as maggma
sets them up, which promises less: JSONStore rewrites its whole file in place without fsync, and
MontyStore leaves the moment of the fsync to SQLite. The updates of the stores alternate, so that
whatever else the machine does strikes all of them.

Both clocks are shown, as medians over the updates: CPU time of the process, and wall time, which
includes waiting for the disk. The ratio is that of the clock which favours us less.

Then status and rank of a finished campaign of 10,000 candidates, in wall time.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from large_campaign import N_CANDIDATES, write_large_campaign, write_ranking
from maggma.core import Store
from maggma.stores import JSONStore, MontyStore

from workflows.read_model import CampaignResults
from workflows.results import ResultsFolder
from workflows.store.sqlite import SqliteStore

N_STORED = 500
N_MEASURED = 30
READING_LIMIT_S = 1.0
FLOOR = 20.0

Document = dict[str, Any]


@dataclass
class Contender:
    """A store, how to fill it quickly, and what each of its measured updates cost."""

    label: str
    store: Store
    fill: Callable[[list[Document]], Any]
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)

    def insert(self, document: Document) -> None:
        """Store a document, on the clock."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.store.update(document, key=["uuid", "index"])
        self.cpu_s.append(time.process_time() - cpu)
        self.wall_s.append(time.perf_counter() - wall)

    @property
    def cost_ms(self) -> dict[str, float]:
        """What one update costs, by either clock."""
        return {
            "cpu": round(1000 * median(self.cpu_s), 2),
            "wall": round(1000 * median(self.wall_s), 2),
        }

    def holds(self, documents: list[Document]) -> bool:
        """Whether all documents come back equal, from the file and not from memory."""
        self.store.connect(force_reset=True)
        found = [
            {key: value for key, value in document.items() if key != "_id"}
            for document in self.store.query(sort={"uuid": 1})
        ]
        return found == documents and self.store.count({"metadata.candidate": "candidate-7"}) == 1


def document(number: int) -> Document:
    """The answer of a relaxation of 98 atoms: 17 kB of JSON."""
    rng = np.random.default_rng(number)
    sites = [
        {"species": "K", "abc": row, "forces_eV_per_A": rng.normal(size=3).tolist()}
        for row in rng.random((98, 3)).tolist()
    ]
    return {
        "uuid": f"job-{number:06d}",
        "index": 1,
        "name": "relax",
        "metadata": {"campaign": "benchmark", "candidate": f"candidate-{number}", "stage": "relax"},
        "output": {"state": "done", "energy_eV": float(rng.normal()), "structure": sites},
    }


def contenders(folder: Path) -> list[Contender]:
    """Ours first; the peers are filled past maggma's upserts, which would take minutes."""
    ours = SqliteStore(folder / "ours.sqlite")
    json_store = JSONStore(str(folder / "peer.json"), read_only=False, key="uuid")
    monty = MontyStore("documents", database_path=str(folder / "monty"), key="uuid")
    for store in (ours, json_store, monty):
        store.connect()
    return [
        Contender("SqliteStore (ours)", ours, ours.update),
        Contender("JSONStore", json_store, json_store._collection.insert_many),
        Contender("MontyStore (sqlite)", monty, monty._collection.insert_many),
    ]


def inserting() -> dict[str, Any]:
    """Ratios of the cost of one update, and whether all stores hold the same in the end."""
    documents = [document(number) for number in range(N_STORED)]
    size_kB = len(json.dumps(documents[0])) / 1000
    stored, measured = documents[:-N_MEASURED], documents[-N_MEASURED:]
    with tempfile.TemporaryDirectory() as folder:
        stores = contenders(Path(folder))
        for contender in stores:
            contender.fill([dict(one) for one in stored])
        for one in measured:
            for contender in stores:
                contender.insert(one)
        correct = all(contender.holds(documents) for contender in stores)
        for contender in stores:
            contender.store.close()

    print(f"one update of a document of {size_kB:.1f} kB, in a store of {N_STORED}")
    print(f"{'store':22}{'CPU ms':>10}{'wall ms':>10}{'CPU ratio':>12}{'wall ratio':>12}")
    costs_ms = {contender.label: contender.cost_ms for contender in stores}
    ours_ms, *_ = costs_ms.values()
    worse_ratios = []
    for label, cost_ms in costs_ms.items():
        ratios = {clock: cost_ms[clock] / ours_ms[clock] for clock in cost_ms}
        worse_ratios.append(round(min(ratios.values()), 1))
        columns = [f"{ms:10.2f}" for ms in cost_ms.values()]
        columns += [f"{ratio:12.1f}" for ratio in ratios.values()]
        print(f"{label:22}{''.join(columns)}")
    _, vs_json, vs_monty = worse_ratios
    return {
        "ratios": {"vs_jsonstore": vs_json, "vs_montystore": vs_monty},
        "correct": correct,
        "document_kB": round(size_kB, 1),
        "ms_per_document": costs_ms,
    }


def reading() -> dict[str, Any]:
    """Wall time of `status` and `rank` over 10,000 candidates, as a fresh process has it."""
    with tempfile.TemporaryDirectory() as name:
        folder = ResultsFolder(Path(name) / "large")
        config = write_large_campaign(folder.path)
        unranked_s, rows = timed(lambda: CampaignResults(config, folder).ranking())
        write_ranking(folder.path, config, rows)
        status_s, status = timed(lambda: CampaignResults(config, folder).status())
        rank_s, ranked = timed(lambda: CampaignResults(config, folder).ranking())
    print(
        f"{N_CANDIDATES} candidates: status {status_s:.2f} s, rank {rank_s:.2f} s, "
        f"rank while the run goes on {unranked_s:.2f} s"
    )
    ranks = [row.rank for row in ranked if row.rank is not None]
    complete = (
        sum(status["transport"].values()) == len(ranked) == N_CANDIDATES
        and ranked == rows
        and ranks == list(range(1, len(ranks) + 1))
        and len(ranks) > N_CANDIDATES / 3
    )
    return {
        "status_s": status_s,
        "rank_s": rank_s,
        "rank_while_running_s": unranked_s,
        "reading_correct": complete and max(status_s, rank_s) < READING_LIMIT_S,
    }


def timed(answer: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time of a call, and what it gave."""
    start_s = time.perf_counter()
    result = answer()
    return time.perf_counter() - start_s, result


def main() -> None:
    """Measure, print, and fail if a floor is broken."""
    result = {"benchmark": "store", **inserting(), **reading()}
    result["correct"] = result["correct"] and result.pop("reading_correct")
    result["floors_hold"] = result["correct"] and min(result["ratios"].values()) >= FLOOR
    print(json.dumps(result))
    if not result["floors_hold"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
