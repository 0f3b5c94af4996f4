"""Molecular dynamics of a relaxed candidate at one temperature, as long as the answer needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobflow import Job, Maker, OutputReference, job

from screening.amorphous.documents import MeltQuenchDocument
from screening.documents import Failure, RelaxDocument
from screening.errors import RunExploded
from screening.gates import Gates
from screening.transport.documents import DynamicsDocument, MolecularDynamics
from screening.transport.trajectory import Trajectory
from workflows.config import DynamicsSettings, EngineSettings
from workflows.engines import engine_convention, load_engine
from workflows.fingerprint import identify
from workflows.stages.boundary import answer

VERSION = 2

# Neither the other temperatures nor how often a run is saved changes its result.
_NOT_IN_FINGERPRINT = {"temperatures_K", "checkpoint_ps"}
# What may end a run early.
_DECIDING_GATES = {"min_diffusivity_cm2_s", "min_conductivity_300K_S_cm"}


@dataclass
class DynamicsMaker(Maker):
    """Run NVT dynamics at one temperature; the answer is a DynamicsDocument.

    Any engine that gives an ASE calculator will do; one that runs dynamics itself asks
    `screening.transport.stopping.judge` the same question after each of its segments.
    """

    engine: EngineSettings
    settings: DynamicsSettings
    gates: Gates
    name: str = "dynamics"

    def make(
        self,
        relaxed: OutputReference,
        temperature_K: float,
        mobile_ion: str,
        labels: dict[str, str],
    ) -> Job:
        """The job that moves what `relaxed` refers to."""
        adaptive = self.settings.relative_error is not None
        return identify(
            dynamics(relaxed, temperature_K, mobile_ion, self.engine, self.settings, self.gates),
            self.name,
            VERSION,
            [
                relaxed,
                temperature_K,
                mobile_ion,
                engine_convention(self.engine),
                self.settings.model_dump(exclude=_NOT_IN_FINGERPRINT),
                self.gates.model_dump(include=_DECIDING_GATES) if adaptive else None,
            ],
            {**labels, "temperature_K": f"{temperature_K:g}"},
        )


@job(
    name="dynamics",
    output_schema=DynamicsDocument,
    data=[Trajectory],
)
def dynamics(
    relaxed: RelaxDocument | MeltQuenchDocument | None,
    temperature_K: float,
    mobile_ion: str,
    engine: EngineSettings,
    settings: DynamicsSettings,
    gates: Gates,
) -> DynamicsDocument:
    """Heat, equilibrate, produce; goes on from the checkpoint in the working directory."""
    if relaxed is None or (relaxation := relaxed.result) is None:
        return DynamicsDocument(state="skipped", temperature_K=temperature_K)

    def compute() -> MolecularDynamics:
        from screening.transport.stopping import StoppingRule, threshold_of
        from workflows.molecular_dynamics import run_molecular_dynamics

        structure = relaxation.structure
        n_mobile = sum(site.specie.symbol == mobile_ion for site in structure)
        threshold = threshold_of(
            gates, temperature_K, n_mobile=n_mobile, volume_A3=structure.volume
        )
        loaded = load_engine(engine)
        return run_molecular_dynamics(
            structure,
            loaded.calculator(),
            loaded.convention,
            temperature_K,
            settings,
            checkpoints=Path.cwd(),
            mobile_ion=mobile_ion,
            rule=StoppingRule(settings.relative_error, threshold),
        )

    return _kept(answer(DynamicsDocument, compute, temperature_K=temperature_K))


def _kept(document: DynamicsDocument) -> DynamicsDocument:
    """A run that exploded has failed, but what it had produced before is kept."""
    if document.result is None or document.result.end.outcome != "exploded":
        return document
    return DynamicsDocument(
        state="failed",
        failure=Failure(code=RunExploded.code, message=document.result.end.message),
        wall_time_s=document.wall_time_s,
        temperature_K=document.temperature_K,
        partial=document.result,
    )
