"""Files of a job that can be read on this machine: a listing, and the end of each.

What is not in the listing is not read: a name that comes from elsewhere is looked up there.
"""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.execution.folders import KEPT_FILES

if TYPE_CHECKING:
    from workflows.read_model import CampaignResults
    from workflows.views import JobView

OF_QUEUE = ("queue.err", "queue.out")
"""What a scheduler writes of a job of its queue."""
_QUEUE = "queue"  # in front of their names
_MOST_FILES = 5_000
_TAIL_BYTES = 256_000
_MOST_UNZIPPED_BYTES = 200_000_000
_COPY_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file of a job.

    Args:
        name: below the folder of the job, or `queue/…` of what its scheduler wrote.
        path: without links.
        n_bytes: now.
        changed_at: seconds since the epoch.
    """

    name: str
    path: Path
    n_bytes: int
    changed_at: float


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The last lines of a file; `note` says what there is to know of them."""

    text: str
    note: str = ""


def work_folders(results: CampaignResults, job: JobView) -> list[Path]:
    """Where a job works or worked, as far as that is on this machine; what changed last first."""
    places = [results.folder.work / job.uuid]
    if job.worker and (root := results.notes.get("work_root")):
        places.append(Path(root.text) / job.uuid)
    found = [(place.stat().st_mtime, place) for place in places if place.is_dir()]
    return [place for _, place in sorted(found, reverse=True)]


def queue_folder(results: CampaignResults, job: JobView) -> Path | None:
    """Of the last job of the queue that a job was part of, wherever that is."""
    for (run_dir,) in results.table.select(
        "select run_dir from queue_job_parts as part join queue_jobs on queue_jobs.uuid = "
        "part.queue_job where part.uuid = ? and part.idx = ? and run_dir is not null "
        "order by sent_at desc limit 1",
        (job.uuid, job.index),
    ):
        return Path(run_dir)
    return None


def files_of(results: CampaignResults, job: JobView) -> dict[str, JobFile]:
    """By name, in the order of names; neither links that lead elsewhere nor POTCARs.

    Nor what is called by bytes that are no text, for no address leads there.
    A POTCAR is licensed to whoever computes with it, not to whoever looks.
    """
    found: dict[str, JobFile] = {}
    for folder in work_folders(results, job):
        for file in _below(folder):
            found.setdefault(file.name, file)
    if (folder_of_queue := queue_folder(results, job)) and folder_of_queue.is_dir():
        root = folder_of_queue.resolve()
        for name in OF_QUEUE:
            if written := file_inside(root / name, root, f"{_QUEUE}/{name}"):
                found.setdefault(written.name, written)
    return dict(sorted(found.items()))


def run_of_vasp(name: str) -> tuple[str, str] | None:
    """Run and name, such as relax-1 and INCAR, of a file of a run of VASP, gzipped or not.

    None of all others, and of attempts that were put aside.
    """
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != KEPT_FILES or ".interrupted-" in parts[1]:
        return None
    return parts[1], parts[2].removesuffix(".gz")


def end_of(file: JobFile, n_lines: int) -> FileEnd:
    """The last lines of a text file, however large it is; gzipped ones are read through."""
    try:
        content, is_whole = _unzipped_end(file) if _is_gzipped(file) else _end(file)
    except (OSError, EOFError, zlib.error) as error:
        return FileEnd("", f"cannot be read: {error}")
    if content is None:
        return FileEnd("", "too large to look into while it is compressed; download it")
    return end_of_text(content, n_lines, is_whole)


def end_of_text(content: bytes, n_lines: int, is_whole: bool = True) -> FileEnd:
    """The last lines; the first line of what is not whole is taken to be cut."""
    if b"\0" in content:
        return FileEnd("", "not a text; download it")
    lines = content.decode(errors="replace").splitlines()
    if not is_whole:
        lines = lines[1:]
    if is_whole and len(lines) <= n_lines:
        return FileEnd("\n".join(lines))
    return FileEnd("\n".join(lines[-n_lines:]), f"its last {min(n_lines, len(lines))} lines")


def chunks(file: JobFile) -> Iterator[bytes]:
    """All of a file as it is when this begins; one that grows meanwhile is cut there."""
    left = file.path.stat().st_size
    with file.path.open("rb") as stream:
        while left > 0 and (chunk := stream.read(min(_COPY_BYTES, left))):
            left -= len(chunk)
            yield chunk


def _below(folder: Path) -> Iterator[JobFile]:
    root = folder.resolve()
    n_found = 0
    for place, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            name_below = path.relative_to(root).as_posix()
            if _is_text(name_below) and (file := file_inside(path, root, name_below)):
                yield file
                n_found += 1
        if n_found > _MOST_FILES:
            return


def file_inside(path: Path, root: Path, name: str) -> JobFile | None:
    """A file that is one, inside of `root`, and may be shown; None for all else.

    Args:
        path: with links or without.
        root: without links.
        name: that it goes by.
    """
    if path.name.startswith("POTCAR"):
        return None
    try:
        resolved = path.resolve(strict=True)
        status = resolved.stat()
    except (OSError, RuntimeError):  # a link that leads nowhere or to itself, or gone just now
        return None
    if not resolved.is_relative_to(root) or resolved.name.startswith("POTCAR"):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return JobFile(name, resolved, status.st_size, status.st_mtime)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False
    return True


def _is_gzipped(file: JobFile) -> bool:
    return file.name.endswith(".gz")


def _end(file: JobFile) -> tuple[bytes, bool]:
    """The last bytes, and whether they are all."""
    with file.path.open("rb") as stream:
        n_bytes = stream.seek(0, os.SEEK_END)
        start = max(n_bytes - _TAIL_BYTES, 0)
        stream.seek(start)
        return stream.read(_TAIL_BYTES), start == 0


def _unzipped_end(file: JobFile) -> tuple[bytes | None, bool]:
    """The same of what was compressed; None where that is too much to go through."""
    content, n_read = b"", 0
    with gzip.open(file.path) as stream:
        while chunk := stream.read(_COPY_BYTES):
            n_read += len(chunk)
            if n_read > _MOST_UNZIPPED_BYTES:
                return None, False
            content = (content + chunk)[-_TAIL_BYTES:]
    return content, n_read <= _TAIL_BYTES
