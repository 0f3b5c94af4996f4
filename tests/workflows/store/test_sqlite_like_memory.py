"""maggma's MemoryStore is the oracle: whatever it answers, SqliteStore answers."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from maggma.stores import MemoryStore
from pydash import get

from workflows.store.sqlite import SqliteStore

INDEXED = ("a", "b.c", "b.d")
PATHS = ("uuid", "index", "a", "b", "b.c", "b.d", "b.c.d", "b.0.c", "c", "last_updated")

dates = st.integers(0, 3).map(
    lambda days: datetime(2026, 1, 1) + timedelta(days, microseconds=days)
)
# Few values, so that criteria hit, and those that Python, SQLite and MongoDB compare differently.
SCALARS = [None, True, False, 0, 1, 1.0, -0.0, -1.5, float("inf"), 2**53 + 1, float(2**53), 2**62]
SCALARS += [
    "1",
    "",
    "a",
    "b",
    "é",
    "\U0001f600",
    "\uffff",
    "a\0",
    datetime(1960, 1, 1),
    datetime.max,
]
scalars = st.sampled_from([None, True, 1, "a"]) | st.sampled_from(SCALARS) | dates
values = st.one_of(
    scalars,
    scalars,
    st.lists(scalars, max_size=2),
    st.fixed_dictionaries({}, optional={"c": scalars, "d": scalars}),
)
inner = st.fixed_dictionaries({"c": values}, optional={"d": values})
simple = st.fixed_dictionaries(
    {"uuid": st.sampled_from("xyz"), "a": scalars},
    optional={"index": st.integers(1, 2), "b": st.fixed_dictionaries({}, optional={"c": scalars})},
)
complicated = st.fixed_dictionaries(
    {
        "uuid": st.sampled_from("xyz"),
        "b": st.one_of(inner, inner, st.lists(inner | scalars, max_size=2), values),
    },
    optional={"index": st.integers(1, 2), "a": values, "c": values, "last_updated": dates},
)
conditions = st.one_of(
    values,
    st.builds(
        lambda operator, value: {operator: value},
        st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]),
        values,
    ),
    st.builds(
        lambda operator, some: {operator: some},
        st.sampled_from(["$in", "$nin", "$all"]),
        st.lists(values, max_size=3),
    ),
    st.booleans().map(lambda flag: {"$exists": flag}),
    st.builds(lambda low, high: {"$gte": low, "$lt": high}, scalars, scalars),
    scalars.map(lambda value: {"$not": {"$in": [value]}}),
    st.builds(lambda value, flag: {"$ne": value, "$exists": flag}, scalars, st.booleans()),
    st.sampled_from([{"$size": 1}, {"$regex": "^a"}, {"$type": "string"}]),
)
paths = st.sampled_from(["a", "b.c"]) | st.sampled_from(PATHS)
one_criterion = st.builds(lambda path, condition: {path: condition}, paths, conditions)
plain_criteria = st.one_of(
    one_criterion, one_criterion, st.dictionaries(paths, conditions, min_size=2, max_size=3)
)
criteria = st.one_of(
    plain_criteria,
    plain_criteria,
    st.builds(
        lambda operator, some, rest: {**rest, operator: some},
        st.sampled_from(["$or", "$and", "$nor"]),
        st.lists(plain_criteria, min_size=1, max_size=2),
        plain_criteria,
    ),
)
properties = st.one_of(
    st.none(),
    st.sampled_from([["a"], ["b.c", "a"], ["uuid", "b"], ["b.c", "b.d"], ["b.c.d"], ["missing"]]),
    st.sampled_from([{"a": 1, "b.d": 1}, {"a": 0, "c": 0}, {"b": True}, {"_id": 0, "a": 1}]),
)
orders = st.none() | st.dictionaries(paths, st.sampled_from([1, -1]), max_size=3)
keys = st.sampled_from([None, "uuid", "a", "c", ["uuid", "index"], ["a", "c"]])


def histories_of(documents):
    first = st.lists(documents, min_size=2, max_size=8).map(numbered)
    updates = st.tuples(st.just("update"), st.lists(documents, min_size=1, max_size=3), keys)
    removals = st.tuples(st.just("remove_docs"), plain_criteria)
    return st.builds(
        lambda first, later: [first, *later], first, st.lists(updates | removals, max_size=2)
    )


def numbered(some):
    """An update that keeps all of some documents."""
    return "update", [{**document, "n": n} for n, document in enumerate(some)], "n"


histories = histories_of(simple) | histories_of(complicated)
like_memory = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@contextmanager
def both(history=()):
    """The oracle and our store, after the same calls."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # hundreds of files; fsync is slow
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        theirs = MemoryStore(key="uuid")
        ours = SqliteStore(Path(folder, "test.sqlite"), unique=(), indexed=INDEXED)
        with theirs, ours:
            for method, *arguments in history:
                assert same(
                    ours, theirs, lambda store, m=method, a=arguments: getattr(store, m)(*a)
                )
            yield ours, theirs


def same(ours, theirs, call):
    """Whether both give the same answer, to the type of each value; true if the oracle fails."""
    try:
        expected = without_id(call(theirs))
    except Exception:
        return True
    found = call(ours)
    assert repr(found) == repr(expected)
    return True


def without_id(answer):
    if isinstance(answer, list):
        return [without_id(part) for part in answer]
    if isinstance(answer, tuple):
        return tuple(without_id(part) for part in answer)
    if isinstance(answer, dict):
        return {key: value for key, value in answer.items() if key != "_id"}
    return answer


LISTS = [[], [None], [1], [True], ["a", 1], [[1]], [None, "a"], [datetime(1960, 1, 1)], ["b", 2.5]]
SIMPLE = [{"a": value, "b": {"c": value}} for value in SCALARS]
SIMPLE += [{}, {"b": {}}, {"b": {"d": 1}}, {"b": None}, {"b": 1}, {"b": []}, {"b": [1, None]}]
COMPLICATED = [{"a": value, "b": {"c": value}} for value in [*LISTS, {}, {"c": 1}]] + [
    {"b": inner}
    for inner in (None, 1, "a", [], [1], [{"c": 1}], [{"c": "b"}, {"c": "a"}], [1, {"c": "a"}])
]
CONDITIONS = [
    *SCALARS,
    *LISTS,
    {"$exists": True},
    {"$exists": False},
    *({op: value} for op in ("$eq", "$ne", "$gt", "$lte") for value in [*SCALARS, [1], {"c": 1}]),
    *({op: some} for op in ("$in", "$nin", "$all") for some in [*LISTS, [1, "1"], [None, True]]),
]


@pytest.mark.parametrize("stored", [SIMPLE, COMPLICATED, SIMPLE + COMPLICATED])
def test_every_condition_on_every_value(stored):
    with both([numbered(stored)]) as (ours, theirs):
        for path in ("a", "b.c"):
            for condition in CONDITIONS:
                wanted = {path: condition}
                assert same(ours, theirs, lambda store, w=wanted: numbers(store.query(w)))
                assert same(ours, theirs, lambda store, w=wanted: store.count(w))
            for order in ({path: 1}, {path: -1}, {path: -1, "n": -1}, {"n": 1, path: 1}):
                assert same(ours, theirs, lambda s, o=order: numbers(s.query(sort=o, limit=20)))


def numbers(found):
    return [document["n"] for document in found]


@like_memory
@given(histories, st.lists(criteria, min_size=5, max_size=15))
def test_finds_the_same_documents(history, several):
    with both(history) as (ours, theirs):
        for wanted in several:
            assert same(ours, theirs, lambda store, w=wanted: list(store.query(w)))
            assert same(ours, theirs, lambda store, w=wanted: store.count(w))
            assert same(ours, theirs, lambda store, w=wanted: store.query_one(w))


@like_memory
@given(
    histories,
    st.lists(
        st.tuples(
            st.just({}) | one_criterion, properties, orders, st.integers(0, 3), st.integers(0, 3)
        ),
        min_size=4,
        max_size=10,
    ),
)
def test_cuts_sorts_and_pages_alike(history, several):
    with both(history) as (ours, theirs):
        for wanted, fields, order, skip, limit in several:
            assert same(
                ours,
                theirs,
                lambda store, w=wanted, f=fields, o=order, s=skip, n=limit: list(
                    store.query(w, properties=f and type(f)(f), sort=o, skip=s, limit=n)
                ),
            )
        assert same(ours, theirs, lambda store: store.last_updated)


@like_memory
@given(histories, st.lists(st.tuples(st.sampled_from(PATHS), criteria), min_size=1, max_size=8))
def test_distinct_values_are_the_same(history, several):
    with both(history) as (ours, theirs):
        for path, wanted in several:
            assert same(
                ours,
                theirs,
                lambda store, p=path, w=wanted: sorted(store.distinct(p, w), key=repr),
            )


@like_memory
@given(histories, st.sampled_from(["uuid", "a", "b.c", ["uuid", "index"], ["a", "uuid"]]), criteria)
def test_groups_are_the_same(history, by, wanted):
    with both(history) as (ours, theirs):
        assert same(
            ours,
            theirs,
            lambda store: list(store.groupby(by, wanted, properties=["uuid", "index"])),
        )


@like_memory
@given(st.lists(simple, max_size=6), criteria)
def test_columns_are_what_the_documents_say(stored, wanted):
    paths = ["b.c", "uuid", "a"]
    with both() as (ours, _):
        ours.update([{**document, "n": n} for n, document in enumerate(stored)], key="n")
        expected = [tuple(get(found, path) for path in paths) for found in ours.query(wanted)]
        assert repr(list(ours.columns(paths, wanted))) == repr(expected)


@like_memory
@given(histories, criteria)
def test_an_index_added_later_changes_no_answer(history, wanted):
    with both(history) as (ours, _):
        before = list(ours.query(wanted))
        assert ours.ensure_index("c")
        assert ours.ensure_index("b")
        assert list(ours.query(wanted)) == before
        assert "c" not in ours.indexed  # another store object with fewer paths ...
        ours.update({"uuid": "new", "c": "new"})
        assert list(ours.columns(["uuid", "c"], {"uuid": "new"})) == [("new", "new")]


@pytest.mark.parametrize(
    "wrong", [{"a": {"$unheard": 1}}, {"$unheard": 1}, {"$or": []}, {"uuid": {"$in": 3}}]
)
def test_wrong_criteria_are_errors_in_an_empty_store_too(wrong):
    with both() as (ours, theirs):
        for store in (ours, theirs):
            with pytest.raises(Exception, match=r"operator|nonempty|array"):
                list(store.query(wrong))
