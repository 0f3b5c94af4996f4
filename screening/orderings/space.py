"""All configurations of several sublattices, and one of each class that symmetry makes equal.

Sublattices are filled one after the other, each occupant in turn: the distinct ways to place the
first occupant under the whole group, then for each of them those to place the second under the
permutations that leave the first as it is, and so on. The last occupant takes what is left.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from screening.errors import UnusableStructure
from screening.orderings.counting import Cycles, cycle_types, n_unchanged
from screening.orderings.generation import distinct_sets
from screening.orderings.sampling import random_orderings

_EMPTY = 255  # a site that holds nothing yet
_DRAW_COST = 1000  # orderings that are enumerated in the time in which one is drawn, or more
_MAX_ENUMERATED = 10**8  # some minutes of work


@dataclass(frozen=True)
class Sublattice:
    """Sites that share their occupants.

    Args:
        sites: shape (n,), places in the permutations.
        amounts: sites that hold occupant 0, 1, 2, ...; they sum to n.
        satellites: None, or shape (n, m): places around each site, of which exactly one is filled
            while the site holds occupant 0, and none otherwise.
    """

    sites: NDArray[np.intp]
    amounts: tuple[int, ...]
    satellites: NDArray[np.intp] | None = None


@dataclass(frozen=True)
class Orderings:
    """Distinct configurations.

    Args:
        occupants: shape (n_orderings, n_sites), the number of the occupant of each site; for
            satellites 1 if filled.
        degeneracies: shape (n_orderings,), configurations that are the same by symmetry.
    """

    occupants: NDArray[np.uint8]
    degeneracies: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.degeneracies)

    def __getitem__(self, chosen: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Orderings:
        """Some of them."""
        return Orderings(self.occupants[chosen], self.degeneracies[chosen])

    @staticmethod
    def none(n_sites: int) -> Orderings:
        """No ordering."""
        return Orderings(np.empty((0, n_sites), dtype=np.uint8), np.empty(0, dtype=np.int64))

    @staticmethod
    def joined(parts: Sequence[Orderings]) -> Orderings:
        """All of several, in order."""
        if len(parts) == 1:
            return parts[0]
        return Orderings(
            np.concatenate([part.occupants for part in parts]),
            np.concatenate([part.degeneracies for part in parts]),
        )


@dataclass(frozen=True)
class _Stage:
    """One occupant to be placed; `size` sites of the sublattice that are free."""

    sublattice: int
    occupant: int
    size: int
    satellites: bool = False


class ConfigurationSpace:
    """The ways to fill sublattices, up to symmetry.

    Args:
        permutations: shape (n_permutations, n_sites), a group; site i goes to row[i].
        sublattices: unions of orbits that share no site; satellites go with their sites.

    Raises:
        ValueError: amounts that do not sum to the number of sites.
    """

    def __init__(
        self, permutations: NDArray[np.int32] | NDArray[np.intp], sublattices: Sequence[Sublattice]
    ) -> None:
        for sublattice in sublattices:
            if sum(sublattice.amounts) != len(sublattice.sites):
                raise ValueError(
                    f"amounts {sublattice.amounts} do not sum to {len(sublattice.sites)} sites"
                )
        self.permutations = np.ascontiguousarray(permutations, dtype=np.int32)
        self.sublattices = tuple(sublattices)

    @property
    def amounts(self) -> list[tuple[int, ...]]:
        """Sites that hold each occupant of each sublattice."""
        return [sublattice.amounts for sublattice in self.sublattices]

    @property
    def n_configurations(self) -> int:
        """All ways to fill the sites, symmetry apart."""
        return math.prod(
            math.factorial(len(s.sites))
            // math.prod(map(math.factorial, s.amounts))
            * (1 if s.satellites is None else s.satellites.shape[1] ** s.amounts[0])
            for s in self.sublattices
        )

    @cached_property
    def cycle_types(self) -> tuple[list[tuple[Cycles, ...]], NDArray[np.intp]]:
        """Different cycle types, and which of them each permutation has."""
        return cycle_types(self.permutations, [(s.sites, s.satellites) for s in self.sublattices])

    @cached_property
    def n_unchanged(self) -> list[int]:
        """For each cycle type, the configurations that its permutations leave as they are."""
        return [n_unchanged(cycles, self.amounts) for cycles in self.cycle_types[0]]

    @cached_property
    def n_orderings(self) -> int:
        """Distinct configurations, by Burnside's lemma.

        Raises:
            UnusableStructure: the permutations form no group.
        """
        numbers = np.bincount(self.cycle_types[1]).tolist()
        total = sum(n * m for n, m in zip(numbers, self.n_unchanged, strict=True))
        n_orderings, rest = divmod(total, len(self.permutations))
        if rest:
            raise _no_group()
        return int(n_orderings)

    def enumerate(self) -> Orderings:
        """All distinct configurations at once."""
        return Orderings.joined(list(self.blocks()))

    def sample(self, n: int, seed: int) -> Orderings:
        """Some of the distinct configurations, each as likely as any other; all if there are few.

        Args:
            n: how many, at most as many as there are.
            seed: the same one gives the same sample.
        """
        if n >= self.n_orderings:
            return self.enumerate()
        if self.n_orderings < min(_DRAW_COST * n, _MAX_ENUMERATED):
            return self._picked(random.Random(seed).sample(range(self.n_orderings), n))  # noqa: S311
        return Orderings(*random_orderings(self, n, seed))

    def _picked(self, numbers: Sequence[int]) -> Orderings:
        """Some of the distinct configurations, by their place among all, in the order given."""
        left = np.sort(np.array(numbers))
        parts = []
        start = 0
        for block in self.blocks():
            end = start + len(block)
            parts.append(block[left[(left >= start) & (left < end)] - start])
            start = end
        return Orderings.joined(parts)[np.searchsorted(left, numbers)]

    def blocks(self, max_rows: int = 65536) -> Iterator[Orderings]:
        """Stream all distinct configurations, in memory that does not grow with their number.

        Raises:
            UnusableStructure: the permutations form no group; known after the last block.
        """
        n_made = 0
        waiting: list[Orderings] = []
        n_waiting = 0
        for block in self._blocks(max_rows):
            n_made += sum(block.degeneracies.tolist())
            if n_waiting + len(block) > max_rows:
                yield Orderings.joined(waiting)
                waiting, n_waiting = [], 0
            waiting.append(block)
            n_waiting += len(block)
        if waiting:
            yield Orderings.joined(waiting)
        if n_made != self.n_configurations:
            raise _no_group()

    def _blocks(self, max_rows: int) -> Iterator[Orderings]:
        occupants = np.full(self.permutations.shape[1], _EMPTY, dtype=np.uint8)
        yield from self._placed(self._stages(), self.permutations, occupants, max_rows)

    def _stages(self) -> list[_Stage]:
        """Occupants in the order in which they are placed: few possibilities first.

        The most frequent occupant of a sublattice is none of them: it takes what is left.
        """
        stages = []
        for s, sublattice in enumerate(self.sublattices):
            rest = int(np.argmax(sublattice.amounts))
            n_free = len(sublattice.sites)
            for occupant, size in enumerate(sublattice.amounts):
                if occupant != rest and size:
                    stages.append((math.comb(n_free, size), _Stage(s, occupant, size)))
                    n_free -= size
        plain = [stage for _, stage in sorted(stages, key=lambda entry: entry[0])]
        oriented = [
            _Stage(s, 1, sublattice.amounts[0], satellites=True)
            for s, sublattice in enumerate(self.sublattices)
            if sublattice.satellites is not None and sublattice.amounts[0]
        ]
        return plain + oriented

    def _placed(
        self,
        stages: Sequence[_Stage],
        group: NDArray[np.int32],
        occupants: NDArray[np.uint8],
        max_rows: int,
    ) -> Iterator[Orderings]:
        """The distinct ways to go on from what has been placed, under what leaves that as it is."""
        if not stages:
            degeneracy = len(self.permutations) // len(group)
            yield Orderings(self._completed(occupants)[None], np.array([degeneracy]))
            return
        stage, *later = stages
        free, groups = self._free(stage, occupants)
        local = np.full(len(occupants), -1, dtype=np.int32)
        local[free] = np.arange(len(free))
        acting = local[group[:, free]]
        distinct = np.unique(acting, axis=0) if len(acting) > 1 else acting
        n_alike = len(acting) // len(distinct)
        completed = self._completed(occupants)
        for members, orders in distinct_sets(distinct, stage.size, groups, max_rows):
            if not later:
                # where(members, occupant, completed[free]), ten times as fast; 256 is 0 again
                step = (stage.occupant - completed[free].astype(np.int16)).astype(np.uint8)
                rows: NDArray[np.uint8] = completed[free] + members.view(np.uint8) * step
                if not np.array_equal(free, np.arange(len(occupants))):
                    part, rows = rows, np.repeat(completed[None], len(rows), axis=0)
                    rows[:, free] = part
                yield Orderings(rows, len(self.permutations) // (orders * n_alike))
                continue
            for row in members:
                chosen = np.flatnonzero(row)
                kept = row[acting[:, chosen]].all(axis=1)
                filled = occupants.copy()
                filled[free[chosen]] = stage.occupant
                yield from self._placed(later, group[kept], filled, max_rows)

    def _free(
        self, stage: _Stage, occupants: NDArray[np.uint8]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64] | None]:
        """Sites that a stage chooses from, and for satellites the site that each belongs to."""
        sublattice = self.sublattices[stage.sublattice]
        if not stage.satellites:
            return sublattice.sites[occupants[sublattice.sites] == _EMPTY], None
        assert sublattice.satellites is not None
        held = self._completed(occupants)[sublattice.sites] == 0
        satellites = sublattice.satellites[held]
        order = np.argsort(satellites.ravel())
        owners = np.repeat(np.arange(len(satellites)), satellites.shape[1])
        return satellites.ravel()[order], owners[order]

    def _completed(self, occupants: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the most frequent occupant what is left, and leave other satellites empty."""
        completed = occupants.copy()
        for sublattice in self.sublattices:
            most = int(np.argmax(sublattice.amounts))
            for sites, occupant in ((sublattice.sites, most), (sublattice.satellites, 0)):
                if sites is not None:
                    left = sites[completed[sites] == _EMPTY]
                    completed[left] = occupant
        return completed


def _no_group() -> UnusableStructure:
    return UnusableStructure(
        "the symmetry operations found form no group; symmetrise the structure"
    )
