"""Who is bonded to whom: bonds and angles of many periodic structures as one graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from vesin import NeighborList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

CUTOFF_A = 6.0
SHORT_CUTOFF_A = 3.0
"""Bonds below it form angles."""


@dataclass(frozen=True)
class Crystal:
    """A periodic structure as arrays.

    Args:
        numbers: atomic numbers, shape (n,).
        positions_A: Cartesian, shape (n, 3); not necessarily inside the cell.
        cell_A: rows are lattice vectors, shape (3, 3).
    """

    numbers: NDArray[np.int64]
    positions_A: NDArray[np.float64]
    cell_A: NDArray[np.float64]


@dataclass(frozen=True)
class Bonds:
    """All pairs of atoms of one structure below 6 Å, each once, the short ones first.

    Args:
        first: index of an atom, shape (n_bonds,).
        second: of the other; the same where an atom is bonded to its own image.
        vectors_A: from the first to the second, shape (n_bonds, 3).
        lengths_A: shape (n_bonds,).
        n_short: how many are below 3 Å.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    vectors_A: NDArray[np.float64]
    lengths_A: NDArray[np.float64]
    n_short: int


@dataclass(frozen=True)
class Graph:
    """Several structures as one, atoms and bonds numbered through; all short bonds come first.

    Args:
        species: atomic number less one, shape (n_atoms,).
        owners: structure of each atom, shape (n_atoms,).
        bond_owners: structure of each bond, shape (n_bonds,).
        centres: where each message arrives, shape (2 n_bonds,): the first atoms of all bonds, then
            the second ones.
        neighbours: where it comes from.
        angle_bonds: the short bond that an angle changes, shape (n_angles,).
        other_bonds: the short bond that it is formed with.
        angle_centres: the atom that both bonds share.
        angle_signs: -1 where one of the two vectors points to that atom and one away from it.
        n_short: number of short bonds.
        n_structures: number of structures.
    """

    species: Tensor
    owners: Tensor
    bond_owners: Tensor
    centres: Tensor
    neighbours: Tensor
    angle_bonds: Tensor
    other_bonds: Tensor
    angle_centres: Tensor
    angle_signs: Tensor
    n_short: int
    n_structures: int

    @property
    def n_bonds(self) -> int:
        """Number of bonds, each counted once."""
        return len(self.bond_owners)


def find_bonds(crystal: Crystal) -> Bonds:
    """Bonds of a structure, with images where the cell is smaller than the cutoff."""
    first, second, vectors_A, lengths_A = NeighborList(cutoff=CUTOFF_A, full_list=False).compute(
        points=crystal.positions_A, box=crystal.cell_A, periodic=True, quantities="ijDd"
    )
    is_short = lengths_A < SHORT_CUTOFF_A
    order = np.concatenate([np.flatnonzero(is_short), np.flatnonzero(~is_short)])
    return Bonds(
        first.astype(np.int64)[order],
        second.astype(np.int64)[order],
        vectors_A[order],
        lengths_A[order],
        int(is_short.sum()),
    )


def join(
    crystals: Sequence[Crystal], bonds: Sequence[Bonds], device: torch.device
) -> tuple[Graph, Tensor]:
    """The graph of all structures, and the vectors of its bonds, shape (n_bonds, 3), float64."""
    n_atoms = np.array([len(crystal.numbers) for crystal in crystals])
    n_short = np.array([of_one.n_short for of_one in bonds])
    first_atom = np.cumsum(n_atoms) - n_atoms
    first_bond = np.cumsum(n_short) - n_short
    short_then_long = [
        *((n, slice(None, of_one.n_short)) for n, of_one in enumerate(bonds)),
        *((n, slice(of_one.n_short, None)) for n, of_one in enumerate(bonds)),
    ]

    def tensor(parts: Sequence[NDArray[np.generic]]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(device)

    first = [bonds[n].first[part] + first_atom[n] for n, part in short_then_long]
    second = [bonds[n].second[part] + first_atom[n] for n, part in short_then_long]
    angles = [_angles(of_one, n) for of_one, n in zip(bonds, n_atoms, strict=True)]
    graph = Graph(
        species=tensor([crystal.numbers - 1 for crystal in crystals]),
        owners=tensor([np.repeat(np.arange(len(crystals)), n_atoms)]),
        bond_owners=tensor(
            [np.full(len(ends), n) for (n, _), ends in zip(short_then_long, first, strict=True)]
        ),
        centres=tensor([*first, *second]),
        neighbours=tensor([*second, *first]),
        angle_bonds=tensor([of[0] + at for of, at in zip(angles, first_bond, strict=True)]),
        other_bonds=tensor([of[1] + at for of, at in zip(angles, first_bond, strict=True)]),
        angle_centres=tensor([of[2] + at for of, at in zip(angles, first_atom, strict=True)]),
        angle_signs=tensor([of[3] for of in angles]),
        n_short=int(n_short.sum()),
        n_structures=len(crystals),
    )
    vectors_A = [bonds[n].vectors_A[part] for n, part in short_then_long]
    return graph, tensor(vectors_A)


def _angles(
    bonds: Bonds, n_atoms: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All ordered pairs of different ends of short bonds at one atom: two bonds, atom, sign.

    A bond has two ends, at its first and at its second atom; where these are images of one another,
    both ends of one bond form an angle too.
    """
    n = bonds.n_short
    atoms = np.concatenate([bonds.first[:n], bonds.second[:n]])
    ends = np.argsort(atoms, kind="stable")
    n_ends = np.bincount(atoms, minlength=n_atoms)
    first_end = np.cumsum(n_ends) - n_ends
    centres = atoms[ends]
    n_partners = n_ends[centres]
    one = np.repeat(np.arange(2 * n), n_partners)
    behind = np.arange(len(one)) - np.repeat(np.cumsum(n_partners) - n_partners, n_partners)
    other = first_end[centres[one]] + behind
    differ = one != other
    one, other = one[differ], other[differ]
    signs = np.where(ends < n, 1.0, -1.0)
    bond_of = ends % max(n, 1)
    return bond_of[one], bond_of[other], centres[one], signs[one] * signs[other]
