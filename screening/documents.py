"""Stored shapes: what each stage answers, typed, small, with arrays kept elsewhere.

Every stage ends as `done` (its result is there), `rejected` (a gate said no), `failed` (the failure
says why) or `skipped` (an earlier stage of the candidate gave it nothing to work on). A field that
is unknown is `None` and never an invented number.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pymatgen.core import Structure


def _without_derived_numbers(structure: Structure) -> dict[str, Any]:
    return structure.as_dict(verbosity=0)


StoredStructure = Annotated[
    Structure, PlainSerializer(_without_derived_numbers, return_type=dict[str, Any])
]
State = Literal["done", "rejected", "failed", "skipped"]


class Document(BaseModel):
    """A frozen record that accepts no unknown field."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Failure(Document):
    """Why something ended without a result."""

    code: str = Field(description="stable name, see screening.errors")
    message: str
    log_tail: str = Field(default="", description="last lines of the log or traceback")
    corrections: tuple[str, ...] = Field(
        default=(), description="what was changed and tried again before it was given up"
    )


class Rejection(Document):
    """The gate that stopped a candidate."""

    gate: str = Field(description="name of the gate in the config, e.g. max_e_hull_eV_per_atom")
    value: float | None = Field(description="the candidate's value; None where it is unknown")
    threshold: float


UNCORRECTED = "none"  # of a convention with nothing in its energies but the functional


class EnergyConvention(Document):
    """What makes two energies comparable; energies of two conventions never share a hull."""

    code: str = Field(description="program or potential, e.g. chgnet")
    functional: str
    corrections: str = Field(description="e.g. MP2020 (already inside the potential), none")
    potential: str
    weights_sha256: str | None = None

    @property
    def is_corrected(self) -> bool:
        """Whether the energies hold anything besides what the functional gives."""
        return self.corrections != UNCORRECTED

    def differences_from(self, other: EnergyConvention) -> str:
        """Each field that differs, with both values; empty if none does."""
        return "; ".join(
            f"{field}: {ours!r} against {theirs!r}"
            for field, ours in self
            if ours != (theirs := getattr(other, field))
        )


# Numbers of configurations outgrow 64 bits, and with them JSON's parsers: then they become text.
Count = Annotated[int, PlainSerializer(lambda n: n if n < 2**53 else str(n), return_type=int | str)]


class Origin(Document):
    """Where a candidate came from."""

    host: str = Field(description="prototype name or the user's file")
    source: str = Field(description="DOI, ICSD number or file of the host")
    parent_formula: str = Field(description="composition of the cell with every site filled")
    ordering: int = Field(description="1-based number among the distinct orderings")
    n_orderings: Count = Field(description="distinct ones that there are")
    degeneracy: Count = Field(description="configurations that are this crystal")
    n_configurations: Count
    selection: Literal["all", "lowest_ewald", "sample"] = Field(
        default="all", description="how it was chosen, where not all distinct orderings are made"
    )
    ewald_energy_eV: float | None = Field(
        default=None,
        description="of the formal charges, per cell; None where they are unknown or tell nothing "
        "apart",
    )
    notes: tuple[str, ...] = ()
    space: str | None = Field(
        default=None,
        description="the same for all orderings of one configuration space, over which thermal "
        "averages can be taken; None where every shape of supercell is gone through",
    )


class CandidateInfo(Document):
    """What a candidate is, without its atoms."""

    id: str
    formula: str = Field(description="reduced formula")
    mobile_ion: str
    origin: Origin
    other_origins: tuple[Origin, ...] = Field(
        default=(), description="other hosts whose orderings are the same crystal"
    )


class Candidate(CandidateInfo):
    """One composition in one host with one ordering."""

    structure: StoredStructure


class StageDocument(Document):
    """How a stage ended; each stage's own document adds its `result`."""

    state: State
    failure: Failure | None = None
    rejection: Rejection | None = None
    wall_time_s: float = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        present = {
            "done": getattr(self, "result", None) is not None,
            "rejected": self.rejection is not None,
            "failed": self.failure is not None,
        }
        if "result" not in type(self).model_fields:  # only how a stage ended is known
            del present["done"]
        wrong = [state for state, found in present.items() if found != (state == self.state)]
        if wrong:
            raise ValueError(f"a {self.state} stage with the contents of {present}")
        return self


class VaspCalculation(Document):
    """A run of VASP: what is needed to repeat it, and what it took."""

    name: str = Field(description="of its folder, e.g. relax-1")
    version: str = Field(description="of the program; a rehearsal says so here")
    incar: dict[str, Any]
    kpoints: str = Field(description="the mesh")
    potcars: dict[str, str] = Field(description="title -> hash of each pseudopotential")
    n_ionic_steps: int
    corrections: tuple[str, ...] = Field(description="what custodian found and changed")
    elapsed_s: float
    n_cores: int | None
    folder: str = Field(description="host:path of its files")


class Relaxation(Document):
    """A relaxed structure and its energy."""

    structure: StoredStructure
    energy_eV_per_atom: float
    n_steps: int
    max_force_eV_per_A: float
    volume_change_percent: float
    convention: EnergyConvention
    calculations: tuple[VaspCalculation, ...] = Field(
        default=(), description="runs of VASP that it took; none with other engines"
    )


class RelaxDocument(StageDocument):
    """Answer of the relax stage."""

    result: Relaxation | None = None


class LowestOrdering(Document):
    """The lowest energy among relaxed structures of one composition: in one host, or in all."""

    energy_eV_per_atom: float | None = Field(description="None if none could be relaxed")
