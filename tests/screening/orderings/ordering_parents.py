"""Crystals to be decorated, and spglib's word on how their supercells are symmetric."""

import functools

import numpy as np
import spglib
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.orderings.space import ConfigurationSpace, Sublattice

HCP_C_OVER_A = 1.6


@functools.cache
def k2tacl6():
    """K2PtCl6 type, all of 8c filled; K half full is KTaCl6."""
    return Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta5+", "K+", "Cl-"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    )


@functools.cache
def li3ycl6():
    """Trigonal Li3YCl6 with Li on all of 6g and 6h; Asano et al., doi:10.1002/adma.201803075."""
    return Structure.from_spacegroup(
        "P-3m1",
        Lattice.hexagonal(11.202, 6.032),
        ["Y3+", "Y3+", "Li+", "Li+", "Cl-", "Cl-", "Cl-"],
        [
            [0, 0, 0],
            [1 / 3, 2 / 3, 0.488],
            [0.3397, 0, 0],
            [0.3397, 0, 0.5],
            [0.1131, -0.1131, 0.7717],
            [0.2185, -0.2185, 0.2601],
            [0.4436, -0.4436, 0.7645],
        ],
    )


@functools.cache
def ucl3():
    """UCl3 type with a large cation on 2c, Na on 2b inside the channels."""
    return Structure.from_spacegroup(
        "P6_3/m",
        Lattice.hexagonal(7.55, 4.20),
        ["Sm3+", "Na+", "Cl-"],
        [[1 / 3, 2 / 3, 0.25], [0, 0, 0], [0.3877, 0.3012, 0.25]],
    )


@functools.cache
def rock_salt():
    """PbTe."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.46), ["Pb2+", "Te2-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@functools.cache
def metal(kind):
    """One atom a point: fcc, bcc and sc conventional, hcp, or a lattice without symmetry."""
    if kind == "hcp":
        cell = Lattice.hexagonal(3.0, 3.0 * HCP_C_OVER_A)
        return Structure(cell, ["Cu"] * 2, [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])
    if kind == "triclinic":
        return Structure(Lattice.from_parameters(3, 3.7, 4.9, 71, 83, 67), ["Cu"], [[0, 0, 0]])
    points = {
        "sc": [[0, 0, 0]],
        "bcc": [[0, 0, 0], [0.5, 0.5, 0.5]],
        "fcc": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    }[kind]
    return Structure(Lattice.cubic(4.0), ["Cu"] * len(points), points)


def positions(supercell, structure, *symbols):
    """Sites of the supercell that copy a site of one of these elements."""
    holds = np.array([site.specie.symbol in symbols for site in structure])
    return np.flatnonzero(holds[supercell.unit_site])


def binary_space(supercell, sites, n_filled):
    """Fill n of the sites, leave the others empty."""
    permutations = supercell.permutations(sites)
    amounts = (n_filled, len(sites) - n_filled)
    return ConfigurationSpace(permutations, [Sublattice(np.arange(len(sites)), amounts, None)])


def decorated(supercell, structure, sites, row):
    """The supercell with those of the sites empty whose occupant is not the first."""
    present = np.ones(len(supercell.unit_site), dtype=bool)
    present[np.asarray(sites)] = np.asarray(row) == 0
    species = [structure[i].specie for i in supercell.unit_site[present]]
    return Structure(supercell.lattice, species, supercell.frac_coords[present])


def operations(lattice, frac_coords, kinds, symprec_A=1e-3):
    """Rotations and translations that spglib finds, the translations inside the cell among them."""
    found = spglib.get_symmetry((lattice, frac_coords, kinds), symprec=symprec_A)
    return found["rotations"], found["translations"]


def permutations_by_spglib(supercell, kinds_of_unit_sites, sites):
    """The group on some of the supercell's sites, as a set of tuples."""
    coords = np.asarray(supercell.frac_coords)
    kinds = np.asarray(kinds_of_unit_sites)[supercell.unit_site]
    rotations, translations = operations(supercell.lattice.matrix, coords, kinds)
    coords, found = coords[sites], set()
    for rotation, translation in zip(rotations, translations, strict=True):
        images = coords @ rotation.T + translation
        shifts = images[:, None, :] - coords[None, :, :]
        shifts_A = np.linalg.norm((shifts - np.round(shifts)) @ supercell.lattice.matrix, axis=-1)
        nearest = shifts_A.argmin(axis=1)
        assert shifts_A.min(axis=1).max() < 1e-2
        found.add(tuple(nearest.tolist()))
    return found


def other_setting(structure, rng, *, noise_A=1e-4):
    """The same crystal in another basis, from another origin, sites shuffled, slightly shaken."""
    setting = np.eye(3, dtype=int)
    for _ in range(3):
        i, j = rng.choice(3, size=2, replace=False)
        setting[i] += rng.choice([-1, 1]) * setting[j]
    cart_A = structure.cart_coords + rng.uniform(-10, 10, 3)
    cart_A += rng.uniform(-noise_A, noise_A, cart_A.shape) / np.sqrt(3)
    order = rng.permutation(len(structure))
    lattice = Lattice(setting @ structure.lattice.matrix)
    species = [structure[i].specie for i in order]
    shaken = Structure(lattice, species, cart_A[order], coords_are_cartesian=True)
    return shaken, np.rint(np.linalg.inv(setting)).astype(int)


def pure_translations(supercell, sites):
    """How the parent's translations permute some of the supercell's sites, the identity left out.

    They are the ways from one site of the whole supercell to another that carry every site to one
    that copies the same site of the unit cell.
    """
    coords, kinds = np.asarray(supercell.frac_coords), np.asarray(supercell.unit_site)
    found = []
    for target in range(1, len(coords)):
        moved = coords + coords[target] - coords[0]
        shifts = moved[:, None, :] - coords[None, :, :]
        shifts_A = np.linalg.norm((shifts - np.round(shifts)) @ supercell.lattice.matrix, axis=-1)
        nearest = shifts_A.argmin(axis=1)
        if shifts_A.min(axis=1).max() < 1e-3 and np.array_equal(kinds[nearest], kinds):
            place = {site: i for i, site in enumerate(np.asarray(sites).tolist())}
            found.append(np.array([place[site] for site in nearest[sites].tolist()]))
    return found


@functools.cache
def hydroxide():
    """Cubic Li2OHCl with every place of H filled: three Li, six H around O."""
    return Structure.from_spacegroup(
        "Pm-3m",
        Lattice.cubic(3.91),
        ["Cl-", "O2-", "Li+", "H+"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.75, 0.5, 0.5]],
    )


def satellites_around(supercell, centres, satellites, n_each):
    """For each centre the positions within `satellites` of the nearest n, shape (n_centres, n)."""
    coords = np.asarray(supercell.frac_coords)
    shifts = coords[satellites][None, :, :] - coords[centres][:, None, :]
    distances_A = np.linalg.norm((shifts - np.round(shifts)) @ supercell.lattice.matrix, axis=-1)
    return np.argsort(distances_A, axis=1, kind="stable")[:, :n_each]
