"""Phases of lowest energy along a line of compositions, exact in any number of dimensions.

The lowest energy E(x) of a mixture whose composition is linear in x is convex and piecewise
linear. No hull is built: the phases at one x are the vertex of a linear program, and the amounts
of these phases, linear in x, say from where to where they stay the answer, because only their
signs can change it. One program a piece finds all pieces; the hull of seven elements and a hundred
phases has thousands of facets, of which a line crosses a handful.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Floats = NDArray[np.float64]

NO_AMOUNT = 1e-9
SAME_FRACTION = 1e-9
SAME_SLOPE_EV = 1e-9
_TOLERANCES = {
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}  # the tightest
_GOLDEN = (math.sqrt(5) - 1) / 2
_MAX_TRIES = 100  # a line would have to have so many kinks, and each of them to be hit


@dataclass(frozen=True, eq=False)
class Phases:
    """What mixtures may consist of.

    Args:
        compositions: what one unit of each phase holds, (n_phases, n_components), not negative.
        costs_eV: energy of one unit, (n_phases,).
    """

    compositions: Floats
    costs_eV: Floats

    def amounts_at(self, composition: Floats) -> Floats:
        """Units of each phase, (n_phases,), in the mixture of lowest energy.

        Args:
            composition: (n_components,), a mixture of phases.
        """
        return self._amounts(composition[None, :], self._stable_at(composition)).ravel()

    def kinks(self, start: Floats, end: Floats) -> list[tuple[float, Floats]]:
        """Where the lowest energy bends between two compositions, both ends included.

        Args:
            start: composition at x = 0, (n_components,), a mixture of phases.
            end: the same at x = 1.

        Returns:
            By rising x: x and the units of each phase there, (n_phases,).
        """
        line = np.array([start, end - start])
        pieces = sorted(self._pieces(line, 0.0, 1.0), key=lambda piece: piece.low)
        found = [(0.0, pieces[0].at(0.0))]
        for i, piece in enumerate(pieces[:-1]):
            if abs(self.costs_eV @ (pieces[i + 1].change - piece.change)) > SAME_SLOPE_EV:
                found.append((piece.high, piece.at(piece.high)))
        return [*found, (1.0, pieces[-1].at(1.0))]

    def _pieces(self, line: Floats, low: float, high: float) -> Iterator[_Piece]:
        """The straight pieces between `low` and `high`, in any order."""
        if high - low < SAME_FRACTION:
            return
        for i in range(1, _MAX_TRIES):
            if piece := self._piece(line, low, high, low + i * _GOLDEN % 1 * (high - low)):
                break
        assert piece is not None, (line, low, high)
        yield piece
        yield from self._pieces(line, low, piece.low)
        yield from self._pieces(line, piece.high, high)

    def _piece(self, line: Floats, low: float, high: float, x: float) -> _Piece | None:
        """The piece that holds x, cut to [low, high]; None where x is at a kink."""
        begin, change = self._amounts(line, self._stable_at(line[0] + x * line[1]))
        held = np.array([begin, change]) @ self.compositions
        if np.abs(held - line).max() > NO_AMOUNT:
            return None  # a phase has just run out, and those that are left do not span the line
        moving = np.abs(change) > NO_AMOUNT
        zeros, rising = -begin[moving] / change[moving], change[moving] > 0
        return _Piece(
            begin,
            change,
            low=float(np.clip(zeros[rising].max(initial=low), low, high)),
            high=float(np.clip(zeros[~rising].min(initial=high), low, high)),
        )

    def _stable_at(self, composition: Floats) -> NDArray[np.intp]:
        solution = linprog(
            self.costs_eV,
            A_eq=self.compositions.T,
            b_eq=composition,
            method="highs-ds",
            options=_TOLERANCES,
        )
        assert solution.status == 0, solution.message
        stable: NDArray[np.intp] = np.flatnonzero(solution.x > NO_AMOUNT)
        return stable

    def _amounts(self, compositions: Floats, phases: NDArray[np.intp]) -> Floats:
        """Units of all phases, (n, n_phases), of which only `phases` hold n compositions."""
        amounts = np.zeros((len(compositions), len(self.costs_eV)))
        amounts[:, phases] = np.linalg.lstsq(self.compositions[phases].T, compositions.T)[0].T
        return amounts


@dataclass(frozen=True, eq=False)
class _Piece:
    """A stretch on which the same phases coexist, in amounts that are linear in x."""

    begin: Floats
    change: Floats
    low: float
    high: float

    def at(self, x: float) -> Floats:
        return self.begin + x * self.change
