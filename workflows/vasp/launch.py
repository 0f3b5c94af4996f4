"""Start VASP so that it ends with whoever started it: `python -m workflows.vasp.launch COMMAND`.

custodian starts programs in sessions of their own, which outlive it: killed with -9, it would leave
VASP computing beside its successor. And atomate2 brings the outputs of the run before along, in
which watchers would find the end of a run that has not begun.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

CANNOT_START = "halideflow: cannot start"
_NOT_FOUND = 127
_PR_SET_PDEATHSIG = 1  # of Linux
_OUTPUTS = ("OUTCAR", "OSZICAR", "vasprun.xml")


def main(command: list[str]) -> int:
    """Become the command; returns where that is not possible."""
    for name in _OUTPUTS:
        Path(name).unlink(missing_ok=True)
    with contextlib.suppress(OSError, AttributeError):  # another system has no such call
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        os.execvp(command[0], command)  # noqa: S606  the user's own command
    except OSError as error:
        sys.stderr.write(f"{CANNOT_START} {command[0]!r}: {error.strerror}\n")
    return _NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
