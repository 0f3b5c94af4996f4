"""What a job printed, wherever it runs: in a folder here, on a cluster, or kept in the table."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.execution.folders import KEPT_FILES
from workflows.job_files import OF_QUEUE, JobFile, file_inside, queue_folder
from workflows.views import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from workflows.read_model import CampaignResults
    from workflows.views import JobView

LOG = "job.log"
"""What a job prints goes there, in its folder."""


@dataclass(frozen=True, slots=True)
class JobLog:
    """What is left of what a job printed.

    Args:
        content: as far as it can be had.
        note: where it is from, or lies, or why there is none.
        file: that it is read from, on this machine.
    """

    content: bytes
    note: str
    file: JobFile | None = None

    @property
    def is_live(self) -> bool:
        """Whether it can be read here and grows while the job runs."""
        return self.file is not None

    @property
    def text(self) -> str:
        """For people."""
        return self.content.decode(errors="replace")


def log_of(
    results: CampaignResults,
    job: JobView,
    most_bytes: int | None = None,
    may_fetch: bool = True,
) -> JobLog:
    """The log of a job: its own, or that of its job in the queue, or its last lines as stored.

    Args:
        results: of the campaign.
        job: of it.
        most_bytes: only the last so many of a file on this machine; None: all.
        may_fetch: ask the cluster for what is not on this machine, which takes seconds.
    """
    own = results.folder.work / job.uuid / LOG
    root = results.notes.get("work_root") if job.worker else None
    on_cluster = Path(root.text) / job.uuid / LOG if root else None
    for file in sorted(_here([own, on_cluster]), key=lambda file: -file.changed_at):
        with contextlib.suppress(FileNotFoundError):  # the job has just ended
            return JobLog(_read(file, most_bytes), file.name, file)
    elsewhere = [on_cluster] if on_cluster else []
    if job.state in ("queued", "running", "failed"):
        of_queue = _of_queue(results, job)
        for file in _here(of_queue):
            if file.n_bytes:
                note = f"{file.name}, of the whole job in the queue"
                return JobLog(_read(file, most_bytes), note, file)
        elsewhere += of_queue
    for path in elsewhere if may_fetch else ():
        if fetched := _fetched(results, job, path):
            return JobLog(fetched, f"{path} on {job.worker}")
    if job.log_tail:
        return JobLog(job.log_tail.encode(), "its last lines, as they were stored")
    return JobLog(b"", _why_none(results, job, elsewhere))


def _read(file: JobFile, most_bytes: int | None) -> bytes:
    with file.path.open("rb") as stream:
        if most_bytes is not None:
            stream.seek(max(stream.seek(0, os.SEEK_END) - most_bytes, 0))
        return stream.read() if most_bytes is None else stream.read(most_bytes)


def _fetched(results: CampaignResults, job: JobView, file: Path) -> bytes | None:
    """A file on the cluster; None where it cannot be had."""
    cluster = results.config.execution.cluster
    if cluster is None or job.worker is None or file.parent.is_dir():
        return None
    from workflows.cluster.remote_files import fetch

    return fetch(cluster, job.worker, str(file))


def _here(paths: Iterable[Path | None]) -> Iterator[JobFile]:
    """Those that are files in their folders on this machine, and no links out of these."""
    for path in paths:
        if path and (file := file_inside(path, path.parent.resolve(), str(path))):
            yield file


def _of_queue(results: CampaignResults, job: JobView) -> list[Path]:
    """What the scheduler wrote of the last job of the queue that this one was part of."""
    folder = queue_folder(results, job)
    return [folder / name for name in OF_QUEUE] if folder else []


def _why_none(results: CampaignResults, job: JobView, elsewhere: list[Path]) -> str:
    if job.started_at is None and job.state in UNFINISHED:
        return f"it has not been started; {job.why}" if job.why else "it has not been started"
    if elsewhere and job.state in ("queued", "running", "failed"):
        return f"it lies on {job.worker}, not on this machine: {elsewhere[0]}"
    kept = results.folder.work / job.uuid / KEPT_FILES
    if kept.is_dir():
        return f"its files are kept: {kept}"
    if job.state in UNFINISHED:
        return "it has printed nothing"
    return "nothing is kept of what a job printed that did not fail"
