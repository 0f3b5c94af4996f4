"""A campaign's own project of jobflow-remote, derived from that of its cluster.

    <results>/cluster/NAME.yaml    the project; the folder is a projects folder of jobflow-remote
    <results>/cluster/NAME/        logs and downloads
    <scratch>/NAME/queue           on the cluster: job scripts, what the queue's jobs wrote
    <scratch>/NAME/jobs            on the cluster: folders of the campaign's jobs, with checkpoints

Every campaign has collections of its own in the queue database and puts results into its own store,
so that campaigns share a cluster without seeing each other, and one runner serves each.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pymongo.errors import PyMongoError

from screening.errors import InvalidInput, Unavailable
from workflows.cluster.project import as_yaml, read_project, write_atomically
from workflows.cluster.resources import asked_for
from workflows.cluster.stores import documents_in, unavailable
from workflows.cluster.translation import collections_of
from workflows.cluster.worker_shell import without_stdin
from workflows.yaml_models import nearest

if TYPE_CHECKING:
    from jobflow_remote import JobController
    from jobflow_remote.config.base import Project
    from jobflow_remote.remote.host import BaseHost

    from workflows.cluster.settings import ClusterSettings
    from workflows.config import StoreSettings
    from workflows.execution_settings import StageResources
    from workflows.results import ResultsFolder

_LONGEST_NAME = 40


@dataclass(frozen=True)
class CampaignProject:
    """A project, its file, and what is asked of it.

    Args:
        file: in a folder that is a projects folder of jobflow-remote.
        cluster: that it is derived from.
        project: as jobflow-remote reads it.
    """

    file: Path
    cluster: ClusterSettings
    project: Project

    @property
    def name(self) -> str:
        """Of the project, here and on the cluster."""
        return str(self.project.name)

    @property
    def environment(self) -> dict[str, str]:
        """What processes need in theirs to find this project first."""
        return {"JFREMOTE_PROJECTS_FOLDER": str(self.file.parent), "JFREMOTE_PROJECT": self.name}

    def worker_called(self, name: str | None) -> str:
        """A worker's name, or that of the default.

        Raises:
            InvalidInput: there is no such worker.
        """
        known = list(self.project.workers)
        if name is None:
            return known[0]
        if name not in known:
            raise InvalidInput(
                f'worker "{name}": cluster {self.cluster.name} has no such worker;'
                f"{nearest(name, known)} allowed: {', '.join(known)}"
            )
        return name

    def queue_resources(self, resources: StageResources) -> dict[str, Any]:
        """What a job asks the queue for, with what was changed in the project file by hand.

        Raises:
            InvalidInput: there is no such worker, or its scheduler cannot be asked for that.
        """
        name = self.worker_called(resources.worker)
        worker = self.project.workers[name]
        settings = self.cluster.workers.get(name)
        return asked_for(
            resources,
            str(worker.scheduler_type),
            worker.resources or {},
            settings.parallel_environment if settings else None,
        )

    def scratch(self, worker: str) -> PurePosixPath:
        """The campaign's folder on a worker."""
        return PurePosixPath(self.project.workers[worker].work_dir).parent

    def work_root(self, worker: str) -> PurePosixPath:
        """Where on a worker each of the campaign's jobs has its folder, whatever its allocation."""
        return self.scratch(worker) / "jobs"

    def host(self, worker: str) -> BaseHost:
        """Where commands of a worker are run; not connected."""
        return without_stdin(self.project.workers[worker].get_host())

    @property
    def server(self) -> str:
        """Where the queue database is."""
        store = self.project.queue.store
        if "uri" in store:  # which may hold a password
            return "the uri of queue.store"
        return f"{store.get('host', 'localhost')}:{store.get('port', 27017)}"

    @contextlib.contextmanager
    def database_errors(self) -> Iterator[None]:
        """The boundary around whatever talks to the queue database.

        Raises:
            Unavailable: it does not answer, or refuses the user.
        """
        try:
            yield
        except PyMongoError as error:
            mend = f"queue_database of cluster {self.cluster.name}"
            raise unavailable(error, self.server, mend) from error

    @contextlib.contextmanager
    def selected(self) -> Iterator[None]:
        """jobflow-remote, in this process, looks for projects where this one is.

        It read where to look from the environment when it was imported; `Runner` and `submit_flow`
        take no folder.
        """
        import jobflow_remote

        before = jobflow_remote.SETTINGS.projects_folder
        jobflow_remote.SETTINGS.projects_folder = str(self.file.parent)
        try:
            yield
        finally:
            jobflow_remote.SETTINGS.projects_folder = before


def campaign_project(
    cluster: ClusterSettings,
    project_file: Path,
    campaign: str,
    results: ResultsFolder,
    store: StoreSettings,
    name: str | None = None,
) -> CampaignProject:
    """Write a campaign's project, anew each time: what is changed in the cluster's, holds.

    Args:
        cluster: its settings.
        project_file: its project.
        campaign: the name.
        results: folder of the campaign.
        store: that the campaign's results go into.
        name: of the project, where it has one already; the folders of jobs are called by it.

    Raises:
        InvalidInput: the cluster's project is no project of jobflow-remote any more.
    """
    from jobflow_remote.config.base import Project

    path = results.path.resolve()
    name = name or _name(cluster.name, campaign, path)
    folder = path / "cluster"
    derived = _derived(read_project(project_file), name, folder, path, store, project_file)
    try:
        project = Project.model_validate(derived)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg'].splitlines()[0]}"
            for detail in error.errors(include_url=False)
        ]
        raise InvalidInput(
            f"{project_file}: jobflow-remote cannot use it: {'; '.join(problems)}; mend it, or "
            "write it anew by `halideflow cluster init FILE --force`"
        ) from error
    file = folder / f"{name}.yaml"
    write_atomically(file, as_yaml(derived))
    return CampaignProject(file, cluster, project)


def open_queue(campaign: CampaignProject) -> JobController:
    """jobflow-remote's view of a campaign's jobs; its database is made ready at the first time.

    Raises:
        Unavailable: the database does not answer.
    """
    from jobflow_remote import JobController

    with campaign.database_errors():
        controller = JobController.from_project(campaign.project)
        try:
            _make_ready(controller, campaign.server)
        except BaseException:
            controller.close()
            raise
    return controller


def _make_ready(controller: JobController, server: str) -> None:
    """What `JobController.reset` makes, without what it deletes.

    The counter of jobs comes last: where it is, all the rest is there.
    """
    from jobflow import JobStore
    from jobflow_remote import JobController
    from maggma.stores import MemoryStore

    if controller.auxiliary.find_one({"next_id": {"$exists": True}}):
        return
    if controller.jobs.find_one({}):
        raise Unavailable(
            f"MongoDB at {server}: {controller.jobs_collection} holds jobs, but "
            f"{controller.auxiliary_collection} does not count them; restore the database, or "
            "remove these collections"
        )
    without_results = JobController(  # whose indexes are none of jobflow-remote's business
        controller.queue_store,
        JobStore(MemoryStore()),
        controller.flows_collection,
        controller.auxiliary_collection,
        controller.batches_collection,
    )
    without_results.build_indexes()
    controller.update_version_information()
    for key, start in (("running_runner", None), ("runner_pings", []), ("next_id", 1)):
        controller.auxiliary.update_one(
            {key: {"$exists": True}}, {"$setOnInsert": {key: start}}, upsert=True
        )


def _name(cluster: str, campaign: str, results: Path) -> str:
    """Unique on the cluster and in the queue database, which others may use, too."""
    mark = hashlib.sha256(f"{getpass.getuser()}:{results}".encode()).hexdigest()[:8]
    return f"{cluster}_{campaign[:_LONGEST_NAME]}_{mark}"


def _derived(
    project: dict[str, Any],
    name: str,
    folder: Path,
    results: Path,
    store: StoreSettings,
    project_file: Path,
) -> dict[str, Any]:
    try:
        workers = {
            worker: {**settings, "work_dir": f"{settings['work_dir']}/{name}/queue"}
            for worker, settings in project["workers"].items()
        }
        queue_store = project["queue"]["store"]
        queue = {**project["queue"], "store": {**queue_store, "collection_name": f"{name}_jobs"}}
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{project_file}: lacks workers with a work_dir, or queue.store; mend it, or write it "
            "anew by `halideflow cluster init FILE --force`"
        ) from error
    folders = {
        "base_dir": folder / name,
        "tmp_dir": folder / name / "tmp",
        "log_dir": folder / name / "log",
        "daemon_dir": folder / name / "daemon",
    }
    return {
        **project,
        "name": name,
        **{key: str(path) for key, path in folders.items()},
        "workers": workers,
        "queue": {**queue, **collections_of(name)},
        "jobstore": _jobstore(results, store),
    }


def _jobstore(results: Path, settings: StoreSettings) -> dict[str, Any]:
    """The campaign's store, as `ResultsFolder.job_store` opens it."""
    from jobflow import JobStore

    from workflows.results import ResultsFolder
    from workflows.store.arrays import ArrayFileStore
    from workflows.store.sqlite import SqliteStore

    folder = ResultsFolder(results)
    documents = (
        SqliteStore(folder.database) if settings.backend == "sqlite" else documents_in(settings)
    )
    arrays = ArrayFileStore(folder.database, folder.path / "arrays")
    serialised: dict[str, Any] = JobStore(documents, additional_stores={"data": arrays}).as_dict()
    return serialised
