"""First-shell coordination, counted centre by centre and frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from screening.disorder.documents import Coordination
from screening.disorder.frames import Frames

SHELL_OF_SIX = 6

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shells:
    """Neighbours within their cutoffs around every atom of one species, in every frame.

    Args:
        centre: species in the middle.
        cutoffs_A: of each neighbouring species.
        numbers: shape (n_frames, n_centres), neighbours inside.
        vectors_A: shape (n_frames, n_centres, 6, 3), from the centre to the first six found; NaN
            where there are fewer.
    """

    centre: str
    cutoffs_A: Mapping[str, float]
    numbers: NDArray[np.int64]
    vectors_A: Floats

    def summary(self) -> Coordination:
        """Mean number and the share of each."""
        numbers, times = np.unique(self.numbers, return_counts=True)
        return Coordination(
            centre=self.centre,
            neighbours=tuple(self.cutoffs_A),
            cutoffs_A=tuple(self.cutoffs_A.values()),
            mean=float(self.numbers.mean()),
            numbers=tuple(numbers.tolist()),
            shares=tuple((times / self.numbers.size).tolist()),
        )


def first_shells(frames: Frames, centre: str, cutoffs_A: Mapping[str, float]) -> Shells:
    """Who is inside the cutoffs around each atom of the species `centre`.

    Args:
        frames: atoms and cell.
        centre: a species of theirs.
        cutoffs_A: neighbouring species -> distance below which one belongs to the shell.
    """
    blocks = dict(frames.blocks())
    neighbours = np.concatenate(
        [np.arange(blocks[symbol].start, blocks[symbol].stop) for symbol in cutoffs_A]
    )
    limits_A = np.array([cutoffs_A[frames.species[j]] for j in neighbours])
    numbers, vectors_A = _within(
        frames.fractional[:, blocks[centre]],
        frames.fractional[:, neighbours],
        np.square(limits_A),
        frames.cell_A,
        frames.images(float(limits_A.max())),
    )
    return Shells(centre, cutoffs_A, numbers, vectors_A)


@njit(cache=True, error_model="numpy")
def _within(
    centres: Floats, neighbours: Floats, limits_A2: Floats, cell_A: Floats, images: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Numbers and the first six vectors of `Shells`."""
    n_frames, n_centres, _ = centres.shape
    numbers = np.zeros((n_frames, n_centres), dtype=np.int64)
    vectors_A = np.full((n_frames, n_centres, SHELL_OF_SIX, 3), np.nan)
    for frame in range(n_frames):
        for i in range(n_centres):
            for j in range(neighbours.shape[1]):
                u = neighbours[frame, j, 0] - centres[frame, i, 0]
                v = neighbours[frame, j, 1] - centres[frame, i, 1]
                w = neighbours[frame, j, 2] - centres[frame, i, 2]
                u, v, w = u - np.rint(u), v - np.rint(v), w - np.rint(w)
                for n in range(len(images)):
                    a, b, c = u + images[n, 0], v + images[n, 1], w + images[n, 2]
                    x = a * cell_A[0, 0] + b * cell_A[1, 0] + c * cell_A[2, 0]
                    y = a * cell_A[0, 1] + b * cell_A[1, 1] + c * cell_A[2, 1]
                    z = a * cell_A[0, 2] + b * cell_A[1, 2] + c * cell_A[2, 2]
                    if x * x + y * y + z * z < limits_A2[j]:
                        found = numbers[frame, i]
                        if found < SHELL_OF_SIX:
                            vectors_A[frame, i, found, 0] = x
                            vectors_A[frame, i, found, 1] = y
                            vectors_A[frame, i, found, 2] = z
                        numbers[frame, i] = found + 1
    return numbers, vectors_A
