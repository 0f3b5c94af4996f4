"""jobflow-remote's runner, without its pause of two minutes after a step that failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from jobflow_remote.jobs.runner import Runner
from pymongo.errors import PyMongoError

from workflows.cluster.worker_shell import without_stdin

_logger = logging.getLogger(__name__)


class PromptRunner(Runner):
    """What fails in a step is tried again at its next turn; without the queue database it ends.

    What went wrong with one job is noted in its document. A step fails as a whole only where the
    database does not answer, and then nobody knows what it left locked there.
    """

    def __init__(self, project_name: str) -> None:
        super().__init__(project_name=project_name)
        self.lost_database = False
        for host in self.hosts.values():
            without_stdin(host)

    def advance_state(self, *args: Any, **options: Any) -> None:
        """Send, fetch and complete jobs."""
        self._attempt(super().advance_state, *args, **options)

    def check_run_status(self, *args: Any, **options: Any) -> None:
        """Ask the scheduler what became of the jobs."""
        self._attempt(super().check_run_status, *args, **options)

    def refresh_num_current_jobs(self) -> None:
        """Count the jobs of workers that take only so many."""
        self._attempt(super().refresh_num_current_jobs)

    def ping_running_runner(self, *args: Any, **options: Any) -> None:
        """Say that it is alive."""
        self._attempt(super().ping_running_runner, *args, **options)

    def _attempt(self, step: Callable[..., None], *args: Any, **options: Any) -> None:
        if self.lost_database:
            return
        try:
            step(*args, **options)
        except PyMongoError:
            _logger.exception("%s: the queue database does not answer", step.__name__)
            self.lost_database = self.stop_signal = True
        except Exception:
            _logger.exception("%s failed; it is tried again", step.__name__)
