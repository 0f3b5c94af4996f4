"""Molecular dynamics of a relaxed candidate at one temperature, as long as the answer needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobflow import Job, Maker, OutputReference, Response, job

from screening.amorphous.documents import MeltQuenchDocument
from screening.documents import Failure, RelaxDocument
from screening.errors import ProgramFailure, RunDrifted, RunExploded
from screening.gates import Gates
from screening.potential.together import busy_s
from screening.transport.documents import DynamicsDocument, MolecularDynamics
from screening.transport.trajectory import Trajectory
from workflows.config import DynamicsSettings, EngineSettings
from workflows.engines import engine_identity, load_engine
from workflows.fingerprint import identify
from workflows.stages.boundary import attempt
from workflows.stages.continuing import continue_current_job
from workflows.stages.sizes import OF_DYNAMICS, sized

VERSION = 3

# Neither the other temperatures nor how often a run is saved changes its result.
_NOT_IN_FINGERPRINT = {"temperatures_K", "checkpoint_ps"}
# Outcomes that no diffusivity follows from, or that another attempt may mend.
_WENT_WRONG = {
    "exploded": RunExploded.code,
    "drifted": RunDrifted.code,
    "failed": ProgramFailure.code,
}
# What may end a run early.
_DECIDING_GATES = {"min_diffusivity_cm2_s", "min_conductivity_300K_S_cm"}


@dataclass
class DynamicsMaker(Maker):
    """Run NVT dynamics at one temperature; the answer is a DynamicsDocument.

    After each segment any engine asks `screening.transport.stopping.judge` the same question.
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
        made = identify(
            dynamics(relaxed, temperature_K, mobile_ion, self.engine, self.settings, self.gates),
            self.name,
            VERSION,
            [
                relaxed,
                temperature_K,
                mobile_ion,
                engine_identity(self.engine, "dynamics"),
                self.settings.model_dump(exclude=_NOT_IN_FINGERPRINT),
                self.gates.model_dump(include=_DECIDING_GATES) if adaptive else None,
            ],
            {**labels, "temperature_K": f"{temperature_K:g}"},
        )
        return sized(made, labels, OF_DYNAMICS)


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
    folder: str | None = None,
) -> DynamicsDocument | Response[Any]:
    """Heat, equilibrate, produce; goes on from where the folder says that the run is.

    An engine that does a part of the run at a time, such as VASP with its wall times, has this job
    replaced by itself.

    Args:
        relaxed: what is moved.
        temperature_K: of the run.
        mobile_ion: whose diffusivity decides.
        engine: moves it.
        settings: lengths, time step, seed.
        gates: may end it early.
        folder: of the parts before; None: the working directory.
    """
    if relaxed is None or (relaxation := relaxed.result) is None:
        return DynamicsDocument(state="skipped", temperature_K=temperature_K)
    # where jobs have directories of their own, the parts are still of one run
    is_elsewhere = folder and Path(folder).is_dir() and not any(Path.cwd().glob("piece-*"))
    run_folder = Path(folder) if folder and is_elsewhere else Path.cwd()

    def compute() -> MolecularDynamics | None:
        from screening.transport.stopping import StoppingRule, threshold_of

        structure = relaxation.structure
        n_mobile = sum(site.specie.symbol == mobile_ion for site in structure)
        threshold = threshold_of(
            gates, temperature_K, n_mobile=n_mobile, volume_A3=structure.volume
        )
        return load_engine(engine).move(
            structure,
            temperature_K,
            settings,
            mobile_ion,
            StoppingRule(settings.relative_error, threshold),
            run_folder,
        )

    start_s = busy_s()
    moved, failure = attempt(compute)
    if moved is None and failure is None:
        following = dynamics(
            relaxed, temperature_K, mobile_ion, engine, settings, gates, str(run_folder)
        )
        continue_current_job(following)
        return Response(replace=following)
    return _document(moved, failure, temperature_K, busy_s() - start_s)


def _document(
    moved: MolecularDynamics | None,
    failure: Failure | None,
    temperature_K: float,
    wall_time_s: float,
) -> DynamicsDocument:
    """A run that went wrong has failed, but what it had produced before is kept.

    The time of a run by several jobs is that of all runs of VASP.
    """
    if moved is not None and moved.calculations:
        wall_time_s = sum(run.elapsed_s for run in moved.calculations)
    if moved is not None and moved.end.outcome in _WENT_WRONG:
        code = _WENT_WRONG[moved.end.outcome]
        failure = moved.end.failure or Failure(code=code, message=moved.end.message)
    return DynamicsDocument(
        state="done" if failure is None else "failed",
        failure=failure,
        wall_time_s=wall_time_s,
        temperature_K=temperature_K,
        **{"result" if failure is None else "partial": moved},
    )
