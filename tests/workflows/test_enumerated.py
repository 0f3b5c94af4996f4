"""Candidates as text: what was stored of them, found by their ids."""

from __future__ import annotations

import pytest

from screening.errors import InvalidInput
from workflows.enumerated import Enumerated


def entry(name, space=None):
    def job(stage):
        return {"@class": "OutputReference", "uuid": f"{stage}-{name}", "attributes": []}

    return {
        "candidate": {"id": name, "formula": "σ", "origin": {"host": "h", "space": space}},
        "relax": job("relax"),
        "stability": job("stability"),
        "transport": job("transport"),
        "amorphous": None,
    }


@pytest.fixture
def enumerated():
    entries = [entry("A-1", "A"), entry("A-2", "A"), entry("B-1", "B"), entry("C")]
    return Enumerated(entries, {"D": "no"})


def test_entries_come_back_with_the_uuids_of_their_jobs(enumerated):
    assert len(enumerated) == 4
    assert [found["candidate"]["id"] for found in enumerated] == ["A-1", "A-2", "B-1", "C"]
    found = enumerated.entry("A-2")
    assert found["candidate"] == entry("A-2", "A")["candidate"]
    assert found["relax"] == {"uuid": "relax-A-2"}
    assert found["amorphous"] is None
    assert enumerated.jobs["C"] == ("relax-C", "stability-C", "transport-C")
    assert enumerated.left_out == {"D": "no"}


def test_orderings_of_one_space_belong_together(enumerated):
    assert [e["candidate"]["id"] for e in enumerated.alike("A-2")] == ["A-1", "A-2"]
    assert enumerated.alike("C") == []


def test_a_candidate_that_there_is_not(enumerated):
    with pytest.raises(InvalidInput, match=r"A-3: no such candidate among 4; did you mean A-2\?"):
        enumerated.entry("A-3")
    assert len(Enumerated()) == 0
