"""What Halideflow adds to jobflow-remote: sending thousands of candidates, and running each job.

Submission: `halideflow submit` of a campaign of thousands of candidates, from the command to the
last relaxation in jobflow-remote's database, as many jobs of the queue as there are candidates (the
worst case: VASP) and in batches (the embedded potential); wall time, and memory of all processes
together, each page counted for every process that has it. Against it stands a loop that makes the
same relaxations and hands each to jobflow-remote as a flow of its own.

Overhead: the same relaxations by the embedded potential, one job of the queue each, on a Slurm of
two cores: through `halideflow submit`, and at the same time through jobflow-remote alone, with its
own runner and its own command in the jobs. A `trap` at the start of every job script has the shell
write down, when it exits, the CPU time of all that ran in it. What runners take is added.

The queue database is the tests' stand-in, a process of its own that is slower than MongoDB and
serves both. Nothing starts while candidates are sent: the worker takes one job, and that sleeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import psutil
import pymongo
from pymatgen.core import Lattice, Structure

sys.path.append(str(Path(__file__).parents[1] / "tests" / "workflows" / "cluster"))
from queue_database import NAME, QueueDatabase
from slurm import SlurmCluster, is_available

MOST_SUBMISSION_S = 60.0
MOST_MEMORY_GB = 2.0
MOST_OVERHEAD = 0.10
SAME_ENERGY_EV_PER_ATOM = 1e-6
N_RELAXATIONS = 8
"""Of each size, one job of the queue each."""
N_BY_HAND = 150
"""Of the candidates are submitted by the loop, before ours and again after them."""

CLUSTER = """\
name: bench
scheduler: {scheduler}
scratch: {folder}/scratch
polling_s: 1
before: {before}
workers: {{main: {worker}}}
queue_database: {{host: {host}, port: {port}, database: {database}}}
"""
MANY = """\
name: many
engine: {{name: {engine}}}
candidates:
  families:
    - formula: A(3-x)M(1-x)M'(x)X6
      prototype: li3ycl6-p3m1
      elements: {{A: [Li], M: [Y, In, Sc, Er, Ho], M': [Zr], X: [Cl, Br, I]}}
      x: {{min: 0.2, max: 0.8}}
      max_orderings: 1000
execution: {{cluster: bench}}
"""
FEW = """\
name: few
candidates:
  files: {files}
dynamics: null
execution: {{cluster: bench, resources: {{relax: {resources}}}}}
"""


@dataclass
class Spent:
    """What the processes of a campaign took, here."""

    wall_s: float
    peak_GB: float
    cpu_s: dict[str, float] = field(default_factory=dict)


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="halideflow-") as name:
        folder = Path(name)
        os.environ["JFREMOTE_PROJECTS_FOLDER"] = str(folder / "projects")  # read when imported
        os.environ["OMP_NUM_THREADS"] = "1"
        (folder / "projects").mkdir()
        with QueueDatabase.start(folder / "database") as database:
            submitted = submission(folder / "submission", database)
            overheads = overhead(folder / "overhead", database)
    results = [submitted, *([overheads] if overheads else [])]
    print(
        json.dumps(
            {
                "benchmark": "cluster",
                "ratios": {key: ratio for each in results for key, ratio in each["ratios"].items()},
                "correct": all(each["correct"] for each in results),
                "submission": submitted["found"],
                "overhead": overheads["found"] if overheads else "Slurm is not installed",
                "clock": "wall time of submission, CPU time of relaxations",
            }
        )
    )


# Submission.


def submission(folder: Path, database: QueueDatabase) -> dict[str, Any]:
    """Both engines, and the loop that a user would write."""
    init_cluster(folder, database, "shell", ["exec sleep 3600"], {"max_jobs": 1})
    by_hand = ByHand(folder, database)
    by_hand.submit(N_BY_HAND)
    single = submitted(folder, database, "rehearsal")
    by_hand.submit(N_BY_HAND)
    batched = submitted(folder, database, "chgnet")
    per_job_s = single.wall_s / single.n_candidates
    print(
        f"{single.n_candidates} candidates in jobflow-remote's database after {single.wall_s:.1f} s "
        f"as {single.n_queue_jobs} jobs of the queue ({single.peak_GB:.2f} GB), after "
        f"{batched.wall_s:.1f} s in {batched.n_queue_jobs} batches ({batched.peak_GB:.2f} GB)\n"
        f"one relaxation: ours {1e3 * per_job_s:.1f} ms, by hand {1e3 * by_hand.add_flow_s:.1f} ms "
        f"with one JobController, {1e3 * by_hand.submit_flow_s:.1f} ms with submit_flow"
    )
    slowest, largest = max(single.wall_s, batched.wall_s), max(single.peak_GB, batched.peak_GB)
    known = by_hand.uuids <= single.uuids
    return {
        "ratios": {"submission_per_job": by_hand.add_flow_s / per_job_s},
        "correct": known
        and min(single.n_candidates, batched.n_candidates) >= 5000
        and slowest <= MOST_SUBMISSION_S
        and largest < MOST_MEMORY_GB,
        "found": {
            "n_candidates": single.n_candidates,
            "wall_s": {"one each": single.wall_s, "batches": batched.wall_s},
            "peak_GB": {"one each": single.peak_GB, "batches": batched.peak_GB},
            "cpu_s": {"one each": single.cpu_s, "batches": batched.cpu_s},
            "per_job_s": {
                "ours": per_job_s,
                "add_flow": by_hand.add_flow_s,
                "submit_flow": by_hand.submit_flow_s,
            },
        },
    }


@dataclass
class Submitted(Spent):
    """A campaign whose relaxations are all in jobflow-remote's database."""

    n_candidates: int = 0
    n_queue_jobs: int = 0
    uuids: set[str] = field(default_factory=set)


def submitted(folder: Path, database: QueueDatabase, engine: str) -> Submitted:
    """Submit all candidates, and throw them away."""
    config = folder / f"{engine}.yaml"
    config.write_text(MANY.format(engine=engine))

    def is_done() -> bool:
        ((n_left, n_queue_jobs),) = rows(
            config,
            "select (select count(*) from jobs where stage = 'relax' and state = 'waiting'), "
            "count(*) from queue_jobs",
        ) or ((0, 0),)
        return n_queue_jobs > 0 and not n_left and in_database(database, engine) == n_queue_jobs

    with submitting(config) as driver:
        spent = watch(driver, is_done)
    found = rows(config, "select uuid from jobs where stage = 'relax'")
    ((n_queue_jobs,),) = rows(config, "select count(*) from queue_jobs")
    for process in psutil.process_iter(["name", "cwd"]):  # the job that sleeps
        if process.info["name"] == "sleep" and str(process.info["cwd"]).startswith(str(folder)):
            process.kill()
    return Submitted(
        **vars(spent),
        n_candidates=len(found),
        n_queue_jobs=n_queue_jobs,
        uuids={uuid for (uuid,) in found},
    )
