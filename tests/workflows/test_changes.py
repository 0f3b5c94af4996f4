"""Another snapshot of reference phases: what is redone, what is shown, what a pin refuses."""

from __future__ import annotations

import csv
import json
import sqlite3

import pytest
from campaigns import SMALL, halideflow, ranking, write_campaign

from screening.stability.references import ReferencePhases

PHASES = ("Li", "Na", "K", "Cl2", "LiCl", "NaCl", "KCl")
SHIFT_EV_PER_ATOM = 0.01


def write_references(path, shifts_eV_per_atom):
    """A few phases of the shipped snapshot, some of them shifted in energy."""
    shipped = ReferencePhases.load("chgnet-0.3.0")
    phases = tuple(
        phase.model_copy(
            update={
                "energy_eV_per_atom": phase.energy_eV_per_atom
                + shifts_eV_per_atom.get(phase.formula, 0.0)
            }
        )
        for phase in shipped.phases
        if phase.name in PHASES
    )
    references = shipped.model_copy(update={"phases": phases})
    path.write_text(references.dump(), encoding="utf-8")
    return references


def executed(config, run):
    """Stage -> number of jobs that ended in a run."""
    with sqlite3.connect(config.parent / "campaign" / "results.sqlite") as connection:
        return dict(
            connection.execute(
                "select stage, count(*) from jobs where ended_at >= (select started_at from runs "
                "where run = ?) group by stage",
                (run,),
            ).fetchall()
        )


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Run with one snapshot, then with another of which the potassium metal alone is different."""
    folder = tmp_path_factory.mktemp("snapshots")
    config = write_campaign(folder, SMALL, temperatures=())
    config.write_text(config.read_text() + "stability: {references: refs.json}\n")
    before = write_references(folder / "refs.json", {})
    first = halideflow("run", config, "--workers", 2)
    assert first.returncode == 0, first.stderr
    earlier = {row["formula"]: row for row in ranking(config)}
    after = write_references(folder / "refs.json", {"K": -SHIFT_EV_PER_ATOM})
    second = halideflow("run", config, "--workers", 2)
    assert second.returncode == 0, second.stderr
    return config, first, second, earlier, before, after


def test_without_dynamics_a_campaign_ends_with_the_gates_and_says_so(campaign):
    config, first, *_ = campaign
    assert "no dynamics was asked for" in first.stdout
    assert [(row["state"], row["stage"]) for row in ranking(config)] == [("done", "gates")] * 3
    assert [row["rank"] for row in ranking(config)] == [1, 2, 3]
    widths_V = [row["window_V"] for row in ranking(config)]
    assert widths_V == sorted(widths_V, reverse=True)
    stages = json.loads(halideflow("status", config, "--json").stdout)["stages"]
    assert stages["gates"] == {"done": 3}
    assert not {"dynamics", "transport"} & set(stages)


def test_another_snapshot_redoes_stability_alone_and_only_where_it_differs(campaign):
    config, *_ = campaign
    assert executed(config, 2) == {"enumerate": 1, "stability": 1, "gates": 1, "rank": 1}


def test_the_difference_is_shown_after_the_run_and_later(campaign):
    config, first, second, earlier, before, after = campaign
    assert "→" not in first.stderr
    assert f"refs.json ({before.sha256[:12]}) → refs.json ({after.sha256[:12]})" in second.stderr
    (change,) = json.loads(halideflow("rank", config, "--changes", "--json").stdout)
    assert change["before"] == {"name": "refs.json", "sha256": before.sha256}
    assert change["after"] == {"name": "refs.json", "sha256": after.sha256}
    assert change["n_unchanged"] == 2
    (changed,) = change["changed"]
    assert changed["formula"] == "KCl"
    assert changed["before"]["oxidation_limit_V"] == earlier["KCl"]["oxidation_limit_V"]
    # KCl -> K + 1/2 Cl2: the limit falls with the energy of the metal
    assert changed["after"]["oxidation_limit_V"] == pytest.approx(
        changed["before"]["oxidation_limit_V"] - SHIFT_EV_PER_ATOM, abs=1e-9
    )
    shown = halideflow("rank", config, "--changes").stdout
    assert "unchanged: 2 other candidates" in shown


def test_a_run_that_changes_nothing_shows_no_difference(campaign):
    config, *_ = campaign
    again = halideflow("run", config)
    assert "nothing to do" in again.stderr
    assert "→" not in again.stderr
    assert json.loads(halideflow("rank", config, "--changes", "--json").stdout)


def test_a_config_without_published_windows_has_none_to_compare(campaign):
    config, *_ = campaign
    result = halideflow("rank", config, "--published")
    assert result.returncode == 2
    assert "names no published windows" in result.stderr


def test_a_pinned_snapshot_refuses_another(campaign):
    config, first, _, _, before, after = campaign
    assert f'references_sha256: "{before.sha256[:16]}"' in first.stderr
    text = config.read_text()
    pinned = config.with_name("pinned.yaml")
    pinned.write_text(text.replace("refs.json", f'refs.json, references_sha256: "{"0" * 8}"'))
    refused = halideflow("run", pinned)
    assert refused.returncode == 2
    assert 'stability.references_sha256: pinned to "00000000"' in refused.stderr
    assert after.sha256 in refused.stderr
    pin = f'refs.json, references_sha256: "{after.sha256[:8]}"'
    pinned.write_text(text.replace("refs.json", pin))
    assert halideflow("validate", pinned).returncode == 0


def test_show_has_both_windows_steps_guards_and_profiles_are_exported(campaign, tmp_path):
    config, *_ = campaign
    best = ranking(config)[0]
    shown = halideflow("show", config, best["id"]).stdout
    for part in ("own window", "window of equilibrium", "mAh/g", "guards", "is formed from"):
        assert part in shown
    out = tmp_path / "out"
    assert halideflow("export", config, "--out", out, "--format", "profile").returncode == 0
    with (out / "profiles" / f"{best['id']}.csv").open() as file:
        curve = [
            (float(row["potential_V"]), float(row["decomposition_energy_eV_per_atom"]))
            for row in csv.DictReader(file)
        ]
    assert curve == sorted(curve)
    assert curve[0][0] < 0
    assert curve[-1][0] > 6
    document = json.loads((out / "profiles" / f"{best['id']}.json").read_text())
    window = document[f"{document['window_of']}_window"]
    low_V, high_V = (window[end]["potential_V"] for end in ("reduction", "oxidation"))
    # inside its window nothing drives a candidate apart but its own energy above hull; below 0 V
    # the metal is plated, which does not take the candidate
    for potential_V, energy_eV_per_atom in curve:
        if potential_V < 0:
            continue
        inside = low_V - 1e-6 <= potential_V <= high_V + 1e-6
        assert (energy_eV_per_atom > -best["e_hull_eV_per_atom"] - 1e-9) == inside, potential_V
