import json
import os

import pytest
from campaigns import halideflow, overlapping
from typer.testing import CliRunner

from screening.prototypes.electrodes import electrode_names
from screening.stability.interfaces import interface
from screening.stability.reactants import Reactant, snapshot_reactant
from screening.stability.references import ReferencePhases
from workflows.cli import app
from workflows.cli.results import open_results

# without oxygen the electrodes that are oxides have no energy
SNAPSHOT = ReferencePhases.load("chgnet-0.3.0").system(["K", "Na", "Ta", "Cl", "P", "S"])
CONFIG = """\
name: small
candidates:
  files:
    - {path: KTaCl6.cif, mobile_ion: K}
    - {path: NaCl.cif, mobile_ion: Na}
    - {path: broken.cif, mobile_ion: K}
relax: {max_force_eV_per_A: 0.1}
stability: {references: snapshot.json}
dynamics: null
gates: {max_e_hull_eV_per_atom: 0.05}
"""
K, NA = "KTaCl6-KTaCl6-1", "NaCl-NaCl-1"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Two candidates that were relaxed, and one that could not be."""
    folder = tmp_path_factory.mktemp("interfaces")
    for formula in ("KTaCl6", "NaCl"):
        phase = next(p for p in SNAPSHOT.phases if p.formula == formula)
        phase.structure.to(str(folder / f"{formula}.cif"))
    overlapping().to(str(folder / "broken.cif"))
    (folder / "snapshot.json").write_text(SNAPSHOT.dump())
    config = folder / "campaign.yaml"
    config.write_text(CONFIG)
    run = halideflow("run", config)
    assert run.returncode == 4, run.stderr  # the broken one failed
    return config


def asked(*arguments, columns=100):
    environment = {**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1"}
    return CliRunner().invoke(app, ["interfaces", *map(str, arguments)], env=environment)


def answered(*arguments):
    result = asked(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return {entry["id"]: entry for entry in json.loads(result.stdout)}


def test_each_candidate_meets_the_electrodes_of_its_own_ion(campaign):
    found = answered(campaign)
    assert set(found) == {K, NA}
    for identifier, ion, oxide in ((K, "K", "K0.45MnO2"), (NA, "Na", "NaCrO2")):
        assert {i["partner"] for i in found[identifier]["interfaces"]} == {ion}
        left_out = found[identifier]["left_out"]
        assert set(left_out) == set(electrode_names(ion)) - {ion}
        assert f"{oxide}: none of the" in left_out[oxide]


def test_the_results_folder_knows_its_snapshot(campaign):
    (folder,) = (path.parent for path in campaign.parent.rglob("results.sqlite"))
    assert asked(folder).stdout == asked(campaign).stdout != ""


def test_electrodes_without_energy_are_a_note_and_no_number(campaign):
    result = asked(campaign, K, NA, "--electrode", "K0.45MnO2", columns=200)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    rows = [line for line in lines if line[:1] == ["K0.45MnO2"]]
    assert [row[1:3] for row in rows] == [["–", "–"]] * 2
    assert result.stdout.count("left out: K0.45MnO2: none of the") == 1


def test_the_numbers_are_those_of_the_relaxed_candidate(campaign):
    arguments = ["--electrode", "Na3PS4", "--electrode", "K", "--potential", 2]
    found = answered(campaign, K, *arguments)[K]
    assert found["formula"] == "KTaCl6"
    relaxed = open_results(campaign).relaxed()[K].result
    candidate = Reactant(
        K, relaxed.structure.composition, relaxed.energy_eV_per_atom, relaxed.convention
    )
    expected = [
        interface(candidate, snapshot_reactant(name, SNAPSHOT, "K"), SNAPSHOT, "K", potential_V)
        for name, potentials_V in (("Na3PS4", (None, 2.0)), ("K", (None, 0.0, 2.0)))
        for potential_V in potentials_V
    ]
    assert found["interfaces"] == [i.model_dump(mode="json") for i in expected]


def test_candidate_against_candidate(campaign):
    """Seen from both sides it is one interface."""
    (forth,) = answered(campaign, K, "--against", NA)[K]["interfaces"]
    (back,) = answered(campaign, NA, "--against", K)[NA]["interfaces"]
    assert (forth["partner"], back["partner"]) == (NA, K)
    assert forth["worst_energy_eV_per_atom"] == pytest.approx(
        back["worst_energy_eV_per_atom"], abs=1e-9
    )
    assert len(forth["kinks"]) == len(back["kinks"])


def test_the_table_has_a_line_a_pair_with_all_potentials(campaign):
    result = asked(campaign, "--electrode", "Na", "--potential", 1.5, "--potential", 3)
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    below = lines[lines.index([K]) + 1]
    assert below[0] == "Na"
    assert float(below[1]) < -500
    assert below[2:4] == ["1.50", "V:"]
    assert below[-5:] == ["KCl", "+", "NaCl", "+", "Ta"]
    assert any(line[:2] == ["3.00", "V:"] for line in lines)
    assert "mutual" in result.stdout


def test_no_number_is_cut_on_a_narrow_terminal(campaign):
    longest = max(electrode_names(), key=len)
    result = asked(campaign, "--electrode", longest, "--electrode", "Na", columns=80)
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "products, closed" in result.stdout
    assert f"  {longest} " in result.stdout
    assert "Ta" in result.stdout.split()


def test_a_wide_terminal_has_room_for_the_reaction(campaign):
    result = asked(campaign, K, NA, "--electrode", "K", columns=140)
    assert "KTaCl6 + 5 K -> 6 KCl + Ta" in result.stdout


def test_one_candidate_shows_every_kink(campaign):
    result = asked(campaign, K, "--electrode", "K")
    kinks = answered(campaign, K, "--electrode", "K")[K]["interfaces"][0]["kinks"]
    assert f"{K} with K, closed" in result.stdout
    assert f"{K} with K, open at 0 V against K" in result.stdout
    assert len(kinks) > 2
    for kink in kinks:
        assert kink["reaction"] in result.stdout
        assert f"{1000 * kink['energy_eV_per_atom']:.1f}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--electrode", "Na9CrO2"], 2, "Na9CrO2: neither an electrode nor a phase"),
        (["KTaCl7"], 2, "KTaCl7: no such candidate among 3; did you mean KTaCl6"),
        (["K4Cl5-broken-1"], 2, "K4Cl5-broken-1: has no relaxed energy (relax: failed)"),
        (["--against", "KTaCl7"], 2, "KTaCl7: no such candidate"),
        (["--potential", -1], 2, "needs 0 V or more"),
    ],
)
def test_what_cannot_be_answered(campaign, arguments, exit_code, message):
    result = asked(campaign, *arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert message in result.stderr


def test_a_campaign_that_has_not_run(tmp_path, campaign):
    config = tmp_path / "campaign.yaml"
    for name in ("KTaCl6.cif", "NaCl.cif", "broken.cif", "snapshot.json"):
        (tmp_path / name).write_bytes((campaign.parent / name).read_bytes())
    config.write_text(CONFIG)
    assert asked(config).exit_code == 3
