"""A run of VASP's molecular dynamics as a piece of a longer one."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np

from screening.errors import CorruptOutput, InvalidInput, MissingOutput, RunExploded, UnusableRun
from workflows.trajectory_files.contents import CutShort
from workflows.trajectory_files.vasprun import read_steps
from workflows.vasp.files import located, text_of
from workflows.vasp.pieces import Piece

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from screening.documents import VaspCalculation
    from workflows.trajectory_files.contents import Block


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
    rows = kept - first_step
    return Piece(
        first_step=first_step,
        n_steps=n_steps,
        steps=kept,
        fractional=fractional[rows],
        first=fractional[0],
        last=fractional[-1],
        series={name: values[rows] for name, values in series.items()},
        hottest_K=0.0 if temperatures_K is None else float(temperatures_K.max()),
        contcar=text_of(contcar),
        record=record,
    )


def _unwrapped(fractional: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each atom's way by its minimum image from step to step."""
    images = np.cumsum(np.rint(np.diff(fractional, axis=0)), axis=0)
    fractional[1:] -= images
    return fractional


def _series(blocks: list[Block]) -> dict[str, NDArray[np.float64]]:
    series = {}
    for name in ("potential_energies_eV", "kinetic_temperatures_K", "conserved_energies_eV"):
        parts = [getattr(block, name) for block in blocks]
        if all(part is not None for part in parts):
            series[name] = np.concatenate(parts)
    return series
