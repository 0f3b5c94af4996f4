"""From a stable candidate to its diffusivity: the gate before the costly part, the fit after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobflow import Flow, Job, Maker, OutputReference, Response, job

from screening.documents import LowestOrdering, RelaxDocument
from screening.errors import RunExploded
from screening.gates import Gates
from screening.stability.documents import StabilityDocument
from screening.transport.documents import (
    DynamicsDocument,
    MolecularDynamics,
    RunEnd,
    Transport,
    TransportDocument,
)
from workflows.config import DynamicsSettings, EngineSettings
from workflows.engines import engine_identity
from workflows.fingerprint import identify
from workflows.stages import dynamics as dynamics_stage
from workflows.stages.boundary import LOST, answer
from workflows.stages.continuing import continue_current_job
from workflows.stages.dynamics import DynamicsMaker
from workflows.stages.gates import stopped

VERSION = 3


@dataclass
class TransportMaker(Maker):
    """Dynamics at every temperature and the Arrhenius law, for candidates that pass the gates.

    `make` gives one job, the gate: it answers with a rejection, or is replaced by the flow of
    `measure`. Nothing costly is thus ever queued for a candidate that was rejected.
    """

    engine: EngineSettings
    settings: DynamicsSettings
    gates: Gates
    name: str = "transport"

    def make(
        self,
        relaxed: OutputReference,
        stable: OutputReference,
        lowest: OutputReference | None,
        mobile_ion: str,
        labels: dict[str, str],
    ) -> Job:
        """The gate job; `lowest` is the lowest ordering, where a gate asks for it."""
        return identify(
            transport(relaxed.uuid, relaxed, stable, lowest, mobile_ion, self, labels),
            self.name,
            VERSION,
            [
                relaxed,
                stable,
                lowest,
                mobile_ion,
                engine_identity(self.engine, "dynamics"),
                self.settings,
                self.gates,
                dynamics_stage.VERSION,
            ],
            labels,
        )

    def measure(self, relaxed: OutputReference, mobile_ion: str, labels: dict[str, str]) -> Flow:
        """One dynamics job a temperature, then the fit over all of them."""
        maker = DynamicsMaker(self.engine, self.settings, self.gates)
        runs = [maker.make(relaxed, t, mobile_ion, labels) for t in self.settings.temperatures_K]
        fitted = fit([run.output for run in runs], list(self.settings.temperatures_K), mobile_ion)
        continue_current_job(fitted)
        return Flow([*runs, fitted], name=self.name)


@job(
    name="transport",
    output_schema=TransportDocument,
)
def transport(
    relaxed_uuid: str,
    relaxed: RelaxDocument | None,
    stable: StabilityDocument | None,
    lowest: LowestOrdering | None,
    mobile_ion: str,
    maker: TransportMaker,
    labels: dict[str, str],
) -> TransportDocument | Response[Any]:
    """Ask the gates; go on with `maker.measure` if all are passed."""
    if end := stopped(TransportDocument, relaxed, stable, lowest, maker.gates):
        return end
    reference = OutputReference(relaxed_uuid, output_schema=RelaxDocument)
    return Response(replace=maker.measure(reference, mobile_ion, labels))


@job(
    name="transport",
    output_schema=TransportDocument,
)
def fit(
    runs: list[DynamicsDocument | None], temperatures_K: list[float], mobile_ion: str
) -> TransportDocument:
    """See `fit_runs`."""
    return fit_runs(runs, temperatures_K, mobile_ion)


def fit_runs(
    runs: list[DynamicsDocument | None], temperatures_K: list[float], mobile_ion: str
) -> TransportDocument:
    """Diffusivity at each temperature and the Arrhenius law over them.

    A temperature that failed is kept with its cause; only when all failed has the stage failed.
    What a run had produced before its program failed again and again counts.
    """
    failures = {
        f"{temperature_K:g}": run.failure if run and run.failure else LOST
        for run, temperature_K in zip(runs, temperatures_K, strict=True)
        if run is None or _usable(run) is None
    }
    measured = [moved for run in runs if run and (moved := _usable(run))]
    if not measured:
        return TransportDocument(state="failed", failure=next(iter(failures.values())))

    def compute() -> Transport:
        from screening.transport.analysis import analyse_transport

        trajectories = [run.trajectory for run in measured]
        analysed = analyse_transport(trajectories, mobile_ion, failures=failures)
        ends = {f"{run.temperature_K:g}": end for run in runs if run and (end := _end(run))}
        return analysed.model_copy(update={"ends": ends})

    return answer(TransportDocument, compute)


def _usable(run: DynamicsDocument) -> MolecularDynamics | None:
    if run.partial is not None and run.partial.end.outcome == "failed":
        return run.partial
    return run.result


def _end(run: DynamicsDocument) -> RunEnd | None:
    """Why a run was ended; None where the engine was never asked, or failed by itself."""
    if moved := run.result or run.partial:
        return moved.end
    if run.failure and run.failure.code == RunExploded.code:
        return RunEnd(outcome="exploded", message=run.failure.message)
    return None
