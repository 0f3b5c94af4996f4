"""Short notes of whoever runs a campaign, for whoever looks at it: who, and what is in the way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from workflows.execution.jobs import JobTable

NoteName = Literal["driver", "database", "host", "budget", "runner", "sent", "work_root", "project"]
TROUBLES: tuple[NoteName, ...] = ("database", "host", "budget", "runner")
"""What keeps jobs from going on."""


@dataclass(frozen=True, slots=True)
class Note:
    """One of them, and since when it holds."""

    text: str
    at: float


class Notes:
    """The notes of a campaign."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def write(self, name: NoteName, text: str | None) -> None:
        """Note something, or, with None, that it is over; the time stays while the text does."""
        if (before := self.all().get(name)) is not None and before.text == text:
            return
        with self._table.transaction() as connection:
            if text is None:
                connection.execute("delete from notes where name = ?", (name,))
            else:
                connection.execute(
                    "insert or replace into notes values (?, ?, ?)", (name, text, time.time())
                )

    def all(self) -> dict[str, Note]:
        """What holds now."""
        rows = self._table.select("select name, text, at from notes")
        return {name: Note(text, at) for name, text, at in rows}
