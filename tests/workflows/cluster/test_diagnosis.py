"""Causes from what Slurm 22.05 really said and wrote (see slurm.py), and from other schedulers."""

from __future__ import annotations

import pytest

from workflows.cluster.diagnosis import diagnose, what_scheduler_says

CANCELLED = "slurmstepd-node1: error: *** JOB 7 ON node1 CANCELLED AT 2026-11-30T20:17:44"


def scontrol(state, reason):
    return f"JobId=7 JobName=relax JobState={state} Reason={reason} Dependency=(null)"


@pytest.mark.parametrize(
    ("said", "written", "error", "code"),
    [
        (scontrol("TIMEOUT", "TimeLimit"), f"{CANCELLED} DUE TO TIME LIMIT ***", "", "WALLTIME"),
        ("", f"{CANCELLED} DUE TO TIME LIMIT ***", "", "WALLTIME"),
        ("TIMEOUT|0:15", "", "", "WALLTIME"),
        (scontrol("CANCELLED", "None"), f"{CANCELLED} ***", "", "CANCELLED_OUTSIDE"),
        (scontrol("CANCELLED", "Resources"), "", "", "CANCELLED_OUTSIDE"),
        ("CANCELLED by 1000|0:0", "", "", "CANCELLED_OUTSIDE"),
        (
            scontrol("FAILED", "JobLaunchFailure"),
            "slurmstepd-node1: error: StepId=4.batch exceeded memory limit (425041920 > "
            f"104857600), being killed\n{CANCELLED} ***",
            "",
            "OUT_OF_MEMORY",
        ),
        ("OUT_OF_MEMORY|0:125", "", "", "OUT_OF_MEMORY"),
        ("", "slurmstepd: error: Detected 1 oom_kill event in StepId=9.batch", "", "OUT_OF_MEMORY"),
        (scontrol("NODE_FAIL", "NodeDown"), "", "", "NODE_FAILURE"),
        ("", f"{CANCELLED} DUE TO NODE FAILURE, SEE SLURMCTLD LOG ***", "", "NODE_FAILURE"),
        (
            scontrol("FAILED", "NonZeroExitCode"),
            "OSError: [Errno 28] No space left on device",
            "",
            "DISK_FULL",
        ),
        ("", "=>> PBS: job killed: walltime 3605 exceeded limit 3600", "", "WALLTIME"),
        (
            scontrol("FAILED", "NonZeroExitCode"),
            "",
            "Traceback (most recent call last):\nModuleNotFoundError: No module named 'chgnet'",
            "ALLOCATION_FAILED",
        ),
        (scontrol("FAILED", "JobLaunchFailure"), "", "", "KILLED"),
        ("", "", "", "KILLED"),
    ],
)
def test_code(said, written, error, code):
    assert diagnose(said, written, error).code == code


def test_the_last_line_of_a_traceback_is_the_message():
    found = diagnose("", "Traceback (most recent call last):\n  File x\nKeyError: 'K'", "")
    assert found.message == "it ended with an error: KeyError: 'K'"
    assert "File x" in found.log_tail


def test_a_scheduler_that_forgot_is_asked_another_way():
    asked = []

    def execute(command):
        asked.append(command)
        found = "NODE_FAIL|0:0\n" if command.startswith("sacct") else ""
        return found, "", 0 if found else 1

    assert what_scheduler_says(execute, "slurm", "7") == "NODE_FAIL|0:0\n"
    assert [command.split()[0] for command in asked] == ["scontrol", "sacct"]
    assert what_scheduler_says(execute, "shell", "7") == ""
    assert what_scheduler_says(execute, "slurm", None) == ""
