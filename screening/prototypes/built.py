"""Reference phases as whole cells (built_phases.json): built from units, packed or idealised.

Where the structure of a compound is not known, models of it compete: each is relaxed, and the
lowest stands for the compound.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

Vector = tuple[float, float, float]


class BuiltPhase(BaseModel):
    """One cell, where it comes from, and whether the real structure is unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    hypothetical: bool
    lattice_A: tuple[Vector, Vector, Vector]
    species: tuple[str, ...]
    frac_coords: tuple[Vector, ...]

    def structure(self) -> Structure:
        """The cell, without charges."""
        from pymatgen.core.structure import Structure

        return Structure(self.lattice_A, list(self.species), self.frac_coords)


@functools.cache
def built_phases() -> dict[str, BuiltPhase]:
    """All of them by name."""
    file = resources.files(__package__).joinpath("built_phases.json")
    entries = json.loads(file.read_text(encoding="utf-8"))["phases"]
    return {entry["name"]: BuiltPhase.model_validate(entry) for entry in entries}
