"""Displacements relative to the framework, and their mean square over all lag times."""

from __future__ import annotations

import math

import numba
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from screening.cells import perpendicular_widths_A
from screening.errors import InvalidInput, UnusableRun
from screening.transport.documents import MsdCurve
from screening.transport.trajectory import Trajectory

# the six independent elements of a symmetric tensor, and how often each stands in it
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
FRAMES_PER_CHECK = 1000
ATOMS_PER_FFT = 4  # transformed side by side
MAY_DIFFUSE_TOO = frozenset({"Li", "Na", "K", "Rb", "Cs"})
CURVE_LAGS, CURVE_ORIGINS = 50, 200
PAIR_WEIGHTS = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])


def mobile_mask(trajectory: Trajectory, mobile_ion: str) -> NDArray[np.bool_]:
    """Which atoms are mobile ions, shape (n_atoms,).

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


def framework_mask(trajectory: Trajectory, mobile_ion: str) -> NDArray[np.bool_]:
    """Which atoms are the framework that drift is measured by, shape (n_atoms,).

    All but the mobile ions and other alkali metals, which may diffuse as well; those are taken too
    where there is nothing else.

    Raises:
        InvalidInput: no such ion, or nothing but that ion.
    """
    others = ~mobile_mask(trajectory, mobile_ion)
    fixed = others & np.array([symbol not in MAY_DIFFUSE_TOO for symbol in trajectory.species])
    return fixed if fixed.any() else others


def series_from_framework(trajectory: Trajectory, mobile_ion: str) -> NDArray[np.float64]:
    """Coordinates of the mobile ions relative to the framework's mean, each a contiguous series.

    The framework's mean displacement is subtracted in every frame. Each framework atom counts
    alike: the lattice sites that the ions visit move with the framework's geometry, not with its
    centre of mass. The whole cell's centre of mass would not do, for it moves with the ions.

    Returns:
        shape (n_ions, 3, n_frames), Å, zero in the first frame.

    Raises:
        InvalidInput: no such ion, or nothing but that ion.
        UnusableRun: positions that are not finite or not unwrapped.
    """
    positions_A = trajectory.positions_A
    framework = np.flatnonzero(framework_mask(trajectory, mobile_ion))
    ions = np.flatnonzero(mobile_mask(trajectory, mobile_ion))
    series_A: NDArray[np.float64]
    series_A = _series(positions_A, ions, _framework_mean(positions_A, framework))
    half_width_A = float(perpendicular_widths_A(trajectory.cell_A).min()) / 2
    coordinates_A = positions_A.reshape(len(positions_A), -1)
    may_jump = _steps_beyond(coordinates_A, np.float32(half_width_A / math.sqrt(3)))
    if may_jump or not math.isfinite(series_A.sum()):
        _check_positions(trajectory)
    return series_A


@numba.njit(cache=True)
def _framework_mean(positions_A, framework):  # type: ignore[no-untyped-def]
    """Mean position in every frame, shape (3, n_frames), in double precision."""
    mean_A = np.empty((3, positions_A.shape[0]))
    for frame in range(positions_A.shape[0]):
        x, y, z = 0.0, 0.0, 0.0
        for atom in framework:
            x += positions_A[frame, atom, 0]
            y += positions_A[frame, atom, 1]
            z += positions_A[frame, atom, 2]
        mean_A[0, frame] = x / framework.size
        mean_A[1, frame] = y / framework.size
        mean_A[2, frame] = z / framework.size
    return mean_A


@numba.njit(cache=True)
def _series(positions_A, ions, drift_A):  # type: ignore[no-untyped-def]
    """Coordinates of the ions less the drift, each from zero; in blocks that fit the cache."""
    n_frames, block = positions_A.shape[0], 64
    series_A = np.empty((ions.size, 3, n_frames))
    for first in range(0, n_frames, block):
        last = min(first + block, n_frames)
        for i in range(ions.size):
            for axis in range(3):
                start_A = positions_A[0, ions[i], axis] - drift_A[axis, 0]
                for frame in range(first, last):
                    here_A = positions_A[frame, ions[i], axis] - drift_A[axis, frame]
                    series_A[i, axis, frame] = here_A - start_A
    return series_A


@numba.njit(cache=True)
def _steps_beyond(coordinates_A, limit_A):  # type: ignore[no-untyped-def]
    """Whether a step between frames is longer than that, along an axis."""
    found = False
    for frame in range(1, coordinates_A.shape[0]):
        here_A, before_A = coordinates_A[frame], coordinates_A[frame - 1]
        for k in range(here_A.size):
            found |= abs(here_A[k] - before_A[k]) > limit_A
    return found


def _check_positions(trajectory: Trajectory) -> None:
    """Every position finite, and no atom across half the cell from one frame to the next.

    Raises:
        UnusableRun: with the frame and the atom.
    """
    bad = ~np.isfinite(trajectory.positions_A).all(axis=(1, 2))
    if bad.any():
        raise UnusableRun(
            f"positions are not finite in {bad.sum()} of {bad.size} frames, first in frame "
            f"{bad.argmax()}; the run exploded or its file is damaged"
        )
    inverse = np.linalg.inv(np.asarray(trajectory.cell_A, dtype=np.float64))
    for first in range(0, len(trajectory.positions_A) - 1, FRAMES_PER_CHECK):
        stretch_A = trajectory.positions_A[first : first + FRAMES_PER_CHECK + 1]
        steps = np.abs(np.diff(stretch_A.astype(np.float64), axis=0) @ inverse).max(axis=2)
        if steps.max() > 0.5:
            frame, atom = np.unravel_index(steps.argmax(), steps.shape)
            raise UnusableRun(
                f"atom {atom} ({trajectory.species[atom]}) crosses {steps.max():.2f} of the cell "
                f"between frames {first + frame} and {first + frame + 1}; unwrap the positions or "
                "store frames more often"
            )


def displacement_tensor(series_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """⟨Δa Δb⟩ over all atoms and time origins, for every lag and each of `PAIRS` of axes a, b.

    Sums of squares come from cumulative sums, those of products a(t0 + t) b(t0) from one
    zero-padded FFT of each series: O(n log n) in time and linear in memory. Spectra are added up
    before the transform back, which is done once a pair of axes.

    Args:
        series_A: shape (n_atoms, 3, n_frames), unwrapped, Å.

    Returns:
        shape (6, n_frames), Å²; the first three add up to the mean squared displacement.

    Reference:
        Calandrini et al., Collection SFN 12, 201 (2011), doi:10.1051/sfn/201112010.
    """
    n_atoms, _, n_frames = series_A.shape
    n_padded = scipy.fft.next_fast_len(2 * n_frames, real=True)
    spectra = np.zeros((len(PAIRS), n_padded // 2 + 1))
    products = np.zeros((len(PAIRS), n_frames))
    for first in range(0, n_atoms, ATOMS_PER_FFT):
        r_A = _centred(series_A[first : first + ATOMS_PER_FFT])
        _add_products(spectra, scipy.fft.rfft(r_A, n_padded), products, r_A)
    n_origins = n_atoms * (n_frames - np.arange(n_frames))
    tensor_A2 = np.empty((len(PAIRS), n_frames))
    for pair in range(len(PAIRS)):
        correlation = scipy.fft.irfft(spectra[pair], n_padded)[:n_frames]
        sums = np.cumsum(products[pair])
        squares = sums[::-1] + sums[-1] - np.concatenate(([0.0], sums[:-1]))
        tensor_A2[pair] = (squares - 2.0 * correlation) / n_origins
    tensor_A2[:, 0] = 0.0
    return tensor_A2


@numba.njit(cache=True)
def _centred(r):  # type: ignore[no-untyped-def]
    """The two terms cancel, and large coordinates would cost digits."""
    centred = np.empty_like(r)
    for atom in range(r.shape[0]):
        for axis in range(3):
            centred[atom, axis] = r[atom, axis] - r[atom, axis].mean()
    return centred


@numba.njit(cache=True)
def _add_products(spectra, transformed, products, r):  # type: ignore[no-untyped-def]
    """Products of every pair of axes: of the transforms (real part) and of the series."""
    for atom in range(r.shape[0]):
        for pair, (a, b) in enumerate(PAIRS):
            for k in range(transformed.shape[2]):
                one, other = transformed[atom, a, k], transformed[atom, b, k]
                spectra[pair, k] += one.real * other.real + one.imag * other.imag
            for frame in range(r.shape[2]):
                products[pair, frame] += r[atom, a, frame] * r[atom, b, frame]


def msd_curves(trajectory: Trajectory, mobile_ion: str) -> tuple[MsdCurve, ...]:
    """Mean squared displacement of every species relative to the framework, to look at.

    At most `CURVE_LAGS` lags up to half the run, and `CURVE_ORIGINS` evenly spread origins each.
    """
    positions_A = trajectory.positions_A
    framework = np.flatnonzero(framework_mask(trajectory, mobile_ion))
    drift_A = positions_A[:, framework].mean(axis=1, dtype=np.float64)
    n_frames = len(positions_A)
    lags = np.unique(np.geomspace(1, n_frames // 2, CURVE_LAGS).astype(int))
    msd_A2 = np.empty((lags.size, len(trajectory.species)))
    for i, lag in enumerate(lags):
        origins = np.unique(np.linspace(0, n_frames - 1 - lag, CURVE_ORIGINS).astype(int))
        moved_A = positions_A[origins + lag] - positions_A[origins]
        moved_A -= (drift_A[origins + lag] - drift_A[origins])[:, None]
        msd_A2[i] = np.square(moved_A).sum(axis=2).mean(axis=0)
    return tuple(
        MsdCurve(
            species=species,
            lag_ps=tuple((lags * trajectory.frame_interval_ps).tolist()),
            msd_A2=tuple(msd_A2[:, mobile_mask(trajectory, species)].mean(axis=1).tolist()),
        )
        for species in dict.fromkeys((mobile_ion, *trajectory.species))
    )
