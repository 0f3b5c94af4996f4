"""Symmetry-distinct ways to fill k of n equivalent-by-chemistry sites, exactly.

A configuration is a set of sites; two are the same when a symmetry operation of the empty host
carries one into the other. Operations act as permutations of the sites, so that everything here
is exact arithmetic on whole numbers once the permutations are known.

Representatives come from orderly generation: a set is grown site by site in increasing order and
kept only while it is the lexicographically smallest of its orbit. Each beginning of such a set is
itself smallest of its orbit, so that nothing is lost and no two results need comparing.

References:
    Read, Ann. Discrete Math. 2, 107 (1978), doi:10.1016/S0167-5060(08)70325-X;
    Hart, Forcade, Phys. Rev. B 77, 224115 (2008), doi:10.1103/PhysRevB.77.224115.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.structure import Structure

from screening.errors import UnusableStructure

SYMMETRY_TOLERANCE_A = 0.01
_WORD_BITS = 64
_CHUNK = 4_000_000  # numbers held at once while images of sets are compared


@dataclass(frozen=True)
class Orderings:
    """Distinct configurations, in lexicographic order of their sites.

    Args:
        occupied: shape (n_orderings, n_sites), whether a site is filled.
        degeneracies: shape (n_orderings,), configurations that are the same by symmetry.
    """

    occupied: NDArray[np.bool_]
    degeneracies: NDArray[np.int64]


def site_permutations(structure: Structure, sites: Sequence[int]) -> NDArray[np.intp]:
    """How the space group, with the translations inside the cell, permutes some of the sites.

    Args:
        structure: the host with `sites` told apart from others by their species.
        sites: indices of the sites to be ordered, a union of whole orbits.

    Returns:
        Shape (n_permutations, n_sites): the distinct permutations; site i goes to row[i].

    Raises:
        UnusableStructure: the sites are not carried onto each other within the tolerance.
    """
    # Settings are read from here by every command; what is costly to import waits until it is used.
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError
    from scipy.spatial import cKDTree

    try:
        analyzer = SpacegroupAnalyzer(structure, symprec=SYMMETRY_TOLERANCE_A, angle_tolerance=-1)
        operations = analyzer.get_symmetry_operations()
    except SymmetryUndeterminedError as error:
        raise UnusableStructure(
            f"no space group was found for {structure.formula} within {SYMMETRY_TOLERANCE_A} Å; "
            "look for atoms on top of each other"
        ) from error
    rotations = np.array([operation.rotation_matrix for operation in operations])
    translations = np.array([operation.translation_vector for operation in operations])
    coords = structure.frac_coords[list(sites)]
    images = np.einsum("gij,sj->gsi", rotations, coords) + translations[:, None, :]
    tree = cKDTree(_into_cell(coords), boxsize=1.0)
    permutations = tree.query(_into_cell(images))[1]
    shifts = images - coords[permutations]
    shifts_A = structure.lattice.get_cartesian_coords(shifts - np.round(shifts))
    farthest_A = float(np.linalg.norm(shifts_A, axis=-1).max())
    one_to_one = np.all(np.sort(permutations, axis=1) == np.arange(len(sites)))
    if not one_to_one or farthest_A > 10 * SYMMETRY_TOLERANCE_A:
        raise UnusableStructure(
            f"symmetry moves a site to {farthest_A:.2g} Å from the nearest of the {len(sites)} "
            "sites to be ordered; give whole orbits, or symmetrise the structure"
        )
    return np.unique(permutations, axis=0).astype(np.intp)


def count_orderings(permutations: NDArray[np.intp], n_filled: int) -> int:
    """Number of distinct configurations, by Burnside's lemma and without making them.

    The mean over the group of the configurations that a permutation leaves as they are: the
    coefficient of x^k in the product of (1 + x^l) over its cycles of length l.

    Raises:
        UnusableStructure: the permutations form no group.
    """
    types, n_alike = np.unique(_cycle_type(permutations), axis=0, return_counts=True)
    n_fixed: int = sum(
        n * _coefficient(type_, n_filled)
        for n, type_ in zip(n_alike.tolist(), types.tolist(), strict=True)
    )
    n_orderings, rest = divmod(n_fixed, len(permutations))
    if rest:
        raise _no_group()
    return n_orderings


def enumerate_orderings(permutations: NDArray[np.intp], n_filled: int) -> Orderings:
    """One representative of every distinct configuration, with its degeneracy.

    Memory stays within that of the result: while at most half of the sites are filled, there are
    no more orbits of smaller sets than of larger ones.

    Raises:
        UnusableStructure: the permutations form no group.
    """
    n_sites = permutations.shape[1]
    n_chosen = min(n_filled, n_sites - n_filled)  # choose the vacancies where they are fewer
    image_bits = _bits(permutations, n_sites)
    sets = np.empty((1, 0), dtype=np.intp)
    symmetry_orders = np.array([len(permutations)])
    for size in range(1, n_chosen + 1):
        sets = _extended(sets, n_sites - (n_chosen - size))
        symmetry_orders = _symmetry_orders(image_bits, sets)
        sets, symmetry_orders = sets[symmetry_orders > 0], symmetry_orders[symmetry_orders > 0]
    chosen = np.zeros((len(sets), n_sites), dtype=np.bool_)
    np.put_along_axis(chosen, sets, values=True, axis=1)
    degeneracies = len(permutations) // symmetry_orders
    if sum(degeneracies.tolist()) != math.comb(n_sites, n_filled):
        raise _no_group()
    return Orderings(chosen if n_chosen == n_filled else ~chosen, degeneracies)


def ewald_energies(
    structure: Structure, charges: Sequence[float], present: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Electrostatic energy per cell of point charges, in eV, for each ordering.

    One Ewald sum of the full host gives the energy of every pair; an ordering's energy is the sum
    over its pairs, which is exact for neutral orderings.

    Args:
        structure: the host with every site filled.
        charges: shape (n_atoms,), formal charges in units of e.
        present: shape (n_orderings, n_atoms), which atoms an ordering has.
    """
    if not np.any(charges):
        return np.zeros(len(present))
    from pymatgen.core.ewald import EwaldSummation

    points = Structure(
        structure.lattice,
        [site.species.elements[0].symbol for site in structure],
        structure.frac_coords,
        site_properties={"charge": list(charges)},
    )
    pair_energies_eV = EwaldSummation(points).total_energy_matrix  # type: ignore[no-untyped-call]
    energies_eV: NDArray[np.float64] = np.sum((present @ pair_energies_eV) * present, axis=1)
    return energies_eV


def _into_cell(coords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fractional coordinates in [0, 1); one remainder alone takes -1e-17 to 1."""
    return coords % 1.0 % 1.0


def _cycle_type(permutations: NDArray[np.intp]) -> NDArray[np.intp]:
    """Shape (n_permutations, n_sites): number of cycles of length 1, 2, ..., n_sites."""
    n_sites = permutations.shape[1]
    here = np.arange(n_sites)
    lengths = np.zeros(permutations.shape, dtype=np.intp)
    power = permutations
    for length in range(1, n_sites + 1):
        lengths[(power == here) & (lengths == 0)] = length
        if lengths.all():
            break
        power = np.take_along_axis(permutations, power, axis=1)
    n_members = np.stack([(lengths == length).sum(axis=1) for length in here + 1], axis=1)
    return n_members // (here + 1)


def _coefficient(n_cycles: list[int], degree: int) -> int:
    """Coefficient of x^degree in the product over l of (1 + x^l)^n_cycles[l - 1]."""
    polynomial = [1] + [0] * degree
    for length, n in enumerate(n_cycles, start=1):
        polynomial = [
            sum(
                math.comb(n, j) * polynomial[power - j * length]
                for j in range(min(n, power // length) + 1)
            )
            for power in range(degree + 1)
        ]
    return polynomial[degree]


def _bits(sites: NDArray[np.intp], n_sites: int) -> NDArray[np.uint64]:
    """Each site as one bit of as many words as needed, the first site highest.

    Returns:
        Shape (n_words, *sites.shape). Of two sets of equal size, the one with the larger number
        (first word first) is lexicographically smaller.
    """
    words = np.arange(-(-n_sites // _WORD_BITS)).reshape(-1, *[1] * sites.ndim)
    bit = np.uint64(1) << (_WORD_BITS - 1 - sites % _WORD_BITS).astype(np.uint64)
    return np.where(sites // _WORD_BITS == words, bit, np.uint64(0))


def _extended(sets: NDArray[np.intp], end: int) -> NDArray[np.intp]:
    """Every set with every later site before `end` added to it."""
    last = sets[:, -1] if sets.shape[1] else np.full(len(sets), -1)
    parent, site = np.nonzero(np.arange(end) > last[:, None])
    return np.column_stack([sets[parent], site])


def _symmetry_orders(image_bits: NDArray[np.uint64], sets: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many permutations leave a set as it is; 0 where one makes it lexicographically smaller.

    Args:
        image_bits: shape (n_words, n_permutations, n_sites), the bit a site is carried to.
        sets: shape (n_sets, size), sites in increasing order.
    """
    n_words, n_permutations, n_sites = image_bits.shape
    orders = np.empty(len(sets), dtype=np.int64)
    step = max(1, _CHUNK // (n_permutations * sets.shape[1]))
    for start in range(0, len(sets), step):
        chunk = sets[start : start + step]
        own = np.bitwise_or.reduce(_bits(chunk, n_sites), axis=2)
        same = np.ones((n_permutations, len(chunk)), dtype=np.bool_)
        smaller = np.zeros_like(same)
        for word in range(n_words):
            image = np.bitwise_or.reduce(image_bits[word][:, chunk], axis=2)
            smaller |= same & (image > own[word])
            same &= image == own[word]
        orders[start : start + step] = np.where(smaller.any(axis=0), 0, same.sum(axis=0))
    return orders


def _no_group() -> UnusableStructure:
    return UnusableStructure(
        f"the symmetry operations found within {SYMMETRY_TOLERANCE_A} Å form no group; "
        "symmetrise the structure"
    )
