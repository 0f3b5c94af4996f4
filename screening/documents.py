"""Stored shapes: what each stage answers, typed, small, with arrays kept elsewhere.

Every stage ends as `done` (its result is there), `rejected` (a gate said no), `failed` (the failure
says why) or `skipped` (an earlier stage of the candidate gave it nothing to work on). A field that
is unknown is `None` and never an invented number.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pymatgen.core import Structure

from screening.transport.trajectory import Trajectory


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


class Rejection(Document):
    """The gate that stopped a candidate."""

    gate: str = Field(description="name of the gate in the config, e.g. max_e_hull_eV_per_atom")
    value: float | None = Field(description="the candidate's value; None where it is unknown")
    threshold: float


class EnergyConvention(Document):
    """What makes two energies comparable; energies of two conventions never share a hull."""

    code: str = Field(description="program or potential, e.g. chgnet")
    functional: str
    corrections: str = Field(description="e.g. MP2020 (already inside the potential)")
    potential: str
    weights_sha256: str | None = None

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


class Relaxation(Document):
    """A relaxed structure and its energy."""

    structure: StoredStructure
    energy_eV_per_atom: float
    n_steps: int
    max_force_eV_per_A: float
    volume_change_percent: float
    convention: EnergyConvention


class RelaxDocument(StageDocument):
    """Answer of the relax stage."""

    result: Relaxation | None = None


class LowestOrdering(Document):
    """The lowest energy among relaxed structures of one composition: in one host, or in all."""

    energy_eV_per_atom: float | None = Field(description="None if none could be relaxed")


class MolecularDynamics(Document):
    """A finished run at one temperature; `trajectory` is kept in the array store."""

    temperature_K: float
    mean_temperature_K: float
    timestep_fs: float
    n_equilibration_steps: int
    n_production_steps: int
    energy_drift_eV_per_atom_per_ps: float
    seed: int
    convention: EnergyConvention
    # pydantic would take a dataclass apart field by field; monty's form keeps the arrays together
    trajectory: Annotated[
        Trajectory, PlainSerializer(Trajectory.as_dict, return_type=dict[str, Any])
    ]


class DynamicsDocument(StageDocument):
    """Answer of the dynamics stage at one temperature."""

    temperature_K: float
    result: MolecularDynamics | None = None


class Diffusivity(Document):
    """Tracer diffusivity at one temperature: a value with intervals, or an upper bound."""

    temperature_K: float
    duration_ps: float
    n_hops: float = Field(description="summed squared displacement beyond rattling / hop length²")
    D_cm2_s: float | None = None
    D_68_cm2_s: tuple[float, float] | None = None
    D_95_cm2_s: tuple[float, float] | None = None
    upper_bound_cm2_s: float | None = Field(default=None, description="at 95 % confidence")
    reason: str | None = Field(default=None, description="why there is only an upper bound")
    framework_moves: bool = Field(
        default=False, description="the host melts or turns; D is then not that of the crystal"
    )
    caveats: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _either_or(self) -> Self:
        if (self.D_cm2_s is None) == (self.upper_bound_cm2_s is None):
            raise ValueError("a diffusivity is either a value or an upper bound")
        if self.upper_bound_cm2_s is not None and not self.reason:
            raise ValueError("an upper bound needs its reason")
        return self


class Arrhenius(Document):
    """ln D = ln D0 - Ea / (kB T) and the conductivity at 300 K that follows from it.

    Every number is None where the data carry none; `reason` says why. Two temperatures give a
    line without an error bar.
    """

    activation_energy_eV: float | None = None
    activation_energy_68_eV: tuple[float, float] | None = None
    prefactor_cm2_s: float | None = None
    D_300K_cm2_s: float | None = None
    D_300K_68_cm2_s: tuple[float, float] | None = None
    conductivity_300K_S_cm: float | None = None
    conductivity_300K_68_S_cm: tuple[float, float] | None = None
    reason: str | None = None


class Transport(Document):
    """Diffusivities at all temperatures and their Arrhenius law."""

    diffusivities: tuple[Diffusivity, ...]
    failures: dict[str, Failure] = Field(
        default_factory=dict, description="temperature in K -> why that run gave nothing"
    )
    arrhenius: Arrhenius


class TransportDocument(StageDocument):
    """Answer of the transport stage."""

    result: Transport | None = None


class RankedCandidate(Document):
    """One row of the ranking; what is unknown is None."""

    rank: int | None
    pareto_front: int | None = Field(
        default=None,
        description="1: no other candidate has a higher diffusivity for certain and a window that "
        "may be as wide",
    )
    id: str
    formula: str
    mobile_ion: str
    state: Literal["waiting", "running", "done", "rejected", "failed"]
    stage: str = Field(description="the stage that decided `state`, or the one it waits for")
    engine: str
    host: str
    degeneracy: int
    formation_energy_eV_per_atom: float | None = None
    e_hull_eV_per_atom: float | None = None
    reduction_limit_V: float | None = None
    reduction_limit_68_V: tuple[float, float] | None = None
    oxidation_limit_V: float | None = None
    oxidation_limit_68_V: tuple[float, float] | None = None
    window_V: float | None = None
    window_68_V: tuple[float, float] | None = None
    window_of: str | None = None
    reduction_products: tuple[str, ...] | None = None
    oxidation_products: tuple[str, ...] | None = None
    diffusivity: tuple[Diffusivity, ...] = ()
    activation_energy_eV: float | None = None
    activation_energy_68_eV: tuple[float, float] | None = None
    conductivity_300K_S_cm: float | None = None
    conductivity_300K_68_S_cm: tuple[float, float] | None = None
    rejection: Rejection | None = None
    failure: Failure | None = None
    suspect: bool = Field(
        default=False, description="a guard failed: it is listed behind all others, without a rank"
    )
    caveats: tuple[str, ...] = ()


class Ranking(Document):
    """The campaign's answer."""

    campaign: str
    candidates: tuple[RankedCandidate, ...]
