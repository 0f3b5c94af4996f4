"""What belongs to the page of a job and is fetched by itself: inputs, plots, files, logs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from workflows.dashboard.downloads import attached, plot_response
from workflows.dashboard.pages.job import N_LINES, FileRow, named_job
from workflows.dashboard.plots.steps import over_steps, quantities_of
from workflows.dashboard.rendering import campaign_of, render
from workflows.job_details import details_of
from workflows.job_files import FileEnd, JobFile, chunks, end_of, files_of
from workflows.job_inputs import InputSheet, vasp_sheets
from workflows.job_logs import log_of
from workflows.job_steps import steps_of
from workflows.views import UNFINISHED, JobView

if TYPE_CHECKING:
    from starlette.requests import Request

    from workflows.read_model import CampaignResults


@dataclass(frozen=True)
class InputsView:
    """What VASP was told in each run of a job, against its set."""

    job: JobView
    sheets: tuple[InputSheet, ...]


@dataclass(frozen=True)
class FileEndView:
    """The end of a file of a job; `id` is of its element in pages."""

    job: JobView
    file: FileRow
    end: FileEnd
    id: str

    @property
    def is_unfinished(self) -> bool:
        """Whether more may come."""
        return self.job.state in UNFINISHED


def job_inputs(request: Request) -> Response:
    """`/c/SLUG/jobs/UUID/inputs`."""
    with campaign_of(request).open() as results:
        job = named_job(results, request.path_params["uuid"])
        files = files_of(results, job)
        calculations = details_of(results, job, files).calculations
        view = InputsView(job, tuple(vasp_sheets(results, job, calculations, files)))
    return render(request, "job_inputs.html", view)


def job_plot(request: Request) -> Response:
    """`/c/SLUG/jobs/UUID/steps/QUANTITY.ENDING`."""
    name, _, ending = request.path_params["file"].partition(".")
    with campaign_of(request).open() as results:
        job = named_job(results, request.path_params["uuid"])
        quantity = next((known for known in quantities_of(job.stage) if known == name), None)
        steps = steps_of(results, job)
    if quantity is None or steps is None:
        raise HTTPException(404, f"A job of stage {job.stage} has no {name} over steps.")
    return plot_response(request, over_steps(steps, quantity), ending)


def job_log(request: Request) -> Response:
    """`/c/SLUG/jobs/UUID/log`: all of it, also from the cluster.

    One that is on this machine may be larger than its memory.
    """
    with campaign_of(request).open() as results:
        job = named_job(results, request.path_params["uuid"])
        log = log_of(results, job, most_bytes=0)
    if log.file is not None and log.file.n_bytes:
        return StreamingResponse(chunks(log.file), media_type="text/plain")
    return PlainTextResponse(log.content or f"{log.note}\n")


def job_file(request: Request) -> Response:
    """`/c/SLUG/jobs/UUID/files/NAME`: all of a file."""
    with campaign_of(request).open() as results:
        _, file = _named_file(request, results)
    return StreamingResponse(
        chunks(file),
        media_type="application/octet-stream",
        headers=attached(file.name.rpartition("/")[2]),
    )


def job_file_end(request: Request) -> Response:
    """`/c/SLUG/jobs/UUID/ends/NAME`: its last lines, as a page."""
    with campaign_of(request).open() as results:
        job, file = _named_file(request, results)
        end = end_of(file, N_LINES)
    id_ = f"end-{hashlib.sha256(file.name.encode()).hexdigest()[:12]}"
    return render(request, "job_file.html", FileEndView(job, FileRow.of(file), end, id_))


def _named_file(request: Request, results: CampaignResults) -> tuple[JobView, JobFile]:
    """A file in the listing of a job.

    Raises:
        HTTPException: 404, there is no such job, or the listing does not have it.
    """
    job = named_job(results, request.path_params["uuid"])
    name = request.path_params["name"]
    try:
        return job, files_of(results, job)[name]
    except KeyError:
        raise HTTPException(404, f"This job has no file {name} here.") from None
