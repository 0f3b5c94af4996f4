"""Space groups of host structures, found by moyo."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.structure import Structure

from screening.errors import UnusableStructure

SYMMETRY_TOLERANCE_A = 0.01


class Operations(NamedTuple):
    """Rotations, shape (n, 3, 3), and translations, (n, 3), on fractional coordinates."""

    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]


def space_group_operations(
    lattice: NDArray[np.float64],
    coords: NDArray[np.float64],
    kinds: NDArray[np.int64],
    structure: Structure,
) -> Operations:
    """The operations of the space group that leave the cell's lattice as it is.

    Args:
        lattice: vectors as rows, in Å.
        coords: fractional, shape (n_sites, 3).
        kinds: shape (n_sites,); sites of different kinds are never exchanged.
        structure: for the message.

    Raises:
        UnusableStructure: there is none, not even the identity.
    """
    try:
        operations = _dataset(lattice, coords, kinds, SYMMETRY_TOLERANCE_A).operations
    except (TypeError, ValueError, RuntimeError) as error:
        raise UnusableStructure(
            f"no space group was found for {structure.formula} within {SYMMETRY_TOLERANCE_A} Å "
            f"({error}); look for atoms on top of each other"
        ) from error
    return Operations(np.array(operations.rotations), np.array(operations.translations))


def space_group_number(
    structure: Structure, kinds: Sequence[int], tolerance_A: float = SYMMETRY_TOLERANCE_A
) -> int | None:
    """Number of the space group in International Tables; None where none is found."""
    coords = structure.frac_coords
    try:
        return int(_dataset(structure.lattice.matrix, coords, kinds, tolerance_A).number)
    except (TypeError, ValueError, RuntimeError):
        return None


def _dataset(
    lattice: NDArray[np.float64], coords: NDArray[np.float64], kinds: Any, tolerance_A: float
) -> Any:
    """What moyo finds; it raises TypeError, ValueError or RuntimeError."""
    from moyopy import Cell, MoyoDataset

    # It warns of operations that the given cell breaks; those of the primitive cell are asked next.
    logging.getLogger("moyo").setLevel(logging.ERROR)
    cell = Cell(lattice.tolist(), coords.tolist(), list(map(int, kinds)))
    return MoyoDataset(cell, symprec=tolerance_A)
