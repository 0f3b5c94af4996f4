"""One thread a process: processes, not threads, share the cores.

Sums then keep their order, too, and energies their last digits. Who sets OMP_NUM_THREADS wants it
otherwise, and it stays as it is, for every process; OpenBLAS, MKL and torch all go by it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "OMP_NUM_THREADS"


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes started here compute in one thread; their libraries read it when they load."""
    if _NAME in os.environ:
        yield
        return
    os.environ[_NAME] = "1"
    try:
        yield
    finally:
        del os.environ[_NAME]


def one_torch_thread() -> None:
    """Let torch compute in one thread in this process, which has loaded its libraries already."""
    if _NAME not in os.environ:
        import torch

        torch.set_num_threads(1)
