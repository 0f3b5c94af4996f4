"""Why a job of the queue ended without its answers: a code, and a sentence for people.

The scheduler is asked first, for it knows; what it wrote into the job's files comes next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from screening.errors import ProgramKilled, WallTimeReached
from workflows.execution.jobs import NODE_FAILURE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OUT_OF_MEMORY = "OUT_OF_MEMORY"
CANCELLED_OUTSIDE = "CANCELLED_OUTSIDE"
DISK_FULL = "DISK_FULL"
SUBMISSION_FAILED = "SUBMISSION_FAILED"
ALLOCATION_FAILED = "ALLOCATION_FAILED"

_N_LINES = 20
# Words that say it, in what a scheduler answers or writes; the first that is found decides.
_SIGNS = (
    (DISK_FULL, r"no space left on device|disk quota exceeded|\[Errno 28\]|\[Errno 122\]"),
    (OUT_OF_MEMORY, r"out_of_memory|out of memory|oom.?kill|exceeded memory limit|memory limit"),
    (WallTimeReached.code, r"\btimeout\b|due to time limit|walltime .*exceeded|time limit"),
    (NODE_FAILURE, r"node_fail|node failure|boot_fail|due to node|preempted"),
    (CANCELLED_OUTSIDE, r"\bcancelled\b|job .*deleted"),
)
_MEANINGS = {
    DISK_FULL: "the scratch space of the cluster is full",
    OUT_OF_MEMORY: "it took more memory than it had asked for",
    WallTimeReached.code: "its wall time ended before it could stop by itself",
    NODE_FAILURE: "its node failed",
    CANCELLED_OUTSIDE: "somebody took it out of the queue",
}
_ASKED_BY = {
    "slurm": (
        "scontrol show job -o {id}",
        "sacct -X -n -P -o State,ExitCode -j {id}",
    ),
    "pbs": ("qstat -x -f {id}",),
    "sge": ("qacct -j {id}",),
}
_WAITING = {"slurm": ("squeue -h -o '%i %r' -j {ids}", r"^(\S+) (.+)$")}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why it ended; `log_tail` is what was found, for people to read."""

    code: str
    message: str
    log_tail: str


def what_scheduler_says(
    execute: Callable[[str], tuple[str, str, int]], scheduler: str, queue_id: str | None
) -> str:
    """What the scheduler still knows of a job that has ended; nothing where it forgot.

    Args:
        execute: a command on the cluster; stdout, stderr and exit code.
        scheduler: as qtoolkit calls it.
        queue_id: of the job.
    """
    if queue_id is None:
        return ""
    for command in _ASKED_BY.get(scheduler, ()):
        said, _, exit_code = execute(command.format(id=queue_id))
        if exit_code == 0 and said.strip():
            return said
    return ""


def why_waiting(
    execute: Callable[[str], tuple[str, str, int]], scheduler: str, queue_ids: Sequence[str]
) -> dict[str, str]:
    """Why jobs have not been started, in the scheduler's words, by their ids in the queue.

    Args:
        execute: a command on the cluster; stdout, stderr and exit code.
        scheduler: as qtoolkit calls it.
        queue_ids: of the jobs.
    """
    if scheduler not in _WAITING:
        return {}
    command, pattern = _WAITING[scheduler]
    said, _, _ = execute(command.format(ids=",".join(queue_ids)))
    return {
        match[1]: match[2]
        for match in re.finditer(pattern, said, re.MULTILINE)
        if match[1] in queue_ids and match[2] != "None"
    }


def diagnose(scheduler_says: str, written: str, error: str) -> Cause:
    """The cause.

    Args:
        scheduler_says: see `what_scheduler_says`.
        written: the job's standard error and output.
        error: what jobflow-remote found.
    """
    state = re.search(r"JobState=(\S+).*?Reason=(\S+)", scheduler_says)
    short = f"{state[1]} {state[2]}" if state else scheduler_says
    tail = "\n".join([*_last_lines(written), *_last_lines(error)])
    for text in (written, short, error):  # a full disk looks like any failure to a scheduler
        for code, signs in _SIGNS:
            if re.search(signs, text, re.IGNORECASE):
                return Cause(code, _MEANINGS[code], tail)
    if "Traceback" in error or "Traceback" in written:
        last = next(iter(reversed(_last_lines(error) or _last_lines(written))), "")
        return Cause(ALLOCATION_FAILED, f"it ended with an error: {last}", tail)
    return Cause(ProgramKilled.code, "it ended without a word: killed, or its node went away", tail)


def _last_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()][-_N_LINES:]
