"""The electrochemical stability window against the mobile ion's metal.

At the potential V the metal A has the chemical potential mu = mu0 - e V, mu0 being the energy of
the metal itself in the same set of energies. Take the phases in equilibrium while A is added to
or taken from a composition: their energy E(n) is convex and piecewise linear in the amount n of A,
and each straight piece is a reaction at the constant potential

    V = mu0 - dE/dn    (eV per atom of A, hence volts for a monovalent ion).

The window of a composition lies between the pieces to its right (reduction: it takes up A) and to
its left (oxidation: it gives A off). A composition in the middle of a piece has a window of zero
width: its equilibrium phases already coexist at that one potential.

References:
    Zhu, He, Mo, ACS Appl. Mater. Interfaces 7, 23685 (2015), doi:10.1021/acsami.5b07517;
    Richards, Miara, Wang, Kim, Ceder, Chem. Mater. 28, 266 (2016),
    doi:10.1021/acs.chemmater.5b04082.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from screening.errors import UnsoundHull
from screening.stability.hull import equilibrium_phases

SAME_AMOUNT = 1e-6  # atoms of A per formula unit
SAME_POTENTIAL_V = 1e-7


@dataclass(frozen=True)
class Equilibrium:
    """Phases that coexist at one amount of the metal, and their energy.

    Args:
        n_metal: atoms of A per formula unit of the candidate.
        energy_eV: of all phases together, A included, per formula unit of the candidate.
        phases: reduced formula -> amount per formula unit of the candidate.
    """

    n_metal: float
    energy_eV: float
    phases: dict[str, float]


@dataclass(frozen=True)
class Limit:
    """One end of a window: the potential and what forms beyond it."""

    potential_V: float
    products: tuple[str, ...]
    reaction: str


@dataclass(frozen=True)
class Window:
    """Between reduction (lower) and oxidation (upper); the two may coincide."""

    reduction: Limit
    oxidation: Limit


def equilibria(hull: PhaseDiagram, composition: Composition, metal: str) -> list[Equilibrium]:
    """The corners of E(n), from no metal at all to as much as compounds can hold.

    Args:
        hull: spans all elements of the composition and the metal.
        composition: its reduced formula unit is what amounts refer to.
        metal: symbol of A.
    """
    host = Composition(
        {e: n for e, n in composition.reduced_composition.items() if e.symbol != metal}
    )
    corners: list[Equilibrium] = []
    for point in hull.get_critical_compositions(host, Composition(metal)):
        n_host = point.num_atoms - point[metal]
        if n_host < SAME_AMOUNT * point.num_atoms:
            continue  # the metal itself
        per_formula = Composition({e: n * host.num_atoms / n_host for e, n in point.items()})
        corners.append(
            Equilibrium(
                n_metal=float(per_formula[metal]),
                energy_eV=float(hull.get_hull_energy(per_formula)),
                phases=equilibrium_phases(hull, per_formula),
            )
        )
    corners.sort(key=lambda corner: corner.n_metal)
    return _without_straight_corners(corners)


def electrochemical_window(hull: PhaseDiagram, composition: Composition, metal: str) -> Window:
    """Potentials between which the equilibrium at a composition neither takes up nor gives off A.

    Args:
        hull: spans all elements; with the candidate in it the window of a stable candidate is its
            own, without it that of the equilibrium at its composition.
        composition: contains the metal and at least one other element.
        metal: symbol of A, a monovalent ion.

    Raises:
        UnsoundHull: a reaction below 0 V, where the metal itself ought to be in equilibrium.
    """
    corners = equilibria(hull, composition, metal)
    metal_energy_eV = float(hull.el_refs[Element(metal)].energy_per_atom)
    unit = composition.reduced_composition
    n_metal = float(unit[metal])

    before = [c for c in corners if c.n_metal < n_metal - SAME_AMOUNT]
    here = [c for c in corners if abs(c.n_metal - n_metal) <= SAME_AMOUNT]
    after = [c for c in corners if c.n_metal > n_metal + SAME_AMOUNT]
    around = [before[-1], *here, *after[:1]]

    oxidized = before[-1]
    oxidation = Limit(
        _potential_V(metal_energy_eV, *around[:2]) if len(around) > 1 else 0.0,
        tuple(oxidized.phases),
        _reaction(unit.reduced_formula, oxidized, metal, oxidized.n_metal - n_metal),
    )
    if not after:  # nothing takes up more of the metal: it is plated
        return Window(Limit(0.0, (metal,), f"{metal}+ + e- -> {metal}"), oxidation)
    reduced = after[0]
    reduction = Limit(
        _potential_V(metal_energy_eV, *around[-2:]),
        tuple(reduced.phases),
        _reaction(unit.reduced_formula, reduced, metal, reduced.n_metal - n_metal),
    )
    return Window(reduction, oxidation)


def _without_straight_corners(corners: list[Equilibrium]) -> list[Equilibrium]:
    """Drop corners where E(n) does not bend: a facet was crossed, but no reaction happens."""
    kept = corners[:1]
    for corner, following in pairwise(corners[1:]):
        if abs(_slope_eV(kept[-1], corner) - _slope_eV(corner, following)) > SAME_POTENTIAL_V:
            kept.append(corner)
    return kept + corners[1:][-1:]


def _potential_V(metal_energy_eV: float, left: Equilibrium, right: Equilibrium) -> float:
    potential_V = metal_energy_eV - _slope_eV(left, right)
    if potential_V < -SAME_POTENTIAL_V:
        raise UnsoundHull(
            f"{' + '.join(right.phases)} would form at {potential_V:.3f} V, below the potential of "
            "the metal: the metal's energy is not that of the lowest phase of its element"
        )
    return max(0.0, potential_V)


def _slope_eV(left: Equilibrium, right: Equilibrium) -> float:
    return (right.energy_eV - left.energy_eV) / (right.n_metal - left.n_metal)


def _reaction(formula: str, forms: Equilibrium, metal: str, uptake: float) -> str:
    left = [formula]
    right = [_term(amount, phase) for phase, amount in forms.phases.items()]
    (left if uptake > 0 else right).append(_term(abs(uptake), metal))
    return f"{' + '.join(left)} -> {' + '.join(right)}"


def _term(amount: float, formula: str) -> str:
    number = f"{amount:.4g}"
    return formula if number == "1" else f"{number} {formula}"
