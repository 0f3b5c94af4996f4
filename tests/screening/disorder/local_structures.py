"""Atoms whose local structure is known."""

import numpy as np
from scipy.spatial.transform import Rotation

from screening.transport.trajectory import Trajectory

OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
SKEWED_A = np.array([[9.0, 0.3, -0.2], [2.5, 8.0, 0.4], [-1.5, 2.0, 7.5]])


def trajectory_at(positions_A, cell_A, species, temperature_K=600.0):
    return Trajectory(
        positions_A=np.asarray(positions_A, dtype=np.float32),
        cell_A=np.asarray(cell_A, dtype=np.float64),
        species=tuple(species),
        timestep_fs=2.0,
        stride=10,
        temperature_K=temperature_K,
    )


def gas(n_frames, species, cell_A=SKEWED_A, seed=0):
    """Atoms anywhere, each frame anew, and unwrapped by whole cells."""
    rng = np.random.default_rng(seed)
    fractional = rng.uniform(-3, 3, (n_frames, len(species), 3))
    return trajectory_at(fractional @ cell_A, cell_A, species)


def antifluorite(n_frames=40, rattle_A=0.08, bond_A=2.35, seed=0):
    """K2PtCl6's structure, a = 10 Å: octahedra MX6 on a face-centred lattice, K between them."""
    rng = np.random.default_rng(seed)
    cell_A = np.eye(3) * 10.0
    centres = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) * 10.0
    between = np.array(
        [[i, j, k] for i in (0.25, 0.75) for j in (0.25, 0.75) for k in (0.25, 0.75)]
    )
    anions_A = (centres[:, None] + bond_A * OCTAHEDRON).reshape(-1, 3)
    sites_A = np.concatenate([between * 10.0, centres, anions_A])
    species = ["K"] * 8 + ["Ta"] * 4 + ["Cl"] * 24
    noise_A = rng.normal(scale=rattle_A, size=(n_frames, len(species), 3))
    return trajectory_at(sites_A + noise_A, cell_A, species)


def turned(points, seed):
    """Points turned by a random rotation."""
    return points @ Rotation.random(random_state=seed).as_matrix().T
