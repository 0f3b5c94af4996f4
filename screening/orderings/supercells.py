"""Sublattices of a lattice: Hermite normal forms, and which of them symmetry tells apart.

Reference:
    Hart, Forcade, Phys. Rev. B 77, 224115 (2008), doi:10.1103/PhysRevB.77.224115.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def normal_forms(index: int) -> NDArray[np.int64]:
    """Every sublattice of an index once, as rows of an upper triangular matrix.

    Returns:
        Shape (n, 3, 3); the entries above a pivot are smaller than it and not negative.
    """
    forms = [
        [[a, b, c], [0, d, e], [0, 0, f]]
        for a in range(1, index + 1)
        if index % a == 0
        for d in range(1, index // a + 1)
        if index // a % d == 0
        for f in (index // a // d,)
        for b in range(d)
        for c in range(f)
        for e in range(f)
    ]
    return np.array(forms, dtype=np.int64)


@njit(cache=True)
def normal_form(matrices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hermite normal form of the lattice that the rows of each matrix span.

    Args:
        matrices: shape (n, n_rows, 3), rows in units of the parent lattice, of rank 3.

    Returns:
        Shape (n, 3, 3), upper triangular.
    """
    forms = matrices.copy()
    for m in range(len(forms)):
        h = forms[m]
        for column in range(3):
            for row in range(column + 1, h.shape[0]):
                while h[row, column] != 0:  # Euclid's algorithm on two rows
                    quotient = h[column, column] // h[row, column]
                    for j in range(3):
                        rest = h[column, j] - quotient * h[row, j]
                        h[column, j] = h[row, j]
                        h[row, j] = rest
            if h[column, column] < 0:
                h[column] = -h[column]
            for row in range(column):
                h[row] -= h[row, column] // h[column, column] * h[column]
    return forms[:, :3].copy()


def distinct_forms(index: int, rotations: NDArray[np.int64]) -> NDArray[np.int64]:
    """One normal form of each class of sublattices that the rotations carry into each other.

    Args:
        index: cells of the sublattice.
        rotations: shape (n_rotations, 3, 3), acting on columns of fractional coordinates.
    """
    forms = normal_forms(index)
    images = np.einsum("mij,gkj->mgik", forms, rotations).reshape(-1, 3, 3)
    keys = _keys(normal_form(images), index).reshape(len(forms), -1)
    distinct: NDArray[np.int64] = forms[_keys(forms, index) == keys.min(axis=1)]
    return distinct


def _keys(forms: NDArray[np.int64], index: int) -> NDArray[np.int64]:
    """One number for each normal form; no entry exceeds the index."""
    powers = (index + 1) ** np.arange(9, dtype=np.int64)
    keys: NDArray[np.int64] = forms.reshape(-1, 9) @ powers
    return keys
