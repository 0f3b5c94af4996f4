"""How many steps a job computes: learnt for relaxations, asked for with dynamics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from workflows.cost.regression import N_DRAWS, Law, stratified

Draws = NDArray[np.float64]

_MOST_KINDS = 20
_N_PRIOR_RUNS = 2.0


@dataclass(frozen=True)
class Relaxing:
    """Evaluations of a relaxation, one more than steps, which follow a power law up to a limit."""

    law: Law
    most: float

    def of_one(self, n_atoms: int) -> Draws:
        """One job, see `Law.of_one`."""
        return np.minimum(self.law.of_one(n_atoms), self.most)

    def of_many(self, n_atoms: int, n_jobs: int, rng: np.random.Generator) -> Draws:
        """Jobs of one size, shape (N_DRAWS, n_jobs)."""
        return np.minimum(self.law.of_many(n_atoms, n_jobs, rng), self.most)

    def moments(self, n_atoms: int) -> tuple[Draws, Draws]:
        """Mean over jobs of one size, and mean square."""
        first, second = (self._moment(n_atoms, power) for power in (1, 2))
        return first, second

    def _moment(self, n_atoms: int, power: int) -> Draws:
        """Of a lognormal distribution that is cut at the limit."""
        mean, noise = self.law.ln_median(n_atoms), self.law.noise
        limit = (math.log(self.most) - mean) / noise
        below = np.exp(power * mean + (power * noise) ** 2 / 2) * ndtr(limit - power * noise)
        return np.asarray(below + self.most**power * ndtr(-limit))


@dataclass(frozen=True)
class Moving:
    """Steps of a run: those before its production, and the share of the production that is done.

    Args:
        n_before: heating and equilibration.
        n_production: at most.
        n_segments: after each of them the run may end.
        n_ended_after: of earlier runs, how many ended after each segment.
    """

    n_before: int
    n_production: int
    n_segments: int = 1
    n_ended_after: tuple[int, ...] = ()

    @classmethod
    def adaptive(
        cls,
        n_before: int,
        n_production: int,
        n_segments: int,
        n_steps: ArrayLike,
    ) -> Moving:
        """A run that ends early if it may.

        Args:
            n_before: heating and equilibration.
            n_production: at most.
            n_segments: that it would have; more than twenty count as twenty.
            n_steps: of earlier runs, in all.
        """
        n_kinds = min(n_segments, _MOST_KINDS)
        shares = (np.sort(np.asarray(n_steps, dtype=float)) - n_before) / n_production
        kinds = np.ceil(shares * n_kinds - 0.5).clip(1, n_kinds).astype(int) - 1
        counts = np.bincount(kinds, minlength=n_kinds)
        return cls(n_before, n_production, n_kinds, tuple(map(int, counts)))

    @cached_property
    def _steps(self) -> NDArray[np.float64]:
        """Of a run that ends after each segment."""
        ends = np.arange(1, self.n_segments + 1) / self.n_segments
        return np.asarray(self.n_before + ends * self.n_production)

    @cached_property
    def _cumulative(self) -> Draws:
        """Probability to have ended after each segment, shape (N_DRAWS, n_segments).

        Before any run is finished two count as seen: one that ended anywhere, one at the end.
        """
        seen = np.array(self.n_ended_after or (0,) * self.n_segments, dtype=float)
        seen += _N_PRIOR_RUNS / 2 / self.n_segments
        seen[-1] += _N_PRIOR_RUNS / 2
        if self.n_segments == 1:
            return np.ones((N_DRAWS, 1))
        drawn = np.random.default_rng(self.n_segments).dirichlet(seen, size=N_DRAWS)
        return np.asarray(np.cumsum(drawn, axis=1))

    @cached_property
    def _scores(self) -> Draws:
        return np.asarray(stratified(1, stream=self.n_segments)[0])

    def of_one(self, _: int) -> Draws:
        """One job."""
        return self._ended_at(self._scores[:, None])[:, 0]

    def of_many(self, _: int, n_jobs: int, rng: np.random.Generator) -> Draws:
        """Jobs side by side, shape (N_DRAWS, n_jobs)."""
        if self.n_segments == 1:
            return np.full((N_DRAWS, n_jobs), self._steps[0])
        return self._ended_at(rng.random((N_DRAWS, n_jobs)))

    def moments(self, _: int) -> tuple[Draws, Draws]:
        """Mean over jobs, and mean square."""
        probabilities = np.diff(self._cumulative, axis=1, prepend=0)
        return probabilities @ self._steps, probabilities @ self._steps**2

    def _ended_at(self, scores: Draws) -> Draws:
        after = (scores[:, :, None] > self._cumulative[:, None, :-1]).sum(axis=2)
        return np.asarray(self._steps[after])
