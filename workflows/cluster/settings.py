"""The cluster's file: where jobs go and what every job there needs, short enough to write by hand.

Nothing is expanded: jobflow-remote takes folders as they are. A password is never in it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from screening.ordering_settings import Settings
from workflows.cluster.resources import check_worker
from workflows.execution_settings import ExecutionSettings

Scheduler = Literal["slurm", "pbs", "sge", "shell"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
LONGEST_NAME = 40
_WORKER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_BREAKS_SCRIPTS = frozenset(" \t\n'\"\\;&|<>()*?[]{}!`#%")


def _folder(text: str) -> str:
    """A folder that jobflow-remote can use as it is, in job scripts that quote nothing."""
    if "$" in text or text.startswith("~"):
        raise ValueError(
            f'found "{text}"; needed: the folder itself, as `echo {text}` prints it on the '
            "cluster: jobflow-remote expands nothing"
        )
    if not text.startswith("/"):
        raise ValueError(f'found "{text}"; needed: an absolute folder')
    if bad := sorted(_BREAKS_SCRIPTS & set(text)):
        raise ValueError(
            f'found "{text}"; needed: a folder without {" ".join(map(repr, bad))}, which job '
            "scripts would trip over"
        )
    return text.rstrip("/") or "/"


AbsoluteFolder = Annotated[str, AfterValidator(_folder)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Gateway(Settings):
    """A machine that is reached over ssh."""

    address: str = Field(min_length=1, description="or its name in ~/.ssh/config")
    user: str | None = Field(default=None, min_length=1, description="default: as in ~/.ssh/config")
    port: Port | None = Field(default=None, description="default: as in ~/.ssh/config, or 22")
    key_file: str | None = Field(
        default=None,
        min_length=1,
        description="private key, on this machine; default: those of ~/.ssh and of the ssh agent",
    )


class Host(Gateway):
    """The login node of a cluster."""

    gateway: Gateway | None = Field(
        default=None, description="a machine that is passed on the way to it"
    )


class QueueDatabase(Settings):
    """MongoDB where jobflow-remote keeps what waits and runs; only this machine talks to it."""

    host: str = Field(default="localhost", min_length=1, description="of the server")
    port: Port = Field(default=27017, description="of the server")
    database: str = Field(
        default="halideflow",
        pattern=r"^[A-Za-z0-9_-]{1,60}$",
        description="every campaign has collections of its own in it",
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        description="its password comes from HALIDEFLOW_MONGO_PASSWORD, never from a file",
    )
    auth_source: str | None = Field(
        default=None,
        min_length=1,
        description="database that knows the user, often admin; default: the same",
    )


class Worker(Settings):
    """A queue of the cluster, as jobs are sent to it."""

    queue: str | None = Field(
        default=None,
        min_length=1,
        description="partition of Slurm, queue of PBS or SGE; default: the scheduler's own",
    )
    account: str | None = Field(
        default=None, min_length=1, description="that is charged; project of SGE"
    )
    qos: str | None = Field(default=None, min_length=1, description="slurm only")
    parallel_environment: str | None = Field(
        default=None,
        min_length=1,
        description="sge only, for jobs of several cores: one of `qconf -spl`",
    )
    max_jobs: int | None = Field(
        default=None, ge=1, description="in the queue at once; null: no limit"
    )
    options: dict[str, str | int] = Field(
        default_factory=dict,
        description="other lines of job scripts, by qtoolkit's names, such as {constraint: gpu}; "
        "qverbatim: any lines as they are",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_word_for_it(cls, values: Any) -> Any:
        if isinstance(values, dict) and "partition" in values:
            raise ValueError("partition: is called queue here, for every scheduler")
        return values


class ClusterSettings(Settings):
    """One cluster: what `halideflow cluster init` turns into a project of jobflow-remote."""

    name: str = Field(
        pattern=NAME_PATTERN,
        max_length=LONGEST_NAME,
        description="what campaigns call it: execution.cluster",
        examples=["my-cluster"],
    )
    scheduler: Scheduler = Field(
        description="shell: no queue, jobs start at once and compete for the cores"
    )
    host: Host | None = Field(
        default=None,
        description="where jobs are submitted, over ssh; null: this machine submits, as on a login "
        "node",
    )
    environment: AbsoluteFolder | None = Field(
        default=None,
        description="virtual environment on the cluster that halideflow is installed in, seen by "
        "its nodes; default without a host: the one that runs here",
    )
    scratch: AbsoluteFolder = Field(
        description="folder on the cluster, seen by its nodes, where jobs run: their checkpoints "
        "and VASP's files; not expanded, so no $SCRATCH or ~",
        examples=["/scratch/me/halideflow"],
    )
    before: tuple[str, ...] = Field(
        default=(), description="lines of shell at the start of every job"
    )
    modules: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="that every job loads after these lines, such as [vasp/6.4.3]"
    )
    vasp_command: str | None = Field(
        default=None,
        min_length=1,
        description="for campaigns that give no execution.vasp_command, such as srun vasp_std",
    )
    vasp_gamma_command: str | None = Field(
        default=None,
        min_length=1,
        description="for campaigns that give no execution.vasp_gamma_command",
    )
    potcars: AbsoluteFolder | None = Field(
        default=None,
        description="library of pseudopotentials on the cluster: PMG_VASP_PSP_DIR of its jobs",
    )
    workers: dict[str, Worker] = Field(
        description="queues by the names that campaigns call them by; the first is the default",
    )
    queue_database: QueueDatabase = QueueDatabase()
    polling_s: float = Field(
        default=10.0,
        ge=1,
        le=600,
        description="how often the scheduler is asked what became of the jobs",
    )

    @model_validator(mode="after")
    def _environment_is_known(self) -> Self:
        if self.environment is None:
            if self.host is not None:
                raise ValueError(
                    "environment is missing: where on the host is the virtual environment that "
                    "halideflow is installed in?"
                )
            self.__dict__["environment"] = sys.prefix  # frozen, and not yet in anybody's hands
        return self

    @model_validator(mode="after")
    def _workers_suit_the_scheduler(self) -> Self:
        if not self.workers:
            raise ValueError("workers: found none; needed: one or more, such as `cpu: {}`")
        for name, worker in self.workers.items():
            if not re.fullmatch(_WORKER_PATTERN, name):
                raise ValueError(f'workers: found "{name}"; allowed: letters, digits, "-" and "_"')
            if complaint := check_worker(self.scheduler, worker):
                raise ValueError(f"workers.{name}.{complaint}")
        return self

    @property
    def python(self) -> str:
        """The interpreter of jobs."""
        return f"{self.environment}/bin/python"

    @property
    def default_worker(self) -> str:
        """The worker of jobs that name none."""
        return next(iter(self.workers))

    def execution(self, settings: ExecutionSettings) -> ExecutionSettings:
        """How a campaign's jobs are run here: with this cluster's commands where it gives none."""
        if settings.vasp_command is not None:
            return settings
        return settings.model_copy(
            update={
                "vasp_command": self.vasp_command,
                "vasp_gamma_command": settings.vasp_gamma_command or self.vasp_gamma_command,
            }
        )

    def short(self) -> dict[str, Any]:
        """What of it is not the default, as plain values."""
        return self.model_dump(mode="json", exclude_defaults=True)


def load_cluster(path: Path) -> ClusterSettings:
    """Read and check the file of a cluster.

    Raises:
        ConfigError: with all problems of the file, each with its line.
    """
    from workflows.yaml_models import read_model

    return read_model(path, ClusterSettings)
