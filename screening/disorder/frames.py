"""The snapshots that local structure is read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from screening.cells import perpendicular_widths_A
from screening.compositions import usual_oxidation_states
from screening.errors import InvalidInput
from screening.transport.trajectory import Trajectory

MAX_FRAMES = 500  # more come from the same vibrations and tell little that is new


@dataclass(frozen=True, eq=False)
class Frames:
    """Atoms of one cell at several times, sorted by species, cations before anions.

    Args:
        fractional: shape (n_frames, n_atoms, 3), in [-1/2, 1/2].
        cell_A: shape (3, 3), lattice vectors as rows.
        species: n_atoms element symbols, equal ones side by side.
    """

    fractional: NDArray[np.float64]
    cell_A: NDArray[np.float64]
    species: tuple[str, ...]

    @classmethod
    def of(cls, source: Trajectory | Sequence[Structure]) -> Self:
        """At most MAX_FRAMES of a run, evenly spread, or structures that share their cell.

        Raises:
            InvalidInput: no frame or no atom, positions or a cell that are not finite, structures
                of different cells or species.
        """
        if isinstance(source, Trajectory):
            n_frames = len(source.positions_A)
            chosen = np.unique(
                np.linspace(0, n_frames - 1, min(n_frames, MAX_FRAMES)).round().astype(int)
            )
            positions_A = source.positions_A[chosen].astype(np.float64)
            cell_A, species = np.asarray(source.cell_A, dtype=np.float64), source.species
        else:
            positions_A, cell_A, species = _stacked(source)
        if positions_A.size == 0:
            raise InvalidInput("no frame with atoms; needed: at least one to see who sits where")
        if not (np.isfinite(positions_A).all() and np.isfinite(cell_A).all()):
            raise InvalidInput("positions or cell hold NaN or infinity; drop those frames")
        if abs(np.linalg.det(cell_A)) == 0:
            raise InvalidInput("the cell has no volume; needed: three independent lattice vectors")
        rank = {symbol: (is_anion(symbol, species), symbol) for symbol in set(species)}
        order = sorted(range(len(species)), key=lambda atom: rank[species[atom]])
        fractional = positions_A[:, order] @ np.linalg.inv(cell_A)
        fractional -= np.rint(fractional)
        return cls(fractional, cell_A, tuple(species[atom] for atom in order))

    @property
    def volume_A3(self) -> float:
        """Volume of the cell."""
        return float(abs(np.linalg.det(self.cell_A)))

    @property
    def widths_A(self) -> NDArray[np.float64]:
        """Distances between opposite faces of the cell, shape (3,)."""
        return perpendicular_widths_A(self.cell_A)

    def blocks(self) -> Iterator[tuple[str, slice]]:
        """Each species and where its atoms stand."""
        for symbol in dict.fromkeys(self.species):
            first = self.species.index(symbol)
            yield symbol, slice(first, first + self.species.count(symbol))

    def images(self, reach_A: float) -> NDArray[np.float64]:
        """Lattice translations that may bring a wrapped difference within reach, the first is 0.

        A difference has components in [-1/2, 1/2] and the translation n brings component k to
        |f + n| >= |n| - 1/2, at least (|n| - 1/2) times the cell's width k apart. Within half the
        smallest width the wrapped difference is the only one.

        Returns:
            shape (n, 3), whole numbers.
        """
        most = np.floor(reach_A / self.widths_A + 0.5 - 1e-9).astype(int)
        shifts = product(*(range(-n, n + 1) for n in most))
        return np.array(sorted(shifts, key=lambda n: sum(map(abs, n))), dtype=np.float64)


def is_anion(symbol: str, present: Iterable[str]) -> bool:
    """Whether an element's usual charge is negative beside those present.

    Raises:
        InvalidInput: no element has that symbol.
    """
    if not Element.is_valid_symbol(symbol):
        raise InvalidInput(f"{symbol!r} is no element; name the species by their elements")
    return any(charge < 0 for charge in usual_oxidation_states(symbol, "O" in present))


def _stacked(
    structures: Sequence[Structure],
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    """Positions, cell and species of structures that differ in positions alone."""
    if not structures:
        raise InvalidInput("no structure given; needed: at least one")
    first = structures[0]
    if not all(structure.is_ordered for structure in structures):
        raise InvalidInput(f"{first.formula} has partially occupied sites; give whole atoms")
    species = tuple(site.specie.symbol for site in first)
    for k, other in enumerate(structures[1:], start=2):
        if tuple(site.specie.symbol for site in other) != species:
            raise InvalidInput(f"structure {k} has other atoms than structure 1; give equal ones")
        if not np.allclose(other.lattice.matrix, first.lattice.matrix, rtol=0, atol=1e-4):
            raise InvalidInput(
                f"structure {k} has another cell than structure 1; needed: a constant cell"
            )
    return (
        np.array([structure.cart_coords for structure in structures]),
        np.array(first.lattice.matrix),
        species,
    )
