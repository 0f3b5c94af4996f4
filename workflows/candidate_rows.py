"""Rows of the ranking from what is known of the candidates now."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from screening.documents import CandidateInfo, Document, StageDocument
from screening.ranking import DETAILS, rank, summarise
from screening.stability.documents import StabilityDocument
from screening.transport.documents import TransportDocument
from workflows.stored_documents import stored_document
from workflows.views import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from screening.ranked import RankedCandidate
    from workflows.enumerated import Jobs
    from workflows.read_model import CampaignResults

_CANDIDATES_AT_ONCE = 100
_DONE = StageDocument(state="done")


_End = tuple[int | None, float | None, str | None]
"""Part, time and state of a job; of one that nobody has heard of, nothing."""
_UNHEARD_OF: _End = (None, None, None)
_Known = tuple[_End, _End, _End, bool]
"""What a row is made from: the ends of its jobs, and whether anything of the candidate runs."""


class CandidateRows:
    """One row a candidate; those alone are made again whose jobs have changed."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._rows: dict[str, RankedCandidate] = {}
        self._asked: object = None

    def update(self, results: CampaignResults) -> bool:
        """Bring them up to date with the last run; whether any has changed.

        Raises:
            InvalidInput: an answer is of an earlier version.
        """
        asked = results.folder.database, results.run, results.config.engine, results.config.gates
        is_another = asked != self._asked
        if is_another:
            self._known, self._rows, self._asked = {}, {}, asked
        known = _known(results)
        changed = [name for name in known if known[name] != self._known.get(name)]
        for some in _batches(changed):
            made = _rows(results, {name: known[name] for name in some})
            self._rows |= {row.id: row for row in made}
            self._known |= {name: known[name] for name in some}
        gone = self._known.keys() - known.keys()
        for name in gone:
            del self._known[name], self._rows[name]
        return bool(is_another or changed or gone)

    def ranked(self) -> tuple[RankedCandidate, ...]:
        """All of them; they are kept with their ranks, so that memory holds one of each."""
        ranked = rank(self._rows.values())
        for row in ranked:
            if row is not self._rows[row.id]:
                self._rows[row.id] = lean(row)
        return ranked


def _known(results: CampaignResults) -> dict[str, _Known]:
    ends = results.jobs.ends()
    running = results.jobs.running()
    return {
        name: (
            ends.get(relax, _UNHEARD_OF),
            ends.get(stability, _UNHEARD_OF),
            ends.get(last, _UNHEARD_OF),
            name in running,
        )
        for name, (relax, stability, last) in results.enumerated.jobs.items()
    }


def _batches(identifiers: Iterable[str]) -> Iterator[list[str]]:
    left = iter(identifiers)
    while some := list(islice(left, _CANDIDATES_AT_ONCE)):
        yield some


def _rows(results: CampaignResults, known: Mapping[str, _Known]) -> Iterator[RankedCandidate]:
    jobs: dict[str, Jobs] = {name: results.enumerated.jobs[name] for name in known}
    states = {
        uuid: end[-1]
        for name in known
        for uuid, end in zip(jobs[name], known[name][:3], strict=True)
    }
    failures = results.jobs.reasons([uuid for uuid in states if states[uuid] == "failed"])
    is_over = {uuid for uuid in states if states[uuid] not in ("failed", *UNFINISHED)}
    outputs = results.outputs(
        uuid for _, *later in jobs.values() for uuid in later if uuid in is_over
    )

    def answer(kind: type[StageDocument], uuid: str) -> Any:
        if uuid in is_over:
            return stored_document(kind, outputs.get(uuid))
        return failures.get(uuid)  # where it is not over, an old answer does not count any more

    for output in outputs.values():
        for diffusivity in (output.get("result") or {}).get("diffusivities", ()):
            for detail in DETAILS:  # which the row would not keep
                diffusivity.pop(detail, None)
    for identifier, (relax, stability, last) in jobs.items():
        row = summarise(
            CandidateInfo(**results.enumerated.entry(identifier)["candidate"]),
            results.config.engine.name,
            results.config.gates,
            _DONE if relax in is_over else failures.get(relax),
            answer(StabilityDocument, stability),
            answer(results.last_document, last),
            "transport" if results.last_document is TransportDocument else "gates",
        )
        is_running = known[identifier][-1]
        if row.state == "waiting" and is_running:
            row = row.model_copy(update={"state": "running"})
        yield lean(row)


def lean(row: RankedCandidate) -> RankedCandidate:
    """The same row in half of the memory: its documents share the names of their fields."""
    for document in (row, *row.diffusivity, *row.run_ends.values()):  # whole, whoever made them
        names = _NAMES.setdefault(type(document), set(type(document).model_fields))
        object.__setattr__(document, "__pydantic_fields_set__", names)
    return row


_NAMES: dict[type[Document], set[str]] = {}
