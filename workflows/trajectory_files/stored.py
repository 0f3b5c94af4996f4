"""The project's own trajectories: the npz archives in `arrays/` of a results folder."""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Iterator
from pathlib import Path

from screening.errors import InvalidInput
from screening.transport.trajectory import Trajectory
from workflows.trajectory_files.contents import FRAMES_PER_BLOCK, Block, Contents


def read_stored(path: Path) -> Contents:
    """An archive as `Trajectory.as_dict` makes it.

    Raises:
        InvalidInput: a damaged archive, or one of something else.
    """
    run = stored_trajectory(path)
    return Contents(
        run.species,
        _blocks(run, str(path)),
        run.notes,
        run.timestep_fs,
        run.temperature_K,
        len(run.positions_A),
    )


def stored_trajectory(path: Path) -> Trajectory:
    """An archive as one trajectory.

    Raises:
        InvalidInput: as `read_stored`.
    """
    try:
        return Trajectory.from_dict({"npz": base64.b64encode(path.read_bytes())})
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise InvalidInput(
            f"{path}: no trajectory of Halideflow, or a damaged one ({error}); needed: a file of "
            "arrays/ in a results folder"
        ) from error


def _blocks(run: Trajectory, name: str) -> Iterator[Block]:
    for first in range(0, len(run.positions_A), FRAMES_PER_BLOCK):
        part = run.from_frame(first).until_frame(FRAMES_PER_BLOCK)
        yield Block.of_cartesian(
            part.positions_A,
            part.cell_A,
            name,
            part.potential_energies_eV,
            part.kinetic_temperatures_K,
            part.conserved_energies_eV,
            stride=run.stride,
            begins_part=first == 0,
        )
