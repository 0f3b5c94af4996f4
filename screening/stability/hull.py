"""The convex hull of energies: who competes with a candidate, and by how much.

Reference:
    Ong, Wang, Kang, Ceder, Chem. Mater. 20, 1798 (2008), doi:10.1021/cm702327g.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core.composition import Composition

from screening.stability.references import ReferencePhase

AMOUNT_DECIMALS = 6  # less of a phase than this rounds away, per formula unit of the candidate


@dataclass(frozen=True)
class HullPlace:
    """Where a candidate stands among all other phases.

    Args:
        formation_energy_eV_per_atom: against the elements, per atom.
        energy_below_competitors_eV_per_atom: hull of the other phases minus the candidate.
        decomposition: the other phases in equilibrium at its composition: reduced formula ->
            amount per reduced formula unit of the candidate.
    """

    formation_energy_eV_per_atom: float
    energy_below_competitors_eV_per_atom: float
    decomposition: dict[str, float]


def reference_entries(phases: Iterable[ReferencePhase]) -> list[PDEntry]:
    """The phases as pymatgen's entries, polymorphs included."""
    return [
        PDEntry(p.composition, p.energy_eV_per_atom * p.composition.num_atoms, name=p.name)
        for p in phases
    ]


def place_on_hull(competitors: PhaseDiagram, candidate: PDEntry) -> HullPlace:
    """Compare a candidate with the hull of the others, polymorphs of its composition included.

    Args:
        competitors: hull without the candidate, spanning all its elements.
        candidate: composition and energy in the convention of the hull.
    """
    composition = candidate.composition
    hull_energy_eV_per_atom = competitors.get_hull_energy_per_atom(composition)
    return HullPlace(
        formation_energy_eV_per_atom=competitors.get_form_energy_per_atom(candidate),
        energy_below_competitors_eV_per_atom=float(
            hull_energy_eV_per_atom - candidate.energy_per_atom
        ),
        decomposition=equilibrium_phases(competitors, composition.reduced_composition),
    )


def equilibrium_phases(hull: PhaseDiagram, composition: Composition) -> dict[str, float]:
    """Phases that a composition is made of in equilibrium: reduced formula -> formula units."""
    amounts: dict[str, float] = {}
    for entry, atom_fraction in hull.get_decomposition(composition).items():
        unit = entry.composition.reduced_composition
        n_formula_units = float(atom_fraction) * composition.num_atoms / unit.num_atoms
        amounts[entry.composition.reduced_formula] = round(n_formula_units, AMOUNT_DECIMALS)
    return {formula: amount for formula, amount in sorted(amounts.items()) if amount > 0}
