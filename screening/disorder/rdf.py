"""Partial radial distribution functions, running coordination numbers and first shells.

    g_AB(r) = V / (N_A N_B) < number of pairs A-B in [r, r + dr] > / (4/3 pi ((r + dr)^3 - r^3))
    n_AB(r) = N_B / V integral of g_AB 4 pi r^2 dr from 0 to r

Like pairs are counted from both ends and an atom is no neighbour of itself, so that a gas of N
like atoms has g = 1 - 1/N. Beyond half the cell's width the periodic images count too, an atom's
own among them: g is then that of the periodic crystal.

Reference:
    Allen, Tildesley, Computer Simulation of Liquids, 2nd ed., Oxford (2017), section 2.6.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from screening.disorder.documents import FirstShell, PartialRdf
from screening.disorder.frames import Frames
from screening.errors import InvalidInput

BIN_WIDTH_A = 0.05
SMOOTHING_A = 0.15  # wider than the steps between unlike bonds of a shell, narrower than its gap
MIN_REACH_A, MAX_REACH_A = 8.0, 10.0  # past the second shell of a halide; no more than pays
PEAK_PROMINENCE = 0.25  # of the mean density
PEAK_SIGMAS = 5.0
EMPTY = 0.01  # g below this is a gap

Floats = NDArray[np.float64]


def reach_of(frames: Frames) -> float:
    """Half the cell's smallest width, but not less than 8 Å and not more than 10."""
    return float(np.clip(frames.widths_A.min() / 2, MIN_REACH_A, MAX_REACH_A))


def bin_centres_A(reach_A: float) -> Floats:
    """Middles of the bins below `reach_A`."""
    n_bins = int(reach_A / BIN_WIDTH_A + 1e-9)
    return BIN_WIDTH_A * (np.arange(n_bins, dtype=np.float64) + 0.5)


def partial_rdfs(frames: Frames, reach_A: float | None = None) -> tuple[PartialRdf, ...]:
    """g(r), n(r) and the first shell of every pair of species, over all frames.

    Args:
        frames: atoms and cell.
        reach_A: largest distance; None for `reach_of(frames)`.

    Returns:
        One of each unordered pair, cations before anions; r is `bin_centres_A(reach_A)`.

    Raises:
        InvalidInput: a reach below one bin.
    """
    reach_A = reach_of(frames) if reach_A is None else reach_A
    n_bins = len(bin_centres_A(reach_A))
    if n_bins < 1:
        raise InvalidInput(f"a reach of {reach_A:g} Å is below one bin of {BIN_WIDTH_A:g} Å")
    reach_A = n_bins * BIN_WIDTH_A
    blocks = list(frames.blocks())
    images = frames.images(reach_A)
    counts = _pair_counts(
        np.ascontiguousarray(frames.fractional.transpose(0, 2, 1), dtype=np.float32),
        np.array([block.start for _, block in blocks] + [len(frames.species)]),
        frames.cell_A.astype(np.float32),
        images.astype(np.float32),
        np.float32(1 / BIN_WIDTH_A),
        n_bins,
    )
    own_A = np.linalg.norm(images[1:] @ frames.cell_A, axis=1)  # an atom's own images
    own = np.histogram(own_A, n_bins, (0.0, reach_A))[0]
    edges_A = BIN_WIDTH_A * np.arange(n_bins + 1)
    volumes_A3 = 4 / 3 * np.pi * np.diff(edges_A**3)
    n_frames = len(frames.fractional)
    found = []
    for a, (centre, first) in enumerate(blocks):
        for b, (neighbour, second) in enumerate(blocks[a:], start=a):
            n_a, n_b = first.stop - first.start, second.stop - second.start
            pairs = counts[a, b] if a != b else 2 * counts[a, a] + n_frames * n_a * own
            per_centre = pairs / (n_frames * n_a)
            ideal = volumes_A3 * n_b / frames.volume_A3
            g = per_centre / ideal
            running = np.cumsum(per_centre)
            shell = first_shell(g, running, ideal * n_frames * n_a)
            found.append(
                PartialRdf(
                    centre=centre,
                    neighbour=neighbour,
                    n_centres=n_a,
                    n_neighbours=n_b,
                    g=_short(g),
                    running_number=_short(running),
                    shell=shell if isinstance(shell, FirstShell) else None,
                    no_shell=shell if isinstance(shell, str) else None,
                )
            )
    return tuple(found)


def first_shell(g: Floats, running: Floats, expected: Floats) -> FirstShell | str:
    """The first peak of g(r) and the minimum behind it; why not, if it has none.

    g is smoothed by a Gaussian of SMOOTHING_A. A peak rises by more than PEAK_PROMINENCE and
    PEAK_SIGMAS Poisson errors above the higher of the minima beside it; a gap's minimum is its
    middle.

    Args:
        g: shape (n_bins,).
        running: n(r) at the bins' upper edges.
        expected: pairs that a gas of the same density would have in each bin.
    """
    smooth = gaussian_filter1d(g, SMOOTHING_A / BIN_WIDTH_A, mode="nearest")
    in_window = expected * np.sqrt(4 * np.pi) * SMOOTHING_A / BIN_WIDTH_A  # effective counts
    needed = np.maximum(PEAK_PROMINENCE, PEAK_SIGMAS / np.sqrt(in_window))
    peaks = find_peaks(smooth, prominence=needed)[0]
    if not len(peaks):
        return f"g(r) has no peak up to {len(g) * BIN_WIDTH_A:.1f} Å"
    first = peaks[0]
    behind = smooth[first : peaks[1] if len(peaks) > 1 else None]
    low = max(float(behind.min()), EMPTY)
    lowest = first + np.flatnonzero(behind <= low)
    if len(peaks) == 1 and low > EMPTY and smooth[-1] < low + needed[-1]:
        return f"g(r) has no minimum behind its first peak up to {len(g) * BIN_WIDTH_A:.1f} Å"
    cut = int(np.median(lowest))
    return FirstShell(
        peak_A=round((first + 0.5) * BIN_WIDTH_A, 6),
        minimum_A=round((cut + 1) * BIN_WIDTH_A, 6),
        g_at_minimum=float(f"{smooth[cut]:.4g}"),
        coordination_number=float(running[cut]),
    )


def _short(values: Floats) -> tuple[float, ...]:
    """To five digits: more would only fill the store."""
    return tuple(float(f"{value:.5g}") for value in values)


@njit(cache=True, error_model="numpy", fastmath=True)
def _pair_counts(
    fractional: NDArray[np.float32],
    starts: NDArray[np.int64],
    cell_A: NDArray[np.float32],
    images: NDArray[np.float32],
    bins_per_A: np.float32,
    n_bins: int,
) -> NDArray[np.int64]:
    """Pairs i < j of each two species by distance, (n_species, n_species, n_bins), upper half.

    Distances of one atom to a whole species are computed side by side (the compiler makes vector
    instructions of it), then counted.
    """
    n_frames, _, n_atoms = fractional.shape
    n_species = len(starts) - 1
    counts = np.zeros((n_species, n_species, n_bins + 1), dtype=np.int64)
    bins = np.empty(n_atoms, dtype=np.int32)
    last = np.float32(n_bins)
    for frame in range(n_frames):
        x, y, z = fractional[frame, 0], fractional[frame, 1], fractional[frame, 2]
        for a in range(n_species):
            for i in range(starts[a], starts[a + 1]):
                for b in range(a, n_species):
                    begin = max(i + 1, starts[b])
                    end = starts[b + 1]
                    row = counts[a, b]
                    for n in range(len(images)):
                        for j in range(begin, end):
                            u, v, w = x[j] - x[i], y[j] - y[i], z[j] - z[i]
                            u += images[n, 0] - np.rint(u)
                            v += images[n, 1] - np.rint(v)
                            w += images[n, 2] - np.rint(w)
                            r2 = np.float32(0.0)
                            for k in range(3):
                                d = u * cell_A[0, k] + v * cell_A[1, k] + w * cell_A[2, k]
                                r2 += d * d
                            bins[j] = np.int32(min(np.sqrt(r2) * bins_per_A, last))
                        for j in range(begin, end):
                            row[bins[j]] += 1
    return counts[:, :, :n_bins]
