"""How jobs are packed, and how often one is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.cluster.attempts import Attempts
from workflows.cluster.batches import LINGER_S, Batches
from workflows.config import CampaignConfig
from workflows.execution.jobs import JobRow


def config(engine="chgnet", **resources):
    return CampaignConfig(
        name="test",
        engine={"name": engine},
        candidates={"files": [{"path": "a.cif", "mobile_ion": "Na"}]},
        execution={"resources": resources},
    )


def row(number, stage="relax", n_atoms=32):
    return JobRow(
        f"{stage}-{number}", 1, "", stage, None, (), "none", "waiting", *(False,) * 3, n_atoms
    )


def packed(config, jobs, monkeypatch=None, later=True):
    batches = Batches(config)
    batches.ready(jobs)
    if later:
        batches._seen_s = {key: seen_s - 2 * LINGER_S for key, seen_s in batches._seen_s.items()}
    return batches.ready(jobs)


def test_a_thousand_surrogate_relaxations_are_a_handful_of_queue_jobs():
    made = packed(config(relax={"tasks": 16}), [row(n) for n in range(1000)])
    assert [len(batch.jobs) for batch in made] == [250] * 4
    assert {(batch.n_processes, batch.cores_per_process) for batch in made} == {(16, 1)}


def test_what_is_left_waits_for_more():
    jobs = [row(n) for n in range(260)]
    assert [len(batch.jobs) for batch in packed(config(), jobs, later=False)] == [250]
    assert [len(batch.jobs) for batch in packed(config(), jobs)] == [250, 10]


def test_dynamics_fills_the_cores_that_it_asks_for():
    made = packed(config(dynamics={"tasks": 8}), [row(n, "dynamics") for n in range(11)])
    assert [(len(batch.jobs), batch.n_cores) for batch in made] == [(8, 8), (3, 3)]
    assert made[1].resources.tasks == 3


def test_vasp_has_jobs_of_its_own_and_ranks_for_tasks():
    made = packed(config("vasp", relax={"tasks": 32, "cores_per_task": 2}), [row(1), row(2)])
    assert [len(batch.jobs) for batch in made] == [1, 1]
    assert {(batch.n_processes, batch.cores_per_process) for batch in made} == {(1, 64)}


def test_cells_of_other_sizes_get_other_resources():
    rules = {"tasks": 2, "larger": [{"from_atoms": 100, "tasks": 8, "wall_time_h": 10}]}
    made = packed(
        config(relax=rules), [row(1, n_atoms=99), *(row(n, n_atoms=100) for n in range(2, 12))]
    )
    assert [(len(b.jobs), b.resources.wall_time_h, b.n_processes) for b in made] == [
        (1, None, 1),
        (10, 10, 8),
    ]


@given(
    n_jobs=st.lists(st.integers(0, 600), min_size=2, max_size=2),
    size=st.integers(1, 300),
    tasks=st.integers(1, 64),
)
def test_every_job_is_packed_once(n_jobs, size, tasks):
    jobs = [
        row(n, stage)
        for stage, number in zip(("relax", "dynamics"), n_jobs, strict=True)
        for n in range(number)
    ]
    resources = {"jobs_per_queue_job": size, "tasks": tasks}
    made = packed(config(relax=resources, dynamics=resources), jobs)
    assert sorted(job.key for batch in made for job in batch.jobs) == sorted(j.key for j in jobs)
    assert all(0 < len(batch.jobs) <= size and batch.n_processes <= tasks for batch in made)
    assert all(len({job.stage for job in batch.jobs}) == 1 for batch in made)


def test_a_run_that_comes_further_is_followed_for_ever_and_one_that_does_not_three_times():
    attempts, key = Attempts(), ("a", 1)
    assert all(attempts.may_follow(key, fraction) for fraction in (0.1, 0.2, 0.2, 0.3, 0.9))
    assert attempts.may_follow(key, 0.9)
    assert attempts.may_follow(key, None)
    assert not attempts.may_follow(key, 0.9)


@pytest.mark.parametrize("fraction", [None, 0.0])
def test_attempts_in_vain_end(fraction):
    attempts = Attempts()
    assert [attempts.may_follow(("a", 1), fraction) for _ in range(3)] == [True, True, False]
    assert attempts.may_follow(("b", 1), fraction)
