from __future__ import annotations

import base64
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from jobflow import JobStore, job, run_locally
from maggma.core import StoreError
from maggma.stores import MemoryStore

from screening.transport.trajectory import Trajectory
from workflows.store.arrays import ArrayFileStore
from workflows.store.sqlite import SqliteStore


def trajectory(seed=0):
    return Trajectory(
        positions_A=np.random.default_rng(seed).random((4, 3, 3), dtype=np.float32),
        cell_A=5.0 * np.eye(3),
        species=("K", "Y", "Cl"),
        timestep_fs=2.0,
        stride=10,
        temperature_K=600.0,
    )


def blob(name, data, job_uuid="job"):
    return {"blob_uuid": name, "job_uuid": job_uuid, "job_index": 1, "data": data}


@pytest.fixture
def arrays(tmp_path):
    with ArrayFileStore(tmp_path / "results.sqlite", tmp_path / "arrays") as made:
        yield made


@pytest.fixture
def job_store(tmp_path, arrays):
    with JobStore(SqliteStore(tmp_path / "results.sqlite"), {"data": arrays}) as made:
        yield made


def files(store):
    folder = Path(store.directory)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@job(data=[Trajectory])
def walk():
    return {"runs": [{"md": trajectory(1)}, {"md": trajectory(2)}], "temperature_K": 600.0}


@job
def frames(md):
    return len(md.positions_A)


@pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")  # jobflow 0.4.0 with monty
def test_trajectories_of_a_job_become_files(job_store, arrays):
    first = walk()
    second = frames(first.output["runs"][1]["md"])
    run_locally([first, second], store=job_store, log=False, ensure_success=True)
    assert job_store.get_output(second.uuid) == 4

    document = job_store.query_one({"uuid": first.uuid})
    names = [run["md"]["blob_uuid"] for run in document["output"]["runs"]]
    assert files(arrays) == sorted(f"{name}.npz" for name in names)
    for name, seed in zip(names, (1, 2), strict=True):
        with np.load(Path(arrays.directory, f"{name}.npz")) as archive:
            assert np.array_equal(archive["positions_A"], trajectory(seed).positions_A)

    loaded = job_store.get_output(first.uuid, load=True)["runs"][1]["md"]
    restored = Trajectory.from_dict(loaded)
    assert np.array_equal(restored.positions_A, trajectory(2).positions_A)
    assert restored.species == ("K", "Y", "Cl")

    job_store.remove_docs({"uuid": first.uuid})
    assert files(arrays) == []
    assert arrays.count() == 0


def test_archives_come_back_as_they_were_given_at_any_depth(arrays):
    archive = trajectory().as_dict()
    plain = {"@module": "m", "@class": "C", "npz": "not base64"}
    pointer = {"@module": "m", "@class": "C", "npz": {"file": "../results.sqlite"}}
    given = [
        blob("one", archive),
        blob("two", [1, {"deep": [archive, {**archive, "note": "x"}]}, archive]),
        blob("none", {"x": [plain, {**plain, "npz": None}, {**plain, "npz": "é"}], "y": 2.5}),
        blob("pointer", pointer),
        {"blob_uuid": "empty"},
    ]
    memory = MemoryStore(key="blob_uuid")
    memory.connect()
    for store in (arrays, memory):
        store.update(given)
    assert files(arrays) == ["one.npz", "two-1.npz", "two-2.npz", "two.npz"]
    assert Path(arrays.directory, "two-1.npz").read_bytes() == base64.b64decode(archive["npz"])
    for fields in (None, ["data"], ["blob_uuid", "job_uuid"]):
        expected = list(memory.query(properties=dict.fromkeys(fields or [], 1) | {"_id": 0}))
        assert list(arrays.query(properties=fields)) == expected
    arrays.remove_docs({})
    assert Path(arrays.path).exists()
    assert files(arrays) == []


def test_the_index_is_read_without_the_files(arrays):
    arrays.update([blob("a", trajectory().as_dict(), "x"), blob("b", trajectory().as_dict(), "y")])
    for name in files(arrays):
        Path(arrays.directory, name).unlink()
    assert arrays.count({"job_uuid": "x"}) == 1
    assert arrays.distinct("job_uuid") == ["x", "y"]
    assert arrays.query_one({"job_uuid": "y"}, ["blob_uuid"]) == {"blob_uuid": "b"}
    assert list(arrays.columns(["blob_uuid", "job_index"])) == [("a", 1), ("b", 1)]


def test_a_missing_file_is_named(arrays):
    arrays.update(blob("gone", [trajectory().as_dict()]))
    Path(arrays.directory, "gone.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"arrays/gone\.npz is missing, but .*results"):
        arrays.query_one({"blob_uuid": "gone"})


def test_an_update_leaves_no_file_behind(arrays):
    arrays.update(blob("a", [trajectory(1).as_dict(), trajectory(2).as_dict()]))
    arrays.update([blob("a", trajectory(3).as_dict()), blob("b", "no array")])
    assert files(arrays) == ["a.npz"]
    found = Trajectory.from_dict(arrays.query_one({"blob_uuid": "a"})["data"])
    assert np.array_equal(found.positions_A, trajectory(3).positions_A)


def test_a_file_that_cannot_be_finished_is_not_there(arrays, monkeypatch):
    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        arrays.update(blob("a", trajectory().as_dict()))
    assert files(arrays) == []
    assert arrays.count() == 0


@pytest.mark.parametrize("name", ["", "../a", "a/b", "/etc/passwd"])
def test_a_blob_uuid_must_name_a_file(arrays, name):
    with pytest.raises(ValueError, match="cannot be the name of a file"):
        arrays.update(blob(name, trajectory().as_dict()))
    assert files(arrays) == []


def test_read_only_arrays(tmp_path, arrays):
    arrays.update(blob("a", trajectory().as_dict()))
    with ArrayFileStore(arrays.path, arrays.directory, read_only=True) as reader:
        assert reader.query_one() == arrays.query_one()
        with pytest.raises(StoreError, match="read only"):
            reader.update(blob("b", trajectory().as_dict()))
    assert files(arrays) == ["a.npz"]


def test_copies_open_the_same_files(job_store, arrays, tmp_path, monkeypatch):
    arrays.update(blob("a", trajectory().as_dict()))
    monkeypatch.chdir(tmp_path)
    assert ArrayFileStore("results.sqlite", "arrays").directory == arrays.directory
    for copy in (
        ArrayFileStore.from_dict(arrays.as_dict()),
        pickle.loads(pickle.dumps(arrays)),
        JobStore.from_dict(job_store.as_dict()).additional_stores["data"],
    ):
        assert copy == arrays
        with copy:
            assert copy.query_one() == arrays.query_one()
