"""The ranking for readers that stay: what has not changed since the last look is not read again."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from workflows.candidate_rows import CandidateRows
from workflows.causes import with_causes
from workflows.enumerated import KeptEnumeration
from workflows.memory import collector_paused, give_back

if TYPE_CHECKING:
    from pathlib import Path

    from screening.ranked import RankedCandidate
    from workflows.read_model import CampaignResults

RESTS_S = 2.0
"""An answer that is not older is given again, whatever has changed."""


class LiveRanking:
    """The ranking of one campaign over many looks, in any thread.

    The first look at thousands of candidates takes seconds, the next ones milliseconds where
    nothing has changed; where something has, the answers of those candidates alone are read. Made
    in a process that stays, with the `CampaignResults` of each look.

    Attributes:
        enumeration: for the `CampaignResults` of all looks, which need the same.
    """

    def __init__(self) -> None:
        self.enumeration = KeptEnumeration()
        self._lock = threading.Lock()
        self._changes = _Changes()
        self._candidates = CandidateRows()
        self._seen: object = None
        self._made_s = 0.0
        self._ended: object = None
        self._rows: tuple[RankedCandidate, ...] = ()

    def rows(self, results: CampaignResults) -> tuple[RankedCandidate, ...]:
        """What `results.ranking()` gives, or gave up to `RESTS_S` ago."""
        with self._lock:
            config = results.config
            seen = (
                self._changes.number(results.folder.database),
                results.run,
                results.folder.is_being_run(),
                config.engine,
                config.gates,
            )
            is_known = seen == self._seen
            if not is_known and (not self._rows or time.monotonic() > self._made_s + RESTS_S):
                n_before, ended = len(self._rows), self._ended
                with collector_paused():
                    self._rows = self._made(results)
                if (n_before, ended) != (len(self._rows), self._ended):  # made of large documents
                    give_back()
                self._seen, self._made_s = seen, time.monotonic()
            return self._rows

    def _made(self, results: CampaignResults) -> tuple[RankedCandidate, ...]:
        ended = results.ended_with()
        if ended is not None and ended == self._ended:
            return self._rows
        rows = () if ended is None else results.ranking_stored()
        self._ended = ended if rows else None
        if rows:
            self._candidates = CandidateRows()
        elif self._candidates.update(results):
            rows = self._candidates.ranked()
        else:
            return self._rows
        return with_causes(rows, results.jobs.failures)


class _Changes:
    """Tells whether anything was written to an SQLite file, by a connection that stays open."""

    def __init__(self) -> None:
        self._file: object = None
        self._connection: sqlite3.Connection | None = None

    def number(self, path: Path) -> tuple[object, int]:
        """Another one after each change, and for each file at that place."""
        found = path.stat()
        file = path, found.st_dev, found.st_ino
        if self._connection is None or file != self._file:
            self.close()
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,  # one at a time
            )
            self._file = file
        ((version,),) = self._connection.execute("pragma data_version").fetchall()
        return file, version

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
