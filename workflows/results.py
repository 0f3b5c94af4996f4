"""The results folder of a campaign: where everything lies, and who may write.

campaign.yaml     the config of the last run, as it was read
results.sqlite    documents, job states, runs
arrays/           trajectories, one .npz each
work/             working folders of unfinished and failed jobs
cluster/          of jobs on a cluster: jobflow-remote's project and what it puts there, logs
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from screening.errors import InvalidInput, NotFinished

if TYPE_CHECKING:
    from jobflow import JobStore
    from maggma.core import Store
    from maggma.stores import MongoStore

    from workflows.config import StoreSettings

_MONGO_TIMEOUT_MS = 5000


@dataclass(frozen=True)
class ResultsFolder:
    """Paths inside a results folder, which need not exist yet."""

    path: Path

    @property
    def database(self) -> Path:
        """Documents and job states."""
        return self.path / "results.sqlite"

    @property
    def config_copy(self) -> Path:
        """The config of the last run."""
        return self.path / "campaign.yaml"

    @property
    def work(self) -> Path:
        """Working folders of jobs."""
        return self.path / "work"

    @property
    def cluster(self) -> Path:
        """What jobs on a cluster need here: jobflow-remote's project, logs."""
        return self.path / "cluster"

    def job_store(self, settings: StoreSettings, read_only: bool = False) -> JobStore:
        """The store of documents, with the array store `data` behind it; connected."""
        from jobflow import JobStore

        from workflows.store.arrays import ArrayFileStore

        arrays = ArrayFileStore(self.database, self.path / "arrays", read_only=read_only)
        documents = self.documents(settings, read_only)
        store = JobStore(documents, additional_stores={"data": arrays})
        store.connect()
        return store

    def documents(self, settings: StoreSettings, read_only: bool = False) -> Store:
        """The documents alone, which do not need jobflow; connected."""
        from workflows.store.sqlite import SqliteStore

        if settings.backend == "sqlite":
            store = SqliteStore(self.database, read_only=read_only)
        else:
            store = _mongo_store(settings)
        store.connect()
        return store

    def is_being_run(self) -> bool:
        """Whether a process is running this campaign now."""
        try:
            with self._lock_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def runner_pid(self) -> int | None:
        """Of the process that runs it, or ran it last."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self._lock_file.read_text())
        return None

    @property
    def _lock_file(self) -> Path:
        return self.path / "run.lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who runs this campaign; the lock ends with the process.

        Raises:
            NotFinished: somebody else is running it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("a+") as file:
            if not _lock(file):
                file.seek(0)
                raise NotFinished(
                    f"{self.path}: process {file.read() or 'unknown'} is running this campaign; "
                    "wait for it, or stop it and run again"
                )
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def _lock(file: IO[str]) -> bool:
    """Whether the lock was had; a reader that only looks may hold it for a moment."""
    for _ in range(20):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


def _mongo_store(settings: StoreSettings) -> MongoStore:
    from pymongo.errors import PyMongoError

    from workflows.cluster.stores import PASSWORD_VARIABLE, documents_in

    store = documents_in(settings, _MONGO_TIMEOUT_MS)
    store.connect()
    try:
        store.count()
    except PyMongoError as error:
        raise InvalidInput(
            f"MongoDB at {settings.host}:{settings.port} does not answer "
            f"({type(error).__name__}); start it, mend store.host, store.port or store.username, "
            f"set {PASSWORD_VARIABLE}, or use store.backend: sqlite"
        ) from error
    return store
