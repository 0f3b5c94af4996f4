"""What every reader of trajectory files gives: frames as they stand in the file, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput

FRAMES_PER_BLOCK = 64
_SMALLEST_VOLUME_A3 = 1e-3


class CutShort(Exception):
    """A file ends within a frame, which is left out; the message says what was found."""


@dataclass(frozen=True)
class Block:
    """Some frames in succession.

    Args:
        fractional: shape (n_frames, n_atoms, 3), wrapped or not.
        cell_A: shape (3, 3), of all of them.
        potential_energies_eV: shape (n_frames,), of the whole cell; None where the file is silent.
        kinetic_temperatures_K: shape (n_frames,); None where the file is silent.
        conserved_energies_eV: shape (n_frames,), the thermostat's energy included; None where the
            file is silent, or says what no integrator conserves.
        stride: steps between two frames; None where the file does not say.
        begins_part: the first frame begins a file, or a run that was appended to another one.
        forces_eV_per_A: shape as `fractional`, Cartesian; VASP's alone are read, None elsewhere.
    """

    fractional: NDArray[np.float64]
    cell_A: NDArray[np.float64]
    potential_energies_eV: NDArray[np.float64] | None = None
    kinetic_temperatures_K: NDArray[np.float64] | None = None
    conserved_energies_eV: NDArray[np.float64] | None = None
    stride: int | None = None
    begins_part: bool = False
    forces_eV_per_A: NDArray[np.float64] | None = None

    @classmethod
    def of_cartesian(
        cls,
        positions_A: NDArray[np.floating[Any]],
        cell_A: NDArray[np.float64],
        name: str,
        potential_energies_eV: NDArray[np.float64] | None = None,
        kinetic_temperatures_K: NDArray[np.float64] | None = None,
        conserved_energies_eV: NDArray[np.float64] | None = None,
        stride: int | None = None,
        begins_part: bool = False,
    ) -> Block:
        """From Cartesian positions in the file `name`.

        Raises:
            InvalidInput: no cell.
        """
        check_cell(cell_A, name)
        with np.errstate(invalid="ignore", over="ignore"):  # what comes of it is looked at later
            fractional = positions_A.astype(np.float64) @ np.linalg.inv(cell_A)
        return cls(
            fractional,
            cell_A,
            potential_energies_eV,
            kinetic_temperatures_K,
            conserved_energies_eV,
            stride,
            begins_part,
        )


def check_cell(cell_A: NDArray[np.float64], name: str) -> None:
    """Let three vectors with a volume pass.

    Raises:
        InvalidInput: anything else.
    """
    if not np.isfinite(cell_A).all() or abs(np.linalg.det(cell_A)) < _SMALLEST_VOLUME_A3:
        raise InvalidInput(
            f"{name}: no periodic cell, but the vectors {cell_A.tolist()} Å; needed: three that "
            "span a volume"
        )


@dataclass(frozen=True)
class Contents:
    """What a file says of the whole run, and its frames one block after the other.

    Args:
        species: n_atoms element symbols.
        blocks: read as they are asked for. It may raise `CutShort` where the file ends too early.
        notes: what a reader of the results should know of the file.
        timestep_fs: None where the file does not say.
        temperature_K: of the thermostat; None where the file does not say.
        n_frames: None where only reading the file tells.
        stride_note: why the stride that blocks tell might be wrong.
    """

    species: tuple[str, ...]
    blocks: Iterator[Block]
    notes: tuple[str, ...] = ()
    timestep_fs: float | None = None
    temperature_K: float | None = None
    n_frames: int | None = None
    stride_note: str = ""


def is_cut(lines: list[bytes], n_lines: int) -> bool:
    """Whether some of the lines of a frame lack, or digits at the end of the last one."""
    if len(lines) < n_lines:
        return True
    return not lines[-1].endswith(b"\n") and len(lines[-1]) < len(lines[-2 % len(lines)].rstrip())
