"""Which keys of two configs differ."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from workflows.config import CampaignConfig
from workflows.config_changes import config_changes

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
CONFIGS = st.dictionaries(st.text(min_size=1, max_size=3), VALUES, max_size=4)


@given(CONFIGS)
def test_a_config_does_not_differ_from_itself(config):
    assert config_changes(config, copy.deepcopy(config)) == []


@given(CONFIGS, CONFIGS)
def test_there_and_back_are_the_same_keys(one, other):
    there = {(c.key, c.before, c.after) for c in config_changes(one, other)}
    back = {(c.key, c.after, c.before) for c in config_changes(other, one)}
    assert there == back
    assert bool(there) == (one != other)


def test_a_real_config():
    candidates = {
        "families": [
            {"formula": "KTaCl6", "prototype": "k2ptcl6"},
            {"formula": "NaCl", "prototype": "rocksalt"},
        ]
    }
    before = {"name": "a", "candidates": candidates, "dynamics": {"temperatures_K": [600, 800]}}
    after = copy.deepcopy(before)
    after["candidates"]["families"][1]["formula"] = "KCl"
    after["dynamics"] = {"temperatures_K": [600, 900], "production_ps": 50}
    after["gates"] = {"min_window_V": None}
    found = [(c.key, c.before, c.after) for c in config_changes(before, after)]
    assert found == [
        ("candidates.families[1].formula", "NaCl", "KCl"),
        ("dynamics.temperatures_K", "[600, 800]", "[600, 900]"),
        ("dynamics.production_ps", None, "50"),
        ("gates", None, "min_window_V: null"),
    ]
    whole = CampaignConfig.model_validate(
        {"name": "a", "candidates": {"families": [{"formula": "KTaCl6", "prototype": "k2ptcl6"}]}}
    ).model_dump(mode="json")
    assert config_changes(whole, whole) == []
