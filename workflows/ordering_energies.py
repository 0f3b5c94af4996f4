"""The energies of all relaxed orderings of one composition in one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.ordering_ensemble import equilibrium

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflows.ordering_ensemble import RelaxedOrdering

TEMPERATURE_K = 300.0


@dataclass(frozen=True)
class OrderingEnergy:
    """One ordering among the others.

    Args:
        probability: of all configurations that are this crystal, in equilibrium at
            `TEMPERATURE_K` among those that were relaxed.
    """

    id: str
    degeneracy: int
    energy_above_lowest_eV_per_atom: float
    probability: float


def ordering_energies(relaxed: Sequence[RelaxedOrdering]) -> tuple[OrderingEnergy, ...]:
    """Orderings of one configuration space by rising energy; nothing where there are not two."""
    if len(relaxed) < 2:
        return ()
    above_eV, degeneracies, weights = equilibrium(relaxed, TEMPERATURE_K)
    found = [
        OrderingEnergy(ordering.info.id, degeneracy, e, float(weight))
        for ordering, degeneracy, e, weight in zip(
            relaxed, degeneracies, above_eV, weights, strict=True
        )
    ]
    return tuple(sorted(found, key=lambda o: o.energy_above_lowest_eV_per_atom))
