"""From a stable candidate to its diffusivity: the gate before the costly part, and the fit after."""

from __future__ import annotations

from dataclasses import dataclass

from jobflow import Flow, Job, Maker, OnMissing, OutputReference, Response, job

from screening.documents import (
    DynamicsDocument,
    Failure,
    RelaxDocument,
    StabilityDocument,
    Transport,
    TransportDocument,
)
from screening.gates import Gates
from screening.ranking import gate_values
from screening.transport.analysis import analyse_transport
from workflows.config import DynamicsSettings, EngineSettings
from workflows.engines import engine_convention
from workflows.fingerprint import identify
from workflows.stages.boundary import answer, skipped
from workflows.stages.dynamics import DynamicsMaker

VERSION = 1
FIT_VERSION = 1


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
        mobile_ion: str,
        labels: dict[str, str],
    ) -> Job:
        """The gate job behind relaxation and stability."""
        return identify(
            transport(relaxed.uuid, relaxed, stable, mobile_ion, self, labels),
            self.name,
            VERSION,
            [relaxed, stable, mobile_ion, engine_convention(self.engine), self.settings, self.gates],
            labels,
        )

    def measure(self, relaxed: OutputReference, mobile_ion: str, labels: dict[str, str]) -> Flow:
        """One dynamics job a temperature, then the fit over all of them."""
        maker = DynamicsMaker(self.engine, self.settings)
        runs = [maker.make(relaxed, t, labels) for t in self.settings.temperatures_K]
        outputs = [run.output for run in runs]
        fitted = identify(
            fit(relaxed, outputs, mobile_ion),
            "fit",
            FIT_VERSION,
            [relaxed, outputs, mobile_ion],
            labels,
        )
        return Flow([*runs, fitted], output=fitted.output, name=self.name)


@job(
    name="transport",
    output_schema=TransportDocument,
    config={"on_missing_references": OnMissing.NONE},
)
def transport(
    relaxed_uuid: str,
    relaxed: RelaxDocument | None,
    stable: StabilityDocument | None,
    mobile_ion: str,
    maker: TransportMaker,
    labels: dict[str, str],
) -> TransportDocument | Response:
    """Ask the gates; go on with `maker.measure` if all are passed."""
    nothing = skipped(TransportDocument, relaxed) or skipped(TransportDocument, stable)
    if nothing:
        return nothing
    rejection = maker.gates.first_broken(gate_values(relaxed.result, stable.result))
    if rejection:
        return TransportDocument(state="rejected", rejection=rejection)
    reference = OutputReference(relaxed_uuid, output_schema=RelaxDocument)
    return Response(replace=maker.measure(reference, mobile_ion, labels))


@job(
    name="fit",
    output_schema=TransportDocument,
    config={"on_missing_references": OnMissing.NONE},
)
def fit(
    relaxed: RelaxDocument, runs: list[DynamicsDocument | None], mobile_ion: str
) -> TransportDocument:
    """Diffusivity at each temperature and the Arrhenius law over them.

    A temperature that failed is kept with its cause; only when all failed has the stage failed.
    """
    lost = Failure(code="LOST", message="the process that ran it died each time it was tried")
    failures = {
        f"{run.temperature_K:g}" if run else f"run {number}": (run.failure if run else lost) or lost
        for number, run in enumerate(runs, start=1)
        if run is None or run.result is None
    }
    results = [run.result for run in runs if run is not None and run.result is not None]
    if not results:
        first = next(iter(failures.values()))
        return TransportDocument(state="failed", failure=first)

    def compute() -> Transport:
        return analyse_transport(
            [result.trajectory for result in results], mobile_ion, failures=failures
        )

    return answer(TransportDocument, compute)
