"""ASE's .traj files, which say the time step, and the temperature of some thermostats."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from screening.errors import InvalidInput
from workflows.trajectory_files.contents import Block, Contents, CutShort


def read_ase_traj(path: Path, stack: ExitStack) -> Contents:
    """A file of ASE's `Trajectory`, which `stack` closes.

    Raises:
        CutShort: it ends within its first frame, or before the list of where frames begin, which
            ASE rewrites behind the frames of the time whenever it has run out of room.
        InvalidInput: the trajectory of no molecular dynamics, or other atoms further down.
    """
    from ase import units
    from ase.io.trajectory import TrajectoryReader

    try:
        reader = stack.enter_context(TrajectoryReader(path))
        n_frames = len(reader)
        species = tuple(reader[0].get_chemical_symbols())
    except Exception as error:  # ASE raises whatever it stumbles over in a damaged file
        raise CutShort(
            f"its first frame, or its list of where frames begin, is damaged or lacks ({error})"
        ) from error
    # converters of old files leave a sentence instead
    told: dict[str, Any] = reader.description if isinstance(reader.description, dict) else {}
    if told.get("type", "molecular-dynamics") != "molecular-dynamics":
        raise InvalidInput(
            f"{path}: of type {told['type']}, which is no molecular dynamics; needed: a run of "
            "ASE's molecular dynamics"
        )
    timestep, temperature_K = told.get("timestep"), told.get("temperature_K")
    return Contents(
        species,
        _blocks(reader, n_frames, path, told.get("interval")),
        timestep_fs=None if timestep is None else round(float(timestep) / units.fs, 9),
        temperature_K=None if temperature_K is None else round(float(temperature_K), 6),
        n_frames=n_frames,
    )


def _blocks(reader: Any, n_frames: int, path: Path, stride: int | None) -> Iterator[Block]:
    numbers = reader[0].numbers
    for frame in range(n_frames):
        try:
            atoms = reader[frame]
        except Exception as error:
            raise CutShort(f"frame {frame} of {n_frames} is damaged ({error})") from error
        if not np.array_equal(atoms.numbers, numbers):
            raise InvalidInput(
                f"{path}: holds other atoms, or in another order, from frame {frame} on; "
                "needed: one run"
            )
        yield _block(atoms, str(path), stride, begins_part=frame == 0)


def _block(atoms: Any, name: str, stride: int | None, begins_part: bool) -> Block:
    results = atoms.calc.results if atoms.calc else {}
    energy_eV = results.get("energy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of atoms without degrees of freedom
        temperature_K = atoms.get_temperature() if atoms.has("momenta") else None
    return Block.of_cartesian(
        atoms.positions[None],
        atoms.cell.array,
        name,
        None if energy_eV is None else np.array([energy_eV], dtype=np.float64),
        None if temperature_K is None else np.array([temperature_K]),
        stride=stride,
        begins_part=begins_part,
    )
