"""Geometry of periodic cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def perpendicular_widths_A(cell_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances between opposite faces, shape (3,).

    Vectors shorter than half the smallest of them have fractional components below 1/2: their
    rounded image is the nearest one.

    Args:
        cell_A: shape (3, 3), lattice vectors as rows.
    """
    return np.asarray(1 / np.linalg.norm(np.linalg.inv(cell_A), axis=0))
