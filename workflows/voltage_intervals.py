"""The intervals of a voltage profile, in which the same phases are in equilibrium."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_lowercase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from screening.stability.documents import Stability, VoltageProfile, Window

MAX_V = 6
"""Potentials are shown from 0 V against the metal to this."""
WINDOW_NAMES = {"candidate": "its own window", "equilibrium": "window of the equilibrium"}
"""What the ranked window is called, by `Stability.window_of`."""


@dataclass(frozen=True)
class Interval:
    """Between two steps of a profile."""

    low_V: float
    high_V: float
    products: Mapping[str, float]

    def holds(self, potential_V: float) -> bool:
        """Whether a potential lies in it."""
        return self.low_V <= potential_V < self.high_V

    def __str__(self) -> str:
        """From where to where: `1.30–2.33 V`."""
        return potential_range(self.low_V, self.high_V)


def intervals(profile: VoltageProfile) -> list[Interval]:
    """The intervals of a profile by rising potential; the first starts at 0 V or below."""
    # the last step may lie at 0 V itself: what is below it needs no place on an axis from 0 V on
    bounds_V = [math.inf, *(step.potential_V for step in profile.steps)]
    products = [profile.oxidized, *(step.products for step in profile.steps)]
    bounds_V.append(min(0.0, bounds_V[-1]))
    found = [
        Interval(low_V, high_V, inside)
        for (high_V, low_V), inside in zip(pairwise(bounds_V), products, strict=True)
    ]
    return [interval for interval in reversed(found) if interval.high_V > max(0.0, interval.low_V)]


def interval_letter(index: int) -> str:
    """`a` to `z`, then `a1` to `z1` ...: the same in every drawing of a profile."""
    turn, letter = divmod(index, len(ascii_lowercase))
    return ascii_lowercase[letter] + (str(turn) if turn else "")


def stable_interval(parts: Sequence[Interval], window: Window) -> int | None:
    """Index of the interval that a window is; None where the window has no width."""
    if window.width_V == 0:
        return None
    middle_V = (window.reduction.potential_V + window.oxidation.potential_V) / 2
    return next((i for i, interval in enumerate(parts) if interval.holds(middle_V)), None)


def own_window(stability: Stability) -> Window | None:
    """The window of a metastable candidate itself, where it has one and is ranked by another."""
    own = stability.candidate_window
    return own if stability.window_of == "equilibrium" and own.width_V > 0 else None


def amounts(phases: Mapping[str, float]) -> str:
    """Phases with their amounts: `K2Ta3Cl9 + 4 KCl`."""
    return " + ".join(
        formula if f"{amount:.3g}" == "1" else f"{amount:.3g} {formula}"
        for formula, amount in phases.items()
    )


def potential_range(low_V: float, high_V: float) -> str:
    """Two potentials on an axis from 0 V on; the upper may be infinite."""
    if math.isinf(high_V):
        return f"above {low_V:.2f} V"
    return f"{max(low_V, 0):.2f}–{high_V:.2f} V"
