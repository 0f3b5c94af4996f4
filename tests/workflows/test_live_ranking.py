"""The ranking over many looks: always what one look at the same moment gives."""

from __future__ import annotations

import shutil
import sqlite3
import threading

import pytest
from campaigns import SMALL, overlapping, write_campaign
from pymatgen.core import Lattice, Structure

from workflows import live_ranking
from workflows.config_file import load_campaign, read_structures
from workflows.live_ranking import LiveRanking
from workflows.read_model import CampaignResults
from workflows.results import ResultsFolder
from workflows.run import run_campaign

STRUCTURES = {
    "kcl-a": SMALL["kcl-a"],
    "nacl-a": SMALL["nacl-a"],
    "overlap": ("K", overlapping()),
    "expanded": ("Na", Structure(Lattice.cubic(3.3), ["Na", "Cl"], [[0] * 3, [0.5] * 3])),
}


class Watched:
    """A campaign whose ranking is looked at after every change of every job."""

    def __init__(self, file):
        self.file = file
        self.folder = ResultsFolder(file.parent / "campaign")
        self.live = LiveRanking()
        self.seen = []

    def open(self):
        return CampaignResults(load_campaign(self.file), self.folder, 60, self.live.enumeration)

    def rows(self):
        results = self.open()
        rows = self.live.rows(results)
        results.close()
        return rows

    def look(self, *_):
        rows = self.rows()
        fresh = CampaignResults(load_campaign(self.file), self.folder)
        assert rows == fresh.ranking()
        fresh.close()
        self.seen.append({row.id: row.state for row in rows})

    def run(self, retry_failed=False):
        config = load_campaign(self.file)
        structures = read_structures(config, self.file)
        return run_campaign(
            config, self.file, structures, self.folder, 2, retry_failed, on_event=self.look
        )

    def change(self, sql):
        with sqlite3.connect(self.folder.database) as connection:
            connection.execute(sql)
        connection.close()


@pytest.fixture(scope="module", autouse=True)
def _never_old():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_ranking, "RESTS_S", -1.0)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, _never_old):
    file = write_campaign(tmp_path_factory.mktemp("watched"), STRUCTURES, (300.0,), 0.005)
    watched = Watched(file)
    watched.run()
    return watched


@pytest.fixture
def unranked(finished, tmp_path):
    """A copy in which the ranking is still to come."""
    shutil.copytree(finished.file.parent, tmp_path / "copy")
    watched = Watched(tmp_path / "copy" / finished.file.name)
    watched.change("update jobs set state = 'waiting' where stage = 'rank'")
    watched.look()
    return watched


def test_it_follows_a_run_change_by_change(finished):
    states = set().union(*(seen.values() for seen in finished.seen))
    assert states == {"waiting", "running", "done", "rejected", "failed"}
    assert len(finished.seen) > 20
    assert sorted(finished.seen[-1].values()) == ["done", "done", "failed", "rejected"]


def test_it_follows_what_is_tried_again_and_another_config(finished, tmp_path):
    shutil.copytree(finished.file.parent, tmp_path / "copy")
    watched = Watched(tmp_path / "copy" / finished.file.name)
    watched.look()
    watched.run(retry_failed=True)
    assert {"waiting", "failed"} <= {seen["K4Cl5-overlap-1"] for seen in watched.seen}
    watched.seen.clear()
    text = watched.file.read_text()
    watched.file.write_text(text.replace("max_e_hull_eV_per_atom: 0.005", "min_window_V: 9"))
    watched.look()  # the config has changed, but nobody has run it
    assert "done" in watched.seen[-1].values()
    watched.run()
    assert sorted(watched.seen[-1].values()) == ["failed", "rejected", "rejected", "rejected"]


def test_nothing_is_read_where_nothing_has_changed(unranked, monkeypatch):
    monkeypatch.setattr(CampaignResults, "outputs", None)
    assert len(unranked.rows()) == 4
    unranked.change("insert into notes values ('driver', 'somewhere', 1.0)")
    assert len(unranked.rows()) == 4


def test_only_the_answers_of_those_that_changed_are_read(unranked, monkeypatch):
    asked = []
    read = CampaignResults.outputs

    def outputs(results, uuids):
        asked.extend(uuids := list(uuids))
        return read(results, uuids)

    monkeypatch.setattr(CampaignResults, "outputs", outputs)
    before = unranked.rows()
    unranked.change("update jobs set ended_at = ended_at + 1 where candidate = 'KCl-kcl-a-1'")
    assert unranked.rows() == before
    jobs = unranked.open().enumerated.jobs["KCl-kcl-a-1"]
    assert set(asked) == set(jobs[1:])


def test_an_answer_is_given_again_for_a_moment(unranked, monkeypatch):
    before = unranked.rows()
    unranked.change("update jobs set state = 'waiting' where stage = 'transport'")
    monkeypatch.setattr(live_ranking, "RESTS_S", 1000.0)
    assert unranked.rows() is before
    monkeypatch.setattr(live_ranking, "RESTS_S", -1.0)
    assert {row.state for row in unranked.rows()} == {"waiting", "failed"}
    unranked.look()


def test_a_campaign_that_was_moved_away_and_run_anew_is_another(unranked):
    config = unranked.file.read_text()
    before = unranked.rows()
    shutil.move(unranked.folder.path, unranked.file.parent / "before")
    unranked.folder.path.mkdir()
    (unranked.folder.path / "campaign.yaml").write_text(config)
    for name in ("results.sqlite", "results.sqlite-wal"):
        if (old := unranked.file.parent / "before" / name).exists():
            shutil.copy(old, unranked.folder.path / name)
    unranked.change("update jobs set state = 'waiting' where stage = 'transport'")
    assert unranked.rows() != before
    unranked.look()


def test_many_threads_may_look_at_once(unranked):
    found, n_threads = [], 8
    barrier = threading.Barrier(n_threads)

    def look():
        barrier.wait()
        found.append(unranked.rows())

    unranked.change("update jobs set ended_at = ended_at + 1 where stage = 'stability'")
    threads = [threading.Thread(target=look) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == n_threads
    assert all(rows == found[0] for rows in found)
    unranked.look()
