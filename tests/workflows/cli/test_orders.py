"""`pause`, `resume`, `cancel`, `retry`: on campaigns that are being run, and on others."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest
from campaigns import SMALL, halideflow, ranking, write_campaign
from typer.testing import CliRunner

from workflows.cli import app

KCL, NACL = "KCl-kcl-a-1", "NaCl-nacl-a-1"


def ask(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def totals(config):
    return json.loads(ask("status", config, "--json").stdout)["totals"]


def jobs(config, **wanted):
    options = [text for name, value in wanted.items() for text in (f"--{name}", value)]
    return json.loads(ask("jobs", config, "--json", *options).stdout)


def until(claim, within_s=300.0):
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


@contextmanager
def being_run(config, workers=1):
    """A run in another process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "run", str(config), "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def relaxed(tmp_path_factory):
    """Two candidates that are relaxed and passed the gates; no dynamics was asked for."""
    folder = tmp_path_factory.mktemp("relaxed")
    structures = {name: SMALL[name] for name in ("kcl-a", "nacl-a")}
    config = write_campaign(folder, structures, temperatures=())
    run = halideflow("run", config, "--workers", 2)
    assert run.returncode == 0, run.stderr
    return config


def asking_for_dynamics(relaxed, folder, production_ps):
    """A copy of that campaign, which goes on with dynamics of so many ps."""
    shutil.copytree(relaxed.parent, folder)
    config = folder / "campaign.yaml"
    dynamics = (
        "{temperatures_K: [300], heating_ps: 0.02, equilibration_ps: 0.02, frame_interval_fs: 10, "
        f"production_ps: {production_ps}, checkpoint_ps: 0.02, min_cell_width_A: 3}}"
    )
    config.write_text(config.read_text().replace("dynamics: null", f"dynamics: {dynamics}"))
    return config


@pytest.fixture(scope="module")
def stopped(relaxed, tmp_path_factory):
    """Dynamics was paused, and a run stopped when nothing else was left to do."""
    config = asking_for_dynamics(relaxed, tmp_path_factory.mktemp("stopped") / "copy", 0.2)
    paused = ask("pause", config, "--stage", "dynamics")
    assert paused.exit_code == 0
    assert f"`halideflow resume {config} --stage dynamics`" in paused.stdout
    with being_run(config):
        until(lambda: totals(config)["paused"] == 2)
    return config


@pytest.fixture
def held(stopped, tmp_path):
    """The same, to be changed."""
    shutil.copytree(stopped.parent, tmp_path / "copy")
    return tmp_path / "copy" / "campaign.yaml"


def test_a_paused_stage_does_not_run_until_it_is_resumed(held):
    with being_run(held) as process:
        until(lambda: "being run since" in ask("status", held).stdout)
        time.sleep(4)
        assert process.poll() is None
        assert totals(held)["running"] == 0
        paused = jobs(held, stage="dynamics")
        assert {job["state"] for job in paused} == {"paused"}
        assert all(job["attempts"] == 0 for job in paused)
        assert "is paused already" in ask("pause", held, "--stage", "dynamics").stdout
        resumed = ask("resume", held)
        assert "resumed: dynamics\nthe run in progress takes it up now" in resumed.stdout
        assert process.wait(timeout=300) == 0
    assert totals(held)["paused"] == 0
    assert {row["state"] for row in ranking(held)} == {"done"}


def test_a_pause_reaches_a_run_in_progress(relaxed, tmp_path):
    config = asking_for_dynamics(relaxed, tmp_path / "copy", 2)
    with being_run(config) as process:
        until(lambda: jobs(config, stage="dynamics", state="running"))
        paused = ask("pause", config)
        assert "1 running: goes on" in paused.stdout
        until(lambda: jobs(config, stage="dynamics", state="done"))  # what ran went on
        time.sleep(3)
        assert process.poll() is None
        assert [job["state"] for job in jobs(config, stage="dynamics")] == ["paused", "done"]


def test_one_candidate_can_be_cancelled_from_elsewhere_and_taken_back(held):
    config = held
    with being_run(config) as process:
        until(lambda: "being run since" in ask("status", config).stdout)
        cancelled = ask("cancel", config, "--candidate", KCL, "--yes")
        assert cancelled.exit_code == 0, cancelled.output
        assert "2 jobs were cancelled" in cancelled.stdout  # its dynamics and its fit
        assert "the run in progress goes on with the rest" in cancelled.stdout
        assert {job["code"] for job in jobs(config, candidate=KCL, state="failed")} == {"CANCELLED"}
        assert ask("resume", config, "--stage", "dynamics").exit_code == 0
        assert process.wait(timeout=300) == 4
    states = {row["id"]: row["state"] for row in ranking(config)}
    assert states == {KCL: "failed", NACL: "done"}

    would = ask("retry", config, "--reason", "CANCELLED", "--dry-run")
    assert would.exit_code == 0
    assert "would try again 2 jobs (dynamics 1, transport 1)" in would.stdout
    assert f"{KCL}  dynamics 300 K  CANCELLED" in would.stdout
    assert "and 1 job that depended on them" in would.stdout  # the ranking
    assert totals(config)["failed"] == 2

    again = ask("retry", config, "--reason", "CANCELLED")
    assert again.exit_code == 0
    assert "2 jobs (dynamics 1, transport 1) wait again" in again.stdout
    assert f"`halideflow run {config}` goes on" in again.stdout
    assert (totals(config)["failed"], totals(config)["waiting"]) == (0, 3)
    assert halideflow("run", config).returncode == 0
    assert {row["state"] for row in ranking(config)} == {"done"}
    assert "nothing to try again: no job has failed" in ask("retry", config).stdout


def test_what_runs_can_be_cancelled_and_ends_at_once(relaxed, tmp_path):
    config = asking_for_dynamics(relaxed, tmp_path / "copy", 500)
    with being_run(config) as process:
        until(lambda: totals(config)["running"] and jobs(config, stage="dynamics", state="running"))
        cancelled = ask("cancel", config, "--stage", "dynamics", "--yes")
        assert "2 jobs were cancelled" in cancelled.stdout
        assert process.wait(timeout=120) == 4
    document = json.loads(ask("failures", config, "--json").stdout)
    assert [job["code"] for job in document] == ["CANCELLED"] * 2
    assert {job["command"] for job in document} == {"halideflow retry CAMPAIGN --reason CANCELLED"}


def test_a_failure_whose_cause_is_mended_is_tried_again(held):
    """Trajectories cannot be stored, for a file lies where their folder has to be."""
    assert ask("resume", held).exit_code == 0
    arrays = held.parent / "campaign" / "arrays"
    arrays.touch()
    assert halideflow("run", held).returncode == 4
    arrays.unlink()
    assert "EXCEPTION" in ask("failures", held).stdout
    wrong = ask("retry", held, "--reason", "EXEPTION")
    assert wrong.exit_code == 2
    assert "did you mean EXCEPTION? failed jobs of this campaign have EXCEPTION (4)" in wrong.stderr
    other = ask("retry", held, "--reason", "WALLTIME")
    said = "nothing to try again: no job has failed with WALLTIME\n"
    assert (other.exit_code, other.stdout) == (0, said)
    again = ask("retry", held, "--reason", "EXCEPTION", "--stage", "dynamics")
    assert "2 jobs (dynamics 2) wait again, and with them what depended on them" in again.stdout
    assert halideflow("run", held).returncode == 0
    assert {row["state"] for row in ranking(held)} == {"done"}


def test_nothing_is_cancelled_without_being_asked_for(held):
    refused = ask("cancel", held, "--stage", "dynamics")  # no terminal is here to ask on
    assert refused.exit_code == 2
    assert "would cancel 2 jobs (dynamics 2); --yes does it without asking" in refused.stderr
    assert totals(held)["paused"] == 2
    cancelled = ask("cancel", held, "--yes")
    assert "5 jobs (dynamics 2, transport 2, rank 1) were cancelled" in cancelled.stdout
    assert "goes on" not in cancelled.stdout  # nothing is left
    assert totals(held)["failed"] == 5
    assert "nothing to cancel" in ask("cancel", held, "--yes").stdout


def test_a_pause_is_lifted_as_it_was_made(held):
    assert ask("pause", held, "--candidate", KCL).exit_code == 0
    assert totals(held)["paused"] == 3  # two of dynamics, and the fit of one candidate
    left = ask("resume", held, "--candidate", NACL).stdout
    assert f"nothing to resume: all stages of {NACL} is not paused" in left
    assert f"still paused: dynamics; `halideflow resume {held} --stage dynamics` lifts it" in left
    assert "resumed: all stages of" in ask("resume", held, "--candidate", KCL).stdout
    after = ask("resume", held, "--stage", "dynamics").stdout
    assert f"resumed: dynamics\n`halideflow run {held}` goes on" in after
    assert "nothing is paused" in ask("resume", held).stdout


def test_jobs_in_the_queue_are_left_to_whoever_can_reach_it(held):
    (job,) = jobs(held, stage="dynamics", candidate=KCL)
    with closing(sqlite3.connect(held.parent / "campaign" / "results.sqlite")) as connection:
        connection.execute(
            "insert into queue_jobs (uuid, stage, worker, n_cores, core_hours_promised, sent_at, "
            "state) values ('q', 'dynamics', 'big', 4, 2, 1000, 'running')"
        )
        connection.execute("insert into queue_job_parts values ('q', ?, 1)", (job["uuid"],))
        connection.execute("update jobs set state = 'running' where uuid = ?", (job["uuid"],))
        connection.commit()
    before = totals(held)
    given = ask("cancel", held, "--candidate", KCL, "--yes")
    assert given.exit_code == 3
    assert f"`halideflow submit {held}` carries it out" in given.stdout
    assert totals(held) == before
    # and what is asked for later does not overtake it
    other = ask("cancel", held, "--candidate", NACL, "--yes")
    assert other.exit_code == 3
    assert totals(held) == before


@pytest.mark.parametrize("command", ["pause", "resume", "cancel", "retry"])
def test_orders_for_nothing_known_are_refused(relaxed, command):
    wrong = ask(command, relaxed, "--stage", "dynamic")
    assert wrong.exit_code == 2
    assert "did you mean dynamics?" in wrong.stderr
    wrong = ask(command, relaxed, "--candidate", "KCl-kcl-b-1")
    assert wrong.exit_code == 2
    assert f"did you mean {KCL}?" in wrong.stderr


@pytest.mark.parametrize("command", ["pause", "resume", "cancel", "retry"])
def test_orders_need_a_campaign_that_was_begun(tmp_path, command):
    config = write_campaign(tmp_path, SMALL)
    asked = ask(command, config)
    assert asked.exit_code == 3
    assert "no results yet" in asked.stderr
    assert not (tmp_path / "campaign").exists()
