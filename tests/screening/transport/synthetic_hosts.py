"""Crystals of octahedra with mobile ions between them, whose host moves as a test asks."""

import numpy as np
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from screening.transport.trajectory import Trajectory

SPACING_A = 7.0
BOND_A = 2.4
CORNERS = np.concatenate([np.eye(3), -np.eye(3)])
FRAME_INTERVAL_PS = 0.05


def noise(rng, n_frames, *shape, memory_ps):
    """Ornstein–Uhlenbeck noise of unit variance, stationary from the first frame."""
    kept = np.exp(-FRAME_INTERVAL_PS / memory_ps)
    kicks = rng.standard_normal((n_frames, *shape))
    kicks[1:] *= np.sqrt(1 - kept**2)
    return lfilter([1], [1, -kept], kicks, axis=0)


def octahedra(
    rng,
    n_frames=400,
    *,
    grid=(2, 2, 2),
    rattle_A=0.15,
    centres_A=0.0,
    rotations=None,
    anions_A=0.0,
    **series,
):
    """K2TaCl6: Ta on a cubic grid, six Cl about each, two K beside it.

    Args:
        rng: random numbers.
        n_frames: 0.05 ps apart.
        grid: octahedra along the axes.
        rattle_A: standard deviation of the vibration of all atoms along each axis.
        centres_A: displacements of whole octahedra, broadcast to (n_frames, n_octahedra, 3).
        rotations: rotation vectors of the octahedra, shape (n_frames, n_octahedra, 3).
        anions_A: displacements of single anions, broadcast to (n_frames, n_octahedra, 6, 3).
        series: further fields of the trajectory.
    """
    sites_A = SPACING_A * np.argwhere(np.ones(grid))
    n = len(sites_A)
    centres = sites_A + np.broadcast_to(centres_A, (n_frames, n, 3))
    arms = np.broadcast_to(BOND_A * CORNERS, (n_frames, n, 6, 3))
    if rotations is not None:
        turned = np.array(rotations).reshape(-1, 3)
        arms = np.einsum("xij,cj->xci", Rotation.from_rotvec(turned).as_matrix(), BOND_A * CORNERS)
        arms = arms.reshape(n_frames, n, 6, 3)
    anions = (centres[:, :, None] + arms + anions_A).reshape(n_frames, -1, 3)
    ions = np.repeat(sites_A, 2, axis=0) + np.tile([[1.75] * 3, [-1.75] * 3], (n, 1))
    ions = np.broadcast_to(ions, (n_frames, 2 * n, 3))
    positions_A = np.concatenate([ions, centres, anions], axis=1)
    positions_A = positions_A + rattle_A * noise(rng, *positions_A.shape, memory_ps=0.1)
    return Trajectory(
        positions_A=positions_A.astype(np.float32),
        cell_A=SPACING_A * np.diag(grid).astype(float),
        species=("K",) * (2 * n) + ("Ta",) * n + ("Cl",) * (6 * n),
        timestep_fs=2.0,
        stride=25,
        temperature_K=800.0,
        **series,
    )
