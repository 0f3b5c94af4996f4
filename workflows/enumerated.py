"""The candidates of a campaign's last run, with the jobs of each."""

from __future__ import annotations

import difflib
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import orjson

from screening.errors import InvalidInput
from workflows.memory import give_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from workflows.read_model import CampaignResults

Entry = dict[str, Any]
"""`candidate`, and below each of `STAGES` the `uuid` of its job, or None."""
STAGES = ("relax", "stability", "transport", "amorphous")
Jobs = tuple[str, str, str]
"""Uuids of relaxation, stability, and the last stage."""


class Enumerated:
    """Candidates and their jobs, each as text: thousands of them take a tenth of the memory.

    Args:
        entries: of all candidates.
        left_out: compositions and files that became no candidate, with the reason.

    Attributes:
        jobs: of each candidate, those that its place in the ranking depends on.
    """

    def __init__(
        self, entries: Iterable[Entry] = (), left_out: dict[str, str] | None = None
    ) -> None:
        self.left_out = left_out or {}
        self.jobs: dict[str, Jobs] = {}
        self._texts: dict[str, bytes] = {}
        self._spaces: dict[str, list[str]] = defaultdict(list)
        for entry in entries:
            candidate = entry["candidate"]
            text = orjson.dumps(_shortened(entry))
            self._texts[candidate["id"]] = bytes(memoryview(text))  # less room than orjson takes
            self.jobs[candidate["id"]] = (
                entry["relax"]["uuid"],
                entry["stability"]["uuid"],
                entry["transport"]["uuid"],
            )
            if space := candidate["origin"].get("space"):
                self._spaces[space].append(candidate["id"])

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[Entry]:
        return map(orjson.loads, self._texts.values())

    def entry(self, identifier: str) -> Entry:
        """One candidate.

        Raises:
            InvalidInput: there is no such candidate.
        """
        if identifier not in self._texts:
            near = difflib.get_close_matches(identifier, self._texts, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InvalidInput(
                f"{identifier}: no such candidate among {len(self)}; {hint}"
                "`halideflow rank CAMPAIGN` lists them"
            )
        entry: Entry = orjson.loads(self._texts[identifier])
        return entry

    def alike(self, identifier: str) -> list[Entry]:
        """The orderings of a candidate's configuration space; none where it is of none.

        Raises:
            InvalidInput: there is no such candidate.
        """
        space = self.entry(identifier)["candidate"]["origin"].get("space")
        return [self.entry(other) for other in self._spaces.get(space, ())]


def _shortened(entry: Entry) -> Entry:
    """Without what references say besides the uuid."""
    jobs = {stage: entry.get(stage) for stage in STAGES}
    return {
        "candidate": entry["candidate"],
        **{stage: job and {"uuid": job["uuid"]} for stage, job in jobs.items()},
    }


NOTHING = Enumerated()


class KeptEnumeration:
    """The candidates of one campaign, for as long as its enumeration is the same.

    Readers that look again and again share one; threads may do so at the same time.

    Attributes:
        relaxed: energy in eV/atom and number of atoms of what relaxations answered, by their uuids,
            as far as somebody has asked: these do not change.
    """

    def __init__(self) -> None:
        self.relaxed: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()
        self._known: tuple[object, Enumerated] = (None, NOTHING)

    def of(self, results: CampaignResults) -> Enumerated:
        """Those of the last run; none while the enumeration has no answer."""
        jobs = results.table.select(
            "select uuid, attempts, ended_at from jobs where run = ? and stage = 'enumerate'",
            (results.run,),
        )
        job = next(iter(list(jobs)), None)
        if job is None:
            return NOTHING
        key = results.folder.database, *job
        with self._lock:
            if self._known[0] != key:
                left_out = results.listed(job[0], "left_out")
                entries = results.listed(job[0], "candidates")
                reasons = {entry["formula"]: entry["reason"] for entry in left_out}
                self._known = key, Enumerated(entries, reasons)
                give_back()
            return self._known[1]
