"""A run of VASP's molecular dynamics as a piece of a longer one."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.io.vasp.inputs import Poscar

from screening.errors import (
    CorruptOutput,
    ElectronsNotConverged,
    InvalidInput,
    MissingOutput,
    ProgramFailure,
    RunExploded,
    UnusableRun,
)
from screening.transport.trajectory import SERIES
from workflows.trajectory_files.contents import CutShort
from workflows.trajectory_files.vasprun import read_steps
from workflows.vasp.files import located, text_of
from workflows.vasp.pieces import Piece

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from screening.documents import VaspCalculation
    from workflows.trajectory_files.contents import Block
    from workflows.vasp.makers import SegmentSetGenerator

_NELM = 60  # VASP's default
_UNCONVERGED_SHARE = 0.05
_SAME_FRACTION = 1e-6  # vasprun.xml has eight decimals
_IONIC = re.compile(r"\s*\d+ (T|F)=")
_ELECTRONIC = re.compile(r"\s*[A-Za-z]{3}:\s")


def read_segment(
    folder: Path, record: VaspCalculation, first_step: int, record_from: int, stride: int
) -> Piece:
    """What a finished run of VASP did.

    Args:
        folder: of the run, its files gzipped or not.
        record: of the run.
        first_step: steps of the whole run before it.
        record_from: step of the whole run whose frame is the first to be kept.
        stride: steps between two frames that are kept.

    Raises:
        MissingOutput, CorruptOutput: vasprun.xml or CONTCAR is not there or cannot be read.
        RunExploded: positions that are no numbers.
    """
    run, contcar = located(folder, "vasprun.xml"), located(folder, "CONTCAR")
    if run is None or contcar is None:
        lost = "vasprun.xml" if run is None else "CONTCAR"
        raise MissingOutput(f"{folder.name}: VASP wrote no {lost}; look at {folder}")
    try:
        with gzip.open(run) if run.suffix == ".gz" else run.open("rb") as stream:
            blocks = list(read_steps(stream, str(run)).blocks)
    except (CutShort, InvalidInput) as error:
        raise CorruptOutput(f"{folder.name}: vasprun.xml cannot be read: {error}") from error
    except UnusableRun as error:
        raise RunExploded(f"{folder.name}: {error}") from error
    fractional = _unwrapped(np.concatenate([block.fractional for block in blocks]))
    n_steps = len(fractional)
    kept = np.arange(n_steps) + first_step
    kept = kept[(kept >= record_from) & ((kept - record_from) % stride == 0)]
    series = _series(blocks)
    temperatures_K = series.get("kinetic_temperatures_K")
    if temperatures_K is None:
        raise CorruptOutput(
            f"{folder.name}: vasprun.xml tells no kinetic energies; look at {folder}"
        )
    oszicar = located(folder, "OSZICAR")
    n_most = int(record.incar.get("NELM", _NELM))
    rows = kept - first_step
    return Piece(
        first_step=first_step,
        n_steps=n_steps,
        steps=kept,
        fractional=fractional[rows],
        first=fractional[0],
        last=fractional[-1],
        series={name: values[rows] for name, values in series.items()},
        hottest_K=float(temperatures_K.max()),
        n_unconverged=_n_unconverged(text_of(oszicar), n_most) if oszicar else 0,
        contcar=text_of(contcar),
        record=record,
    )


def require_as_asked(piece: Piece, asked: SegmentSetGenerator) -> None:
    """Refuse a piece that is not the one asked for, or that moved by forces of no ground state.

    custodian's handlers are made for relaxations: some mend an error with a shorter time step, or
    go on from the last structure as if the run began there.

    Raises:
        ProgramFailure: other steps, or other positions at its start, than were asked for.
        ElectronsNotConverged: too many of its steps are not converged.
    """
    record = piece.record
    tags = {
        "POTIM": asked.time_step,
        "TEBEG": asked.start_temp,
        "TEEND": asked.end_temp,
        "NSW": asked.nsteps,
    }
    changed = [
        f"{tag} = {record.incar.get(tag)} instead of {value:g}"
        for tag, value in tags.items()
        if not np.isclose(float(record.incar.get(tag, np.nan)), value, rtol=1e-6)
    ]
    start = Poscar.from_str(asked.poscar_text, read_velocities=False).structure.frac_coords
    off = piece.first - start
    if np.abs(off - np.rint(off)).max() > _SAME_FRACTION:
        changed.append("it does not begin where it was to begin")
    if changed:
        raise ProgramFailure(
            f"{record.name}: {'; '.join(changed)}: what custodian changed ("
            f"{'; '.join(record.corrections) or 'nothing known'}) makes it another run than was "
            "asked for; change engine.vasp.dynamics.incar so that the error does not come, such as "
            "ALGO: Normal",
            corrections=record.corrections,
        )
    if piece.n_unconverged > _UNCONVERGED_SHARE * piece.n_steps:
        raise ElectronsNotConverged(
            f"{record.name}: the electrons did not converge in {piece.n_unconverged} of "
            f"{piece.n_steps} steps; raise engine.vasp.dynamics.incar.NELM, or try ALGO: Normal",
            corrections=record.corrections,
        )


def _n_unconverged(oszicar: str, n_most: int) -> int:
    """Ionic steps whose electronic loop used up its `n_most` steps."""
    found = n_electronic = 0
    for line in oszicar.splitlines():
        if _IONIC.match(line):
            found += n_electronic >= n_most
            n_electronic = 0
        elif _ELECTRONIC.match(line):
            n_electronic += 1
    return found


def _unwrapped(fractional: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each atom's way by its minimum image from step to step."""
    images = np.cumsum(np.rint(np.diff(fractional, axis=0)), axis=0)
    fractional[1:] -= images
    return fractional


def _series(blocks: list[Block]) -> dict[str, NDArray[np.float64]]:
    series = {}
    for name in SERIES:
        parts = [getattr(block, name) for block in blocks]
        if all(part is not None for part in parts):
            series[name] = np.concatenate(parts)
    return series
