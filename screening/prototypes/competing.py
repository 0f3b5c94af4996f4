"""Compounds that exist, or may, but whose coordinates are not at hand: models of them as data.

Each model puts the compound's ions into a structure type of the reference phases, into one of their
built cells or into a host. Whoever makes a snapshot relaxes all models of a formula and keeps the
lowest; its energy is an upper bound of the compound's own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from screening.errors import InvalidInput
from screening.prototypes.built import built_phases
from screening.prototypes.phases import formula_amounts, phase_types

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure


class CompetingFormula(BaseModel):
    """One compound and its models; see the head of competing.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str
    volume_A3: float | None = Field(default=None, gt=0)
    models: tuple[str, ...] = Field(min_length=1)


class _Pattern(NamedTuple):
    """A structure to put other elements into."""

    formula: str
    structure: Structure
    source: str


def competing_formulas() -> list[str]:
    """All compounds with models, as written in competing.yaml, those that decide most first."""
    return list(_entries())


def competing_reason(formula: str) -> str:
    """What is known of the compound, and why there are only models of it.

    Raises:
        InvalidInput: there is no such compound; the message names the nearest.
    """
    return _entries()[_written(formula)].reason


def competing_sources(formula: str) -> dict[str, str]:
    """What each model of a compound is and where its coordinates come from, by its type.

    Raises:
        InvalidInput: as `competing_reason`.
    """
    written = _written(formula)
    patterns = {name: _pattern(name) for name in _entries()[written].models}
    return {
        name: f"model of {written} in the type of {pattern.formula}: {pattern.source}"
        for name, pattern in patterns.items()
    }


def competing_structures(formula: str) -> dict[str, Structure]:
    """The models of a compound, by the type that each is of; ions without charges.

    Args:
        formula: any spelling of one of `competing_formulas`.

    Raises:
        InvalidInput: as `competing_reason`.
    """
    written = _written(formula)
    entry = _entries()[written]
    return {model: _model(written, model, entry.volume_A3) for model in entry.models}


def _model(formula: str, name: str, volume_A3: float | None) -> Structure:
    """A formula's ions in a type, in the type's own volume or in `volume_A3` a formula unit."""
    from pymatgen.core.structure import Structure

    pattern = _pattern(name)
    amounts = formula_amounts(formula)
    symbols = _assignment(amounts, formula_amounts(pattern.formula))
    species = [symbols[site.specie.symbol] for site in pattern.structure]
    lattice = pattern.structure.lattice
    if volume_A3 is not None:
        lattice = lattice.scale(volume_A3 * len(species) / sum(amounts.values()))
    return Structure(lattice, species, pattern.structure.frac_coords)


def _assignment(amounts: Mapping[str, int], of_type: Mapping[str, int]) -> dict[str, str]:
    """Element of a type to element of a formula, both in the order written.

    A cation may take the places of several: Ga2Cl4 those of LiAlCl4. Anions come last and keep
    to themselves.

    Raises:
        ValueError: the proportions do not allow it.
    """
    factor, rest = divmod(sum(of_type.values()), sum(amounts.values()))
    ions = [symbol for symbol, number in amounts.items() for _ in range(number * factor)]
    places = [place for place, number in of_type.items() for _ in range(number)]
    pairs = list(dict.fromkeys(zip(places, ions, strict=False)))
    symbols = dict(pairs)
    if rest or len(pairs) != len(of_type) or list(symbols.values()).count(ions[-1]) != 1:
        raise ValueError(f"{dict(amounts)} does not fit on the places of {dict(of_type)}")
    return symbols


@functools.cache
def _pattern(name: str) -> _Pattern:
    if name in phase_types():
        kind = phase_types()[name]
        return _Pattern(kind.formula, kind.structure(kind.formula), kind.source)
    if name in built_phases():
        built = built_phases()[name]
        return _Pattern(name, built.structure(), built.source)
    return _host(name)


def _host(name: str) -> _Pattern:
    """A host whose sites are all full or all empty."""
    from screening.prototypes.library import load_prototype

    host = load_prototype(name)
    if any(site.shared or site.occupancy != 1 for site in host.sites):
        raise ValueError(f"{name} has partly filled sites; order it as a type of its own")
    structure = host.own_structure()
    empty = [i for i, role in enumerate(structure.site_properties["role"]) if role == "vacant"]
    structure.remove_sites(empty)
    return _Pattern(host.formula, structure, host.source)


def _written(formula: str) -> str:
    """A formula as competing.yaml spells it."""
    from pymatgen.core.composition import Composition

    entries = _entries()
    if formula in entries:
        return formula
    spellings = {Composition(key).reduced_formula: key for key in entries}
    try:
        return spellings[Composition(formula).reduced_formula]
    except (KeyError, ValueError):
        nearest = get_close_matches(formula, entries, n=3, cutoff=0)
        raise InvalidInput(
            f'no models of "{formula}" among those of {len(entries)} compounds; the nearest are '
            f"{', '.join(nearest)}; others are added to competing.yaml"
        ) from None


@functools.cache
def _entries() -> Mapping[str, CompetingFormula]:
    file = resources.files(__package__).joinpath("competing.yaml")
    groups = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    entries: dict[str, CompetingFormula] = {}
    for group in groups:
        for formula, volume_A3 in group["volumes_A3"].items():
            if formula in entries:
                raise ValueError(f"competing.yaml describes {formula} again")
            entries[formula] = CompetingFormula(
                reason=group["reason"], volume_A3=volume_A3, models=tuple(group["models"])
            )
    return entries
