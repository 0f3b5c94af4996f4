"""A run that goes on heeds what people ask of it: pause, resume, cancel, retry."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest
from flows import fail_unless, sleeping, spawn_known, total
from jobflow import Flow, OnMissing

from workflows.execution.jobs import JobTable
from workflows.execution.orders import Orders
from workflows.execution.selection import EVERYTHING, Selection


@pytest.fixture
def beside(machine):
    """Runs a function beside the run of a flow, with orders of another process."""

    def run(flow, ask, **options):
        failures = []

        def act():
            table = JobTable(machine.table.path)
            try:
                ask(Orders(table), lambda: states(table))
            except BaseException as error:
                failures.append(error)
            finally:
                table.close()

        thread = threading.Thread(target=act)
        thread.start()
        summary = machine.run(flow, **options)
        thread.join()
        assert not failures, failures
        return summary

    return run


def states(table):
    return dict(table.select("select name, state from jobs"))


def until(condition, seconds=30):
    give_up_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def named(job, name, stage=None):
    job.name = name
    job.metadata = {"stage": stage or name, "candidate": "A"}
    return job


def test_a_hold_keeps_jobs_from_starting_until_it_is_lifted(machine, beside, tmp_path):
    first = named(sleeping(1.0), "first")
    second = named(total([first.output]), "second")
    Orders(machine.table).pause(Selection(stage="second"))
    seen = []

    def ask(orders, now):
        until(lambda: now().get("first") == "done")
        time.sleep(2.5)
        seen.append(now()["second"])
        orders.resume(EVERYTHING)

    assert beside(Flow([first, second]), ask).n_failed == 0
    assert seen == ["waiting"]
    assert machine.states() == {"done": 2}
    assert [order.kind for order in Orders(machine.table).history()] == ["pause", "resume"]


def test_cancelled_jobs_end_and_what_ran_beside_goes_on(machine, beside):
    long, short = named(sleeping(600.0), "long"), named(sleeping(0.1), "short")
    after = named(total([long.output]), "after")

    def ask(orders, now):
        until(lambda: now().get("long") == "running")
        orders.give("cancel", Selection(stage="long"))

    flow = Flow([long, short, after])
    summary = beside(flow, ask)
    assert states(machine.table) == {"long": "failed", "short": "done", "after": "skipped"}
    assert summary.n_failed == 1
    ((code,),) = machine.table.select("select code from jobs where name = 'long'")
    assert code == "CANCELLED"
    (order,) = Orders(machine.table).history()
    assert order.n_jobs == 1
    assert order.applied_at is not None
    assert machine.run(flow).n_executed == 0  # it stays so


def test_failed_jobs_are_retried_while_the_run_goes_on(machine, beside, tmp_path):
    flag = tmp_path / "mended"
    failing = named(fail_unless(str(flag)), "failing")
    after = named(total([failing.output]), "after")
    long = named(sleeping(4.0), "long")

    def ask(orders, now):
        until(lambda: now().get("failing") == "failed")
        flag.touch()
        orders.give("retry", Selection(code="EXCEPTION"))

    summary = beside(Flow([failing, after, long]), ask)
    assert summary.n_failed == 0
    assert states(machine.table) == {"failing": "done", "after": "done", "long": "done"}
    starts = machine.table.select("select attempts from jobs where name = 'long'")
    assert list(starts) == [(1,)]


def test_orders_that_nobody_took_are_carried_out_by_the_next_run(machine):
    number = Orders(machine.table).give("cancel", Selection(stage="job"))
    machine.run(Flow([named(total([1]), "job"), named(total([2]), "other")]))
    (order,) = Orders(machine.table).history()
    assert (order.number, order.n_jobs) == (number, 1)
    assert states(machine.table) == {"job": "failed", "other": "done"}


def test_what_runs_is_kept_while_what_spawned_it_is_done_again(machine, beside, tmp_path):
    """A retry resets what depended on a failure, and with it a job that has spawned others."""
    flag = tmp_path / "mended"
    failing = named(fail_unless(str(flag)), "failing")
    spawner = named(spawn_known(failing.output, str(uuid4()), str(tmp_path)), "spawner")
    spawner.config.on_missing_references = OnMissing.NONE
    after = named(total([spawner.output]), "after")

    def ask(orders, now):
        until(lambda: now().get("long") == "running")
        flag.touch()
        orders.give("retry", Selection(code="EXCEPTION"))

    beside(Flow([failing, spawner, after]), ask)
    assert (tmp_path / "started").read_text() == "x"
    assert set(states(machine.table).values()) == {"done"}
