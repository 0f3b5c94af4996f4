"""What is known of one job besides its line in the list: parts, stays in queues, runs of VASP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from screening.documents import VaspCalculation
from workflows.execution_settings import QUEUED_STAGES
from workflows.job_files import run_of_vasp

if TYPE_CHECKING:
    from workflows.job_files import JobFile
    from workflows.read_model import CampaignResults
    from workflows.views import JobView

_TRIED = "corrected and tried again: "  # in front of what a worker puts behind a log


@dataclass(frozen=True, slots=True)
class JobPart:
    """A job that goes on as itself has several, numbered from 1."""

    number: int
    state: str
    attempts: int
    started_at: float | None
    ended_at: float | None
    n_steps: int | None
    core_hours: float | None


@dataclass(frozen=True, slots=True)
class QueueStay:
    """A job of a cluster's queue in which this one was computed, or was to be.

    Args:
        queue_id: as the scheduler knows it.
        state: sent, running or ended.
        folder: of its script and output, on the worker.
        message: what there is to know of it.
    """

    worker: str
    queue_id: str | None
    state: str
    n_cores: int
    wall_time_h: float | None
    sent_at: float
    started_at: float | None
    ended_at: float | None
    folder: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class JobDetails:
    """What is known of one job.

    Args:
        calculations: runs of VASP that have ended well.
        corrections: run of VASP -> what custodian changed in it; an empty name stands for a
            failure's own account.
    """

    parts: tuple[JobPart, ...]
    stays: tuple[QueueStay, ...]
    calculations: tuple[VaspCalculation, ...]
    corrections: tuple[tuple[str, tuple[str, ...]], ...]


def details_of(results: CampaignResults, job: JobView, files: Mapping[str, JobFile]) -> JobDetails:
    """All of it; `files` are those of the job."""
    parts = results.table.select(
        "select idx, state, attempts, started_at, ended_at, n_steps, core_hours from jobs "
        "where uuid = ? and +run = ? order by idx",
        (job.uuid, results.run),
    )
    stays = results.table.select(
        "select worker, queue_id, queue_jobs.state, n_cores, wall_time_h, sent_at, started_at, "
        "ended_at, run_dir, message from queue_job_parts as part join queue_jobs "
        "on queue_jobs.uuid = queue_job where part.uuid = ? group by queue_jobs.uuid "
        "order by sent_at desc",
        (job.uuid,),
    )
    calculations = _calculations(results, job)
    return JobDetails(
        tuple(JobPart(*values) for values in parts),
        tuple(QueueStay(*values) for values in stays),
        calculations,
        tuple(_corrections(job, calculations, files)),
    )


def _calculations(results: CampaignResults, job: JobView) -> tuple[VaspCalculation, ...]:
    """As its document tells of them."""
    if job.stage not in QUEUED_STAGES:
        return ()
    output = results.outputs([job.uuid]).get(job.uuid, {})
    answer = output.get("result") or output.get("partial") or {}
    try:
        return tuple(VaspCalculation(**record) for record in answer.get("calculations") or ())
    except ValidationError:  # of an earlier version
        return ()


def _corrections(
    job: JobView, calculations: tuple[VaspCalculation, ...], files: Mapping[str, JobFile]
) -> list[tuple[str, tuple[str, ...]]]:
    found = {record.name: record.corrections for record in calculations}
    for name, file in files.items():
        run = run_of_vasp(name)
        if run is not None and run[1] == "custodian.json" and run[0] not in found:
            from workflows.vasp.failures import corrections_in

            found[run[0]] = corrections_in(file.path.parent)  # it runs, or failed
    told = tuple(
        line.removeprefix(_TRIED)
        for line in (job.log_tail or "").splitlines()
        if line.startswith(_TRIED)
    )
    known = {correction for corrections in found.values() for correction in corrections}
    if set(told) - known:
        found[""] = told
    return [(run, corrections) for run, corrections in found.items() if corrections]
