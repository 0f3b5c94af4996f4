"""What tests of clusters stand on: how Slurm ends jobs, and a database that keeps what it took."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pymongo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indexed_mongomock import IndexedClient, ServerDocuments
from jobflow import Flow
from jobflow_remote import JobController
from jobflow_remote.jobs.state import FlowState, JobState
from jobflow_remote.utils.examples import add
from mongomock_ng import MongoClient as PlainClient
from pymongo.errors import AutoReconnect, DuplicateKeyError, OperationFailure
from queue_database import NAME, QueueDatabase
from slurm import SlurmCluster

HOG = (
    f"{sys.executable} -c 'held = [bytes(10**7) + b\"1\" for _ in range(40)]; input()' < /dev/zero"
)
ENDS = {
    "well": ("true", [], "COMPLETED None 0:0", ""),
    "exit code": ("exit 3", [], "FAILED NonZeroExitCode 3:0", ""),
    "signal": ("kill -9 $$", [], "FAILED JobLaunchFailure 0:9", ""),
    "memory": (HOG, ["--mem=100"], "FAILED JobLaunchFailure 0:9", "Exceeded job memory limit"),
    "output": ("true", ["--output=/nowhere/out"], "FAILED JobLaunchFailure 0:53", ""),
    "folder": ("true", ["--chdir=/nowhere"], "COMPLETED None 0:0", "going to /tmp instead"),
}


@contextlib.contextmanager
def connected(database):
    with pymongo.MongoClient(database.host, database.port) as client:
        yield client[NAME]


def said_of(cluster, job):
    words = cluster.job(job)
    return f"{words['JobState']} {words['Reason']} {words['ExitCode']}"


def processes_in(folder):
    return [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(folder)]


@pytest.fixture(scope="module")
def at_time_limit(slurm):
    """Two jobs whose time is up; Slurm takes up to 30 s to see it, so they are asked for first."""
    deaf = "trap 'echo told to end' TERM; while :; do sleep 1; done"
    jobs = [slurm.submit(script, "--time=1") for script in ("sleep 600", deaf)]
    for job in jobs:
        slurm.wait_for_start(job)
    slurm.reach_time_limit(*jobs)
    return jobs


@pytest.fixture(scope="module")
def submitted(slurm, at_time_limit):
    return {name: slurm.submit(script, *options) for name, (script, options, *_) in ENDS.items()}


@pytest.mark.parametrize("name", ENDS)
def test_jobs_end_with_a_reason(slurm, submitted, name):
    job = submitted[name]
    *_, words, message = ENDS[name]
    assert slurm.wait_for_end(job) == words.split()[0]
    assert said_of(slurm, job) == words
    assert slurm.recorded_state(job) == words.split()[0]
    assert message in slurm.stderr(job)
    assert bool(slurm.stderr(job)) == bool(message)


def test_cancelled_jobs(slurm):
    running, waiting = slurm.submit("sleep 600", "--partition=long"), slurm.submit("true", "--hold")
    slurm.wait_for_start(running)
    assert slurm.squeue().items() >= {running: "RUNNING", waiting: "PENDING"}.items()
    slurm.scancel(running, waiting)
    assert slurm.wait_for_end(running) == slurm.wait_for_end(waiting) == "CANCELLED"
    assert said_of(slurm, running).startswith("CANCELLED None 0:")
    assert slurm.recorded_state(running) == slurm.recorded_state(waiting) == "CANCELLED"
    assert f"JOB {running} ON {slurm.node} CANCELLED AT" in slurm.stderr(running)
    assert not slurm.stderr(waiting)


@pytest.mark.slow  # a busy node may never launch the second job
def test_a_lost_node_ends_its_jobs_and_comes_back(slurm, tmp_path):
    with SlurmCluster.start(tmp_path / "other") as other:
        assert other.squeue() == {}
        beat = tmp_path / "beat"
        lost = other.submit(f"while :; do date +%s.%N > {beat}; sleep 0.1; done")
        again = other.submit("sleep 600", "--requeue")
        other.wait_for_start(lost)
        other.wait_for_start(again)
        other.kill_node()
        last = beat.read_text()
        assert other.wait_for_end(lost) == "NODE_FAIL"
        assert said_of(other, lost) == "NODE_FAIL NodeDown 0:0"
        assert other.recorded_state(lost) == "NODE_FAIL"
        assert other.squeue() == {again: "PENDING"}
        other.revive_node()
        assert other.wait_for_end(other.submit("true")) == "COMPLETED"
        assert beat.read_text() == last
        assert len(processes_in(other.folder)) >= 3
    assert processes_in(other.folder) == []


def test_the_database_keeps_what_it_acknowledged(tmp_path):
    acknowledged = {}

    def write(documents):
        with contextlib.suppress(AutoReconnect):
            for number in range(100_000):
                name = str(number % 50)
                documents.update_one({"name": name}, {"$set": {"number": number}}, upsert=True)
                acknowledged[name] = number

    with QueueDatabase.start(tmp_path) as database:
        with connected(database) as base:
            base["documents"].create_index("name", unique=True)
            writer = threading.Thread(target=write, args=(base["documents"],))
            writer.start()
            while len(acknowledged) < 50:
                time.sleep(0.01)
            database.kill()
            writer.join()
        database.restart()
        with connected(database) as base:
            found = {each["name"]: each["number"] for each in base["documents"].find()}
            assert all(found[name] >= number for name, number in acknowledged.items())
            with pytest.raises(DuplicateKeyError):
                base["documents"].insert_one({"name": "7"})


def test_the_database_gives_a_document_to_one_only(queue_database):
    claimed = []

    def claim(documents, owner):
        taken = {"$set": {"owner": owner}}
        while found := documents.find_one_and_update({"owner": None}, taken, sort=[("n", -1)]):
            claimed.append(found["n"])

    with connected(queue_database) as base:
        base["claims"].insert_many([{"n": number, "owner": None} for number in range(200)])
        threads = [threading.Thread(target=claim, args=(base["claims"], n)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(claimed) == list(range(200))


def test_the_database_refuses_what_it_does_not_know(queue_database):
    with connected(queue_database) as base:
        with pytest.raises(OperationFailure, match="no such command: mapreduce"):
            base.command("mapReduce", "documents")
        with pytest.raises(OperationFailure, match="not supported"):
            base["documents"].find_one({}, collation={"locale": "en"})


VALUES = st.sampled_from([None, 0, 1, True, 1.5, "a", "b", ["a", 1], [], [["a"]], {"x": 1}])
FIELDS = st.sampled_from(["name", "state", "inner.x", "other"])
PLAIN = st.sampled_from([None, 0, 1, 1.5, "a", "b"])
WANTED = PLAIN | st.lists(PLAIN, max_size=3).map(lambda values: {"$in": values})
NEGATIVE = PLAIN.map(lambda value: {"$ne": value})
SIMPLE = st.dictionaries(FIELDS, WANTED | NEGATIVE, max_size=2)
CRITERIA = SIMPLE | st.fixed_dictionaries(
    {"$or": st.lists(SIMPLE, min_size=1, max_size=3)}, optional={"name": WANTED}
)
INNER = st.fixed_dictionaries({}, optional={"x": VALUES})
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"name": VALUES, "state": VALUES, "other": VALUES, "inner": INNER}
)


@settings(max_examples=200)
@given(
    documents=st.lists(DOCUMENTS, max_size=8),
    steps=st.lists(st.tuples(CRITERIA, FIELDS, PLAIN), max_size=3),
    criteria=CRITERIA,
    field=FIELDS,
    direction=st.sampled_from([1, -1]),
)
def test_dicts_find_what_reading_everything_finds(documents, steps, criteria, field, direction):
    collections = [
        IndexedClient(_store=ServerDocuments())["base"]["all"],
        PlainClient()["base"]["all"],
    ]
    answers = []
    for collection in collections:
        for indexed in ("name", "state", "inner.x"):
            collection.create_index(indexed)
        for number, document in enumerate(documents):
            collection.insert_one({"_id": number, **document})
        answer = []
        for chosen, changed, value in steps:
            found = collection.find_one_and_update(
                chosen, {"$set": {"number": 1}}, sort=[(field, direction)]
            )
            answer += [found, collection.update_many(chosen, {"$set": {changed: value}}).raw_result]
        collection.delete_one({"state": "b"})
        pipeline = [{"$match": criteria}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
        answer += [collection.count_documents(criteria), list(collection.aggregate(pipeline))]
        answer.append(list(collection.find(criteria, sort=[(field, direction)])))
        answers.append(
            repr(answer).replace(f"'connectionId': {collection.database.client._id}", "")
        )
    assert answers[0] == answers[1]


@pytest.fixture
def project(projects_folder, queue_database, slurm, tmp_path, monkeypatch):
    """jobflow-remote's project with a worker on Slurm; this process talks to the cluster, too."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    programs = Path(sys.executable).parent
    config = {
        "name": "tests",
        "base_dir": str(tmp_path / "base"),
        "runner": {
            "delay_checkout": 1,
            "delay_check_run_status": 1,
            "delay_advance_status": 1,
        },
        "workers": {
            "slurm": {
                "type": "local",
                "scheduler_type": "slurm",
                "work_dir": str(tmp_path / "work"),
                "pre_run": f"export PATH={programs}:$PATH",
                "resources": {"partition": "main", "nodes": 1, "ntasks": 1},
            }
        },
        "queue": {
            "store": queue_database.store("platform_jobs"),
            "flows_collection": "platform_flows",
            "auxiliary_collection": "platform_auxiliary",
            "batches_collection": "platform_batches",
        },
        "jobstore": {"docs_store": queue_database.store("platform_outputs")},
    }
    (projects_folder / "tests.json").write_text(json.dumps(config))
    return "tests"


def test_jobflow_remote_runs_chained_jobs(project, tmp_path):
    controller = JobController.from_project_name(project)
    controller.reset(max_limit=0)
    first = add(1, 2)
    second = add(first.output, 10)
    controller.add_flow(Flow([first, second]), worker="slurm")
    run = f"from jobflow_remote.jobs.runner import Runner; Runner({project!r}).run()"
    with (tmp_path / "runner.log").open("w") as log:
        runner = subprocess.Popen([sys.executable, "-c", run], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while controller.get_flows_info()[0].state not in (FlowState.COMPLETED, FlowState.FAILED):
            assert time.monotonic() < deadline, (tmp_path / "runner.log").read_text()
            time.sleep(0.2)
    finally:
        runner.send_signal(signal.SIGTERM)
        runner.wait(timeout=30)
    jobs = controller.get_jobs_info()
    assert [job.state for job in jobs] == [JobState.COMPLETED] * 2, jobs
    assert all(job.remote.process_id for job in jobs)
    with controller.jobstore as store:
        assert store.get_output(second.uuid) == 13
    controller.close()


def test_jobs_end_at_their_time_limit(slurm, at_time_limit):
    _, deaf = at_time_limit
    for job in at_time_limit:
        assert slurm.wait_for_end(job) == slurm.recorded_state(job) == "TIMEOUT"
        assert slurm.job(job)["Reason"] == "TimeLimit"
        assert f"JOB {job} ON {slurm.node} CANCELLED AT" in slurm.stderr(job)
        assert "DUE TO TIME LIMIT ***" in slurm.stderr(job)
    assert said_of(slurm, deaf) == "TIMEOUT TimeLimit 0:9"
    assert (slurm.folder / f"{deaf}.out").read_text() == "told to end\n"
