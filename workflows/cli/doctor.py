"""`doctor`: is this machine ready to run a campaign, and if not, what to do."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.errors import ScreeningError
from workflows.check import Check, State, guarded
from workflows.cli.common import ExitCode, Json, OptionalCampaignFile, print_json

if TYPE_CHECKING:
    from workflows.config import CampaignConfig, EngineSettings
    from workflows.vasp.inputs import Potcars

_GIB = 2**30
_MIN_FREE_GIB, _COMFORTABLE_FREE_GIB = 1, 10
_MIN_MEMORY_GIB, _COMFORTABLE_MEMORY_GIB = 1, 4
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    campaign: OptionalCampaignFile = None,
    no_test_job: Annotated[
        bool,
        typer.Option("--no-test-job", help="Send no job through the queue of the cluster."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check this machine and, if given, CAMPAIGN and its cluster; exit code 1 when a check fails.

    Of a cluster it looks at all that jobs need, and sends one through the queue.
    """
    checks = []
    for check in _examine(campaign, test_job=not no_test_job):
        checks.append(check)
        if not as_json:
            _print(check)
    failed = any(check.state == "fail" for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    if failed:
        raise typer.Exit(ExitCode.ERROR)


def _print(check: Check) -> None:
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble(
        (f"{check.state:<4}", _COLOURS[check.state]), f"  {check.name:<15} {check.found}"
    )
    if check.advice:
        line.append(f"\n{'':<22}→ {check.advice}")
    Console(soft_wrap=True).print(line, highlight=False)


def _examine(campaign: Path | None, *, test_job: bool) -> Iterator[Check]:
    yield _python()
    config = None
    folder = Path.cwd()
    if campaign is not None:
        try:
            config, folder = _load(campaign)
            yield Check("config", "ok", f"{campaign}: valid, campaign {config.name}")
        except ScreeningError as error:
            folder = campaign.absolute().parent
            yield Check("config", "fail", str(error), "correct the file and run this again")
    from workflows.config import EngineSettings, StabilitySettings

    engine = config.engine if config else EngineSettings()
    references = (config.stability if config else StabilitySettings()).references
    existing = next(place for place in (folder, *folder.parents) if place.is_dir())
    reinstall = "install again: pip install -c constraints.txt -e ."
    if engine.name != "vasp":
        yield guarded("weights", lambda: _weights(engine), reinstall)
        yield guarded("torch", _torch, reinstall)
    cluster = config.execution.cluster if config else None
    if config is not None and engine.runs_vasp and (engine.name == "rehearsal" or not cluster):
        yield from _vasp(config, campaign, reinstall)
    fetch = f"correct stability.references, or `halideflow references fetch {campaign}`"
    yield guarded(
        "references",
        lambda: _references(references, engine),
        fetch if engine.name == "vasp" else "correct stability.references",
    )
    yield guarded("results folder", lambda: _results(folder, existing), "choose results_dir")
    if config is None or config.store.backend == "sqlite":
        local = "choose results_dir on a local disk, or the mongodb store"
        yield guarded("sqlite", lambda: _sqlite(existing, local), local)
    yield guarded("memory", _memory, "look at the machine's memory by hand")
    if config is not None and cluster:
        from workflows.cluster.checks import cluster_checks

        assert campaign is not None

        def labels() -> list[str]:
            return list(_needed_potcars(config, campaign).labels.values())

        yield from cluster_checks(config, labels, test_job=test_job)


def _load(campaign: Path) -> tuple[CampaignConfig, Path]:
    from workflows.config_file import (
        ConfigError,
        load_campaign,
        read_structures,
        resolve_references,
        results_folder,
    )

    config = load_campaign(campaign)
    with contextlib.suppress(ConfigError):  # the check of the references says what is wrong
        config = resolve_references(config, campaign)
    read_structures(config, campaign)
    return config, results_folder(campaign, config).absolute()


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()} ({sys.executable})")


def _weights(settings: EngineSettings) -> Check:
    from workflows.engines import engine_convention, load_potential

    load_potential(settings.model).calculator()
    convention = engine_convention(settings)
    return Check("weights", "ok", f"{convention.potential}, sha256 {convention.weights_sha256}")


def _vasp(config: CampaignConfig, campaign: Path | None, reinstall: str) -> Iterator[Check]:
    """The program and its pseudopotentials, before anything is submitted."""
    assert campaign is not None
    yield guarded("vasp", lambda: _vasp_program(config), reinstall)
    yield guarded("potcars", lambda: _potcars(config, campaign), "look at PMG_VASP_PSP_DIR by hand")


def _vasp_program(config: CampaignConfig) -> Check:
    """Whether what the campaign would start is there."""
    import shlex

    from workflows.vasp.makers import Program

    program = Program.of(is_rehearsal=config.engine.name == "rehearsal", execution=config.execution)
    if config.engine.name == "rehearsal":
        return _stand_in(program.command)
    commands = {
        "vasp_command": program.command,
        "vasp_gamma_command": program.gamma_command,
    }
    found = "; ".join(f"{key}: {command}" for key, command in commands.items())
    words = [shlex.split(os.path.expandvars(command)) for command in commands.values()]
    lacking = {word for line in words for word in (line[0], line[-1]) if not shutil.which(word)}
    if lacking:
        # a launcher may find a program elsewhere: on other nodes, or in a container
        starts = all(shutil.which(line[0]) for line in words)
        return Check(
            "vasp",
            "warn" if starts else "fail",
            f"{found}; not on this machine: {', '.join(sorted(lacking))}",
            "set execution.vasp_command, or VASP_CMD in ~/.atomate2.yaml, or load VASP's module; "
            "where jobs run on other machines, run doctor there",
        )
    return Check("vasp", "ok", found)


def _stand_in(command: str) -> Check:
    """Whether the stand-in for VASP starts."""
    import shlex
    import subprocess

    ran = subprocess.run(  # noqa: S603  our own interpreter and module
        [*shlex.split(command), "--version"], capture_output=True, text=True, check=False
    )
    said = (ran.stdout or ran.stderr).strip().splitlines()
    found = f"stand-in: {said[-1] if said else command}"
    if ran.returncode:
        return Check("vasp", "fail", found, "install again: pip install -c constraints.txt -e .")
    return Check("vasp", "ok", found)


def _needed_potcars(config: CampaignConfig, campaign: Path) -> Potcars:
    from screening.survey import survey_candidates
    from workflows.config_file import read_structures
    from workflows.engines import unknown_elements
    from workflows.vasp.inputs import Potcars, symbols_of

    survey = survey_candidates(config.candidates, read_structures(config, campaign))
    symbols = symbols_of(survey)
    unknown = set(unknown_elements(config.engine, symbols))
    return Potcars.of(config, [symbol for symbol in symbols if symbol not in unknown])


def _potcars(config: CampaignConfig, campaign: Path) -> Check:
    """Which labels the campaign needs, and which are missing."""
    from workflows.vasp.potcars import LIBRARY_VARIABLE, library

    potcars = _needed_potcars(config, campaign)
    needed = f"needed: {', '.join(potcars.labels.values())}"
    if config.engine.name == "rehearsal":
        return Check("potcars", "ok", f"{needed}; stand-ins are made for the rehearsal")
    folder = library()
    where = f"in {folder}" if folder else f"{LIBRARY_VARIABLE} is not set"
    if potcars.missing:
        return Check(
            "potcars",
            "fail",
            f"{needed}; missing: {', '.join(potcars.missing)} ({where})",
            f"point {LIBRARY_VARIABLE} in ~/.config/.pmgrc.yaml to the library that `pmg config "
            "-p` makes of VASP's PBE potentials, or choose labels in engine.vasp.potcar",
        )
    return Check("potcars", "ok", f"{needed}; all {where}")


def _torch() -> Check:
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found = f"{torch.__version__}, {torch.get_num_threads()} thread(s) of {os.cpu_count()} cores"
    return Check("torch", "ok", f"{found}, CUDA: {', '.join(devices) or 'none'}")


def _references(name: str, engine: EngineSettings) -> Check:
    from screening.stability.references import ReferencePhases
    from workflows.engines import engine_convention

    snapshot = ReferencePhases.load(name)
    age_days = (datetime.now(UTC).date() - date.fromisoformat(snapshot.date)).days
    found = f"{name}, {len(snapshot.phases)} phases, {age_days} days old, sha256 {snapshot.sha256}"
    if snapshot.convention != engine_convention(engine):
        advice = "choose stability.references made with the engine of this campaign"
        return Check("references", "fail", f"{found}, of another energy convention", advice)
    return Check("references", "ok", found)


def _results(folder: Path, existing: Path) -> Check:
    with tempfile.TemporaryFile(dir=existing):
        pass
    free_GiB = shutil.disk_usage(existing).free / _GIB
    found = f"{folder}: writable, {free_GiB:.1f} GiB free"
    if free_GiB < _COMFORTABLE_FREE_GIB:
        state: State = "fail" if free_GiB < _MIN_FREE_GIB else "warn"
        return Check("results folder", state, found, "free disk space or choose results_dir")
    return Check("results folder", "ok", found)


def _sqlite(existing: Path, advice: str) -> Check:
    with tempfile.TemporaryDirectory(dir=existing, prefix=".halideflow-") as scratch:
        connection = sqlite3.connect(Path(scratch) / "probe.sqlite")
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute("CREATE TABLE probe (x)")
            connection.commit()
        finally:
            connection.close()
    found = f"{sqlite3.sqlite_version}, journal mode {mode}"
    if mode != "wal":
        return Check("sqlite", "fail", f"{found}, needed: wal", advice)
    return Check("sqlite", "ok", found)


def _memory() -> Check:
    page = os.sysconf("SC_PAGE_SIZE")
    total_GiB = os.sysconf("SC_PHYS_PAGES") * page / _GIB
    free_GiB = os.sysconf("SC_AVPHYS_PAGES") * page / _GIB
    found = f"{total_GiB:.1f} GiB, {free_GiB:.1f} GiB of it unused"
    if total_GiB < _COMFORTABLE_MEMORY_GIB:
        state: State = "fail" if total_GiB < _MIN_MEMORY_GIB else "warn"
        return Check("memory", state, found, "run fewer workers; each takes about 1 GiB")
    return Check("memory", "ok", found)
