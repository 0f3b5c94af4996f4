"""A maggma store in one SQLite file: embedded, durable, safe for many processes at once.

An update is on disk when it returns (write-ahead log, fsync on each commit) and is all or nothing.
Criteria on indexed paths become SQL; all other matching, and every doubtful case, is left to
mongomock, so that the answers are those of maggma's MemoryStore.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from maggma.core import Sort, Store
from mongomock_ng.filtering import (
    NOTHING,
    BsonComparable,
    filter_applies,
    iter_key_candidates,
    resolve_sort_key,
)
from mongomock_ng.helpers import patch_datetime_awareness_in_document as with_stored_dates
from monty.json import jsanitize
from pydash import get, has, set_
from pymongo.errors import DuplicateKeyError

from workflows.store.codec import Document, decode, elements, encode
from workflows.store.columns import OPAQUE, from_column, from_document, quoted, select, to_column
from workflows.store.projection import Projection
from workflows.store.table import DOCUMENT, ROW, Table

DEFAULT_INDEXED = (
    "metadata.campaign",
    "metadata.candidate",
    "metadata.stage",
    "output.state",
    "metadata.fingerprint",
    "metadata.mobile_ion",
    "metadata.formula",
    "name",
)

Criteria = Mapping[str, Any]
Properties = Mapping[str, Any] | Sequence[str]
Order = Mapping[str, Sort | int]


class SqliteStore(Store):
    """Documents in a table of an SQLite file.

    Documents come back in the order in which they were first stored, and without `_id`. Threads
    and forked processes may share a store object; each gets a connection of its own.

    Args:
        path: the file; made at the first connection, in a folder that exists.
        table: several stores may share a file.
        key: what identifies a document where `update` is not told.
        unique: paths whose values, together, no two documents share.
        indexed: dotted paths kept as columns with an index each; a file made with fewer gains them.
        read_only: never write; the file must exist.
        kwargs: `last_updated_field`, `last_updated_type` and `validator` of every maggma store.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: str = "documents",
        key: str = "uuid",
        unique: Sequence[str] = ("uuid", "index"),
        indexed: Sequence[str] = DEFAULT_INDEXED,
        read_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(key=key, **kwargs)
        self.path = str(Path(path).expanduser().absolute())  # jobs change their working folder
        self.table = table
        self.unique = tuple(unique)
        self.indexed = tuple(indexed)
        self.read_only = read_only
        self.kwargs = kwargs
        self._table = Table(Path(self.path), table, self.unique, read_only)

    @property
    def name(self) -> str:
        """File and table."""
        return f"sqlite://{self.path}/{self.table}"

    @property
    def _collection(self) -> SqliteStore:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SqliteStore) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def connect(self, force_reset: bool = False) -> None:
        """Open the file and make the table, columns and indexes it lacks.

        Raises:
            FileNotFoundError: no folder to make the file in, or no file to read.
            StoreError: the file to read has no such table.
        """
        if force_reset:
            self.close()
        self._table.connect((*self.unique, self.key, *self.indexed, self.last_updated_field))

    def close(self) -> None:
        """Close the connections of this process; `connect` opens the store again."""
        self._table.close()

    def count(self, criteria: Criteria | None = None) -> int:
        """Number of documents that match; costs no decoding where SQL can tell."""
        return sum(1 for _ in self._matches([ROW], criteria))

    def query(
        self,
        criteria: Criteria | None = None,
        properties: Properties | None = None,
        sort: Order | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[Document]:
        """Documents that match, as they were when the first one was taken."""
        project = Projection(properties)
        for document in self._documents(criteria, sort, skip, limit):
            yield project(document)

    def query_one(
        self,
        criteria: Criteria | None = None,
        properties: Properties | None = None,
        sort: Order | None = None,
    ) -> Document | None:
        """The first document that matches, None if there is none."""
        return next(self.query(criteria, properties, sort, limit=1), None)

    def elements(self, criteria: Criteria, path: str) -> Iterator[Any]:
        """Elements of the lists of objects at a dotted path, of all documents that match.

        One at a time, so that a list of thousands needs little memory.
        """
        for (blob,), _ in self._matches([DOCUMENT], criteria):
            yield from elements(blob, tuple(path.split(".")))

    def columns(
        self, paths: Sequence[str], criteria: Criteria | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Values of indexed paths, one tuple a document; a missing value is None.

        Reads no document, so that thousands cost milliseconds.

        Raises:
            ValueError: a path that is not indexed.
        """
        if strangers := set(paths) - set(self._table.columns):
            known = sorted(self._table.columns)
            raise ValueError(f"{sorted(strangers)} not indexed in {self.name}; indexed: {known}")
        names = [quoted(path) for path in paths]
        opaque = " or ".join(f"{name} = x''" for name in names)
        blob_if_needed = f"case when {opaque} then {DOCUMENT} end"
        for (*values, blob), decoded in self._matches([*names, blob_if_needed], criteria):
            document = decoded or (decode(blob) if blob else {})
            yield tuple(
                from_document(document, path) if value == OPAQUE else from_column(value)
                for path, value in zip(paths, values, strict=True)
            )

    def distinct(
        self, field: str, criteria: Criteria | None = None, all_exist: bool = False
    ) -> list[Any]:
        """Different values of a field, in order of appearance; a list counts by its elements."""
        values: list[Any] = []
        hashed: set[Any] = set()
        for found in self._found(field, criteria):
            for value in found if isinstance(found, list) else [found]:
                is_hashable = isinstance(value, Hashable)
                if value is NOTHING or value in (hashed if is_hashable else values):
                    continue
                values.append(value)
                if is_hashable:
                    hashed.add(value)
        return values

    def groupby(
        self,
        keys: list[str] | str,
        criteria: Criteria | None = None,
        properties: Properties | None = None,
        sort: Order | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[tuple[Document, list[Document]]]:
        """Groups of documents with equal values, ordered by these; a missing value is no group.

        `sort`, `skip` and `limit` act on the documents before they are grouped.
        """
        keys = [keys] if isinstance(keys, str) else keys
        if properties:
            flags = properties if isinstance(properties, Mapping) else dict.fromkeys(properties, 1)
            properties = {**flags, **dict.fromkeys(keys, 1)}
        documents = [
            document
            for document in self.query(criteria, properties, sort, skip, limit)
            if all(has(document, key) for key in keys)
        ]

        def values(document: Document) -> list[Any]:
            return [get(document, key) for key in keys]

        def place(document: Document) -> BsonComparable:
            found = values(document)  # True is 1, so that equal values are neighbours
            return BsonComparable([int(v) if isinstance(v, bool) else v for v in found])

        documents.sort(key=place)
        for found, group in groupby(documents, key=values):
            labels: Document = {}
            for key, value in zip(keys, found, strict=True):
                set_(labels, key, value)
            yield labels, list(group)

    def update(self, docs: list[Document] | Document, key: list[str] | str | None = None) -> None:
        """Replace the first document with equal values of `key`, or add one: all of them or none.

        Raises:
            DuplicateKeyError: another document has the same values of the unique paths.
            KeyError: a document without `key`.
            TypeError: a value that is no JSON, date, object id or bytes.
        """
        keys = key if isinstance(key, list) else [key or self.key]
        sanitized = (
            jsanitize(document, allow_bson=True, recursive_msonable=True)
            for document in (docs if isinstance(docs, list) else [docs])
        )
        documents = [
            {path: value for path, value in document.items() if path != "_id"}
            for document in sanitized
            if self._is_valid(document)
        ]
        encoded = [
            ({path: document[path] for path in keys}, document, encode(document))
            for document in documents
        ]
        if not encoded:
            return
        with self._table.transaction():
            self._table.refresh()  # others may have added columns, which need values
            for same, document, blob in encoded:
                self._put(same, document, blob)

    def remove_docs(self, criteria: Criteria) -> None:
        """Remove all documents that match."""
        with self._table.transaction() as connection:
            rows = [row for row, _ in self._matches([ROW], criteria)]
            connection.executemany(f"delete from {self._table.sql} where {ROW} = ?", rows)

    def ensure_index(self, key: str, unique: bool = False) -> bool:
        """Index a further path, for good; False if that cannot be.

        What is unique is settled when the file is made.
        """
        if key not in self._table.columns and not self.read_only and not unique:
            self._table.ensure_columns((*self._table.columns, key))
        return key in self._table.columns and (not unique or self.unique == (key,))

    def _documents(
        self,
        criteria: Criteria | None,
        sort: Order | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[Document]:
        for (blob,), document in self._matches([DOCUMENT], criteria, sort, skip, limit):
            yield decode(blob) if document is None else document

    def _found(self, path: str, criteria: Criteria | None) -> Iterator[Any]:
        """What is at `path`, from the column alone where that tells None from nothing."""
        name = quoted(path) if path in self._table.columns else "null"
        blob_if_needed = f"case when {name} is null or {name} = x'' then {DOCUMENT} end"
        for (value, blob), decoded in self._matches([name, blob_if_needed], criteria):
            if blob is None:
                yield from_column(value)
            else:
                yield from iter_key_candidates(path, decoded or decode(blob))

    def _matches(
        self,
        fields: Sequence[str],
        criteria: Criteria | None,
        sort: Order | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[tuple[tuple[Any, ...], Document | None]]:
        """SQL `fields` of each matching row, and its document if it had to be decoded.

        All rows are fetched before the first is given away: a reader that takes its time neither
        sees half of another's update nor keeps anyone from writing.
        """
        criteria = with_stored_dates(dict(criteria or {}))
        order = {path: Sort(direction).value for path, direction in (sort or {}).items()}
        selection = select(criteria, self._table.columns)
        wanted = f"select {', '.join(fields)}"
        if selection.exact and order.keys() <= set(self._table.columns):
            doubts = " or ".join(
                f"exists (select 1 from {self._table.sql} where {quoted(path)} = x'')"
                for path in sorted((selection.columns | order.keys()) - set(self.unique))
            )
            by = [f"{quoted(path)} {'asc' if way > 0 else 'desc'}" for path, way in order.items()]
            rows = self._table.connection.execute(
                f"{wanted}, {doubts or 0} from {self._table.sql}{selection.where} "
                f"order by {', '.join([*by, ROW])} limit ? offset ?",
                (*selection.values, limit or -1, skip),
            ).fetchall()
            if not rows or not rows[0][-1]:
                yield from ((row[:-1], None) for row in rows)
                return
        filter_applies(criteria, {})  # an unknown operator is an error, whatever is stored
        rows = self._table.connection.execute(
            f"{wanted}, {DOCUMENT} from {self._table.sql}{selection.where} order by {ROW}",
            selection.values,
        ).fetchall()
        pairs = ((row[:-1], decode(row[-1])) for row in rows)
        found: Iterable[tuple[Any, Document]] = (
            pair for pair in pairs if filter_applies(criteria, pair[1])
        )
        for path, way in reversed(order.items()):

            def place(pair: tuple[Any, Document], path: str = path) -> Any:
                return resolve_sort_key(path, pair[1])

            found = sorted(found, key=place, reverse=way < 0)
        yield from islice(found, skip, skip + limit if limit else None)

    def _put(self, same: Criteria, document: Document, blob: bytes) -> None:
        values = {path: to_column(document, path) for path in self._table.columns}
        if vague := [path for path in self.unique if values[path] == OPAQUE]:
            raise TypeError(f"{self.name}: {vague} must be text, numbers or dates")
        ((row,), _) = next(self._matches([ROW], same, limit=1), ((None,), None))
        try:
            self._table.put(row, values, blob)
        except sqlite3.IntegrityError as error:
            taken = {path: from_column(values[path]) for path in self.unique}
            raise DuplicateKeyError(
                f"{self.name}: stored before with {taken}, in a document of another {list(same)}"
            ) from error

    def _is_valid(self, document: Document) -> bool:
        if self.validator is None or self.validator.is_valid(document):
            return True
        errors = self.validator.validation_errors(document)
        if self.validator.strict:
            raise ValueError(errors)
        self.logger.error(errors)
        return False
