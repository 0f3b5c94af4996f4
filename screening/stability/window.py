"""Electrochemical stability windows against the mobile ion's metal, for one or many compositions.

At the potential V the metal A has the chemical potential mu = mu0 - e V, mu0 being the energy of
the metal itself in the same set of energies. Add A to a composition or take it away: the energy
E(n) of its equilibrium phases is convex and piecewise linear in the amount n of A, and each
straight piece is a reaction at the constant potential

    V = mu0 - dE/dn    (eV per atom of A, hence volts for a monovalent ion).

The hull is a maximum of planes, so E(n) is the upper envelope of one line per facet, with the
facet's chemical potential of A as its slope.

The *equilibrium's* window at a composition lies between the pieces to its right (reduction, it
takes up A) and left (oxidation, it gives A off); in the middle of a piece it has zero width.

The *candidate's own* window counts the reactions in which the candidate itself, at the energy that
it has, turns into the phases in equilibrium at another amount of A:

    V_reduction = mu0 - min over corners n > n_c of (E(n) - E_c) / (n - n_c),
    V_oxidation = mu0 - max over corners n < n_c of (E_c - E(n)) / (n_c - n).

For a candidate below the hull these are the ends of the range of mu in which it is on the hull.
A metastable one is narrower than its equilibrium, and has no window if the two cross.

References:
    Zhu, He, Mo, ACS Appl. Mater. Interfaces 7, 23685 (2015), doi:10.1021/acsami.5b07517;
    Richards, Miara, Wang, Kim, Ceder, Chem. Mater. 28, 266 (2016),
    doi:10.1021/acs.chemmater.5b04082.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from screening.stability.hull import Hull

SAME_AMOUNT = 1e-7  # of A, per atom of the composition
SAME_POTENTIAL_V = 1e-7

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WindowLimits:
    """Arrays over the compositions asked for; potentials in V against the metal.

    A candidate without a reaction that takes up A is reduced at 0 V, where A itself is plated; one
    without a reaction that gives A off is never oxidised (inf): it holds none.
    """

    e_above_hull_eV_per_atom: Floats
    reduction_V: Floats
    oxidation_V: Floats
    equilibrium_reduction_V: Floats
    equilibrium_oxidation_V: Floats


@dataclass(frozen=True, eq=False)
class Section:
    """E(n) of one host as its corners; beyond the last, A is plated.

    Args:
        n_metal: atoms of A at the corners, rising from zero, (n_corners,).
        energies_eV: E at the corners, (n_corners,).
    """

    n_metal: Floats
    energies_eV: Floats


def window_limits(
    hull: Hull, amounts: ArrayLike, energies_eV: ArrayLike, metal: str
) -> WindowLimits:
    """Both windows of many candidates.

    Args:
        hull: of the competitors, the candidates not among them.
        amounts: atoms of each element of the hull, (m, n_elements), of whatever amount.
        energies_eV: of these amounts, (m,).
        metal: symbol of A, monovalent.
    """
    n = np.atleast_2d(np.asarray(amounts, dtype=np.float64))
    n_atoms = n.sum(axis=1)
    energies = np.atleast_1d(np.asarray(energies_eV, dtype=np.float64))
    slopes, intercepts, n_metal = _lines(hull, n, metal)
    found = _limits(
        slopes, intercepts, n_metal, energies, hull.element_energy_eV(metal), n_atoms * SAME_AMOUNT
    )
    energy_above = (energies - hull.energies_at(n)) / n_atoms
    return WindowLimits(energy_above, *found.T)


def section(hull: Hull, amounts: ArrayLike, metal: str) -> Section:
    """E(n) for the host of `amounts`, (n_elements,), whose own amount of A does not matter."""
    n = np.atleast_2d(np.asarray(amounts, dtype=np.float64))
    slopes, intercepts, _ = _lines(hull, n, metal)
    corners, energies, _ = _envelope(slopes, intercepts[0])
    return Section(corners, energies)


def _lines(hull: Hull, amounts: Floats, metal: str) -> tuple[Floats, Floats, Floats]:
    """E(n) of each facet: slopes (n_lines,) rising, intercepts (m, n_lines), amounts of A (m,)."""
    column = hull.elements.index(metal)
    order = np.argsort(hull.potentials_eV[:, column], kind="stable")
    potentials_eV = hull.potentials_eV[order]
    host = amounts.copy()
    host[:, column] = 0.0
    intercepts = np.ascontiguousarray(host @ potentials_eV.T)
    return potentials_eV[:, column].copy(), intercepts, amounts[:, column].copy()


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True)(function)


@_compiled
def _envelope(slopes: Floats, intercepts: Floats) -> tuple[Floats, Floats, Floats]:
    """Upper envelope of lines for n >= 0: corners, energies there, slopes of the pieces between.

    `slopes` rise. Corner 0 is n = 0; piece k runs from corner k to corner k + 1, the last one to
    infinity. Lines whose slopes differ by less than SAME_POTENTIAL_V are one reaction.
    """
    lines = np.empty(len(slopes), dtype=np.int64)
    n_lines = 0
    for i in range(len(slopes)):
        if n_lines and slopes[i] - slopes[lines[n_lines - 1]] < SAME_POTENTIAL_V:
            if intercepts[i] <= intercepts[lines[n_lines - 1]]:
                continue
            n_lines -= 1
        while n_lines:
            last = lines[n_lines - 1]
            start = 0.0  # where the last line takes over from the one before it
            if n_lines > 1:
                before = lines[n_lines - 2]
                start = (intercepts[before] - intercepts[last]) / (slopes[last] - slopes[before])
            crossing = (intercepts[last] - intercepts[i]) / (slopes[i] - slopes[last])
            if crossing > start:
                break
            n_lines -= 1  # nowhere the highest
        lines[n_lines] = i
        n_lines += 1
    corners = np.zeros(n_lines)
    energies = np.empty(n_lines)
    pieces = np.empty(n_lines)
    for k in range(n_lines):
        i = lines[k]
        if k:
            before = lines[k - 1]
            corners[k] = (intercepts[before] - intercepts[i]) / (slopes[i] - slopes[before])
        energies[k] = intercepts[i] + slopes[i] * corners[k]
        pieces[k] = slopes[i]
    return corners, energies, pieces


@_compiled
def _limits(
    slopes: Floats,
    intercepts: Floats,
    n_metal: Floats,
    energies_eV: Floats,
    metal_eV: float,
    same_amount: Floats,
) -> Floats:
    """Reduction and oxidation limits of each candidate, then of its equilibrium, (m, 4)."""
    limits_V = np.empty((len(n_metal), 4))
    for c in range(len(n_metal)):
        corners, energies, pieces = _envelope(slopes, intercepts[c])
        n, energy = n_metal[c], energies_eV[c]
        uptake, release = metal_eV, -np.inf  # dE/dn of the candidate's own reactions
        right, left = pieces[-1], -np.inf  # dE/dn of the equilibrium's
        for k in range(len(corners)):
            if corners[k] > n + same_amount[c]:
                uptake = min(uptake, (energies[k] - energy) / (corners[k] - n))
                right = min(right, pieces[k - 1])
            elif corners[k] < n - same_amount[c]:
                release = max(release, (energy - energies[k]) / (n - corners[k]))
                left = max(left, pieces[k])
        limits_V[c, 0] = metal_eV - uptake
        limits_V[c, 1] = metal_eV - release
        limits_V[c, 2] = metal_eV - right
        limits_V[c, 3] = metal_eV - left
    return limits_V
