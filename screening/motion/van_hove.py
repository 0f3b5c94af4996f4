"""The van Hove function: how far ions get in a time, and who is then where they were."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from screening.cells import perpendicular_widths_A
from screening.motion.documents import VanHove, VanHoveCurve

SHELL_A = 0.1
MAX_SELF_R_A = 15.0
LAG_FRACTIONS = (0.0, 1 / 64, 1 / 16, 1 / 4)
MAX_SELF_ORIGINS = 2000
MAX_DISTINCT_ORIGINS = 200
MAX_DISTINCT_PAIRS = 2e7


def van_hove(
    paths: NDArray[np.float64], cell_A: NDArray[np.float64], *, frame_interval_ps: float
) -> VanHove:
    """Self and distinct parts at lag 0 and at a 64th, a 16th and a quarter of the run.

    G_s(r, t) is the density of |r_i(t0 + t) - r_i(t0)|, G_d(r, t) that of the other ions at t0 + t
    around where ion i was at t0; both are averages over ions and, evenly spread, up to
    `MAX_SELF_ORIGINS` and `MAX_DISTINCT_ORIGINS` time origins, fewer where those would make more
    than `MAX_DISTINCT_PAIRS` pairs of ions. G_d reaches to half the cell's width and is divided by
    (n_ions - 1) / volume, so that it tends to 1.

    Args:
        paths: shape (n_frames, n_ions, 3), fractional, unwrapped.
        cell_A: shape (3, 3), lattice vectors as rows.
        frame_interval_ps: time between frames.

    Reference:
        van Hove, Phys. Rev. 95, 249 (1954), doi:10.1103/PhysRev.95.249.
    """
    n_frames, n_ions, _ = paths.shape
    cell_A = np.ascontiguousarray(cell_A, dtype=np.float64)
    lags = sorted({round(n_frames * fraction) for fraction in LAG_FRACTIONS})
    half_width_A = perpendicular_widths_A(cell_A).min() / 2
    n_distinct = max(1, int(half_width_A / SHELL_A))
    volume_A3 = abs(float(np.linalg.det(cell_A)))
    edges_A = SHELL_A * np.arange(n_distinct + 1)
    shells_A3 = 4 / 3 * np.pi * np.diff(edges_A**3)
    n_self = int(MAX_SELF_R_A / SHELL_A)
    n_origins = int(np.clip(MAX_DISTINCT_PAIRS / n_ions**2, 1, MAX_DISTINCT_ORIGINS))
    selves, distincts = [], []
    for lag in lags:
        origins = _origins(n_frames - lag, MAX_SELF_ORIGINS)
        counts = _count_self(paths, cell_A, lag, origins, n_self, SHELL_A)
        selves.append(counts / (len(origins) * n_ions * SHELL_A))
        origins = _origins(n_frames - lag, n_origins)
        pairs = _count_distinct(paths, cell_A, lag, origins, n_distinct, SHELL_A)
        ideal = len(origins) * n_ions * max(n_ions - 1, 1) * shells_A3 / volume_A3
        distincts.append(pairs / ideal)
    reached = max(int(np.flatnonzero(counts).max()) for counts in selves if counts.any()) + 1
    return VanHove(
        self_r_A=tuple((SHELL_A * (np.arange(reached) + 0.5)).round(3).tolist()),
        distinct_r_A=tuple((SHELL_A * (np.arange(n_distinct) + 0.5)).round(3).tolist()),
        curves=tuple(
            VanHoveCurve(
                lag_ps=lag * frame_interval_ps,
                self_per_A=tuple(own[:reached].tolist()),
                distinct=tuple(other.tolist()),
            )
            for lag, own, other in zip(lags, selves, distincts, strict=True)
        ),
    )


def _origins(n_possible: int, n_wanted: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n_possible - 1, min(n_possible, n_wanted)).astype(np.int64))


@njit(cache=True)
def _length_A(a, b, c, cell_A):  # type: ignore[no-untyped-def]
    squared_A2 = 0.0
    for axis in range(3):
        along_A = a * cell_A[0, axis] + b * cell_A[1, axis] + c * cell_A[2, axis]
        squared_A2 += along_A * along_A
    return np.sqrt(squared_A2)


@njit(cache=True)
def _count_self(paths, cell_A, lag, origins, n_shells, shell_A):  # type: ignore[no-untyped-def]
    counts = np.zeros(n_shells)
    for origin in origins:
        for ion in range(paths.shape[1]):
            a = paths[origin + lag, ion, 0] - paths[origin, ion, 0]
            b = paths[origin + lag, ion, 1] - paths[origin, ion, 1]
            c = paths[origin + lag, ion, 2] - paths[origin, ion, 2]
            shell = int(_length_A(a, b, c, cell_A) / shell_A)
            if shell < n_shells:
                counts[shell] += 1
    return counts


@njit(cache=True)
def _count_distinct(paths, cell_A, lag, origins, n_shells, shell_A):  # type: ignore[no-untyped-def]
    """Pairs within half the cell's width, where the rounded image is the nearest."""
    counts = np.zeros(n_shells)
    n_ions = paths.shape[1]
    for origin in origins:
        for one in range(n_ions):
            for other in range(n_ions):
                if one == other:
                    continue
                a = paths[origin + lag, other, 0] - paths[origin, one, 0]
                b = paths[origin + lag, other, 1] - paths[origin, one, 1]
                c = paths[origin + lag, other, 2] - paths[origin, one, 2]
                a -= np.round(a)
                b -= np.round(b)
                c -= np.round(c)
                shell = int(_length_A(a, b, c, cell_A) / shell_A)
                if shell < n_shells:
                    counts[shell] += 1
    return counts
