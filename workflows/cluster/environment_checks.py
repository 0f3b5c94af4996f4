"""What jobs find on a worker: the environment, room for files, VASP and its pseudopotentials."""

from __future__ import annotations

import json
import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from screening.errors import InvalidInput
from workflows.check import Check, State

if TYPE_CHECKING:
    from workflows.cluster.settings import ClusterSettings
    from workflows.cluster.worker_shell import WorkerShell
    from workflows.config import CampaignConfig

_KIB_PER_GIB = 2**20
_MIN_FREE_GIB, _COMFORTABLE_FREE_GIB = 1, 50
_PYTHON_TIMEOUT_S = 300  # torch from a slow file system
_PACKAGES = ("halideflow", "jobflow-remote", "jobflow", "atomate2", "pymatgen")
_ENVIRONMENT = """
import json, platform, sys
from importlib.metadata import version
from workflows.config import EngineSettings
from workflows.engines import engine_convention, load_engine
import workflows.cluster.allocation
settings = EngineSettings.model_validate_json(sys.argv[2])
load_engine(settings)
if settings.runs_vasp:
    import workflows.vasp.makers
else:
    load_engine(settings).calculator()
print(json.dumps({
    "python": platform.python_version(),
    "versions": {name: version(name) for name in json.loads(sys.argv[1])},
    "engine": engine_convention(settings).model_dump(mode="json"),
}))
"""
_VASP = """
import json, sys
from workflows.execution_settings import ExecutionSettings
from workflows.vasp.makers import Program
program = Program.of(
    is_rehearsal=False, execution=ExecutionSettings.model_validate_json(sys.argv[1])
)
print(json.dumps([program.command, program.gamma_command]))
"""
_POTCARS = """
import json, sys
from workflows.vasp.potcars import library, missing_labels
print(json.dumps([str(library() or ""), missing_labels(json.loads(sys.argv[1]))]))
"""


def _python(shell: WorkerShell, cluster: ClusterSettings, script: str, *arguments: str) -> Any:
    """What a script prints in its last line, run as jobs are."""
    words = [cluster.python, "-c", script, *arguments]
    answer = shell.run(shlex.join(words), as_job=True, timeout_s=_PYTHON_TIMEOUT_S)
    if answer.code:
        raise InvalidInput(answer.complaint)
    return json.loads(answer.stdout.strip().splitlines()[-1])


def environment(shell: WorkerShell, cluster: ClusterSettings, config: CampaignConfig) -> Check:
    """Whether the same halideflow and the campaign's engine start there as jobs would."""
    from workflows.engines import engine_convention

    mend = f"install halideflow {version('halideflow')} into {cluster.environment}"
    try:
        there = _python(
            shell,
            cluster,
            _ENVIRONMENT,
            json.dumps(_PACKAGES),
            config.engine.model_dump_json(),
        )
    except InvalidInput as error:
        return Check("environment", "fail", f"{cluster.python}: {error}", f"{mend}, or correct it")
    other = {
        name: found for name, found in there["versions"].items() if found != _version_here(name)
    }
    told = ", ".join(f"{name} {found}, here {_version_here(name)}" for name, found in other.items())
    if there["engine"] != engine_convention(config.engine).model_dump(mode="json"):
        told += f"{told and '; '}engine {there['engine']['potential']} of another convention"
    found = (
        f"{cluster.environment}: Python {there['python']}, halideflow "
        f"{there['versions']['halideflow']}, engine {there['engine']['potential']}"
    )
    if told:
        is_fatal = "halideflow" in other or "engine" in told
        state: State = "fail" if is_fatal else "warn"
        return Check("environment", state, f"{found}; {told}", f"{mend}, with constraints.txt")
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


def vasp(shell: WorkerShell, cluster: ClusterSettings, config: CampaignConfig) -> Check:
    """Whether what the campaign starts is there once modules are loaded."""
    execution = cluster.execution(config.execution)
    commands = _python(shell, cluster, _VASP, execution.model_dump_json())
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


def potcars(shell: WorkerShell, cluster: ClusterSettings, labels: list[str]) -> Check:
    """Which labels jobs would not find."""
    folder, missing = _python(shell, cluster, _POTCARS, json.dumps(labels))
    needed = f"needed: {', '.join(labels)}"
    where = f"in {folder}" if folder else "PMG_VASP_PSP_DIR is not set there"
    if missing:
        return Check(
            "potcars there",
            "fail",
            f"{needed}; missing: {', '.join(missing)} ({where})",
            "set potcars in the cluster's file to the library that `pmg config -p` makes there of "
            "VASP's PBE potentials, or choose labels in engine.vasp.potcar",
        )
    return Check("potcars there", "ok", f"{needed}; all {where}")
