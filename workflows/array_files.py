"""The archives of arrays, such as trajectories, that the jobs of a campaign left in its folder."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.store.arrays import ArrayFileStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workflows.read_model import CampaignResults


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """One archive, which `numpy.load` opens.

    Args:
        job_uuid: of the job that left it.
        n_bytes: None where it is no longer there.
    """

    name: str
    job_uuid: str
    path: Path
    n_bytes: int | None


def array_files(results: CampaignResults, jobs: Iterable[str]) -> tuple[ArrayFile, ...]:
    """What the store lists of some jobs, in its order; nothing else in the folder is.

    Args:
        results: of the campaign.
        jobs: their uuids.
    """
    folder = results.folder.path / "arrays"
    store = ArrayFileStore(results.folder.database, folder, read_only=True)
    store.connect()
    try:
        listed = store.files({"job_uuid": {"$in": list(jobs)}})
    finally:
        store.close()
    return tuple(
        ArrayFile(name, uuid, folder / name, _size(folder / name))
        for name, uuid in listed.items()
        if uuid is not None
    )


def _size(path: Path) -> int | None:
    """Of a file; a link is none, wherever it leads."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
