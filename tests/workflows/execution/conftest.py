from __future__ import annotations

from pathlib import Path

import pytest
from jobflow import JobStore

from workflows.execution.jobs import JobTable
from workflows.execution.local import LocalExecutor
from workflows.store.sqlite import SqliteStore


class Machine:
    """An executor on a folder of its own; each `run` is a new process of the campaign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = JobStore(SqliteStore(folder / "results.sqlite"))
        self.store.connect()
        self.table = JobTable(folder / "results.sqlite")
        self.events = []

    def run(self, flow, n_workers=2, batching=None, **options):
        batched = {"batching": batching} if batching else {}
        with LocalExecutor(
            self.table,
            self.store,
            self.folder / "work",
            n_workers,
            on_event=self.events.append,
            **batched,
        ) as executor:
            return executor.run(flow, **options)

    def states(self):
        return dict(self.table.select("select state, count(*) from jobs group by state"))

    def close(self):
        self.table.close()
        self.store.close()


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def make_machine(tmp_path_factory):
    """Machines that last as long as a module's tests."""
    made = []

    def make():
        made.append(Machine(tmp_path_factory.mktemp("machine")))
        return made[-1]

    yield make
    for each in made:
        each.close()
