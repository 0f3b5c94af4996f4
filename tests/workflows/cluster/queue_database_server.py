"""The process behind `queue_database`: MongoDB's wire protocol and its commands.

    python queue_database_server.py PORT [JOURNAL]

It takes any free port for 0, prints the one it has, and ends with its stdin. The journal is written
before a command is answered.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import socketserver
import struct
import sys
import threading
from typing import TYPE_CHECKING, Any

import bson
from bson.raw_bson import RawBSONDocument
from indexed_mongomock import Document, IndexedClient, ServerDocuments
from mongomock_ng.filtering import filter_applies
from pymongo import ReturnDocument
from queue_database_journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LARGEST_BATCH_BYTES = 12_000_000
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_CHECKSUM, _NO_ANSWER = 1, 2


class _Refused(Exception):
    def __init__(self, message: str, code: int = 115) -> None:
        super().__init__(message)
        self.code = code


class _Commands:
    """What a server answers to commands; one at a time."""

    def __init__(self, journal: str | None) -> None:
        self._client = IndexedClient(_store=ServerDocuments())
        self._journal = Journal(journal) if journal else None
        self._cursors: dict[int, tuple[str, list[RawBSONDocument]]] = {}
        self._cursor_ids = itertools.count(1)
        self._lock = threading.Lock()
        if self._journal:
            self._journal.load(self._client._store)

    def answer(self, base: str, command: Document) -> bytes:
        name = next(iter(command)).lower()
        with self._lock:
            try:
                if not hasattr(self, f"on_{name}"):
                    raise _Refused(f"no such command: {name}", 59)
                _refuse_unsupported(command)
                answer = getattr(self, f"on_{name}")(self._client[base], command)
                return bson.encode({**answer, "ok": 1.0})
            except Exception as error:  # goes to the client
                return bson.encode({**_error(error), "ok": 0.0})
            finally:
                if self._journal:
                    self._journal.write(self._client._store)

    def on_insert(self, base: Any, command: Document) -> Document:
        collection = base[command["insert"]]
        return _each(command, "documents", lambda each: {"n": bool(collection.insert_one(each))})

    def on_update(self, base: Any, command: Document) -> Document:
        return _each(command, "updates", lambda each: _update(base[command["update"]], each))

    def on_delete(self, base: Any, command: Document) -> Document:
        def delete(each: Document) -> Document:
            _refuse_unsupported(each)
            collection = base[command["delete"]]
            method = collection.delete_one if each["limit"] else collection.delete_many
            return {"n": method(each["q"]).deleted_count}

        return _each(command, "deletes", delete)

    def on_findandmodify(self, base: Any, command: Document) -> Document:
        collection = base[next(iter(command.values()))]
        criteria, fields = command.get("query", {}), command.get("fields")
        how: Document = {"projection": fields and dict(fields), "sort": command.get("sort")}
        if command.get("arrayFilters"):
            raise _Refused("arrayFilters of findAndModify are not supported")
        if command.get("remove"):
            value = collection.find_one_and_delete(criteria, **how)
        else:
            replaces = _replaces(command["update"])
            method = collection.find_one_and_replace if replaces else collection.find_one_and_update
            after = command.get("new", False)
            how["return_document"] = ReturnDocument.AFTER if after else ReturnDocument.BEFORE
            how["upsert"] = bool(command.get("upsert"))
            value = method(criteria, command["update"], **how)
        return {"value": value, "lastErrorObject": {"n": int(value is not None)}}

    def on_find(self, base: Any, command: Document) -> Document:
        collection, fields = base[command["find"]], command.get("projection")
        criteria = command.get("filter", {})
        first, limit = int(command.get("skip", 0)), abs(int(command.get("limit", 0)))
        chosen = itertools.islice(
            collection.select(criteria, command.get("sort")),
            first,
            first + limit if limit else None,
        )
        if fields:
            chosen = (
                collection._copy_only_fields(document, dict(fields), dict, filter=criteria)
                for document in chosen
            )
        return self._cursor(collection.full_name, chosen, command.get("batchSize", 101))

    def on_aggregate(self, base: Any, command: Document) -> Document:
        collection = base[command["aggregate"]]
        found = collection.aggregate(command["pipeline"])
        return self._cursor(collection.full_name, found, command["cursor"].get("batchSize", 101))

    def on_getmore(self, base: Any, command: Document) -> Document:
        if command["getMore"] not in self._cursors:
            raise _Refused(f"cursor {command['getMore']} not found", 43)
        space, documents = self._cursors.pop(command["getMore"])
        n_next = command.get("batchSize")
        return self._batch("nextBatch", space, documents, n_next, command["getMore"])

    def on_killcursors(self, base: Any, command: Document) -> Document:
        killed = [each for each in command["cursors"] if self._cursors.pop(each, None)]
        return {"cursorsKilled": killed}

    def on_count(self, base: Any, command: Document) -> Document:
        return {"n": base[command["count"]].count_documents(command.get("query", {}))}

    def on_distinct(self, base: Any, command: Document) -> Document:
        found = base[command["distinct"]].distinct(command["key"], command.get("query") or {})
        return {"values": found}

    def on_createindexes(self, base: Any, command: Document) -> Document:
        collection = base[command["createIndexes"]]
        for index in command["indexes"]:
            if unknown := index.keys() - {"key", "name", "unique", "sparse", "background", "v"}:
                raise _Refused(f"options of indexes that are not supported: {sorted(unknown)}")
            options = {key: value for key, value in index.items() if key in ("unique", "sparse")}
            collection.create_index(list(index["key"].items()), name=index["name"], **options)
        collection._store.redefined = True
        return {}

    def on_dropindexes(self, base: Any, command: Document) -> Document:
        collection = base[command["dropIndexes"]]
        everything = command["index"] == "*"
        collection.drop_indexes() if everything else collection.drop_index(command["index"])
        collection._store.redefined = True
        return {}

    def on_listindexes(self, base: Any, command: Document) -> Document:
        collection = base[command["listIndexes"]]
        return self._cursor(collection.full_name, collection.list_indexes(), None)

    def on_create(self, base: Any, command: Document) -> Document:
        base.create_collection(command["create"])
        return {}

    def on_drop(self, base: Any, command: Document) -> Document:
        base.drop_collection(command["drop"])
        return {}

    def on_dropdatabase(self, base: Any, command: Document) -> Document:
        for name in base.list_collection_names():
            base.drop_collection(name)
        return {}

    def on_listcollections(self, base: Any, command: Document) -> Document:
        names = ({"name": name, "type": "collection"} for name in base.list_collection_names())
        chosen = [each for each in names if filter_applies(command.get("filter") or {}, each)]
        return self._cursor(f"{base.name}.$cmd.listCollections", chosen, None)

    def on_hello(self, base: Any, command: Document) -> Document:
        return {
            "ismaster": True,
            "isWritablePrimary": True,
            "helloOk": True,
            "maxBsonObjectSize": 2**24,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "localTime": datetime.datetime.now(datetime.UTC),
            "minWireVersion": 0,
            "maxWireVersion": 17,
            "readOnly": False,
        }

    on_ismaster = on_hello

    def on_buildinfo(self, base: Any, command: Document) -> Document:
        return {"version": "6.0.0", "versionArray": [6, 0, 0, 0], "maxBsonObjectSize": 2**24}

    def on_ping(self, base: Any, command: Document) -> Document:
        return {}

    on_compact = on_ping

    def _cursor(self, space: str, found: Iterable[Document], n_first: int | None) -> Document:
        documents = [RawBSONDocument(bson.encode(document)) for document in found]
        return self._batch("firstBatch", space, documents, n_first, next(self._cursor_ids))

    def _batch(
        self,
        name: str,
        space: str,
        documents: list[RawBSONDocument],
        n_documents: int | None,
        cursor: int,
    ) -> Document:
        sizes = itertools.accumulate(len(document.raw) for document in documents)
        n_fitting = max(1, sum(size < _LARGEST_BATCH_BYTES for size in sizes))
        n_now = min(n_fitting, len(documents) if n_documents is None else n_documents)
        left = documents[n_now:]
        if left:
            self._cursors[cursor] = (space, left)
        number = bson.Int64(cursor if left else 0)
        return {"cursor": {name: documents[:n_now], "id": number, "ns": space}}


def _each(command: Document, name: str, execute: Callable[[Document], Document]) -> Document:
    """Answer to a command of many writes: sums, and errors with their positions."""
    answer: Document = {"n": 0, "nModified": 0}
    errors, upserted = [], []
    for position, each in enumerate(command[name]):
        try:
            result = execute(each)
        except Exception as error:  # goes to the client
            errors.append({"index": position, **_error(error)})
            if command.get("ordered", True):
                break
            continue
        answer["n"] += result["n"]
        answer["nModified"] += result.get("nModified", 0)
        if result.get("upserted") is not None:
            upserted.append({"index": position, "_id": result["upserted"]})
    if upserted:
        answer["upserted"] = upserted
    if errors:
        answer["writeErrors"] = errors
    return answer


def _refuse_unsupported(command: Document) -> None:
    if command.get("startTransaction") or command.get("collation"):
        raise _Refused("transactions and collations are not supported")


def _update(collection: Any, each: Document) -> Document:
    _refuse_unsupported(each)
    options: Document = {"upsert": bool(each.get("upsert"))}
    if each.get("arrayFilters"):
        options["array_filters"] = each["arrayFilters"]
    if _replaces(each["u"]):
        method = collection.replace_one
    else:
        method = collection.update_many if each.get("multi") else collection.update_one
    result = method(each["q"], each["u"], **options)
    n_upserted = result.upserted_id is not None
    return {
        "n": result.matched_count + n_upserted,
        "nModified": result.modified_count,
        "upserted": result.upserted_id,
    }


def _replaces(change: Any) -> bool:
    """Whether a change is a whole document, no operators and no pipeline."""
    return not isinstance(change, list) and not next(iter(change), "$").startswith("$")


def _error(error: Exception) -> Document:
    details = getattr(error, "details", None) or {}
    return {
        "errmsg": f"{type(error).__name__}: {error}",
        "code": int(getattr(error, "code", None) or 2),
        **{key: details[key] for key in ("keyPattern", "keyValue") if key in details},
    }


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._answer_all()

    def _answer_all(self) -> None:
        while len(header := self.rfile.read(16)) == 16:
            length, request, _, kind = struct.unpack("<iiii", header)
            body = self.rfile.read(length - 16)
            if kind == _OP_QUERY:  # how a client that knows nothing yet says hello
                command = bson.decode(body[body.index(0, 4) + 9 :])
                answer = self.server.commands.answer("admin", command)
                self._send(request, _OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + answer)
            elif kind == _OP_MSG:
                flags, command = _read_message(body)
                answer = self.server.commands.answer(command.pop("$db"), command)
                if not flags & _NO_ANSWER:
                    self._send(request, _OP_MSG, bytes(5) + answer)
            else:
                return

    def _send(self, request: int, kind: int, payload: bytes) -> None:
        self.wfile.write(struct.pack("<iiii", 16 + len(payload), 0, request, kind) + payload)


def _read_message(body: bytes) -> tuple[int, Document]:
    """Flags and command of an OP_MSG; documents may come in sections of their own."""
    (flags,) = struct.unpack_from("<I", body)
    command: Document = {}
    sections: Document = {}
    position, end = 4, len(body) - 4 * (flags & _CHECKSUM)
    while position < end:
        kind = body[position]
        start = position + 1
        (size,) = struct.unpack_from("<i", body, start)
        position = start + size
        if kind == 0:
            command = bson.decode(body[start:position])
        else:
            name_end = body.index(0, start + 4)
            name = body[start + 4 : name_end].decode()
            sections[name] = bson.decode_all(body[name_end + 1 : position])
    return flags, {**command, **sections}


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, journal: str | None) -> None:
        self.commands = _Commands(journal)
        super().__init__(("127.0.0.1", port), _Connection)


def main(port: str, journal: str | None = None) -> None:
    """Serve until stdin ends."""
    server = _Server(int(port), journal)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
