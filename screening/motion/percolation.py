"""At which energy a periodic landscape lets a particle through, in one, two, three dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from screening.motion.density import N_PARTS, ProbabilityDensity
from screening.motion.documents import Percolation
from screening.motion.periodic_sets import link, new_sets


@dataclass(frozen=True)
class Thresholds:
    """Barriers of a landscape, in its own unit; inf where nothing percolates.

    Args:
        by_dimension: for percolation in at least one, two, three dimensions.
        along: for getting on along each lattice vector.
    """

    by_dimension: tuple[float, float, float]
    along: tuple[float, float, float]

    @property
    def dimension(self) -> int:
        """Dimensions in which the finite part of the landscape percolates."""
        return sum(np.isfinite(self.by_dimension))


def percolation_thresholds(landscape: NDArray[np.floating]) -> Thresholds:
    """Exact percolation barriers of a periodic landscape.

    Voxels are added in the order of their energies to sets of neighbours (faces, edges and
    corners) that know their windings (`periodic_sets`). The energy at which some set first winds
    in d independent directions, less the lowest energy of that set, is the barrier for d.

    Args:
        landscape: shape (na, nb, nc), any unit; inf cannot be entered.

    Returns:
        inf where the finite voxels do not percolate.
    """
    na, nb, nc = landscape.shape
    flat = np.ascontiguousarray(landscape).ravel()
    open_voxels = np.flatnonzero(np.isfinite(flat))
    order = open_voxels[np.argsort(flat[open_voxels], kind="stable")]
    by_dimension, along = _thresholds(flat, order, na, nb, nc)
    one, two, three = by_dimension.tolist()
    a, b, c = along.tolist()
    return Thresholds((one, two, three), (a, b, c))


def density_percolation(density: ProbabilityDensity) -> Percolation:
    """Percolation of -kT ln p, with errors by leaving out each quarter of the run in turn.

    For ions that do not interact, -kT ln p is the potential they move in, and the barrier that of
    the potential. For others it is the potential of mean force on one ion.
    """
    whole = percolation_thresholds(density.free_energy_eV())
    barriers_eV = [barrier for barrier in whole.by_dimension if np.isfinite(barrier)]
    errors_eV: list[float | None] = [None] * len(barriers_eV)
    if barriers_eV:
        parts = [
            percolation_thresholds(density.free_energy_eV(without_part=part)).by_dimension
            for part in range(N_PARTS)
        ]
        for i, values in enumerate(np.array(parts).T[: len(barriers_eV)]):
            if np.isfinite(values).all():
                # the variance of a jackknife with one of N_PARTS groups left out
                errors_eV[i] = float(np.sqrt((N_PARTS - 1) * values.var()))
    along = [barrier if np.isfinite(barrier) else None for barrier in whole.along]
    return Percolation(
        dimension=len(barriers_eV),
        barriers_eV=tuple(barriers_eV),
        errors_eV=tuple(errors_eV),
        barriers_along_abc_eV=(along[0], along[1], along[2]),
        seen_up_to_eV=density.seen_up_to_eV(),
        spacing_A=density.spacing_A,
    )


@njit(cache=True)
def _thresholds(energies, order, na, nb, nc):  # type: ignore[no-untyped-def]
    """Barriers by dimension and along each lattice vector."""
    n = len(order)
    # places are numbered in the order in which they are added: a set's root is its lowest place
    place = np.full(len(energies), -1, dtype=np.int64)
    parent, shift, windings, rank = new_sets(n)
    by_dimension = np.full(3, np.inf)
    along = np.full(3, np.inf)
    reached = 0
    for here in range(n):
        voxel = order[here]
        place[voxel] = here
        i, j, k = voxel // (nb * nc), voxel // nc % nb, voxel % nc
        root = here
        gets_on = np.zeros(3, dtype=np.bool_)
        for di in range(-1, 2):
            for dj in range(-1, 2):
                for dk in range(-1, 2):
                    if di == 0 and dj == 0 and dk == 0:
                        continue
                    x, y, z = (i + di) // na, (j + dj) // nb, (k + dk) // nc
                    there = place[
                        ((i + di - x * na) * nb + (j + dj - y * nb)) * nc + (k + dk - z * nc)
                    ]
                    if there >= 0:
                        root, p, q, r = link(parent, shift, windings, rank, here, there, x, y, z)
                        gets_on[0] |= p != 0
                        gets_on[1] |= q != 0
                        gets_on[2] |= r != 0
        barrier = energies[voxel] - energies[order[root]]
        for axis in range(3):
            if gets_on[axis] and along[axis] == np.inf:
                along[axis] = barrier
        while reached < rank[root]:
            by_dimension[reached] = barrier
            reached += 1
        if reached == 3:
            break
    return by_dimension, along
