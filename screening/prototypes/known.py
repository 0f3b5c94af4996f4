"""Compounds that the field knows, whether or not their structure is at hand (known_phases.yaml).

A stability is only as good as its list of competitors; this list says which of them are missing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from pymatgen.core.composition import Composition


class KnownGroup(BaseModel):
    """Compounds, as the formulas of their source, that one source vouches for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    formulas: tuple[str, ...]


def known_phases(elements: Iterable[str]) -> dict[str, str]:
    """Known compounds of a chemical system and its subsystems.

    Args:
        elements: symbols; the elements themselves are not listed.

    Returns:
        Reduced formula (as pymatgen writes it) to the source that names the compound.
    """
    wanted = set(elements)
    return {
        composition.reduced_formula: source
        for composition, source in _compositions()
        if {element.symbol for element in composition} <= wanted
    }


@functools.cache
def known_groups() -> tuple[KnownGroup, ...]:
    """All groups, in the order of the file."""
    file = resources.files(__package__).joinpath("known_phases.yaml")
    entries = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return tuple(KnownGroup(**entry) for entry in entries)


@functools.cache
def _compositions() -> tuple[tuple[Composition, str], ...]:
    from pymatgen.core.composition import Composition

    return tuple(
        (Composition(formula), group.source)
        for group in known_groups()
        for formula in group.formulas
    )
