from dataclasses import replace

import pytest

from workflows.execution.jobs import JobRecord, JobTable, Outcome

RECORD = JobRecord(
    uuid="00000000-0000-0000-0000-000000000000",
    index=1,
    name="stability",
    stage="stability",
    candidate="one",
    parents=(),
    on_missing="none",
    spec=b"references: old.json",
)


@pytest.fixture
def table(tmp_path):
    table = JobTable(tmp_path / "results.sqlite")
    yield table
    table.close()


@pytest.mark.parametrize(
    ("state", "expected"), [("waiting", "new"), ("failed", "new"), ("done", "old")]
)
def test_what_is_still_to_be_run_is_run_as_asked_for_last(table, state, expected):
    """The place of a file is in a job, and not in its fingerprint: it may have moved."""
    table.claim([RECORD], 1)
    if state != "waiting":
        table.start(RECORD.key, 0.0)
        table.finish(RECORD.key, Outcome(state=state), 1.0)
    (row,) = table.claim([replace(RECORD, spec=b"references: new.json")], 2)
    assert row.state == state
    assert table.spec(RECORD.key) == f"references: {expected}.json".encode()
