"""kill -9 of any process at any moment, then run again: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import psutil
import pytest
from campaigns import SMALL, halideflow, ranking, write_campaign

N_KILLS = 6
SEED = 20


def finished_jobs(database):
    """(uuid, index) -> when it ended, of all jobs that are finished."""
    if not database.exists():
        return {}
    with sqlite3.connect(database) as connection:
        try:
            rows = connection.execute(
                "select uuid, idx, ended_at from jobs where state not in ('waiting', 'running')"
            ).fetchall()
        except sqlite3.OperationalError:  # killed before the table was made
            return {}
    connection.close()
    return {(uuid, index): ended_at for uuid, index, ended_at in rows}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    config = write_campaign(tmp_path_factory.mktemp("undisturbed"), SMALL)
    run = halideflow("run", config, "--workers", 2)
    assert run.returncode == 0, run.stderr
    return config


def test_killed_at_random_moments_it_ends_with_the_same_ranking(tmp_path, undisturbed):
    rng = random.Random(SEED)
    config = write_campaign(tmp_path / "killed", SMALL)
    database = config.parent / "campaign" / "results.sqlite"
    kills, after = 0, {}
    while kills < N_KILLS:
        before = finished_jobs(database)
        process = subprocess.Popen(
            [sys.executable, "-m", "workflows.cli", "run", str(config), "--workers", "2"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        moment_s = rng.uniform(2.0, 14.0)
        deadline = time.monotonic() + moment_s
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        family = psutil.Process(process.pid).children(recursive=True)
        victim = rng.choice([process.pid, *(child.pid for child in family)])
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        kills += 1
        if victim != process.pid:  # the run goes on without it; end it too, a little later
            time.sleep(rng.uniform(0.0, 2.0))
            process.kill()
            kills += 1
        process.wait()
        psutil.wait_procs(family, timeout=30)  # workers do not outlive the run
        assert not [child for child in family if child.is_running()]
        after = finished_jobs(database)
        assert before.items() <= after.items(), "a finished job was done again"
    final = halideflow("run", config, "--workers", 2)
    assert final.returncode == 0, final.stderr
    assert after.items() <= finished_jobs(database).items()
    assert ranking(config) == ranking(undisturbed)


def test_unchanged_config_does_no_work_and_says_so(undisturbed):
    before = finished_jobs(undisturbed.parent / "campaign" / "results.sqlite")
    again = halideflow("run", undisturbed)
    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    assert finished_jobs(undisturbed.parent / "campaign" / "results.sqlite") == before


def test_changing_one_temperature_redoes_only_that(tmp_path, undisturbed):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(undisturbed.parent, folder)
    config = folder / "campaign.yaml"
    database = folder / "campaign" / "results.sqlite"
    before = finished_jobs(database)
    config.write_text(config.read_text().replace("[300.0, 600.0]", "[300.0, 700.0]"))
    assert halideflow("run", config).returncode == 0
    with sqlite3.connect(database) as connection:
        new = connection.execute(
            "select stage, count(*) from jobs where ended_at > ? group by stage",
            (max(before.values()),),
        ).fetchall()
    # Per candidate one dynamics job, and the transport job in its two parts (gates, fit).
    assert dict(new) == {"enumerate": 1, "dynamics": 3, "transport": 6, "rank": 1}
    assert before.items() <= finished_jobs(database).items()
    temperatures = {d["temperature_K"] for row in ranking(config) for d in row["diffusivity"]}
    assert temperatures == {300.0, 700.0}


def test_a_second_run_at_the_same_time_is_refused(undisturbed):
    import fcntl

    with (undisturbed.parent / "campaign" / "run.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = halideflow("run", undisturbed)
    assert refused.returncode == 3
    assert "is running this campaign" in refused.stderr


def test_interrupt_stores_what_is_finished(tmp_path):
    config = write_campaign(tmp_path, SMALL)
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "run", str(config), "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
    )
    database = tmp_path / "campaign" / "results.sqlite"
    while not finished_jobs(database):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "goes on" in stderr
    status = halideflow("status", config, "--json")
    assert status.returncode == 3
    assert json.loads(status.stdout)["totals"]["done"] >= 1


def test_what_a_killed_run_left_running_is_shown_as_waiting(tmp_path):
    config = write_campaign(tmp_path, SMALL)
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "run", str(config), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not finished_jobs(tmp_path / "campaign" / "results.sqlite"):
        time.sleep(0.1)
    process.kill()
    process.wait()
    totals = json.loads(halideflow("status", config, "--json").stdout)["totals"]
    assert totals["running"] == 0
    assert totals["waiting"] > 0
