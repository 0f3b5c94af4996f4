"""Snapshots of reference phases in files: the shipped ones by name, others by file or folder."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from screening.errors import InvalidInput
from screening.stability.conventions import rehearsal_of
from screening.stability.references import ReferencePhases

SUFFIX = ".json"
REHEARSAL = "rehearsal"
"""The shipped snapshot for rehearsals: the phases of the potential behind the stand-in."""
_REHEARSED = "chgnet-0.3.0"


class _Stamp(NamedTuple):
    """A file as it is now; another content has another stamp."""

    path: Path
    mtime_ns: int
    size: int


def shipped_snapshots() -> tuple[str, ...]:
    """Names of the snapshots inside the package."""
    files = (item.name for item in _data().iterdir())
    names = [name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX)]
    return tuple(sorted([*names, REHEARSAL]))


def locate_snapshot(snapshot: str | Path) -> Path:
    """The file of a shipped snapshot, or the path itself, of a file or a folder.

    Raises:
        InvalidInput: neither a shipped name nor a file or folder.
    """
    if str(snapshot) in shipped_snapshots():
        file = _REHEARSED if snapshot == REHEARSAL else snapshot
        return Path(str(_data() / f"{file}{SUFFIX}"))
    path = Path(snapshot)
    if not path.exists():
        raise InvalidInput(
            f"no reference phases {str(snapshot)!r}: neither a file nor a folder, and the shipped "
            f"snapshots are {', '.join(shipped_snapshots())}"
        )
    return path


def snapshot_files(snapshot: str | Path) -> list[Path]:
    """The files that a snapshot consists of, in the order of their names.

    Raises:
        InvalidInput: no such snapshot, or a folder without any.
    """
    path = locate_snapshot(snapshot)
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob(f"*{SUFFIX}") if file.is_file())
    if not files:
        raise InvalidInput(
            f"the folder {path} holds no snapshot of reference phases (*{SUFFIX}); make one with "
            "`halideflow references fetch`, `build` or `vasp`"
        )
    return files


def load_snapshot(snapshot: str | Path) -> ReferencePhases:
    """What `ReferencePhases.load` answers; files that do not change are read once a process."""
    stamps = []
    for file in snapshot_files(snapshot):
        status = file.stat()
        stamps.append(_Stamp(file, status.st_mtime_ns, status.st_size))
    return _load(tuple(stamps), is_rehearsal=snapshot == REHEARSAL)


@lru_cache(maxsize=8)
def _load(stamps: tuple[_Stamp, ...], *, is_rehearsal: bool) -> ReferencePhases:
    parts = {str(path): ReferencePhases.parse(path.read_bytes(), str(path)) for path, *_ in stamps}
    references = ReferencePhases.merge(parts) if len(parts) > 1 else next(iter(parts.values()))
    if not is_rehearsal:
        return references
    # energies of the potential itself, which must meet no others all the same
    convention = rehearsal_of(references.convention)
    return references.model_copy(update={"convention": convention, "relaxation": None})


def _data() -> Traversable:
    return resources.files("screening.stability") / "data"
