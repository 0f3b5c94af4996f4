"""The campaign file: one frozen model per YAML key, units in the names."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from screening.candidate_settings import CandidateSettings
from screening.gates import Gates
from screening.ordering_settings import Settings


class EngineSettings(Settings):
    """What computes energies and forces."""

    name: Literal["chgnet"] = Field(
        default="chgnet", description="chgnet: the embedded potential, no licence needed"
    )
    model: Literal["0.3.0"] = Field(
        default="0.3.0", description="weights, as named by the chgnet package that ships them"
    )


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
        description="snapshot of reference phases: a shipped name or the path of a file",
    )


class DynamicsSettings(Settings):
    """Molecular dynamics: NVT, Nosé–Hoover chain, one run per temperature."""

    temperatures_K: tuple[Annotated[float, Field(gt=0, le=3000)], ...] = Field(
        default=(600.0, 800.0, 1000.0), min_length=1, description="one run each"
    )
    timestep_fs: float = Field(default=2.0, gt=0, le=5, description="1 or less with H or Li")
    equilibration_ps: float = Field(default=5.0, gt=0, description="heating included, not analysed")
    production_ps: float = Field(default=40.0, gt=0, description="analysed")
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
        if len(set(self.temperatures_K)) < len(self.temperatures_K):
            raise ValueError(f"temperatures_K={list(self.temperatures_K)} names one twice")
        return self


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
    dynamics: DynamicsSettings = DynamicsSettings()
    gates: Gates = Gates()
    store: StoreSettings = StoreSettings()
