"""Relax a candidate with the campaign's engine."""

from __future__ import annotations

from dataclasses import dataclass

from jobflow import Job, Maker, job
from pymatgen.core.structure import Structure

from screening.documents import Relaxation, RelaxDocument
from workflows.config import EngineSettings, RelaxSettings
from workflows.engines import engine_identity, load_engine
from workflows.fingerprint import identify
from workflows.stages.boundary import answer

VERSION = 1


@dataclass
class RelaxMaker(Maker):
    """Relax cell and positions; the answer is a RelaxDocument."""

    engine: EngineSettings
    settings: RelaxSettings
    name: str = "relax"

    def make(self, structure: Structure, mobile_ion: str, labels: dict[str, str]) -> Job:
        """The job that relaxes `structure`."""
        made = identify(
            relax(structure, mobile_ion, self.engine, self.settings),
            self.name,
            VERSION,
            [
                structure,
                mobile_ion,
                engine_identity(self.engine, "relax", "static"),
                self.settings,
            ],
            labels,
        )
        made.metadata["n_atoms"] = len(structure)
        return made


@job(name="relax", output_schema=RelaxDocument)
def relax(
    structure: Structure, mobile_ion: str, engine: EngineSettings, settings: RelaxSettings
) -> RelaxDocument:
    """Check, rattle (reproducibly) and relax."""
    return answer(RelaxDocument, lambda: relaxation_of(structure, mobile_ion, engine, settings))


def relaxation_of(
    structure: Structure, mobile_ion: str, engine: EngineSettings, settings: RelaxSettings
) -> Relaxation:
    """What the stage does, without its boundary.

    Raises:
        UnusableStructure: before or after the relaxation.
        EngineFailure: no usable answer.
    """
    from screening.structures import check_structure

    check_structure(structure, mobile_ion)
    relaxation = load_engine(engine).relax(rattled(structure, settings), settings)
    check_structure(relaxation.structure, mobile_ion)
    return relaxation


def rattled(structure: Structure, settings: RelaxSettings) -> Structure:
    """Where a relaxation starts: off the saddle points that symmetry holds a structure on."""
    start = structure.copy()
    if settings.rattle_A:
        start.perturb(settings.rattle_A, seed=0)
    return start
