"""`jobs`, `logs`, `explain`, `failures` and `status` of a small real campaign."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from campaigns import EVERY_END, change, halideflow, write_campaign
from typer.testing import CliRunner

from workflows.cli import app

FAILED, REJECTED, DONE = "K4Cl5-overlap-1", "NaCl-expanded-1", "KCl-kcl-a-1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One candidate went through, one was rejected, one failed."""
    folder = tmp_path_factory.mktemp("finished")
    config = write_campaign(folder, EVERY_END, temperatures=(300.0,), max_e_hull=0.005)
    run = halideflow("run", config, "--workers", 2)
    assert run.returncode == 4, run.stderr
    return config


@pytest.fixture
def copy(finished, tmp_path):
    """To change its table."""
    shutil.copytree(finished.parent, tmp_path / "copy")
    return tmp_path / "copy" / "campaign.yaml"


def ask(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def listed(config, *options):
    return json.loads(ask("jobs", config, "--json", *options).stdout)


def uuid_of(config, candidate, stage):
    (job,) = listed(config, "--candidate", candidate, "--stage", stage)
    return job["uuid"]


def to_queue(config, uuid, run_dir, state="running"):
    """As if a job had been sent to a cluster's queue."""
    change(
        config,
        (
            "insert into queue_jobs (uuid, stage, worker, n_cores, core_hours_promised, sent_at, "
            "queue_id, run_dir, state) values ('q', 'relax', 'big', 4, 2, 1000, '4711', ?, ?)",
            (str(run_dir), state),
        ),
        ("insert into queue_job_parts values ('q', ?, 1)", (uuid,)),
        ("update jobs set state = 'running', started_at = 1060 where uuid = ?", (uuid,)),
    )


def test_jobs_lists_failures_first_with_their_cause(finished):
    shown = ask("jobs", finished)
    assert shown.exit_code == 0
    first = next(line for line in shown.stdout.splitlines() if line.startswith(" K"))
    assert FAILED in first
    assert "UNUSABLE_STRUCTURE: Cl (atom 5)" in first
    assert "dynamics 300 K" in shown.stdout
    assert "1 failed" in shown.stdout.splitlines()[0]
    assert "nobody runs" not in shown.stdout  # nothing is left to run


def test_jobs_json_has_what_scripts_rely_on(finished):
    jobs = listed(finished)
    assert len(jobs) == len({job["uuid"] for job in jobs}) == 12
    (failed,) = [job for job in jobs if job["state"] == "failed"]
    assert (failed["candidate"], failed["code"]) == (FAILED, "UNUSABLE_STRUCTURE")
    (moved,) = [job for job in jobs if job["stage"] == "dynamics"]
    assert moved["temperature_K"] == 300
    assert moved["ended_at"] > moved["started_at"]


def test_jobs_can_be_filtered(finished):
    assert {job["stage"] for job in listed(finished, "--stage", "relax")} == {"relax"}
    assert {job["candidate"] for job in listed(finished, "--candidate", DONE)} == {DONE}
    assert [job["candidate"] for job in listed(finished, "--state", "rejected")] == [REJECTED]
    assert len(listed(finished, "--code", "UNUSABLE_STRUCTURE")) == 1
    assert len(listed(finished, "--limit", "2")) == 2
    assert "the first 2 of 12" in ask("jobs", finished, "--limit", 2).stdout
    assert "no such jobs" in ask("jobs", finished, "--state", "queued").stdout


@pytest.mark.parametrize(
    ("option", "wrong", "said"),
    [
        ("--stage", "dynamic", "did you mean dynamics?"),
        ("--state", "faild", "did you mean failed?"),
        ("--candidate", "KCl-kcl-b-1", f"did you mean {DONE}?"),
        ("--code", "unusable", "did you mean UNUSABLE_STRUCTURE?"),
    ],
)
def test_unknown_names_get_the_nearest_known(finished, option, wrong, said):
    refused = ask("jobs", finished, option, wrong)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_job_in_a_queue_is_shown_with_its_place_there(copy, tmp_path):
    to_queue(copy, uuid_of(copy, DONE, "relax"), tmp_path)
    shown = " ".join(ask("jobs", copy, "--state", "running").stdout.split())
    assert f"{DONE} relax running" in shown
    assert "big 4711 60 s" in shown  # it waited a minute
    status = ask("status", copy, "--json")
    assert json.loads(status.stdout)["stages"]["relax"] == {"done": 1, "failed": 1, "running": 1}
    assert json.loads(status.stdout)["core_hours"]["promised_core_hours"] == 2
    assert status.exit_code == 3
    assert "2 promised to the queue" in ask("status", copy).stdout


def test_logs_of_a_failed_job_are_those_of_its_folder(finished):
    uuid = uuid_of(finished, FAILED, "relax")
    log = finished.parent / "campaign" / "work" / uuid / "job.log"
    log.write_text("".join(f"line {n}\n" for n in range(40)))
    for named in (FAILED, uuid[:8], uuid[:8].upper()):
        shown = ask("logs", finished, named, "--stage", "relax").stdout
        assert f"==> relax of {FAILED}, failed ({uuid})" in shown
        assert str(log) in shown
        assert "line 0\n" in shown
        assert shown.endswith("line 39\n")
    last = ask("logs", finished, uuid, "--lines", 2).stdout
    assert last.endswith("line 38\nline 39\n")
    assert "line 37" not in last


def test_logs_of_a_candidate_begin_with_what_failed(finished):
    shown = ask("logs", finished, FAILED).stdout
    headers = [line for line in shown.splitlines() if line.startswith("==>")]
    assert [header.split()[1] for header in headers] == ["relax", "stability", "transport"]
    assert "line 20\n" in shown  # the last 20 of each
    assert "line 19\n" not in shown


def test_without_a_folder_the_stored_lines_are_shown(copy):
    uuid = uuid_of(copy, FAILED, "relax")
    shutil.rmtree(copy.parent / "campaign" / "work" / uuid)
    shown = ask("logs", copy, uuid).stdout
    assert "its last lines, as they were stored" in shown
    assert "UnusableStructure: Cl (atom 5)" in shown


def test_logs_of_a_job_in_a_queue(copy, tmp_path):
    uuid = uuid_of(copy, DONE, "relax")
    to_queue(copy, uuid, tmp_path / "run")
    change(copy, ("insert into notes values ('work_root', ?, 0)", (str(tmp_path / "scratch"),)))
    elsewhere = ask("logs", copy, uuid).stdout
    own = tmp_path / "scratch" / uuid / "job.log"
    assert f"it lies on big, not on this machine: {own}" in elsewhere
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "queue.err").write_text("srun: error\n")
    of_all = ask("logs", copy, uuid).stdout
    assert "queue.err, of the whole job in the queue" in of_all
    assert of_all.endswith("srun: error\n")
    own.parent.mkdir(parents=True)
    own.write_text("its own words\n")
    assert ask("logs", copy, uuid).stdout.endswith("its own words\n")


def test_logs_of_nothing_say_what_there_is(finished):
    refused = ask("logs", finished, "KCl-kcl-b-1")
    assert refused.exit_code == 2
    assert f"did you mean {DONE}?" in refused.stderr
    refused = ask("logs", finished, REJECTED, "--stage", "dynamics")
    assert refused.exit_code == 2
    assert f"{REJECTED} has no job of stage dynamics" in refused.stderr


def test_logs_can_be_followed_until_the_job_ends(copy):
    uuid = uuid_of(copy, DONE, "relax")
    log = copy.parent / "campaign" / "work" / uuid / "job.log"
    log.parent.mkdir(parents=True)
    log.write_text("first\n")
    change(copy, ("update jobs set state = 'waiting' where uuid = ?", (uuid,)))
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "logs", str(copy), uuid, "--follow"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    while process.stdout.readline() != "first\n":
        assert process.poll() is None
    with log.open("a") as file:
        file.write("second\n")
    assert process.stdout.readline().startswith("==> relax of")
    process.stdout.readline()
    assert process.stdout.readline() == "second\n"
    change(copy, ("update jobs set state = 'done' where uuid = ?", (uuid,)))
    assert process.wait(timeout=120) == 0
    process.stdout.close()


def test_explain_a_rejection(finished):
    shown = ask("explain", finished, REJECTED).stdout
    assert f"{REJECTED} was rejected by max_e_hull_eV_per_atom: 0.1122, allowed 0.005" in shown
    document = json.loads(ask("explain", finished, REJECTED, "--json").stdout)
    assert document["rejection"]["threshold"] == 0.005


def test_explain_a_failure(finished):
    shown = ask("explain", finished, FAILED).stdout
    assert f"{FAILED} failed in relax with UNUSABLE_STRUCTURE: Cl (atom 5)" in shown
    assert "what to do: Look at the structure" in shown
    assert f"then: halideflow run {finished}" in shown
    document = json.loads(ask("explain", finished, FAILED, "--json").stdout)
    assert document["failure"]["code"] == "UNUSABLE_STRUCTURE"
    assert document["failure"]["command"] == "halideflow run CAMPAIGN"


def test_explain_what_went_well_and_what_waits(finished, copy):
    assert f"{DONE} is done, rank 1" in ask("explain", finished, DONE).stdout
    moved = uuid_of(copy, DONE, "dynamics")
    fitted = uuid_of(copy, DONE, "transport")
    (end,) = listed(copy, "--stage", "rank")
    change(
        copy,
        ("update jobs set state = 'waiting' where uuid in (?, ?)", (moved, end["uuid"])),
        ("update jobs set state = 'waiting' where uuid = ? and idx = 2", (fitted,)),
        ("insert into holds values ('dynamics', null, 0)",),
    )
    shown = ask("explain", copy, DONE).stdout
    assert f"{DONE} is waiting: transport" in shown
    assert "dynamics 300 K: paused since 1970" in shown
    assert f"transport: waiting, waits for dynamics of {DONE}" in shown
    assert f"nobody runs this campaign now; `halideflow run {copy}` goes on" in shown
    config = copy.read_text()
    copy.write_text(f"{config}execution: {{cluster: here}}\n")
    assert f"`halideflow submit {copy}` goes on" in ask("explain", copy, DONE).stdout
    assert f"`halideflow submit {copy}` goes on" in ask("status", copy).stdout
    assert json.loads(ask("status", copy, "--json").stdout)["totals"]["paused"] == 1


def test_explain_a_gate(finished):
    shown = " ".join(ask("explain", finished, "max_e_hull_eV_per_atom").stdout.split())
    assert "allowed: 0.005" in shown
    assert "it rejected 1 of 3 candidates" in shown
    assert f"{REJECTED} 0.1122 0.005" in shown
    document = json.loads(ask("explain", finished, "min_window_V", "--json").stdout)
    assert (document["threshold"], document["rejected"]) == (None, [])


def test_explain_nothing_known(finished):
    refused = ask("explain", finished, "max_hull_eV_per_atom")
    assert refused.exit_code == 2
    assert "did you mean max_e_hull_eV_per_atom?" in refused.stderr


def test_failures_are_grouped_with_what_to_do(copy):
    relaxed = uuid_of(copy, DONE, "relax")
    change(copy, ("update jobs set attempts = 3 where uuid = ?", (relaxed,)))
    shown = ask("failures", copy)
    assert shown.exit_code == 4
    assert shown.stdout.startswith("UNUSABLE_STRUCTURE  1 job\n")
    for said in ("what it means: The structure", "what to do: Look at", "Å apart"):
        assert said in shown.stdout
    assert "1 failed and never succeeded" in shown.stdout
    assert "needed more than one attempt, and then succeeded: relax" in shown.stdout
    (document,) = json.loads(ask("failures", copy, "--json").stdout)
    assert document["candidate"] == FAILED
    assert document["command"] == "halideflow run CAMPAIGN"
    assert document["meaning"].startswith("The structure makes no sense")
    assert document["action"].startswith("Look at the structure")


def test_watching_ends_with_the_campaign(copy):
    (end,) = listed(copy, "--stage", "rank")
    change(copy, ("update jobs set state = 'waiting' where uuid = ?", (end["uuid"],)))
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "status", str(copy), "--watch"],
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(4)
    assert process.poll() is None
    change(copy, ("update jobs set state = 'done' where uuid = ?", (end["uuid"],)))
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 4  # one candidate failed
    assert "transport" in stdout
    assert ask("status", copy, "--watch", "--json").exit_code == 2
