"""What readers see of results that this version did not write."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from screening.errors import InvalidInput
from workflows.read_model import CampaignResults


def test_a_ranking_of_an_earlier_version_is_named_as_such():
    results = CampaignResults.__new__(CampaignResults)
    results.run = 1
    results.table = SimpleNamespace(select=lambda *_: [("uuid",)])
    results.listed = lambda *_: [{"id": "of another shape"}]
    with pytest.raises(
        InvalidInput, match=r"earlier version .*\(RankedCandidate\); `halideflow run"
    ):
        results.ranking()
