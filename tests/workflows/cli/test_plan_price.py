"""The price at the end of `plan`, and whether the run that follows does what was priced."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import pytest
from campaigns import SMALL, halideflow, write_campaign
from typer.testing import CliRunner

from workflows.cli import app
from workflows.cli.plan_price import amount
from workflows.cost.cores import VARIABLE, cores_of_a_job, jobs_take

CAMPAIGN = """\
name: planned
candidates:
  families:
    - formula: A(x)TaCl6
      prototype: k2ptcl6
      elements: {A: [K]}
      x: [1]
dynamics: {temperatures_K: [600, 800]}
"""


def plan(path, *options):
    return CliRunner().invoke(app, ["plan", str(path), *options])


def price(path):
    return json.loads(plan(path, "--json").stdout)["price"]


@pytest.fixture
def write(tmp_path):
    def to_file(more=""):
        path = tmp_path / "c.yaml"
        path.write_text(CAMPAIGN + more)
        return path

    return to_file


def test_plan_prints_the_price_after_what_would_run(write):
    result = plan(write())
    assert result.exit_code == 0
    before, _, after = result.stdout.partition("results would go to")
    assert "core-hours" not in before
    rows = {line.split()[0]: line.split() for line in after.splitlines() if line.strip()}
    assert rows["relax"][1:4] == ["6", "0", "0"]
    assert rows["dynamics"][1:5] == ["≤", "12", "0", "0"]
    assert rows["total"]
    assert "basis: prior: 79 jobs of 2 to 136 atoms" in after
    assert "note: an upper bound" in after
    assert "here, on" in after
    assert "budget" not in after


def test_json_has_all_of_it(write):
    found = price(write())
    assert found["stages"]["relax"]["n_new"] == 6
    assert found["stages"]["dynamics"]["n_undecided"] == 12
    hours = found["core_hours"]
    assert 0 < hours["low"] < hours["median"] < hours["high"]
    assert found["disk_GB"] > 0
    assert found["wall_time_h"]["median"] >= hours["median"] / found["n_cores"] * 0.99
    assert found["spending"] == {
        "used_core_hours": 0, "promised_core_hours": 0, "budget_core_hours": None,
        "left_core_hours": None,
    }  # fmt: skip
    assert found["fits"] is None


@pytest.mark.parametrize(
    ("budget", "fits", "verdict"),
    [(1000, "yes", "fits"), (3, "perhaps", "may not fit"), (0.01, "no", "does not fit")],
)
def test_the_plan_is_held_against_the_budget(write, budget, fits, verdict):
    path = write(f"execution: {{budget_core_hours: {budget}}}\n")
    assert price(path)["fits"] == fits
    line = next(line for line in plan(path).stdout.splitlines() if line.startswith("budget of"))
    assert line.endswith(f"; the plan {verdict}")
    assert "0 used, 0 promised to jobs in the queue" in line


def test_what_cannot_run_has_no_price(write):
    path = write()
    path.write_text(path.read_text().replace("x: [1]", "x: [1]\n      max_orderings: 2"))
    result = plan(path)
    assert result.exit_code == 2
    assert "core-hours" not in result.stdout
    assert price(path) is None


def test_results_that_are_none_are_said_so(write):
    path = write()
    (path.parent / "c").mkdir()
    (path.parent / "c" / "results.sqlite").write_bytes(b"no database, " * 100)
    result = plan(path)
    assert result.exit_code == 2
    assert "results.sqlite: file is not a database" in result.stderr


def test_pricing_needs_no_potential(write):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom workflows.cli import app\n"
        f"assert CliRunner().invoke(app, ['plan', {str(write())!r}]).exit_code == 0\n"
        "assert not {'torch', 'chgnet', 'atomate2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1e-7, "1.0e-07"),
        (0.0123, "0.012"),
        (9.96, "10"),
        (99.7, "100"),
        (1234.5, "1,234"),
    ],
)
def test_amounts_have_two_digits_that_count(value, text):
    assert amount(value) == text


def test_processes_are_told_how_many_cores_a_job_takes(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert cores_of_a_job() == 1
    with jobs_take(8):
        assert cores_of_a_job() == 8
        with jobs_take(3):  # an allocation knows best
            assert cores_of_a_job() == 8
    assert cores_of_a_job() == 1
    monkeypatch.setenv(VARIABLE, "none")
    assert cores_of_a_job() == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A campaign of three candidates that was run for real."""
    path = write_campaign(tmp_path_factory.mktemp("priced"), SMALL)
    planned = price(path)
    run = halideflow("run", path, "--workers", 2)
    assert run.returncode == 0, run.stderr
    return path, planned


def rows(path, columns, where="1"):
    database = sqlite3.connect(path.parent / "campaign" / "results.sqlite")
    found = database.execute(f"select {columns} from jobs where {where}").fetchall()
    database.close()
    return found


def test_a_run_does_what_was_planned(finished):
    path, planned = finished
    stages = planned["stages"]
    assert stages["relax"]["n_new"] == len(rows(path, "1", "stage = 'relax'")) == 3
    assert stages["dynamics"]["n_undecided"] == len(rows(path, "1", "stage = 'dynamics'")) == 6


def test_finished_jobs_tell_their_size_steps_and_time(finished):
    path, _ = finished
    assert rows(path, "1", "core_hours is null or core_hours <= 0") == []
    for n_atoms, n_steps in rows(path, "n_atoms, n_steps", "stage = 'relax'"):
        assert n_atoms == 2
        assert n_steps >= 0
    widened = rows(path, "n_atoms, n_steps", "stage = 'dynamics'")
    assert set(widened) <= {(2, 120), (16, 120), (54, 120)}  # 10 + 10 + 100 steps of 2 fs
    ((used_h,),) = rows(path, "sum(core_hours)")
    ((wall_s,),) = rows(path, "max(ended_at) - min(started_at)")
    assert 0 < 3600 * used_h < 2 * wall_s


def test_what_is_finished_costs_nothing_more(finished):
    path, _ = finished
    found = price(path)
    assert found["core_hours"] == {"median": 0, "low": 0, "high": 0}
    assert found["stages"]["dynamics"]["n_reused"] == 6
    assert found["spending"]["used_core_hours"] > 0


def test_a_changed_campaign_costs_what_is_new(finished):
    path, _ = finished
    text = path.read_text()
    path.write_text(text.replace("[300.0, 600.0]", "[300.0, 600.0, 900.0]"))
    found = price(path)
    dynamics = found["stages"]["dynamics"]
    assert found["stages"]["relax"]["n_reused"] == 3
    assert (dynamics["n_reused"], dynamics["n_undecided"]) == (6, 3)
    assert found["basis"] == "measured on 9 finished jobs of this campaign"
    before = rows(path, "uuid", "stage = 'dynamics'")
    assert halideflow("run", path, "--workers", 2).returncode == 0
    assert len(rows(path, "uuid", "stage = 'dynamics'")) - len(before) == 3
    assert price(path)["core_hours"]["median"] == 0
