"""A random sample of distinct orderings from spaces too large to enumerate, each equally likely.

A permutation is drawn with the probability of its share in Burnside's sum, then one of the
configurations that it leaves as they are. The orbit of that configuration is then any of the orbits
with the same probability; drawing again where one repeats gives a simple random sample without
replacement. The degeneracy of each is exact, so that averages over configurations weighted with it
are unbiased up to the usual 1/n of a ratio.

Reference:
    Dixon, Wilf, J. Algorithms 4, 205 (1983), doi:10.1016/0196-6774(83)90021-4.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from screening.orderings.counting import Cycles, n_fillings

if TYPE_CHECKING:
    from screening.orderings.space import ConfigurationSpace, Sublattice

# A cycle: its sites, and for each orientation the satellites that are filled.
_Cycle = tuple[list[int], list[list[int]]]


def random_orderings(
    space: ConfigurationSpace, n: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Distinct orderings, fewer than there are, and their degeneracies, in the order drawn.

    Returns:
        Occupants, shape (n, n_sites), and degeneracies, shape (n,).
    """
    rng = random.Random(seed)  # noqa: S311 - whole numbers of any size; nothing to keep secret
    types, which = space.cycle_types
    members = [np.flatnonzero(which == t) for t in range(len(types))]
    shares = [
        len(own) * unchanged for own, unchanged in zip(members, space.n_unchanged, strict=True)
    ]
    drawn: dict[bytes, int] = {}
    while len(drawn) < n:
        own = members[_choose(rng, shares)]
        permutation = space.permutations[own[rng.randrange(len(own))]]
        occupants = np.zeros(len(permutation), dtype=np.uint8)
        for sublattice in space.sublattices:
            _fill(rng, sublattice, permutation, occupants)
        images = np.empty_like(space.permutations, dtype=np.uint8)
        np.put_along_axis(images, space.permutations, occupants[None], axis=1)
        rows = [row.tobytes() for row in images]
        first = min(rows)
        drawn[first] = len(rows) // rows.count(first)
    return (
        np.array([np.frombuffer(row, dtype=np.uint8) for row in drawn]),
        np.array(list(drawn.values()), dtype=np.int64),
    )


def _choose(rng: random.Random, shares: list[int]) -> int:
    """An index, with probability proportional to its share."""
    left = rng.randrange(sum(shares))
    for i, share in enumerate(shares):
        left -= share
        if left < 0:
            return i
    raise AssertionError("unreachable: the shares sum to more than was drawn")


def _fill(
    rng: random.Random,
    sublattice: Sublattice,
    permutation: NDArray[np.int32],
    occupants: NDArray[np.uint8],
) -> None:
    """Give each cycle of a sublattice an occupant: all ways to do so are equally likely."""
    cycles = _cycles(sublattice, permutation)
    left = Counter((len(sites), len(orientations)) for sites, orientations in cycles)
    amounts = list(sublattice.amounts)
    for sites, orientations in cycles:
        alike = len(sites), len(orientations)
        left[alike] -= 1
        rest: Cycles = tuple((*key, number) for key, number in left.items() if number)
        shares = []
        for occupant, amount in enumerate(amounts):
            fits = amount >= len(sites)
            amounts[occupant] -= len(sites)
            ways = n_fillings(rest, tuple(amounts), oriented=True) if fits else 0
            amounts[occupant] += len(sites)
            shares.append(ways * (1 if occupant else len(orientations)))
        occupant = _choose(rng, shares)
        amounts[occupant] -= len(sites)
        occupants[sites] = occupant
        if occupant == 0:
            occupants[rng.choice(orientations)] = 1


def _cycles(sublattice: Sublattice, permutation: NDArray[np.int32]) -> list[_Cycle]:
    """Cycles of a permutation on the sites; without satellites there is one orientation."""
    cycles: list[_Cycle] = []
    seen: set[int] = set()
    for s, site in enumerate(sublattice.sites.tolist()):
        if site in seen:
            continue
        sites = _cycle(permutation, site)
        seen.update(sites)
        near: list[list[int]] = [[]]
        if sublattice.satellites is not None:
            ends = sublattice.satellites[s].tolist()
            near = [c for c in (_cycle(permutation, end) for end in ends) if len(c) == len(sites)]
        cycles.append((sites, near))
    return cycles


def _cycle(permutation: NDArray[np.int32], start: int) -> list[int]:
    cycle = [start]
    while (site := int(permutation[cycle[-1]])) != start:
        cycle.append(site)
    return cycle
