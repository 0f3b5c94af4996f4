from __future__ import annotations

import mongomock_ng
import pytest
from maggma.stores import MongoStore

from screening.errors import InvalidInput
from workflows.config import StoreSettings
from workflows.results import ResultsFolder
from workflows.store.sqlite import SqliteStore

UNREACHABLE = StoreSettings(backend="mongodb", host="127.0.0.1", port=1, database="d")


def test_sqlite_needs_nothing_but_a_folder(tmp_path):
    store = ResultsFolder(tmp_path).job_store(StoreSettings())
    assert isinstance(store.docs_store, SqliteStore)
    store.update({"uuid": "a", "index": 1, "output": 1})
    assert store.get_output("a") == 1
    store.close()


def test_mongodb_by_config_with_the_password_from_the_environment(tmp_path, monkeypatch):
    """The server is mongomock's; the store is maggma's own."""
    seen = {}

    def client(**options):
        seen.update(options)
        return mongomock_ng.MongoClient()

    monkeypatch.setattr("maggma.stores.mongolike.MongoClient", client)
    monkeypatch.setenv("HALIDEFLOW_MONGO_PASSWORD", "secret")
    settings = StoreSettings(backend="mongodb", host="db", port=1234, database="d", username="me")
    store = ResultsFolder(tmp_path).job_store(settings)
    assert isinstance(store.docs_store, MongoStore)
    assert (seen["host"], seen["port"], seen["username"]) == ("db", 1234, "me")
    assert seen["password"] == "secret"
    store.update({"uuid": "a", "index": 1, "output": 1})
    assert store.get_output("a") == 1
    assert "secret" not in settings.model_dump_json()


@pytest.mark.filterwarnings("ignore:unclosed")
def test_a_server_that_does_not_answer_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr("workflows.results._MONGO_TIMEOUT_MS", 200)
    with pytest.raises(InvalidInput, match=r"MongoDB at 127.0.0.1:1 does not answer.*sqlite"):
        ResultsFolder(tmp_path).job_store(UNREACHABLE)
