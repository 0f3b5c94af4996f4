"""Hull and electrochemical window of a relaxed candidate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING

import orjson
from jobflow import Job, Maker, OutputReference, job

from screening.documents import LowestOrdering, Relaxation, RelaxDocument
from screening.errors import InvalidInput, MissingReference
from screening.stability.documents import Interface, Stability, StabilityDocument
from screening.stability.references import ReferencePhases
from workflows.config import StabilitySettings
from workflows.fingerprint import identify
from workflows.stages.boundary import answer

if TYPE_CHECKING:
    from pymatgen.core.composition import Composition

VERSION = 4

# Where the snapshot comes from does not change a result; what it holds does.
_NOT_IN_FINGERPRINT = {"references", "references_sha256"}
_DATA = (
    "prototypes/electrodes.yaml",
    "prototypes/known_phases.yaml",
    "stability/data/enthalpies/formation_enthalpies.yaml",
)
_SYSTEMS_KEPT = 4096


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
        competitors = competitors_sha256(self.settings, frozenset(elements))
        return identify(
            stability(  # by name: jobflow looks for a method in a first argument without one
                relaxed=relaxed,
                polymorph=polymorph,
                mobile_ion=mobile_ion,
                settings=self.settings,
                competitors=competitors,
            ),
            self.name,
            VERSION,
            [
                relaxed,
                polymorph,
                mobile_ion,
                self.settings.model_dump(exclude=_NOT_IN_FINGERPRINT),
                competitors,
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
    competitors: str,
) -> StabilityDocument:
    """Energy above hull, decomposition and window against the alkali metal.

    Args:
        relaxed: the candidate.
        polymorph: the lowest of all structures of its formula; None if it is the only one.
        mobile_ion: potentials are against its metal.
        settings: name the snapshot.
        competitors: their hash when the graph was made. If they have changed since, the answer
            would be stored as one for what they were.
    """
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
        if competitors_sha256(settings, frozenset(symbols)) != competitors:
            raise InvalidInput(
                f"{settings.references} has changed since this run began; run the campaign again"
            )
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
        caveats = (*assessed.caveats, *_missing(references, composition), *caveats)
        caveats = tuple(dict.fromkeys(caveats))
        return assessed.model_copy(update={"interfaces": met, "caveats": caveats})

    return answer(StabilityDocument, compute)


def _missing(references: ReferencePhases, composition: Composition) -> Iterator[str]:
    """Competitors that are known and not among the phases."""
    from screening.stability.overview import missing_competitors

    if missing := missing_competitors(references, composition):
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
    left_out = (
        f"no interface with {partner}: {reason}" for partner, reason in met.left_out.items()
    )
    return met.computed, (*met.caveats, *left_out)


def competitors_sha256(settings: StabilitySettings, elements: frozenset[str]) -> str:
    """Hash of what a result takes from the snapshot and from the data of the package.

    From the snapshot: the phases that can react with the candidate, electrodes included; and all
    measured halides with their elements, from which the engine's error follows. The fit to them is
    not hashed: its last digits differ between machines.
    """
    now = ReferencePhases.load(settings.references).sha256
    return _competitors_sha256(settings.references, now, settings.electrodes, elements)


@lru_cache(maxsize=_SYSTEMS_KEPT)
def _competitors_sha256(
    snapshot: str, sha256: str, electrodes: tuple[str, ...], elements: frozenset[str]
) -> str:
    """Made once a chemical system and content of the snapshot."""
    from screening.stability.enthalpies import measured_halides
    from screening.stability.reactants import phases_called
    from screening.stability.uncertainty import ErrorModel, error_model

    references = ReferencePhases.load(snapshot)
    systems = [elements]
    for electrode in electrodes:
        systems += [elements.union(*(p.elements for p in phases_called(electrode, references)))]
    try:
        hashes = [references.system(system).sha256 for system in systems]
    except MissingReference:  # the candidate fails, and is tried again with any other snapshot
        hashes = [sha256]
    model = error_model(references)
    if isinstance(model, ErrorModel):
        error = sorted(
            phase.sha256
            for phase in references.phases
            if len(phase.elements) == 1 or phase.formula in measured_halides()
        )
    else:
        error = [model]
    content = {"phases": hashes, "error": error, "data": data_sha256()}
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


@cache
def data_sha256() -> str:
    """Hash of the data of the package, other than a snapshot, that results depend on."""
    package = resources.files("screening")
    return hashlib.sha256(b"".join((package / file).read_bytes() for file in _DATA)).hexdigest()
