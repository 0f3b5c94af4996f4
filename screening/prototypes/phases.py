"""Reference phases that a hull needs: data (every phases*.yaml of this folder) and ASE's elements.

The elements named here are built by `ase.build.bulk` from ASE's reference states.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import resources
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from screening.errors import InvalidInput
from screening.prototypes.built import built_phases

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure
    from pymatgen.symmetry.groups import SpaceGroup

CHARGES = {  # of elements that have one charge wherever a formula can be read without thinking
    **dict.fromkeys(("F", "Cl", "Br", "I"), -1),
    **dict.fromkeys(("O", "S"), -2),
    **dict.fromkeys(("H", "Li", "Na", "K", "Rb", "Cs"), 1),
}
ASE_ELEMENTS = (
    *("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Al", "In", "Sn", "Sb", "Bi"),
    *("Sc", "Y", "Ce", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu"),
    *("Ti", "Zr", "Hf", "V", "Nb", "Ta", "Cr", "Mo", "W", "Fe", "Co", "Ni", "Cu", "Zn", "Cd"),
    *("Pt", "Pb"),
)

Cell = tuple[float, ...] | float
_PHASE_FILE = re.compile(r"phases\w*\.yaml")
_LATTICES = {"trigonal": "hexagonal", "triclinic": "from_parameters"}


class PhaseSite(BaseModel):
    """One Wyckoff orbit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wyckoff: str
    element: str
    xyz: tuple[float, float, float]


class PhaseType(BaseModel):
    """A structure type and the phases known to crystallise in it; see the head of phases.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    formula: str
    source: str
    space_group: str
    lattice: tuple[float, ...]
    sites: tuple[PhaseSite, ...]
    members: Mapping[str, Cell] = {}
    hypothetical: tuple[str, ...] = ()  # members whose real structure is not known
    member_cells: str = (
        "R. W. G. Wyckoff, Crystal Structures (1963-64), or the handbooks named there"
    )

    @property
    def phases(self) -> dict[str, Cell]:
        """The type's own phase and all others: name to cell or volume per formula unit in Å3."""
        return {self.formula: self.lattice, **self.members}

    def structure(self, phase: str) -> Structure:
        """The conventional cell of one of `phases`, in its measured size."""
        from pymatgen.core.lattice import Lattice
        from pymatgen.core.periodic_table import Element, Species
        from pymatgen.core.structure import Structure

        amounts = formula_amounts(phase)
        charges = _charges(amounts)
        symbols = dict(zip(formula_amounts(self.formula), amounts, strict=True))
        group = _space_group(self.space_group)
        species, coords = [], []
        for site in self.sites:
            symbol = symbols[site.element]
            orbit = group.get_orbit(site.xyz)
            coords += orbit
            ion = Species(symbol, charges[symbol]) if charges else Element(symbol)
            species += [ion] * len(orbit)
        cell = self.phases[phase]
        build = getattr(Lattice, _LATTICES.get(group.crystal_system, group.crystal_system))
        lattice = build(*(cell if isinstance(cell, tuple) else self.lattice))
        if not isinstance(cell, tuple):
            lattice = lattice.scale(cell * len(species) / sum(amounts.values()))
        return Structure(lattice, species, coords)


def reference_phase_names() -> list[str]:
    """Names of all reference phases: formulas, with a word for polymorphs ("Sn alpha")."""
    return list(dict.fromkeys((*_phases(), *ASE_ELEMENTS, *built_phases())))


def reference_structure(name: str) -> Structure:
    """The measured structure of a reference phase, ions with charges where they follow simply.

    Args:
        name: of a phase ("Sn alpha") or any spelling of its formula ("Cl3La").

    Raises:
        InvalidInput: there is no such phase; the message names the nearest.
    """
    key = _known_name(name)
    if key in ASE_ELEMENTS:
        from ase.build import bulk
        from pymatgen.io.ase import AseAtomsAdaptor

        return AseAtomsAdaptor.get_structure(bulk(key))
    if key not in _phases():
        return built_phases()[key].structure()
    return _phases()[key].structure(key)


def reference_source(name: str) -> str:
    """Where the structure of a reference phase comes from.

    Raises:
        InvalidInput: there is no such phase; the message names the nearest.
    """
    key = _known_name(name)
    if key in ASE_ELEMENTS:
        return "reference state of the element in ASE (ase.data.reference_states)"
    if key not in _phases():
        return built_phases()[key].source
    kind = _phases()[key]
    if key == kind.formula:
        return kind.source
    return f"coordinates of {kind.formula}: {kind.source}; cell: {kind.member_cells}"


def is_hypothetical(name: str) -> bool:
    """Whether the real structure of a phase is unknown, so that models of it compete."""
    kind = _phases().get(name)
    if kind is not None:
        return name in kind.hypothetical
    return name in built_phases() and built_phases()[name].hypothetical


def formula_amounts(phase: str) -> dict[str, int]:
    """Elements in the order written and their numbers: "LaCl3" gives {"La": 1, "Cl": 3}."""
    found = re.findall(r"([A-Z][a-z]?)(\d*)", phase.partition(" ")[0])
    return {symbol: int(number or 1) for symbol, number in found}


@functools.cache
def phase_types() -> dict[str, PhaseType]:
    """All structure types by name.

    Raises:
        ValueError: two files describe a type or a phase of the same name.
    """
    yaml = YAML(typ="safe", pure=True)
    files = [f for f in resources.files(__package__).iterdir() if _PHASE_FILE.fullmatch(f.name)]
    types: dict[str, PhaseType] = {}
    phases: set[str] = set()
    for file in sorted(files, key=lambda file: file.name):
        for name, entry in yaml.load(file.read_text(encoding="utf-8")).items():
            kind = PhaseType(**entry)
            again = phases.intersection(kind.phases) | types.keys() & {name}
            if again:
                raise ValueError(f"{file.name} describes {', '.join(sorted(again))} again")
            types[name] = kind
            phases.update(kind.phases)
    return types


@functools.cache
def _phases() -> dict[str, PhaseType]:
    return {phase: kind for kind in phase_types().values() for phase in kind.phases}


def _known_name(name: str) -> str:
    names = reference_phase_names()
    if name in names:
        return name
    by_formula = {_reduced(key): key for key in names if " " not in key}
    if _reduced(name) in by_formula:
        return by_formula[_reduced(name)]
    elements = formula_amounts(name).keys()
    same = [key for key in names if len(elements) > 1 and formula_amounts(key).keys() == elements]
    nearest = get_close_matches(name, same or names, n=3, cutoff=0)
    raise InvalidInput(
        f'no reference phase "{name}" among {len(names)}; the nearest names are '
        f"{', '.join(nearest)}; others are added to phases.yaml"
    )


def _charges(amounts: Mapping[str, int]) -> dict[str, int]:
    """Charges of a compound's elements, that of one by neutrality; none where that is no answer.

    Elements, peroxides, mixed valence and two elements of several valences each get none.
    """
    free = [symbol for symbol in amounts if symbol not in CHARGES]
    if len(amounts) == 1 or len(free) > 1:
        return {}
    rest = sum(number * CHARGES[symbol] for symbol, number in amounts.items() if symbol not in free)
    if not free:
        return CHARGES if rest == 0 else {}
    charge, odd = divmod(-rest, amounts[free[0]])
    return {**CHARGES, free[0]: charge} if charge and not odd else {}


@functools.cache
def _space_group(symbol: str) -> SpaceGroup:  # a second for Fm-3m
    from pymatgen.symmetry.groups import SpaceGroup

    return SpaceGroup(symbol)


@functools.cache
def _reduced(name: str) -> str:
    from pymatgen.core.composition import Composition

    try:
        return Composition(name).reduced_formula
    except ValueError:
        return name
