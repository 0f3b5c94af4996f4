"""Hull and electrochemical window of a relaxed candidate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from typing import Any

from jobflow import Job, Maker, OutputReference, job

from screening.documents import LowestOrdering, Relaxation, RelaxDocument
from screening.errors import MissingReference
from screening.stability.documents import Interface, Stability, StabilityDocument
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
                _competitors(self.settings, frozenset(elements)),
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
        references = ReferencePhases.load(settings.references)
        lower_eV_per_atom = polymorph.energy_eV_per_atom if polymorph else None
        if lower_eV_per_atom is not None and lower_eV_per_atom >= relaxation.energy_eV_per_atom:
            lower_eV_per_atom = None  # it is the lowest itself
        symbols = [element.symbol for element in composition]
        system = references.system(symbols)
        assessed = assess_stability(
            composition,
            relaxation.energy_eV_per_atom,
            relaxation.convention,
            references,
            mobile_ion,
            polymorph_energy_eV_per_atom=lower_eV_per_atom,
            raw_halide_energies=settings.raw_halide_energies,
        )
        met, caveats = _interfaces(relaxation, references, mobile_ion, settings)
        caveats = (*assessed.caveats, *_missing(system, symbols), *caveats)
        return assessed.model_copy(update={"interfaces": met, "caveats": caveats})

    return answer(StabilityDocument, compute)


def _missing(references: ReferencePhases, elements: Iterable[str]) -> Iterator[str]:
    """Compounds of a chemical system that are known and not among its phases."""
    from screening.stability.overview import missing_phases

    if missing := missing_phases(references, elements):
        yield (
            f"known compounds that the reference phases lack: {', '.join(missing)}; with them the "
            "window may be narrower"
        )


def _interfaces(
    relaxation: Relaxation,
    references: ReferencePhases,
    mobile_ion: str,
    settings: StabilitySettings,
) -> tuple[tuple[Interface, ...], tuple[str, ...]]:
    """Interfaces with the electrodes that are asked for, and why some cannot be computed."""
    if not settings.electrodes:
        return (), ()
    from screening.stability.interfaces import interfaces
    from screening.stability.reactants import Reactant

    composition = relaxation.structure.composition
    candidate = Reactant(
        composition.reduced_formula,
        composition,
        relaxation.energy_eV_per_atom,
        relaxation.convention,
    )
    met = interfaces(
        candidate,
        references,
        mobile_ion,
        settings.electrodes,
        raw_halide_energies=settings.raw_halide_energies,
    )
    return met.computed, tuple(
        f"no interface with {partner}: {reason}" for partner, reason in met.left_out.items()
    )


def _competitors(settings: StabilitySettings, elements: frozenset[str]) -> dict[str, Any]:
    """What a result takes from the snapshot.

    The phases that can react with the candidate, electrodes included, by their hashes; and the
    engine's error, which follows from all measured halides of the snapshot.
    """
    from screening.stability.reactants import phases_called
    from screening.stability.uncertainty import ErrorModel, error_model

    references = ReferencePhases.load(settings.references)
    systems = [elements]
    for electrode in settings.electrodes:
        systems += [elements.union(*(p.elements for p in phases_called(electrode, references)))]
    try:
        hashes = [references.system(system).sha256 for system in systems]
    except MissingReference:  # the candidate fails, and is tried again with any other snapshot
        hashes = [references.sha256]
    model = error_model(references)
    if isinstance(model, ErrorModel):
        return {"phases": hashes, "error": astuple(replace(model, references_sha256=None))}
    return {"phases": hashes, "error": model}
