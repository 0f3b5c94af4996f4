"""What forms at every potential: windows with their reactions, voltage steps, the driving force.

Along the amount n of the metal A (see `window`) the equilibrium's energy has corners; the phases
of two neighbouring corners coexist at the potential of the piece between them. A candidate below
the hull is a corner of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pymatgen.core.composition import Composition
from scipy.constants import physical_constants

from screening.stability.documents import Limit, VoltageProfile, VoltageStep, Window
from screening.stability.hull import Hull
from screening.stability.window import SAME_AMOUNT, SAME_POTENTIAL_V, Floats, section

CURVE_RANGE_V = (-0.5, 7.0)
AMOUNT_DECIMALS = 12  # of the metal at a corner: beyond is rounding
FARADAY_MAH_PER_MOL = physical_constants["Faraday constant"][0] / 3.6  # C -> mA h


@dataclass(frozen=True)
class Corner:
    """Phases that coexist at one amount of the metal, per formula unit of the candidate.

    Args:
        n_metal: atoms of A in them.
        energy_eV: of all of them.
        phases: reduced formula -> amount.
    """

    n_metal: float
    energy_eV: float
    phases: dict[str, float]


@dataclass(frozen=True)
class Along:
    """A candidate between the corners of its competitors' equilibrium.

    Args:
        metal: symbol of A.
        metal_eV: energy per atom of A.
        candidate: the candidate as a corner.
        n_atoms: of its formula unit.
        corners: of the competitors, by rising amount of A; the first holds none.
    """

    metal: str
    metal_eV: float
    candidate: Corner
    n_atoms: float
    corners: tuple[Corner, ...]

    @classmethod
    def of(
        cls, hull: Hull, composition: Composition, energy_eV_per_atom: float, metal: str
    ) -> Along:
        """Amounts are per reduced formula unit; the candidate is not among the hull's phases."""
        unit = composition.reduced_composition
        amounts = hull.amounts(unit)
        n_metal = float(unit[metal])
        corners: list[Corner] = []
        for n, energy_eV in zip(*_corners(hull, amounts, metal, n_metal), strict=True):
            amounts[hull.elements.index(metal)] = n
            corners.append(Corner(n, energy_eV, hull.decomposition(amounts)))
        candidate = Corner(
            n_metal, energy_eV_per_atom * unit.num_atoms, {composition.reduced_formula: 1.0}
        )
        return cls(metal, hull.element_energy_eV(metal), candidate, unit.num_atoms, tuple(corners))

    def candidate_window(self) -> Window:
        """The reactions of the candidate itself."""
        before, after = self._neighbours()
        return Window(
            reduction=self._plating() if after is None else self._limit(self.candidate, after),
            oxidation=self._limit(self.candidate, before),
        )

    def equilibrium_window(self) -> Window:
        """The reactions of the competitors in equilibrium at the candidate's composition."""
        n = self.candidate.n_metal
        before = [corner for corner in self.corners if corner.n_metal < n][-1]
        after = next((corner for corner in self.corners if corner.n_metal > n), None)
        here = next((corner for corner in self.corners if corner.n_metal == n), None)
        if here is None:  # in the middle of a reaction, or with the metal itself
            if after is None:
                return Window(reduction=self._plating(), oxidation=self._plating())
            return Window(
                reduction=self._limit(before, after), oxidation=self._limit(after, before)
            )
        return Window(
            reduction=self._plating() if after is None else self._limit(here, after),
            oxidation=self._limit(here, before),
        )

    def voltage_profile(self, formula_mass_g_mol: float, *, stable: bool) -> VoltageProfile:
        """All steps; a stable candidate is among the phases.

        That the candidate lies below the mixtures of its neighbours does not make it stable: other
        phases may coexist at its own composition.
        """
        corners = self._with_candidate() if stable else self.corners
        steps = []
        for above, below in pairwise(corners):
            potential_V = self._potential_V(above, below)
            uptake = below.n_metal - above.n_metal
            capacity_mAh_g = uptake * FARADAY_MAH_PER_MOL / formula_mass_g_mol
            steps.append(
                VoltageStep(
                    potential_V=potential_V,
                    reaction=reaction(above.phases, below.phases, self.metal, uptake),
                    products=below.phases,
                    n_metal=below.n_metal,
                    capacity_mAh_g=capacity_mAh_g,
                    energy_Wh_kg=potential_V * capacity_mAh_g,
                    reaction_energy_eV=below.energy_eV
                    - self.candidate.energy_eV
                    - (below.n_metal - self.candidate.n_metal) * self.metal_eV,
                )
            )
        low_V, high_V = CURVE_RANGE_V
        kinks_V = {
            low_V,
            0.0,
            high_V,
            *(s.potential_V for s in steps if low_V < s.potential_V < high_V),
        }
        potentials_V = tuple(sorted(kinks_V))
        return VoltageProfile(
            oxidized=corners[0].phases,
            steps=tuple(steps),
            decomposition_potentials_V=potentials_V,
            decomposition_energies_eV_per_atom=tuple(self._driving_forces(corners, potentials_V)),
        )

    def _driving_forces(
        self, corners: Sequence[Corner], potentials_V: Sequence[float]
    ) -> Iterator[float]:
        for potential_V in potentials_V:
            mu_eV = self.metal_eV - potential_V
            equilibrium_eV = min(c.energy_eV - c.n_metal * mu_eV for c in corners)
            candidate_eV = self.candidate.energy_eV - self.candidate.n_metal * mu_eV
            yield min(0.0, equilibrium_eV - candidate_eV) / self.n_atoms

    def _neighbours(self) -> tuple[Corner, Corner | None]:
        """What the candidate itself reacts to first: giving A off, and taking it up (or none)."""
        here = self.candidate
        before = [corner for corner in self.corners if corner.n_metal < here.n_metal]
        after = [corner for corner in self.corners if corner.n_metal > here.n_metal]
        oxidized = max(before, key=lambda corner: _slope_eV(corner, here))
        reduced = min(after, key=lambda corner: _slope_eV(here, corner), default=None)
        if reduced and _slope_eV(here, reduced) > self.metal_eV - SAME_POTENTIAL_V:
            reduced = None
        return oxidized, reduced

    def _with_candidate(self) -> tuple[Corner, ...]:
        """The corners of all phases, the candidate included unless it lies on their lines."""
        before, after = self._neighbours()
        kept = [c for c in self.corners if c.n_metal <= before.n_metal]
        rest = [c for c in self.corners if after and c.n_metal >= after.n_metal]
        left_eV = _slope_eV(before, self.candidate)
        right_eV = _slope_eV(self.candidate, after) if after else self.metal_eV
        if right_eV - left_eV < SAME_POTENTIAL_V:
            return self.corners
        return (*kept, self.candidate, *rest)

    def _limit(self, reactants: Corner, products: Corner) -> Limit:
        return Limit(
            potential_V=self._potential_V(reactants, products),
            products=tuple(products.phases),
            reaction=reaction(
                reactants.phases,
                products.phases,
                self.metal,
                products.n_metal - reactants.n_metal,
            ),
        )

    def _plating(self) -> Limit:
        return Limit(
            potential_V=0.0, products=(self.metal,), reaction=f"{self.metal}+ + e- -> {self.metal}"
        )

    def _potential_V(self, one: Corner, other: Corner) -> float:
        return self.metal_eV - _slope_eV(one, other)


def reaction(before: dict[str, float], after: dict[str, float], metal: str, uptake: float) -> str:
    """The balanced reaction, without what stands on both sides.

    Args:
        before: reduced formula -> amount.
        after: likewise.
        metal: symbol of A.
        uptake: atoms of A taken up; negative if they are given off.
    """
    change = {f: after.get(f, 0.0) - before.get(f, 0.0) for f in {*before, *after}}
    change[metal] = change.get(metal, 0.0) - uptake
    left = [_term(-n, f) for f, n in _ordered(change, metal) if n < -SAME_AMOUNT]
    right = [_term(n, f) for f, n in _ordered(change, metal) if n > SAME_AMOUNT]
    return f"{' + '.join(left)} -> {' + '.join(right)}"


def _ordered(change: dict[str, float], metal: str) -> list[tuple[str, float]]:
    return sorted(change.items(), key=lambda item: (item[0] == metal, item[0]))


def _term(amount: float, formula: str) -> str:
    number = f"{amount:.4g}"
    return formula if number == "1" else f"{number} {formula}"


def _corners(
    hull: Hull, amounts: Floats, metal: str, n_metal: float
) -> tuple[list[float], list[float]]:
    """Corners of the section; those that rounding tells apart are one, as is the candidate's."""
    found = section(hull, amounts, metal)
    same = SAME_AMOUNT * amounts.sum()
    amounts_of_metal: list[float] = []
    energies_eV: list[float] = []
    for n, energy_eV in zip(found.n_metal.tolist(), found.energies_eV.tolist(), strict=True):
        if amounts_of_metal and n - amounts_of_metal[-1] < same:
            continue
        at_candidate = math.isclose(n, n_metal, abs_tol=same)
        amounts_of_metal.append(n_metal if at_candidate else round(n, AMOUNT_DECIMALS))
        energies_eV.append(energy_eV)
    return amounts_of_metal, energies_eV


def _slope_eV(one: Corner, other: Corner) -> float:
    return (other.energy_eV - one.energy_eV) / (other.n_metal - one.n_metal)
