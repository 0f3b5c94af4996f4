"""What Halideflow adds to jobflow-remote: sending thousands of candidates, and running each job.

Submission: `halideflow submit` of a campaign of thousands of candidates, from the command to the
last relaxation in jobflow-remote's database, as many jobs of the queue as there are candidates (the
worst case: VASP) and in batches (the embedded potential). Wall time, and memory of all processes
together, where pages that they share count for each. Against it stands a loop that makes the same
relaxations and hands each to jobflow-remote as a flow of its own.

Overhead: the same relaxations by the embedded potential, one job of the queue each, on a Slurm of
two cores: through `halideflow submit`, and at the same time through jobflow-remote alone, with its
own runner and its own command in the jobs. A trap at the start of every job script has the shell
write down, when it exits, the CPU time of all that ran in it. The shares of the runners, and on our
side of the process that sends jobs and takes in answers, are added. Then ours once more in batches.

The queue database is the tests' stand-in, a process of its own, slower than MongoDB, and serves
both. Nothing starts while candidates are sent: the worker takes one job, and that sleeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import psutil
import pymongo
from pymatgen.core import Lattice, Structure

sys.path.append(str(Path(__file__).parents[1] / "tests" / "workflows" / "cluster"))
from queue_database import NAME, QueueDatabase
from slurm import SlurmCluster, is_available

if TYPE_CHECKING:
    from jobflow_remote import JobController

N_CANDIDATES = 5000
MOST_SUBMISSION_S = 60.0
MOST_MEMORY_GB = 2.0
MOST_OVERHEAD = 0.10
SAME_ENERGY_EV_PER_ATOM = 1e-6
N_BY_HAND = 150
"""So many candidates go through the loop before our submission, and as many after it."""
SALTS_A = {"LiF": 4.0, "LiCl": 5.1, "NaF": 4.7, "NaCl": 5.7, "NaBr": 6.0, "KCl": 6.3, "KI": 7.1}
"""Cells of two atoms."""
ALONE = "alone"
"""Project of jobflow-remote, derived from that of the cluster, which knows nothing of us."""
ENDED = ("COMPLETED", "FAILED", "REMOTE_ERROR", "STOPPED", "USER_STOPPED")

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
FEW = """\
name: {name}
candidates:
  families:
    - formula: AMX4
      prototype: naalcl4
      elements: {{A: [Na, K], M: [Al, Ga], X: [Cl, Br]}}
      supercell: [1, 1, 2]
  files: {files}
dynamics: null
execution: {{cluster: bench, resources: {{relax: {resources}}}}}
"""


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="halideflow-") as name:
        folder = Path(name)
        (folder / "projects").mkdir()
        os.environ["JFREMOTE_PROJECTS_FOLDER"] = str(folder / "projects")  # read when imported
        os.environ["OMP_NUM_THREADS"] = "1"
        with QueueDatabase.start(folder / "database") as database:
            parts = [submission(folder / "submission", database)]
            if is_available():
                parts.append(overhead(folder / "overhead", database))
            else:
                print("Slurm is not installed (Debian: slurm-wlm, munge): no overhead is measured")
    print(
        json.dumps(
            {
                "benchmark": "cluster",
                "ratios": {key: value for part in parts for key, value in part.ratios.items()},
                "correct": all(part.correct for part in parts),
                **{key: value for part in parts for key, value in part.found.items()},
                "clock": "submission: wall time; overhead: CPU time",
            }
        )
    )


@dataclass
class Part:
    """What one half of this finds."""

    ratios: dict[str, float]
    correct: bool
    found: dict[str, Any]


# Clusters, projects, campaigns.


def init_cluster(
    folder: Path, database: QueueDatabase, scheduler: str, before: list[str], worker: dict[str, Any]
) -> None:
    """`halideflow cluster init`."""
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    file = folder / "cluster.yaml"
    where = {"host": database.host, "port": database.port, "database": NAME}
    file.write_text(
        CLUSTER.format(
            scheduler=scheduler,
            folder=folder,
            before=json.dumps(before),
            worker=json.dumps(worker),
            **where,
        )
    )
    command = [sys.executable, "-m", "workflows.cli", "cluster", "init", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def project_alone(folder: Path) -> JobController:
    """jobflow-remote's own project on the same cluster: what differs is what runs in a job."""
    from jobflow_remote.config.manager import ConfigManager

    from workflows.cluster.project import as_yaml, project_file, read_project
    from workflows.cluster.translation import collections_of

    project = read_project(project_file("bench"))
    for worker in project["workers"].values():
        del worker["execution_cmd"]
        worker["work_dir"] = f"{folder}/scratch/{ALONE}"
    project["queue"]["store"]["collection_name"] = f"{ALONE}_jobs"
    project |= {"name": ALONE, "queue": {**project["queue"], **collections_of(ALONE)}}
    project_file(ALONE).write_text(as_yaml(project))
    controller = ConfigManager().get_project(ALONE).get_job_controller()
    controller.reset(max_limit=0)
    return controller


def rows(config: Path, sql: str) -> list[tuple[Any, ...]]:
    """Of a campaign's tables; none as long as there are no tables."""
    database = config.with_suffix("") / "results.sqlite"
    uri = f"{database.as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=60)) as connection:
            return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return []


def energies_eV_per_atom(config: Path) -> dict[str, float]:
    """Of a campaign's relaxations, by uuid."""
    from workflows.config import StoreSettings
    from workflows.results import ResultsFolder

    store = ResultsFolder(config.with_suffix("")).job_store(StoreSettings(), read_only=True)
    uuids = [uuid for (uuid,) in rows(config, "select uuid from jobs where stage = 'relax'")]
    return _energies(store.query({"uuid": {"$in": uuids}}))


def _energies(documents: Any) -> dict[str, float]:
    return {
        document["uuid"]: document["output"]["result"]["energy_eV_per_atom"]
        for document in documents
        if document["output"]["result"]
    }


# Processes.


@dataclass
class Spent:
    """What the processes behind `halideflow submit` took."""

    wall_s: float = 0.0
    peak_GB: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def submitting(config: Path) -> Iterator[psutil.Popen]:
    """`halideflow submit --wait`; whatever of it is left at the end is killed."""
    with config.with_suffix(".log").open("w") as log:
        driver = psutil.Popen(
            [sys.executable, "-m", "workflows.cli", "submit", str(config), "--wait"],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield driver
    finally:
        for process in [driver, *_children(driver)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        driver.wait()


def watch(driver: psutil.Popen, config: Path, until: Callable[[], bool]) -> Spent:
    """What it takes until something holds.

    Raises:
        RuntimeError: it has ended, and that does still not hold.
    """
    start_s = time.perf_counter() - (time.time() - driver.create_time())
    spent = Spent()
    by_process: dict[psutil.Process, tuple[str, float]] = {}
    while True:
        has_ended = driver.poll() is not None
        bytes_now = 0
        for process in [driver, *_children(driver)]:
            with contextlib.suppress(psutil.Error):
                bytes_now += process.memory_info().rss
                times = process.cpu_times()
                by_process[process] = _role(process, driver), times.user + times.system
        spent.peak_GB = max(spent.peak_GB, bytes_now / 1e9)
        spent.wall_s = time.perf_counter() - start_s
        if until():
            break
        if has_ended:
            raise RuntimeError(config.with_suffix(".log").read_text()[-3000:])
        time.sleep(0.2)
    total_s: dict[str, float] = defaultdict(float)
    for role, cpu_s in by_process.values():
        total_s[role] += cpu_s
    spent.cpu_s = dict(total_s)
    return spent


def _children(driver: psutil.Popen) -> list[psutil.Process]:
    try:
        return driver.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _role(process: psutil.Process, driver: psutil.Popen) -> str:
    if process == driver:
        return "driver"
    return "runner" if "workflows.cluster.runner" in process.cmdline() else "workers"


# Submission.


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


# What each job costs.


@dataclass(frozen=True)
class Cost:
    """Of one job of the queue, from the first line of its script to the last."""

    cpu_s: float
    wall_s: float


def overhead(folder: Path, database: QueueDatabase) -> Part:
    """The same relaxations side by side through both, then ours in one batch."""
    with SlurmCluster.start(folder / "slurm", n_cores=2) as slurm:
        os.environ.update(slurm.environment)
        ends = folder / "ends"
        ends.mkdir()
        start = f"date +%s.%N > {ends}/$SLURM_JOB_ID.start"
        trap = f"trap '{{ times; date +%s.%N; }} > {ends}/$SLURM_JOB_ID' EXIT"
        init_cluster(folder, database, "slurm", [start, trap], {"queue": "main"})
        for name, a_A in SALTS_A.items():
            rock_salt(name, a_A).to(str(folder / f"{name}.cif"))
        single, batch = few(folder, "single", {"jobs_per_queue_job": 1}), few(folder, "batch", {})
        theirs = Alone(folder)
        uuids = theirs.n_atoms.keys()
        slurm.run("scontrol", "update", "PartitionName=main", "State=DOWN")
        with theirs.runner(), submitting(single) as driver:
            theirs.submit()
            before = watch(
                driver,
                single,
                lambda: uuids == theirs.queue_ids().keys() == queue_ids(single).keys(),
            )
            line_up(slurm, queue_ids(single), theirs.queue_ids())
            slurm.run("scontrol", "update", "PartitionName=main", "State=UP")
            after = watch(driver, single, lambda: driver.poll() is not None and theirs.is_done())
            their_runner_s = theirs.runner_s()
        with submitting(batch) as driver:
            watch(driver, batch, lambda: driver.poll() is not None)
        our_share_s = after.cpu_s["runner"] + after.cpu_s["driver"] - before.cpu_s["driver"]
        shares_s = {"ours": our_share_s / len(uuids), "theirs": their_runner_s / len(uuids)}
        return compared(ends, theirs, single, batch, shares_s)


def line_up(slurm: SlurmCluster, mine: dict[str, str], others: dict[str, str]) -> None:
    """Let each relaxation be run by both at the same time."""
    order = [queue_id for uuid in sorted(mine) for queue_id in (mine[uuid], others[uuid])]
    for place, queue_id in enumerate(order):
        slurm.run("scontrol", "update", f"JobId={queue_id}", f"Priority={10_000 - place}")


def rock_salt(name: str, a_A: float) -> Structure:
    """Its primitive cell."""
    lattice = Lattice([[0, a_A / 2, a_A / 2], [a_A / 2, 0, a_A / 2], [a_A / 2, a_A / 2, 0]])
    return Structure(lattice, re.findall("[A-Z][a-z]?", name), [[0, 0, 0], [0.5, 0.5, 0.5]])


def few(folder: Path, name: str, resources: dict[str, int]) -> Path:
    """A campaign of relaxations of two sizes."""
    files = [
        {"path": f"{salt}.cif", "mobile_ion": re.findall("[A-Z][a-z]?", salt)[0]}
        for salt in SALTS_A
    ]
    config = folder / f"{name}.yaml"
    text = FEW.format(name=name, files=json.dumps(files), resources=json.dumps(resources))
    config.write_text(text)
    return config


class Alone:
    """The relaxations of a campaign through jobflow-remote alone."""

    def __init__(self, folder: Path) -> None:
        from screening.candidates import enumerate_candidates
        from workflows.config_file import load_campaign, read_structures
        from workflows.stages.relax import RelaxMaker

        file = few(folder, "alone", {})
        config = load_campaign(file)
        maker = RelaxMaker(config.engine, config.relax)
        candidates = enumerate_candidates(config.candidates, read_structures(config, file))
        self._jobs = [
            maker.make(candidate.structure, candidate.mobile_ion, {"candidate": candidate.id})
            for candidate in candidates.candidates
        ]
        self.n_atoms: dict[str, int] = {job.uuid: job.metadata["n_atoms"] for job in self._jobs}
        self._log = folder / "runner.log"
        self._controller = project_alone(folder)
        self._runner: psutil.Popen | None = None

    @contextlib.contextmanager
    def runner(self) -> Iterator[None]:
        """jobflow-remote's own, by its own command."""
        command = [str(Path(sys.executable).with_name("jf")), "-p", ALONE, "runner", "run"]
        with self._log.open("w") as log:
            self._runner = psutil.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            self._runner.kill()
            self._runner.wait()

    def runner_s(self) -> float:
        """CPU time of it so far."""
        assert self._runner is not None
        times = self._runner.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    def submit(self) -> None:
        """One flow each."""
        from jobflow_remote import submit_flow

        resources = {"partition": "main", "nodes": 1, "ntasks": 1, "cpus_per_task": 1}
        for job in self._jobs:
            submit_flow(job, worker="main", project=ALONE, resources=resources)

    def is_done(self) -> bool:
        """Whether none is left that could go on."""
        return self._controller.count_jobs({"state": {"$in": list(ENDED)}}) == len(self._jobs)

    def queue_ids(self) -> dict[str, str]:
        """In Slurm, by uuid, of those that it has."""
        documents = self._controller.get_jobs({}, ["uuid", "remote"])
        found = {each["uuid"]: (each.get("remote") or {}).get("process_id") for each in documents}
        return {uuid: queue_id for uuid, queue_id in found.items() if queue_id}

    def energies_eV_per_atom(self) -> dict[str, float]:
        """By uuid."""
        store = self._controller.jobstore
        store.connect()
        return _energies(store.query({"uuid": {"$in": list(self.n_atoms)}}))


def queue_ids(config: Path) -> dict[str, str]:
    """In Slurm, by uuid, of a campaign's relaxations that it has."""
    return dict(
        rows(
            config,
            "select part.uuid, queue_id from queue_jobs join queue_job_parts as part on "
            "queue_jobs.uuid = queue_job where queue_id is not null",
        )
    )


def compared(
    ends: Path, theirs: Alone, single: Path, batch: Path, shares_s: dict[str, float]
) -> Part:
    """CPU time of a job with its shares of runner and driver, theirs and ours."""
    their_costs, our_costs = costs(ends, theirs.queue_ids()), costs(ends, queue_ids(single))
    ratios: dict[str, float] = {}
    found: dict[str, Any] = {"share_of_runner_and_driver_s": shares_s}
    sizes = sorted(set(theirs.n_atoms.values()))
    for n_atoms, key in zip(sizes, ("overhead_per_job_2_atoms", "overhead_per_job"), strict=True):
        uuids = [uuid for uuid, number in theirs.n_atoms.items() if number == n_atoms]
        pairs = [(our_costs[uuid], their_costs[uuid]) for uuid in uuids]
        ratios[key] = median(
            (other.cpu_s + shares_s["theirs"]) / (mine.cpu_s + shares_s["ours"])
            for mine, other in pairs
        )
        found[f"{n_atoms} atoms"] = {
            f"{clock}_s": {
                "ours": median(getattr(mine, f"{clock}_s") for mine, _ in pairs),
                "theirs": median(getattr(other, f"{clock}_s") for _, other in pairs),
            }
            for clock in ("cpu", "wall")
        }
        used = found[f"{n_atoms} atoms"]["cpu_s"]
        print(
            f"a relaxation of {n_atoms} atoms as a job of the queue: ours {used['ours']:.2f} s of "
            f"CPU, jobflow-remote {used['theirs']:.2f} s"
        )
    n_jobs = len(theirs.n_atoms)
    (in_batch,) = set(queue_ids(batch).values())
    in_batch_s = costs(ends, {"": in_batch})[""].cpu_s / n_jobs
    their_mean_s = mean(cost.cpu_s for cost in their_costs.values())
    ratios["batch_per_job"] = their_mean_s / in_batch_s
    found["batch"] = {"cpu_s": {"ours": in_batch_s, "theirs": their_mean_s}}
    reference = theirs.energies_eV_per_atom()
    ours = [energies_eV_per_atom(config) for config in (single, batch)]
    complete = all(each.keys() == reference.keys() == theirs.n_atoms.keys() for each in ours)
    worst = max(
        abs(each[uuid] - reference[uuid])
        for each in ours
        for uuid in each.keys() & reference.keys()
    )
    print(
        f"shares of runner and driver: ours {shares_s['ours']:.2f} s, theirs "
        f"{shares_s['theirs']:.2f} s; a relaxation in a batch {in_batch_s:.2f} s, theirs "
        f"{their_mean_s:.2f} s\n"
        f"largest difference of an energy: {worst:.1e} eV/atom over {n_jobs} relaxations"
    )
    correct = complete and worst < SAME_ENERGY_EV_PER_ATOM
    correct = correct and min(ratios.values()) >= 1 / (1 + MOST_OVERHEAD)
    return Part(ratios, correct, {"overhead": found})


def costs(ends: Path, ids: dict[str, str]) -> dict[str, Cost]:
    """Of jobs of the queue, as their shells wrote it down."""
    found = {}
    for uuid, queue_id in ids.items():
        start_s = float((ends / f"{queue_id}.start").read_text())
        *times, end_s = (ends / queue_id).read_text().split()
        used = re.findall(r"(\d+)m([\d.]+)s", " ".join(times))
        cpu_s = sum(60 * int(minutes) + float(seconds) for minutes, seconds in used)
        found[uuid] = Cost(cpu_s, float(end_s) - start_s)
    return found


if __name__ == "__main__":
    main()
