"""Files in which programs write down their steps, as arrays; also while they still write."""

from __future__ import annotations

import contextlib
import gzip
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_Series = NDArray[np.float64]
_MOST_BYTES = 64_000_000  # of a file, from its end
_NUMBER = rb"([-+.\dEe]+|\*+)"
_OF_VASP = re.compile(
    rb"^ *(\d+) (?:T= *" + _NUMBER + rb" E= *" + _NUMBER + rb" )?F= *\S+ E0= *" + _NUMBER, re.M
)
_OF_ASE = re.compile(rb"^\w+: +(\d+) +[\d:]+ +" + _NUMBER + rb"\*? +" + _NUMBER, re.M)
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile)
"""A file that is damaged, being written, or gone just now."""


@dataclass(frozen=True, eq=False)
class Part:
    """What one run of a program recorded, or all of a job.

    Args:
        name: of the run of VASP; empty where a job is all of one.
        steps: shape (n,), counted from the beginning of the job.
        energies_eV: shape (n,), potential energy of the cell.
        temperatures_K: shape (n,), of the kinetic energy; None of a relaxation.
        conserved_eV: shape (n,), of cell and thermostat, NaN where it is not conserved; None of a
            relaxation.
        forces_eV_per_A: shape (n,), the largest; None where it is not told.
    """

    name: str
    steps: NDArray[np.int64]
    energies_eV: _Series
    temperatures_K: _Series | None = None
    conserved_eV: _Series | None = None
    forces_eV_per_A: _Series | None = None


def read_oszicar(file: Path) -> Part | None:
    """Ionic steps of VASP; None where there are none yet."""
    with contextlib.suppress(*_UNREADABLE):
        return _oszicar(file, *_state_of(file))
    return None


def read_optimizer_log(file: Path) -> Part | None:
    """The steps of ASE's optimizer that a log ends with; None where there are none."""
    with contextlib.suppress(*_UNREADABLE):
        found = _OF_ASE.findall(_end_of(file))
        begins = max((n for n, (step, *_) in enumerate(found) if int(step) == 0), default=0)
        if found := found[begins:]:  # behind those of attempts before
            steps, energies, forces = zip(*found, strict=True)
            return Part("", _integers(steps), _floats(energies), forces_eV_per_A=_floats(forces))
    return None


def read_checkpoints(folder: Path, record_from: int, stride: int) -> Part | None:
    """What `workflows.nvt` has recorded so far; None where there is nothing yet."""
    pieces: list[Mapping[str, _Series]] = []
    for file in sorted(folder.glob("frames-*.npz")):
        with contextlib.suppress(*_UNREADABLE):
            pieces.append(_frames(file, *_state_of(file)))
    if not pieces:
        return None
    joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return _recorded(joined, record_from, stride)


def checkpointed_step(folder: Path) -> int:
    """Steps that `workflows.nvt` has done, as its last checkpoint says."""
    with contextlib.suppress(*_UNREADABLE), np.load(folder / "state.npz") as state:
        return int(state["step"])
    return 0


def read_trajectory(file: Path, record_from: int) -> Part | None:
    """What was recorded beside the frames of a stored trajectory; None where nothing was."""
    with contextlib.suppress(*_UNREADABLE), np.load(file) as stored:
        series = {
            name: stored[f"{kind}_{unit}"]
            for name, kind, unit in (
                ("temperatures_K", "kinetic_temperatures", "K"),
                ("energies_eV", "potential_energies", "eV"),
                ("conserved_eV", "conserved_energies", "eV"),
            )
            if f"{kind}_{unit}" in stored
        }
        if "energies_eV" in series:
            return _recorded(series, record_from, int(stored["stride"]))
    return None


def _state_of(file: Path) -> tuple[int, int]:
    """What changes whenever a file does."""
    status = file.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=256)
def _oszicar(file: Path, *_state: int) -> Part | None:
    found = _OF_VASP.findall(_end_of(file))
    if not found:
        return None
    steps, temperatures, totals, energies = zip(*found, strict=True)
    is_dynamics = bool(temperatures[0])
    return Part(
        "",
        _integers(steps),
        _floats(energies),
        _floats(temperatures) if is_dynamics else None,
        _floats(totals) if is_dynamics else None,
    )


@lru_cache(maxsize=2048)
def _frames(file: Path, *_state: int) -> Mapping[str, _Series]:
    with np.load(file) as piece:
        return {
            "temperatures_K": piece["kinetic_temperatures_K"],
            "energies_eV": piece["potential_energies_eV"],
            "conserved_eV": piece["conserved_eV"],
        }


def _recorded(series: Mapping[str, Any], record_from: int, stride: int) -> Part | None:
    n_frames = len(series["energies_eV"])
    if not n_frames:
        return None
    return Part("", record_from + stride * np.arange(n_frames, dtype=np.int64), **series)


def _end_of(file: Path) -> bytes:
    if file.suffix == ".gz":
        with gzip.open(file) as unzipped:
            return unzipped.read(_MOST_BYTES)
    with file.open("rb") as stream:
        stream.seek(max(stream.seek(0, 2) - _MOST_BYTES, 0))
        return stream.read(_MOST_BYTES)


def _integers(texts: Iterable[bytes]) -> NDArray[np.int64]:
    return np.array([int(text) for text in texts], dtype=np.int64)


def _floats(texts: Iterable[bytes]) -> _Series:
    """What Fortran could not write, such as `****`, is no number."""
    return np.array([_float(text) for text in texts], dtype=np.float64)


def _float(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
