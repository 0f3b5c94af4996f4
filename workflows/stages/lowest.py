"""The lowest of several relaxed structures of one composition.

Among the orderings in one host it is what a gate compares with; among all hosts it is the polymorph
that competes with every other one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobflow import Job, Maker, OutputReference, job

from screening.documents import LowestOrdering, RelaxDocument
from workflows.fingerprint import identify

VERSION = 1


@dataclass
class LowestOrderingMaker(Maker):
    """Find the lowest energy among relaxed structures; the answer is a LowestOrdering."""

    name: Literal["lowest", "polymorph"] = "lowest"

    def make(self, relaxed: list[OutputReference], labels: dict[str, str]) -> Job:
        """The job that waits for all of `relaxed`."""
        compared = identify(lowest(relaxed), self.name, VERSION, relaxed, labels)
        compared.name = self.name
        return compared


@job(name="lowest", output_schema=LowestOrdering)
def lowest(relaxed: list[RelaxDocument | None]) -> LowestOrdering:
    """The lowest energy per atom; structures that failed do not count."""
    energies = [
        document.result.energy_eV_per_atom for document in relaxed if document and document.result
    ]
    return LowestOrdering(energy_eV_per_atom=min(energies, default=None))
