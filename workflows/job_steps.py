"""Energies and temperatures over the steps of a job: while it runs, and as far as they are kept.

    relaxation, embedded   ASE's lines in job.log, until the job is done
    relaxation, VASP       OSZICAR of each of its runs
    dynamics, embedded     frames-*.npz as checkpoints are made; then the stored trajectory
    dynamics, VASP         OSZICAR of each piece; else the stored trajectory
"""

from __future__ import annotations

import contextlib
import gzip
import re
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workflows.execution.folders import KEPT_FILES
from workflows.job_files import work_folders
from workflows.job_inputs import JobSettings
from workflows.job_logs import LOG
from workflows.vasp.files import located

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workflows.read_model import CampaignResults
    from workflows.views import JobView

_Series = NDArray[np.float64]
_MOST_BYTES = 64_000_000  # of a file, from its end
_HEATED_FROM_K = 100.0
_NUMBER = rb"([-+.\dEe]+|\*+)"
_OF_VASP = re.compile(
    rb"^ *(\d+) (?:T= *" + _NUMBER + rb" E= *" + _NUMBER + rb" )?F= *\S+ E0= *" + _NUMBER, re.M
)
_OF_ASE = re.compile(rb"^\w+: +(\d+) +[\d:]+ +" + _NUMBER + rb"\*? +" + _NUMBER, re.M)


@dataclass(frozen=True, eq=False)
class Part:
    """What one program run recorded, or all of a job.

    Args:
        name: of the run of VASP; empty where a job is all of one.
        steps: shape (n,), counted from the beginning of the job.
        energies_eV: shape (n,), potential energy of the cell.
        temperatures_K: shape (n,), of the kinetic energy; None of a relaxation.
        conserved_eV: shape (n,), of cell and thermostat; None of a relaxation.
        forces_eV_per_A: shape (n,), the largest; None where it is not known.
    """

    name: str
    steps: NDArray[np.int64]
    energies_eV: _Series
    temperatures_K: _Series | None = None
    conserved_eV: _Series | None = None
    forces_eV_per_A: _Series | None = None


@dataclass(frozen=True)
class Programme:
    """What dynamics is to do.

    Args:
        corners: step and temperature of the thermostat, linear in between.
        n_before: steps before the temperature is constant, so that energy is conserved.
        n_most: steps that there will be at most.
    """

    timestep_fs: float
    corners: tuple[tuple[int, float], ...]
    n_before: int
    n_most: int


@dataclass(frozen=True, eq=False)
class JobSteps:
    """What is known of the steps of a job.

    Args:
        kind: what it does.
        parts: in their order; those that recorded nothing are not there.
        n_atoms: of the cell; None where it is not known.
        programme: of dynamics.
        n_done: steps so far, also those that were not recorded.
        source: where all of it is from.
    """

    kind: Literal["relaxation", "dynamics"]
    parts: tuple[Part, ...]
    n_atoms: int | None
    programme: Programme | None = None
    n_done: int = 0
    source: str = ""


def steps_of(results: CampaignResults, job: JobView) -> JobSteps | None:
    """What is known of the steps of a job; None of one of a stage without any."""
    if job.stage == "relax":
        return _relaxation(results, job)
    if job.stage in ("dynamics", "quench"):
        return _dynamics(results, job)
    return None


def _relaxation(results: CampaignResults, job: JobView) -> JobSteps:
    folders = work_folders(results, job)
    parts = _runs_of_vasp(folders)
    if not parts:
        parts = tuple(part for f in folders[:1] if (part := _logged(f / LOG)) is not None)
    n_done = int(parts[-1].steps[-1]) if parts else 0
    source = str(folders[0]) if parts else ""
    return JobSteps("relaxation", parts, job.n_atoms, n_done=n_done, source=source)


def _dynamics(results: CampaignResults, job: JobView) -> JobSteps:
    folders = work_folders(results, job)
    programme = _programme(results, job)
    known = JobSteps("dynamics", (), job.n_atoms, programme)
    if parts := _runs_of_vasp(folders):
        parts = _conserving(parts, programme.n_before if programme else 0)
        return replace(known, parts=parts, n_done=_last(parts), source=str(folders[0]))
    if programme is not None and job.state != "done":
        for folder in folders:
            if (part := _checkpointed(folder, programme.n_before, _stride(results, job))) or (
                _steps_done(folder)
            ):
                found = (part,) if part else ()
                n_done = max(_steps_done(folder), _last(found))
                return replace(known, parts=found, n_done=n_done, source=str(folder))
    return _stored(results, job, known)


def _last(parts: Iterable[Part]) -> int:
    return max((int(part.steps[-1]) for part in parts), default=0)


def _programme(results: CampaignResults, job: JobView) -> Programme | None:
    by_key = JobSettings.of(results, job).by_key
    if (dynamics := by_key.get("dynamics")) is None:
        return None
    timestep_fs = float(dynamics["timestep_fs"])

    def steps(time_ps: float) -> int:
        return round(time_ps * 1000 / timestep_fs)

    if job.stage == "dynamics":
        if job.temperature_K is None:
            return None
        heated = steps(dynamics["heating_ps"])
        before = heated + steps(dynamics["equilibration_ps"])
        most = before + steps(dynamics["production_ps"])
        start_K, end_K = min(_HEATED_FROM_K, job.temperature_K), job.temperature_K
        return Programme(timestep_fs, ((0, start_K), (heated, end_K), (most, end_K)), before, most)
    glass, melt_K = by_key.get("amorphous"), _melt_temperature_K(results, job)
    if glass is None or melt_K is None:
        return None
    heated = steps(glass["heating_ps"])
    held = heated + steps(glass["hold_ps"])
    most = held + steps(glass["quench_ps"])
    corners = (
        (0, min(_HEATED_FROM_K, melt_K)), (heated, melt_K), (held, melt_K),
        (most, float(glass["quench_temperature_K"])),
    )  # fmt: skip
    return Programme(timestep_fs, corners, heated, most)


def _melt_temperature_K(results: CampaignResults, job: JobView) -> float | None:
    labels = JobSettings.labels(results, job)
    text = labels.get("melt_temperature_K")
    return None if text is None else float(text)


def _stride(results: CampaignResults, job: JobView) -> int:
    dynamics = JobSettings.of(results, job).by_key["dynamics"]
    return max(round(dynamics["frame_interval_fs"] / dynamics["timestep_fs"]), 1)


# What VASP writes.


def _runs_of_vasp(folders: Iterable[Path]) -> tuple[Part, ...]:
    """Of each run with steps; those of a relaxation follow on each other."""
    for folder in folders:
        runs = sorted(
            (run for run in (folder / KEPT_FILES).glob("*/") if ".interrupted-" not in run.name),
            key=lambda run: (_first_step(run.name), run.name),
        )
        parts: list[Part] = []
        for run in runs:
            if (file := located(run, "OSZICAR")) is None or not (found := _oszicar(file)):
                continue
            first = _first_step(run.name) or (_last(parts) if "-from-" not in run.name else 0)
            parts.append(replace(found, name=run.name, steps=found.steps + first))
        if parts:
            return tuple(parts)
    return ()


def _first_step(name: str) -> int:
    """Of a piece of dynamics, in its folder's name."""
    _, _, step = name.rpartition("-from-")
    return int(step) if step.isdigit() else 0


def _oszicar(file: Path) -> Part | None:
    with contextlib.suppress(OSError, EOFError, zlib.error):
        status = file.stat()
        return _read_oszicar(file, status.st_mtime_ns, status.st_size)
    return None


@lru_cache(maxsize=256)
def _read_oszicar(file: Path, changed_at_ns: int, n_bytes: int) -> Part | None:  # noqa: ARG001
    """Once for each state of a file."""
    found = _OF_VASP.findall(_end_of(file))
    if not found:
        return None
    numbers, temperatures, totals, energies = zip(*found, strict=True)
    is_dynamics = bool(temperatures[0])
    return Part(
        "",
        np.array(numbers, dtype=np.int64),
        _floats(energies),
        _floats(temperatures) if is_dynamics else None,
        _floats(totals) if is_dynamics else None,
    )


def _end_of(file: Path) -> bytes:
    if file.suffix == ".gz":
        with gzip.open(file) as stream:
            return stream.read(_MOST_BYTES)
    with file.open("rb") as stream:
        stream.seek(max(stream.seek(0, 2) - _MOST_BYTES, 0))
        return stream.read(_MOST_BYTES)


def _floats(texts: Iterable[bytes]) -> _Series:
    """What Fortran could not write, such as `****`, is no number."""
    return np.array([_float(text) for text in texts], dtype=np.float64)


def _float(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _conserving(parts: tuple[Part, ...], n_before: int) -> tuple[Part, ...]:
    """The conserved energy from where there is one, going on from piece to piece.

    A thermostat that starts anew begins from another zero.
    """
    end: float | None = None
    found = []
    for part in parts:
        conserved = part.conserved_eV
        if conserved is not None:
            conserved = np.where(part.steps >= n_before, conserved, np.nan)
            known = conserved[np.isfinite(conserved)]
            if len(known):
                if end is not None:
                    conserved = conserved + (end - known[0])
                end = float(conserved[np.isfinite(conserved)][-1])
        found.append(replace(part, conserved_eV=conserved))
    return tuple(found)


# What the embedded potential leaves.


def _logged(file: Path) -> Part | None:
    """The steps of ASE's optimizer that its log ends with."""
    try:
        found = _OF_ASE.findall(_end_of(file))
    except OSError:
        return None
    first = max((n for n, (step, *_) in enumerate(found) if int(step) == 0), default=0)
    if not (found := found[first:]):
        return None
    numbers, energies, forces = zip(*found, strict=True)
    steps = np.array(numbers, dtype=np.int64)
    return Part("", steps, _floats(energies), forces_eV_per_A=_floats(forces))


def _checkpointed(folder: Path, record_from: int, stride: int) -> Part | None:
    pieces = [
        found
        for file in sorted(folder.glob("frames-*.npz"))
        if (found := _arrays(file, ("frames-",)))
    ]
    if not pieces:
        return None
    return _part(
        {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]},
        record_from,
        stride,
    )


def _steps_done(folder: Path) -> int:
    """As its last checkpoint says."""
    with contextlib.suppress(OSError, KeyError, ValueError, zipfile.BadZipFile):
        with np.load(folder / "state.npz") as state:
            return int(state["step"])
    return 0


def _arrays(file: Path, names: Any) -> dict[str, _Series] | None: ...
