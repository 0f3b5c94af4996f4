"""Do neighbours jump together more often than chance has it?"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from screening.motion.jumps import JumpEvents

CONCERTED_PS = 0.5
CONCERTED_REACH = 1.5
MAX_SAMPLE = 2000


def concerted_pairs(
    events: JumpEvents,
    sites: NDArray[np.float64],
    cell_A: NDArray[np.float64],
    *,
    frame_interval_ps: float,
) -> tuple[int, float]:
    """Pairs of jumps by neighbours within `CONCERTED_PS`: found, and expected by chance.

    Neighbours: the sites that two ions leave are no farther apart than `CONCERTED_REACH` times the
    longer of the two jumps. By chance as many pairs coincide as the same jumps at unrelated times
    would; the share of neighbours among all pairs is that of up to `MAX_SAMPLE` jumps.

    Returns:
        (0, 0.0) where there is nothing to compare: a single jump, or a run shorter than two
        windows.
    """
    n_frames = int(events.frames_at.sum(axis=1).max())
    window = int(CONCERTED_PS / frame_interval_ps + 1e-9)
    n = len(events)
    if n < 2 or n_frames <= 2 * (window + 1):
        return 0, 0.0
    in_time = np.argsort(events.frame, kind="stable")
    sample = np.unique(np.linspace(0, n - 1, min(n, MAX_SAMPLE)).astype(np.int64))
    starts = sites[events.origin]
    reaches_A = CONCERTED_REACH * np.linalg.norm(events.vector_A, axis=1)
    cell_A = np.ascontiguousarray(cell_A, dtype=np.float64)

    def neighbours(chosen: NDArray[np.int64], within: int) -> int:
        return int(
            _neighbours(
                events.ion[chosen],
                events.frame[chosen],
                starts[chosen],
                reaches_A[chosen],
                cell_A,
                within,
            )
        )

    found = neighbours(in_time, window)
    sampled = neighbours(in_time[sample], n_frames)
    share = sampled / (sample.size * (sample.size - 1) / 2)
    # two frames of n, chosen at random, lie no farther apart than the window
    chance = ((2 * window + 1) * n_frames - window * (window + 1)) / n_frames**2
    return found, float(share * n * (n - 1) / 2 * chance)


@njit(cache=True)
def _neighbours(ions, frames, starts, reaches_A, cell_A, window):  # type: ignore[no-untyped-def]
    """Pairs of jumps of different ions, near in space and within the window; ordered by frame."""
    n_pairs = 0
    for i in range(len(ions)):
        for j in range(i + 1, len(ions)):
            if frames[j] - frames[i] > window:
                break
            if ions[i] == ions[j]:
                continue
            a = starts[j, 0] - starts[i, 0]
            b = starts[j, 1] - starts[i, 1]
            c = starts[j, 2] - starts[i, 2]
            a, b, c = a - np.round(a), b - np.round(b), c - np.round(c)
            squared_A2 = 0.0
            for axis in range(3):
                along_A = a * cell_A[0, axis] + b * cell_A[1, axis] + c * cell_A[2, axis]
                squared_A2 += along_A * along_A
            n_pairs += squared_A2 <= max(reaches_A[i], reaches_A[j]) ** 2
    return n_pairs
