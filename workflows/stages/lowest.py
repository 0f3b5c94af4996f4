"""The lowest ordering of a composition, for the gate that compares orderings."""

from __future__ import annotations

from dataclasses import dataclass

from jobflow import Job, Maker, OutputReference, job

from screening.documents import LowestOrdering, RelaxDocument
from workflows.fingerprint import identify

VERSION = 1


@dataclass
class LowestOrderingMaker(Maker):
    """Find the lowest energy among relaxed orderings; the answer is a LowestOrdering."""

    name: str = "lowest"

    def make(self, relaxed: list[OutputReference], labels: dict[str, str]) -> Job:
        """The job that waits for all of `relaxed`."""
        return identify(lowest(relaxed), self.name, VERSION, relaxed, labels)


@job(name="lowest", output_schema=LowestOrdering)
def lowest(relaxed: list[RelaxDocument | None]) -> LowestOrdering:
    """The lowest energy per atom; orderings that failed do not count."""
    energies = [
        document.result.energy_eV_per_atom for document in relaxed if document and document.result
    ]
    return LowestOrdering(energy_eV_per_atom=min(energies, default=None))
