"""Continuous symmetry measure of MX6 against the regular octahedron.

    S = 100 min sum_k |Q_k - P_k|² / sum_k |Q_k - Q_0|²

Q are the seven points M and 6 X, Q_0 their centroid; P is the regular octahedron with its centre
that comes closest: any position, orientation, size and assignment of the corners. S is 0 for a
regular octahedron, 16.7 for an ideal trigonal prism, 33.3 for a flat hexagon. This is `wcs_ctwcc`
of pymatgen's ChemEnv and OC-6 of SHAPE.

With size and position at their best, S = 100 (1 - t² / (6 sum |Q_k - Q_0|²)), where t is the
largest overlap of Q with a rotated octahedron of unit arms. An assignment of corners is one of 15
ways to pair the anions into three axes. With the difference vectors of the pairs as rows of a 3 x 3
matrix H, the best rotation overlaps by the sum of H's singular values: that sum asks for a proper
or an improper rotation, and the octahedron is its own mirror image. So the minimum is exact. As
the sum lies between |H| and sqrt(3) |H|, few of the 15 need their singular values.

References:
    Pinsky, Avnir, Inorg. Chem. 37, 5575 (1998), doi:10.1021/ic9804925;
    Waroquiers et al., Chem. Mater. 29, 8346 (2017), doi:10.1021/acs.chemmater.7b02766 (ChemEnv).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput

Floats = NDArray[np.float64]


def _pairings(corners: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Every way to split corners into pairs."""
    if not corners:
        yield ()
        return
    first, *others = corners
    for partner in others:
        for rest in _pairings(tuple(corner for corner in others if corner != partner)):
            yield ((first, partner), *rest)


_AXES = np.array(list(_pairings((0, 1, 2, 3, 4, 5))))  # (15, 3, 2)


def octahedral_symmetry_measure(anions_A: Floats) -> Floats:
    """S of each octahedron, 0 (regular) to 100.

    Args:
        anions_A: shape (..., 6, 3), from M to each X.

    Returns:
        shape (...).

    Raises:
        InvalidInput: not six vectors, NaN, or all seven atoms at one point.
    """
    anions_A = np.asarray(anions_A, dtype=np.float64)
    if anions_A.shape[-2:] != (6, 3):
        raise InvalidInput(f"MX6 needs vectors of shape (..., 6, 3), got {anions_A.shape}")
    q_A = anions_A.reshape(-1, 6, 3)
    centroids_A = q_A.sum(axis=1) / 7
    # sum |q - c|² over the six anions and M at the origin
    sizes_A2 = np.square(q_A).sum(axis=(1, 2)) - 7 * np.square(centroids_A).sum(axis=1)
    if not (sizes_A2 > 0).all():
        raise InvalidInput("an MX6 has NaN coordinates or all its atoms at one point")
    # |H|² of every assignment, (n, 15)
    lengths_A2 = np.square(q_A[:, :, None] - q_A[:, None]).sum(axis=3)
    norms_A2 = lengths_A2[:, _AXES[..., 0], _AXES[..., 1]].sum(axis=2)
    likeliest = norms_A2.argmax(axis=1)
    overlaps_A = _overlaps(q_A, likeliest)
    open_ones = 3 * norms_A2 > np.square(overlaps_A)[:, None]
    open_ones[np.arange(len(q_A)), likeliest] = False
    which, assignment = np.nonzero(open_ones)
    np.maximum.at(overlaps_A, which, _overlaps(q_A[which], assignment))
    measures: Floats = 100 * (1 - np.square(overlaps_A) / (6 * sizes_A2))
    return np.maximum(measures, 0.0, out=measures).reshape(anions_A.shape[:-2])


def _overlaps(q_A: Floats, assignment: NDArray[np.int64]) -> Floats:
    """Sum of the singular values of H, for one assignment of each octahedron."""
    rows = np.arange(len(q_A))[:, None]
    axes = _AXES[assignment]
    differences_A = q_A[rows, axes[..., 0]] - q_A[rows, axes[..., 1]]
    overlaps_A: Floats = np.linalg.svd(differences_A, compute_uv=False).sum(axis=1)
    return overlaps_A
