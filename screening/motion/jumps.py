"""Jumps of the mobile ions between sites.

An ion is at a site while it is in the site's core, a ball of a third of the way to the nearest
site; from there on it belongs to the site until it enters the core of another. Ions that leave a
core and come back have not jumped: a crossing counts once, whatever the ion does on the pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from screening.cells import perpendicular_widths_A
from screening.errors import InvalidInput, UnusableRun
from screening.motion.sites import shortest_distances_A

CORE_SHARE = 1 / 3


@dataclass(frozen=True, eq=False)
class JumpEvents:
    """Who jumped when from where to where, ordered by ion, then by time.

    Args:
        ion: shape (n_jumps,), from 0, in the order of the mobile ions.
        frame: shape (n_jumps,), the first in the new core.
        origin: shape (n_jumps,), number of the site left.
        target: shape (n_jumps,), number of the site entered.
        image: shape (n_jumps, 3), cell of the target relative to that of the origin.
        vector_A: shape (n_jumps, 3), from site to site, Cartesian.
        frames_at: shape (n_ions, n_sites), frames each ion belonged to each site.
    """

    ion: NDArray[np.int64]
    frame: NDArray[np.int64]
    origin: NDArray[np.int64]
    target: NDArray[np.int64]
    image: NDArray[np.int64]
    vector_A: NDArray[np.float64]
    frames_at: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ion)


def find_jumps(
    paths: NDArray[np.float64], sites: NDArray[np.float64], cell_A: NDArray[np.float64]
) -> JumpEvents:
    """All jumps of ions between sites.

    Args:
        paths: shape (n_frames, n_ions, 3), fractional, unwrapped.
        sites: shape (n_sites, 3), fractional; from `find_sites`, or those of a structure.
        cell_A: shape (3, 3), lattice vectors as rows.

    Raises:
        InvalidInput: no site, or two sites at one place.
        UnusableRun: no ion ever enters a core.
    """
    sites = np.ascontiguousarray(sites, dtype=np.float64)
    if sites.ndim != 2 or sites.shape[1:] != (3,) or not len(sites):
        raise InvalidInput(f"sites of shape {sites.shape}; (n_sites, 3) with one or more needed")
    distances_A = shortest_distances_A(sites, cell_A)
    if not distances_A.min() > 0:
        raise InvalidInput("two sites at one place; give each site once")
    # beyond half the cell's width the rounded image is not the nearest
    half_width_A = perpendicular_widths_A(cell_A).min() / 2
    cores_A = np.minimum(CORE_SHARE * distances_A, half_width_A)
    at, image = _assign(paths, sites, np.ascontiguousarray(cell_A, dtype=np.float64), cores_A)
    if not (at >= 0).any():
        raise UnusableRun("no ion ever is at one of the sites; give the sites of these ions")
    moved = (at[:-1] != at[1:]) | (image[:-1] != image[1:]).any(axis=2)
    ion, before = np.nonzero((moved & (at[:-1] >= 0)).T)
    origin, target = at[before, ion].astype(np.int64), at[before + 1, ion].astype(np.int64)
    shift = (image[before + 1, ion] - image[before, ion]).astype(np.int64)
    n_ions, n_sites = at.shape[1], len(sites)
    owner = np.broadcast_to(np.arange(n_ions), at.shape)[at >= 0]
    return JumpEvents(
        ion=ion,
        frame=before + 1,
        origin=origin,
        target=target,
        image=shift,
        vector_A=(sites[target] + shift - sites[origin]) @ cell_A,
        frames_at=np.bincount(owner * n_sites + at[at >= 0], minlength=n_ions * n_sites).reshape(
            n_ions, n_sites
        ),
    )


@njit(cache=True)
def _assign(paths, sites, cell_A, cores_A):  # type: ignore[no-untyped-def]
    """Site each ion belongs to in each frame, -1 before the first, and the site's cell."""
    n_frames, n_ions, _ = paths.shape
    at = np.full((n_frames, n_ions), -1, dtype=np.int32)
    image = np.zeros((n_frames, n_ions, 3), dtype=np.int16)
    for ion in range(n_ions):
        site, x, y, z = -1, 0, 0, 0
        for frame in range(n_frames):
            a, b, c = paths[frame, ion, 0], paths[frame, ion, 1], paths[frame, ion, 2]
            found = site
            if site < 0 or not _inside(a, b, c, sites[site], x, y, z, cell_A, cores_A[site]):
                for other in range(len(sites)):
                    p = int(np.round(a - sites[other, 0]))
                    q = int(np.round(b - sites[other, 1]))
                    r = int(np.round(c - sites[other, 2]))
                    if _inside(a, b, c, sites[other], p, q, r, cell_A, cores_A[other]):
                        found, x, y, z = other, p, q, r
                        break
            site = found
            at[frame, ion] = site
            image[frame, ion, 0] = x
            image[frame, ion, 1] = y
            image[frame, ion, 2] = z
    return at, image


@njit(cache=True)
def _inside(a, b, c, site, x, y, z, cell_A, core_A):  # type: ignore[no-untyped-def]
    a, b, c = a - site[0] - x, b - site[1] - y, c - site[2] - z
    squared_A2 = 0.0
    for axis in range(3):
        along_A = a * cell_A[0, axis] + b * cell_A[1, axis] + c * cell_A[2, axis]
        squared_A2 += along_A * along_A
    return squared_A2 <= core_A * core_A
