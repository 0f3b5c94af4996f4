"""The file of answers: whatever kills its writer, all whole records can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.cluster.answers import Answer, Unfinished, append, cut_torn_record, read
from workflows.execution.jobs import JobRecord, Outcome

KEYS = st.tuples(st.uuids().map(str), st.integers(1, 9))
SPAWNED = st.builds(
    JobRecord,
    uuid=st.uuids().map(str),
    index=st.integers(1, 9),
    name=st.text(max_size=5),
    stage=st.none() | st.just("dynamics"),
    candidate=st.none() | st.text(max_size=5),
    parents=st.tuples(st.uuids().map(str)),
    on_missing=st.just("none"),
    spec=st.binary(max_size=50),
    n_atoms=st.none() | st.integers(1, 500),
)
OUTCOMES = st.builds(
    Outcome,
    state=st.sampled_from(["done", "failed"]),
    spawned=st.lists(SPAWNED, max_size=2).map(tuple),
    code=st.none() | st.text(max_size=8),
    core_hours=st.none() | st.floats(0, 1e3),
)
DOCUMENTS = st.lists(
    st.fixed_dictionaries({"uuid": st.text(max_size=4), "x": st.floats(allow_nan=False)}),
    max_size=2,
)
RECORDS = st.lists(
    st.builds(Answer, KEYS, OUTCOMES, DOCUMENTS, DOCUMENTS)
    | st.builds(Unfinished, KEYS, st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=4,
)


@given(records=RECORDS, cut=st.floats(0, 1))
def test_a_torn_end_costs_the_record_in_flight_alone(tmp_path_factory, records, cut):
    path = tmp_path_factory.mktemp("answers") / "answers"
    ends = [0]
    for record in records:
        append(path, record)
        ends.append(path.stat().st_size)
    content = path.read_bytes()
    assert [record for record, _ in read(content)] == records
    n_bytes = int(cut * len(content))
    n_whole = sum(end <= n_bytes for end in ends) - 1
    path.write_bytes(content[:n_bytes])
    assert cut_torn_record(path) == records[:n_whole]
    append(path, records[-1])  # and the file can be written on
    assert [record for record, _ in read(path.read_bytes())] == [*records[:n_whole], records[-1]]


def test_reading_goes_on_where_it_was(tmp_path):
    first, second = Unfinished(("a", 1), 0.25, True), Unfinished(("b", 2), 0.5, False)
    append(tmp_path / "answers", first)
    ((_, end),) = read((tmp_path / "answers").read_bytes())
    append(tmp_path / "answers", second)
    assert [record for record, _ in read((tmp_path / "answers").read_bytes(), end)] == [second]


@pytest.mark.parametrize("place", [0, 5, 10, 20, -1])
def test_a_record_that_was_changed_is_none(tmp_path, place):
    append(tmp_path / "answers", Unfinished(("a", 1), 0.25, True))
    content = bytearray((tmp_path / "answers").read_bytes())
    content[place] ^= 0xFF
    assert list(read(bytes(content))) == []


def test_no_file_holds_no_answers(tmp_path):
    assert cut_torn_record(tmp_path / "answers") == []
