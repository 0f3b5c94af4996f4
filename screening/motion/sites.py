"""The sites of the mobile ions, from the basins of their density."""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from screening.errors import UnusableRun
from screening.motion.density import ProbabilityDensity

BLUR_A = 0.3
PROMINENCE_KT = 1.0
CORE_KT = 1.0
MIN_OCCUPANCY = 0.02
DENSITY_FLOOR = 1e-3


def find_sites(density: ProbabilityDensity) -> NDArray[np.float64]:
    """Fractional coordinates of the places where ions stay.

    The density is blurred by `BLUR_A`, about the amplitude of a vibration, so that noise makes no
    maxima of its own. A site is a maximum that stands out by at least `PROMINENCE_KT` in -ln p
    from every pass to a higher one, and whose basin holds an ion for at least `MIN_OCCUPANCY` of
    the time; anything less counts as part of the path, and densities below `DENSITY_FLOOR` of the
    highest belong to no basin. It lies at the centre of the density within
    `CORE_KT` of the maximum.

    Returns:
        shape (n_sites, 3), in [0, 1), the most occupied first.

    Raises:
        UnusableRun: no site: the ions stay nowhere.
    """
    blurred = _blurred(density)
    heights = blurred.ravel()
    dense = np.flatnonzero(heights > DENSITY_FLOOR * heights.max())
    order = dense[np.argsort(-heights[dense], kind="stable")]
    tops, basin = np.unique(
        _basins(heights, order, *density.shape, np.exp(-PROMINENCE_KT)), return_inverse=True
    )
    visits = density.visits.sum(axis=0).ravel()[order]
    occupancy = np.bincount(basin, visits) / density.n_frames
    members = np.split(order[np.argsort(basin, kind="stable")], np.cumsum(np.bincount(basin))[:-1])
    sites = [
        _centre(members[label], order[tops[label]], blurred)
        for label in np.argsort(-occupancy, kind="stable")
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
    place = np.full(len(heights), n, dtype=np.int64)
    parent = np.arange(n)
    near = np.empty(27, dtype=np.int64)
    for here in range(n):
        voxel = order[here]
        i, j, k = voxel // (nb * nc), voxel // nc % nb, voxel % nc
        # the neighbour that was added first is the highest
        highest, n_near = n, 0
        for di in (na - 1, 0, 1):
            x = i + di if i + di < na else i + di - na
            for dj in (nb - 1, 0, 1):
                y = j + dj if j + dj < nb else j + dj - nb
                for dk in (nc - 1, 0, 1):
                    z = k + dk if k + dk < nc else k + dk - nc
                    there = place[(x * nb + y) * nc + z]
                    if there < n:
                        highest = min(highest, there)
                        near[n_near] = there
                        n_near += 1
        place[voxel] = here
        if highest == n:
            continue
        own = _top(parent, highest)
        parent[here] = own
        for there in near[:n_near]:
            other = _top(parent, there)
            if other == own:
                continue
            low, high = max(own, other), min(own, other)
            if heights[voxel] > keep * heights[order[low]]:
                parent[low] = high
                own = high
    for here in range(n):
        parent[here] = _top(parent, here)
    return parent


@njit(cache=True)
def _top(parent, here):  # type: ignore[no-untyped-def]
    while parent[here] != here:
        parent[here] = parent[parent[here]]
        here = parent[here]
    return here
