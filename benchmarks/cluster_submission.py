"""Sending thousands of candidates: `halideflow submit`, and the loop that a user would write."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil
import pymongo
from cluster_campaigns import (
    ALONE,
    NAME,
    Part,
    QueueDatabase,
    Spent,
    init_cluster,
    project_alone,
    rows,
    submitting,
    watch,
)

N_CANDIDATES = 5000
MOST_SUBMISSION_S = 60.0
MOST_MEMORY_GB = 2.0
N_BY_HAND = 150
"""So many candidates go through the loop before our submission, and as many after it."""

MANY = """\
name: {name}
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


@dataclass
class Submitted(Spent):
    """A campaign whose relaxations are all in jobflow-remote's database."""

    uuids: set[str] = field(default_factory=set)
    n_queue_jobs: int = 0


def submission(folder: Path, database: QueueDatabase) -> Part:
    """Both engines, and the loop that a user would write."""
    init_cluster(folder, database, "shell", ["exec sleep 3600"], {"max_jobs": 1})
    by_hand = ByHand(folder)
    by_hand.submit(N_BY_HAND)
    single = submitted(folder, database, "rehearsal")
    by_hand.submit(N_BY_HAND)
    batches = submitted(folder, database, "chgnet")
    our_s = single.wall_s / len(single.uuids)
    their_s = by_hand.seconds("add_flow")
    print(
        f"{len(single.uuids)} candidates are in jobflow-remote's database after "
        f"{single.wall_s:.1f} s as {single.n_queue_jobs} jobs of the queue "
        f"({single.peak_GB:.2f} GB), after {batches.wall_s:.1f} s as {batches.n_queue_jobs} "
        f"batches ({batches.peak_GB:.2f} GB)\n"
        f"one of them: {1e3 * our_s:.1f} ms, by hand {1e3 * their_s:.1f} ms with one "
        f"JobController, {1e3 * by_hand.seconds('submit_flow'):.1f} ms with submit_flow"
    )
    both = {"one each": single, "batches": batches}
    correct = by_hand.uuids <= single.uuids and all(
        len(each.uuids) >= N_CANDIDATES
        and each.wall_s <= MOST_SUBMISSION_S
        and each.peak_GB < MOST_MEMORY_GB
        for each in both.values()
    )
    found = {
        "n_candidates": len(single.uuids),
        "submission_wall_s": {name: each.wall_s for name, each in both.items()},
        "submission_peak_GB": {name: each.peak_GB for name, each in both.items()},
        "submission_cpu_s": {name: each.cpu_s for name, each in both.items()},
        "submission_per_job_s": {
            "ours": our_s,
            "add_flow": their_s,
            "submit_flow": by_hand.seconds("submit_flow"),
        },
    }
    return Part({"submission_per_job": their_s / our_s}, correct, found)


def submitted(folder: Path, database: QueueDatabase, engine: str) -> Submitted:
    """Submit all candidates, wait until the last is in the database, and leave it at that."""
    config = folder / f"{engine}.yaml"
    config.write_text(MANY.format(name=engine, engine=engine))
    relaxations = "from jobs where stage = 'relax'"

    def is_done() -> bool:
        n_jobs = n_queue_jobs(config)
        left = rows(config, f"select 1 {relaxations} and state = 'waiting' limit 1")
        return n_jobs > 0 and not left and n_in_database(database, f"bench_{engine}_") == n_jobs

    with submitting(config) as driver:
        spent = watch(driver, config, is_done)
    for process in psutil.process_iter(["name", "cwd"]):  # the job that sleeps
        if process.info["name"] == "sleep" and str(process.info["cwd"]).startswith(str(folder)):
            process.kill()
    uuids = {uuid for (uuid,) in rows(config, f"select uuid {relaxations}")}
    return Submitted(**vars(spent), uuids=uuids, n_queue_jobs=n_queue_jobs(config))


def n_queue_jobs(config: Path) -> int:
    """That a campaign has noted."""
    return sum(number for (number,) in rows(config, "select count(*) from queue_jobs"))


def n_in_database(database: QueueDatabase, project: str) -> int:
    """Jobs that jobflow-remote knows of a project, by the start of its name."""
    with pymongo.MongoClient(database.host, database.port) as client:
        collections = client[NAME].list_collection_names()
        return sum(
            client[NAME][name].estimated_document_count()
            for name in collections
            if name.startswith(project) and name.endswith("_jobs")
        )


class ByHand:
    """A loop that makes the relaxations of candidates and gives each to jobflow-remote."""

    def __init__(self, folder: Path) -> None:
        from screening.candidates import enumerate_candidates
        from workflows.config_file import load_campaign

        config = folder / "by_hand.yaml"
        config.write_text(MANY.format(name="by_hand", engine="rehearsal"))
        self._config = load_campaign(config)
        self._controller = project_alone(folder)
        start_s = time.perf_counter()
        self._candidates = enumerate_candidates(self._config.candidates, {}).candidates
        self._enumeration_s = (time.perf_counter() - start_s) / len(self._candidates)
        self._times_s: dict[str, list[float]] = defaultdict(list)
        self._n_done = 0
        self.uuids: set[str] = set()

    def submit(self, number: int) -> None:
        """The next so many candidates; every third by what jobflow-remote's documentation shows."""
        from jobflow import Flow
        from jobflow_remote import submit_flow

        from workflows.stages.relax import RelaxMaker

        maker = RelaxMaker(self._config.engine, self._config.relax)
        for i in range(self._n_done, self._n_done + number):
            candidate = self._candidates[i]
            way = "add_flow" if i % 3 else "submit_flow"
            start_s = time.perf_counter()
            job = maker.make(candidate.structure, candidate.mobile_ion, {"candidate": candidate.id})
            if way == "add_flow":
                self._controller.add_flow(Flow([job]), worker="main")
            else:
                submit_flow(job, worker="main", project=ALONE)
            self._times_s[way].append(time.perf_counter() - start_s)
            self.uuids.add(job.uuid)
        self._n_done += number

    def seconds(self, way: str) -> float:
        """Of one candidate, with its share of the enumeration."""
        return self._enumeration_s + median(self._times_s[way])
