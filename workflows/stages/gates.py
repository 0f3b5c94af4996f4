"""The gates before the costly part; the last stage of a campaign without dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from jobflow import Job, Maker, OutputReference, job

from screening.documents import LowestOrdering, RelaxDocument, StageDocument
from screening.gates import Gates
from screening.ranking import gate_values
from screening.stability.documents import StabilityDocument
from workflows.fingerprint import identify

VERSION = 1

D = TypeVar("D", bound=StageDocument)


@dataclass
class GatesMaker(Maker):
    """Ask the gates about a candidate that no dynamics follows; the answer is a StageDocument."""

    gates: Gates
    name: str = "gates"

    def make(
        self,
        relaxed: OutputReference,
        stable: OutputReference,
        lowest: OutputReference | None,
        labels: dict[str, str],
    ) -> Job:
        """The job; `lowest` is the lowest ordering, where a gate asks for it."""
        return identify(
            ask_gates(  # by name: jobflow looks for a method in a first argument without one
                relaxed=relaxed, stable=stable, lowest=lowest, gates=self.gates
            ),
            self.name,
            VERSION,
            [relaxed, stable, lowest, self.gates],
            labels,
        )


@job(name="gates", output_schema=StageDocument)
def ask_gates(
    relaxed: RelaxDocument | None,
    stable: StabilityDocument | None,
    lowest: LowestOrdering | None,
    gates: Gates,
) -> StageDocument:
    """Done if all gates are passed."""
    return stopped(StageDocument, relaxed, stable, lowest, gates) or StageDocument(state="done")


def stopped(
    document: type[D],
    relaxed: RelaxDocument | None,
    stable: StabilityDocument | None,
    lowest: LowestOrdering | None,
    gates: Gates,
) -> D | None:
    """How a candidate ends here: skipped, rejected by a gate, or (None) not at all."""
    if relaxed is None or relaxed.result is None or stable is None or stable.result is None:
        return document(state="skipped")
    rejection = gates.first_broken(gate_values(relaxed.result, stable.result, lowest=lowest))
    return document(state="rejected", rejection=rejection) if rejection else None
