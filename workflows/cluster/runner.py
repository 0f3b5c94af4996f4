"""jobflow-remote's runner as a child process of whoever runs a campaign on a cluster.

`python -m workflows.cluster.runner PROJECT` runs until it is told to stop, or its parent is gone:
the parent holds the other end of its standard input. It also ends when the queue database does not
answer, for it may have left something locked there; whoever starts the next one unlocks it first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

DATABASE_LOST = 75
"""Exit code of a runner whose database did not answer."""
_RESTART_AFTER_S = (1.0, 5.0, 30.0)
_STOP_WITHIN_S = 30.0
_LONG_ENOUGH_S = 120.0
"""A runner that lived so long had not failed at its start."""


class RunnerProcess:
    """Keeps a runner alive.

    Args:
        project: of jobflow-remote.
        projects_folder: that holds its file.
        log: file that gets what the runner prints.
        unlock: takes back what a runner that is no more had locked; called before each start, which
            does not take place where that is not possible now.
    """

    def __init__(
        self, project: str, projects_folder: Path, log: Path, unlock: Callable[[], bool]
    ) -> None:
        self._project = project
        self._unlock = unlock
        self._environment = {**os.environ, "JFREMOTE_PROJECTS_FOLDER": str(projects_folder)}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._n_deaths = 0
        self._exit_text = ""

    def keep_alive(self) -> str | None:
        """Start it if it is not there; what is wrong with it, if anything is."""
        age_s = time.monotonic() - self._started_s
        if age_s > _LONG_ENOUGH_S:
            self._n_deaths = 0
        if self._process is not None and (exit_code := self._process.poll()) is not None:
            self._n_deaths += exit_code != DATABASE_LOST
            self._process = None
            self._exit_text = f"jobflow-remote's runner ended with exit code {exit_code}"
        if self._process is None:
            delay_s = _RESTART_AFTER_S[min(self._n_deaths, len(_RESTART_AFTER_S)) - 1]
            if (not self._n_deaths or age_s > delay_s) and self._unlock():
                self._start()
        return self._trouble if self._n_deaths > 1 else None

    @property
    def pid(self) -> int | None:
        """Of the runner that is there now."""
        return None if self._process is None else self._process.pid

    def stop(self) -> None:
        """Let it finish its step, and end it if that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def _trouble(self) -> str:
        return f"{self._exit_text}, {self._n_deaths} times in a row; see {self._log}"

    def _start(self) -> None:
        self._started_s = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-m", "workflows.cluster.runner", self._project],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the parent, which stops it in order
            )


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Run it."""
    from workflows.cluster.prompt_runner import PromptRunner

    warnings.filterwarnings("ignore", category=FutureWarning)  # of monty, which it uses
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runner = PromptRunner(project_name=sys.argv[1])
    runner.run()
    sys.exit(DATABASE_LOST if runner.lost_database else 0)


if __name__ == "__main__":
    main()
