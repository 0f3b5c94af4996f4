"""How VASP is run here, told to the processes that run it and to no result.

A job that waits, or goes on segment after segment, thus runs as the campaign file says now, not as
it said when the job was made.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from workflows.execution_settings import ExecutionSettings

VARIABLE = "HALIDEFLOW_EXECUTION"
ENDS_AT = "HALIDEFLOW_ENDS_AT"
"""Variable that says when an allocation ends, in seconds since the epoch."""


@contextlib.contextmanager
def processes_execute(settings: ExecutionSettings) -> Iterator[None]:
    """Processes started here run VASP in this way."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = settings.model_dump_json()
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def current_execution() -> ExecutionSettings:
    """What this process was told; the defaults where nobody told it anything."""
    text = os.environ.get(VARIABLE)
    return ExecutionSettings.model_validate_json(text) if text else ExecutionSettings()
