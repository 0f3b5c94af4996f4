"""What runs in an allocation, run here: answers, checkpoints, wall times, repeated submissions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import orjson
import pytest
from campaigns import SMALL
from jobflow import JobStore, OutputReference
from maggma.stores import MemoryStore

from screening.gates import Gates
from workflows.cluster.allocation import Terms, queue_job
from workflows.cluster.answers import ANSWERS, Answer, Unfinished, read
from workflows.config import DynamicsSettings, EngineSettings, RelaxSettings
from workflows.execution.worker import record_of
from workflows.execution_settings import ExecutionSettings
from workflows.stages.dynamics import DynamicsMaker
from workflows.stages.relax import RelaxMaker

UUID = "11111111-1111-1111-1111-111111111111"
LABELS = {"candidate": "A"}


def terms(folder, **changed):
    fields = {
        "engine": EngineSettings(),
        "execution": ExecutionSettings(),
        "work_root": str(folder / "jobs"),
        "n_processes": 2,
        "cores_per_process": 1,
        "wall_time_h": None,
    }
    return Terms(**{**fields, **changed})


def relaxations():
    maker = RelaxMaker(EngineSettings(), RelaxSettings(max_force_eV_per_A=0.1))
    jobs = [maker.make(structure, ion, LABELS) for ion, structure in SMALL.values()]
    return [record_of(job, []) for job in jobs]


def long_run(relaxed):
    settings = DynamicsSettings(
        temperatures_K=(600,),
        heating_ps=0.02,
        equilibration_ps=0.02,
        production_ps=100,
        checkpoint_ps=0.02,
        relative_error=None,
        min_cell_width_A=3,
    )
    job = DynamicsMaker(EngineSettings(), settings, Gates()).make(relaxed, 600.0, "K", LABELS)
    return record_of(job, [relaxed.uuid])


def start(folder, records, parents=None, **changed):
    """The job as jobflow-remote writes it, in a process of its own as its scripts start it."""
    folder.mkdir(parents=True, exist_ok=True)
    job = queue_job(
        "11111111-1111-1111-1111-111111111111", "test", records, terms(folder.parent, **changed)
    )
    arguments = list(job.function_args)
    arguments[1] = parents or {}
    job.function_args = tuple(arguments)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    from jobflow_remote.remote.data import get_remote_in_file, get_remote_store

    content = get_remote_in_file(job.as_dict(), get_remote_store(store, folder, None))
    (folder / "jfremote_in.json").write_bytes(content.read())
    return subprocess.Popen(
        [sys.executable, "-m", "workflows.cluster.allocation", str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def answers(folder):
    path = folder / ANSWERS
    return [record for record, _ in read(path.read_bytes())] if path.exists() else []


def test_every_job_answers_as_it_would_at_home(tmp_path):
    records = relaxations()
    assert start(tmp_path / "run", records).wait() == 0
    found = answers(tmp_path / "run")
    assert sorted(answer.key for answer in found) == sorted(record.key for record in records)
    for answer in found:
        assert answer.outcome.state == "done"
        assert answer.outcome.core_hours > 0
        assert answer.outcome.n_steps is not None
        (document,) = answer.documents
        assert document["output"]["result"]["energy_eV_per_atom"] < -2
    said = orjson.loads((tmp_path / "run" / "jfremote_out.json").read_bytes())
    assert said["error"] is None
    start(tmp_path / "run", records).wait()  # a submission that was repeated
    assert answers(tmp_path / "run") == found


@pytest.fixture(scope="module")
def relaxed(tmp_path_factory):
    """Of a KCl cell: reference and document."""
    folder = tmp_path_factory.mktemp("relaxed")
    record = relaxations()[0]
    assert start(folder / "run", [record]).wait() == 0
    (answer,) = answers(folder / "run")
    return OutputReference(record.uuid), answer.documents[0]["output"]


def test_the_end_of_the_wall_time_leaves_a_run_to_the_next_allocation(tmp_path, relaxed):
    reference, document = relaxed
    record = long_run(reference)
    fractions = []
    for name in ("first", "second"):
        process = start(
            tmp_path / name, [record], {reference.uuid: document}, wall_time_h=25 / 3600
        )
        assert process.wait() == 0
        (left,) = answers(tmp_path / name)
        assert isinstance(left, Unfinished)
        fractions.append(left.fraction)
    assert 0 < fractions[0] < fractions[1]


def test_kill_loses_no_answer_and_what_ran_goes_on(tmp_path, relaxed):
    reference, document = relaxed
    records = [*relaxations()[1:], long_run(reference)]
    process = start(tmp_path / "run", records, {reference.uuid: document})
    give_up_s = time.monotonic() + 120
    while len(answers(tmp_path / "run")) < 2:
        assert time.monotonic() < give_up_s
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found = answers(tmp_path / "run")
    assert len([answer for answer in found if isinstance(answer, Answer)]) == 2
    assert list((tmp_path / "jobs").glob("*/*")), "its folder is there for the next allocation"
