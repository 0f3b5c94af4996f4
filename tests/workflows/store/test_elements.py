"""Elements of a list in a document, one at a time: the same as those of the whole document."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.store.codec import decode, elements, encode
from workflows.store.sqlite import SqliteStore

TEXT = st.text(alphabet='ab"\\{}[],:σ\n', max_size=6)
KEYS = st.sampled_from(["a", "b", 'q"', "\\", "list", "σ"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
DICTS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(st.lists(DICTS, max_size=5), DICTS, DICTS)
def test_they_are_those_of_the_whole_document(listed, before, after):
    document = {"before": before, "output": {"x": after, "list": listed, "y": before}, "z": after}
    blob = encode(document)
    assert list(elements(blob, ("output", "list"))) == decode(blob)["output"]["list"]


@pytest.mark.parametrize(
    "listed",
    [
        [{"a": 1}, {"a": [{"a": 2}, {"a": 3}]}, {"a": 4}],  # cut at a wrong place
        [{"a": 1}, {"b": 2}, {"a": 3}],
        [{"a": {"a": 1}}, {"a": {"a": 2}}],
        [{"a": '},{"a":'}, {"a": "]"}],
        [{}, {"a": 1}],
        [1, {"a": 1}],
        [{"a": math.inf}, {"a": 1}],
        [],
    ],
)
def test_lists_that_are_hard_to_cut(listed):
    blob = encode({"output": {"list": listed}})
    assert list(elements(blob, ("output", "list"))) == listed


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"output": None},
        {"output": {"list": {"a": 1}}},
        {"list": [{"a": 1}], "output": {}},
        {"output": {"x": {"list": [{"a": 1}]}}},
    ],
)
def test_where_there_is_no_list_there_are_no_elements(document):
    assert list(elements(encode(document), ("output", "list"))) == []


def test_a_store_gives_those_of_the_documents_that_match(tmp_path):
    store = SqliteStore(tmp_path / "store.sqlite")
    store.connect()
    for index in (1, 2):
        listed = [{"n": number, "of": index} for number in range(3)]
        store.update({"uuid": "u", "index": index, "output": {"list": listed}}, ["uuid", "index"])
    wanted = {"uuid": "u", "index": 2}
    assert list(store.elements(wanted, "output.list")) == listed
    assert list(store.elements({"uuid": "v"}, "output.list")) == []
    store.close()
