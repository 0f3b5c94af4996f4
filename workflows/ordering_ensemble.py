"""A candidate among the relaxed orderings of its composition, in equilibrium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from screening.documents import CandidateInfo


@dataclass(frozen=True)
class RelaxedOrdering:
    """One of a configuration space."""

    info: CandidateInfo
    energy_eV_per_atom: float
    n_atoms: int


@dataclass(frozen=True)
class OrderingEnsemble:
    """An ordering among the relaxed orderings of its composition in one cell, in equilibrium.

    Each counts with its degeneracy; see `screening.ensemble`.
    """

    temperature_K: float
    n_relaxed: int
    n_orderings: int
    energy_above_lowest_eV_per_atom: float
    probability: float
    mean_energy_above_lowest_eV_per_atom: float
    entropy_eV_per_K: float


def equilibrium(
    relaxed: Sequence[RelaxedOrdering], temperature_K: float
) -> tuple[list[float], list[int], NDArray[np.float64]]:
    """Energies above the lowest in eV/atom, degeneracies, and probabilities of orderings.

    Args:
        relaxed: of one configuration space, at least one.
        temperature_K: of the equilibrium.
    """
    from screening.ensemble import boltzmann_weights

    lowest_eV = min(found.energy_eV_per_atom for found in relaxed)
    above_eV = [found.energy_eV_per_atom - lowest_eV for found in relaxed]
    degeneracies = [int(found.info.origin.degeneracy) for found in relaxed]
    weights = boltzmann_weights(
        [e * found.n_atoms for e, found in zip(above_eV, relaxed, strict=True)],
        degeneracies,
        temperature_K,
    )
    return above_eV, degeneracies, weights


def ensemble_of(
    identifier: str, relaxed: Sequence[RelaxedOrdering], temperature_K: float = 300.0
) -> OrderingEnsemble | None:
    """The ensemble, as the candidate of that id sees it.

    Orderings that were chosen for their energy leave those out that weigh least; a random sample
    of a space needs no other weights.

    Args:
        identifier: of the candidate.
        relaxed: orderings of one configuration space.
        temperature_K: of the equilibrium.

    Returns:
        None where fewer than two orderings have been relaxed, or not the one asked for.
    """
    from screening.ensemble import configurational_entropy_eV_per_K, thermal_average

    identifiers = [found.info.id for found in relaxed]
    if len(relaxed) < 2 or identifier not in identifiers:
        return None
    own = identifiers.index(identifier)
    above_eV, degeneracies, weights = equilibrium(relaxed, temperature_K)
    origin = relaxed[own].info.origin
    n_all = int(origin.n_configurations) if origin.selection == "sample" else None
    return OrderingEnsemble(
        temperature_K=temperature_K,
        n_relaxed=len(relaxed),
        n_orderings=int(origin.n_orderings),
        energy_above_lowest_eV_per_atom=above_eV[own],
        probability=float(weights[own]),
        mean_energy_above_lowest_eV_per_atom=float(thermal_average(above_eV, weights)),
        entropy_eV_per_K=configurational_entropy_eV_per_K(weights, degeneracies, n_all),
    )
