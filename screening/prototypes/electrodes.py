"""Electrodes to put candidates against, one state of charge each, as data (electrodes.yaml)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from screening.errors import InvalidInput
from screening.prototypes.phases import reference_structure

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

MobileIon = Literal["Li", "Na", "K"]
State = Literal[
    "lithiated", "delithiated", "sodiated", "desodiated", "potassiated", "depotassiated", "metal"
]


class ElectrodeEntry(BaseModel):
    """One entry of electrodes.yaml; its head says what the keys mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    formula: str
    phase: str
    mobile_ion: MobileIon
    state: State
    potential_V: float = Field(ge=0)
    source: str


@dataclass(frozen=True)
class Electrode:
    """An electrode in one state of charge.

    Attributes:
        name: as in `electrode_names`.
        formula: per formula unit of the host, amounts not always whole ("K0.45MnO2").
        phase: name of its structure among the reference phases.
        mobile_ion: symbol of what it takes up and gives.
        state: how much of that it holds.
        potential_V: a typical potential of this state, against the metal of the mobile ion.
        source: of the potential.
    """

    name: str
    formula: str
    phase: str
    mobile_ion: str
    state: str
    potential_V: float
    source: str

    @functools.cached_property
    def structure(self) -> Structure:
        """An ordered cell of the same composition, not relaxed; a second's reading of files."""
        return reference_structure(self.phase)


def electrode_names(mobile_ion: str | None = None) -> list[str]:
    """Names of all electrodes, or of those of one mobile ion."""
    return [e.name for e in _entries().values() if mobile_ion in (None, e.mobile_ion)]


def load_electrode(name: str) -> Electrode:
    """An electrode by name, or by another spelling of its formula ("CoLiO2").

    Raises:
        InvalidInput: there is no such electrode; the message names the nearest and all others.
    """
    entries = _entries()
    entry = entries.get(name) or _by_composition().get(_normalised(name))
    if entry is None:
        nearest = get_close_matches(name, entries, n=1, cutoff=0)[0]
        raise InvalidInput(
            f'no electrode "{name}"; the nearest is {nearest}, all are {", ".join(entries)}'
        )
    return Electrode(**entry.model_dump())


@functools.cache
def _entries() -> dict[str, ElectrodeEntry]:
    file = resources.files(__package__).joinpath("electrodes.yaml")
    entries = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return {entry["name"]: ElectrodeEntry(**entry) for entry in entries}


@functools.cache
def _by_composition() -> dict[str, ElectrodeEntry]:
    return {_normalised(entry.formula): entry for entry in _entries().values()}


def _normalised(formula: str) -> str:
    from pymatgen.core.composition import Composition

    try:
        fractions = Composition(formula).fractional_composition
    except ValueError:
        return formula
    return " ".join(f"{symbol}{share:.6f}" for symbol, share in sorted(fractions.items()))
