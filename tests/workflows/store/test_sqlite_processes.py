"""Many processes on one file: nothing that was acknowledged is ever lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from workflows.store.sqlite import SqliteStore

WRITER = """
import sys
from workflows.store.sqlite import SqliteStore
with SqliteStore(sys.argv[1]) as store:
    for n in range(1_000_000):
        store.update({"uuid": f"job-{n}", "index": 1, "output": {"n": n, "text": "x" * 5000}})
        print(n, flush=True)
"""


def write(store, writer, count):
    """What a writing process does; the file may not exist yet."""
    store.connect()
    for n in range(count):
        store.update({"uuid": f"{writer}-{n}", "index": 1, "output": {"writer": writer}})
    store.update({"uuid": "last", "index": 1, "output": {"writer": writer}})


@pytest.mark.parametrize(("method", "count"), [("fork", 40), ("spawn", 10)])
def test_four_writers_lose_nothing(tmp_path, method, count):
    store = SqliteStore(tmp_path / "results.sqlite")
    context = multiprocessing.get_context(method)
    writers = [context.Process(target=write, args=(store, w, count)) for w in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0] * 4
    with store:
        assert store.count() == 4 * count + 1
        for writer in range(4):
            expected = [f"{writer}-{n}" for n in range(count)]
            found = store.query({"output.writer": writer, "uuid": {"$ne": "last"}})
            assert [document["uuid"] for document in found] == expected


def test_a_forked_child_leaves_the_connection_of_its_parent_alone(tmp_path):
    with SqliteStore(tmp_path / "results.sqlite") as store:
        store.update({"uuid": "before", "index": 1})
        reading = store.query()
        next(reading)
        child = multiprocessing.get_context("fork").Process(target=write, args=(store, "child", 3))
        child.start()
        child.join()
        assert child.exitcode == 0
        store.update({"uuid": "after", "index": 1})
        found = [document["uuid"] for document in store.query()]
        assert found == ["before", "child-0", "child-1", "child-2", "last", "after"]


def test_kill_loses_no_acknowledged_document(tmp_path):
    path = tmp_path / "results.sqlite"
    acknowledged = -1
    for _ in range(2):  # the second writer starts on what the first, killed, has left
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            seen = [int(writer.stdout.readline()) for _ in range(100)]
            os.kill(writer.pid, signal.SIGKILL)
            seen += [int(line) for line in writer.stdout if line.endswith("\n")]
        assert writer.returncode == -signal.SIGKILL
        acknowledged = max(acknowledged, seen[-1])
        with SqliteStore(path) as store:
            documents = list(store.query(sort={"output.n": 1}))
        assert [document["output"]["n"] for document in documents] == list(range(len(documents)))
        assert len(documents) > acknowledged
        assert all(document["output"]["text"] == "x" * 5000 for document in documents)
