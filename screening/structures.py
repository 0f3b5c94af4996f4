"""Whether a structure is fit for an energy engine."""

from __future__ import annotations

from pymatgen.core import Structure

from screening.errors import UnusableStructure


def check_structure(structure: Structure, mobile_ion: str) -> None:
    """Refuse what no engine should be given.

    Raises:
        UnusableStructure: no mobile ion.
    """
    if mobile_ion not in {element.symbol for element in structure.elements}:
        raise UnusableStructure(f"no {mobile_ion} in {structure.formula}")
