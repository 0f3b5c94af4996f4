"""How many orderings there are, in closed form and before any is made.

By Burnside's lemma the number of orbits is the mean, over the group, of the configurations that a
permutation leaves as they are: those that give all sites of a cycle the same occupant. They are
counted from the cycle lengths alone (Pólya), in whole numbers of any size.

References:
    Pólya, Acta Math. 68, 145 (1937), doi:10.1007/BF02546665.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Cycles of one sublattice that are alike: (length, orientations, number). An oriented occupant (a
# molecule) can sit on a cycle in `orientations` ways that the permutation leaves as they are.
Cycles = tuple[tuple[int, int, int], ...]


def cycle_types(
    permutations: NDArray[np.int32],
    sublattices: Sequence[tuple[NDArray[np.intp], NDArray[np.intp] | None]],
    translations: NDArray[np.int32] | None = None,
) -> tuple[list[tuple[Cycles, ...]], NDArray[np.intp]]:
    """The cycles of every permutation on every sublattice.

    Args:
        permutations: shape (n_permutations, n_sites).
        sublattices: sites, and the satellites of each (see `space.Sublattice`) or None.
        translations: shape (n, n_sites), further permutations that must leave a configuration as it
            is; a cycle is then a set of sites that they and the permutation carry into each other.

    Returns:
        The different cycle types, and which of them each permutation has.
    """
    if not sublattices:
        return [()], np.zeros(len(permutations), dtype=np.intp)
    n_sites = permutations.shape[1]
    extra = np.empty((0, n_sites), np.int32) if translations is None else translations
    none = np.empty((0, 0), np.intp)
    table = np.concatenate(
        [
            _cycle_table(permutations, extra, sites, none if near is None else near)
            for sites, near in sublattices
        ],
        axis=1,
    )
    present = np.flatnonzero(table.any(axis=0))
    types, which = np.unique(table[:, present], axis=0, return_inverse=True)
    columns = [
        (s, length, 1 if near is None else orientations)
        for s, (sites, near) in enumerate(sublattices)
        for length in range(len(sites) + 1)
        for orientations in range(1 if near is None else near.shape[1] + 1)
    ]
    found = []
    for row in types.tolist():
        cycles: list[list[tuple[int, int, int]]] = [[] for _ in sublattices]
        for column, number in zip(present.tolist(), row, strict=True):
            s, length, orientations = columns[column]
            if number:
                cycles[s].append((length, orientations, number))
        found.append(tuple(tuple(entry) for entry in cycles))
    return found, which.ravel()


def n_unchanged(cycles: Sequence[Cycles], amounts: Sequence[tuple[int, ...]]) -> int:
    """Configurations that a permutation of that cycle type leaves as they are.

    Args:
        cycles: of each sublattice.
        amounts: of each sublattice, the sites that hold occupant 0, 1, 2, ...
    """
    return math.prod(n_fillings(c, a, oriented=True) for c, a in zip(cycles, amounts, strict=True))


@functools.lru_cache(maxsize=65536)
def n_fillings(cycles: Cycles, amounts: tuple[int, ...], *, oriented: bool) -> int:
    """Ways to give each cycle one occupant so that the amounts come out right.

    Args:
        cycles: of one sublattice.
        amounts: sites that hold each occupant.
        oriented: whether the first of the occupants counts once for each of its orientations.
    """
    if len(amounts) == 1:
        if sum(length * number for length, _, number in cycles) != amounts[0]:
            return 0
        return math.prod(o**n for _, o, n in cycles) if oriented else 1
    total = 0
    for taken in _taken(cycles, amounts[0]):
        ways = math.prod(
            math.comb(number, n) * (o**n if oriented else 1)
            for (_, o, number), n in zip(cycles, taken, strict=True)
        )
        if ways:
            left = tuple(
                (length, o, number - n)
                for (length, o, number), n in zip(cycles, taken, strict=True)
                if number > n
            )
            total += ways * n_fillings(left, amounts[1:], oriented=False)
    return total


def _taken(cycles: Cycles, amount: int) -> Iterator[tuple[int, ...]]:
    """How many cycles of each class to take so that their lengths sum to the amount."""
    if not cycles:
        if amount == 0:
            yield ()
        return
    (length, _, number), rest = cycles[-1], cycles[:-1]
    left = sum(a_length * a_number for a_length, _, a_number in rest)
    for n in range(max(0, -(-(amount - left) // length)), min(number, amount // length) + 1):
        for others in _taken(rest, amount - n * length):
            yield (*others, n)


@njit(cache=True)
def _cycle_table(permutations, translations, sites, near):  # type: ignore[no-untyped-def]
    """Number of cycles of each length and number of orientations.

    An orientation of a cycle is a cycle of satellites that has one of them at each of its sites.

    Returns:
        Shape (n_permutations, (len(sites) + 1) * (m + 1)): the column of a cycle is
        length * (m + 1) + orientations.
    """
    n_sites, n_near = permutations.shape[1], near.shape[1]
    table = np.zeros((len(permutations), (len(sites) + 1) * (n_near + 1)), dtype=np.int32)
    root = np.empty(n_sites, dtype=np.int64)
    length = np.empty(n_sites, dtype=np.int64)
    for g in range(len(permutations)):
        for i in range(n_sites):
            root[i] = i
            length[i] = 0
        _join(root, permutations[g])
        for translation in translations:
            _join(root, translation)
        for i in range(n_sites):
            root[i] = _root(root, i)
            length[root[i]] += 1
        for s in range(len(sites)):
            if root[sites[s]] != sites[s]:
                continue
            orientations = 0
            for m in range(n_near):
                orientations += length[root[near[s, m]]] == length[sites[s]]
            table[g, length[sites[s]] * (n_near + 1) + orientations] += 1
    return table


@njit(cache=True)
def _root(root, i):  # type: ignore[no-untyped-def]
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i


@njit(cache=True)
def _join(root, permutation):  # type: ignore[no-untyped-def]
    """Put every site into the set of its image."""
    for i in range(len(permutation)):
        one, other = _root(root, i), _root(root, permutation[i])
        if one != other:
            root[max(one, other)] = min(one, other)
