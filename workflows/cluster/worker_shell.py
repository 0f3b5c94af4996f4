"""Commands on a worker, as jobflow-remote would give them: over ssh, or on this machine."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobflow_remote.config.base import WorkerConfig
    from jobflow_remote.remote.host import BaseHost

_MARK = "-- halideflow --"


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    stdout: str
    stderr: str
    code: int

    @property
    def complaint(self) -> str:
        """The last line of what it said went wrong."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit code {self.code}"


@dataclass(frozen=True)
class WorkerShell:
    """A shell on the machine that submits the jobs of a worker.

    Args:
        host: connected.
        pre_run: what every job of the worker runs first.
    """

    host: BaseHost
    pre_run: str

    @classmethod
    def of(cls, worker: WorkerConfig) -> WorkerShell:
        """A worker's; not connected yet."""
        return cls(without_stdin(worker.get_host()), worker.pre_run or "")

    def run(self, command: str, *, as_job: bool = False, timeout_s: int = 60) -> Answer:
        """Run a line of bash.

        Args:
            command: whose output is told apart from what the shell itself prints.
            as_job: after what jobs run first: modules, environment.
            timeout_s: after which it is given up.
        """
        before = f"{self.pre_run}\n" if as_job else ""
        script = f"{before}echo '{_MARK}'\n{command}"
        with warnings.catch_warnings():  # jobflow-remote changes folders by monty's cd
            warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)
            stdout, stderr, code = self.host.execute(
                f"bash -c {shlex.quote(script)}", timeout=timeout_s
            )
        return Answer(stdout.partition(f"{_MARK}\n")[2], stderr, code)


def without_stdin(host: BaseHost) -> BaseHost:
    """A host whose commands do not take what this process has on its standard input.

    Fabric would pass it on to them, a line that somebody types meanwhile as well.
    """
    connection = getattr(host, "connection", None)  # of the remote ones
    if connection is not None:
        connection.config.run.in_stream = False
    return host
