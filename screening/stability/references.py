"""Reference phases: the energies that a candidate competes with, kept as snapshots of data.

A snapshot holds phases relaxed with one engine and one set of settings. Energies of different
engines or corrections never meet: the snapshot carries its convention, and whoever compares an
energy with it compares conventions first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
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
from screening.errors import InvalidInput, MissingReference

COORDINATE_DECIMALS = 6
ENERGY_DECIMALS = 5


def _structure_from_plain(value: Any) -> Any:
    if not (isinstance(value, Mapping) and "lattice_A" in value):
        return value
    try:
        return Structure(value["lattice_A"], value["species"], value["frac_coords"])
    except KeyError as error:
        raise ValueError(f"no {error}") from error
    except StructureError as error:
        raise ValueError(str(error)) from error


def _structure_to_plain(structure: Structure) -> dict[str, Any]:
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
    BeforeValidator(_structure_from_plain),
    PlainSerializer(_structure_to_plain, return_type=dict[str, Any]),
]


class ReferencePhase(Document):
    """A relaxed phase, its energy and where its structure came from."""

    name: str = Field(description="unique in its snapshot; polymorphs differ by name")
    formula: str = Field(description="reduced formula")
    structure: PlainStructure
    energy_eV_per_atom: FiniteFloat
    source: str = Field(
        description="where the starting coordinates came from: DOI or handbook of the structure "
        "type, or how they were built when no published coordinates were used"
    )
    caveats: tuple[str, ...] = Field(
        default=(), description="handed on to every candidate that forms this phase"
    )

    @model_validator(mode="after")
    def _formula_of_structure(self) -> Self:
        found = self.structure.composition.reduced_formula
        if found != self.formula:
            raise ValueError(f"{self.name}: formula {self.formula}, but the structure is {found}")
        return self

    @property
    def composition(self) -> Composition:
        """Contents of the relaxed cell."""
        return self.structure.composition


class RelaxationProtocol(Document):
    """How every phase of a snapshot was relaxed."""

    maker: str
    max_force_eV_per_A: float = Field(gt=0)
    max_steps: int = Field(ge=1)


class ReferencePhases(Document):
    """A snapshot of reference phases in one energy convention."""

    convention: EnergyConvention
    relaxation: RelaxationProtocol
    date: str = Field(description="ISO date of the last change")
    element_caveats: dict[str, str] = Field(
        default_factory=dict,
        description="element symbol -> what is known to be wrong in its compounds",
    )
    phases: tuple[ReferencePhase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_unique(self) -> Self:
        names = [phase.name for phase in self.phases]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"phases listed twice: {', '.join(twice)}")
        return self

    @classmethod
    def load(cls, snapshot: str | Path) -> ReferencePhases:
        """Read a shipped snapshot by its name, or any snapshot by its path.

        Raises:
            InvalidInput: no such snapshot, or a file that is not one.
        """
        if str(snapshot) in shipped_snapshots():
            return _load_shipped(str(snapshot))
        path = locate_snapshot(snapshot)
        return cls.parse(path.read_bytes(), str(path))

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

    def dump(self) -> str:
        """The text of a snapshot's file: a readable header, then a line per phase."""
        content = self.model_dump(mode="json")
        lines = ",\n".join(json.dumps(p, ensure_ascii=False) for p in content.pop("phases"))
        header = json.dumps(content, ensure_ascii=False, indent=1).removesuffix("\n}")
        return f'{header},\n "phases": [\n{lines}\n ]\n}}\n'

    @cached_property
    def sha256(self) -> str:
        """Hash of all that can change an answer: everything but the date and the layout."""
        content = self.model_dump(mode="json", exclude={"date"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A changed copy, with a hash of its own."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("sha256", None)
        return copy

    def for_system(self, elements: Iterable[str]) -> tuple[ReferencePhase, ...]:
        """The phases made of nothing but `elements`.

        Args:
            elements: symbols, in any order.

        Raises:
            MissingReference: an element without an elemental phase; without it neither formation
                energies nor voltages have a zero.
        """
        system = set(elements)
        found = tuple(p for p in self.phases if {e.symbol for e in p.composition} <= system)
        missing = system - {p.composition.elements[0].symbol for p in found if _elemental(p)}
        if missing:
            known = sorted(p.composition.elements[0].symbol for p in self.phases if _elemental(p))
            raise MissingReference(
                f"no elemental reference phase of {', '.join(sorted(missing))} for the system "
                f"{'-'.join(sorted(system))}; the snapshot knows {', '.join(dict.fromkeys(known))};"
                " add the element and its compounds to the snapshot"
            )
        return found


def shipped_snapshots() -> tuple[str, ...]:
    """Names of the snapshots inside the package."""
    files = (item.name for item in _data().iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in files if name.endswith(".json")))


def locate_snapshot(snapshot: str | Path) -> Path:
    """The file of a shipped snapshot, or the path itself.

    Raises:
        InvalidInput: neither a shipped name nor a file.
    """
    if str(snapshot) in shipped_snapshots():
        return Path(str(_data() / f"{snapshot}.json"))
    path = Path(snapshot)
    if not path.is_file():
        raise InvalidInput(
            f"no reference phases {str(snapshot)!r}: not a file, and the shipped snapshots "
            f"are {', '.join(shipped_snapshots())}"
        )
    return path


@lru_cache
def _load_shipped(name: str) -> ReferencePhases:
    path = locate_snapshot(name)
    return ReferencePhases.parse(path.read_bytes(), str(path))


def _data() -> Traversable:
    return resources.files("screening.stability") / "data"


def _elemental(phase: ReferencePhase) -> bool:
    return len(phase.composition.elements) == 1
