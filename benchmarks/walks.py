"""Synthetic trajectories whose diffusivities are known, for tests and benchmarks.

Square pyramids TaCl5 on a cubic grid, two K each, which hop between the sites of a cubic lattice: a
crystal of eight atoms a formula unit, so that cells hold 128 or 512. All atoms rattle: fast
vibration and a slow breathing of the cage, each an Ornstein–Uhlenbeck process. An ion that hops
slides to its new site within the memory of the fast vibration. Hops are a Poisson process, so that
D = n_hops a² / (6 n_ions duration) with `n_hops` the number expected, times the correlation factor
where hops remember the last one.

Same seed, same trajectory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from screening.transport.trajectory import Trajectory
from screening.units import A2_PER_PS_TO_CM2_PER_S

HOP_LENGTH_A = 3.5
UNIT_SPACING_A = 2 * HOP_LENGTH_A
BOND_LENGTH_A = 2.4
IONS_PER_UNIT = 2
AMPLITUDES_A = {"K": 0.30, "Ta": 0.12, "Cl": 0.20}
"""Standard deviation of the rattling along each axis."""
SLOW_SHARE = 0.25
"""Of the variance of the rattling."""
FAST_MEMORY_PS, SLOW_MEMORY_PS = 0.08, 0.5
TIMESTEP_FS = 2.0

DIRECTIONS = np.concatenate([np.eye(3), -np.eye(3)])
"""Direction i + 3 is the reverse of direction i."""


@dataclass(frozen=True)
class Walk:
    """A trajectory and what is known about the motion of its mobile ion, K.

    Args:
        D_cm2_s: tracer diffusivity, a third of the tensor's trace.
        haven_ratio: tracer over charge diffusivity.
        dimensionality: number of axes along which the ions move.
        n_hops: number expected; the run has it within Poisson's scatter.
    """

    trajectory: Trajectory
    D_cm2_s: float
    haven_ratio: float
    dimensionality: int
    n_hops: float


@dataclass(frozen=True)
class Hopping:
    """How the ions of a class of walks move.

    Args:
        grid: numbers of formula units along the axes.
        n_frames: of the trajectory.
        frame_interval_ps: time between two of them.
        n_hops: expected in the run, of all ions together.
        n_axes: 3, or 1 for channels along z.
        back_hop_probability: that a hop is the reverse of the ion's last one; without memory it is
            one of the number of directions, which None stands for.
        n_together: ions that hop as one, other ions each time.
        drift_A: distance by which the whole crystal flows along (1, 1, 1) in the run; it wanders by
            half of that as well.
    """

    grid: tuple[int, int, int]
    n_frames: int
    frame_interval_ps: float
    n_hops: float
    n_axes: int = 3
    back_hop_probability: float | None = None
    n_together: int = 1
    drift_A: float = 0.0

    @property
    def n_ions(self) -> int:
        """Mobile ions of the cell."""
        return IONS_PER_UNIT * int(np.prod(self.grid))

    @property
    def correlation_factor(self) -> float:
        """(1 + c) / (1 - c), c the mean cosine between a hop and the next.

        Reference:
            Compaan and Haven, Trans. Faraday Soc. 52, 786 (1956), doi:10.1039/TF9565200786.
        """
        if self.back_hop_probability is None:
            return 1.0
        ahead = (1 - self.back_hop_probability) / (2 * self.n_axes - 1)
        cosine = ahead - self.back_hop_probability
        return (1 + cosine) / (1 - cosine)

    @property
    def D_cm2_s(self) -> float:
        """Tracer diffusivity."""
        duration_ps = (self.n_frames - 1) * self.frame_interval_ps
        hops_per_ps = self.n_hops / (self.n_ions * duration_ps)
        D_A2_ps = self.correlation_factor * hops_per_ps * HOP_LENGTH_A**2 / 6
        return D_A2_ps * A2_PER_PS_TO_CM2_PER_S

    def walk(self, seed: int) -> Walk:
        """The replica of this seed."""
        rng = np.random.default_rng(seed)
        species, sites_A = crystal(self.grid, rng)
        ions = np.flatnonzero(species == "K")
        positions_A = rattling(rng, self.n_frames, species, self.frame_interval_ps)
        positions_A[:, ions] += sliding(self.paths_A(rng), self.frame_interval_ps)
        positions_A += sites_A
        if self.drift_A:
            positions_A += self.drift(rng)[:, None]
        trajectory = Trajectory(
            positions_A=positions_A.astype(np.float32),
            cell_A=np.diag(self.grid) * UNIT_SPACING_A,
            species=tuple(species.tolist()),
            timestep_fs=TIMESTEP_FS,
            stride=round(self.frame_interval_ps * 1000 / TIMESTEP_FS),
            temperature_K=800.0,
        )
        haven_ratio = 1 / self.n_together
        return Walk(trajectory, self.D_cm2_s, haven_ratio, self.n_axes, self.n_hops)

    def paths_A(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Sites of the ions relative to their first, shape (n_frames, n_ions, 3)."""
        n_events = rng.poisson(self.n_hops / self.n_together)
        frames = np.sort(rng.integers(1, self.n_frames, n_events))
        everyone = np.tile(np.arange(self.n_ions), (n_events, 1))
        ions = rng.permuted(everyone, axis=1)[:, : self.n_together]
        directions = self.directions(rng, ions)
        paths_A = np.zeros((self.n_frames, self.n_ions, 3))
        steps_A = HOP_LENGTH_A * DIRECTIONS[directions]
        np.add.at(paths_A, (frames[:, None], ions), steps_A[:, None])
        return np.cumsum(paths_A, axis=0, out=paths_A)

    def directions(self, rng: np.random.Generator, ions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Direction of each event in turn; the first ion's memory is that of all."""
        axes = rng.integers(3 - self.n_axes, 3, len(ions))
        directions = axes + 3 * rng.integers(2, size=len(ions))
        if self.back_hop_probability is None:
            return directions
        last: dict[int, int] = {}
        turns_back = rng.random(len(ions)) < self.back_hop_probability
        for event, ion in enumerate(ions[:, 0].tolist()):
            if ion in last:
                back = (last[ion] + 3) % 6
                others = [k for k in range(6) if k % 3 >= 3 - self.n_axes and k != back]
                directions[event] = back if turns_back[event] else rng.choice(others)
            last[ion] = int(directions[event])
        return directions

    def drift(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Displacement of the whole crystal, shape (n_frames, 3)."""
        share = np.linspace(0, 1, self.n_frames)[:, None]
        steps_A = rng.normal(scale=self.drift_A / 2 / np.sqrt(self.n_frames), size=(share.size, 3))
        return share * self.drift_A / np.sqrt(3) + np.cumsum(steps_A, axis=0)


def crystal(
    grid: tuple[int, int, int], rng: np.random.Generator
) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Symbols and sites, Å; the ions begin on sites drawn at random, no two on one."""
    corners_A = UNIT_SPACING_A * np.argwhere(np.ones(grid))
    chlorine_A = (corners_A[:, None] + BOND_LENGTH_A * DIRECTIONS[:5]).reshape(-1, 3)
    cubic_A = HOP_LENGTH_A * (np.argwhere(np.ones([2 * n for n in grid])) + 0.5)
    n_ions = IONS_PER_UNIT * len(corners_A)
    ions_A = rng.choice(cubic_A, n_ions, replace=False)
    symbols = np.repeat(["K", "Ta", "Cl"], [n_ions, len(corners_A), len(chlorine_A)])
    return symbols, np.concatenate([ions_A, corners_A, chlorine_A])


def rattling(
    rng: np.random.Generator,
    n_frames: int,
    species: NDArray[np.str_],
    frame_interval_ps: float,
) -> NDArray[np.float64]:
    """Displacements of all atoms from their sites, shape (n_frames, n_atoms, 3), Å."""
    scale_A = np.array([AMPLITUDES_A[symbol] for symbol in species])[:, None]
    total_A = np.zeros((n_frames, len(species), 3))
    shares = {FAST_MEMORY_PS: 1 - SLOW_SHARE, SLOW_MEMORY_PS: SLOW_SHARE}
    for memory_ps, share in shares.items():
        kept = np.exp(-frame_interval_ps / memory_ps)
        kicks = rng.standard_normal(total_A.shape)
        kicks[1:] *= np.sqrt(1 - kept**2)  # stationary from the first frame on
        total_A += np.sqrt(share) * scale_A * lfilter([1], [1, -kept], kicks, axis=0)
    return total_A


def sliding(paths_A: NDArray[np.float64], frame_interval_ps: float) -> NDArray[np.float64]:
    """The ions follow their sites within the memory of the fast vibration."""
    kept = np.exp(-frame_interval_ps / FAST_MEMORY_PS)
    return lfilter([1 - kept], [1, -kept], paths_A, axis=0)


CLASSES = {
    "rattling": Hopping((2, 2, 4), 3000, 0.04, 320),
    "correlated hops": Hopping((2, 2, 4), 3000, 0.04, 1280, back_hop_probability=0.4),
    "1D channels": Hopping((2, 2, 3), 4000, 0.03, 240, n_axes=1),
    "few hops": Hopping((2, 2, 2), 5000, 0.02, 30),
    "drift": Hopping((2, 2, 3), 2500, 0.04, 200, drift_A=12.0),
}
HARDER = {
    "in concert": Hopping((2, 3, 4), 3000, 0.04, 300, n_together=3),
    "long memory": Hopping((2, 2, 4), 3000, 0.04, 800, back_hop_probability=0.5),
}
"""Few independent hops; a diffusive regime that begins only at a tenth of the run."""
WALKS: dict[str, Callable[[int], Walk]] = {
    name: hopping.walk for name, hopping in (CLASSES | HARDER).items()
}
"""A seed gives a walk."""
