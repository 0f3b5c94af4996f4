"""Whether a structure is fit for an energy engine."""

from __future__ import annotations

import numpy as np
from pymatgen.core.molecule_structure_comparator import CovalentRadius
from pymatgen.core.structure import Structure

from screening.errors import UnusableStructure

MIN_CONTACT = 0.6  # of the sum of the covalent radii
MIN_VOLUME_A3_PER_ATOM = 1.0  # the densest solids known hold more


def check_structure(structure: Structure, mobile_ion: str) -> None:
    """Refuse what no engine should be given.

    Raises:
        UnusableStructure: partial occupancy, a cell or coordinates that are not finite, a
            collapsed cell, no mobile ion, or two atoms closer than MIN_CONTACT of the sum of
            their covalent radii.

    Reference:
        Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j, by way of pymatgen.
    """
    if not structure.is_ordered:
        raise UnusableStructure(
            f"{structure.formula} has partially occupied sites; an engine needs whole atoms"
        )
    numbers = {"cell": structure.lattice.matrix, "coordinates": structure.frac_coords}
    for name, values in numbers.items():
        if not np.isfinite(values).all():
            raise UnusableStructure(f"the {name} of {structure.formula} holds NaN or infinity")
    volume_A3_per_atom = structure.volume / len(structure)
    if volume_A3_per_atom < MIN_VOLUME_A3_PER_ATOM:
        raise UnusableStructure(
            f"the cell of {structure.formula} has {volume_A3_per_atom:.3g} Å³ per atom; "
            f"at least {MIN_VOLUME_A3_PER_ATOM:g} is needed"
        )
    symbols = np.array([site.specie.symbol for site in structure])
    if mobile_ion not in symbols:
        raise UnusableStructure(f"no {mobile_ion}, the mobile ion, in {structure.formula}")
    _check_contacts(structure, symbols)


def shortest_contact_A(first: str, second: str) -> float:
    """Two atoms of these elements have no room closer than this."""
    radii_A = CovalentRadius.radius
    return float(MIN_CONTACT * (radii_A[first] + radii_A[second]))


def _check_contacts(structure: Structure, symbols: np.ndarray) -> None:
    """Name the pair of atoms that is closest for its radii, where that is too close."""
    if unknown := sorted(set(symbols) - CovalentRadius.radius.keys()):
        raise UnusableStructure(f"no covalent radius is known for {', '.join(unknown)}")
    radii_A = np.array([CovalentRadius.radius[symbol] for symbol in symbols])
    first, second, _, distances_A = structure.get_neighbor_list(2 * MIN_CONTACT * radii_A.max())
    limits_A = MIN_CONTACT * (radii_A[first] + radii_A[second])
    ratios = distances_A / limits_A
    if ratios.size and ratios.min() < 1:
        worst = int(ratios.argmin())
        i, j = int(first[worst]), int(second[worst])
        raise UnusableStructure(
            f"{symbols[i]} (atom {i + 1}) and {symbols[j]} (atom {j + 1}) of {structure.formula} "
            f"are {distances_A[worst]:.3f} Å apart; needed: {limits_A[worst]:.2f} Å, "
            f"{MIN_CONTACT} of the sum of their covalent radii"
        )
