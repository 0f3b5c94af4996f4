"""What a campaign on Slurm does when nodes, databases, processes and people fail it."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime

import pytest
from campaigns import CELLS, halideflow, ranking, write_campaign
from on_slurm import (
    answered,
    cluster_of,
    codes,
    drivers,
    edit_project,
    freeze,
    notes,
    queue_ids,
    runners,
    select,
    sent_to,
    until,
)
from pymongo import MongoClient
from queue_database import NAME, QueueDatabase
from slurm import SlurmCluster, is_available

from workflows.execution.notes import TROUBLES

pytestmark = pytest.mark.skipif(not is_available(), reason="needs Slurm and munge")


def campaign(folder):
    return write_campaign(folder / "c", CELLS, temperatures=(300.0,))


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Ranking of a local run."""
    config = campaign(tmp_path_factory.mktemp("local"))
    run = halideflow("run", config)
    assert run.returncode == 0, run.stderr
    return ranking(config)


LOST = "select message from queue_jobs where state = 'ended' and message is not null"


def lock(database, config, queue_job):
    """What a process leaves that dies at work on a job of the queue."""
    (project,) = (config.with_suffix("") / "cluster").glob("*.yaml")
    with MongoClient(database.host, database.port) as client:
        jobs = client[NAME][f"{project.stem}_jobs"]
        left = {"lock_id": "of one that died", "lock_time": datetime.now(UTC)}
        assert jobs.update_one({"uuid": queue_job}, {"$set": left}).modified_count == 1


@pytest.mark.slow
def test_runner_node_and_database_die_in_turn(tmp_path, local):
    config = campaign(tmp_path)
    with (
        SlurmCluster.start(tmp_path / "slurm") as slurm,
        QueueDatabase.start(tmp_path / "database") as database,
        cluster_of(slurm, database, tmp_path / "cluster"),
    ):
        batch = {"jobs_per_queue_job": 3}
        sent_to(config, wall_time_h=0.5, resources={"relax": batch, "dynamics": batch})
        slurm.run("scontrol", "update", f"NodeName={slurm.node}", "State=DRAIN", "Reason=test")
        assert halideflow("submit", config).returncode == 3

        # The runner dies, and dies again, and leaves something locked.
        until(slurm.squeue, "the relaxations wait in the queue")
        ((relaxations,),) = select(config, "select uuid from queue_jobs")
        lock(database, config, relaxations)
        for _ in range(2):
            until(lambda: runners(config), "a runner is there")
            os.kill(runners(config)[0], signal.SIGKILL)
            until(lambda: not runners(config), "it is gone")
        until(lambda: "runner" in notes(config), "its deaths are noted")
        status = halideflow("status", config)
        assert "jobflow-remote's runner ended with exit code -9" in status.stdout
        slurm.run("scontrol", "update", f"NodeName={slurm.node}", "State=RESUME")

        # The node dies while a batch runs of which a part has answered.
        until(lambda: answered(config, "dynamics"), "some dynamics has answered", 600)
        slurm.kill_node()
        before = answered(config, "dynamics")
        assert 1 <= len(before) < 3
        sent_to(config, wall_time_h=0.5, resources={"dynamics": {"jobs_per_queue_job": 1}})
        until(lambda: select(config, LOST) == [("its node failed",)], "that is noticed")
        until(lambda: len(slurm.squeue()) == 3 - len(before), "the rest waits, one by one")

        # The database dies while jobs wait, and comes back after they have run.
        database.kill()
        until(lambda: "database" in notes(config), "that is noted")
        slurm.revive_node()
        assert "does not answer" in halideflow("status", config).stdout
        until(lambda: not slurm.squeue(), "the jobs have run")
        until(lambda: not runners(config), "the runner has ended")
        database.restart()
        until(lambda: not drivers(config), "the campaign has come to its end")

        status = halideflow("status", config)
        assert status.returncode == 0, status.stdout
        assert not notes(config).keys() & {"driver", *TROUBLES}
        assert set(answered(config, "relax").values()) == {1}
        assert set(answered(config, "dynamics").values()) == {1}
        attempts = "select uuid, idx, attempts from jobs where stage in ('relax', 'dynamics')"
        for *key, n_attempts in select(config, attempts):
            is_late = tuple(key) in answered(config, "dynamics") and tuple(key) not in before
            assert n_attempts == 1 + is_late
        assert slurm.squeue() == {}
    assert ranking(config) == local


REASONS = ("--reason", "SUBMISSION_FAILED", "--reason", "OUT_OF_MEMORY")


def by_size(worker, memory_GB):
    """Resources: cells of four atoms go to a worker, those of eight have so much memory."""
    larger = [
        {"from_atoms": 4, "worker": worker},
        {"from_atoms": 8, "worker": "main", "memory_GB": memory_GB},
    ]
    return {"relax": {"jobs_per_queue_job": 1, "larger": larger}}


def test_what_the_scheduler_refuses_and_what_takes_too_much_memory(
    slurm, queue_database, tmp_path, local
):
    config = campaign(tmp_path)
    workers = "{main: {queue: main}, long: {queue: long}, gone: {queue: long}}"
    with cluster_of(slurm, queue_database, tmp_path / "cluster", workers):
        edit_project(tmp_path / "cluster", "gone", partition="nowhere")
        sent_to(config, wall_time_h=0.5, resources=by_size("gone", 0.1))
        assert halideflow("submit", config).returncode == 3
        assert halideflow("pause", config, "--stage", "dynamics").returncode == 0

        until(lambda: codes(config) == {"SUBMISSION_FAILED", "OUT_OF_MEMORY"}, "both have failed")
        failures = halideflow("failures", config)
        assert failures.returncode == 4
        for words in (
            "invalid partition specified: nowhere",
            "halideflow retry CAMPAIGN --reason SUBMISSION_FAILED",
            "execution.resources.relax.memory_GB",
            "halideflow retry CAMPAIGN --reason OUT_OF_MEMORY",
        ):
            assert words.replace("CAMPAIGN", str(config)) in " ".join(failures.stdout.split())

        # The file is mended, as far as anybody knows, for the process that runs the campaign.
        slurm.run("scontrol", "update", "PartitionName=long", "MaxTime=1")
        sent_to(config, wall_time_h=0.5, resources=by_size("long", 0.15))
        retried = halideflow("retry", config, *REASONS)
        assert retried.returncode == 0, retried.stdout
        why = "select message from queue_jobs where worker = 'long'"
        in_vain = [("the scheduler says: PartitionTimeLimit",)]
        until(lambda: select(config, why) == in_vain, "one waits in vain")
        assert "PartitionTimeLimit" in halideflow("jobs", config).stdout
        until(lambda: codes(config) == {"OUT_OF_MEMORY"}, "the other has failed again")
        ids = select(config, "select queue_id from queue_jobs where queue_id is not null")
        assert "154M" in [slurm.job(identifier)["MinMemoryCPU"] for (identifier,) in ids]
        slurm.run("scontrol", "update", "PartitionName=long", "MaxTime=INFINITE")
        assert halideflow("resume", config).returncode == 0
        until(lambda: not drivers(config), "the others have come to their end")
        found = [row["state"] for row in ranking(config)]
        assert sorted(found) == ["done", "done", "failed"]

        # Nobody runs the campaign.
        sent_to(config, wall_time_h=0.5, resources=by_size("long", 2))
        retried = halideflow("retry", config, "--reason", "OUT_OF_MEMORY")
        assert retried.returncode == 0, retried.stdout
        finished = halideflow("submit", config, "--wait")
        assert finished.returncode == 0, finished.stderr
        attempts = "select n_atoms, attempts from jobs where stage = 'relax' order by n_atoms"
        assert select(config, attempts) == [(2, 1), (4, 2), (8, 3)]
        assert set(answered(config, "relax").values()) == {1}
        assert slurm.squeue() == {}
    assert ranking(config) == local


@pytest.mark.slow
def test_a_node_that_keeps_failing(tmp_path, queue_database):
    config = write_campaign(tmp_path / "c", {"kcl": CELLS["kcl"]}, temperatures=())
    with (
        SlurmCluster.start(tmp_path / "slurm") as slurm,
        cluster_of(slurm, queue_database, tmp_path / "cluster"),
    ):
        assert halideflow("submit", sent_to(config)).returncode == 3
        for n_attempts in (1, 2, 3):
            until(lambda: queue_ids(config, "relax"), "the relaxation runs")
            freeze(queue_ids(config, "relax")[0])
            slurm.kill_node()
            slurm.revive_node()
            until(
                lambda n=n_attempts: select(config, LOST) == [("its node failed",)] * n, "noticed"
            )
        until(lambda: not drivers(config), "it is given up")
        assert codes(config) == {"NODE_FAILURE"}
        assert f"halideflow retry {config} --reason NODE_FAILURE" in " ".join(
            halideflow("failures", config).stdout.split()
        )
        assert halideflow("retry", config, "--reason", "NODE_FAILURE").returncode == 0
        finished = halideflow("submit", config, "--wait")
        assert finished.returncode == 0, finished.stderr
        assert select(config, "select attempts from jobs where stage = 'relax'") == [(4,)]
