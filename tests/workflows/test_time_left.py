"""How long a run will take, from a table of jobs."""

from __future__ import annotations

import time

import pytest

from workflows.execution.jobs import JobRecord, JobTable, Outcome
from workflows.job_list import JobList
from workflows.time_left import time_left
from workflows.waiting import Surroundings


@pytest.fixture
def table(tmp_path):
    table = JobTable(tmp_path / "results.sqlite")
    table.begin_run("campaign", "{}", {}, time.time())
    yield table
    table.close()


def add(table, stage, number, state, started_at=None, ended_at=None):
    record = JobRecord(f"{stage}-{number}", 1, stage, stage, f"c{number}", (), "error", b"{}")
    table.claim([record], 1)
    if state != "waiting":
        table.start(record.key, started_at)
    if state == "done":
        table.finish(record.key, Outcome("done"), ended_at)


def left(table, since):
    jobs = JobList(table, 1, Surroundings(is_being_run=True))
    return time_left(table, 1, jobs.counts(), since)


@pytest.mark.parametrize("n_workers", [1, 2, 4])
def test_equal_jobs_side_by_side(table, n_workers):
    """Ten minutes each, twelve done, as many running as there are workers, eight left in all."""
    now = time.time()
    n_turns = 12 // n_workers
    since = now - 600 * n_turns - 300
    for number in range(12):
        turn = number // n_workers
        add(table, "relax", number, "done", since + 600 * turn, since + 600 * (turn + 1))
    for number in range(12, 20):
        is_running = number < 12 + n_workers
        add(table, "relax", number, "running" if is_running else "waiting", now - 300)
    expected = 600 * 8 / n_workers - 300
    assert left(table, since).seconds == pytest.approx(expected, rel=0.02)


def test_a_stage_that_nobody_has_finished_is_not_guessed(table):
    now = time.time()
    add(table, "relax", 1, "done", now - 100, now - 50)
    add(table, "dynamics", 1, "running", now - 50)
    answer = left(table, now - 100)
    assert answer.seconds is None
    assert answer.why == "no dynamics has ended yet"


def test_a_stage_of_moments_says_nothing(table):
    add(table, "rank", 1, "waiting")
    assert left(table, time.time() - 100).seconds is None


def test_what_was_done_in_earlier_runs_is_no_pace_of_this_one(table):
    now = time.time()
    add(table, "relax", 1, "done", now - 10_000, now - 9_000)
    add(table, "relax", 2, "running", now - 500)
    assert left(table, now - 500).seconds == pytest.approx(500, rel=0.02)
