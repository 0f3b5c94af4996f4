"""Orderly generation: one set of each orbit, grown site by site, in constant memory.

A set is kept only while it is the first of its orbit in lexicographic order of its sites. Each
beginning of such a set is itself first of its orbit, so that nothing is lost and no two results
need comparing. The images of the set under all permutations, as bit masks, are kept at every depth;
one more site is one more bit in each of them.

Reference:
    Read, Ann. Discrete Math. 2, 107 (1978), doi:10.1016/S0167-5060(08)70325-X.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from screening.errors import InvalidInput

MAX_TABLE_BYTES = 4 * 10**9
_BLOCK = 64  # permutations compared at once, before it is asked whether one gave a smaller set


def distinct_sets(
    permutations: NDArray[np.int32],
    size: int,
    groups: NDArray[np.int64] | None = None,
    max_rows: int = 65536,
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Stream one representative of every orbit of sets of that size.

    Args:
        permutations: shape (n_permutations, n_sites), a group.
        size: sites in a set.
        groups: shape (n_sites,), parts that permutations carry into each other; of each part at
            most one site is chosen. None: no such limit.
        max_rows: largest block handed out.

    Yields:
        Membership, shape (n, n_sites), and the permutations that leave each set as it is, (n,).

    Raises:
        InvalidInput: the images of all sites would not fit into memory.
    """
    n_permutations, n_sites = permutations.shape
    if size == 0:
        yield np.zeros((1, n_sites), dtype=np.bool_), np.array([n_permutations])
        return
    if size == 1:
        yield from _orbits(permutations, max_rows)
        return
    dtype, width = (np.uint32, 32) if n_sites <= 32 else (np.uint64, 64)
    n_words = -(-n_sites // width)
    n_padded = -(-n_permutations // _BLOCK) * _BLOCK
    n_bytes = n_words * n_sites * n_padded * np.dtype(dtype).itemsize
    if n_bytes > MAX_TABLE_BYTES:
        raise InvalidInput(
            f"{size} of {n_sites} sites under {n_permutations:,} symmetry operations would take "
            f"{n_bytes / 1e9:.0f} GB to enumerate; choose a smaller supercell, or when_more: sample"
        )
    masks = _masks(permutations, dtype, width, n_padded)
    unit = _masks(np.arange(n_sites, dtype=np.int32)[None], dtype, width, 1).reshape(n_words, -1)
    if groups is None:
        groups = np.arange(n_sites)
    chosen = np.full(size + 1, -1, dtype=np.int64)
    images = np.zeros((size + 1) * n_words * n_padded, dtype=dtype)
    own = np.zeros((size + 1, n_words), dtype=dtype)
    taken = np.zeros(int(groups.max()) + 1, dtype=np.bool_)
    depth = 0
    while depth >= 0:
        members = np.zeros((max_rows, n_sites), dtype=np.bool_)
        orders = np.zeros(max_rows, dtype=np.int64)
        n, depth = _fill(masks, unit, groups, chosen, images, own, taken, depth, members, orders)
        if n:
            yield members[:n], orders[:n]


def _orbits(
    permutations: NDArray[np.int32], max_rows: int
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """The same for single sites: the first of each orbit, which needs no search."""
    here = np.arange(permutations.shape[1])
    first = np.flatnonzero(permutations.min(axis=0) == here)
    orders = np.count_nonzero(permutations[:, first] == first, axis=0)
    for start in range(0, len(first), max_rows):
        chosen = first[start : start + max_rows]
        yield chosen[:, None] == here, orders[start : start + max_rows]


def _masks(
    permutations: NDArray[np.int32],
    dtype: type[np.uint32] | type[np.uint64],
    width: int,
    n_padded: int,
) -> NDArray[Any]:
    """The bit that each site is carried to, the first site highest.

    Returns:
        Flat, of shape (n_words, n_sites, n_padded): of two sets of equal size, the one with the
        larger number (first word first) is lexicographically smaller. The padding is 0, which is
        never larger than a set nor the set itself.
    """
    n_permutations, n_sites = permutations.shape
    word, place = np.divmod(permutations.T, np.int32(width))
    bits = np.left_shift(dtype(1), (width - 1 - place).astype(dtype))
    masks = np.zeros((-(-n_sites // width), n_sites, n_padded), dtype=dtype)
    masks[word, np.arange(n_sites)[:, None], np.arange(n_permutations)] = bits
    return masks.ravel()


@njit(cache=True, boundscheck=False, error_model="numpy")
def _fill(masks, unit, groups, chosen, images, own, taken, depth, members, orders):  # type: ignore[no-untyped-def]
    """Go on with the search until the block is full.

    `own[d]` and `images[d]` are the set of the first d sites and its images, `chosen[d]` the site
    that follows them, -1 before the first is tried; `taken` are the parts of the chosen sites.

    Returns:
        Rows of the block that were filled, and the depth of the search, -1 at its end.
    """
    n_words, n_sites = unit.shape
    size = len(chosen) - 1
    n_padded = len(masks) // (n_words * n_sites)
    block = np.empty(_BLOCK, dtype=masks.dtype)
    n_found = 0
    while depth >= 0:
        site = chosen[depth]
        if site >= 0:
            taken[groups[site]] = False
        elif depth > 0:
            site = chosen[depth - 1]
        site += 1
        last = n_sites - size + depth
        while site <= last and taken[groups[site]]:
            site += 1
        if site > last:
            chosen[depth] = -1
            depth -= 1
            continue
        chosen[depth] = site
        taken[groups[site]] = True
        for w in range(n_words):
            own[depth + 1, w] = own[depth, w] | unit[w, site]
        order = _symmetry_order(masks, images, own, site, depth, n_padded, block)
        if order == 0:
            continue
        if depth + 1 < size:
            for w in range(n_words):
                before = np.uint64((depth * n_words + w) * n_padded)
                after = np.uint64(((depth + 1) * n_words + w) * n_padded)
                added = np.uint64((w * n_sites + site) * n_padded)
                for i in range(np.uint64(n_padded)):
                    images[after + i] = images[before + i] | masks[added + i]
            depth += 1
            continue
        for d in range(size):
            members[n_found, chosen[d]] = True
        orders[n_found] = order
        n_found += 1
        if n_found == len(orders):
            break
    return n_found, depth


@njit(cache=True, boundscheck=False, error_model="numpy", inline="always")
def _symmetry_order(masks, images, own, site, depth, n_padded, block):  # type: ignore[no-untyped-def]
    """How many permutations leave a set as it is; 0 where one makes it lexicographically smaller.

    The set is that of depth `depth` with `site` added. Indices are unsigned: the check for negative
    ones would keep the compiler from comparing many permutations at once.
    """
    n_words = own.shape[1]
    n_sites = len(masks) // (n_words * n_padded)
    width = np.uint64(_BLOCK)
    order = 0
    for start in range(0, n_padded, _BLOCK):
        first = np.uint64(depth * n_words * n_padded + start)
        added = np.uint64(site * n_padded + start)
        mine = own[depth + 1, 0]
        largest = block[0] & ~block[0]
        for i in range(width):
            block[i] = images[first + i] | masks[added + i]
        for i in range(width):
            largest = max(largest, block[i])
        if largest > mine:
            return 0
        if largest < mine:
            continue
        for i in range(width):
            if block[i] != mine:
                continue
            w = 1
            while w < n_words:
                image = (
                    images[first + np.uint64(w * n_padded) + i]
                    | masks[added + np.uint64(w * n_sites * n_padded) + i]
                )
                if image > own[depth + 1, w]:
                    return 0
                if image < own[depth + 1, w]:
                    break
                w += 1
            order += w == n_words
    return order
