"""Sobol's sequence: points that fill a cube more evenly than random ones.

Reference:
    Joe, Kuo, SIAM J. Sci. Comput. 30, 2635 (2008), doi:10.1137/070709359: the primitive polynomials
    and first direction numbers that make projections on pairs of axes even, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BITS = 30
# Of each axis but the first: the coefficients of the polynomial as bits, and the direction numbers.
_AXES = (
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
    (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
    (61, (1, 3, 5, 5, 31)),
    (67, (1, 3, 3, 9, 7, 49)),
    (91, (1, 1, 1, 15, 21, 21)),
    (97, (1, 3, 1, 13, 27, 49)),
)
MAX_AXES = len(_AXES) + 1


def sobol(n_axes: int, log2_n_points: int) -> NDArray[np.float64]:
    """The first points, the origin among them, of the sequence that is not scrambled.

    Each axis has a number for each bit of the (Gray-coded) place of a point; those of the bits that
    are set are added without carrying. The points are those of `scipy.stats.qmc`, which is asked
    for more than `MAX_AXES` axes alone: its import takes more memory and time than all else that an
    Arrhenius law needs.

    Args:
        n_axes: of the cube.
        log2_n_points: up to 30.

    Returns:
        shape (2**log2_n_points, n_axes), from 0 to 1.
    """
    if n_axes > MAX_AXES:
        from scipy.stats import qmc

        sequence = qmc.Sobol(n_axes, scramble=False)
        return np.asarray(sequence.random_base2(log2_n_points), dtype=np.float64)
    places = np.arange(2**log2_n_points, dtype=np.uint32)
    gray = places ^ (places >> 1)
    points = np.zeros((len(places), n_axes), dtype=np.uint32)
    for axis in range(n_axes):
        for bit, direction in enumerate(_directions(axis)[:log2_n_points]):
            points[:, axis] ^= ((gray >> bit) & 1) * np.uint32(direction)
    return points / 2.0**_BITS


def _directions(axis: int) -> list[int]:
    """Of an axis, for the lowest bit of the place first; as fractions of 2**_BITS."""
    if axis == 0:
        return [1 << (_BITS - 1 - bit) for bit in range(_BITS)]
    polynomial, first = _AXES[axis - 1]
    degree = len(first)
    numbers = list(first)
    for bit in range(degree, _BITS):
        number = numbers[bit - degree] ^ (numbers[bit - degree] << degree)
        for k in range(1, degree):
            if polynomial >> (degree - k) & 1:
                number ^= numbers[bit - k] << k
        numbers.append(number)
    return [number << (_BITS - 1 - bit) for bit, number in enumerate(numbers)]
