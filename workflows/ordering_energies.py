"""The energies of all relaxed orderings of one composition in one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflows.read_model import CampaignResults

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


def ordering_energies(results: CampaignResults, identifier: str) -> tuple[OrderingEnergy, ...]:
    """The orderings of the space that a candidate belongs to, by rising energy.

    Returns:
        Nothing where fewer than two of them are relaxed, or no averages can be taken over them.

    Raises:
        InvalidInput: the campaign has no such candidate.
    """
    from screening.ensemble import boltzmann_weights

    alike = {
        entry["relax"]["uuid"]: entry["candidate"] for entry in results.enumerated.alike(identifier)
    }
    outputs = results.outputs(alike)
    relaxed = [
        (candidate, outputs[uuid]["result"])
        for uuid, candidate in alike.items()
        if uuid in outputs and outputs[uuid]["result"]
    ]
    if len(relaxed) < 2:
        return ()
    energies_eV = [result["energy_eV_per_atom"] for _, result in relaxed]
    lowest_eV = min(energies_eV)
    degeneracies = [int(candidate["origin"]["degeneracy"]) for candidate, _ in relaxed]
    n_atoms = [len(result["structure"]["sites"]) for _, result in relaxed]
    weights = boltzmann_weights(
        [(e - lowest_eV) * n for e, n in zip(energies_eV, n_atoms, strict=True)],
        degeneracies,
        TEMPERATURE_K,
    )
    found = [
        OrderingEnergy(candidate["id"], degeneracy, e - lowest_eV, float(weight))
        for (candidate, _), degeneracy, e, weight in zip(
            relaxed, degeneracies, energies_eV, weights, strict=True
        )
    ]
    return tuple(sorted(found, key=lambda o: o.energy_above_lowest_eV_per_atom))
