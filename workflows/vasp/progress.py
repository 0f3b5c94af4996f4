"""What custodian's monitors do besides: tell how far a run has come, and end one that hangs."""

from __future__ import annotations

import time
from pathlib import Path

from custodian.custodian import ErrorHandler

from workflows.execution.progress import report_progress
from workflows.vasp.files import FINISHED, WALL_TIME, tail_of


class StepCounter(ErrorHandler):
    """No error handler: custodian asks its monitors now and then, and this one reports progress.

    Args:
        n_before: ionic steps that were done before this run.
        n_most: that there will be at most.
    """

    is_monitor = True
    is_terminating = False
    raises_runtime_error = False

    def __init__(self, n_before: int, n_most: int) -> None:
        self.n_before = n_before
        self.n_most = n_most

    def check(self, directory: str = "./") -> bool:
        """Never an error; reads the end of OSZICAR."""
        if (done := last_step(Path(directory))) is not None:
            report_progress(min((self.n_before + done) / self.n_most, 1.0))
        return False

    def correct(self, directory: str = "./") -> dict[str, object]:
        """Never called."""
        return {"errors": [], "actions": []}


class Deadline(ErrorHandler):
    """Ends a run that is still there when its wall time is over: it hangs, or ignores STOPCAR.

    Args:
        at: seconds since the epoch.
    """

    is_monitor = True
    raises_runtime_error = False

    def __init__(self, at: float) -> None:
        self.at = at

    def check(self, directory: str = "./") -> bool:
        """Whether it is over, and VASP still there: what has ended well is no error."""
        ended = any(FINISHED in line for line in tail_of(Path(directory) / "OUTCAR"))
        return time.time() > self.at and not ended

    def correct(self, directory: str = "./") -> dict[str, object]:
        """Nothing can be changed; custodian ends the program."""
        return {"errors": [WALL_TIME], "actions": None}


def last_step(folder: Path) -> int | None:
    """Number of the last ionic step that OSZICAR tells of; None where there is none yet."""
    for line in reversed(tail_of(folder / "OSZICAR")):
        first, _, rest = line.strip().partition(" ")
        if first.isdigit() and ("F=" in rest or "T=" in rest):
            return int(first)
    return None
