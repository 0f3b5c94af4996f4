"""The candidates of a campaign's last run, with the jobs of each."""

from __future__ import annotations

import difflib
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import orjson

from screening.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflows.read_model import CampaignResults

Entry = dict[str, Any]
"""`candidate`, and below each of `STAGES` the `uuid` of its job, or None."""
STAGES = ("relax", "stability", "transport", "amorphous")
Jobs = tuple[str, str, str]
"""Uuids of relaxation, stability, and the last stage."""


class Enumerated:
    """Candidates and their jobs, each as text: thousands of them take a tenth of the memory.

    Attributes:
        jobs: of each candidate, those that its place in the ranking depends on.
        left_out: compositions and files that became no candidate, with the reason.
    """

    def __init__(self, output: dict[str, Any]) -> None:
        self.jobs: dict[str, Jobs] = {}
        self.left_out = {entry["formula"]: entry["reason"] for entry in output["left_out"]}
        self._texts: dict[str, bytes] = {}
        self._spaces: dict[str, list[str]] = defaultdict(list)
        for entry in output["candidates"]:
            candidate = entry["candidate"]
            jobs = {stage: job and {"uuid": job["uuid"]} for stage, job in _jobs(entry)}
            self.jobs[candidate["id"]] = (
                entry["relax"]["uuid"],
                entry["stability"]["uuid"],
                entry["transport"]["uuid"],
            )
            self._texts[candidate["id"]] = orjson.dumps({"candidate": candidate, **jobs})
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


def _jobs(entry: Entry) -> Iterator[tuple[str, dict[str, Any] | None]]:
    return ((stage, entry.get(stage)) for stage in STAGES)


NOTHING = Enumerated({"candidates": [], "left_out": []})


class KeptEnumeration:
    """The candidates of one campaign, for as long as its enumeration is the same.

    Readers that look again and again share one; threads may do so at the same time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[object, Enumerated] = (None, NOTHING)

    def of(self, results: CampaignResults) -> Enumerated:
        """Those of the last run; nothing while there is no answer."""
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
                output = results.outputs([job[0]]).get(job[0])
                if output is None:
                    return NOTHING
                self._known = key, Enumerated(output)
            return self._known[1]
