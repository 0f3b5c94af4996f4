from __future__ import annotations

import pickle
import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum

import numpy as np
import pytest
from bson import DBRef, ObjectId
from hypothesis import given
from hypothesis import strategies as st
from jobflow import JobStore
from maggma.core import StoreError
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, jsanitize
from pymongo.errors import DuplicateKeyError

from workflows.store.codec import decode, encode
from workflows.store.sqlite import DEFAULT_INDEXED, SqliteStore


@pytest.fixture
def store(tmp_path):
    with SqliteStore(tmp_path / "results.sqlite") as made:
        yield made


def result(n, index=1, **metadata):
    return {
        "uuid": f"job-{n}",
        "index": index,
        "name": "relax",
        "metadata": metadata,
        "output": {"state": "done", "energy_eV": -float(n)},
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), json_values | st.binary() | st.datetimes(), max_size=4))
def test_codec_gives_back_what_mongodb_would(document):
    decoded = decode(encode(document))
    expected = {
        key: value.replace(microsecond=value.microsecond // 1000 * 1000, fold=0)
        if isinstance(value, datetime)
        else value
        for key, value in document.items()
    }
    assert repr(decoded) == repr(expected)  # NaN, and 1 apart from 1.0 and True


def test_numpy_dates_and_ids_come_back_as_from_memory_store(store):
    class Colour(Enum):
        RED = "red"

    document = {
        "uuid": "x",
        "index": np.int64(3),
        "last_updated": datetime(2026, 5, 4, 3, 2, 1, 999_999, tzinfo=timezone(timedelta(hours=2))),
        "scalars": [np.float32(0.5), np.float64("nan"), np.bool_(True), np.int8(-1), np.str_("s")],
        "array": np.eye(2),
        "deep": [{"id": ObjectId("0123456789abcdef01234567"), "raw": b"\xff"}],
        "colour": Colour.RED,
        1: (2, 3),
    }
    memory = MemoryStore(key="uuid")
    memory.connect()
    for each in (store, memory):
        each.update(document)
    assert repr(store.query_one()) == repr(memory.query_one(properties={"_id": 0}))
    assert store.last_updated == datetime(2026, 5, 4, 1, 2, 1, 999_000)
    assert store.query_one({"index": np.int64(3)})["uuid"] == "x"
    aware = datetime(2026, 5, 4, 1, 2, 1, 999_500, tzinfo=UTC)
    assert store.count({"last_updated": aware}) == 1


@pytest.mark.parametrize("value", [DBRef("documents", 1), 2**64])
def test_what_cannot_be_stored_is_an_error(store, value):
    with pytest.raises(TypeError, match=r"deep\.1\.x: found DBRef|64-bit"):
        store.update([result(1), {**result(2), "deep": [0, {"x": value}]}])
    assert store.count() == 0


@pytest.mark.parametrize(
    "criteria",
    [{path: "K3YCl6"} for path in DEFAULT_INDEXED]
    + [
        {"uuid": "job-1", "index": 1},
        {"uuid": {"$in": ["job-1", "job-2"]}},
        {"last_updated": datetime(2026, 1, 1)},
        {"metadata.stage": "relax", "output.energy_eV": {"$lt": 0}},
    ],
    ids=str,
)
def test_indexed_paths_are_looked_up_in_their_index(store, criteria):
    plan = query_plan(store, lambda: list(store.query(criteria)))
    assert [step for step in plan if "USING INDEX" in step or "COVERING INDEX" in step]
    assert not [step for step in plan if step.startswith("SCAN documents")]


def test_the_latest_document_and_updates_are_found_by_index(store):
    assert not [s for s in query_plan(store, lambda: store.last_updated) if s == "SCAN documents"]
    plan = query_plan(store, lambda: store.update(result(1), key=["uuid", "index"]))
    assert any("USING COVERING INDEX documents.unique" in step for step in plan)


def query_plan(store, call):
    """Steps of SQLite's plans for what `call` selects."""
    connection = store._table.connection
    selects = []

    class Recorder:
        def execute(self, sql, parameters=()):
            if sql.startswith("select") and "pragma" not in sql:
                selects.append((sql, parameters))
            return connection.execute(sql, parameters)

        def __getattr__(self, name):
            return getattr(connection, name)

    ((owner, _),) = store._table._connections.items()
    store._table._connections[owner] = Recorder()
    call()
    store._table._connections[owner] = connection
    assert selects
    return [
        step[3]
        for sql, parameters in selects
        for step in connection.execute(f"explain query plan {sql}", parameters)
    ]


def test_columns_decode_no_document(store, monkeypatch):
    store.update([result(n, stage="relax", formula=f"K{n}") for n in range(5)])
    monkeypatch.setattr("workflows.store.sqlite.decode", None)
    rows = store.columns(["metadata.formula", "output.state"], {"metadata.stage": "relax"})
    assert list(rows) == [(f"K{n}", "done") for n in range(5)]
    assert store.count({"metadata.stage": {"$ne": "relax"}}) == 0


def test_columns_of_paths_through_lists(store):
    store.update({"uuid": "x", "index": 1, "output": [{"state": "done"}, {"state": "failed"}]})
    assert list(store.columns(["output.state", "name"])) == [(["done", "failed"], None)]


def test_columns_must_be_indexed(store):
    with pytest.raises(ValueError, match=r"\['output.energy_eV'\] not indexed in .*'uuid'"):
        list(store.columns(["uuid", "output.energy_eV"]))


def test_uuid_and_index_are_unique_together(store):
    store.update([result(1, index=1), result(1, index=2)], key=["uuid", "index"])
    with pytest.raises(DuplicateKeyError, match=r"'uuid': 'job-1', 'index': 2.*another \['name'\]"):
        store.update([result(3), {**result(1, index=2), "name": "other"}], key="name")
    assert [document["index"] for document in store.query()] == [1, 2]


def test_a_unique_path_must_be_comparable(store):
    with pytest.raises(TypeError, match=r"\['uuid'\] must be text, numbers or dates"):
        store.update({"uuid": ["x"], "index": 1})


def test_a_reader_who_takes_its_time_keeps_nobody_from_writing(store, tmp_path):
    store.update([result(n) for n in range(3)])
    reading = store.query()
    first = next(reading)
    with SqliteStore(tmp_path / "results.sqlite") as other:
        other.remove_docs({"uuid": "job-2"})
    store.update(result(4))
    assert [first, *reading] == [result(n) for n in range(3)]
    assert [found["uuid"] for found in store.query()] == ["job-0", "job-1", "job-4"]


def test_an_older_file_gains_columns_of_new_paths(tmp_path):
    path = tmp_path / "results.sqlite"
    with SqliteStore(path, indexed=["name"]) as old, SqliteStore(path) as new:
        old.update([result(n, stage="relax") for n in range(3)])
        new.connect(force_reset=True)
        old.update(result(3, stage="relax"))
        assert len(list(new.columns(["metadata.stage"], {"metadata.stage": "relax"}))) == 4
        assert not new.ensure_index("output.energy_eV", unique=True)
        assert new.ensure_index("output.energy_eV")
        old.update(result(7))
        assert list(new.columns(["uuid"], {"output.energy_eV": -7})) == [("job-7",)]


def test_read_only_store(tmp_path):
    path = tmp_path / "results.sqlite"
    reader = SqliteStore(path, read_only=True)
    with pytest.raises(FileNotFoundError, match=r"results\.sqlite: no such file to read"):
        reader.connect()
    sqlite3.connect(path).close()
    path.touch()
    with pytest.raises(StoreError, match="no table 'documents'"):
        reader.connect()
    with SqliteStore(path) as writer:
        writer.update(result(1))
        with reader:
            assert reader.query_one() == result(1)
            with pytest.raises(StoreError, match="read only"):
                reader.update(result(2))
            assert not reader.ensure_index("output")


def test_missing_folder_and_missing_connection_are_named(tmp_path):
    store = SqliteStore(tmp_path / "nowhere" / "results.sqlite")
    with pytest.raises(StoreError, match=r"call connect\(\) first"):
        store.count()
    with pytest.raises(FileNotFoundError, match=r"nowhere.*folder does not exist"):
        store.connect()


def test_close_and_reopen(store):
    store.update(result(1))
    store.close()
    with pytest.raises(StoreError, match="not connected"):
        store.query_one()
    store.connect()
    assert store.query_one() == result(1)


def test_threads_have_connections_of_their_own(store):
    def write(first):
        for n in range(first, first + 20):
            store.update(result(n))
            assert store.count({"uuid": f"job-{n}"}) == 1

    threads = [threading.Thread(target=write, args=(100 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count() == 80


@pytest.mark.parametrize("copied", ["as_dict", "json", "pickle", "job_store"])
def test_copies_open_the_same_file_from_anywhere(tmp_path, monkeypatch, copied):
    monkeypatch.chdir(tmp_path)
    original = SqliteStore("results.sqlite", table="t", indexed=["name"], last_updated_field="at")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    copy = {
        "as_dict": lambda: SqliteStore.from_dict(original.as_dict()),
        "json": lambda: MontyDecoder().decode(original.to_json()),
        "pickle": lambda: pickle.loads(pickle.dumps(original)),
        "job_store": lambda: JobStore.from_dict(JobStore(original).as_dict()).docs_store,
    }[copied]()
    assert copy == original
    assert hash(copy) == hash(original)
    assert jsanitize(copy.as_dict()) == jsanitize(original.as_dict())
    with original, copy:
        original.update(result(1))
        assert copy.query_one() == result(1)


def test_job_store_from_a_configuration_file(tmp_path):
    spec = {"docs_store": {"type": "SqliteStore", "path": str(tmp_path / "results.sqlite")}}
    with JobStore.from_dict_spec(spec) as store:
        store.update(result(1))
        assert store.get_output("job-1") == {"state": "done", "energy_eV": -1.0}


def test_newer_documents_of_another_store(store, tmp_path):
    with SqliteStore(tmp_path / "target.sqlite") as target:
        for n, day in ((1, 1), (2, 2)):
            target.update({**result(n), "last_updated": datetime(2026, 1, day)})
        store.update({**result(1), "last_updated": datetime(2026, 1, 1)})
        assert store.newer_in(target) == ["job-2"]
        assert store.newer_in(target, exhaustive=True) == ["job-2"]


def test_invalid_documents_are_left_out_or_refused(tmp_path):
    from maggma.validators import JSONSchemaValidator

    schema = {"type": "object", "required": ["output"]}
    for strict in (False, True):
        validator = JSONSchemaValidator(schema=schema, strict=strict)
        with SqliteStore(tmp_path / f"{strict}.sqlite", validator=validator) as store:
            store.update(result(1))
            if strict:
                with pytest.raises(Exception, match="output"):
                    store.update({"uuid": "bad", "index": 1})
            else:
                store.update({"uuid": "bad", "index": 1})
            assert store.count() == 1


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (["a.b", "a"], {"a": [{"b": 1, "c": 2}, 3], "d": 4}),
        (["a.b"], {"a": [{"b": 1}]}),
        ({"a.b": 0, "d.x": 0}, {"a": [{"c": 2}, 3], "d": 4}),
        (["d.x"], {}),
    ],
)
def test_projection_where_mongodb_knows_and_mongomock_does_not(store, properties, expected):
    store.update({"uuid": "x", "index": 1, "a": [{"b": 1, "c": 2}, 3], "d": 4})
    if "a" in properties:
        expected = {"a": expected["a"]}
    found = store.query_one(properties=properties)
    assert {key: found[key] for key in found if key not in ("uuid", "index")} == expected


@pytest.mark.parametrize("properties", [{"a": 1, "b": 0}, {"a": {"$slice": 1}}, {"a": "$b"}])
def test_projection_that_is_neither_all_in_nor_all_out(store, properties):
    with pytest.raises((ValueError, TypeError), match=r"all 1 or all 0|unhashable"):
        store.query_one(properties=properties)
