"""A host: the unit cell of one composition in one parent, with what is disordered in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.core.periodic_table import Species
    from pymatgen.core.structure import Structure


@dataclass(frozen=True)
class Disorder:
    """One sublattice of the unit cell whose sites hold several occupants.

    Args:
        sites: of the unit cell.
        occupants: what may sit on a site; None is a vacancy.
        fractions: of the sites that each occupant holds; they sum to 1.
        satellites: empty, or for each site the unit-cell sites of which exactly one is filled while
            the site holds `occupants[0]` (the hydrogen of a hydroxide ion).
    """

    sites: tuple[int, ...]
    occupants: tuple[Species | None, ...]
    fractions: tuple[Fraction, ...]
    satellites: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Host:
    """One composition in one parent, to be ordered in any supercell.

    Args:
        name: of the prototype, or the path of the user's file.
        source: DOI, ICSD number or file.
        mobile_ion: symbol of the ion whose motion is asked for.
        structure: unit cell with every site present; a disordered site holds its first occupant
            that is no vacancy. All species carry oxidation states.
        disorder: sublattices that share no site.
        notes: what a reader of the candidate should know of how the host was made.
    """

    name: str
    source: str
    mobile_ion: str
    structure: Structure
    disorder: tuple[Disorder, ...] = ()
    notes: tuple[str, ...] = field(default=())
