"""Why a run of VASP gave nothing: from what it left to a code, a cause and what to do."""

from __future__ import annotations

import errno
import itertools
import json
import re
import signal
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screening.errors import (
    CommandNotFound,
    CorruptOutput,
    DiskFull,
    ElectronsNotConverged,
    MissingOutput,
    MissingPotcar,
    NotConverged,
    ProgramCrashed,
    ProgramFailure,
    ProgramKilled,
    WallTimeReached,
)
from workflows.vasp.files import FINISHED, WALL_TIME, located, tail_of, text_of
from workflows.vasp.launch import CANNOT_START

if TYPE_CHECKING:
    from emmet.core.tasks import TaskDoc

_OUTPUTS = ("vasprun.xml", "OUTCAR", "CONTCAR", "OSZICAR")
_TAIL_LINES = 20
_FULL = ("No space left on device", "Disk quota exceeded", "quota exceeded")
_SEGFAULT = ("SIGSEGV", "egmentation fault", "signal 11")
_KILLED = ("oom-kill", "oom_kill", "Out Of Memory", "Killed", "signal 9", "SIGKILL")
_STOPPED = ("soft stop encountered", "hard stop encountered")
_UNCONVERGED = "Unconverged"
_SHELL_ADDS = 128
_Cause = tuple[type[ProgramFailure | NotConverged], str]  # kind of failure, and what to say of it


def require_success(task: TaskDoc, folder: Path) -> None:
    """Let a run pass that did what it was to do; dynamics may be shorter than asked for.

    Raises:
        EngineFailure: it stopped for want of time, or did not converge.
    """
    last = task.calcs_reversed[0]
    parameters = last.input.parameters or {}
    if parameters.get("IBRION") == 0:
        return
    if was_stopped_for_time(folder):  # which counts as converged upstream, for NSW was not reached
        raise _failure((WallTimeReached, _OUT_OF_TIME), folder)
    if str(getattr(task.state, "value", task.state)) == "successful":
        return
    unknown = f"VASP ended, but its run does not count as successful; look at {folder}"
    raise _failure(_not_converged(folder) or (ProgramFailure, unknown), folder)


def was_stopped_for_time(folder: Path) -> bool:
    """Whether VASP stopped before its end because custodian asked it to, for want of time.

    A run that ended by itself shortly before its wall time is none.
    """
    if not any(WALL_TIME in correction for correction in corrections_in(folder)):
        return False
    outcar = tail_of(folder / "OUTCAR")
    return _has("\n".join(outcar), _STOPPED) or not _has("\n".join(outcar), [FINISHED])


def diagnose(error: Exception, folder: Path) -> ProgramFailure | NotConverged:
    """The failure that an exception of atomate2, custodian or emmet stands for.

    Args:
        error: what was raised.
        folder: of the run.
    """
    return _failure(_cause(error, folder), folder)


def corrections_in(folder: Path) -> tuple[str, ...]:
    """What custodian found and changed, in words, as its log says."""
    found = []
    for job in _custodian_log(folder):
        for correction in job.get("corrections", ()):
            errors = ", ".join(map(str, correction.get("errors") or ["an error"]))
            actions = "; ".join(_in_words(correction.get("actions") or ()))
            found.append(f"{errors}: {actions or 'nothing could be changed'}")
    return tuple(
        text if (n := len(list(alike))) == 1 else f"{text} ({n} times)"
        for text, alike in itertools.groupby(found)
    )


def log_tail(folder: Path) -> str:
    """The last lines that VASP printed, its error output last."""
    lines = []
    for name in ("vasp.out", "std_err.txt"):
        lines += tail_of(folder / name)[-_TAIL_LINES:]
    return "\n".join(lines)


def _failure(cause: _Cause, folder: Path) -> ProgramFailure | NotConverged:
    kind, message = cause
    return kind(
        f"{folder.name}: {message}", log_tail=log_tail(folder), corrections=corrections_in(folder)
    )


def _cause(error: Exception, folder: Path) -> _Cause:
    said = "\n".join([str(error), *tail_of(folder / "vasp.out"), *tail_of(folder / "std_err.txt")])
    if CANNOT_START in said:
        what = said.partition(CANNOT_START)[2].partition("\n")[0].strip()
        return CommandNotFound, (
            f"cannot start {what}; set execution.vasp_command, or VASP_CMD in atomate2's settings, "
            "to what starts VASP here"
        )
    if _is_potcar(error):
        return MissingPotcar, (
            f"{' '.join(str(error).split())}; `halideflow doctor CAMPAIGN` lists the labels that "
            "are needed and where they are looked for"
        )
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _has(said, _FULL):
        advice = "free some, then run again with --retry-failed"
        return DiskFull, f"no space left for {folder}; {advice}"
    if was_stopped_for_time(folder):
        return WallTimeReached, _OUT_OF_TIME
    signal_number = _signal_in(str(error))
    if _has(said, _SEGFAULT) or signal_number == signal.SIGSEGV:
        return ProgramCrashed, (
            "VASP crashed with a segmentation fault: often a stack limit (ulimit -s unlimited) or "
            "too little memory a core (more nodes, or engine.vasp.*.incar.NCORE)"
        )
    if signal_number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        return ProgramKilled, _KILLED_ADVICE
    return _not_converged(folder) or _from_outputs(error, folder, said)


def _from_outputs(error: Exception, folder: Path, said: str) -> _Cause:
    """What the files say, where nothing else does."""
    errors = [e for c in _all_corrections(folder) for e in c.get("errors") or ()]
    if errors:
        named = ", ".join(dict.fromkeys(map(str, errors)))
        return ProgramFailure, (
            f"VASP stopped with {named}, which custodian could not mend; look that up in VASP's "
            f"wiki and change engine.vasp.*.incar, or the structure"
        )
    if _has(said, _KILLED):
        return ProgramKilled, _KILLED_ADVICE
    missing = [name for name in _OUTPUTS if located(folder, name) is None]
    if located(folder, "vasp.out") is None:
        return ProgramFailure, (
            f"VASP was not started, for its inputs could not be made ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}); look at engine.vasp in the campaign file"
        )
    if "OUTCAR" in missing and "vasprun.xml" in missing:
        return ProgramCrashed, (
            f"VASP ended before it wrote anything: {_last_words(folder)}; see whether it "
            "runs by hand in this folder"
        )
    outcar = located(folder, "OUTCAR")
    ended = outcar is not None and any(FINISHED in line for line in tail_of(outcar))
    if "return code" in str(error) or (missing and not ended and tail_of(folder / "std_err.txt")):
        return ProgramCrashed, f"VASP ended with an error: {_last_words(folder)}"
    if outcar is not None and not ended:
        return ProgramKilled, _KILLED_ADVICE
    if missing:
        return MissingOutput, (
            f"VASP wrote no {', '.join(missing)}; look at {folder}, and whether the file system "
            "lost it"
        )
    return CorruptOutput, (
        f"what VASP wrote cannot be read ({' '.join(str(error).split())[:200]}); look at {folder}, "
        "then run again with --retry-failed"
    )


_OUT_OF_TIME = (
    "the wall time was near and VASP was stopped; the next run goes on from the last structure; or "
    "raise execution.wall_time_h"
)
_KILLED_ADVICE = (
    "VASP was killed before its end: by the queue, by the system for want of memory, or by "
    "somebody; see the queue's own log; the next run tries again, perhaps with more memory"
)


def _not_converged(folder: Path) -> _Cause | None:
    """What custodian gave up on, where it is convergence."""
    run = _last_run(folder)
    if run is None:
        return None
    if not run.converged_electronic:
        return ElectronsNotConverged, (
            f"the electrons did not converge within NELM = {run.parameters.get('NELM')} steps; try "
            "engine.vasp.*.incar ALGO: All, other mixing, or look whether the structure makes sense"
        )
    errors = {e for c in _all_corrections(folder) for e in c.get("errors") or ()}
    if not run.converged_ionic or _UNCONVERGED in errors:
        return NotConverged, (
            f"forces did not fall below EDIFFG within NSW = {run.parameters.get('NSW')} steps, "
            "however often custodian went on; raise engine.vasp.relax.incar.NSW, loosen EDIFFG, or "
            "look at the structure"
        )
    return None


def _last_run(folder: Path) -> Any:
    """The run as pymatgen reads it; None where it cannot."""
    from pymatgen.io.vasp import Vasprun

    file = located(folder, "vasprun.xml")
    if file is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is not converged is what is asked here
            return Vasprun(file, parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    except Exception:  # truncated or worse: not a matter of convergence
        return None


def _signal_in(message: str) -> int | None:
    """The signal that ended a program, where custodian tells its return code.

    A shell or a launcher in between adds 128 to it.
    """
    found = re.search(r"return code is (-?\d+)", message)
    code = int(found[1]) if found else 0
    return -code if code < 0 else code - _SHELL_ADDS if code > _SHELL_ADDS else None


def _is_potcar(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}"
    return "PspDir" in text or ("POTCAR" in text and "not" in text.lower())


def _has(text: str, marks: Iterable[str]) -> bool:
    return any(mark in text for mark in marks)


def _last_words(folder: Path) -> str:
    lines = [line.strip() for line in log_tail(folder).splitlines() if line.strip()]
    return lines[-1] if lines else "without a word"


def _all_corrections(folder: Path) -> list[dict[str, Any]]:
    return [c for job in _custodian_log(folder) for c in job.get("corrections", ())]


def _custodian_log(folder: Path) -> list[dict[str, Any]]:
    file = located(folder, "custodian.json")
    if file is None:
        return []
    try:
        log: list[dict[str, Any]] = json.loads(text_of(file))
    except (OSError, ValueError):
        return []
    return log


def _in_words(actions: Iterable[dict[str, Any]]) -> Iterable[str]:
    for action in actions:
        target = action.get("dict") or action.get("file") or "a file"
        changes = action.get("action") or {}
        for verb, what in changes.items():
            if verb == "_set":
                yield ", ".join(f"{tag} = {value}" for tag, value in what.items())
            else:
                yield f"{target} {verb.strip('_')} {what}"
