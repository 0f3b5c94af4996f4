"""The same crystal reached from several hosts, found by structure and kept once.

Orderings of one host are already distinct; what is compared are candidates of different hosts, as
their atoms stand before any relaxation. Two are the same when

- composition and mobile ion are the same (exact),
- their distances are alike: of each element around each other one the sorted distances to the
  nearest atoms, in units of the mean spacing (V/N)^(1/3), differ by no more than a shift of each
  atom by MAX_SHIFT and a strain of MAX_STRAIN could make them, and
- pymatgen's StructureMatcher with its default tolerances, cells scaled to equal volume, says so.

The middle condition is what keeps the matcher's work linear. Distances to the k-th neighbour, in
sorted order, are invariants of the crystal (of no cell, origin or order of sites) that move no
faster than the atoms do. They cannot simply be rounded: two copies may lie on either side of a
boundary. Instead each distance is labelled by the gaps that all candidates of the composition leave
open: sorted, they fall into runs, and values in different runs lie further apart than the tolerance
allows. So candidates within tolerance share all labels, and the labels together are an exact key.

Reference:
    Widdowson, Kurlin, doi:10.48550/arXiv.2108.04798 (pointwise distance distributions).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from screening.documents import Candidate

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

MAX_SHIFT = 0.15  # of an atom, in mean spacings; about 0.5 Å in a chloride
MAX_STRAIN = 0.05  # beyond the change of volume

_RANGE = 3.0  # mean spacings; what is further away counts as being there
_N_NEIGHBOURS = 12  # of each element
_N_PARTS = 8  # of the atoms of an element, sorted by distance: first, 1/8, 2/8, ..., last


def merge_duplicates(groups: Iterable[Iterable[Candidate]]) -> tuple[Candidate, ...]:
    """The candidates, each crystal once: where it was reached first, with all its origins.

    The work is linear in the number of candidates as far as crystals differ by more than the
    tolerances: of each composition those alike in all distances are compared, the most alike first.

    Args:
        groups: one a host and supercell, whose candidates are distinct from each other and are
            never compared. Compositions are never compared either: a caller with many gives one
            after the other, so that only the one at hand is in memory.

    Returns:
        In the order given. The origins of a repetition are added to `other_origins`.
    """
    members = [
        _Member(candidate, {number}) for number, group in enumerate(groups) for candidate in group
    ]
    compositions: dict[tuple[object, ...], list[_Member]] = defaultdict(list)
    for member in members:
        candidate = member.candidate
        amounts = candidate.structure.composition.element_composition.reduced_composition
        key = tuple(sorted((element.symbol, n) for element, n in amounts.items()))
        compositions[candidate.mobile_ion, *key].append(member)
    for alike in compositions.values():
        if len({number for member in alike for number in member.groups}) > 1:
            _merge(alike)
    return tuple(member.candidate for member in members if not member.is_repetition)


@dataclass
class _Member:
    candidate: Candidate
    groups: set[int]  # whose candidates it is known to be distinct from, its own crystal apart
    is_repetition: bool = False
    distances: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))


def _merge(members: Sequence[_Member]) -> None:
    """Mark the repetitions among candidates of one composition."""
    from pymatgen.core.structure_matcher import ElementComparator, StructureMatcher

    matcher = StructureMatcher(comparator=ElementComparator())
    for member in members:
        member.distances = _distances(member.candidate.structure)
    buckets: dict[bytes, list[_Member]] = defaultdict(list)
    for member, key in zip(members, _keys([m.distances for m in members]), strict=True):
        known = buckets[key]
        candidate = member.candidate
        for other in _most_alike(member, known):
            if matcher.fit(other.candidate.structure, candidate.structure):
                origins = (candidate.origin, *candidate.other_origins)
                other.candidate = other.candidate.model_copy(
                    update={"other_origins": (*other.candidate.other_origins, *origins)}
                )
                other.groups |= member.groups
                member.is_repetition = True
                break
        else:
            known.append(member)


def _most_alike(member: _Member, known: Sequence[_Member]) -> list[_Member]:
    """Those of other groups within tolerance, the most alike first."""
    found: list[tuple[float, int, _Member]] = []
    for other in known:
        if other.groups.isdisjoint(member.groups):
            steps = np.abs(other.distances - member.distances)
            if np.all(steps <= _tolerance(np.minimum(other.distances, member.distances))):
                found.append((float(steps.mean()), len(found), other))
    return [other for *_, other in sorted(found, key=lambda entry: entry[:2])]


def _keys(distances: Sequence[NDArray[np.float32]]) -> list[bytes]:
    """Equal for whatever is within tolerance: for each distance the run of values it lies in."""
    table = np.array(distances)
    order = np.argsort(table, axis=0, kind="stable")
    rising = np.take_along_axis(table, order, axis=0)
    gaps = np.diff(rising, axis=0) > _tolerance(rising[:-1])
    labels = np.zeros(table.shape, dtype=np.int32)
    np.put_along_axis(labels, order[1:], np.cumsum(gaps, axis=0, dtype=np.int32), axis=0)
    return [row.tobytes() for row in labels]


def _tolerance(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far apart a distance and a longer one may be in the same crystal, in mean spacings."""
    return 2 * MAX_SHIFT + MAX_STRAIN * distances


def _distances(structure: Structure) -> NDArray[np.float32]:
    """Sorted distances of each element around each other one, in mean spacings.

    Sorted over the atoms of an element and read at fixed parts of them, so that cells of any size
    of one crystal give the same.

    Returns:
        Shape (n_elements * (_N_PARTS + 1) * n_elements * _N_NEIGHBOURS,), elements by symbol.
    """
    spacing_A = (structure.volume / len(structure)) ** (1 / 3)
    numbers = np.array([site.specie.Z for site in structure])
    elements, element_of = np.unique(numbers, return_inverse=True)
    centre, neighbour, _, distance_A = structure.get_neighbor_list(_RANGE * spacing_A)
    kind = element_of[neighbour]
    order = np.lexsort((distance_A, kind, centre))
    shell = centre[order] * len(elements) + kind[order]
    starts = np.flatnonzero(np.diff(shell, prepend=-1))
    rank = np.arange(len(shell)) - np.repeat(starts, np.diff(starts, append=len(shell)))
    near = rank < _N_NEIGHBOURS
    found = np.full((len(structure), len(elements), _N_NEIGHBOURS), _RANGE)
    found[centre[order][near], kind[order][near], rank[near]] = distance_A[order][near] / spacing_A
    parts = []
    for element in range(len(elements)):
        rising = np.sort(found[element_of == element], axis=0)
        at = np.arange(_N_PARTS + 1) * len(rising) // _N_PARTS
        parts.append(rising[np.minimum(at, len(rising) - 1)])
    return np.concatenate(parts, axis=None).astype(np.float32)
