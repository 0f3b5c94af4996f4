"""What a snapshot of reference phases holds, and what it lacks.

A missing competitor makes a window too wide, and an unstable phase in it is no error: both are to
be seen at a glance.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pymatgen.core.composition import Composition

from screening.errors import MissingReference
from screening.prototypes.known import known_phases
from screening.stability.hull import Hull, hull_of
from screening.stability.references import ReferencePhases


class Place(NamedTuple):
    """Where a phase stands among the phases of its own elements, in eV per atom."""

    formation_energy_eV_per_atom: float
    e_hull_eV_per_atom: float


def places(references: ReferencePhases) -> dict[str, Place | None]:
    """The place of each phase by its name; None without elemental phases to compare it with."""
    hulls: dict[frozenset[str], Hull | None] = {}
    found: dict[str, Place | None] = {}
    for phase in references.phases:
        if phase.elements not in hulls:
            hulls[phase.elements] = _hull(references, phase.elements)
        hull = hulls[phase.elements]
        found[phase.name] = None
        if hull is not None:
            fractions = hull.amounts(phase.composition.fractional_composition)
            elements_eV = hull.energy_of_elements_eV(fractions)
            above_eV = phase.energy_eV_per_atom - float(hull.energies_at(fractions))
            found[phase.name] = Place(
                float(phase.energy_eV_per_atom - elements_eV), max(0.0, above_eV)
            )
    return found


def missing_phases(references: ReferencePhases, elements: Iterable[str]) -> dict[str, str]:
    """Compounds that the field knows and a snapshot does not hold.

    Args:
        references: a snapshot.
        elements: symbols; only compounds of these and nothing else are looked for.

    Returns:
        Reduced formula -> where it is described.
    """
    held = {phase.formula for phase in references.phases}
    return {f: source for f, source in known_phases(elements).items() if f not in held}


def missing_competitors(references: ReferencePhases, candidate: Composition) -> dict[str, str]:
    """Of the compounds that a snapshot lacks, those that a candidate of it competes with.

    The candidate may be known itself; it is no competitor of its own.
    """
    missing = missing_phases(references, (element.symbol for element in candidate))
    missing.pop(candidate.reduced_formula, None)
    return missing


def _hull(references: ReferencePhases, elements: frozenset[str]) -> Hull | None:
    try:
        return hull_of(references.for_system(elements), elements)
    except MissingReference:
        return None
