"""What a queue gives at most, as its scheduler tells, and what of a request is beyond that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from screening.errors import InvalidInput

if TYPE_CHECKING:
    from workflows.cluster.worker_shell import WorkerShell
    from workflows.execution_settings import StageResources

_MB_PER_GB = 1024
_UNITS = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2}  # MB
_NO_LIMIT = frozenset({"", "UNLIMITED", "INFINITE", "INFINITY", "NONE"})


@dataclass(frozen=True)
class Limits:
    """Of one queue; None where the scheduler tells nothing."""

    queue: str | None
    wall_time_h: float | None = None
    default_time_h: float | None = None
    nodes: int | None = None
    cores: int | None = None
    cores_per_node: int | None = None
    memory_per_node_GB: float | None = None
    has_gpus: bool | None = None
    is_open: bool = True

    def __str__(self) -> str:
        parts = (
            _told("at most {:g} h", self.wall_time_h),
            _told("nodes: {}", self.nodes),
            _told("cores: {}", self.cores),
            _told("cores a node: {}", self.cores_per_node),
            _told("GB a node: {:.3g}", self.memory_per_node_GB),
            {True: "with GPUs", False: "no GPUs", None: ""}[self.has_gpus],
        )
        return ", ".join(filter(None, parts)) or "no limits told"

    @property
    def is_endless(self) -> bool:
        """Whether jobs that ask for no time run as long as they like."""
        return self.wall_time_h is None and self.default_time_h is None

    def complaints(self, resources: StageResources) -> Iterator[str]:
        """What of a request this queue never gives."""
        beyond = (
            ("wall_time_h", resources.wall_time_h, self.wall_time_h),
            ("nodes", resources.nodes, self.nodes),
            ("cores", resources.n_cores, self.cores),
            ("cores a node", -(-resources.n_cores // resources.nodes), self.cores_per_node),
            (
                "GB a node",
                resources.memory_GB and resources.memory_GB / resources.nodes,
                self.memory_per_node_GB,
            ),
        )
        for name, asked, limit in beyond:
            if asked is not None and limit is not None and asked > limit:
                yield f"{name}: {asked:g}, the queue gives {limit:g}"
        if resources.gpus and self.has_gpus is False:
            yield f"gpus: {resources.gpus}, the queue has none"


def queue_limits(shell: WorkerShell, scheduler: str, queue: str | None) -> Limits:
    """Ask the scheduler for a queue; its default one where none is given.

    Raises:
        InvalidInput: there is no such queue, or the scheduler does not answer.
    """
    if scheduler == "slurm":
        return _slurm(shell, queue)
    if queue is None or scheduler not in {"pbs", "sge"}:
        return Limits(queue)
    if scheduler == "pbs":
        return _pbs(shell, queue)
    return _sge(shell, queue)


def _slurm(shell: WorkerShell, queue: str | None) -> Limits:
    answer = shell.run("scontrol --all --oneliner show partition")
    if answer.code:
        raise InvalidInput(f"scontrol: {answer.complaint}")
    known = {}
    for line in answer.stdout.splitlines():
        fields = dict(re.findall(r"(\S+?)=(\S*)", line))
        if "PartitionName" in fields:
            known[fields["PartitionName"]] = fields
    default = [name for name, fields in known.items() if fields.get("Default") == "YES"]
    names = queue.split(",") if queue else default
    if not names:
        raise InvalidInput(
            f"Slurm has no default partition; set queue of the worker to one of {', '.join(known)}"
        )
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput(
            f'partition "{unknown[0]}": Slurm has no such partition; allowed: {", ".join(known)}'
        )
    if len(names) > 1:  # whichever is free first
        return Limits(queue)
    fields = known[names[0]]
    nodes = (_whole(fields.get("TotalNodes")), _whole(fields.get("MaxNodes")))
    limits = Limits(
        names[0],
        _slurm_hours(fields.get("MaxTime", "")),
        _slurm_hours(fields.get("DefaultTime", "")),
        min((n for n in nodes if n is not None), default=None),
        _whole(fields.get("TotalCPUs")),
        is_open=fields.get("State", "UP") == "UP",
    )
    return _with_nodes(limits, shell)


def _with_nodes(limits: Limits, shell: WorkerShell) -> Limits:
    """The largest of each; one with a plus stands for several kinds of nodes."""
    answer = shell.run(f"sinfo --noheader --partition={limits.queue} --format='%c|%m|%G'")
    rows = [line.split("|") for line in answer.stdout.splitlines() if line.count("|") == 2]
    if answer.code or not rows:
        return limits
    cores, memory_MB = (
        max((_whole(row[column]) or 0 for row in rows), default=0)
        if all(row[column].isdigit() for row in rows)
        else None
        for column in (0, 1)
    )
    return replace(
        limits,
        cores_per_node=cores,
        memory_per_node_GB=memory_MB and memory_MB / _MB_PER_GB,
        has_gpus=any("gpu" in row[2] for row in rows),
    )


def _pbs(shell: WorkerShell, queue: str) -> Limits:
    answer = shell.run(f"qstat -Q -f {queue}")
    if answer.code:
        raise InvalidInput(f'queue "{queue}": {answer.complaint}; `qstat -Q` lists the queues')
    fields = dict(re.findall(r"^\s*(\S+) = (.*)$", answer.stdout, re.MULTILINE))
    memory_MB = _megabytes(fields.get("resources_max.mem", ""))
    return Limits(
        queue,
        _clock_hours(fields.get("resources_max.walltime", "")),
        _clock_hours(fields.get("resources_default.walltime", "")),
        _whole(fields.get("resources_max.nodect")),
        _whole(fields.get("resources_max.ncpus")),
        memory_per_node_GB=memory_MB and memory_MB / _MB_PER_GB,
        is_open=fields.get("enabled", "True") == "True" == fields.get("started", "True"),
    )


def _sge(shell: WorkerShell, queue: str) -> Limits:
    answer = shell.run(f"qconf -sq {queue}")
    if answer.code or "qname" not in answer.stdout:
        raise InvalidInput(f'queue "{queue}": {answer.complaint}; `qconf -sql` lists the queues')
    fields = dict(re.findall(r"^(\S+)\s+(.*)$", answer.stdout, re.MULTILINE))
    return Limits(queue, _clock_hours(fields.get("h_rt", "")))


def _slurm_hours(text: str) -> float | None:
    """`D-HH:MM:SS`, `HH:MM:SS` or a word for no limit."""
    if text.upper() in _NO_LIMIT:
        return None
    days, _, clock = text.rpartition("-")
    hours = _clock_hours(clock)
    return None if hours is None else hours + 24 * int(days or 0)


def _clock_hours(text: str) -> float | None:
    parts = text.strip().split(":")
    if text.upper() in _NO_LIMIT or not all(part.isdigit() for part in parts):
        return None
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return seconds / 3600


def _megabytes(text: str) -> float | None:
    found = re.fullmatch(r"(\d+)([kmgt])b?", text.strip().lower())
    return float(found[1]) * _UNITS[found[2]] if found else None


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _told(text: str, value: float | None) -> str:
    return "" if value is None else text.format(value)
