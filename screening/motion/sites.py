"""The sites of the mobile ions, from the basins of their density."""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from screening.errors import UnusableRun
from screening.motion.density import ProbabilityDensity
from screening.motion.periodic_sets import root_of

BLUR_A = 0.3
PROMINENCE_KT = 1.0
CORE_KT = 1.0
MIN_OCCUPANCY = 0.02


def find_sites(density: ProbabilityDensity) -> NDArray[np.float64]:
    """Fractional coordinates of the places where ions stay.

    The density is blurred by `BLUR_A`, about the amplitude of a vibration, so that noise makes no
    maxima of its own. A site is a maximum that stands out by at least `PROMINENCE_KT` in -ln p
    from every pass to a higher one, and whose basin holds an ion for at least `MIN_OCCUPANCY` of
    the time; anything less counts as part of the path. It lies at the centre of the density within
    `CORE_KT` of the maximum.

    Returns:
        shape (n_sites, 3), in [0, 1), the most occupied first.

    Raises:
        UnusableRun: no site: the ions stay nowhere.
    """
    blurred = _blurred(density)
    occupied = np.flatnonzero(blurred > 0)
    order = occupied[np.argsort(-blurred.ravel()[occupied], kind="stable")]
    basin = _basins(blurred.ravel(), order, *density.shape, np.exp(-PROMINENCE_KT))
    roots, basin = np.unique(basin, return_inverse=True)
    visits = density.visits.sum(axis=0).ravel()[order]
    occupancy = np.bincount(basin, visits) / density.n_frames
    by_occupancy = np.argsort(-occupancy, kind="stable")
    sites = [
        _centre(order[basin == label], order[roots[label]], blurred)
        for label in by_occupancy
        if occupancy[label] >= MIN_OCCUPANCY
    ]
    if not sites:
        raise UnusableRun(
            f"no place holds an ion for {MIN_OCCUPANCY:.0%} of the time: these ions have no sites"
        )
    return np.array(sites)


def shortest_distances_A(
    sites: NDArray[np.float64], cell_A: NDArray[np.float64]
) -> NDArray[np.float64]:
    """From each site to the nearest other one or image of itself, shape (n_sites,), Å."""
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=float)
    nearest_A = np.empty(len(sites))
    for i, site in enumerate(sites):
        between = sites - site
        between = (between - np.round(between))[:, None] + images
        distances_A = np.linalg.norm(between @ cell_A, axis=2)
        distances_A[i, len(images) // 2] = np.inf
        nearest_A[i] = distances_A.min()
    return nearest_A


def _blurred(density: ProbabilityDensity) -> NDArray[np.float64]:
    """Visits under a Gaussian of width `BLUR_A` along each lattice vector."""
    edges_A = np.linalg.norm(density.cell_A, axis=1) / density.shape
    return np.asarray(
        ndimage.gaussian_filter(
            density.visits.sum(axis=0, dtype=np.float64), BLUR_A / edges_A, mode="wrap"
        )
    )


def _centre(
    voxels: NDArray[np.int64], top: np.int64, blurred: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Centre of the blurred density near the top of a basin, fractional."""
    weights = blurred.ravel()[voxels]
    core = weights >= blurred.ravel()[top] * np.exp(-CORE_KT)
    at = (np.stack(np.unravel_index(voxels[core], blurred.shape), axis=1) + 0.5) / blurred.shape
    origin = (np.array(np.unravel_index(top, blurred.shape)) + 0.5) / blurred.shape
    off = at - origin
    off -= np.round(off)
    return np.asarray((origin + np.average(off, axis=0, weights=weights[core])) % 1.0)


@njit(cache=True)
def _basins(heights, order, na, nb, nc, keep):  # type: ignore[no-untyped-def]
    """Basin of each voxel in `order`, by the position of the basin's top in `order`.

    A voxel joins its highest neighbour's basin; where basins meet at a height above `keep` times
    the lower top, the lower basin is no more than a shoulder of the higher one.
    """
    n = len(order)
    place = np.full(len(heights), -1, dtype=np.int64)
    parent = np.arange(n)
    no_shift = np.zeros((n, 3), dtype=np.int32)
    for here in range(n):
        voxel = order[here]
        place[voxel] = here
        i, j, k = voxel // (nb * nc), voxel // nc % nb, voxel % nc
        # the neighbour that was added first is the highest
        highest = n
        for step in range(27):
            there = _neighbour(place, i, j, k, step, na, nb, nc)
            if 0 <= there < min(highest, here):
                highest = there
        if highest == n:
            continue
        parent[here] = root_of(parent, no_shift, highest)[0]
        for step in range(27):
            there = _neighbour(place, i, j, k, step, na, nb, nc)
            if there < 0 or there == here:
                continue
            one = root_of(parent, no_shift, here)[0]
            other = root_of(parent, no_shift, there)[0]
            low, high = max(one, other), min(one, other)
            if low != high and heights[voxel] > keep * heights[order[low]]:
                parent[low] = high
    basins = np.empty(n, dtype=np.int64)
    for here in range(n):
        basins[here] = root_of(parent, no_shift, here)[0]
    return basins


@njit(cache=True)
def _neighbour(place, i, j, k, step, na, nb, nc):  # type: ignore[no-untyped-def]
    di, dj, dk = step // 9 - 1, step // 3 % 3 - 1, step % 3 - 1
    return place[((i + di) % na * nb + (j + dj) % nb) * nc + (k + dk) % nc]
