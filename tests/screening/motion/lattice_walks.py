"""Ions on known sites with known jumps, and places drawn from a known potential."""

import numpy as np

from screening.transport.trajectory import Trajectory
from screening.units import BOLTZMANN_EV_PER_K

OBLIQUE_A = np.array([[12.0, 0.0, 0.0], [3.0, 11.0, 0.0], [-2.0, 1.5, 10.0]])
TEMPERATURE_K = 800.0
KT_EV = BOLTZMANN_EV_PER_K * TEMPERATURE_K


def cubic_sites(n):
    """n³ sites at (i, j, k) / n."""
    return np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def lattice_paths(rng, n_frames, n_ions, n, *, hops_per_frame, axes=(0, 1, 2), back=None):
    """Unwrapped fractional paths of hops to neighbours on n³ sites, and the number of hops.

    With `back`, a hop undoes the one before with that probability and is one of the others, all
    alike, otherwise.
    """
    moves = np.array([s * np.eye(3)[axis] for axis in axes for s in (1, -1)]) / n
    starts = cubic_sites(n)[rng.integers(n**3, size=n_ions)]
    hops = rng.random((n_frames - 1, n_ions)) < hops_per_frame
    steps = np.zeros((n_frames, n_ions, 3))
    for ion in range(n_ions):
        before = None
        for frame in np.flatnonzero(hops[:, ion]):
            choice = rng.integers(len(moves))
            if back is not None and before is not None:
                undo = before ^ 1
                if rng.random() < back:
                    choice = undo
                else:
                    choice = rng.choice([move for move in range(len(moves)) if move != undo])
            steps[frame + 1, ion] = moves[choice]
            before = choice
    return starts + np.cumsum(steps, axis=0), int(hops.sum())


def trajectory_of(rng, paths, cell_A, *, rattle_A=0.25, drift_A=0.0, n_framework=64):
    """K on the paths, Cl on fixed places, all of them rattling, the crystal drifting."""
    n_frames, n_ions, _ = paths.shape
    framework_A = np.broadcast_to(rng.random((n_framework, 3)) @ cell_A, (n_frames, n_framework, 3))
    positions_A = np.concatenate([paths @ cell_A, framework_A], axis=1)
    positions_A = positions_A + rng.normal(scale=rattle_A, size=positions_A.shape)
    positions_A += np.linspace(0, drift_A, n_frames)[:, None, None]
    return Trajectory(
        positions_A=positions_A.astype(np.float32),
        cell_A=cell_A,
        species=("K",) * n_ions + ("Cl",) * n_framework,
        timestep_fs=2.0,
        stride=10,
        temperature_K=TEMPERATURE_K,
    )


def boltzmann_paths(rng, n_frames, n_ions, barriers_eV, n):
    """Places drawn from exp(-V / kT), V = Σ barrier (1 - cos 2πn x) / 2: minima on n³ sites."""
    places = np.empty((n_frames * n_ions, 3))
    for axis, barrier_eV in enumerate(barriers_eV):
        x = np.linspace(0, 1, 4000, endpoint=False) + 0.5 / 4000
        weights = np.exp(-barrier_eV * (1 - np.cos(2 * np.pi * n * x)) / 2 / KT_EV)
        cumulative = np.concatenate(([0.0], np.cumsum(weights))) / weights.sum()
        places[:, axis] = np.interp(
            rng.random(len(places)), cumulative, np.linspace(0, 1, len(cumulative))
        )
    return places.reshape(n_frames, n_ions, 3)


def brownian_paths(rng, n_frames, n_ions, barriers_eV, *, n, edge_A, D_A2_per_step, steps=5):
    """Brownian dynamics in the potential of `boltzmann_paths` in a cubic cell, unwrapped."""
    waves_per_A = 2 * np.pi * n / edge_A
    drift_A = D_A2_per_step / KT_EV * np.array(barriers_eV) / 2 * waves_per_A
    x_A = rng.integers(n, size=(n_ions, 3)) * edge_A / n
    paths = np.empty((n_frames, n_ions, 3))
    for frame in range(n_frames):
        for kicks_A in rng.normal(scale=np.sqrt(2 * D_A2_per_step), size=(steps, n_ions, 3)):
            x_A = x_A - drift_A * np.sin(waves_per_A * x_A) + kicks_A
        paths[frame] = x_A / edge_A
    return paths
