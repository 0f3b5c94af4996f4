"""The queue of a cluster as an executor sees it: batches of jobs through jobflow-remote.

What is sent is noted in the campaign's table first, under a uuid that jobflow-remote then knows it
by. Whoever runs the campaign next finds it there, asks jobflow-remote what became of it, and reads
its answers: a death of this process at any moment loses nothing and sends nothing twice.
"""

from __future__ import annotations

import contextlib
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from jobflow import Flow, Job

from screening.errors import InvalidInput
from workflows.cluster.allocation import Terms, queue_job
from workflows.cluster.batches import Batches
from workflows.cluster.diagnosis import SUBMISSION_FAILED
from workflows.cluster.endings import Endings
from workflows.cluster.queue_jobs import QueueJob, QueueJobs
from workflows.cluster.runner import RunnerProcess
from workflows.cluster.site import Site, Unreachable
from workflows.cost.prices import Prices
from workflows.cost.spending import spending
from workflows.execution.jobs import JobRecord, Outcome
from workflows.execution.notes import Notes
from workflows.execution.queueing import QueueNews
from workflows.execution_settings import QUEUED_STAGES

if TYPE_CHECKING:
    from workflows.cluster.batches import Batch
    from workflows.config import CampaignConfig
    from workflows.execution.jobs import JobRow, JobTable, Key
    from workflows.execution_settings import ExecutionSettings

_REST_AFTER_LOOK = 10
"""The database rests so many times as long as it took to tell of all jobs in the queue."""
_LONGEST_REST_S = 10.0
_JOBS_PER_FLOW = 50
"""jobflow-remote looks through a whole flow whenever one of its jobs ends."""


class ClusterQueue:
    """Sends, follows and stops jobs of the queue; see `workflows.execution.queueing.Queue`.

    Args:
        table: of the campaign.
        site: where jobs go.
        config: of the campaign.
        execution_now: what its file says now of how jobs are run.
        runner: of jobflow-remote, kept alive.
    """

    stages = frozenset(QUEUED_STAGES)

    def __init__(
        self,
        table: JobTable,
        site: Site,
        config: CampaignConfig,
        execution_now: Callable[[], ExecutionSettings],
        runner: RunnerProcess,
    ) -> None:
        self._runner = runner
        self._table = table
        self._site = site
        self._execution_now = execution_now
        self._config = config
        self._batches = Batches(config)
        self._jobs = QueueJobs(table)
        self._notes = Notes(table)
        self._prices = Prices(config, table)
        self._endings = Endings(table, site)
        self._impossible: list[QueueNews] = []
        self._look_again_s = 0.0

    def send(self, jobs: Sequence[JobRow]) -> list[Key]:
        """Send what makes batches and is within the budget."""
        self._take_up_changes()
        batches = self._within_budget(self._possible(self._batches.ready(jobs)))
        sent: list[Key] = []
        with contextlib.suppress(Unreachable):
            for start in range(0, len(batches), _JOBS_PER_FLOW):
                self._site.check_database()
                chunk = batches[start : start + _JOBS_PER_FLOW]
                sent += [job.key for batch in chunk for job in batch.jobs]
                self._send(chunk)
        if sent:
            self._notes.write("sent", time.strftime("%F %T"))
        return sent

    def news(self) -> Iterator[QueueNews]:
        """What jobflow-remote and the answers on the cluster tell."""
        self._notes.write("runner", self._runner.keep_alive())
        self._site.look_for_lost_hosts()
        impossible, self._impossible = self._impossible, []
        yield from impossible
        start_s = time.monotonic()
        if start_s < self._look_again_s or not (open_jobs := self._jobs.open()):
            return
        n_finished = 0
        with contextlib.suppress(Unreachable):
            found = self._site.documents([job.uuid for job in open_jobs])
            now_s = time.monotonic()
            rest_s = min(_REST_AFTER_LOOK * (now_s - start_s), _LONGEST_REST_S)
            self._look_again_s = now_s + rest_s
            with contextlib.suppress(Unreachable):
                self._endings.ask_why_waiting(open_jobs)
            cancelled = self._jobs.cancelled()
            for job in open_jobs:
                with contextlib.suppress(Unreachable):
                    if job.uuid in cancelled:
                        self._stop(job)
                        continue
                    for news in self._endings.news(job, found.get(job.uuid)):
                        n_finished += news.outcome is not None
                        yield news
        if n_finished:
            self._prices.refresh()

    @property
    def is_ending(self) -> bool:
        """Whether jobs of the queue have answered all, and end in a moment."""
        return any(not self._jobs.open_parts(job.uuid) for job in self._jobs.open())

    def _stop(self, job: QueueJob) -> None:
        """Take one out of the queue, of the scheduler's first: jobflow-remote only tries to."""
        if job.queue_id is not None:
            self._site.take_out(job.worker, job.queue_id)
        self._site.stop(job.uuid)
        self._jobs.ended(job.uuid, job.core_hours_until(time.time()), "cancelled")

    def _take_up_changes(self) -> None:
        """Jobs that are not sent yet get the resources that the file names now."""
        with contextlib.suppress(InvalidInput, OSError):  # a file in the middle of being changed
            execution = self._execution_now()
            if execution != self._config.execution:
                self._config = self._config.model_copy(update={"execution": execution})
                self._batches.config = self._config

    def _possible(self, batches: list[Batch]) -> list[Batch]:
        """Those that the cluster can be asked for; the others' jobs have failed."""
        found = []
        for batch in batches:
            try:
                self._site.queue_resources(batch.resources)
            except InvalidInput as error:
                message = f"execution.resources.{batch.stage}: {error}"
                outcome = Outcome("failed", lost=True, code=SUBMISSION_FAILED, message=message)
                self._impossible += [QueueNews(job.key, outcome) for job in batch.jobs]
                self._batches.sent(batch)
            else:
                found.append(batch)
        return found

    def _within_budget(self, batches: list[Batch]) -> list[Batch]:
        """Those that the budget still has room for; the note says that some have to wait."""
        budget = self._config.execution.budget_core_hours
        if budget is None or not batches:
            self._notes.write("budget", None)
            return batches
        left = spending(self._table, budget).left_core_hours
        assert left is not None
        fitting = []
        for batch in batches:
            if (promised := self._price(batch)) > left:
                break
            left -= promised
            fitting.append(batch)
        n_waiting = sum(len(batch.jobs) for batch in batches[len(fitting) :])
        self._notes.write(
            "budget",
            f"the budget of {budget:g} core-hours has no room for {n_waiting} more jobs, of about "
            f"{sum(self._price(batch) for batch in batches[len(fitting) :]):.3g} core-hours; raise "
            "execution.budget_core_hours"
            if n_waiting
            else None,
        )
        return fitting

    def _price(self, batch: Batch) -> float:
        return sum(self._prices.job(batch.stage, job.n_atoms) for job in batch.jobs)

    def _send(self, batches: Sequence[Batch]) -> None:
        """Note batches in the table, then hand them to jobflow-remote in one flow."""
        made: list[Job] = []
        sent: list[tuple[QueueJob, list[Key]]] = []
        for batch in batches:
            identifier = str(uuid.uuid4())
            worker = self._site.worker(batch.resources.worker)
            records = [self._record(job) for job in batch.jobs]
            only = batch.jobs[0].candidate if len(batch.jobs) == 1 else f"x{len(batch.jobs)}"
            job = queue_job(
                identifier, f"{batch.stage} {only}", records, self._terms(batch, worker)
            )
            job.metadata = {"campaign": self._config.name, "stage": batch.stage}
            job.config.manager_config = {
                "worker": worker,
                "resources": self._site.queue_resources(batch.resources),
            }
            made.append(job)
            queued = QueueJob(
                uuid=identifier,
                stage=batch.stage,
                worker=worker,
                n_cores=batch.n_cores,
                wall_time_h=batch.resources.wall_time_h,
                core_hours_promised=self._price(batch),
                sent_at=time.time(),
            )
            sent.append((queued, [job.key for job in batch.jobs]))
            self._batches.sent(batch)
        self._jobs.sent(sent)
        with warnings.catch_warnings():  # they need not be connected
            warnings.filterwarnings("ignore", "Some jobs are not connected")
            self._site.add(Flow(made, name=self._config.name))

    def _terms(self, batch: Batch, worker: str) -> Terms:
        return Terms(
            engine=self._config.engine,
            execution=self._site.execution(self._config.execution),
            work_root=self._site.work_root(worker),
            n_processes=batch.n_processes,
            cores_per_process=batch.cores_per_process,
            wall_time_h=batch.resources.wall_time_h,
        )

    def _record(self, job: JobRow) -> JobRecord:
        return JobRecord(
            uuid=job.uuid,
            index=job.index,
            name=job.name,
            stage=job.stage,
            candidate=job.candidate,
            parents=job.parents,
            on_missing=job.on_missing,
            spec=self._table.spec(job.key),
            n_atoms=job.n_atoms,
        )
