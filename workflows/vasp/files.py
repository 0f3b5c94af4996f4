"""Files of a run of VASP, which may have been gzipped."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

FINISHED = "General timing and accounting"
"""What VASP writes into OUTCAR when it ends by itself."""
WALL_TIME = "Walltime reached"
"""What custodian calls it when a run is ended for want of time."""
_TAIL_BYTES = 100_000


def located(folder: Path, name: str) -> Path | None:
    """A file of a run, gzipped or not."""
    return next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)


def text_of(file: Path) -> str:
    """What is in a file, gzipped or not."""
    if file.suffix == ".gz":
        with gzip.open(file, "rt", errors="replace") as stream:
            return stream.read()
    return file.read_text(errors="replace")


def tail_of(file: Path) -> list[str]:
    """Some of the last lines; none where there is no such file."""
    found = located(file.parent, file.name.removesuffix(".gz"))
    if found is None:
        return []
    if found.suffix == ".gz":
        return text_of(found)[-_TAIL_BYTES:].splitlines()
    with found.open("rb") as stream:
        stream.seek(max(found.stat().st_size - _TAIL_BYTES, 0))
        return stream.read().decode(errors="replace").splitlines()


def write_atomically(path: Path, content: str) -> None:
    """The whole file, or the one before."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
