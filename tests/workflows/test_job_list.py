"""Jobs as people see them, from a table alone: states, places in the queue, why they wait."""

import time
import uuid
from typing import get_args

import orjson
import pytest

from workflows.execution.jobs import JobRecord, JobTable, Outcome
from workflows.execution.orders import Orders
from workflows.execution.selection import Selection
from workflows.job_list import JobFilter, JobList, JobOrder
from workflows.waiting import Surroundings

RUN = 1


def record(name, stage, candidate=None, parents=(), index=1, kind=None, **metadata):
    spec = orjson.dumps({"metadata": metadata})
    return JobRecord(name, index, stage, stage, candidate, parents, "none", spec, 8, kind)


@pytest.fixture
def table(tmp_path):
    """Two candidates in the middle of a run."""
    table = JobTable(tmp_path / "results.sqlite")
    table.claim([record("all", "enumerate"), record("end", "rank", parents=("all",))], RUN)
    found = [
        made
        for candidate in ("A", "B")
        for made in (
            record(f"relax-{candidate}", "relax", candidate, kind="detour"),
            record(
                f"gate-{candidate}", "transport", candidate, (f"relax-{candidate}",), kind="detour"
            ),
        )
    ]
    table.start(("all", 1), time.time())
    table.finish(("all", 1), Outcome("done", spawned=tuple(found)), time.time())
    table.claim_spawned(("all", 1), RUN)
    return table


def replaced(table, candidate="A"):
    """The gate is passed: dynamics at two temperatures, then the fit under the gate's uuid."""
    gate = (f"gate-{candidate}", 1)
    finish(table, f"relax-{candidate}")
    runs = [
        record(
            f"md-{t}-{candidate}",
            "dynamics",
            candidate,
            (f"relax-{candidate}",),
            kind="replace",
            temperature_K=str(t),
        )
        for t in (300, 600)
    ]
    parents = tuple(run.uuid for run in runs)
    fit = record(gate[0], "transport", candidate, parents, index=2, kind="replace")
    table.start(gate, time.time())
    table.finish(gate, Outcome("done", spawned=(*runs, fit), core_hours=0.25), time.time())
    table.claim_spawned(gate, RUN)


def finish(table, name, state="done", index=1, **outcome):
    table.start((name, index), time.time())
    table.finish((name, index), Outcome(state, **outcome), time.time())


def jobs(table, being_run=True, **surroundings):
    return JobList(table, RUN, Surroundings(being_run, **surroundings))


def by_name(found):
    return {job.uuid: job for job in found}


def send(table, *names, state="running", worker="big", queue_id="77", sent_at=1000.0):
    """Hand jobs to a queue, as whoever runs the campaign does."""
    identifier = str(uuid.uuid4())
    with table.transaction() as connection:
        connection.execute(
            "insert into queue_jobs (uuid, stage, worker, n_cores, core_hours_promised, sent_at, "
            "queue_id, state, message) values (?, 'relax', ?, 4, 2.0, ?, ?, ?, 'in line')",
            (identifier, worker, sent_at, queue_id, state),
        )
        for name in names:
            connection.execute("insert into queue_job_parts values (?, ?, 1)", (identifier, name))
            connection.execute("update jobs set state = 'queued' where uuid = ?", (name,))
    return identifier


def test_a_waiting_job_names_what_it_waits_for(table):
    found = by_name(jobs(table).page())
    assert found["gate-A"].why == "waits for relax of A"
    assert found["relax-A"].why == "ready: starts when a worker is free"
    assert found["end"].why == "waits for 4 jobs: relax 2, transport 2"  # behind the enumeration
    assert found["all"].why is None


def test_what_replaced_a_job_is_waited_for(table):
    replaced(table)
    found = by_name(jobs(table).page())
    assert found["gate-A"].index == 2  # one job, whose last part this is
    assert found["gate-A"].why == "waits for dynamics of A (2 jobs)"
    assert found["gate-A"].core_hours == 0.25
    assert found["end"].why == "waits for 5 jobs: dynamics 2, relax 1, transport 2"
    finish(table, "md-300-A")
    assert by_name(jobs(table).page())["gate-A"].why == "waits for dynamics of A"


def test_dynamics_has_its_temperature(table):
    replaced(table)
    found = jobs(table).page(JobFilter(stage="dynamics"))
    assert sorted(job.temperature_K for job in found) == [300.0, 600.0]
    assert by_name(jobs(table).page())["relax-B"].temperature_K is None


def test_what_keeps_a_ready_job_from_starting(table):
    def why(being_run=True, **surroundings):
        return by_name(jobs(table, being_run, **surroundings).page())["relax-A"].why

    assert why(being_run=False, cluster="c") == "ready, but nobody runs this campaign"
    assert why(cluster="c", trouble="the host does not answer") == "the host does not answer"
    assert why(cluster="c", over_budget="no core-hours left") == "no core-hours left"
    assert why(over_budget="no core-hours left") == "no core-hours left"
    assert why(cluster="c") == "ready: goes to the queue with others"


def test_a_held_job_is_paused_only_while_it_waits(table):
    orders = Orders(table)
    orders.pause(Selection(stage="relax"))
    table.start(("relax-A", 1), time.time())
    found = by_name(jobs(table).page())
    assert (found["relax-A"].state, found["relax-B"].state) == ("running", "paused")
    assert found["relax-B"].why.startswith("paused since 2")
    assert found["gate-B"].state == "waiting"
    assert jobs(table).counts()["relax"] == {"running": 1, "paused": 1}
    orders.resume(Selection(stage="relax"))
    orders.pause(Selection(candidate="B"))
    found = by_name(jobs(table).page())
    assert (found["relax-B"].state, found["gate-B"].state) == ("paused", "paused")
    assert found["gate-A"].state == found["end"].state == "waiting"


def test_what_was_left_running_waits_unless_it_is_in_a_queue(table):
    table.start(("relax-A", 1), time.time())
    identifier = send(table, "relax-B")
    here, gone = by_name(jobs(table).page()), by_name(jobs(table, being_run=False).page())
    assert (here["relax-A"].state, gone["relax-A"].state) == ("running", "waiting")
    assert here["relax-B"].state == gone["relax-B"].state == "queued"
    assert gone["relax-B"].why == "in line"
    with table.transaction() as connection:
        connection.execute("update queue_jobs set state = 'ended' where uuid = ?", (identifier,))
    assert by_name(jobs(table, being_run=False).page())["relax-B"].state == "waiting"


def test_a_job_of_the_queue_has_its_last_place_there(table):
    send(table, "relax-A", state="ended", worker="small", queue_id="76", sent_at=900.0)
    send(table, "relax-A", "relax-B")
    found = by_name(jobs(table).page())
    for name in ("relax-A", "relax-B"):
        job = found[name]
        assert (job.worker, job.queue_id, job.queued_at) == ("big", "77", 1000.0)
        assert job.waited_s == pytest.approx(time.time() - 1000, rel=0, abs=60)
        assert job.ran_s is None
    table.start(("relax-A", 1), 1060.0)
    assert by_name(jobs(table).page())["relax-A"].waited_s == 60
    assert by_name(jobs(table).page())["gate-A"].worker is None


def test_core_hours_that_nobody_counted_are_unknown(table):
    finish(table, "relax-A")
    assert by_name(jobs(table).page())["relax-A"].core_hours is None


def test_filters_and_pages(table):
    finish(table, "relax-A", "failed", code="NOT_CONVERGED", message="m", log_tail="t")
    listed = jobs(table)
    assert [job.uuid for job in listed.page(limit=1)] == ["relax-A"]  # what failed comes first
    everything = [job.uuid for job in listed.page()]
    paged = [job.uuid for start in range(6) for job in listed.page(limit=1, offset=start)]
    assert paged == everything
    assert len(everything) == 6
    stages = [job.stage for job in listed.page(order="stage")]
    assert stages == ["enumerate", "relax", "relax", "transport", "transport", "rank"]
    for wanted, number in (
        (JobFilter(stage="relax"), 2),
        (JobFilter(candidate="B"), 2),
        (JobFilter(states=("failed", "done")), 2),
        (JobFilter(codes=("NOT_CONVERGED",)), 1),
        (JobFilter(stage="transport", candidate="A", states=("waiting",)), 1),
        (JobFilter(uuid="gate"), 2),
        (JobFilter(of=("all",)), 5),
        (JobFilter(stage="quench"), 0),
        (JobFilter(stages=("relax", "rank")), 3),
        (JobFilter(stages=("relax", "rank"), states=("failed", "waiting")), 3),
    ):
        assert listed.count(wanted) == len(listed.page(wanted)) == number
    assert listed.codes() == {"NOT_CONVERGED": 1}
    assert listed.candidates() == ["A", "B"]


def test_jobs_of_an_older_config_do_not_count(table):
    table.claim([record("old", "relax", "C")], RUN - 1)
    assert "old" not in by_name(jobs(table).page())
    assert jobs(table).candidates() == ["A", "B"]


def test_tried_again_and_done(table):
    for name in ("relax-A", "relax-B"):
        table.start((name, 1), time.time())
    table.wait_again([("relax-A", 1)])
    finish(table, "relax-A")
    table.finish(("relax-B", 1), Outcome("done"), time.time())
    assert [job.uuid for job in jobs(table).tried_again()] == ["relax-A"]


def failed(table, name, code, index=1):
    finish(table, name, "failed", index, code=code, message=f"m of {name}", log_tail="t")


def test_causes_are_grouped_and_the_first_jobs_of_each_are_shown(table):
    replaced(table)
    failed(table, "relax-B", "NOT_CONVERGED")
    failed(table, "gate-B", "LOST")  # behind the cause
    failed(table, "md-300-A", "RUN_EXPLODED")
    failed(table, "md-600-A", "RUN_EXPLODED")
    exploded, unconverged = jobs(table).causes(limit=1)
    assert (exploded.code, exploded.n_jobs, exploded.n_candidates) == ("RUN_EXPLODED", 2, 1)
    assert exploded.stages == {"dynamics": 2}
    assert [job.uuid for job in exploded.jobs] == ["md-300-A"]
    assert unconverged.jobs[0].log_tail == "t"
    of_each = jobs(table).causes(limit=9)
    assert [job for cause in of_each for job in cause.jobs] == [
        job for code in ("RUN_EXPLODED", "NOT_CONVERGED") for job in jobs(table).failures()
        if job.code == code
    ]  # fmt: skip


def test_lists_are_sorted_by_what_they_show(table):
    replaced(table)
    finish(table, "relax-B", core_hours=0.5)
    table.start(("md-300-A", 1), time.time() - 50)
    send(table, "md-600-A", state="sent")
    with table.transaction() as connection:
        connection.execute("update jobs set attempts = 3 where uuid = 'relax-A'")
        connection.execute("update jobs set started_at = 1, ended_at = 9 where uuid = 'relax-A'")
        connection.execute("update jobs set started_at = 2, ended_at = 4 where uuid = 'relax-B'")

    def first(order, number=1, **options):
        return [job.uuid for job in jobs(table).page(limit=number, order=order, **options)]

    assert first("state", 2) == ["md-300-A", "md-600-A"]
    assert first("stage", 3) == ["all", "relax-A", "relax-B"]
    assert first("stage", is_descending=True) == ["end"]
    assert first("candidate", 2) == ["relax-A", "md-300-A"]
    assert first("candidate", is_descending=True) == ["relax-B"]
    assert first("temperature", 2) == ["md-300-A", "md-600-A"]
    assert first("temperature", 2, is_descending=True) == ["md-600-A", "md-300-A"]
    assert first("worker") == ["md-600-A"]
    assert first("waited", is_descending=True) == ["md-600-A"]
    assert first("attempts", is_descending=True) == ["relax-A"]
    assert first("started", 2) == ["relax-A", "relax-B"]
    assert first("ended", 2) == ["relax-B", "relax-A"]
    assert first("ran", is_descending=True) == ["md-300-A"]
    assert first("core_hours", 2, is_descending=True) == ["relax-B", "gate-A"]
    for order in get_args(JobOrder):
        everything = [job.uuid for job in jobs(table).page(order=order)]
        for is_descending in (False, True):
            options = {"order": order, "is_descending": is_descending}
            paged = [
                job.uuid
                for start in range(0, 8, 3)
                for job in jobs(table).page(limit=3, offset=start, **options)
            ]
            assert sorted(paged) == sorted(everything)
        known = [job for job in jobs(table).page(order=order) if shown_for(order, job) is not None]
        assert [job.uuid for job in known] == everything[: len(known)]  # unknown ones come last


def shown_for(order, job):
    names = {
        "temperature": "temperature_K", "waited": "waited_s", "ran": "ran_s",
        "started": "started_at", "ended": "started_at",
    }  # fmt: skip
    return getattr(job, names.get(order, order))


def test_ends_of_what_a_ranking_goes_by(table):
    replaced(table)
    table.finish(("relax-B", 1), Outcome("failed", code="C", message="m"), 7.0)
    ends = jobs(table).ends()
    assert ends["relax-B"] == (1, 7.0, "failed")
    assert ends["gate-A"] == (2, None, "waiting")
    assert "md-300-A" not in ends
    table.start(("md-300-A", 1), time.time())
    assert jobs(table).running() == {"A"}
    assert jobs(table, being_run=False).running() == set()
    (reason,) = jobs(table).reasons(["relax-A", "relax-B"]).values()
    assert (reason.state, reason.failure.code, reason.failure.message) == ("failed", "C", "m")


def test_a_file_of_an_earlier_version_is_read_as_it_is(tmp_path, table):
    """Without indexes; the first who writes there makes them."""
    replaced(table)
    with table.transaction() as connection:
        connection.execute("drop index jobs_listed")
        connection.execute("drop index jobs_parts")
    table.close()

    def indexes(table):
        names = table.select("select name from sqlite_master where name like 'jobs_%'")
        return {name for (name,) in names}

    before = JobTable(tmp_path / "results.sqlite", read_only=True)
    assert indexes(before) == set()
    answers = jobs(before).counts(), jobs(before).page(), jobs(before).ends()
    after = JobTable(tmp_path / "results.sqlite")
    assert indexes(after) == {"jobs_listed", "jobs_parts"}
    assert answers == (jobs(after).counts(), jobs(after).page(), jobs(after).ends())


def test_fifty_thousand_jobs_are_no_burden(tmp_path):
    """5,000 candidates in the middle of a run, seven temperatures each."""
    table = JobTable(tmp_path / "results.sqlite")
    found = []
    for number in range(5000):
        name = f"K3YCl6-{number}"
        relax, stable, gate = f"r{number}", f"s{number}", f"t{number}"
        found += [
            record(relax, "relax", name, kind="detour"),
            record(stable, "stability", name, (relax,), kind="detour"),
            record(gate, "transport", name, (relax, stable), kind="detour"),
            *(
                record(f"d{number}-{t}", "dynamics", name, (relax,), kind="detour")
                for t in range(7)
            ),
        ]
    table.claim([record("all", "enumerate"), record("end", "rank", parents=("all",))], RUN)
    table.finish(("all", 1), Outcome("done", spawned=tuple(found)), time.time())
    table.claim_spawned(("all", 1), RUN)
    Orders(table).pause(Selection(stage="dynamics"))
    listed = jobs(table)
    for ask in (
        listed.counts,
        lambda: listed.page(limit=100),
        lambda: listed.page(limit=100, offset=40_000),
        lambda: listed.page(JobFilter(stage="dynamics", states=("paused",)), limit=100, offset=900),
        lambda: listed.page(JobFilter(stage="rank")),
        lambda: listed.count(JobFilter(candidate="K3YCl6-4000")),
    ):
        assert ask()
    (end,) = listed.page(JobFilter(stage="rank"))
    assert end.why.startswith("waits for 50,000 jobs: dynamics 35,000, relax 5,000")
