"""When two orderings are the same crystal.

Orderings that differ under the group of their supercell can still be one crystal, where they repeat
within it: an operation of the parent that does not leave the supercell's lattice as it is may carry
one into the other. An ordering that does not repeat itself has the supercell's own lattice, so that
only the group of the supercell can make another one equal to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from screening.orderings.counting import cycle_types, n_unchanged
from screening.orderings.parent import Parent, Supercell
from screening.orderings.space import ConfigurationSpace, Orderings
from screening.orderings.supercells import normal_form, normal_forms


def distinct_crystals(
    supercell: Supercell, sites: Sequence[int] | NDArray[np.intp], blocks: Iterable[Orderings]
) -> Iterator[Orderings]:
    """The same orderings with those that are one crystal merged, their degeneracies added.

    Those that repeat themselves within the supercell are held back to the end.

    Args:
        supercell: which the orderings are of.
        sites: of the supercell, in the order of the columns of the orderings.
        blocks: distinct orderings of the supercell.
    """
    first: dict[bytes, NDArray[np.uint8]] = {}
    degeneracies: dict[bytes, int] = {}
    places = _places(supercell, sites)
    for block, repeating in _parted(supercell, sites, blocks):
        alone = np.logical_not(repeating.any(axis=1))
        if alone.any():
            yield block[alone]
        for row in np.flatnonzero(~alone):
            occupants = block.occupants[row]
            vectors = supercell.cells[repeating[row]]
            key = _canonical_form(supercell, places, occupants, vectors)
            first.setdefault(key, occupants)
            degeneracies[key] = degeneracies.get(key, 0) + int(block.degeneracies[row])
    if first:
        yield Orderings(np.array(list(first.values())), np.array(list(degeneracies.values())))


def without_repeats(
    supercell: Supercell, sites: Sequence[int] | NDArray[np.intp], blocks: Iterable[Orderings]
) -> Iterator[Orderings]:
    """Only the orderings that do not repeat themselves within the supercell.

    Over all shapes of supercells up to a size, these are every crystal once.
    """
    for block, repeating in _parted(supercell, sites, blocks):
        alone = np.logical_not(repeating.any(axis=1))
        if alone.any():
            yield block[alone]


def n_without_repeats(
    supercell: Supercell, sites: Sequence[int] | NDArray[np.intp], space: ConfigurationSpace
) -> int:
    """How many orderings `without_repeats` leaves, in closed form.

    Burnside's sum over configurations that no translation leaves as they are, those being counted
    by Möbius inversion over the lattices between the supercell's and the parent's.

    Args:
        supercell: whose space it is.
        sites: of the supercell, in the order of the permutations.
        space: all configurations.
    """
    translations = supercell.translations(sites)
    sublattices = [(s.sites, s.satellites) for s in space.sublattices]
    total = 0
    for lattice, mobius in _lattices_above(supercell.form):
        multiples = supercell.cells @ np.linalg.inv(lattice)
        within = np.abs(multiples - np.rint(multiples)).max(axis=1) < 1e-6
        types, which = cycle_types(space.permutations, sublattices, translations[within])
        numbers = np.bincount(which, minlength=len(types)).tolist()
        unchanged = (n_unchanged(cycles, space.amounts) for cycles in types)
        total += mobius * sum(n * m for n, m in zip(numbers, unchanged, strict=True))
    return total // len(space.permutations)


def _lattices_above(form: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Lattices that hold a lattice, and their Möbius function where it is not 0.

    That of a lattice L over H is 0 unless L/H is a product of cyclic groups of prime order, and
    then the product over the primes p, each r times, of (-1)^r p^(r (r - 1) / 2).
    """
    index = int(np.diag(form).prod())
    for divisor in (d for d in range(1, index + 1) if index % d == 0):
        for lattice in normal_forms(index // divisor):
            quotient = form @ np.linalg.inv(lattice)
            whole = np.rint(quotient).astype(np.int64)
            if np.abs(quotient - whole).max() < 1e-6 and (mobius := _mobius(whole)):
                yield lattice, mobius


def _mobius(quotient: NDArray[np.int64]) -> int:
    """Of the group of whole-number vectors modulo the rows of a matrix."""
    order = round(abs(np.linalg.det(quotient)))
    minors = [
        round(np.linalg.det(np.delete(np.delete(quotient, i, 0), j, 1)))
        for i in range(3)
        for j in range(3)
    ]
    first, second = math.gcd(*quotient.ravel().tolist()), math.gcd(*minors)
    factors = first, second // first, order // second  # each divides the next
    mobius = 1
    for prime in (p for p in range(2, order + 1) if all(p % q for q in range(2, p))):
        if factors[2] % (prime * prime) == 0:
            return 0
        rank = sum(factor % prime == 0 for factor in factors)
        mobius *= (-1) ** rank * prime ** (rank * (rank - 1) // 2)
    return mobius


def _parted(
    supercell: Supercell, sites: Sequence[int] | NDArray[np.intp], blocks: Iterable[Orderings]
) -> Iterator[tuple[Orderings, NDArray[np.bool_]]]:
    """Each block, and which translations leave each of its orderings as it is.

    The translations, shape (n_orderings, n_cells), are those of `supercell.cells`, 0 left out.
    """
    translations = supercell.translations(sites)
    n_operations = len(supercell.permutations(sites))
    for block in blocks:
        repeating = np.zeros((len(block), len(translations)), dtype=np.bool_)
        symmetric = np.flatnonzero(block.degeneracies < n_operations)
        occupants = block.occupants[symmetric]
        for t, translation in enumerate(translations[1:], start=1):
            repeating[symmetric, t] = (occupants[:, translation] == occupants).all(axis=1)
        yield block, repeating


def _places(supercell: Supercell, sites: Sequence[int] | NDArray[np.intp]) -> NDArray[np.intp]:
    """Shape (n_primitive_sites, n_cells): the column of each site, -1 for those not ordered."""
    places = np.full(len(supercell.unit_site), -1)
    places[np.asarray(sites)] = np.arange(len(sites))
    return places.reshape(-1, supercell.n_cells)


def _canonical_form(
    supercell: Supercell,
    places: NDArray[np.intp],
    occupants: NDArray[np.uint8],
    vectors: NDArray[np.int64],
) -> bytes:
    """The same for all orderings of any supercell of the parent that are one crystal.

    The smallest Hermite normal form that the parent's operations make of the crystal's lattice, and
    the smallest filling of that cell which those operations and all translations give.

    Args:
        supercell: of the ordering.
        places: see `_places`.
        occupants: shape (n_sites,).
        vectors: shape (n, 3), lattice vectors within the supercell by which the ordering repeats.
    """
    parent = supercell.parent
    own = Supercell(parent, normal_form(np.concatenate([supercell.rows, vectors])[None])[0])
    forms = normal_form(np.einsum("ij,gkj->gik", own.rows, parent.rotations))
    keys = forms.reshape(len(forms), -1)
    smallest = min(keys.tolist())
    best = Supercell(parent, np.array(smallest).reshape(3, 3))
    ordered = np.flatnonzero(places[:, 0] >= 0)
    filling = occupants[places[ordered][:, supercell.index(own.cells)]]
    rows: list[bytes] = []
    for g in np.flatnonzero((keys == smallest).all(axis=1)).tolist():
        rows.extend(_images(parent, g, ordered, own, best, filling))
    return bytes(repr(smallest), "ascii") + min(rows)


def _images(
    parent: Parent,
    operation: int,
    ordered: NDArray[np.intp],
    own: Supercell,
    best: Supercell,
    filling: NDArray[np.uint8],
) -> list[bytes]:
    """What an operation, followed by each translation, makes of the filling of a cell."""
    reached = own.cells @ parent.rotations[operation].T + parent.shifts[operation][ordered][:, None]
    sites = parent.images[operation][ordered][:, None]
    cells = best.index(reached + best.cells[:, None, None])
    images = np.zeros((best.n_cells, len(parent.unit_site), best.n_cells), dtype=np.uint8)
    images[np.arange(best.n_cells)[:, None, None], sites, cells] = filling
    return [image.tobytes() for image in images[:, ordered]]
