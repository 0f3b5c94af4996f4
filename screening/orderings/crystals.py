"""When two orderings are the same crystal.

Orderings that differ under the group of their supercell can still be one crystal, where they repeat
within it: an operation of the parent that does not leave the supercell's lattice as it is may carry
one into the other. An ordering that does not repeat itself has the supercell's own lattice, so that
only the group of the supercell can make another one equal to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from screening.orderings.parent import Parent, Supercell
from screening.orderings.space import Orderings
from screening.orderings.supercells import normal_form


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
        alone = ~repeating.any(axis=1)
        if alone.any():
            yield Orderings(block.occupants[alone], block.degeneracies[alone])
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
        alone = ~repeating.any(axis=1)
        if alone.any():
            yield Orderings(block.occupants[alone], block.degeneracies[alone])


def _parted(
    supercell: Supercell, sites: Sequence[int] | NDArray[np.intp], blocks: Iterable[Orderings]
) -> Iterator[tuple[Orderings, NDArray[np.bool_]]]:
    """Each block, and which translations leave each of its orderings as it is.

    The translations, shape (n_orderings, n_cells), are those of `supercell.cells`, 0 left out.
    """
    translations = supercell.translations(sites)
    for block in blocks:
        repeating = np.zeros((len(block), len(translations)), dtype=np.bool_)
        for t, translation in enumerate(translations[1:], start=1):
            repeating[:, t] = (block.occupants[:, translation] == block.occupants).all(axis=1)
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
) -> Iterator[bytes]:
    """What an operation, followed by each translation, makes of the filling of a cell."""
    reached = own.cells @ parent.rotations[operation].T + parent.shifts[operation][ordered][:, None]
    images = parent.images[operation][ordered]
    image = np.zeros((len(parent.unit_site), best.n_cells), dtype=np.uint8)
    for translation in best.cells:
        image[images[:, None], best.index(reached + translation)] = filling
        yield image[ordered].tobytes()
