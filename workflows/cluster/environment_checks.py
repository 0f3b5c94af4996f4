"""What jobs find on a worker: the environment, room for files, VASP and its pseudopotentials."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from screening.errors import InvalidInput
from workflows.check import Check, guarded

if TYPE_CHECKING:
    from workflows.cluster.settings import ClusterSettings
    from workflows.cluster.worker_shell import WorkerShell
    from workflows.config import CampaignConfig

_KIB_PER_GIB = 2**20
_MIN_FREE_GIB, _COMFORTABLE_FREE_GIB = 1, 50
_PYTHON_TIMEOUT_S = 300  # torch from a slow file system
_PACKAGES = ("halideflow", "jobflow-remote", "jobflow", "atomate2", "pymatgen")
_PROBE = """
import json, platform, sys
from importlib.metadata import version
from workflows.config import EngineSettings
from workflows.engines import engine_convention, load_engine
from workflows.execution_settings import ExecutionSettings
import workflows.cluster.allocation

asked = json.loads(sys.argv[1])
settings = EngineSettings.model_validate(asked["engine"])
engine = load_engine(settings)
found = {
    "python": platform.python_version(),
    "versions": {name: version(name) for name in asked["packages"]},
    "engine": engine_convention(settings).model_dump(mode="json"),
}
if settings.runs_vasp:
    from workflows.vasp.makers import Program
    from workflows.vasp.potcars import library, missing_labels

    execution = ExecutionSettings.model_validate(asked["execution"])
    program = Program.of(is_rehearsal=settings.name == "rehearsal", execution=execution)
    found["commands"] = [program.command, program.gamma_command]
    found["library"] = str(library() or "")
    found["missing"] = missing_labels(asked["labels"])
else:
    engine.calculator()
print(json.dumps(found))
"""


def environment_checks(
    shell: WorkerShell,
    cluster: ClusterSettings,
    config: CampaignConfig,
    labels: Callable[[], list[str]],
) -> Iterator[Check]:
    """Whether the same halideflow, and what the engine needs, are there after modules are loaded.

    Args:
        shell: of the worker.
        cluster: that it belongs to.
        config: of the campaign.
        labels: of the pseudopotentials that it needs.
    """
    runs_vasp = config.engine.name == "vasp"
    found: dict[str, Any] = {}

    def start() -> Check:
        needed = labels() if runs_vasp else []
        try:
            found.update(_ask(shell, cluster, config, needed), labels=needed)
        except InvalidInput as error:
            told = f"{cluster.python}: {error}"
            return Check("environment", "fail", told, f"{_mend(cluster)}, or correct environment")
        return _environment(found, cluster, config)

    yield guarded("environment", start, "try it by hand on the cluster")
    if runs_vasp and found:
        yield guarded("vasp there", lambda: _vasp(found, shell, cluster), "try it by hand there")
        yield _potcars(found)


def _ask(
    shell: WorkerShell, cluster: ClusterSettings, config: CampaignConfig, labels: list[str]
) -> dict[str, Any]:
    asked = {
        "packages": _PACKAGES,
        "engine": config.engine.model_dump(mode="json"),
        "execution": cluster.execution(config.execution).model_dump(mode="json"),
        "labels": labels,
    }
    words = [cluster.python, "-c", _PROBE, json.dumps(asked)]
    answer = shell.run(shlex.join(words), as_job=True, timeout_s=_PYTHON_TIMEOUT_S)
    if answer.code:
        raise InvalidInput(answer.complaint)
    found: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    return found


def _mend(cluster: ClusterSettings) -> str:
    return f"install halideflow {version('halideflow')} into {cluster.environment}"


def _environment(there: dict[str, Any], cluster: ClusterSettings, config: CampaignConfig) -> Check:
    from workflows.engines import engine_convention

    other = [
        f"{name} {found}, here {_version_here(name)}"
        for name, found in there["versions"].items()
        if found != _version_here(name)
    ]
    is_same_engine = there["engine"] == engine_convention(config.engine).model_dump(mode="json")
    if not is_same_engine:
        other.append("its energies are of another convention")
    versions = there["versions"]["halideflow"]
    found = (
        f"{cluster.environment}: Python {there['python']}, halideflow {versions}, engine "
        f"{there['engine']['potential']}"
    )
    if other:
        is_same = versions == _version_here("halideflow") and is_same_engine
        advice = f"{_mend(cluster)}, with constraints.txt"
        told = f"{found}; {'; '.join(other)}"
        return Check("environment", "warn" if is_same else "fail", told, advice)
    return Check("environment", "ok", found)


def _version_here(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def scratch(shell: WorkerShell, folder: str) -> Check:
    """Of the nearest folder that is there: jobs make the rest."""
    answer = shell.run(
        f'd={folder}; while [ ! -d "$d" ]; do d=$(dirname "$d"); done; '
        'f=$(mktemp "$d/.halideflow-XXXXXX") && rm "$f" && df -Pk "$d" | tail -n 1'
    )
    advice = "free space there, or choose scratch in the cluster's file"
    if answer.code:
        return Check("scratch", "fail", f"{folder}: {answer.complaint}", advice)
    free_GiB = int(answer.stdout.split()[3]) / _KIB_PER_GIB
    found = f"{folder}: writable, {free_GiB:.1f} GiB free"
    if free_GiB < _COMFORTABLE_FREE_GIB:
        return Check("scratch", "fail" if free_GiB < _MIN_FREE_GIB else "warn", found, advice)
    return Check("scratch", "ok", found)


def _vasp(there: dict[str, Any], shell: WorkerShell, cluster: ClusterSettings) -> Check:
    commands = there["commands"]
    found = f"vasp_command: {commands[0]}; vasp_gamma_command: {commands[1]}"
    lacking, launchers = [], []
    for command in commands:
        first, *_, last = [*shlex.split(command), *shlex.split(command)]
        launchers.append(first)
        for word in dict.fromkeys((first, last)):
            # variables are the shell's business
            if shell.run(f'command -v "{word}"', as_job=True).code:
                lacking.append(word)
    if lacking:
        return Check(
            "vasp there",
            "fail" if set(lacking) & set(launchers) else "warn",
            f"{found}; not on {platform.node() if cluster.host is None else cluster.host.address} "
            f"after modules are loaded: {', '.join(dict.fromkeys(lacking))}",
            "correct modules or vasp_command of the cluster, or execution.vasp_command; nodes may "
            "have what login nodes lack",
        )
    return Check("vasp there", "ok", found)


def _potcars(there: dict[str, Any]) -> Check:
    missing = there["missing"]
    needed = f"needed: {', '.join(there['labels'])}"
    where = f"in {there['library']}" if there["library"] else "PMG_VASP_PSP_DIR is not set there"
    if missing:
        return Check(
            "potcars there",
            "fail",
            f"{needed}; missing: {', '.join(missing)} ({where})",
            "set potcars in the cluster's file to the library that `pmg config -p` makes there of "
            "VASP's PBE potentials, or choose labels in engine.vasp.potcar",
        )
    return Check("potcars there", "ok", f"{needed}; all {where}")
