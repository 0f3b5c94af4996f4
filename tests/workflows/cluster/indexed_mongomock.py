"""mongomock that reads no more documents than it must.

mongomock looks at every document for every query, copies all that match even where one is wanted,
and sorts with comparisons written in Python: a second for thousands of jobs, and a runner asks all
the time. Here the fields that have an index are kept in dicts, and values are sorted as they are.
"""

from __future__ import annotations

import datetime
import itertools
from typing import TYPE_CHECKING, Any

from bson.objectid import ObjectId
from mongomock_ng.aggregate import process_pipeline
from mongomock_ng.collection import Collection
from mongomock_ng.database import Database
from mongomock_ng.filtering import (
    NOTHING,
    filter_applies,
    iter_key_candidates,
    resolve_key,
    resolve_sort_key,
)
from mongomock_ng.helpers import get_value_by_dot
from mongomock_ng.mongo_client import MongoClient
from mongomock_ng.store import CollectionStore, DatabaseStore, ServerStore
from pymongo.errors import DuplicateKeyError

if TYPE_CHECKING:
    from collections.abc import Collection as Sized
    from collections.abc import Iterable, Iterator

Document = dict[str, Any]
_FILED_BY_VALUE = (str, int, ObjectId, type(None))
_OTHER = object()
# What they are given they leave as it is, but for fields of their own.
_STAGES_THAT_KEEP = {
    "$match",
    "$group",
    "$sort",
    "$skip",
    "$limit",
    "$project",
    "$count",
    "$lookup",
}


class Documents(CollectionStore):
    """Documents of a collection, filed by the values of the fields that have an index."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.changed: dict[Any, None] = {}  # since the journal was written
        self.redefined = False
        self._filed: dict[str, dict[Any, dict[Any, None]]] = {}
        self._values: dict[Any, dict[str, set[Any]]] = {}
        self._numbers: dict[Any, int] = {}
        self._count = itertools.count()

    def create_index(self, index_name: str, index_dict: Document) -> None:
        super().create_index(index_name, index_dict)
        for field, _ in index_dict["key"]:
            if field != "_id" and field not in self._filed:
                self._filed[field] = {}
        for key in self._documents:
            self._file(key)

    def drop(self) -> None:
        self.changed.update(dict.fromkeys(self._documents))
        self.redefined = True
        for key in self._documents:
            self._take_out(key)
        super().drop()

    def __setitem__(self, key: Any, document: Document) -> None:
        super().__setitem__(key, document)
        self.changed[key] = None
        self._file(key)

    def __delitem__(self, key: Any) -> None:
        self._take_out(key)
        super().__delitem__(key)
        self.changed[key] = None

    def candidates(self, criteria: Document) -> tuple[list[Document], Document]:
        """All documents that may match, as they came, and what is still to be asked of them."""
        keys, field = self._narrowest(criteria)
        if keys is None:
            return list(self._documents.values()), criteria
        documents = [self._documents[key] for key in sorted(keys, key=self._numbers.__getitem__)]
        if field is None or not self._answers(field, criteria[field]):
            return documents, criteria
        return documents, {key: wanted for key, wanted in criteria.items() if key != field}

    def _file(self, key: Any) -> None:
        values = {field: _values_of(field, self._documents[key]) for field in self._filed}
        if self._values.get(key) != values:
            if key in self._values:
                self._take_out_of_files(key)
            for field, found in values.items():
                for value in found:
                    self._filed[field].setdefault(value, {})[key] = None
            self._values[key] = values
        if key not in self._numbers:
            self._numbers[key] = next(self._count)

    def _take_out_of_files(self, key: Any) -> None:
        for field, found in self._values.pop(key).items():
            for value in found:
                del self._filed[field][value][key]

    def _take_out(self, key: Any) -> None:
        self._take_out_of_files(key)
        del self._numbers[key]

    def _narrowest(self, criteria: Document) -> tuple[Sized[Any] | None, str | None]:
        """The fewest keys among which all that match are, if an index tells, and its field."""
        found: list[tuple[Sized[Any] | None, str | None]] = []
        for field, wanted in criteria.items():
            if field == "$and":
                found += [(self._narrowest(each)[0], None) for each in wanted]
            elif field == "$or":
                branches = [self._narrowest(each)[0] for each in wanted]
                if None not in branches:
                    found.append((set().union(*branches), None))
            elif field == "_id" or field in self._filed:
                found.append((self._keys_by_value(field, wanted), field))
        known = [(keys, field) for keys, field in found if keys is not None]
        return min(known, key=lambda each: len(each[0]), default=(None, None))

    def _answers(self, field: str, wanted: Any) -> bool:
        """Whether being filed under what is wanted is all that is asked."""
        known = not isinstance(wanted, dict) or wanted.keys() <= {"$eq"} or wanted.keys() <= {"$in"}
        return known and not self._filed.get(field, {}).get(_OTHER)

    def _keys_by_value(self, field: str, wanted: Any) -> Sized[Any] | None:
        values = [wanted]
        if isinstance(wanted, dict):
            values = [wanted["$eq"]] if "$eq" in wanted else wanted.get("$in", [_OTHER])
        if not all(isinstance(value, _FILED_BY_VALUE) for value in values):
            return None
        if field == "_id":
            return [value for value in dict.fromkeys(values) if value in self._documents]
        filed = self._filed[field]
        parts = [keys for value in (*values, _OTHER) if (keys := filed.get(value))]
        return parts[0] if len(parts) == 1 else set().union(*parts)


def _values_of(field: str, document: Document) -> set[Any]:
    """What a document is filed under: each element of an array; None where there is nothing."""
    found = set()
    for value in iter_key_candidates(field, document):
        for each in value if isinstance(value, list) else [value]:
            known = None if each is NOTHING else each
            found.add(known if isinstance(known, _FILED_BY_VALUE) else _OTHER)
    return found or {_OTHER}


def _get(field: str, document: Document) -> Any:
    return document.get(field)


class IndexedCollection(Collection):
    """mongomock's collection, except that it reads no more documents than it must."""

    def select(self, criteria: Document, sort: Any = None) -> Iterator[Document]:
        """Documents themselves, no copies, that match."""
        documents, rest = self._store.candidates(criteria)
        for field, direction in reversed(list(dict(sort or {}).items())):
            found = resolve_key if "." in field else _get
            values = [found(field, document) for document in documents]
            kinds = set(map(type, values))
            if len(kinds) > 1 or not kinds <= {int, str, datetime.datetime}:
                values = [resolve_sort_key(field, document) for document in documents]
            order = sorted(range(len(values)), key=values.__getitem__, reverse=direction < 0)
            documents = [documents[position] for position in order]
        return (document for document in documents if filter_applies(rest, document))

    def aggregate(self, pipeline: list[Document], *_: Any) -> Iterable[Document]:
        first = pipeline[0].get("$match", {}) if pipeline else {}
        stages = pipeline[bool(first) :]
        if all(stage.keys() <= _STAGES_THAT_KEEP for stage in stages):
            chosen = [dict(document) for document in self.select(first)]
        else:
            chosen = list(self._get_dataset(first, None, None, dict))
        return process_pipeline(chosen, self.database, stages, None)

    def find_one(self, criteria: Document, projection: Any = None, sort: Any = None) -> Any:
        return next(self._get_dataset(criteria, sort, projection, dict), None)

    def _iter_documents(self, criteria: Document) -> Iterator[Document]:
        return self.select(criteria)

    def _get_dataset(
        self, criteria: Document, sort: Any, fields: Any, container: type
    ) -> Iterator[Document]:
        for document in self.select(criteria, sort):
            yield self._copy_only_fields(document, fields, container, filter=criteria)

    def _ensure_uniques(self, document: Document) -> None:
        for index in self._store.indexes.values():
            fields, sparse = index["key"], index.get("sparse")
            entries = self._compute_index_entries(document, fields, sparse)
            if not index.get("unique") or entries is None:
                continue
            values = {field: get_value_by_dot(document, field) for field, _ in fields}
            alike = {field: None if value is NOTHING else value for field, value in values.items()}
            for other in self._store.candidates(alike)[0]:
                theirs = self._compute_index_entries(other, fields, sparse)
                if other["_id"] == document["_id"] or theirs is None:
                    continue
                if self._entries_overlap(entries, theirs):
                    details = {"keyPattern": dict(fields), "keyValue": alike}
                    raise DuplicateKeyError(f"E11000 duplicate key: {alike}", 11000, details)


class IndexedDatabase(Database):
    def get_collection(self, name: str, **_: Any) -> IndexedCollection:
        if name not in self._collection_accesses:
            self._collection_accesses[name] = IndexedCollection(self, name, self._store)
        return self._collection_accesses[name]


class _DatabaseDocuments(DatabaseStore):
    def __getitem__(self, name: str) -> Documents:
        return self._collections.setdefault(name, Documents(name))


class ServerDocuments(ServerStore):
    def __getitem__(self, name: str) -> _DatabaseDocuments:
        return self._databases.setdefault(name, _DatabaseDocuments())


class IndexedClient(MongoClient):
    def get_database(self, name: str, **_: Any) -> IndexedDatabase:
        if name not in self._database_accesses:
            database = IndexedDatabase(self, name, self._store[name])
            self._database_accesses[name] = database
        return self._database_accesses[name]
