"""Files on a cluster, for people who look."""

from __future__ import annotations

import io

from screening.errors import InvalidInput


def fetch(cluster: str, worker: str, path: str) -> bytes | None:
    """A file as it is now; None where there is none, or where it cannot be had.

    Args:
        cluster: its name.
        worker: one of its workers.
        path: on that worker.
    """
    from jobflow_remote.config.base import Project

    from workflows.cluster.project import project_file, read_project
    from workflows.cluster.worker_shell import without_stdin

    content = io.BytesIO()
    try:
        project = Project.model_validate(read_project(project_file(cluster)))
        host = without_stdin(project.workers[worker].get_host())
        host.connect()  # type: ignore[no-untyped-call]
        try:
            host.get(path, content)  # type: ignore[no-untyped-call]
        finally:
            host.close()
    except (InvalidInput, KeyError, OSError, EOFError):
        return None
    except Exception as error:  # paramiko and invoke have their own
        if type(error).__module__.split(".")[0] in ("paramiko", "invoke", "fabric"):
            return None
        raise
    return content.getvalue()
