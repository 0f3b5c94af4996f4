"""A campaign's jobflow-remote and the cluster behind it: what is asked of both, and if they answer.

Whatever cannot be reached raises `Unreachable`, and the campaign's notes say so until it can.
"""

from __future__ import annotations

import contextlib
import io
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jobflow_remote.utils.db import LockedDocumentError

from screening.errors import InvalidInput, Unavailable
from workflows.cluster.campaign_project import CampaignProject, campaign_project, open_queue
from workflows.cluster.diagnosis import DISK_FULL, diagnose
from workflows.cluster.project import cluster_called, project_file

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import Flow, JobStore
    from jobflow_remote.jobs.jobcontroller import JobController
    from jobflow_remote.remote.host import BaseHost
    from maggma.core import Store

    from workflows.cluster.answers import Answer
    from workflows.cluster.settings import ClusterSettings
    from workflows.config import CampaignConfig
    from workflows.execution.notes import Notes
    from workflows.execution_settings import ExecutionSettings, StageResources
    from workflows.results import ResultsFolder

_FIELDS = (
    "uuid",
    "state",
    "previous_state",
    "error",
    "remote",
    "run_dir",
    "start_time",
    "end_time",
)
_ROOM_BYTES = 1_000_000
_REST_S = 30.0
"""So long a host that did not answer is left alone: each attempt may hold up everything else."""
_DATABASE_REST_S = 5.0


class Unreachable(Exception):
    """What was asked does not answer now; it is asked again."""


class Site:
    """Where a campaign's jobs go.

    Args:
        project: of jobflow-remote.
        store: of the campaign.
        notes: of the campaign.
    """

    def __init__(self, project: CampaignProject, store: JobStore, notes: Notes) -> None:
        self._project = project
        self._store = store
        self._notes = notes
        self._hosts: dict[str, BaseHost] = {}
        self._lost_until_s: dict[str, float] = {}
        self._database_lost_until_s = 0.0
        self._opened: JobController | None = None

    @classmethod
    def of(
        cls,
        config: CampaignConfig,
        folder: ResultsFolder,
        store: JobStore,
        notes: Notes,
        has_open_jobs: bool,
    ) -> Site:
        """The site that a campaign names; its project there stays the one of the first submission.

        Args:
            config: of the campaign.
            folder: of its results, which may have been moved since.
            store: of the campaign.
            notes: of the campaign.
            has_open_jobs: whether jobs of it are in a queue.

        Raises:
            InvalidInput: it names none, or one that there is not, or another than its jobs are on.
        """
        name = named_cluster(config).name
        before = notes.all().get("project")
        former, project_name = before.text.split() if before else (name, None)
        if former != name and has_open_jobs:
            raise InvalidInput(
                f"{config.name}: jobs of it are in the queue of cluster {former}, and "
                f"execution.cluster is {name} now; set it back, and submit elsewhere once they "
                "have ended or were cancelled"
            )
        project = campaign_project(
            cluster_called(name),
            project_file(name),
            config.name,
            folder,
            config.store,
            project_name if former == name else None,
        )
        notes.write("project", f"{name} {project.name}")
        return cls(project, store, notes)

    @property
    def project_name(self) -> str:
        """Of the campaign's project of jobflow-remote."""
        return self._project.name

    @property
    def projects_folder(self) -> Path:
        """Where its file is."""
        return self._project.file.parent

    def prepare(self) -> None:
        """Make the queue database ready.

        Raises:
            Unavailable: it does not answer.
        """
        self._controller()

    def unlock(self) -> bool:
        """Take back what a runner, which is no more, had locked; whether the database answered."""
        with contextlib.suppress(Unreachable), self._database() as controller:
            controller.unlock_jobs()
            controller.unlock_flows()
            controller.unlock_runner()
            return True
        return False

    def worker(self, name: str | None) -> str:
        """Its name, or that of the default worker.

        Raises:
            InvalidInput: there is no such worker.
        """
        return self._project.worker_called(name)

    def queue_resources(self, resources: StageResources) -> dict[str, Any]:
        """What a job asks the queue for."""
        return self._project.queue_resources(resources)

    def execution(self, settings: ExecutionSettings) -> ExecutionSettings:
        """How jobs are run there."""
        return self._project.cluster.execution(settings)

    def work_root(self, worker: str) -> str:
        """Where on a worker each job has its folder."""
        return str(self._project.work_root(worker))

    # The queue database.

    def check_database(self) -> None:
        """See that it answers.

        Raises:
            Unreachable: it does not.
        """
        with self._database() as controller:
            controller.queue_store.count({"uuid": ""})

    def add(self, flow: Flow) -> None:
        """Hand jobs to jobflow-remote."""
        with self._database() as controller:
            controller.add_flow(flow, worker=self.worker(None), allow_external_references=True)

    def documents(self, uuids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What jobflow-remote knows of jobs of the queue, by uuid."""
        with self._database() as controller:
            found = controller.get_jobs({"uuid": {"$in": list(uuids)}}, list(_FIELDS))
            return {document["uuid"]: document for document in found}

    def stop(self, uuid: str) -> None:
        """Take a job out of the queue; one that has ended is left as it is."""
        with self._database() as controller, contextlib.suppress(ValueError):
            controller.stop_job(job_id=uuid)

    def retry(self, uuid: str) -> None:
        """Let jobflow-remote try the step again that it gave up."""
        with self._database() as controller, contextlib.suppress(ValueError):
            controller.retry_job(job_id=uuid)

    # The cluster.

    def is_here(self, worker: str) -> bool:
        """Whether a worker's files are seen from here."""
        return bool(self._project.project.workers[worker].is_local)

    @property
    def polling_s(self) -> float:
        """How often a scheduler is asked."""
        return self._project.cluster.polling_s

    def scheduler(self, worker: str) -> str:
        """Its name, as qtoolkit has it."""
        return str(self._project.project.workers[worker].scheduler_type)

    def read(self, worker: str, path: str) -> bytes | None:
        """A file on a worker; None where there is none."""
        content = io.BytesIO()
        with self._host(worker) as host:
            try:
                host.get(path, content)  # type: ignore[no-untyped-call]
            except FileNotFoundError:
                return None
        return content.getvalue()

    def read_here(self, path: str, start: int) -> bytes:
        """What a file that is seen from here holds from a place on; nothing where there is none."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""

    def execute_on(self, worker: str) -> Callable[[str], tuple[str, str, int]]:
        """Run a command on a worker: its output, its errors, its exit code."""

        def execute(command: str) -> tuple[str, str, int]:
            with self._host(worker) as host:
                stdout, stderr, exit_code = host.execute(command, workdir="/")
            return stdout, stderr, exit_code

        return execute

    def is_full(self, worker: str) -> bool:
        """Whether nothing can be written on a worker's scratch, as a look at it shows."""
        file = f"{self._project.scratch(worker)}/.room"
        script = f"head -c {_ROOM_BYTES} /dev/zero > {file}; rm -f {file}"
        _, stderr, _ = self.execute_on(worker)(f"bash -c {shlex.quote(script)}")
        return diagnose("", stderr, "").code == DISK_FULL

    def take_out(self, worker: str, queue_id: str) -> None:
        """Take a job out of the scheduler's queue that jobflow-remote knows nothing of."""
        from jobflow_remote.remote.queue import QueueManager

        with self._host(worker) as host:
            scheduler = self._project.project.workers[worker].get_scheduler_io()
            QueueManager(scheduler, host).cancel(queue_id)

    def look_for_lost_hosts(self) -> None:
        """Now and then, see whether those that did not answer do again."""
        for worker in list(self._lost_until_s):
            with contextlib.suppress(Unreachable):
                self.execute_on(worker)("true")

    # The campaign's store.

    def keep(self, answer: Answer) -> None:
        """Put what a job answered where a local run would have put it."""
        arrays: Store = self._store.additional_stores["data"]  # type: ignore[has-type]
        arrays.update(answer.blobs)
        self._store.docs_store.update(answer.documents, key=["uuid", "index"])

    def forget(self, uuid: str) -> None:
        """Remove the empty answer of a job of the queue."""
        self._store.docs_store.remove_docs({"uuid": uuid})

    def _controller(self) -> JobController:
        if self._opened is None:
            self._opened = open_queue(self._project)
        return self._opened

    @contextlib.contextmanager
    def _database(self) -> Iterator[JobController]:
        if time.monotonic() < self._database_lost_until_s:
            raise Unreachable
        try:
            with self._project.database_errors():
                yield self._controller()
        except LockedDocumentError as error:  # the runner is at it: asked again in a moment
            raise Unreachable from error
        except Unavailable as error:
            self._database_lost_until_s = time.monotonic() + _DATABASE_REST_S
            self._notes.write("database", f"{error}; jobs in the queue go on, nothing is lost")
            raise Unreachable from error
        self._notes.write("database", None)

    @contextlib.contextmanager
    def _host(self, worker: str) -> Iterator[BaseHost]:
        """A connection, which is made anew after it broke, but not at once again and again."""
        if time.monotonic() < self._lost_until_s.get(worker, 0.0):
            raise Unreachable
        try:
            if worker not in self._hosts:
                self._hosts[worker] = self._project.host(worker)
            host = self._hosts[worker]
            if not host.is_connected:
                host.connect()  # type: ignore[no-untyped-call]
            yield host
        except Exception as error:  # paramiko, invoke, fabric and socket each have their own
            self._hosts.pop(worker, None)
            self._lost_until_s[worker] = time.monotonic() + _REST_S
            said = " ".join(str(error).split())[:200]
            self._notes.write(
                "host",
                f"{worker}: the cluster does not answer ({type(error).__name__}: {said}); it is "
                "tried again until it does, and jobs in the queue go on",
            )
            raise Unreachable from error
        if self._lost_until_s.pop(worker, None) is not None and not self._lost_until_s:
            self._notes.write("host", None)


def named_cluster(config: CampaignConfig) -> ClusterSettings:
    """The cluster that a campaign names.

    Raises:
        InvalidInput: it names none, or one that there is not.
    """
    if config.execution.cluster is None:
        raise InvalidInput(
            f"{config.name}: no cluster is named; write `execution: {{cluster: NAME}}`, with the "
            "name of one that `halideflow cluster init` was given (`halideflow cluster list`)"
        )
    return cluster_called(config.execution.cluster)
