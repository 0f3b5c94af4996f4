"""Hull and electrochemical window of a relaxed candidate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobflow import Job, Maker, OutputReference, job

from screening.documents import LowestOrdering, RelaxDocument, Stability, StabilityDocument
from screening.errors import MissingReference
from screening.stability.references import ReferencePhases
from workflows.config import StabilitySettings
from workflows.fingerprint import identify
from workflows.stages.boundary import answer

VERSION = 2

# Where the snapshot comes from does not change a result; what it holds does.
_NOT_IN_FINGERPRINT = {"references", "references_sha256"}


@dataclass
class StabilityMaker(Maker):
    """Place a relaxed candidate on the hull; the answer is a StabilityDocument."""

    settings: StabilitySettings
    name: str = "stability"

    def make(
        self,
        relaxed: OutputReference,
        polymorph: OutputReference | None,
        elements: Iterable[str],
        mobile_ion: str,
        labels: dict[str, str],
    ) -> Job:
        """The job that assesses the stability of what `relaxed` refers to.

        Args:
            relaxed: a RelaxDocument.
            polymorph: the lowest of all structures of its formula; None if it is the only one.
            elements: what it is made of: another snapshot of other elements changes nothing.
            mobile_ion: potentials are against its metal.
            labels: for the metadata.
        """
        return identify(
            stability(relaxed, polymorph, mobile_ion, self.settings),
            self.name,
            VERSION,
            [
                relaxed,
                polymorph,
                mobile_ion,
                self.settings.model_dump(exclude=_NOT_IN_FINGERPRINT),
                _sha256(ReferencePhases.load(self.settings.references), elements),
            ],
            labels,
        )


@job(
    name="stability",
    output_schema=StabilityDocument,
)
def stability(
    relaxed: RelaxDocument | None,
    polymorph: LowestOrdering | None,
    mobile_ion: str,
    settings: StabilitySettings,
) -> StabilityDocument:
    """Energy above hull, decomposition and window against the alkali metal."""
    if relaxed is None or (relaxation := relaxed.result) is None:
        return StabilityDocument(state="skipped")

    def compute() -> Stability:
        from screening.stability.assessment import assess_stability

        composition = relaxation.structure.composition
        elements = [element.symbol for element in composition]
        lower_eV_per_atom = polymorph.energy_eV_per_atom if polymorph else None
        if lower_eV_per_atom is not None and lower_eV_per_atom >= relaxation.energy_eV_per_atom:
            lower_eV_per_atom = None  # it is the lowest itself
        return assess_stability(
            composition,
            relaxation.energy_eV_per_atom,
            relaxation.convention,
            ReferencePhases.load(settings.references).system(elements),
            mobile_ion,
            polymorph_energy_eV_per_atom=lower_eV_per_atom,
            raw_halide_energies=settings.raw_halide_energies,
        )

    return answer(StabilityDocument, compute)


def _sha256(references: ReferencePhases, elements: Iterable[str]) -> str:
    try:
        return references.system(elements).sha256
    except MissingReference:  # the candidate fails, and is tried again with any other snapshot
        return references.sha256
