"""What the jobs of one allocation answered: a file that is only ever appended to.

A record is on disk before the allocation goes on, and says of itself how long it is and whether it
is whole: whatever kills the allocation, all but the record in flight can be read.

    record    length (8 bytes), CRC-32 (4 bytes), encoded document; see `workflows.store.codec`
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workflows.execution.jobs import JobRecord, Key, Outcome
from workflows.store.codec import Document, decode, encode

ANSWERS = "answers"
"""Name of the file, in the folder of the allocation."""
_HEADER_BYTES = 12


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one job.

    Args:
        key: of the job.
        outcome: as its executor had it.
        documents: that it put into the job store.
        blobs: that it put into the store of arrays.
    """

    key: Key
    outcome: Outcome
    documents: list[Document] = field(default_factory=list, repr=False)
    blobs: list[Document] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job that the allocation ended before.

    Args:
        key: of the job.
        fraction: how far it had come, 0 to 1.
        was_started: whether there was time for any of it.
    """

    key: Key
    fraction: float
    was_started: bool


def append(path: Path, record: Answer | Unfinished) -> None:
    """Add a record; it is on disk when this returns."""
    content = encode(_as_document(record))
    header = len(content).to_bytes(8, "big") + zlib.crc32(content).to_bytes(4, "big")
    with path.open("ab") as file:
        file.write(header + content)
        file.flush()
        os.fsync(file.fileno())


def read(content: bytes, start: int = 0) -> Iterator[tuple[Answer | Unfinished, int]]:
    """Records from `start` on, each with where the next one begins; a torn one ends it."""
    while True:
        header = content[start : start + _HEADER_BYTES]
        length, checksum = int.from_bytes(header[:8], "big"), int.from_bytes(header[8:], "big")
        end = start + _HEADER_BYTES + length
        body = content[start + _HEADER_BYTES : end]
        if len(header) < _HEADER_BYTES or len(body) < length or zlib.crc32(body) != checksum:
            return
        yield _from_document(decode(body)), end
        start = end


def cut_torn_record(path: Path) -> list[Answer | Unfinished]:
    """The records of a file, after what an earlier death left of the last one was removed."""
    if not path.exists():
        return []
    content = path.read_bytes()
    records = list(read(content))
    whole = records[-1][1] if records else 0
    if whole < len(content):
        os.truncate(path, whole)
    return [record for record, _ in records]


def _as_document(record: Answer | Unfinished) -> Document:
    document: Document = _with_lists({"kind": type(record).__name__, **asdict(record)})
    return document


def _with_lists(value: Any) -> Any:
    """What dataclasses hold in tuples, documents hold in lists."""
    if isinstance(value, dict):
        return {key: _with_lists(part) for key, part in value.items()}
    return [_with_lists(part) for part in value] if isinstance(value, tuple | list) else value


def _from_document(document: Document) -> Answer | Unfinished:
    key = (document["key"][0], document["key"][1])
    if document["kind"] == "Unfinished":
        return Unfinished(key, document["fraction"], document["was_started"])
    fields = document["outcome"]
    spawned = tuple(
        JobRecord(**{**entry, "parents": tuple(entry["parents"])}) for entry in fields["spawned"]
    )
    outcome = Outcome(**{**fields, "spawned": spawned})
    return Answer(key, outcome, document["documents"], document["blobs"])
