"""Memory of processes that make thousands of documents at once."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

_M_ARENA_MAX = -8  # of malloc.h


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Python's collector would walk ten thousand new documents again and again: half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def share_one_heap() -> None:
    """Have all threads that are made from now on take memory from one heap; nothing without glibc.

    Else each has one of its own, and what one has freed another does not use.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system what is free again, which glibc keeps for itself; nothing elsewhere."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
