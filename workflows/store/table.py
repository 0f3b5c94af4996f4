"""A table of documents in an SQLite file: connections, transactions, columns and their indexes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from maggma.core import StoreError

from workflows.store.codec import decode
from workflows.store.columns import SqlValue, quoted, to_column

# No path in a document starts with a dollar sign, so these never meet the column of a path.
ROW, DOCUMENT = quoted("$row"), quoted("$document")

_BUSY_TIMEOUT_S = 60.0


class Table:
    """Rows of indexed columns and one encoded document.

    Every thread of every process gets a connection of its own, when it first needs one. A forked
    child never touches the connections that it inherits.

    Args:
        path: the file.
        name: of the table.
        unique: columns that are unique together; at least the first is looked up by.
        read_only: open the file for reading only.
    """

    def __init__(self, path: Path, name: str, unique: tuple[str, ...], read_only: bool) -> None:
        self.path = path
        self.name = name
        self.sql = quoted(name)
        self.unique = unique
        self.read_only = read_only
        self.columns: tuple[str, ...] = ()
        self._connected = False
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}

    def connect(self, paths: Iterable[str]) -> None:
        """Open the file; make the table, or the columns it lacks.

        Raises:
            FileNotFoundError: no folder to make the file in, or no file to read.
            StoreError: the file to read has no such table.
        """
        self._connected = True
        try:
            self.ensure_columns(paths)
            if not self.columns:
                raise StoreError(f"{self.path}: no table {self.name!r}; nothing was stored there")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections of this process."""
        self._connected = False
        for owner in [owner for owner in self._connections if owner[0] == os.getpid()]:
            self._connections.pop(owner).close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of this thread in this process."""
        if not self._connected:
            raise StoreError(f"{self.path} is not connected; call connect() first")
        owner = os.getpid(), threading.get_ident()
        if owner not in self._connections:
            self._connections[owner] = self._open()
        return self._connections[owner]

    def check_writable(self) -> None:
        """Raise StoreError if this was opened to be read only."""
        if self.read_only:
            raise StoreError(f"{self.path} was opened to be read only")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else writes meanwhile."""
        self.check_writable()
        connection = self.connection
        connection.execute("begin immediate")
        try:
            yield connection
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise

    def put(self, row: int | None, values: Mapping[str, SqlValue], blob: bytes) -> None:
        """Replace a row, or add one where `row` is None."""
        names = [*map(quoted, values), DOCUMENT]
        self.connection.execute(
            f"insert into {self.sql} ({', '.join([ROW, *names])}) "
            f"values ({', '.join('?' * (len(names) + 1))}) on conflict ({ROW}) do update "
            f"set {', '.join(f'{name} = excluded.{name}' for name in names)}",
            (row, *values.values(), blob),
        )

    def refresh(self) -> None:
        """Learn of columns that others have added."""
        names = self.connection.execute("select name from pragma_table_info(?)", (self.name,))
        self.columns = tuple(name for (name,) in names if not name.startswith("$"))

    def ensure_columns(self, paths: Iterable[str]) -> None:
        """Add the columns that are missing, filled from the documents."""
        self.refresh()
        if self.read_only or set(paths) <= set(self.columns):
            return
        with self.transaction() as connection:
            self.refresh()
            missing = [path for path in dict.fromkeys(paths) if path not in self.columns]
            if not self.columns:
                self._create(missing)
            elif missing:  # else another process was quicker
                self._add(missing)
            for path in missing:
                if path not in self.unique:
                    index = quoted(f"{self.name}.{path}")
                    connection.execute(f"create index {index} on {self.sql} ({quoted(path)})")
        self.refresh()

    def _create(self, paths: list[str]) -> None:
        """Make the table; the document comes last, for SQLite reads a row up to what it needs."""
        names = ", ".join(map(quoted, paths))
        self.connection.execute(
            f"create table {self.sql} "
            f"({ROW} integer primary key, {names}, {DOCUMENT} blob not null)"
        )
        if self.unique:
            index, together = quoted(f"{self.name}.unique"), ", ".join(map(quoted, self.unique))
            self.connection.execute(f"create unique index {index} on {self.sql} ({together})")

    def _add(self, paths: list[str]) -> None:
        for path in paths:
            self.connection.execute(f"alter table {self.sql} add column {quoted(path)}")
        updated = ", ".join(f"{quoted(path)} = ?" for path in paths)
        rows = self.connection.execute(f"select {ROW} from {self.sql}").fetchall()
        for (row,) in rows:
            ((blob,),) = self.connection.execute(
                f"select {DOCUMENT} from {self.sql} where {ROW} = ?", (row,)
            )
            document = decode(blob)
            self.connection.execute(
                f"update {self.sql} set {updated} where {ROW} = ?",
                (*(to_column(document, path) for path in paths), row),
            )

    def _open(self) -> sqlite3.Connection:
        if self.read_only and not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: no such file to read; nothing was stored there")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"{self.path}: its folder does not exist; make it first")
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={'ro' if self.read_only else 'rwc'}",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # `close` closes the connections of all threads
        )
        if not self.read_only:
            _write_ahead(connection)
            connection.execute("pragma synchronous = full")
        return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, for which SQLite itself does not wait its turn."""
    give_up = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return
