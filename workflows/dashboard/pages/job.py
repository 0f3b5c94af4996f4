"""One job: why it waits or failed, what it was told, how far it is, what it printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.exceptions import HTTPException

from workflows.commands import advice_in
from workflows.dashboard.actions import Notice, notice_of
from workflows.dashboard.plots.steps import Quantity, over_steps, quantities_of
from workflows.dashboard.rendering import campaign_of, render
from workflows.job_details import JobDetails, details_of
from workflows.job_files import JobFile, end_of_text, files_of
from workflows.job_inputs import InputSheet, JobSettings
from workflows.job_list import JobFilter
from workflows.job_logs import LOG, log_of
from workflows.job_steps import steps_of
from workflows.views import UNFINISHED, JobView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from workflows.advice import Advice
    from workflows.read_model import CampaignResults

N_LINES = 400
_LOG_BYTES = 256_000
# What VASP and schedulers print, and what is looked at first.
_PRINTED = ("queue.out", "queue.err", "vasp.out", "std_err.txt", "OSZICAR", "custodian.json")


@dataclass(frozen=True)
class LogView:
    """The end of a log; `note` says where it is from, or why there is none.

    Args:
        is_empty: there is a file, and nothing in it.
    """

    text: str
    note: str
    is_empty: bool


@dataclass(frozen=True)
class FileRow:
    """A file of the job; `quoted` is its name in addresses."""

    name: str
    quoted: str
    n_bytes: int
    changed_at: float

    @classmethod
    def of(cls, file: JobFile) -> FileRow:
        """As a page shows it."""
        return cls(file.name, quote(file.name), file.n_bytes, file.changed_at)


@dataclass(frozen=True)
class PlotSlot:
    """A plot of the page."""

    quantity: Quantity
    title: str
    summary: str


@dataclass(frozen=True)
class JobPageView:
    """What the page shows.

    Args:
        advice: on a failure, with commands to be copied.
        progress: how far it is; empty where that is not known.
        printed: files to look into, by the runs of VASP that they are of, the last first.
        runs_vasp: so that there are inputs to be held against a set.
        settings: that the job carries.
    """

    job: JobView
    details: JobDetails
    advice: Advice | None
    progress: str
    plots: tuple[PlotSlot, ...]
    log: LogView
    printed: tuple[FileRow, ...]
    files: tuple[FileRow, ...]
    runs_vasp: bool
    settings: tuple[InputSheet, ...]
    notice: Notice | None

    @property
    def is_unfinished(self) -> bool:
        """Whether it changes by itself."""
        return self.job.state in UNFINISHED


def named_job(results: CampaignResults, uuid: str) -> JobView:
    """A job of the last run.

    Raises:
        HTTPException: 404, there is none.
    """
    found = [job for job in results.jobs.page(JobFilter(uuid=uuid), limit=1) if job.uuid == uuid]
    if not found:
        raise HTTPException(404, f"The last run of this campaign has no job {uuid}.")
    return found[0]


def job_view(
    results: CampaignResults, campaign: Path, uuid: str, notice: Notice | None = None
) -> JobPageView:
    """The page of a job of a campaign, whose file or folder is `campaign`.

    Raises:
        HTTPException: 404, there is no such job.
    """
    job = named_job(results, uuid)
    files = files_of(results, job)
    settings = JobSettings.of(results, job)
    progress, plots = _plots(results, job)
    return JobPageView(
        job=job,
        details=details_of(results, job, files),
        advice=advice_in(results, campaign, job.code, job.stage) if job.state == "failed" else None,
        progress=progress,
        plots=plots,
        log=_log(results, job),
        printed=tuple(FileRow.of(file) for file in _printed(files.values())),
        files=tuple(FileRow.of(file) for file in files.values()),
        runs_vasp=settings.runs_vasp and bool(quantities_of(job.stage)),
        settings=tuple(settings.sheets()),
        notice=notice,
    )


def job(request: Request) -> Response:
    """`/c/SLUG/jobs/UUID`."""
    campaign = campaign_of(request)
    with campaign.open() as results:
        notice = notice_of(request, results)
        path = campaign.path.absolute()
        view = job_view(results, path, request.path_params["uuid"], notice)
    return render(request, "job.html", view)


def _plots(results: CampaignResults, job: JobView) -> tuple[str, tuple[PlotSlot, ...]]:
    """How far it is, and what there is to draw; plots without anything only while it may come."""
    steps = steps_of(results, job)
    if steps is None:
        return "", ()
    made = {quantity: over_steps(steps, quantity) for quantity in quantities_of(job.stage)}
    shown = tuple(
        PlotSlot(quantity, plot.title, plot.summary)
        for quantity, plot in made.items()
        if plot.traces or job.state in UNFINISHED
    )
    energy = made["energy"]
    return energy.summary if energy.traces or job.state in UNFINISHED else "", shown


def _log(results: CampaignResults, job: JobView) -> LogView:
    log = log_of(results, job, most_bytes=_LOG_BYTES, may_fetch=False)
    end = end_of_text(log.content, N_LINES, is_whole=len(log.content) < _LOG_BYTES)
    note = f"{log.note}, {end.note}" if end.note else log.note
    return LogView(end.text, note, is_empty=log.is_live and not log.content)


def _printed(files: Iterable[JobFile]) -> Iterator[JobFile]:
    """Not those of attempts that were put aside, the run that was written to last before others."""
    shown = [
        file
        for file in files
        if PurePosixPath(file.name).name.removesuffix(".gz") in _PRINTED
        and ".interrupted-" not in file.name
        and file.name != LOG
        and file.n_bytes
    ]
    of_queue = [file for file in shown if file.name.startswith("queue/")]
    runs: dict[PurePosixPath, list[JobFile]] = {}
    for file in shown:
        if file not in of_queue:
            runs.setdefault(PurePosixPath(file.name).parent, []).append(file)
    last = max(runs.values(), key=lambda of_run: max(f.changed_at for f in of_run), default=[])
    yield from of_queue
    yield from last
