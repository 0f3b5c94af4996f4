"""The local executor against jobflow's own `run_locally`, and against kill -9."""

from __future__ import annotations

import collections
import logging
import sqlite3

import pytest
from flows import (
    add_work,
    chain,
    count_in_working_folder,
    die,
    die_and_count,
    fail,
    fan_out,
    note,
    random_flow,
    stage_that_fails,
    stop_flow,
    store_aside,
    thread_count,
    total,
)
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore

SEEDS = range(40)


def outputs(store):
    """(name, index) -> resolved output, for every job that left one; names are unique a flow."""
    found = collections.Counter()
    for document in store.query({}):
        output = store.get_output(document["uuid"], which=document["index"], on_missing="none")
        name = document["name"]
        found[name if name != "store_inputs" else "", document["index"], repr(output)] += 1
    return found


def test_same_outputs_as_run_locally(machine, monkeypatch):
    """Forty random graphs with replace, detour, addition, stop_children, failures, OnMissing."""
    monkeypatch.setattr(logging.getLogger("jobflow"), "disabled", True)
    theirs = JobStore(MemoryStore())
    for seed in SEEDS:
        run_locally(random_flow(seed), store=theirs, log=False)
    machine.run(Flow([random_flow(seed) for seed in SEEDS]))
    assert outputs(machine.store) == outputs(theirs)


def test_stop_jobflow_stops_everything_after_it(machine):
    first = total([1])
    stop = stop_flow(first.output)
    after = total([stop.output])
    other = total([after.output])
    machine.run(Flow([first, stop, after, other]), n_workers=1)
    assert machine.store.count() == 2
    assert machine.states() == {"done": 2, "skipped": 2}


def test_additions_do_not_block_children_but_are_run(machine):
    work = add_work(2)
    child = total([work.output])
    machine.run(Flow([work, child]))
    assert machine.store.query_one({"name": "extra"})["output"] == 13
    assert machine.store.get_output(child.uuid) == 6


def test_stored_data_is_kept(machine):
    machine.run(store_aside(5))
    ((stored,),) = machine.table.select("select stored_data from jobs")
    assert stored == '{"kept":5}'


def test_failure_is_recorded_with_its_cause(machine):
    bad = fail(3)
    child = total([bad.output])
    summary = machine.run(Flow([bad, child]))
    assert summary.n_failed == 1
    ((code, message, tail),) = machine.table.select(
        "select code, message, log_tail from jobs where state = 'failed'"
    )
    assert code == "EXCEPTION"
    assert message == "ArithmeticError: cannot do 3"
    assert "Traceback" in tail
    assert machine.states() == {"failed": 1, "skipped": 1}


def test_a_stage_document_decides_the_state_of_its_job(machine):
    machine.run(stage_that_fails())
    ((state, code, message),) = machine.table.select("select state, code, message from jobs")
    assert (state, code) == ("failed", "UNEXPECTED")
    assert message == "ArithmeticError: no answer"


def test_finished_jobs_are_not_run_again(machine, tmp_path):
    jobs = [note(str(tmp_path), str(i)) for i in range(4)]
    flow = Flow([*jobs, total([1]), chain(0, 3), fan_out(1, 3)])
    first = machine.run(flow)
    again = machine.run(flow)
    assert again.n_executed == 0
    assert again.n_reused == first.n_executed
    assert sorted((tmp_path / "executed").read_text().split()) == ["0", "1", "2", "3"]


def test_retry_runs_failed_jobs_and_what_depends_on_them(machine):
    flow = Flow([bad := fail(3), total([1]), total([bad.output])])
    machine.run(flow)
    assert machine.run(flow).n_executed == 0
    assert machine.run(flow, retry_failed=True).n_executed == 1  # the child is skipped again


def test_killed_worker_is_replaced_and_its_job_repeated(machine, tmp_path):
    summary = machine.run(die(str(tmp_path), deaths=2))
    assert summary.n_failed == 0
    assert len(list(tmp_path.glob("death-*"))) == 2


def test_job_that_kills_its_worker_each_time_is_given_up_alone(machine, tmp_path):
    summary = machine.run(Flow([die(str(tmp_path), deaths=99), *(total([i]) for i in range(5))]))
    assert summary.n_failed == 1
    ((code, message),) = machine.table.select("select code, message from jobs where lost = 1")
    assert code == "WORKER_DIED"
    assert "-9" in message
    assert machine.store.count() == 5


def test_a_job_that_counts_its_deaths_is_asked_once_more_to_end_itself(machine):
    summary = machine.run(die_and_count(3))
    assert summary.n_failed == 0
    assert [document["output"] for document in machine.store.query({})] == [3]


def test_a_job_given_up_for_its_deaths_is_tried_again_by_the_next_run(machine, tmp_path):
    flow = Flow([die(str(tmp_path), deaths=4), total([1])])
    assert machine.run(flow).n_failed == 1
    assert machine.run(flow).n_failed == 0


def test_interrupt_while_waiting_for_the_lock_leaves_the_table_usable(machine):
    other = sqlite3.connect(machine.table.path)
    other.execute("begin immediate")

    def interrupt():
        other.execute("rollback")
        raise KeyboardInterrupt

    machine.table._connection.set_progress_handler(interrupt, 1)
    with pytest.raises((KeyboardInterrupt, sqlite3.OperationalError)):
        machine.table.wait_again([("a", 1)])
    machine.table._connection.set_progress_handler(None, 0)
    other.close()
    machine.table.wait_again([("a", 1)])


def test_working_folder_survives_the_death_of_its_job(machine):
    job = count_in_working_folder(3)
    machine.run(job)
    assert machine.store.get_output(job.uuid) == 3


@pytest.mark.parametrize("length", [400])
def test_long_chains_of_replacements_need_no_deep_recursion(machine, length):
    flow = Flow([job := chain(0, length)])
    machine.run(flow, n_workers=1)
    assert machine.store.get_output(job.uuid) == length
    assert machine.run(flow, n_workers=1).n_reused == length + 1


@pytest.mark.parametrize(("asked", "expected"), [(None, 1), ("2", 2)])
def test_one_thread_a_worker_unless_asked_otherwise(machine, monkeypatch, asked, expected):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    job = thread_count()
    machine.run(job, n_workers=1)
    assert machine.store.get_output(job.uuid) == expected
