"""How a long job tells whoever runs it how far it has come."""

from __future__ import annotations

from collections.abc import Callable

_listener: Callable[[float], None] | None = None


def report_progress(fraction: float) -> None:
    """Say that the current job has done `fraction` (0 to 1); heard by nobody outside a worker."""
    if _listener is not None:
        _listener(fraction)


def is_heard() -> bool:
    """Whether this is a worker, whose output is the log of the job that it runs."""
    return _listener is not None


def listen(listener: Callable[[float], None] | None) -> None:
    """Set who hears `report_progress` in this process."""
    global _listener  # noqa: PLW0603  one listener a process is the point
    _listener = listener
