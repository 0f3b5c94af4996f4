"""A campaign on Slurm in the hands of people: budget, pause, cancel, retry, submit again."""

from __future__ import annotations

import json

import pytest
from campaigns import CELLS, halideflow, ranking, write_campaign
from on_slurm import (
    answered,
    cluster_of,
    codes,
    drivers,
    freeze,
    notes,
    select,
    sent_to,
    states,
    until,
)
from slurm import is_available

from workflows.config_file import load_campaign
from workflows.cost.prices import Prices
from workflows.execution.jobs import JobTable

pytestmark = pytest.mark.skipif(not is_available(), reason="needs Slurm and munge")

ONE_EACH = {name: {"jobs_per_queue_job": 1} for name in ("relax", "dynamics")}
SENT = "select stage, count(*) from queue_jobs group by stage order by stage"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A campaign that was run on this machine, and its ranking."""
    config = write_campaign(tmp_path_factory.mktemp("local") / "c", CELLS, temperatures=(300.0,))
    run = halideflow("run", config)
    assert run.returncode == 0, run.stderr
    return config, ranking(config)


def budget_for_one(config):
    """What was spent, and something for the first relaxation."""
    used = json.loads(halideflow("status", config, "--json").stdout)["core_hours"]
    table = JobTable(config.with_suffix("") / "results.sqlite", read_only=True)
    first, second, _ = (
        Prices(load_campaign(config), table).job("relax", n_atoms) for n_atoms in (2, 4, 8)
    )
    return used["used_core_hours"] + (first + second) / 2


def test_people_have_their_way(slurm, queue_database, tmp_path, local):
    config = write_campaign(tmp_path / "c", CELLS, temperatures=(300.0,))
    with cluster_of(slurm, queue_database, tmp_path / "cluster"):
        # A budget that enumerating has used up, then one for the smallest cell.
        sent_to(config, resources=ONE_EACH, budget_core_hours=1e-6)
        submitted = halideflow("submit", config)
        assert submitted.returncode == 3
        assert "no room for 3 more jobs" in submitted.stderr
        sent_to(config, resources=ONE_EACH, budget_core_hours=budget_for_one(config))
        until(lambda: states(config, "relax").count("done") == 1, "one is paid for")
        until(
            lambda: "no room for 2 more jobs" in halideflow("status", config).stdout,
            "the budget keeps the two others",
        )
        assert (
            "execution.budget_core_hours" in halideflow("jobs", config, "--stage", "relax").stdout
        )
        assert select(config, SENT) == [("relax", 1)]

        # More budget, but dynamics is held back.
        assert halideflow("pause", config, "--stage", "dynamics").returncode == 0
        sent_to(config, resources=ONE_EACH, budget_core_hours=10)
        until(lambda: states(config, "dynamics") == ["waiting"] * 3, "all are stable")
        assert "budget" not in notes(config)
        shown = halideflow("jobs", config, "--stage", "dynamics").stdout
        assert shown.count("paused since") == 3
        assert select(config, SENT) == [("relax", 3)]

        # One that hangs is cancelled.
        assert halideflow("resume", config).returncode == 0
        hanging = "select uuid from jobs where stage = 'dynamics' and candidate like 'LiCl%'"
        sql = f"select queue_job from queue_job_parts where uuid in ({hanging})"
        sql = f"select queue_id from queue_jobs where state = 'running' and uuid in ({sql})"
        until(lambda: select(config, sql), "it runs")
        ((queue_id,),) = select(config, sql)
        freeze(queue_id)
        until(lambda: states(config, "dynamics").count("done") == 2, "the others have answered")
        cancelled = halideflow("cancel", config, "--candidate", "LiCl-licl-1", "--yes")
        assert cancelled.returncode == 0, cancelled.stdout
        until(lambda: queue_id not in slurm.squeue(), "it is out of the queue")
        until(lambda: not drivers(config), "the campaign has come to its end")
        assert slurm.squeue() == {}
        assert codes(config) == {"CANCELLED"}
        assert sorted(row["state"] for row in ranking(config)) == ["done", "done", "failed"]
        assert halideflow("status", config).returncode == 4

        assert halideflow("retry", config, "--reason", "CANCELLED").returncode == 0
        finished = halideflow("submit", config, "--wait")
        assert finished.returncode == 0, finished.stderr
        assert ranking(config) == local[1]
        assert select(config, SENT) == [("dynamics", 4), ("relax", 3)]
        for stage in ("relax", "dynamics"):
            assert set(answered(config, stage).values()) == {1}

        # Nothing has changed; then another temperature is wanted.
        assert halideflow("submit", config, "--wait").returncode == 0
        assert select(config, SENT) == [("dynamics", 4), ("relax", 3)]
        run = halideflow("run", config)
        assert run.returncode == 0
        assert "nothing to do" in run.stderr
        config.write_text(config.read_text().replace("[300.0]", "[300.0, 600.0]"))
        assert halideflow("submit", config).returncode == 3
        until(lambda: select(config, SENT) == [("dynamics", 7), ("relax", 3)], "that is sent")

        # Nothing of it is wanted any more.
        cancelled = halideflow("cancel", config, "--yes")
        assert cancelled.returncode == 0, cancelled.stdout
        until(lambda: not drivers(config), "the campaign has come to its end")
        assert slurm.squeue() == {}


def test_results_of_a_run_count(slurm, queue_database, tmp_path, local):
    config, before = local
    with cluster_of(slurm, queue_database, tmp_path / "cluster"):
        submitted = halideflow("submit", sent_to(config), "--wait")
        assert submitted.returncode == 0, submitted.stderr
        assert select(config, SENT) == []
    assert ranking(config) == before
