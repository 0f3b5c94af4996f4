"""The mobile ions' paths in the frame of the framework."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from screening.errors import UnusableRun
from screening.transport.diffusivity import check_run
from screening.transport.msd import framework_mask, mobile_mask
from screening.transport.trajectory import Trajectory


def mobile_paths(trajectory: Trajectory, mobile_ion: str) -> NDArray[np.float64]:
    """Fractional coordinates of the mobile ions, unwrapped, relative to the framework.

    The framework's mean displacement since the first frame is subtracted, as
    `screening.transport.msd.series_from_framework` does.

    Returns:
        shape (n_frames, n_ions, 3).

    Raises:
        InvalidInput, UnusableRun: as `check_run`.
        UnusableRun: positions that are not finite, or ions that cross half the cell between two
            frames.
    """
    check_run(trajectory, mobile_ion)
    mobile = mobile_mask(trajectory, mobile_ion)
    paths, longest_step = _paths(
        trajectory.positions_A,
        np.flatnonzero(mobile),
        np.flatnonzero(framework_mask(trajectory, mobile_ion)),
        _inverse(trajectory.cell_A),
    )
    if not np.isfinite(longest_step):
        raise UnusableRun("positions are not finite; leave out the frames after the run flew apart")
    if longest_step > 0.5:
        raise UnusableRun(
            f"an ion crosses {longest_step:.2f} of the cell between two frames; unwrap the "
            "positions or store frames more often"
        )
    return np.asarray(paths)


def _inverse(cell_A: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.linalg.inv(np.asarray(cell_A, dtype=np.float64)))


@njit(cache=True)
def _paths(positions_A, mobile, framework, to_fractional):  # type: ignore[no-untyped-def]
    """Paths and the longest fractional step between frames; NaN where a position is not finite."""
    n_frames = len(positions_A)
    paths = np.empty((n_frames, len(mobile), 3))
    start_A, drift_A = np.zeros(3), np.zeros(3)
    longest_step = 0.0
    for frame in range(n_frames):
        for axis in range(3):
            mean_A = 0.0
            for atom in framework:
                mean_A += positions_A[frame, atom, axis]
            mean_A /= len(framework)
            if frame == 0:
                start_A[axis] = mean_A
            drift_A[axis] = mean_A - start_A[axis]
        for i, atom in enumerate(mobile):
            x = positions_A[frame, atom, 0] - drift_A[0]
            y = positions_A[frame, atom, 1] - drift_A[1]
            z = positions_A[frame, atom, 2] - drift_A[2]
            for axis in range(3):
                at = (
                    x * to_fractional[0, axis]
                    + y * to_fractional[1, axis]
                    + z * to_fractional[2, axis]
                )
                if not np.isfinite(at):
                    return paths, np.nan
                paths[frame, i, axis] = at
                if frame > 0:
                    longest_step = max(longest_step, abs(at - paths[frame - 1, i, axis]))
    return paths, longest_step
