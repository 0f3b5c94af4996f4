"""The lower convex hull of energies over composition, as chemical potentials.

On a facet of the hull its phases coexist: each phase i on it has e_i = mu · x_i with one set of
chemical potentials mu, and every other phase lies on or above that plane. The hull's energy of any
amounts n of the elements is therefore a maximum of linear functions,

    E(n) = max over facets of mu · n,

so that energies of thousands of compositions are one matrix product, once the facets are known.

References:
    Ong, Wang, Kang, Ceder, Chem. Mater. 20, 1798 (2008), doi:10.1021/cm702327g;
    Barber, Dobkin, Huhdanpaa, ACM Trans. Math. Softw. 22, 469 (1996), doi:10.1145/235815.235821.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.composition import Composition
from scipy.spatial import ConvexHull

from screening.errors import MissingReference
from screening.stability.references import ReferencePhase

ON_PLANE_EV_PER_ATOM = 1e-9  # rounding: a phase no further above a facet's plane belongs to it
FLAT_FACET = 1e-13  # determinant of a facet's compositions: a sliver that rounding made
AMOUNT_DECIMALS = 6  # less of a phase than this rounds away, per formula unit of the candidate

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hull:
    """Phases of one chemical system and the facets of their lower hull.

    Args:
        elements: symbols; the order of all columns.
        formulas: reduced formula of each phase.
        fractions: atomic fractions, (n_phases, n_elements), rows sum to one.
        energies_eV_per_atom: (n_phases,).
        facets: indices of the phases that coexist on each facet, (n_facets, n_elements).
        potentials_eV: chemical potentials of the elements on each facet, (n_facets, n_elements).
    """

    elements: tuple[str, ...]
    formulas: tuple[str, ...]
    fractions: Floats
    energies_eV_per_atom: Floats
    facets: NDArray[np.intp]
    potentials_eV: Floats

    @classmethod
    def of(
        cls,
        elements: Sequence[str],
        formulas: Sequence[str],
        fractions: ArrayLike,
        energies_eV_per_atom: ArrayLike,
    ) -> Hull:
        """Find the facets.

        Raises:
            MissingReference: an element without a phase of its own.
        """
        x = np.ascontiguousarray(fractions, dtype=np.float64)
        energies = np.asarray(energies_eV_per_atom, dtype=np.float64)
        pure_eV = _element_energies_eV(elements, x, energies)
        formation_eV = energies - x @ pure_eV
        facets, potentials_eV = _facets(x, formation_eV)
        return cls(tuple(elements), tuple(formulas), x, energies, facets, potentials_eV + pure_eV)

    def with_energies(self, energies_eV_per_atom: ArrayLike) -> Hull:
        """The same phases with other energies, (n_phases,)."""
        return Hull.of(self.elements, self.formulas, self.fractions, energies_eV_per_atom)

    def with_phase(self, composition: Composition, energy_eV_per_atom: float) -> Hull:
        """One phase more."""
        amounts = self.amounts(composition)
        return Hull.of(
            self.elements,
            (*self.formulas, composition.reduced_formula),
            np.vstack([self.fractions, amounts / amounts.sum()]),
            np.append(self.energies_eV_per_atom, energy_eV_per_atom),
        )

    def without(self, formula: str) -> Hull:
        """All phases but those of one reduced formula; itself, if there is none."""
        kept = [i for i, other in enumerate(self.formulas) if other != formula]
        if len(kept) == len(self.formulas):
            return self
        return Hull.of(
            self.elements,
            [self.formulas[i] for i in kept],
            self.fractions[kept],
            self.energies_eV_per_atom[kept],
        )

    def amounts(self, composition: Composition) -> Floats:
        """Atoms of each element, (n_elements,), for the amount that `composition` stands for."""
        return np.array([float(composition[symbol]) for symbol in self.elements])

    def element_energy_eV(self, symbol: str) -> float:
        """Energy per atom of an element's lowest phase."""
        pure = self.fractions[:, self.elements.index(symbol)] == 1
        return float(self.energies_eV_per_atom[pure].min())

    def energy_of_elements_eV(self, amounts: ArrayLike) -> float:
        """Energy of amounts, (n_elements,), as pure elements: zero of formation energies."""
        pure_eV = [self.element_energy_eV(symbol) for symbol in self.elements]
        return float(np.asarray(amounts, dtype=np.float64) @ np.array(pure_eV))

    def energies_at(self, amounts: ArrayLike) -> Floats:
        """Energies in eV of amounts, (..., n_elements), decomposed into the phases of the hull."""
        planes: Floats = np.asarray(amounts, dtype=np.float64) @ self.potentials_eV.T
        energies: Floats = planes.max(axis=-1)
        return energies

    def decomposition(self, amounts: ArrayLike) -> dict[str, float]:
        """Phases that amounts, (n_elements,), are made of: reduced formula -> formula units."""
        n = np.asarray(amounts, dtype=np.float64)
        planes = self.potentials_eV @ n
        touching = self.facets[planes > planes.max() - ON_PLANE_EV_PER_ATOM * n.sum()]
        shares = np.linalg.solve(self.fractions[touching].transpose(0, 2, 1), n[:, None])[..., 0]
        inside = int(shares.min(axis=1).argmax())  # planes may meet beyond the ends of their facets
        phases, atoms = touching[inside], shares[inside]
        units: dict[str, float] = {}
        for phase, n_atoms in zip(phases, atoms, strict=True):
            formula = self.formulas[phase]
            n_units = round(float(n_atoms) / Composition(formula).num_atoms, AMOUNT_DECIMALS)
            if n_units > 0:
                units[formula] = units.get(formula, 0.0) + n_units
        return dict(sorted(units.items()))


def hull_of(phases: Iterable[ReferencePhase], elements: Iterable[str]) -> Hull:
    """The hull of reference phases, polymorphs included.

    Args:
        phases: made of nothing but `elements`.
        elements: in any order.

    Raises:
        MissingReference: an element without a phase of its own.
    """
    symbols = sorted(elements)
    listed = list(phases)
    fractions = [[p.composition.get_atomic_fraction(s) for s in symbols] for p in listed]
    return Hull.of(
        symbols, [p.formula for p in listed], fractions, [p.energy_eV_per_atom for p in listed]
    )


def _element_energies_eV(elements: Sequence[str], x: Floats, energies: Floats) -> Floats:
    pure = x == 1
    missing = [symbol for symbol, of in zip(elements, pure.T, strict=True) if not of.any()]
    if missing:
        raise MissingReference(
            f"no elemental phase of {', '.join(missing)} among the phases of "
            f"{'-'.join(elements)}: energies and potentials have no zero"
        )
    return np.array([energies[of].min() for of in pure.T])


def _facets(x: Floats, formation_eV: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Facets (n_facets, n_elements) of the lower hull, and their potentials against the elements.

    Phases above the elements cannot be on it. A point far above all closes the hull on top; what
    touches it is no facet of the lower side.
    """
    candidates = np.flatnonzero((formation_eV < 0) | (x == 1).any(axis=1))
    candidates = _lowest_of_each_composition(candidates, x, formation_eV)
    n_elements = x.shape[1]
    if n_elements == 1:
        facets = candidates[:1, None]
    elif len(candidates) == n_elements:
        facets = candidates[None, :]
    else:
        points = np.column_stack([x[candidates, 1:], formation_eV[candidates]])
        lid = np.append(points[:, :-1].mean(axis=0), points[:, -1].max() + 1.0)
        simplices = ConvexHull(np.vstack([points, lid]), qhull_options="Qt i").simplices
        facets = candidates[simplices[(simplices < len(candidates)).all(axis=1)]]
    solid = np.abs(np.linalg.det(x[facets])) > FLAT_FACET
    facets = facets[solid]
    potentials_eV = np.linalg.solve(x[facets], formation_eV[facets][..., None])[..., 0]
    # a sliver's plane is ill-conditioned and may cut through other phases: its neighbours, which
    # share its corners, span the same compositions
    lowest = (formation_eV[candidates] - potentials_eV @ x[candidates].T).min(axis=1)
    supporting = lowest > -ON_PLANE_EV_PER_ATOM
    return facets[supporting], potentials_eV[supporting]


def _lowest_of_each_composition(
    phases: NDArray[np.intp], x: Floats, formation_eV: Floats
) -> NDArray[np.intp]:
    by_energy = phases[np.argsort(formation_eV[phases], kind="stable")]
    _, first = np.unique(x[by_energy].round(9), axis=0, return_index=True)
    lowest: NDArray[np.intp] = np.sort(by_energy[first])
    return lowest
