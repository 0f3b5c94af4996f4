"""What a relaxation costs as a job of the queue: by us, and by jobflow-remote alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import psutil
from cluster_campaigns import (
    ALONE,
    Part,
    QueueDatabase,
    energies_eV_per_atom,
    energies_in,
    init_cluster,
    project_alone,
    rows,
    submitting,
    watch,
)
from pymatgen.core import Lattice, Structure
from slurm import SlurmCluster, is_available

__all__ = ["is_available", "overhead"]

MOST_OVERHEAD = 0.10
SAME_ENERGY_EV_PER_ATOM = 1e-6
SALTS_A = {"LiF": 4.0, "LiCl": 5.1, "NaF": 4.7, "NaCl": 5.7, "NaBr": 6.0, "KCl": 6.3, "KI": 7.1}
"""Cells of two atoms."""
MOST_LAG_S = 120.0
"""jobflow-remote may be so much longer at it."""
ENDED = ("COMPLETED", "FAILED", "REMOTE_ERROR", "STOPPED", "USER_STOPPED")

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
            after = watch(driver, single, lambda: driver.poll() is not None)
            theirs.wait()
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

    def wait(self) -> None:
        """Until none is left that could go on."""
        give_up_s = time.monotonic() + MOST_LAG_S
        while self._controller.count_jobs({"state": {"$in": ENDED}}) < len(self._jobs):
            if time.monotonic() > give_up_s:
                raise RuntimeError(f"jobflow-remote does not end:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.2)

    def queue_ids(self) -> dict[str, str]:
        """In Slurm, by uuid, of those that it has."""
        documents = self._controller.get_jobs({}, ["uuid", "remote"])
        found = {each["uuid"]: (each.get("remote") or {}).get("process_id") for each in documents}
        return {uuid: queue_id for uuid, queue_id in found.items() if queue_id}

    def energies_eV_per_atom(self) -> dict[str, float]:
        """By uuid."""
        store = self._controller.jobstore
        store.connect()
        return energies_in(store.query({"uuid": {"$in": list(self.n_atoms)}}))


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
