"""Run a campaign on this machine, from its config to its ranking."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from screening.errors import InvalidInput, NotFinished
from screening.stability.references import ReferencePhases
from workflows.campaign import build_campaign
from workflows.config import StoreSettings
from workflows.cost.cores import cores_here, jobs_take
from workflows.engines import batching
from workflows.execution.batching import Batching
from workflows.execution.events import JobEvent, Summary
from workflows.execution.jobs import JobTable
from workflows.execution.local import LocalExecutor
from workflows.results import ResultsFolder
from workflows.vasp.execution import processes_execute

if TYPE_CHECKING:
    from jobflow import Flow, JobStore
    from pymatgen.core.structure import Structure

    from workflows.config import CampaignConfig, EngineSettings
    from workflows.execution.queueing import Queue

    OpenQueue = Callable[[JobTable, JobStore], contextlib.AbstractContextManager[Queue]]

# What every worker needs; importing it takes longer than a small relaxation.
_PRELOAD = ("workflows.campaign", "screening.potential.evaluation", "atomate2.forcefields.jobs")
_PRELOAD_LIGHT = ("workflows.campaign",)
_PRELOAD_VASP = ("workflows.campaign", "workflows.vasp.relaxation", "workflows.vasp.dynamics")
_NAMED_VERSIONS = ("halideflow", "chgnet", "torch", "ase", "atomate2", "jobflow", "pymatgen")


def run_campaign(
    config: CampaignConfig,
    config_file: Path,
    structures: Mapping[str, Structure],
    folder: ResultsFolder,
    n_workers: int,
    retry_failed: bool = False,
    on_event: Callable[[JobEvent], None] = lambda event: None,
    open_queue: OpenQueue | None = None,
) -> Summary:
    """Run what is left of a campaign.

    Args:
        config: the campaign.
        config_file: where it was read from; copied into the results.
        structures: the user's own structures, by their path in the config.
        folder: results; made if it is not there.
        n_workers: worker processes.
        retry_failed: try what failed before once more.
        on_event: told of every change of a job.
        open_queue: of a cluster, where jobs of its stages are run instead of here.

    Raises:
        NotFinished: another process is running this campaign, or jobs of it are in a queue and
            none is given.
        InvalidInput: its earlier results are in another store.
    """
    with folder.locked():
        store = folder.job_store(config.store)
        flow = build_campaign(config, structures)
        table = JobTable(folder.database)
        _check_store(table, store, config, flow)
        if open_queue is None:
            _require_nothing_in_a_queue(table)
        versions = {name: version(name) for name in _NAMED_VERSIONS}
        versions["references"] = ReferencePhases.load(config.stability.references).sha256
        run = table.begin_run(config.name, config.model_dump_json(), versions, time.time())
        if config_file.resolve() != folder.config_copy.resolve():
            shutil.copyfile(config_file, folder.config_copy)
        with contextlib.ExitStack() as stack:
            stack.enter_context(processes_execute(config.execution))
            stack.enter_context(jobs_take(_cores_of_a_job(config, n_workers)))
            queue = stack.enter_context(open_queue(table, store)) if open_queue else None
            executor = stack.enter_context(
                LocalExecutor(
                    table,
                    store,
                    folder.work,
                    n_workers,
                    preload(config.engine) if queue is None else _PRELOAD_LIGHT,
                    on_event,
                    partial(batching, config.engine) if queue is None else Batching,
                    queue=queue,
                )
            )
            summary = executor.run(flow, run, retry_failed)
        if not summary.interrupted:
            table.end_run(run, time.time())
        return summary


def preload(engine: EngineSettings) -> tuple[str, ...]:
    """Modules that worker processes of an engine import before their first job."""
    return _PRELOAD_VASP if engine.runs_vasp else _PRELOAD


def _require_nothing_in_a_queue(table: JobTable) -> None:
    """Jobs in the queue of a cluster must not be run here as well.

    Raises:
        NotFinished: there are some.
    """
    ((number,),) = table.select("select count(*) from queue_jobs where state != 'ended'")
    if number:
        raise NotFinished(
            f"{table.path}: {number} jobs of this campaign are in the queue of a cluster; "
            "`halideflow submit CAMPAIGN` goes on with them, `halideflow cancel CAMPAIGN` and then "
            "submit takes them out"
        )


def _cores_of_a_job(config: CampaignConfig, n_workers: int) -> int:
    """VASP takes all cores, its jobs side by side their share; all others compute in one thread."""
    return max(cores_here() // n_workers, 1) if config.engine.name == "vasp" else 1


def _check_store(table: JobTable, store: JobStore, config: CampaignConfig, flow: Flow) -> None:
    """The job table and the documents belong together.

    Raises:
        InvalidInput: the documents of earlier runs are elsewhere, or gone.
    """
    for (earlier,) in table.select("select config from runs order by run desc limit 1"):
        before = StoreSettings(**orjson.loads(earlier)["store"])
        if before != config.store:
            raise InvalidInput(
                f"{table.path}: earlier results of this campaign are in another store "
                f"({before.model_dump()}); keep it, or set results_dir to a new folder"
            )
    for uuid in flow.job_uuids:
        known = list(table.select("select 1 from jobs where uuid = ? and state = 'done'", (uuid,)))
        if known and not store.count({"uuid": uuid}):
            raise InvalidInput(
                f"{table.path}: the documents of jobs that are done are not in the store any more; "
                "restore them, or set results_dir to a new folder"
            )
