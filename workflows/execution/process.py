"""What a process that computes starts with: one thread, and memory that it keeps.

Processes, not threads, share the cores; sums then keep their order, too, and energies their last
digits. Who sets OMP_NUM_THREADS wants it otherwise, and it stays as it is, for every process;
OpenBLAS, MKL and torch all go by it.

Every step of a potential frees arrays of megabytes and asks for them anew. By default glibc hands
them back to the system in between, which then clears each page again: a seventh of the time.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREADS = "OMP_NUM_THREADS"
_DEVICES = "CUDA_VISIBLE_DEVICES"
_ENVIRONMENT = {
    _THREADS: "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),  # the largest that glibc takes
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}


@contextlib.contextmanager
def computing_processes() -> Iterator[None]:
    """Processes started here compute in one thread and keep their memory, unless told otherwise.

    Libraries read these variables when they load, so that they must be there when a process starts.
    """
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def take_gpu(number: int) -> None:
    """Let this process, the so many-th of several, see one GPU, where there are more.

    To be called before torch is imported.
    """
    said = os.environ.get(_DEVICES)
    if said is None:
        files = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
        devices = sorted(name for name in files if name.isdecimal())
    else:
        devices = [name for name in said.split(",") if name]
    if len(devices) > 1:
        os.environ[_DEVICES] = devices[number % len(devices)]


def one_torch_thread() -> None:
    """Let torch compute in one thread in this process, which has loaded its libraries already."""
    if _THREADS not in os.environ:
        import torch

        torch.set_num_threads(1)
