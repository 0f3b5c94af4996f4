"""Hull and electrochemical window of a relaxed candidate."""

from __future__ import annotations

from dataclasses import dataclass

from jobflow import Job, Maker, OutputReference, job

from screening.documents import RelaxDocument, Stability, StabilityDocument
from screening.stability.references import ReferencePhases
from workflows.config import StabilitySettings
from workflows.fingerprint import identify
from workflows.stages.boundary import answer

VERSION = 1


@dataclass
class StabilityMaker(Maker):
    """Place a relaxed candidate on the hull; the answer is a StabilityDocument."""

    settings: StabilitySettings
    name: str = "stability"

    def make(self, relaxed: OutputReference, mobile_ion: str, labels: dict[str, str]) -> Job:
        """The job that assesses the stability of what `relaxed` refers to."""
        references = ReferencePhases.load(self.settings.references)
        return identify(
            stability(relaxed, mobile_ion, self.settings),
            self.name,
            VERSION,
            [relaxed, mobile_ion, references.sha256],
            labels,
        )


@job(
    name="stability",
    output_schema=StabilityDocument,
)
def stability(
    relaxed: RelaxDocument | None, mobile_ion: str, settings: StabilitySettings
) -> StabilityDocument:
    """Energy above hull, decomposition and window against the alkali metal."""
    if relaxed is None or (relaxation := relaxed.result) is None:
        return StabilityDocument(state="skipped")

    def compute() -> Stability:
        from screening.stability.assessment import assess_stability

        return assess_stability(
            relaxation.structure.composition,
            relaxation.energy_eV_per_atom,
            relaxation.convention,
            ReferencePhases.load(settings.references),
            mobile_ion,
        )

    return answer(StabilityDocument, compute)
