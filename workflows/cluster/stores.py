"""MongoDB for results and queues, with a password that no file holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from maggma.stores import MongoStore
from pymongo.errors import OperationFailure, PyMongoError

from screening.errors import Unavailable

if TYPE_CHECKING:
    from workflows.config import StoreSettings

PASSWORD_VARIABLE = "HALIDEFLOW_MONGO_PASSWORD"  # noqa: S105  a name, not a password
TIMEOUT_MS = 5000
_NOT_ALLOWED = frozenset({8000, 13, 18})  # of a login, or of what it may do


class EnvironmentMongoStore(MongoStore):
    """A MongoStore whose password comes from HALIDEFLOW_MONGO_PASSWORD when it connects.

    Serialised, in a project of jobflow-remote, it says where the server is and who logs in.

    Args:
        database: of the server.
        collection_name: in it.
        host: of the server.
        port: of the server.
        username: who logs in; empty: nobody does.
        auth_source: database that knows the user; default: the same.
        timeout_ms: after which a server that does not answer is given up.
        kwargs: as of every maggma store.
    """

    def __init__(
        self,
        database: str,
        collection_name: str,
        host: str = "localhost",
        port: int = 27017,
        username: str = "",
        auth_source: str | None = None,
        timeout_ms: int = TIMEOUT_MS,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            database,
            collection_name,
            host=host,
            port=port,
            username=username,
            auth_source=auth_source,
            mongoclient_kwargs={"serverSelectionTimeoutMS": timeout_ms},
            **kwargs,
        )
        self.timeout_ms = timeout_ms

    def connect(self, force_reset: bool = False) -> None:
        """Make the client; the server is first asked when something is wanted of it."""
        self.password = os.environ.get(PASSWORD_VARIABLE, "")
        try:
            super().connect(force_reset)
        finally:
            self.password = ""


def documents_in(settings: StoreSettings, timeout_ms: int = TIMEOUT_MS) -> EnvironmentMongoStore:
    """Where a campaign keeps its documents; not connected."""
    return EnvironmentMongoStore(
        settings.database,
        "documents",
        host=settings.host,
        port=settings.port,
        username=settings.username or "",
        timeout_ms=timeout_ms,
    )


def unavailable(error: PyMongoError, server: str, mend: str) -> Unavailable:
    """What is wrong with a server, in words.

    Args:
        error: that came of it.
        server: where it is.
        mend: which settings say so.
    """
    if isinstance(error, OperationFailure) and error.code in _NOT_ALLOWED:
        return Unavailable(
            f"MongoDB at {server} refuses the user ({error.details or error}); set "
            f"{PASSWORD_VARIABLE}, or mend {mend}"
        )
    return Unavailable(
        f"MongoDB at {server} does not answer ({type(error).__name__}); start it, or mend {mend}"
    )
