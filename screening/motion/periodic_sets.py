"""Sets of places in a periodic cell that know along which lattice vectors they join themselves.

Union-find in which each place carries its shift, in cells, from the root of its set. A link within
a set that does not agree with the shifts closes a loop through the crystal; its winding, in cells,
is kept. The number of linearly independent windings is the dimension in which the set percolates.
Small functions on arrays, for use inside compiled loops: `parent` (n,), `shift` (n, 3), `windings`
(n, 3, 3) and `rank` (n,), made by `new_sets`.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def new_sets(n):  # type: ignore[no-untyped-def]
    """Every place a set of its own."""
    return (
        np.arange(n),
        np.zeros((n, 3), dtype=np.int32),
        np.zeros((n, 3, 3), dtype=np.int32),
        np.zeros(n, dtype=np.int8),
    )


@njit(cache=True)
def root_of(parent, shift, place):  # type: ignore[no-untyped-def]
    """Root of a place's set and the place's shift from it."""
    x, y, z = 0, 0, 0
    while parent[place] != place:
        above = parent[place]
        for axis in range(3):
            shift[place, axis] += shift[above, axis]
        parent[place] = parent[above]
        x += shift[place, 0]
        y += shift[place, 1]
        z += shift[place, 2]
        place = parent[place]
    return place, x, y, z


@njit(cache=True)
def add_winding(windings, rank, root, x, y, z):  # type: ignore[no-untyped-def]
    """Keep a winding that is independent of those the set has."""
    known = rank[root]
    if known == 3 or (x == 0 and y == 0 and z == 0):
        return
    if known >= 1:
        a, b, c = windings[root, 0, 0], windings[root, 0, 1], windings[root, 0, 2]
        p, q, r = b * z - c * y, c * x - a * z, a * y - b * x
        if p == 0 and q == 0 and r == 0:
            return
        if known == 2:
            first = windings[root, 1, 0] * p + windings[root, 1, 1] * q
            if first + windings[root, 1, 2] * r == 0:
                return
    windings[root, known, 0] = x
    windings[root, known, 1] = y
    windings[root, known, 2] = z
    rank[root] = known + 1


@njit(cache=True)
def link(parent, shift, windings, rank, one, other, x, y, z):  # type: ignore[no-untyped-def]
    """Join `one` and the image of `other` in cell (x, y, z); the root and the winding closed.

    The root of the joined set is the lower of the two.
    """
    root, x1, y1, z1 = root_of(parent, shift, one)
    child, x2, y2, z2 = root_of(parent, shift, other)
    x, y, z = x + x1 - x2, y + y1 - y2, z + z1 - z2
    if root == child:
        add_winding(windings, rank, root, x, y, z)
        return root, x, y, z
    if child < root:
        root, child, x, y, z = child, root, -x, -y, -z
    parent[child] = root
    shift[child, 0] = x
    shift[child, 1] = y
    shift[child, 2] = z
    for i in range(rank[child]):
        add_winding(
            windings,
            rank,
            root,
            windings[child, i, 0],
            windings[child, i, 1],
            windings[child, i, 2],
        )
    return root, 0, 0, 0
