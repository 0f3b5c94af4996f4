"""What survives a queue database that is killed: one SQLite file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import bson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexed_mongomock import Documents, ServerDocuments


class Journal:
    """Documents and indexes on disk as they are after the last command that was acknowledged."""

    def __init__(self, path: str) -> None:
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._file.execute("pragma journal_mode=WAL")
        self._file.execute("pragma synchronous=FULL")
        for table in ("indexes", "documents"):
            self._file.execute(
                f"create table if not exists {table} "
                "(base, collection, key, content, unique (base, collection, key))"
            )

    def load(self, store: ServerDocuments) -> None:
        """Fill an empty server."""
        for base, name, key, content in self._file.execute("select * from indexes order by rowid"):
            index = bson.decode(content)
            store[base][name].create_index(key, {**index, "key": list(map(tuple, index["key"]))})
        for base, name, content in self._file.execute(
            "select base, collection, content from documents order by rowid"
        ):
            document = bson.decode(content)
            store[base][name][document["_id"]] = document
        for _, _, documents in _collections(store):
            documents.changed.clear()

    def write(self, store: ServerDocuments) -> None:
        """Note, in one transaction, what has changed."""
        if not any(each.changed or each.redefined for _, _, each in _collections(store)):
            return
        self._file.execute("begin immediate")
        for base, name, documents in _collections(store):
            if documents.redefined:
                where = "where base = ? and collection = ?"
                self._file.execute(f"delete from indexes {where}", (base, name))
                for key, index in documents.indexes.items():
                    self._put("indexes", base, name, key, index)
            for key in documents.changed:
                where = bson.encode({"_id": key})
                self._put("documents", base, name, where, documents._documents.get(key))
            documents.redefined = False
            documents.changed.clear()
        self._file.execute("commit")

    def _put(self, table: str, base: str, name: str, key: Any, content: Any) -> None:
        if content is None:
            self._file.execute(
                f"delete from {table} where base = ? and collection = ? and key = ?",
                (base, name, key),
            )
        else:
            self._file.execute(
                f"insert into {table} values (?, ?, ?, ?) on conflict do update "
                "set content = excluded.content",
                (base, name, key, bson.encode(content)),
            )


def _collections(store: ServerDocuments) -> Iterator[tuple[str, str, Documents]]:
    for base, collections in store._databases.items():
        for name, documents in collections._collections.items():
            yield base, name, documents
