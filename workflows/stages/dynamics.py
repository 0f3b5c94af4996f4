"""Molecular dynamics of a relaxed candidate at one temperature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobflow import Job, Maker, OutputReference, job

from screening.documents import RelaxDocument
from screening.transport.documents import DynamicsDocument, MolecularDynamics
from screening.transport.trajectory import Trajectory
from workflows.config import DynamicsSettings, EngineSettings
from workflows.engines import engine_convention, load_engine
from workflows.fingerprint import identify
from workflows.stages.boundary import answer

VERSION = 1

# Neither the other temperatures nor how often a run is saved changes its result.
_NOT_IN_FINGERPRINT = {"temperatures_K", "checkpoint_ps"}


@dataclass
class DynamicsMaker(Maker):
    """Run NVT dynamics at one temperature; the answer is a DynamicsDocument."""

    engine: EngineSettings
    settings: DynamicsSettings
    name: str = "dynamics"

    def make(self, relaxed: OutputReference, temperature_K: float, labels: dict[str, str]) -> Job:
        """The job that moves what `relaxed` refers to."""
        return identify(
            dynamics(relaxed, temperature_K, self.engine, self.settings),
            self.name,
            VERSION,
            [
                relaxed,
                temperature_K,
                engine_convention(self.engine),
                self.settings.model_dump(exclude=_NOT_IN_FINGERPRINT),
            ],
            {**labels, "temperature_K": f"{temperature_K:g}"},
        )


@job(
    name="dynamics",
    output_schema=DynamicsDocument,
    data=[Trajectory],
)
def dynamics(
    relaxed: RelaxDocument | None,
    temperature_K: float,
    engine: EngineSettings,
    settings: DynamicsSettings,
) -> DynamicsDocument:
    """Heat, equilibrate, produce; goes on from the checkpoint in the working directory."""
    if relaxed is None or (relaxation := relaxed.result) is None:
        return DynamicsDocument(state="skipped", temperature_K=temperature_K)

    def compute() -> MolecularDynamics:
        from workflows.molecular_dynamics import run_molecular_dynamics

        loaded = load_engine(engine)
        return run_molecular_dynamics(
            relaxation.structure,
            loaded.calculator(),
            loaded.convention,
            temperature_K,
            settings,
            checkpoints=Path.cwd(),
        )

    return answer(DynamicsDocument, compute, temperature_K=temperature_K)
