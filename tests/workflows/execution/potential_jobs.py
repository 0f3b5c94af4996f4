"""Small jobs that ask the potential, and say what they see; importable by worker processes."""

from __future__ import annotations

import os
import signal
from functools import lru_cache
from pathlib import Path

from jobflow import CURRENT_JOB, Job, job

from workflows.config import EngineSettings
from workflows.engines import load_engine
from workflows.execution.batching import Batching
from workflows.execution.progress import report_progress

STAGE = "relax"


def side_by_side() -> Batching:
    return Batching(frozenset({STAGE}), n_atoms=64)


@lru_cache(maxsize=1)
def potassium_chloride():
    from ase.build import bulk

    return bulk("KCl", "rocksalt", a=6.3)


def evaluations(number: int):
    """Move an atom a little, time and again."""
    atoms = potassium_chloride().copy()
    atoms.calc = load_engine(EngineSettings()).calculator()
    for n in range(number):
        atoms.positions[0, 0] = 0.01 * n
        yield n, atoms.get_potential_energy()


def note(folder: str, *words: object) -> None:
    with (Path(folder) / "notes").open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


def notes(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "notes").read_text().splitlines()]


@job
def evaluate(folder, label, number, deaths=0):
    """Note when it begins and ends; be killed half-way the first `deaths` times."""
    note(folder, "begins", label, os.getpid())
    for n, _ in evaluations(number):
        if deaths and n == number // 2:
            marks = len(list(Path(folder).glob(f"death-{label}-*")))
            if marks < deaths:
                (Path(folder) / f"death-{label}-{marks}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
    note(folder, "ends", label, os.getpid())
    return label


@job
def evaluate_until_all_have_begun(folder, label, n_jobs):
    """Note when it begins; go on until so many jobs have."""
    note(folder, "begins", label, os.getpid())
    for _ in evaluations(20_000):
        if len(notes(Path(folder))) >= n_jobs:
            return


@job
def look_around(label, number):
    """Print, after each evaluation, where it is; then fail, so that all of it is kept."""
    for n, _ in evaluations(number):
        print(label, Path.cwd().name, CURRENT_JOB.job.uuid)
        os.system(f"echo {label} of a process")
        Path(f"{label}-{n}").touch()
        report_progress((n + 1) / number)
    raise ArithmeticError(f"{label} has seen it")


def staged(made: Job, stage: str = STAGE) -> Job:
    made.metadata = {"stage": stage}
    return made
