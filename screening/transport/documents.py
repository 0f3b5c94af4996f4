"""What dynamics and its analysis answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainSerializer, model_validator

from screening.documents import (
    Document,
    EnergyConvention,
    Failure,
    StageDocument,
    VaspCalculation,
)
from screening.transport.trajectory import Trajectory


class RunEnd(Document):
    """Why a run has the length that it has.

    converged: D is known as exactly as was asked for; bound_rejects: D is so small that a gate
    rejects the candidate; budget: the longest time allowed is used up; melted: the framework moves;
    exploded: the atoms flew apart; drifted: the integrator does not conserve its energy; failed:
    the program that moves the atoms failed too often, what was obtained counts.
    """

    outcome: Literal[
        "converged", "bound_rejects", "budget", "melted", "exploded", "drifted", "failed"
    ]
    message: str = Field(description="with the numbers that decided")
    failure: Failure | None = Field(default=None, description="what the program failed with")


class MolecularDynamics(Document):
    """A run at one temperature; `trajectory` is kept in the array store."""

    temperature_K: float
    mean_temperature_K: float
    timestep_fs: float
    n_heating_steps: int
    n_equilibration_steps: int = Field(description="at the temperature, after heating")
    n_production_steps: int
    end: RunEnd
    energy_drift_eV_per_atom_per_ps: float | None = Field(
        description="of the conserved energy; None where there are too few frames to tell"
    )
    seed: int
    convention: EnergyConvention
    calculations: tuple[VaspCalculation, ...] = Field(
        default=(), description="runs of VASP that it took; none with other engines"
    )
    # pydantic would take a dataclass apart field by field; monty's form keeps the arrays together
    trajectory: Annotated[
        Trajectory, PlainSerializer(Trajectory.as_dict, return_type=dict[str, Any])
    ]


class DynamicsDocument(StageDocument):
    """Answer of the dynamics stage at one temperature."""

    temperature_K: float
    result: MolecularDynamics | None = None
    partial: MolecularDynamics | None = Field(
        default=None, description="what a run that exploded had produced before"
    )


class MsdCurve(Document):
    """Mean squared displacement of one species, averaged over its atoms and time origins."""

    species: str
    lag_ps: tuple[float, ...] = Field(description="at most some fifty, evenly spread in ln(lag)")
    msd_A2: tuple[float, ...]


class PrincipalDiffusivity(Document):
    """Diffusivity along one principal axis of the tensor."""

    axis: tuple[float, float, float] = Field(description="unit vector, Cartesian")
    D_cm2_s: float | None = Field(description="None where it does not stand out of the rattling")
    D_68_cm2_s: tuple[float, float] | None
    upper_bound_cm2_s: float | None = Field(description="at 95 % confidence, where D is None")


class Equilibration(Document):
    """How much of a run was left out at its start, and by which test."""

    cut_ps: float
    test: str = Field(description="the test, the quantities it looked at, and what it found")


class FrameworkMotion(Document):
    """Evidence that the host does not stay: it melts, decomposes, or its units turn."""

    species: str
    kind: Literal["diffuses", "loses coordination", "turns"]
    message: str = Field(description="the evidence in numbers")

    @property
    def leaves_the_crystal(self) -> bool:
        """Units that turn do not."""
        return self.kind != "turns"


class Diffusivity(Document):
    """Tracer diffusivity at one temperature: a value with intervals, or an upper bound."""

    species: str
    temperature_K: float
    duration_ps: float = Field(description="analysed, without what equilibration took")
    n_hops: float = Field(description="summed squared displacement beyond rattling / hop length²")
    D_cm2_s: float | None = Field(default=None, description="a third of the tensor's trace")
    D_68_cm2_s: tuple[float, float] | None = None
    D_95_cm2_s: tuple[float, float] | None = None
    upper_bound_cm2_s: float | None = Field(default=None, description="at 95 % confidence")
    reason: str | None = Field(default=None, description="why there is only an upper bound")
    diffusive_from_ps: float | None = Field(
        default=None, description="where the diffusive regime begins: the shortest lag of the fit"
    )
    msd_offset_A2: float | None = Field(
        default=None, description="of the fitted line 6 D t + offset: what rattling adds"
    )
    principal: tuple[PrincipalDiffusivity, ...] = Field(
        default=(), description="the tensor by its principal axes, largest first"
    )
    dimensionality: Literal[1, 2, 3] | None = Field(
        default=None, description="principal axes along which ions move"
    )
    charge_D_cm2_s: float | None = Field(
        default=None, description="collective diffusivity of the mobile ions' charge"
    )
    charge_D_68_cm2_s: tuple[float, float] | None = None
    haven_ratio: float | None = Field(default=None, description="tracer over charge diffusivity")
    haven_ratio_68: tuple[float, float] | None = None
    rsd_he_2018: float | None = Field(
        default=None, description="empirical relative error, 3.43/√N_eff + 0.04"
    )
    equilibration: Equilibration | None = None
    msd: tuple[MsdCurve, ...] = Field(default=(), description="of every species")
    framework: tuple[FrameworkMotion, ...] = ()
    framework_moves: bool = Field(
        default=False,
        description="the host melts or decomposes; D is then not that of the crystal",
    )
    caveats: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _either_or(self) -> Self:
        if (self.D_cm2_s is None) == (self.upper_bound_cm2_s is None):
            raise ValueError("a diffusivity is either a value or an upper bound")
        if self.upper_bound_cm2_s is not None and not self.reason:
            raise ValueError("an upper bound needs its reason")
        return self


class ArrheniusLawTest(Document):
    """Whether the diffusivities follow one Arrhenius law."""

    holds: bool = Field(description="false where no line fits at the 5 % level")
    p_value: float
    message: str = Field(description="the figures, and where the law changes")


class Arrhenius(Document):
    """ln D = ln D0 - Ea / (kB T) and the conductivity at 300 K that follows from it.

    Every number is None where the data carry none; `reason` says why. Two temperatures give a
    line without an error bar. The values are posterior medians of Ea and of ln D in the middle of
    the data; D0 and D(300 K) are those of that line.
    """

    activation_energy_eV: float | None = Field(
        default=None, description="of ln D, which is that of ln(σT)"
    )
    activation_energy_68_eV: tuple[float, float] | None = None
    activation_energy_95_eV: tuple[float, float] | None = None
    activation_energy_ln_sigma_eV: float | None = Field(
        default=None, description="of ln σ over the same temperatures: about kB T less"
    )
    activation_energy_ln_sigma_68_eV: tuple[float, float] | None = None
    activation_energy_ln_sigma_95_eV: tuple[float, float] | None = None
    prefactor_cm2_s: float | None = None
    prefactor_68_cm2_s: tuple[float, float] | None = None
    prefactor_95_cm2_s: tuple[float, float] | None = None
    correlation_Ea_ln_D0: float | None = None
    D_300K_cm2_s: float | None = None
    D_300K_68_cm2_s: tuple[float, float] | None = None
    D_300K_95_cm2_s: tuple[float, float] | None = None
    D_300K_upper_bound_cm2_s: float | None = Field(
        default=None,
        description="at 95 %, where the law has no interval: D at the lowest temperature",
    )
    conductivity_300K_S_cm: float | None = None
    conductivity_300K_mS_cm: float | None = None
    conductivity_300K_68_S_cm: tuple[float, float] | None = None
    conductivity_300K_95_S_cm: tuple[float, float] | None = None
    conductivity_300K_upper_bound_S_cm: float | None = None
    carriers_per_cm3: float | None = None
    charge: int | None = Field(default=None, description="of the carriers, elementary charges")
    conductivity_formula: str | None = None
    scatter_ln_D: float | None = Field(
        default=None, description="posterior mean of the scatter beyond the errors"
    )
    law: ArrheniusLawTest | None = None
    reason: str | None = None
    notes: tuple[str, ...] = Field(default=(), description="what entered as a bound or not at all")


class Transport(Document):
    """Diffusivities at all temperatures and their Arrhenius law."""

    diffusivities: tuple[Diffusivity, ...]
    failures: dict[str, Failure] = Field(
        default_factory=dict, description="temperature in K -> why that run gave nothing"
    )
    ends: dict[str, RunEnd] = Field(
        default_factory=dict, description="temperature in K -> why that run was ended"
    )
    arrhenius: Arrhenius


class TransportDocument(StageDocument):
    """Answer of the transport stage."""

    result: Transport | None = None
