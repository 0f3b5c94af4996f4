"""The campaign file: one frozen model per YAML key, units in the names."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from screening.candidate_settings import CandidateSettings
from screening.gates import Gates
from screening.ordering_settings import Settings
from workflows.execution_settings import QUEUED_STAGES, ExecutionSettings
from workflows.vasp_settings import VaspSettings

# Keys of a campaign that decide no result.
NOT_SCIENCE = frozenset({"name", "description", "results_dir", "store", "published", "execution"})


class EngineSettings(Settings):
    """What computes energies and forces."""

    name: Literal["chgnet", "vasp", "rehearsal"] = Field(
        default="chgnet",
        description="chgnet: the embedded potential, no licence needed; vasp: VASP in Materials "
        "Project settings through atomate2; rehearsal: the same with a stand-in for VASP that "
        "computes with the embedded potential, to try a campaign before it costs anything",
    )
    model: Literal["0.3.0", "r2scan"] = Field(
        default="0.3.0",
        description="weights, as named by the chgnet package that ships them. 0.3.0: PBE and PBE+U "
        "energies with MP2020 corrections; r2scan: r2SCAN energies without any, not for Yb. Each "
        "has its own reference phases",
    )
    vasp: VaspSettings = VaspSettings()

    @property
    def runs_vasp(self) -> bool:
        """Whether its energies come out of VASP's files."""
        return self.name != "chgnet"

    @property
    def references(self) -> str:
        """Reference phases on the scale of its energies.

        A shipped snapshot, or, for VASP, where `halideflow references fetch` puts those of the
        Materials Project.
        """
        if self.runs_vasp:
            return "references" if self.name == "vasp" else self.name
        return f"{self.name}-{self.model}"

    @model_validator(mode="after")
    def _weights_that_are_used(self) -> Self:
        if self.runs_vasp and self.model != "0.3.0":
            raise ValueError(
                f"model is {self.model}, but engine {self.name} has PBE energies; leave it out"
            )
        return self


class RelaxSettings(Settings):
    """Relaxation of cell and positions."""

    max_force_eV_per_A: float = Field(default=0.03, gt=0, le=0.5, description="converged below")
    max_steps: int = Field(default=1000, ge=1, description="more steps than this is a failure")
    rattle_A: float = Field(
        default=0.02,
        ge=0,
        le=0.2,
        description="standard deviation of the random displacement that breaks false symmetry",
    )


class StabilitySettings(Settings):
    """Convex hull and electrochemical window."""

    references: str = Field(
        default="chgnet-0.3.0",
        description="snapshot of reference phases: a shipped name, a file, or a folder of files "
        "(one a chemical system); relative to this file. Where it is left out, the shipped one of "
        "engine.model",
    )
    references_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{8,64}$",
        description="pins the snapshot: one with another hash is refused; `run` prints the hash, "
        "of which the first 8 digits or more will do (in quotes, or YAML takes some for numbers)",
    )
    raw_halide_energies: bool = Field(
        default=False,
        description="take the anion corrections of halogens out of all energies, as in studies "
        "with uncorrected DFT; for comparison with them, not for prediction. engine.model r2scan "
        "holds none",
    )
    electrodes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="electrodes whose reaction with every candidate is computed, such as [NaCrO2, "
        "Na]; `halideflow interfaces` computes any of them later",
    )


class DynamicsSettings(Settings):
    """Molecular dynamics: NVT, Nosé–Hoover chain, one run per temperature, as long as it needs."""

    temperatures_K: tuple[Annotated[float, Field(gt=0, le=3000)], ...] = Field(
        default=(600.0, 800.0, 1000.0), min_length=1, description="one run each"
    )
    timestep_fs: float = Field(default=2.0, gt=0, le=5, description="1 or less with H or Li")
    heating_ps: float = Field(
        default=2.0, ge=0, description="from 100 K to the temperature, not analysed"
    )
    equilibration_ps: float = Field(
        default=5.0, gt=0, description="at the temperature, not analysed"
    )
    production_ps: float = Field(
        default=100.0, gt=0, description="analysed; a run that is good enough ends earlier"
    )
    segment_ps: float = Field(
        default=5.0, gt=0, description="after each so much production it is asked whether to end"
    )
    relative_error: float | None = Field(
        default=0.25,
        gt=0,
        le=1,
        description="a run ends once half the 68 % interval of D is at most this share of D, once "
        "a gate rejects the candidate at 95 % confidence, or once the framework melts; null: "
        "always production_ps",
    )
    frame_interval_fs: float = Field(default=20.0, gt=0, description="time between stored frames")
    checkpoint_ps: float = Field(
        default=0.5, gt=0, description="at most this much is lost when a run is killed"
    )
    thermostat_period_fs: float = Field(default=100.0, gt=0, description="of the Nosé–Hoover chain")
    min_cell_width_A: float = Field(
        default=9.0, gt=0, description="smaller cells are repeated until every width reaches this"
    )
    seed: int = Field(default=0, ge=0, description="of the initial velocities")

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if self.frame_interval_fs < self.timestep_fs:
            raise ValueError(
                f"frame_interval_fs={self.frame_interval_fs:g} is shorter than "
                f"timestep_fs={self.timestep_fs:g}; store at most one frame a step"
            )
        if self.production_ps * 1000 < 20 * self.frame_interval_fs:
            raise ValueError(
                f"production_ps={self.production_ps:g} gives fewer than 20 frames at "
                f"frame_interval_fs={self.frame_interval_fs:g}; lengthen the one or shorten the "
                "other"
            )
        if self.segment_ps * 1000 < self.frame_interval_fs:
            raise ValueError(
                f"segment_ps={self.segment_ps:g} is shorter than "
                f"frame_interval_fs={self.frame_interval_fs:g}; a segment holds one frame or more"
            )
        if len(set(self.temperatures_K)) < len(self.temperatures_K):
            raise ValueError(f"temperatures_K={list(self.temperatures_K)} names one twice")
        return self


class AmorphousSettings(Settings):
    """Glasses of a candidate: melted and quenched at its volume, then moved as the crystal is.

    Time step, thermostat, seed and frames are those of `dynamics`. The defaults are the protocol of
    Adv. Mater. 2023, 2308012 (doi:10.1002/adma.202308012).
    """

    melt_temperatures_K: tuple[Annotated[float, Field(gt=0, le=5000)], ...] = Field(
        default=(1200.0, 2000.0), min_length=1, description="one glass each"
    )
    heating_ps: float = Field(default=2.0, gt=0, description="from 100 K to the melt")
    hold_ps: float = Field(default=20.0, gt=0, description="in the melt")
    quench_ps: float = Field(default=2.0, gt=0, description="from the melt to the glass")
    quench_temperature_K: float = Field(default=300.0, gt=0, description="where quenching ends")
    min_cell_width_A: float = Field(
        default=12.0,
        gt=0,
        description="cells are repeated until every width reaches this; a glass needs more room "
        "than a crystal",
    )

    @model_validator(mode="after")
    def _quenched_from_above(self) -> Self:
        if min(self.melt_temperatures_K) <= self.quench_temperature_K:
            raise ValueError(
                f"melt_temperatures_K={list(self.melt_temperatures_K)} must all lie above "
                f"quench_temperature_K={self.quench_temperature_K:g}"
            )
        if len(set(self.melt_temperatures_K)) < len(self.melt_temperatures_K):
            raise ValueError(
                f"melt_temperatures_K={list(self.melt_temperatures_K)} names one twice"
            )
        return self


def _composition(formula: str) -> str:
    from pymatgen.core.composition import Composition

    try:
        Composition(formula)
    except ValueError as error:
        raise ValueError(
            f"cannot be read as a formula ({error}), such as Na0.75Sm1.75Cl6"
        ) from error
    return formula


class PublishedWindow(Settings):
    """A window from the literature, printed beside the computed one."""

    formula: Annotated[str, AfterValidator(_composition)] = Field(
        min_length=1, description="of the candidate, amounts of any scale"
    )
    candidate: str | None = Field(
        default=None,
        description="id or host, where several candidates have this formula; default: the one of "
        "lowest energy",
    )
    reduction_limit_V: float | None = Field(default=None, description="against the metal")
    oxidation_limit_V: float | None = Field(default=None, description="against the metal")
    reduction_tolerance_V: float | None = Field(
        default=None, gt=0, description="no verdict on the reduction limit without it"
    )
    oxidation_tolerance_V: float | None = Field(
        default=None, gt=0, description="no verdict on the oxidation limit without it"
    )
    reduction_products: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="published products, such as [K2Ta3Cl9, KCl]; not compared if empty"
    )
    oxidation_products: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="published products; not compared if empty"
    )
    source: str = Field(min_length=1, description="DOI or citation")
    note: str = Field(default="", description="what to know about the comparison")


class StoreSettings(Settings):
    """Where results are kept. A password comes from HALIDEFLOW_MONGO_PASSWORD, never from here."""

    backend: Literal["sqlite", "mongodb"] = Field(
        default="sqlite", description="sqlite: one file in the results folder, no server"
    )
    host: str = Field(default="localhost", description="mongodb only")
    port: int = Field(default=27017, ge=1, le=65535, description="mongodb only")
    database: str = Field(default="halideflow", min_length=1, description="mongodb only")
    username: str | None = Field(default=None, description="mongodb only")


class CampaignConfig(Settings):
    """One campaign: one file in, a ranked list out."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="letters, digits, '.', '_', '-'",
        examples=["my-campaign"],
    )
    description: str = Field(default="", description="for people")
    results_dir: str | None = Field(
        default=None,
        description="folder of the results, relative to this file; default: this file's name "
        "without its ending",
    )
    engine: EngineSettings = EngineSettings()
    candidates: CandidateSettings
    relax: RelaxSettings = RelaxSettings()
    stability: StabilitySettings = StabilitySettings()
    dynamics: DynamicsSettings | None = Field(
        default=DynamicsSettings(),
        description="Molecular dynamics: NVT, Nosé–Hoover chain, one run per temperature. "
        "dynamics: null leaves it out, and candidates are ranked by their window alone.",
    )
    amorphous: AmorphousSettings | None = Field(
        default=None,
        description="glasses of the candidates that pass the gates, beside the crystal",
    )
    gates: Gates = Gates()
    published: tuple[PublishedWindow, ...] = Field(
        default=(), description="windows from the literature, to print beside the computed ones"
    )
    store: StoreSettings = StoreSettings()
    execution: ExecutionSettings = ExecutionSettings()

    @model_validator(mode="after")
    def _convergence_is_said_once(self) -> Self:
        """MPRelaxSet has its own, in VASP's words."""
        if not self.engine.runs_vasp:
            return self
        for key, tag in (("max_force_eV_per_A", "EDIFFG"), ("max_steps", "NSW")):
            if getattr(self.relax, key) != RelaxSettings.model_fields[key].default:
                raise ValueError(
                    f"relax.{key} is for engine chgnet; engine {self.engine.name} relaxes as the "
                    f"Materials Project does, or by engine.vasp.relax.incar.{tag}: leave it out"
                )
        return self

    @model_validator(mode="after")
    def _references_are_those_of_the_engine(self) -> Self:
        """Where the file names none."""
        if "references" not in self.stability.model_fields_set:
            stability = self.stability.model_copy(update={"references": self.engine.references})
            self.__dict__["stability"] = stability  # frozen, and not yet in anybody's hands
        return self

    @model_validator(mode="after")
    def _processes_share_a_node(self) -> Self:
        """Of the embedded potential, with a rehearsal, too; VASP's ranks need not."""
        for stage in QUEUED_STAGES:
            resources = getattr(self.execution.resources, stage)
            nodes = max(resources.nodes, *(rule.nodes or 1 for rule in resources.larger), 1)
            if self.engine.name != "vasp" and nodes > 1:
                raise ValueError(
                    f"execution.resources.{stage}: {nodes} nodes; the processes of engine "
                    f"{self.engine.name} share one: leave nodes out, more jobs use more nodes"
                )
        return self

    @model_validator(mode="after")
    def _asks_for_nothing_that_is_left_out(self) -> Self:
        if self.dynamics is None:
            for gate in ("min_diffusivity_cm2_s", "min_conductivity_300K_S_cm"):
                if getattr(self.gates, gate) is not None:
                    raise ValueError(
                        f"dynamics is null, so that nothing is known that gates.{gate} could be "
                        "compared with; set the gate to null, or give dynamics"
                    )
        return self

    @model_validator(mode="after")
    def _glasses_can_be_compared(self) -> Self:
        if self.amorphous is None:
            return self
        if self.engine.runs_vasp:
            raise ValueError(
                f"amorphous is for engine chgnet: engine {self.engine.name} cannot melt and quench "
                "yet; set amorphous to null, or give the glass as a structure file"
            )
        if self.dynamics is None:
            raise ValueError(
                "dynamics is null, so that a glass could not be compared with its crystal; give "
                "dynamics, or set amorphous to null"
            )
        if self.amorphous.min_cell_width_A < self.dynamics.min_cell_width_A:
            raise ValueError(
                f"amorphous.min_cell_width_A={self.amorphous.min_cell_width_A:g} is below "
                f"dynamics.min_cell_width_A={self.dynamics.min_cell_width_A:g}, so that the glass "
                "would be repeated and be periodic; make them at least equal"
            )
        return self
