"""Failures on demand, for those who must show that they survive them.

The variable HALIDEFLOW_REHEARSAL_FAULTS holds faults, separated by semicolons, each

    KIND[=ARGUMENT] [where=GLOB] [times=N]

`where` is matched with the absolute path of the working folder. `times` limits how often a fault
strikes, counted in a file in the folder above, so that a retry in a fresh folder beside it counts.

    message=TEXT      the first step ends with this line and exit code 1
    segfault          a real SIGSEGV, once the headers are written
    hang              nothing happens once the headers are written
    kill[=STEP]       SIGKILL in the middle of that ionic step
    disk_full[=STEP]  vasprun.xml cannot be written further in that step
    scf               no electronic loop converges
    ionic             no relaxation converges
    slow=SECONDS      every ionic step takes so much longer
    explode=STEP      velocities become fifty times as large in that step
    drift=RATE        velocities grow so that the conserved energy does, in eV/atom/ps
    corrupt_xml       vasprun.xml is damaged in its middle
    missing=FILE      that file is not there in the end
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from workflows.rehearsal.stopped import Stopped

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

VARIABLE: Final = "HALIDEFLOW_REHEARSAL_FAULTS"
COUNTS: Final = ".rehearsal-faults.json"
EXPLOSION: Final = 50.0
_DAMAGE: Final = 64 * b"\0"

_NO_ARGUMENT: Final = ["segfault", "hang", "scf", "ionic", "corrupt_xml"]
_STEP: Final = ["kill", "disk_full", "explode"]
_NUMBER: Final = ["slow", "drift"]
_TEXT: Final = ["message", "missing"]
_PATTERN = re.compile(
    r"(?P<kind>\w+)(?:=(?P<argument>.*?))?(?P<rest>(?:\s+(?:where|times)=\S+)*)\s*"
)


@dataclass(frozen=True)
class Fault:
    """One of them.

    Args:
        kind: as in the variable.
        argument: its text, empty if there is none.
        where: glob of folders.
        times: it strikes at most; None for always.
    """

    kind: str
    argument: str
    where: str
    times: int | None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read one fault.

        Raises:
            Stopped: it is none.
        """
        match = _PATTERN.fullmatch(text.strip())
        kind = match["kind"] if match else text.strip()
        known = [*_NO_ARGUMENT, *_STEP, *_NUMBER, *_TEXT]
        if match is None or kind not in known:
            raise Stopped(f"{VARIABLE}: unknown fault {text!r}; needed: one of {', '.join(known)}")
        options = dict(word.split("=", 1) for word in match["rest"].split())
        argument = (match["argument"] or "").strip()
        try:
            if kind in _NO_ARGUMENT and argument:
                raise ValueError("it takes no argument")
            if kind in _TEXT and not argument:
                raise ValueError("it needs an argument")
            if kind in _STEP and (argument or kind == "explode"):
                int(argument)
            if kind in _NUMBER:
                float(argument)
            times = int(options["times"]) if "times" in options else None
        except ValueError as error:
            raise Stopped(f"{VARIABLE}: fault {text!r} cannot be read: {error}") from error
        return cls(kind, argument, options.get("where", "*"), times)

    @property
    def key(self) -> str:
        """Under which its strikes are counted."""
        return f"{self.kind}={self.argument} where={self.where}"


class Faults:
    """What is going to fail in a folder.

    Args:
        faults: all that there are.
        folder: the working folder of the run.
    """

    def __init__(self, faults: list[Fault], folder: Path) -> None:
        self._folder = folder.resolve()
        path = str(self._folder)
        self._here = [fault for fault in faults if fnmatchcase(path, fault.where)]
        self._of_run = {
            kind: fault.argument
            for kind in ("scf", "ionic", "slow", "drift")
            if (fault := self._strike(kind)) is not None
        }

    @classmethod
    def from_environment(cls, folder: Path) -> Faults:
        """Those that the variable asks for; none where it is not set.

        Raises:
            Stopped: it holds what is no fault.
        """
        texts = os.environ.get(VARIABLE, "").split(";")
        return cls([Fault.parse(text) for text in texts if text.strip()], folder)

    @property
    def never_relaxed(self) -> bool:
        """Whether relaxations go on for ever."""
        return "ionic" in self._of_run

    def electronic_steps(self, n_most: int) -> int | None:
        """Of every loop, if none converges."""
        return n_most if "scf" in self._of_run else None

    def drift_eV_per_atom_per_ps(self) -> float:
        """That of the conserved energy, to be added."""
        return float(self._of_run.get("drift", 0.0))

    def velocity_factor(self, step: int) -> float:
        """By which velocities are multiplied in a step."""
        return EXPLOSION if self._strike("explode", step) else 1.0

    def after_headers(self) -> None:
        """Crash or stand still."""
        if self._strike("segfault"):
            sys.stderr.write("forrtl: severe (174): SIGSEGV, segmentation fault occurred\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        if self._strike("hang"):
            while True:
                signal.pause()

    def in_step(self, step: int, vasprun: TextIO, text: str) -> None:
        """Take time, or end in the middle of a step's text."""
        time.sleep(float(self._of_run.get("slow", 0.0)))
        is_killed = self._strike("kill", step)
        if is_killed or self._strike("disk_full", step):
            vasprun.write(text[: len(text) // 2])
            vasprun.flush()
            if is_killed:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def after_step(self) -> None:
        """End with a message.

        Raises:
            Stopped: holding it.
        """
        if fault := self._strike("message"):
            raise Stopped(fault.argument)

    def at_end(self) -> None:
        """Damage what was written."""
        vasprun = self._folder / "vasprun.xml"
        if self._strike("corrupt_xml"):
            content = bytearray(vasprun.read_bytes())
            middle = len(content) // 2
            content[middle : middle + len(_DAMAGE)] = _DAMAGE
            vasprun.write_bytes(content)
        while fault := self._strike("missing"):
            (self._folder / fault.argument).unlink(missing_ok=True)

    def _strike(self, kind: str, step: int | None = None) -> Fault | None:
        """The fault of a kind whose turn it is; from then on it counts as having struck."""
        for fault in self._here:
            if fault.kind != kind or (step is not None and int(fault.argument or 1) != step):
                continue
            if self._count(fault):
                if kind == "missing":
                    self._here.remove(fault)
                return fault
        return None

    def _count(self, fault: Fault) -> bool:
        """Count a strike, unless it has struck often enough."""
        if fault.times is None:
            return True
        path = self._folder.parent / COUNTS
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            counts = json.loads(file.read() or "{}")
            if counts.get(fault.key, 0) >= fault.times:
                return False
            counts[fault.key] = counts.get(fault.key, 0) + 1
            file.seek(0)
            file.truncate()
            json.dump(counts, file, indent=1)
        return True
