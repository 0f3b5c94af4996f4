"""Reference phases: the energies that a candidate competes with, kept as snapshots of data.

A snapshot holds phases relaxed with one engine and one set of settings. Energies of different
engines or corrections never meet: the snapshot carries its convention, and whoever compares an
energy with it compares conventions first. A snapshot is one file, or a folder with one file for
each chemical system.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BeforeValidator,
    Field,
    FiniteFloat,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pymatgen.core.composition import Composition
from pymatgen.core.structure import Structure, StructureError

from screening.documents import Document, EnergyConvention
from screening.errors import InvalidInput, MissingReference, MixedConventions

COORDINATE_DECIMALS = 6
ENERGY_DECIMALS = 5
SAME_ENERGY_EV_PER_ATOM = 1.5 * 10**-ENERGY_DECIMALS


def structure_from_plain(value: Any) -> Any:
    """The structure that `plain_structure` wrote; anything else is left as it is.

    Raises:
        ValueError: a part is missing, or the parts do not fit.
    """
    if not (isinstance(value, Mapping) and "lattice_A" in value):
        return value
    try:
        return Structure(value["lattice_A"], value["species"], value["frac_coords"])
    except KeyError as error:
        raise ValueError(f"no {error}") from error
    except StructureError as error:
        raise ValueError(str(error)) from error


def plain_structure(structure: Structure) -> dict[str, Any]:
    """Cell, symbols and coordinates, rounded, for JSON."""
    return {
        "lattice_A": _plain(structure.lattice.matrix),
        "species": [site.specie.symbol for site in structure],
        "frac_coords": _plain(structure.frac_coords),
    }


def _plain(array: NDArray[np.float64]) -> list[list[float]]:
    rounded = np.asarray(array, dtype=np.float64).round(COORDINATE_DECIMALS)
    return cast("list[list[float]]", (rounded + 0.0).tolist())  # -0.0 becomes 0.0


PlainStructure = Annotated[
    Structure,
    BeforeValidator(structure_from_plain),
    PlainSerializer(plain_structure, return_type=dict[str, Any]),
]


class _HashedDocument(Document):
    """A document that keeps what is derived from it."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A changed copy, which derives everything anew."""
        copy = super().model_copy(update=update, deep=deep)
        for derived in copy.__dict__.keys() - type(copy).model_fields.keys():
            del copy.__dict__[derived]
        return copy


class ReferencePhase(_HashedDocument):
    """A relaxed phase, its energy and where its structure came from."""

    name: str = Field(description="unique in its snapshot; polymorphs differ by name")
    formula: str = Field(description="reduced formula")
    structure: PlainStructure
    energy_eV_per_atom: FiniteFloat = Field(description="corrections included")
    correction_eV_per_atom: FiniteFloat | None = Field(
        default=None,
        description="what MP2020 corrections add to that energy; None where the convention has "
        "them inside its potential",
    )
    entry_id: str | None = Field(default=None, description="in the database that it is from")
    source: str = Field(
        description="where the starting coordinates came from: DOI or handbook of the structure "
        "type, or how they were built when no published coordinates were used"
    )
    caveats: tuple[str, ...] = Field(
        default=(), description="handed on to every candidate that forms this phase"
    )
    start_sha256: str | None = Field(
        default=None,
        description="of the structure that was relaxed; a build that starts from the same one has "
        "nothing to do",
    )

    @model_validator(mode="after")
    def _formula_of_structure(self) -> Self:
        found = self.structure.composition.reduced_formula
        if found != self.formula:
            raise ValueError(f"{self.name}: formula {self.formula}, but the structure is {found}")
        return self

    @cached_property
    def composition(self) -> Composition:
        """Contents of the relaxed cell."""
        return self.structure.composition

    @cached_property
    def elements(self) -> frozenset[str]:
        """Symbols of what it is made of."""
        return frozenset(element.symbol for element in self.composition)

    @cached_property
    def sha256(self) -> str:
        """Hash of all that can change an answer; not of where the relaxation started."""
        return _sha256(self.model_dump(mode="json", exclude={"start_sha256"}, exclude_none=True))


class RelaxationProtocol(Document):
    """How every phase of a snapshot was relaxed."""

    maker: str
    max_force_eV_per_A: float = Field(gt=0)
    max_steps: int = Field(ge=1)


class ReferencePhases(_HashedDocument):
    """A snapshot of reference phases in one energy convention."""

    convention: EnergyConvention
    relaxation: RelaxationProtocol | None = Field(
        default=None, description="None for phases that a database or other programs relaxed"
    )
    source: str = Field(
        default="unknown", description="who computed the energies, and with what: database, engine"
    )
    date: str = Field(description="ISO date of the last change")
    element_caveats: dict[str, str] = Field(
        default_factory=dict,
        description="element symbol -> what is known to be wrong in its compounds",
    )
    phases: tuple[ReferencePhase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_unique(self) -> Self:
        counts = Counter(phase.name for phase in self.phases)
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"phases listed twice: {', '.join(twice)}")
        return self

    @classmethod
    def load(cls, snapshot: str | Path) -> ReferencePhases:
        """Read a shipped snapshot by its name, or any by the path of its file or folder.

        Raises:
            InvalidInput: no such snapshot, a file that is not one, or two files of a folder that
                give one phase two energies.
            MixedConventions: files of a folder that differ in convention or relaxation.
        """
        from screening.stability.snapshots import load_snapshot  # which makes these phases

        return load_snapshot(snapshot)

    @classmethod
    def parse(cls, content: bytes, origin: str) -> Self:
        """Read the text of a snapshot; `origin` names it in errors.

        Raises:
            InvalidInput: not JSON, or JSON of another shape.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidInput(
                f"{origin} is not a snapshot of reference phases: "
                f"{where + ': ' if where else ''}{first['msg']}; restore it or regenerate it"
            ) from error

    @classmethod
    def merge(cls, snapshots: Mapping[str, ReferencePhases]) -> ReferencePhases:
        """One snapshot of several; the same phase in two of them is one phase.

        Args:
            snapshots: origin, which names it in errors -> snapshot; at least one.

        Raises:
            MixedConventions: they differ in convention or in how they were relaxed.
            InvalidInput: a phase of one name has two energies.
        """
        first_origin, first = next(iter(snapshots.items()))
        found: dict[str, tuple[str, ReferencePhase]] = {}
        caveats: dict[str, str] = {}
        for origin, snapshot in snapshots.items():
            _require_alike(first_origin, first, origin, snapshot)
            caveats = snapshot.element_caveats | caveats
            for phase in snapshot.phases:
                where, known = found.setdefault(phase.name, (origin, phase))
                _require_same_energy(where, known, origin, phase)
        return cls(
            convention=first.convention,
            relaxation=first.relaxation,
            source="; ".join(dict.fromkeys(s.source for s in snapshots.values())),
            date=max(snapshot.date for snapshot in snapshots.values()),
            element_caveats=caveats,
            phases=tuple(phase for _, phase in found.values()),
        )

    def dump(self) -> str:
        """The text of a snapshot's file: a readable header, then a line per phase."""
        content = self.model_dump(mode="json", exclude_none=True)
        lines = ",\n".join(json.dumps(p, ensure_ascii=False) for p in content.pop("phases"))
        header = json.dumps(content, ensure_ascii=False, indent=1).removesuffix("\n}")
        return f'{header},\n "phases": [\n{lines}\n ]\n}}\n'

    @cached_property
    def sha256(self) -> str:
        """Hash of all that can change an answer: not the date, the source or the order."""
        content = self.model_dump(mode="json", exclude={"date", "source", "phases"})
        return _sha256({**content, "phases": sorted(phase.sha256 for phase in self.phases)})

    def for_system(self, elements: Iterable[str]) -> tuple[ReferencePhase, ...]:
        """The phases made of nothing but `elements`.

        Args:
            elements: symbols, in any order.

        Raises:
            MissingReference: an element without an elemental phase; without it neither formation
                energies nor voltages have a zero.
        """
        system = frozenset(elements)
        found = tuple(phase for phase in self.phases if phase.elements <= system)
        missing = system.difference(*(p.elements for p in found if len(p.elements) == 1))
        if missing:
            known = sorted(
                {symbol for p in self.phases if len(p.elements) == 1 for symbol in p.elements}
            )
            raise MissingReference(
                f"no elemental reference phase of {', '.join(sorted(missing))} for the system "
                f"{'-'.join(sorted(system))}; the snapshot knows {', '.join(known)};"
                " add the element and its compounds to the snapshot"
            )
        return found

    def system(self, elements: Iterable[str]) -> ReferencePhases:
        """The snapshot of one chemical system, with a hash that other phases do not change.

        Raises:
            MissingReference: see `for_system`.
        """
        system = frozenset(elements)
        caveats = {
            symbol: text for symbol, text in self.element_caveats.items() if symbol in system
        }
        return self.model_copy(
            update={"phases": self.for_system(system), "element_caveats": caveats}
        )


@dataclass(frozen=True, eq=False)
class Hashed:
    """References known by their hash: a key of what is made once for each content."""

    references: ReferencePhases

    def __hash__(self) -> int:
        return hash(self.references.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashed) and self.references.sha256 == other.references.sha256


def _require_alike(
    first_origin: str, first: ReferencePhases, origin: str, other: ReferencePhases
) -> None:
    """Refuse to merge energies that cannot be compared."""
    if differing := first.convention.differences_from(other.convention):
        raise MixedConventions(
            f"{first_origin} and {origin} are of different energy conventions ({differing}); "
            "their energies cannot be compared: keep them in different folders"
        )
    if first.relaxation != other.relaxation:
        raise MixedConventions(
            f"the phases of {first_origin} and of {origin} were relaxed differently "
            f"({first.relaxation} against {other.relaxation}); build one of them again"
        )


def _require_same_energy(
    first_origin: str, first: ReferencePhase, origin: str, other: ReferencePhase
) -> None:
    if abs(first.energy_eV_per_atom - other.energy_eV_per_atom) > SAME_ENERGY_EV_PER_ATOM:
        raise InvalidInput(
            f"{first.name} has {first.energy_eV_per_atom:.5f} eV/atom in {first_origin} and "
            f"{other.energy_eV_per_atom:.5f} in {origin}; remove the wrong one"
        )


def _sha256(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
