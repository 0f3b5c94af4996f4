"""A cluster in the words of jobflow-remote, with what one would stumble over settled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.cluster.resources import worker_options

if TYPE_CHECKING:
    from workflows.cluster.settings import ClusterSettings, Gateway, Worker

METADATA = "halideflow"
"""Where a project file keeps the settings that it was made of."""
STARTED_AT = "HALIDEFLOW_STARTED_AT"
"""Variable of job scripts that says when they began, in seconds since the epoch."""
_RUNNER = {
    "max_step_attempts": 48,
    "delta_retry": [10, 60, 300, 900, 1800],  # s; most of a day without the cluster
    "delete_tmp_folder": True,
}
_QUICK_S = 5.0  # what does not ask the scheduler
_TIMEOUT_S = 120
_CONNECT_TIMEOUT_S = 30
_FILES_APPEAR_AFTER_S = 5  # on shared file systems
_THREADS = {
    "slurm": "${SLURM_CPUS_PER_TASK:-1}",
    "pbs": "${OMP_NUM_THREADS:-1}",  # PBS sets it from ompthreads
    "sge": "1",
    "shell": "1",
}


def project_of(cluster: ClusterSettings) -> dict[str, Any]:
    """The project of jobflow-remote, as its file says it."""
    quick_s = min(_QUICK_S, cluster.polling_s)
    return {
        "name": cluster.name,
        "runner": {
            "delay_checkout": quick_s,
            "delay_advance_status": quick_s,
            "delay_check_run_status": cluster.polling_s,
            "delay_refresh_limited": cluster.polling_s,
            **_RUNNER,
        },
        "workers": {name: _worker(cluster, worker) for name, worker in cluster.workers.items()},
        "queue": _queue(cluster),
        "exec_config": {},
        "jobstore": _outputs(cluster),
        "metadata": {METADATA: cluster.short()},
    }


def _worker(cluster: ClusterSettings, worker: Worker) -> dict[str, Any]:
    project: dict[str, Any] = {"type": "local", "scheduler_type": cluster.scheduler}
    if cluster.host is not None:
        project["type"] = "remote"
        project |= _address(cluster.host)
        if cluster.host.gateway is not None:
            project["gateway"] = _address(cluster.host.gateway)
        project["connect_timeout"] = _CONNECT_TIMEOUT_S
    project |= {
        "work_dir": cluster.scratch,
        "pre_run": _before_jobs(cluster),
        "execution_cmd": f"{cluster.python} -m workflows.cluster.allocation {{}}",
        "timeout_execute": _TIMEOUT_S,
        # Marking the output of commands would lose their exit codes: a scheduler that does not
        # answer would look like one whose jobs have all ended.
        "sanitize_command": False,
    }
    if options := worker_options(cluster, worker):
        project["resources"] = options
    if worker.max_jobs is not None:
        project["max_jobs"] = worker.max_jobs
    if cluster.scheduler != "shell":
        project["delay_download"] = _FILES_APPEAR_AFTER_S
    if cluster.scheduler == "sge":  # whose qstat knows no list of jobs
        project["scheduler_username"] = _user(cluster)
    return project


def _address(machine: Gateway) -> dict[str, Any]:
    key_file = str(Path(machine.key_file).expanduser()) if machine.key_file else None
    address = {
        "host": machine.address,
        "user": machine.user,
        "port": machine.port,
        "key_filename": key_file,
    }
    return {key: value for key, value in address.items() if value is not None}


def _user(cluster: ClusterSettings) -> str:
    import getpass

    return (cluster.host and cluster.host.user) or getpass.getuser()


def _before_jobs(cluster: ClusterSettings) -> str:
    """Lines that come before the command of every job."""
    lines = [
        f"export {STARTED_AT}=$(date +%s)",
        *cluster.before,
        *(f"module load {module}" for module in cluster.modules),
        f"export PATH={cluster.environment}/bin:$PATH",
        f"export OMP_NUM_THREADS={_THREADS[cluster.scheduler]}",
    ]
    if cluster.scheduler == "slurm":  # srun no longer takes it from the allocation
        lines.append("export SRUN_CPUS_PER_TASK=$OMP_NUM_THREADS")
    if cluster.potcars is not None:
        lines.append(f"export PMG_VASP_PSP_DIR={cluster.potcars}")
    return "\n".join(lines) + "\n"


def _queue(cluster: ClusterSettings) -> dict[str, Any]:
    return {"store": _store(cluster, "jobs"), **collections_of(cluster.name)}


def collections_of(project: str) -> dict[str, str]:
    """Names of a project's collections in the queue database, beside that of its jobs."""
    names = {"flows": "flows", "auxiliary": "auxiliary", "batches": "batches"}
    return {f"{key}_collection": f"{project}_{name}" for key, name in names.items()}


def _outputs(cluster: ClusterSettings) -> dict[str, Any]:
    """Of jobs that somebody sends through this project by hand; campaigns have their own."""
    return {
        "@module": "jobflow.core.store",
        "@class": "JobStore",
        "docs_store": _store(cluster, "outputs"),
        "additional_stores": {"data": _store(cluster, "outputs_data", key="blob_uuid")},
    }


def _store(cluster: ClusterSettings, collection: str, key: str = "uuid") -> dict[str, Any]:
    from workflows.cluster.stores import EnvironmentMongoStore

    where = cluster.queue_database
    store = EnvironmentMongoStore(
        where.database,
        f"{cluster.name}_{collection}",
        host=where.host,
        port=where.port,
        username=where.username or "",
        auth_source=where.auth_source,
        key=key,
    )
    serialised: dict[str, Any] = store.as_dict()
    serialised.pop("@version")
    return serialised
