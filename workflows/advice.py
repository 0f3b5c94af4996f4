"""What a code of failure means to people, what to do about it, and the command that does it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workflows.execution_settings import QUEUED_STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workflows.views import JobView

_Way = Literal["retry", "go on", "change"]


@dataclass(frozen=True, slots=True)
class Advice:
    """Of one code; `command` has the word CAMPAIGN where the campaign goes."""

    meaning: str
    action: str
    command: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a code.

    Args:
        meaning: one sentence.
        action: one sentence; {stage} stands for that of the job.
        way: how to go on: a failed job is asked to be tried again; or the next run does so by
            itself; or what has to be changed decides results, so that a run finds it new.
    """

    meaning: str
    action: str
    way: _Way


_LEAVE = "correct it if it is a file of yours, or leave it out"
_KNOWN = {
    # The user's input, and services elsewhere.
    "SCREENING": _Known(
        "The campaign stopped on purpose, for the reason in the message.",
        "Do what the message says.",
        "retry",
    ),
    "INVALID_INPUT": _Known(
        "Something in the campaign file, or in a file that it names, cannot be used.",
        "Correct what the message names; `halideflow validate CAMPAIGN` checks it.",
        "change",
    ),
    "LEFT_OUT": _Known(
        "A file named in the campaign became no candidate.",
        "Correct the file, or its entry under candidates, as the message says.",
        "change",
    ),
    "NOT_FINISHED": _Known(
        "It asked for a result that was not there yet.",
        "Try it again once the jobs before it are finished.",
        "retry",
    ),
    "UNAVAILABLE": _Known(
        "A service elsewhere gave no usable answer.",
        "Wait until it answers again, then try again.",
        "retry",
    ),
    "UNUSABLE_STRUCTURE": _Known(
        "The structure makes no sense: atoms on top of each other, or no mobile ion.",
        f"Look at the structure; {_LEAVE}.",
        "change",
    ),
    # The energy engine.
    "ENGINE_FAILURE": _Known(
        "The potential cannot treat this structure.",
        f"Look at the structure the message speaks of; {_LEAVE}.",
        "change",
    ),
    "ENERGY_NOT_FINITE": _Known(
        "An energy, force or stress was no number, mostly because atoms came too close.",
        f"Look at the structure; {_LEAVE}.",
        "change",
    ),
    "NOT_CONVERGED": _Known(
        "The relaxation used up its steps before the forces were small enough.",
        "Raise relax.max_steps (engine vasp: engine.vasp.relax.incar.NSW), which relaxes all "
        "candidates anew, or look whether the structure falls apart.",
        "change",
    ),
    "RUN_EXPLODED": _Known(
        "The atoms flew apart during molecular dynamics.",
        "Lower dynamics.timestep_fs or the highest of dynamics.temperatures_K, or take it that the "
        "crystal does not hold at this temperature.",
        "change",
    ),
    "RUN_DRIFTED": _Known(
        "Molecular dynamics did not conserve its energy.",
        "Lower dynamics.timestep_fs.",
        "change",
    ),
    # VASP.
    "PROGRAM_FAILURE": _Known(
        "VASP stopped with an error that could not be mended automatically.",
        "Look up the error that the message names in VASP's wiki, and change "
        "engine.vasp.{stage}.incar or the structure.",
        "change",
    ),
    "SCF_NOT_CONVERGED": _Known(
        "The electrons did not converge within the steps allowed.",
        "Set engine.vasp.{stage}.incar, such as ALGO: All or other mixing, or look whether the "
        "structure makes sense.",
        "change",
    ),
    "CRASHED": _Known(
        "VASP ended by itself with an error, such as a segmentation fault.",
        "See whether it runs by hand in the folder that the message names (ulimit -s unlimited, "
        "modules, memory), put what it needs into execution.vasp_command or the cluster's pre_run, "
        "then try again.",
        "retry",
    ),
    "CORRUPT_OUTPUT": _Known(
        "A file that VASP wrote cannot be read, mostly because it was cut off.",
        "Check the file system and its quota, then try again.",
        "retry",
    ),
    "MISSING_OUTPUT": _Known(
        "A file that VASP should have written is not there.",
        "Check the file system and its quota, then try again.",
        "retry",
    ),
    "MISSING_POTCAR": _Known(
        "A pseudopotential is not in the POTCAR folder.",
        "Add it where `halideflow doctor CAMPAIGN` says that it is looked for, then try again.",
        "retry",
    ),
    "COMMAND_NOT_FOUND": _Known(
        "The program is not where the job ran.",
        "Set execution.vasp_command to what starts VASP there, or load its module in the cluster's "
        "pre_run, then try again.",
        "retry",
    ),
    # Stability and diffusivity.
    "UNSOUND_HULL": _Known(
        "The reference phases do not give a sound hull for this candidate.",
        "Correct the snapshot of reference phases as the message says.",
        "change",
    ),
    "MIXED_CONVENTIONS": _Known(
        "Energies of different engines or corrections would have met in one hull.",
        "Set stability.references to a snapshot made with this campaign's engine.",
        "change",
    ),
    "MISSING_REFERENCE": _Known(
        "The snapshot of reference phases lacks an element of the candidate.",
        "Add the element and its compounds to the snapshot: `halideflow references build`.",
        "change",
    ),
    "MISSING_CORRECTION": _Known(
        "A halide lacks the correction that the other energies have.",
        "Make the snapshot of reference phases anew: `halideflow references build`.",
        "change",
    ),
    "UNUSABLE_RUN": _Known(
        "The trajectory carries no diffusivity.",
        "Raise dynamics.production_ps, or leave the temperature out.",
        "change",
    ),
    # Whatever happens to a process.
    "WALLTIME": _Known(
        "The job's time was used up; what it had computed is kept and goes on from there.",
        "Nothing, or raise execution.resources.{stage}.wall_time_h (without a cluster: "
        "execution.wall_time_h) if it happens again and again.",
        "go on",
    ),
    "KILLED": _Known(
        "Ended by a signal from outside: by the queue, by the system for want of memory, or by "
        "somebody.",
        "Look into the queue's own log; raise execution.resources.{stage}.memory_GB if memory was "
        "short.",
        "go on",
    ),
    "WORKER_DIED": _Known(
        "The process that ran it died at each attempt, often for want of memory.",
        "Give it more memory: fewer `--workers` here, or a larger "
        "execution.resources.{stage}.memory_GB on a cluster.",
        "go on",
    ),
    "WORKER_LOST": _Known(
        "Worker processes cannot be kept alive on this machine.",
        "Run `halideflow doctor`, and look for what ends them, such as want of memory.",
        "go on",
    ),
    "DISK_FULL": _Known(
        "Nothing could be written any more: the disk is full, or the quota used up.",
        "Free some space where the message says, then try again.",
        "retry",
    ),
    "OUT_OF_MEMORY": _Known(
        "It took more memory than it had asked the queue for.",
        "Raise execution.resources.{stage}.memory_GB (or nodes) first.",
        "retry",
    ),
    "UNEXPECTED": _Known(
        "A stage met an error that nobody foresaw; it may be a bug.",
        "Read the last lines of the log; if they do not tell you what to mend, report them.",
        "retry",
    ),
    "EXCEPTION": _Known(
        "The job could not be carried out at all: something is wrong with the installation, the "
        "store, or the job itself.",
        "Run `halideflow doctor CAMPAIGN`, and read the last lines of the log.",
        "retry",
    ),
    "LOST": _Known(
        "A job before it left no answer.",
        "See what happened to that job: its failure is the cause, and trying it again mends this, "
        "too.",
        "retry",
    ),
    "CANCELLED": _Known(
        "It was cancelled with `halideflow cancel`.",
        "Nothing, unless it is wanted again.",
        "retry",
    ),
    # The queue of a cluster.
    "NODE_FAILURE": _Known(
        "The node that it ran on failed, more than once.",
        "Try again; tell the cluster's staff if it is always the same node.",
        "retry",
    ),
    "CANCELLED_OUTSIDE": _Known(
        "Somebody took it out of the queue (scancel, qdel), or the queue preempted it.",
        "Find out who and why, then try again.",
        "retry",
    ),
    "SUBMISSION_FAILED": _Known(
        "The scheduler refused the job.",
        "Correct what it complains of in execution.resources.{stage} or in the cluster's file "
        "(partition, account, limits); `halideflow doctor CAMPAIGN` shows what it accepts.",
        "retry",
    ),
    "ALLOCATION_FAILED": _Known(
        "The job in the queue ended with an error before it could do its work.",
        "Read the last lines of the log: mostly halideflow, or what pre_run loads, is not there on "
        "the node; `halideflow doctor CAMPAIGN` tries it.",
        "retry",
    ),
    "QUEUE_LOST": _Known(
        "The queue knows the job no more, and it left no answer.",
        "Try again; what it had computed is kept where its scratch still is.",
        "retry",
    ),
}
_UNKNOWN = _Known(
    "This version of halideflow knows nothing of this code.",
    "Read the message and the last lines of the log.",
    "retry",
)
KNOWN_CODES = frozenset(_KNOWN)


def advice_for(code: str | None, stage: str | None = None, on_cluster: bool = False) -> Advice:
    """What to do about a failure.

    Args:
        code: of the failure.
        stage: of the job.
        on_cluster: whether the campaign's config names a cluster.
    """
    known = _KNOWN.get(code or "", _UNKNOWN)
    named = stage if stage in QUEUED_STAGES else "STAGE"
    go_on = f"halideflow {'submit' if on_cluster else 'run'} CAMPAIGN"
    if known.way == "retry":
        again = f"halideflow retry CAMPAIGN --reason {code}"
        go_on = again if on_cluster or code == "CANCELLED" else f"{go_on} --retry-failed"
    return Advice(known.meaning, known.action.replace("{stage}", named), go_on)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed jobs with one code, and what to do about them."""

    code: str
    advice: Advice
    jobs: tuple[JobView, ...]


def by_code(failures: Iterable[JobView], on_cluster: bool = False) -> list[FailureGroup]:
    """Failures by code, the most frequent first; the stage is that of most of them."""
    groups: dict[str, list[JobView]] = defaultdict(list)
    for job in failures:
        groups[job.code or ""].append(job)
    found = []
    for code, jobs in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        ((stage, _),) = Counter(job.stage for job in jobs).most_common(1)
        found.append(FailureGroup(code, advice_for(code, stage, on_cluster), tuple(jobs)))
    return found
