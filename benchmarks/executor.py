"""200 two-atom CHGNet relaxations: two warm workers of ours against jobflow's run_locally.

Both run the same jobs, write to the same kind of store and are warm (one relaxation each before the
clock starts). What counts is wall time: two workers cannot need less CPU time than one process.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

from jobflow import Flow, JobStore, run_locally
from pymatgen.core import Lattice, Structure

from workflows.config import EngineSettings, RelaxSettings
from workflows.engines import batching
from workflows.execution.jobs import JobTable
from workflows.execution.local import LocalExecutor
from workflows.stages.relax import RelaxMaker
from workflows.store.sqlite import SqliteStore

N_RELAXATIONS = 200
N_WORKERS = 2
TOLERANCE_EV_PER_ATOM = 1e-6


def relaxations(number: int, offset_A: float = 0.0) -> Flow:
    """Rock-salt halides, each at a lattice constant of its own."""
    maker = RelaxMaker(EngineSettings(), RelaxSettings())
    jobs = []
    for i in range(number):
        cation, anion = ("Li", "Na", "K")[i % 3], ("F", "Cl", "Br", "I")[i // 3 % 4]
        a = {"Li": 5.1, "Na": 5.6, "K": 6.3}[cation] + {"F": -1, "Cl": 0, "Br": 0.35, "I": 0.8}[
            anion
        ]
        a = a * (0.97 + 0.06 * i / number) + offset_A
        lattice = Lattice([[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]])
        cell = Structure(lattice, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
        jobs.append(maker.make(cell, cation, {"candidate": str(i)}))
    return Flow(jobs)


def energies_eV_per_atom(store: JobStore) -> dict[str, float]:
    return {
        document["uuid"]: document["output"]["result"]["energy_eV_per_atom"]
        for document in store.query({})
    }


def job_store(folder: Path) -> JobStore:
    folder.mkdir()
    store = JobStore(SqliteStore(folder / "results.sqlite"))
    store.connect()
    return store


def main() -> None:
    warnings.filterwarnings("ignore", "cd is deprecated")  # run_locally's own
    warnings.filterwarnings("ignore", "Some jobs are not connected")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        theirs = job_store(folder / "theirs")
        run_locally(relaxations(1, offset_A=0.1), store=theirs, log=False, root_dir=folder)
        flow = relaxations(N_RELAXATIONS)
        start_s = time.perf_counter()
        run_locally(flow, store=theirs, log=False, root_dir=folder)
        their_wall_s = time.perf_counter() - start_s

        ours = job_store(folder / "ours")
        table = JobTable(folder / "ours" / "results.sqlite")
        with LocalExecutor(
            table, ours, folder / "work", N_WORKERS, batching=partial(batching, EngineSettings())
        ) as executor:
            executor.run(relaxations(2 * N_WORKERS, offset_A=0.1))
            flow = relaxations(N_RELAXATIONS)
            start_s = time.perf_counter()
            summary = executor.run(flow)
            our_wall_s = time.perf_counter() - start_s

        mine, reference = energies_eV_per_atom(ours), energies_eV_per_atom(theirs)
        common = mine.keys() & reference.keys()
        worst = max(abs(mine[key] - reference[key]) for key in common)
    correct = len(common) >= N_RELAXATIONS and summary.n_failed == 0
    correct = correct and worst < TOLERANCE_EV_PER_ATOM
    print(f"run_locally {their_wall_s:.1f} s, {N_WORKERS} workers {our_wall_s:.1f} s wall time")
    print(f"largest difference of an energy: {worst:.1e} eV/atom over {len(common)} relaxations")
    print(
        json.dumps(
            {
                "benchmark": "executor",
                "ratios": {"vs_run_locally": their_wall_s / our_wall_s},
                "correct": correct,
                "wall_s": {"run_locally": their_wall_s, "ours": our_wall_s},
                "clock": "wall time",
            }
        )
    )


if __name__ == "__main__":
    main()
