"""Energies, forces and stresses of any number of structures, or the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase.data import chemical_symbols

from screening.errors import EnergyNotFinite, EngineFailure
from screening.potential.elements import NOT_IN_MPTRJ
from screening.potential.graph import CUTOFF_A, find_bonds, join
from screening.potential.network import ALIKE_ROWS, Network
from screening.potential.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from screening.potential.graph import Bonds, Crystal, Graph

SHORTEST_BOND_A = 0.5
"""The shortest bond that there is, that of H2, has 0.74 Å."""

FARTHEST_A = 1e6
"""Coordinates beyond it lose digits; from 1e9 cells on, images would be miscounted."""

NARROWEST_CELL_A = 0.1
"""Bonds of a narrower one would take minutes to find, so many images are within reach."""

# Bonds evaluated at once: on a CPU few enough for its caches, on a GPU for its memory.
_BONDS_AT_ONCE = {"cpu": 2_400, "cuda": 200_000}


@dataclass(frozen=True)
class Evaluation:
    """What a potential says of one structure.

    Args:
        energy_eV: of the whole cell.
        forces_eV_per_A: shape (n, 3).
        stress_eV_per_A3: derivative of the energy by strain over the volume, shape (3, 3); positive
            where the cell would shrink.
    """

    energy_eV: float
    forces_eV_per_A: NDArray[np.float64]
    stress_eV_per_A3: NDArray[np.float64]


class Potential:
    """CHGNet, in float32 as published.

    Args:
        weights_file: a checkpoint of the chgnet package.
        device: "cpu" or "cuda"; by default the latter where there is one.

    Raises:
        InvalidInput: the file holds no weights of the model implemented here.
    """

    def __init__(self, weights_file: Path, device: str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = Network(Weights.read(weights_file), self.device)
        self._unknown = NOT_IN_MPTRJ | {
            chemical_symbols[1 + n]
            for n, energy_eV in enumerate(self._network.reference_energies_eV.tolist())
            if abs(energy_eV) < 1e-6  # the model was never fitted to anything that holds it
        }

    def evaluate(self, crystals: Sequence[Crystal]) -> list[Evaluation | EngineFailure]:
        """Evaluate structures together; one that cannot be evaluated leaves the others alone.

        Args:
            crystals: of any sizes and elements.

        Returns:
            One answer for each; an `EngineFailure` says why there is no number.
        """
        answers: dict[int, Evaluation | EngineFailure] = {}
        batch: list[tuple[int, Bonds]] = []
        n_bonds = 0
        for n, crystal in enumerate(crystals):
            try:
                bonds = self._checked_bonds(crystal)
            except EngineFailure as failure:
                answers[n] = failure
                continue
            if batch and n_bonds + len(bonds.first) > _BONDS_AT_ONCE[self.device.type]:
                answers |= self._evaluate_batch(crystals, batch)
                batch, n_bonds = [], 0
            batch.append((n, bonds))
            n_bonds += len(bonds.first)
        if batch:
            answers |= self._evaluate_batch(crystals, batch)
        return [answers[n] for n in range(len(crystals))]

    def _checked_bonds(self, crystal: Crystal) -> Bonds:
        """Bonds of a structure that the model can be asked about.

        Raises:
            EngineFailure: it cannot.
        """
        if not (np.isfinite(crystal.positions_A).all() and np.isfinite(crystal.cell_A).all()):
            raise EnergyNotFinite(
                "positions or lattice vectors are not finite; the run that made them has flown "
                "apart, or the structure was broken before"
            )
        if not len(crystal.numbers):
            raise EngineFailure("the structure holds no atoms; look at what made it")
        coordinates_A = np.abs(crystal.positions_A).max(axis=1)
        farthest = int(np.argmax(coordinates_A))
        if coordinates_A[farthest] > FARTHEST_A:
            raise EngineFailure(
                f"atom {farthest} has a coordinate of {coordinates_A[farthest]:.3g} Å, beyond "
                f"{FARTHEST_A:g} Å; the run that moved it has flown apart"
            )
        beyond = [
            chemical_symbols[number]
            if 0 < number < len(chemical_symbols)
            else f"the atomic number {number}"
            for number in np.unique(crystal.numbers).tolist()
            if not 1 <= number <= self._network.n_elements
            or chemical_symbols[number] in self._unknown
        ]
        if beyond:
            raise EngineFailure(
                f"CHGNet was never fitted to {', '.join(beyond)}; leave the element out, or use "
                "weights that know it"
            )
        faces_A2 = np.linalg.norm(np.cross(crystal.cell_A, np.roll(crystal.cell_A, 1, 0)), axis=1)
        if not _volume_A3(crystal) > NARROWEST_CELL_A * faces_A2.max():
            raise EngineFailure(
                f"the cell of {_volume_A3(crystal):.3g} Å³ is less than {NARROWEST_CELL_A:g} Å "
                "wide; three independent vectors are needed"
            )
        bonds = find_bonds(crystal)
        bonded = np.bincount(
            np.concatenate([bonds.first, bonds.second]), minlength=len(crystal.numbers)
        )
        if not bonded.all():
            raise EngineFailure(
                f"atom {int(np.argmin(bonded))} has no neighbour within {CUTOFF_A:g} Å, which "
                "CHGNet cannot treat; the cell is too large or the structure has flown apart"
            )
        shortest = int(np.argmin(bonds.lengths_A))
        if bonds.lengths_A[shortest] < SHORTEST_BOND_A:
            raise EngineFailure(
                f"atoms {bonds.first[shortest]} and {bonds.second[shortest]} are "
                f"{bonds.lengths_A[shortest]:.3f} Å apart, closer than {SHORTEST_BOND_A:g} Å; "
                "nothing is known of such pairs: look at the structure"
            )
        return bonds

    def _evaluate_batch(
        self, crystals: Sequence[Crystal], batch: Sequence[tuple[int, Bonds]]
    ) -> dict[int, Evaluation | EngineFailure]:
        """Answers of some of the structures, by their index."""
        chosen = [crystals[n] for n, _ in batch]
        bonds = [of_one for _, of_one in batch]
        graph, vectors_A = join(chosen, bonds, self.device)
        if (n_copies := _n_copies(graph)) > 1:
            chosen, bonds = n_copies * chosen, n_copies * bonds
            graph, vectors_A = join(chosen, bonds, self.device)
        energies_eV = self._network.energies_eV(vectors_A.requires_grad_(), graph)
        (of_vectors,) = torch.autograd.grad(energies_eV.sum(), vectors_A)
        first, second = graph.centres.view(2, -1)
        forces = of_vectors.new_zeros(len(graph.species), 3)
        forces.index_add_(0, first, of_vectors).index_add_(0, second, -of_vectors)
        virials = of_vectors.new_zeros(len(chosen), 3, 3).index_add_(
            0, graph.bond_owners, vectors_A.detach()[:, :, None] * of_vectors[:, None, :]
        )
        energies = energies_eV.detach().cpu().numpy()
        split = np.cumsum([len(crystal.numbers) for crystal in chosen])[:-1]
        return {
            n: _finite(Evaluation(float(energy), of_atoms, virial / _volume_A3(crystals[n])))
            for (n, _), energy, of_atoms, virial in zip(
                batch,
                energies,
                np.split(forces.cpu().numpy(), split),
                virials.cpu().numpy(),
                strict=False,  # copies say the same again
            )
        }


def _n_copies(graph: Graph) -> int:
    """How often to evaluate a batch so that no product of matrices has one to three rows.

    Those are computed in another order than the rows of larger ones, so that an energy would depend
    in its last digit on what else is in the batch.
    """
    n_short, n_bonds = graph.n_short, len(graph.bond_owners)
    sizes = (len(graph.species), n_short, n_bonds - n_short, len(graph.angle_bonds))
    return -(-ALIKE_ROWS // min(size for size in sizes if size))


def _volume_A3(crystal: Crystal) -> float:
    return float(abs(np.linalg.det(crystal.cell_A)))


def _finite(evaluation: Evaluation) -> Evaluation | EngineFailure:
    """The evaluation itself, if all of it is a number."""
    for name, value in (
        ("energy", evaluation.energy_eV),
        ("forces", evaluation.forces_eV_per_A),
        ("stress", evaluation.stress_eV_per_A3),
    ):
        if not np.isfinite(value).all():
            return EnergyNotFinite(
                f"CHGNet gave {name} that are not finite; atoms too close together or a structure "
                "far from what it was fitted to"
            )
    return evaluation
