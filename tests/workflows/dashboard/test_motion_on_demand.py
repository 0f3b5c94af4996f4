"""What is computed of stored trajectories when a page asks, and of what it says why not."""

from __future__ import annotations

import pytest
from dashboards import DONE, REJECTED

from screening.errors import InvalidInput
from workflows.candidate_motion import motion_of
from workflows.config_file import load_campaign, results_folder
from workflows.ordering_energies import ordering_energies
from workflows.read_model import CampaignResults
from workflows.results import ResultsFolder


@pytest.fixture
def results(copy):
    config = load_campaign(copy)
    opened = CampaignResults(config, ResultsFolder(results_folder(copy, config)))
    yield opened
    opened.close()


def test_each_run_of_the_crystal_is_analysed_or_says_why_not(results):
    motion = motion_of(results, DONE)
    assert len(motion.reports) + len(motion.notes) == 2
    assert [report.species for report in motion.reports] == ["K"] * len(motion.reports)
    temperatures_K = [report.temperature_K for report in motion.reports]
    assert temperatures_K == sorted(temperatures_K)


def test_what_is_too_large_is_not_read(results):
    motion = motion_of(results, DONE, max_bytes=10)
    assert motion.reports == ()
    assert all("halideflow md analyze" in note for note in motion.notes)


def test_arrays_that_are_gone_or_damaged_are_named(results):
    arrays = results.folder.path / "arrays"
    first, *others = sorted(arrays.glob("*.npz"))
    first.write_bytes(b"PK damaged")
    for other in others:
        other.unlink()
    motion = motion_of(results, DONE)
    assert (motion.reports, len(motion.notes)) == ((), 2)
    assert all("no trajectory" in note for note in motion.notes)


def test_without_dynamics_there_is_nothing(results):
    motion = motion_of(results, REJECTED)
    assert (motion.reports, motion.notes) == ((), ())


def test_an_ordering_on_its_own_is_compared_with_nothing(results):
    assert ordering_energies(results.relaxed_orderings(DONE)) == ()


@pytest.mark.parametrize("ask", [motion_of, CampaignResults.relaxed_orderings])
def test_an_unknown_candidate_is_named(results, ask):
    with pytest.raises(InvalidInput, match="nobody: no such candidate"):
        ask(results, "nobody")
