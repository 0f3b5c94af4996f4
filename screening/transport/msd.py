"""Displacements relative to the framework, and their mean square over all lag times."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from screening.errors import InvalidInput
from screening.transport.trajectory import Trajectory


def mobile_mask(trajectory: Trajectory, mobile_ion: str) -> NDArray[np.bool_]:
    """Which atoms are mobile ions, shape (n_atoms,); all others are the framework.

    Raises:
        InvalidInput: no such ion, or nothing but that ion.
    """
    mobile = np.array([symbol == mobile_ion for symbol in trajectory.species], dtype=bool)
    if not mobile.any():
        found = ", ".join(sorted(set(trajectory.species)))
        raise InvalidInput(f"no {mobile_ion} among the trajectory's species ({found})")
    if mobile.all():
        raise InvalidInput(
            f"every atom is {mobile_ion}: drift needs a framework of other atoms to measure it by"
        )
    return mobile


def displacements_from_framework(trajectory: Trajectory, mobile_ion: str) -> NDArray[np.float64]:
    """Displacements of all atoms since the first frame, relative to the framework.

    The framework's mean displacement is subtracted in every frame. Each framework atom counts
    alike: the lattice sites that the ions visit move with the framework's geometry, not with its
    centre of mass. The whole cell's centre of mass would not do, for it moves with the ions.

    Returns:
        shape (n_frames, n_atoms, 3), Å.

    Raises:
        InvalidInput: no such ion, or nothing but that ion.
    """
    mobile = mobile_mask(trajectory, mobile_ion)
    displacements_A: NDArray[np.float64] = trajectory.positions_A.astype(np.float64)
    displacements_A -= displacements_A[0].copy()
    displacements_A -= displacements_A[:, ~mobile].mean(axis=1, keepdims=True)
    return displacements_A


def mean_squared_displacement(positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """|r(t0 + t) - r(t0)|² of each atom, averaged over all origins t0, for every lag t.

    Σ r²(t0 + t) + r²(t0) comes from cumulative sums, Σ r(t0 + t)·r(t0) from a zero-padded FFT:
    O(n log n) in time and linear in memory.

    Args:
        positions_A: shape (n_frames, n_atoms, 3), unwrapped, Å.

    Returns:
        shape (n_frames, n_atoms), Å²; row t is the lag of t frames.

    Reference:
        Calandrini et al., Collection SFN 12, 201 (2011), doi:10.1051/sfn/201112010.
    """
    n_frames, n_atoms, _ = positions_A.shape
    n_padded = scipy.fft.next_fast_len(2 * n_frames, real=True)
    n_origins = n_frames - np.arange(n_frames)
    msd_A2 = np.empty((n_frames, n_atoms))
    for atom in range(n_atoms):
        # centred, because the two terms cancel and large coordinates would cost digits
        r_A = positions_A[:, atom] - positions_A[:, atom].mean(axis=0)
        spectrum = scipy.fft.rfft(r_A, n_padded, axis=0)
        products = scipy.fft.irfft(np.abs(spectrum) ** 2, n_padded, axis=0)[:n_frames].sum(axis=1)
        sums = np.cumsum(np.square(r_A).sum(axis=1))
        squares = sums[::-1] + sums[-1] - np.concatenate(([0.0], sums[:-1]))
        msd_A2[:, atom] = (squares - 2.0 * products) / n_origins
    msd_A2[0] = 0.0
    return np.maximum(msd_A2, 0.0)
