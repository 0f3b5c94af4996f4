"""What a job asks a queue for, in the words of each scheduler.

qtoolkit's own `QResources` say nothing of GPUs, accounts or quality of service where these are the
scheduler's weak side, and ask SGE for resources of PBS; so the keys of its templates are filled in
here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from screening.errors import InvalidInput

if TYPE_CHECKING:
    from workflows.cluster.settings import ClusterSettings, Worker
    from workflows.execution_settings import StageResources

Options = dict[str, Any]

_MB_PER_GB = 1024  # as schedulers count
_SGE_SHELL = "#$ -S /bin/bash"
_SET_BY_JOBS = {
    "slurm": {"nodes", "ntasks", "ntasks_per_node", "cpus_per_task", "mem", "mem_per_cpu", "time"},
    "pbs": {"select", "walltime", "place"},
    "sge": {"model", "walltime", "soft_walltime"},
}
_SET_BY_WORKERS = {
    "slurm": {"partition": "queue", "account": "account", "qos": "qos"},
    "pbs": {"queue": "queue", "account": "account"},
    "sge": {"queue": "queue", "device": "account", "group_list": "account"},
}
_SET_BY_JOBFLOW_REMOTE = {"job_name", "qout_path", "qerr_path", "array"}
_GPU_OPTIONS = {"gres", "gpus", "gpus_per_node"}


def resources_for_queue(
    resources: StageResources, worker: str, cluster: ClusterSettings
) -> Options:
    """What a job of such resources asks the queue of a worker for: keys of qtoolkit's template.

    Raises:
        InvalidInput: the scheduler cannot be asked for that.
    """
    settings = cluster.workers[worker]
    options = worker_options(cluster, settings)
    return asked_for(resources, cluster.scheduler, options, settings.parallel_environment)


def worker_options(cluster: ClusterSettings, worker: Worker) -> Options:
    """What every job of a worker asks for."""
    if cluster.scheduler == "shell":
        return {}
    own = {
        key: value
        for key, field in _SET_BY_WORKERS[cluster.scheduler].items()
        if key != "group_list" and (value := getattr(worker, field)) is not None
    }
    options = {**own, **worker.options}
    if cluster.scheduler == "sge":  # whose queues may start scripts with another shell
        lines = [_SGE_SHELL, str(options.get("qverbatim", ""))]
        options["qverbatim"] = "\n".join(filter(None, lines))
    return options


def asked_for(
    resources: StageResources,
    scheduler: str,
    options: Options,
    parallel_environment: str | None = None,
) -> Options:
    """The options of a worker with the size of a job.

    Raises:
        InvalidInput: the scheduler cannot be asked for that.
    """
    match scheduler:
        case "slurm":
            return {**options, **_slurm(resources, options)}
        case "pbs":
            return {**options, **_pbs(resources)}
        case "sge":
            return {**options, **_sge(resources, options, parallel_environment)}
        case "shell":
            return {}
    raise InvalidInput(
        f"scheduler {scheduler}: it is not known how to ask it for cores and time; needed: slurm, "
        "pbs, sge or shell"
    )


def memory_per_core_MB(resources: StageResources) -> int | None:
    """Rounded up; None where the queue decides."""
    if resources.memory_GB is None:
        return None
    return math.ceil(round(_MB_PER_GB * resources.memory_GB / resources.n_cores, 6))


def check_worker(scheduler: str, worker: Worker) -> str | None:
    """`key: what is wrong` where its scheduler knows nothing of it; None where all is well."""
    from qtoolkit.io import scheduler_mapping
    from qtoolkit.io.base import QTemplate

    if worker.qos is not None and scheduler != "slurm":
        return f"qos: is for slurm, not {scheduler}; leave it out, or write the line in options"
    if worker.parallel_environment is not None and scheduler != "sge":
        return f"parallel_environment: is for sge, not {scheduler}; leave it out"
    if scheduler == "shell":
        given = [key for key in ("queue", "account", "options") if getattr(worker, key)]
        return f"{given[0]}: is for queues; scheduler shell has none" if given else None
    known = set(QTemplate(scheduler_mapping[scheduler].header_template).get_identifiers())
    by_workers = _SET_BY_WORKERS[scheduler]
    for key in worker.options:
        if key in by_workers:
            return f"options.{key}: write it as {by_workers[key]}"
        if key in _SET_BY_JOBS[scheduler]:
            return f"options.{key}: comes from execution.resources of campaigns"
        if key in _SET_BY_JOBFLOW_REMOTE or key not in known:
            free = known - by_workers.keys() - _SET_BY_JOBS[scheduler] - _SET_BY_JOBFLOW_REMOTE
            return f"options.{key}: unknown; allowed: {', '.join(sorted(free))}"
    return None


def _slurm(resources: StageResources, options: Options) -> Options:
    asked: Options = {
        "nodes": resources.nodes,
        "ntasks": resources.tasks,
        "cpus_per_task": resources.cores_per_task,
        **_time(resources, "time"),
    }
    if (memory_MB := memory_per_core_MB(resources)) is not None:
        asked["mem_per_cpu"] = memory_MB
    if resources.gpus and not _GPU_OPTIONS & options.keys():
        asked["gres"] = f"gpu:{_per_node(resources.gpus, 'gpus', resources)}"
    return asked


def _pbs(resources: StageResources) -> Options:
    tasks = _per_node(resources.tasks, "tasks", resources)
    cores = tasks * resources.cores_per_task
    chunk = [
        f"{resources.nodes}",
        f"ncpus={cores}",
        f"mpiprocs={tasks}",
        f"ompthreads={resources.cores_per_task}",
    ]
    if (memory_MB := memory_per_core_MB(resources)) is not None:
        chunk.append(f"mem={cores * memory_MB}mb")
    if resources.gpus:
        chunk.append(f"ngpus={_per_node(resources.gpus, 'gpus', resources)}")
    asked = {"select": f"select={':'.join(chunk)}", **_time(resources, "walltime")}
    return {**asked, "place": "scatter"} if resources.nodes > 1 else asked


def _sge(resources: StageResources, options: Options, parallel_environment: str | None) -> Options:
    if resources.nodes > 1:
        raise InvalidInput(
            f"nodes: {resources.nodes}; SGE spreads tasks as its parallel environment says: leave "
            "nodes out and choose parallel_environment in the cluster's file"
        )
    if resources.gpus:
        raise InvalidInput(
            f"gpus: {resources.gpus}; SGE calls them otherwise on every cluster: leave gpus out "
            "and write the line in the cluster's file, such as options: {select: gpu=1}"
        )
    asked = _time(resources, "walltime")
    if resources.n_cores > 1:
        if parallel_environment is None:
            raise InvalidInput(
                f"{resources.n_cores} cores; SGE needs a parallel environment for more than one: "
                "set parallel_environment of the worker in the cluster's file"
            )
        asked["model"] = f"{parallel_environment} {resources.n_cores}"
    if (memory_MB := memory_per_core_MB(resources)) is not None:
        wanted = [str(options.get("select", "")), f"h_vmem={memory_MB}M"]
        asked["select"] = ",".join(filter(None, wanted))
    return asked


def _per_node(number: int, name: str, resources: StageResources) -> int:
    if number % resources.nodes:
        raise InvalidInput(
            f"{name}: {number} on nodes: {resources.nodes}; needed: as many on each node"
        )
    return number // resources.nodes


def _time(resources: StageResources, key: str) -> Options:
    if resources.wall_time_h is None:
        return {}
    minutes, seconds = divmod(math.ceil(round(3600 * resources.wall_time_h, 3)), 60)
    return {key: f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"}
