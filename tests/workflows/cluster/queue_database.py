"""A stand-in for MongoDB in tests: mongomock behind MongoDB's wire protocol, a process of its own.

    with QueueDatabase.start(tmp_path) as database:
        client = pymongo.MongoClient(database.host, database.port)

It is no database. It stands where tests of what uses one need a server that several processes talk
to, whose single commands are atomic, and which may be killed: with a journal every write that was
acknowledged is there after `kill` and `restart`. It answers the commands that jobflow-remote and
maggma send, as a server of its own does (no replica set, so no transactions and no retried writes).
It knows no users, no sessions, no collations and no text search, and whatever mongomock does
otherwise than MongoDB it does, too. What it does not know it refuses with an error.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

NAME = "halideflow_tests"
_SERVER = Path(__file__).with_name("queue_database_server.py")


class QueueDatabase:
    """The server as its tests see it; it ends with the `with` block, or with this process."""

    host = "127.0.0.1"

    def __init__(self, journal: Path | None, log: Path) -> None:
        self.port = 0
        self._journal = journal
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    def start(cls, folder: Path, journal: bool = True) -> QueueDatabase:
        """A server that listens, with what the journal in `folder` holds."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.absolute() / "queue_database.sqlite"
        database = cls(path if journal else None, path.with_suffix(".log"))
        database.restart()
        return database

    def __enter__(self) -> QueueDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def store(self, collection: str, **options: Any) -> dict[str, Any]:
        """A store of maggma in this database, as jobflow-remote's project files describe it."""
        where = {"host": self.host, "port": self.port, "database": NAME}
        return {"type": "MongoStore", **where, "collection_name": collection, **options}

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def restart(self) -> None:
        """Start it again on the same port, killed before where it was not."""
        self.kill()
        command: list[str | Path] = [sys.executable, _SERVER, str(self.port)]
        if self._journal is not None:
            command.append(self._journal)
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout
        port = self._process.stdout.readline()
        if not port:
            raise RuntimeError(
                f"the queue database did not start:\n{self._log.read_text()[-2000:]}"
            )
        self.port = int(port)
