"""Trajectories with a known diffusivity: hopping ions, all atoms rattling about their sites."""

import numpy as np

from screening.transport.trajectory import Trajectory

CELL_A = np.diag([40.0, 42.0, 44.0])


def rattling(rng, shape, *, amplitude_A, correlation_frames):
    """Ornstein–Uhlenbeck noise along the first axis; stationary from the first frame."""
    memory = np.exp(-1.0 / correlation_frames)
    kicks = rng.normal(scale=amplitude_A, size=shape)
    kicks[1:] *= np.sqrt(1 - memory**2)
    for frame in range(1, shape[0]):
        kicks[frame] += memory * kicks[frame - 1]
    return kicks


def hopping(rng, n_frames, n_ions, *, hops_per_frame, hop_length_A):
    """Poisson hops along random axes: D = hops_per_frame hop_length² / 6 per frame."""
    counts = rng.poisson(hops_per_frame, size=(n_frames - 1, n_ions))
    path_A = np.zeros((n_frames, n_ions, 3))
    for frame, ion in np.argwhere(counts):
        for _ in range(counts[frame, ion]):
            path_A[frame + 1, ion, rng.integers(3)] += rng.choice([-1, 1]) * hop_length_A
    return np.cumsum(path_A, axis=0)


def brownian(rng, n_frames, n_ions, *, D_A2_per_frame):
    """Brownian motion with the given D."""
    steps = rng.normal(scale=np.sqrt(2 * D_A2_per_frame), size=(n_frames, n_ions, 3))
    steps[0] = 0.0
    return np.cumsum(steps, axis=0)


def to_and_fro(rng, n_frames, n_ions, *, hops_per_frame, hop_length_A):
    """Poisson hops along x between two sites: D = 0 after a memory of 1 / (2 hops_per_frame)."""
    hops = rng.random((n_frames, n_ions)) < hops_per_frame
    path_A = np.zeros((n_frames, n_ions, 3))
    path_A[:, :, 0] = hop_length_A * (np.cumsum(hops, axis=0) % 2)
    return path_A


def trajectory_of(
    rng,
    paths_A,
    *,
    n_framework=16,
    amplitude_A=0.25,
    correlation_frames=3.0,
    frame_interval_ps=0.05,
    temperature_K=800.0,
):
    """Put K on the paths, Ta and Cl on fixed sites, and let all of them rattle."""
    n_frames, n_ions, _ = paths_A.shape
    sites_A = rng.uniform(0, 20, size=(n_ions + n_framework, 3))
    positions_A = np.repeat(sites_A[None], n_frames, axis=0)
    positions_A[:, :n_ions] += paths_A
    if amplitude_A > 0:
        positions_A += rattling(
            rng,
            positions_A.shape,
            amplitude_A=amplitude_A,
            correlation_frames=correlation_frames,
        )
    n_ta = n_framework // 4
    return Trajectory(
        positions_A=positions_A.astype(np.float32),
        cell_A=CELL_A,
        species=("K",) * n_ions + ("Ta",) * n_ta + ("Cl",) * (n_framework - n_ta),
        timestep_fs=2.0,
        stride=round(frame_interval_ps * 1000 / 2.0),
        temperature_K=temperature_K,
    )
