"""How many cores a job takes, told to the processes that run jobs and to no result."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

VARIABLE = "HALIDEFLOW_JOB_CORES"


def cores_here() -> int:
    """Those that this process may use: on a cluster fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def jobs_take(n_cores: int) -> Iterator[None]:
    """Jobs of processes started here take so many cores each, unless it is said already."""
    if VARIABLE in os.environ:
        yield
        return
    os.environ[VARIABLE] = str(n_cores)
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def cores_of_a_job() -> int:
    """What this process was told; one where nobody told it anything."""
    text = os.environ.get(VARIABLE, "")
    return max(int(text), 1) if text.isdecimal() else 1
