"""Rows of the ranking from what is known of the candidates now, before they are ranked."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from screening.documents import CandidateInfo, Document, StageDocument
from screening.ranking import DETAILS, summarise
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


class _End(NamedTuple):
    """How far a job is, and since when; what it answered is another where this is."""

    kind: str  # open, failed, or over: with an answer, where it left one
    part: int = 0
    ended_at: float | None = None


_OPEN, _UNHEARD_OF = _End("open"), _End("over")
_Known = tuple[_End, _End, _End, bool]
"""What a row is made from: the ends of its jobs, and whether anything of the candidate runs."""


class CandidateRows:
    """One row a candidate; those alone are made again whose jobs have changed."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._rows: dict[str, RankedCandidate] = {}
        self._asked: object = None

    def of(self, results: CampaignResults) -> list[RankedCandidate]:
        """All candidates of the last run as they are now; their ranks say nothing.

        Raises:
            InvalidInput: an answer is of an earlier version.
        """
        asked = results.folder.database, results.run, results.config.engine, results.config.gates
        if asked != self._asked:
            self._known, self._rows, self._asked = {}, {}, asked
        known = _known(results)
        changed = [name for name in known if known[name] != self._known.get(name)]
        for some in _batches(changed):
            made = _rows(results, {name: known[name] for name in some})
            self._rows |= {row.id: row for row in made}
            self._known |= {name: known[name] for name in some}
        return [self._rows[name] for name in known]

    def keep(self, rows: Iterable[RankedCandidate]) -> None:
        """Have these in the place of the same rows without ranks, so that memory holds one each."""
        self._rows = {row.id: lean(row) for row in rows}


def _known(results: CampaignResults) -> dict[str, _Known]:
    ends = {
        uuid: _OPEN
        if state in UNFINISHED
        else _End("failed" if state == "failed" else "over", index, ended_at)
        for uuid, index, ended_at, state in results.jobs.ends()
    }
    running = results.jobs.running()
    return {
        identifier: (
            ends.get(relax, _UNHEARD_OF),
            ends.get(stability, _UNHEARD_OF),
            ends.get(last, _UNHEARD_OF),
            identifier in running,
        )
        for identifier, (relax, stability, last) in results.enumerated.jobs.items()
    }


def _batches(identifiers: Iterable[str]) -> Iterator[list[str]]:
    left = iter(identifiers)
    while some := list(islice(left, _CANDIDATES_AT_ONCE)):
        yield some


def _rows(results: CampaignResults, known: Mapping[str, _Known]) -> Iterator[RankedCandidate]:
    jobs: dict[str, Jobs] = {name: results.enumerated.jobs[name] for name in known}
    ends = {
        uuid: end
        for identifier in known
        for uuid, end in zip(jobs[identifier], known[identifier][:3], strict=True)
    }
    failures = results.jobs.reasons([uuid for uuid in ends if ends[uuid].kind == "failed"])
    answered = [uuid for _, *later in jobs.values() for uuid in later if ends[uuid].kind == "over"]
    outputs = results.outputs(answered)

    def answer(kind: type[StageDocument], uuid: str) -> Any:
        if ends[uuid].kind == "over":
            return stored_document(kind, outputs.get(uuid))
        return failures.get(uuid)  # of one that is open: an old answer does not count any more

    for output in outputs.values():
        for diffusivity in (output.get("result") or {}).get("diffusivities", ()):
            for detail in DETAILS:  # which the row would not keep
                diffusivity.pop(detail, None)
    for identifier, (relax, stability, last) in jobs.items():
        row = summarise(
            CandidateInfo(**results.enumerated.entry(identifier)["candidate"]),
            results.config.engine.name,
            results.config.gates,
            _DONE if ends[relax].kind == "over" else failures.get(relax),
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
