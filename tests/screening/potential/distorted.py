"""Structures of every chemistry here, as no relaxation would leave them."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from screening.prototypes.library import load_prototype, prototype_names
from screening.prototypes.phases import reference_phase_names, reference_structure

MAX_ATOMS = 18
_SHEAR = np.array([[1, 0, 0], [2, 1, 0], [1, -1, 1]])  # another basis of the same lattice


def distorted(structure: Structure, seed: int) -> Structure:
    """Strained by up to 5 %, every atom moved by 0.05 to 0.15 Å, and one thing more by `seed`."""
    rng = np.random.default_rng(seed)
    strain = rng.uniform(-0.05, 0.05, (3, 3))
    lattice = structure.lattice.matrix @ (np.eye(3) + (strain + strain.T) / 2)
    places = structure.frac_coords @ lattice
    directions = rng.normal(size=(len(structure), 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    places += directions * rng.uniform(0.05, 0.15, (len(structure), 1))
    numbers = np.array([next(iter(site.species.elements)).Z for site in structure])
    if seed % 3 == 0 and len(numbers) > 2:  # a vacancy
        kept = np.arange(len(numbers)) != rng.integers(len(numbers))
        places, numbers = places[kept], numbers[kept]
    if seed % 3 == 1:  # a skewed cell
        lattice = _SHEAR @ lattice
    if seed % 3 == 2:  # atoms far outside the cell
        places += rng.integers(-2, 3, places.shape) @ lattice
    return Structure(Lattice(lattice), list(numbers), places, coords_are_cartesian=True)


def reference_phases() -> list[Structure]:
    """Every second small reference phase, all of one atom in a cell, and one of every element."""
    every = [reference_structure(name) for name in reference_phase_names()]
    small = [one for one in every if len(one) <= MAX_ATOMS]
    chosen = [one for n, one in enumerate(small) if n % 2 == 0 or len(one) == 1]
    elements = {element for one in chosen for element in one.composition.element_composition}
    for one in small:
        if not elements.issuperset(one.composition.element_composition):
            chosen.append(one)
            elements.update(one.composition.element_composition)
    return chosen


def large_reference_phases() -> list[Structure]:
    """All that have more atoms."""
    every = [reference_structure(name) for name in reference_phase_names()]
    return [one for one in every if len(one) > MAX_ATOMS]


def hosts() -> list[Structure]:
    """Own structures of the host prototypes, the main ion on every site."""
    found = []
    for name in prototype_names():
        own = load_prototype(name).own_structure()
        if own.is_ordered and len(own) <= MAX_ATOMS:
            found.append(own)
    return found
