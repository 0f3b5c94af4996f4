"""`references fetch` as people call it, against a server that speaks the API's protocol."""

import json
import os
import signal

import pytest
from materials_project_server import KEY, MaterialsProject, serving
from typer.testing import CliRunner

from screening.stability.references import ReferencePhases
from workflows.cli import app

CAMPAIGN = """\
name: demo
candidates:
  families:
    - formula: A2BX6
      prototype: k2ptcl6
      elements: {A: [K, Na], B: [Ta], X: [Cl]}
      oxidation_states: {Ta: [4]}
"""


@pytest.fixture
def project(monkeypatch):
    project = MaterialsProject("Cl", "K", "Na", "Ta")
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.delenv("PMG_MAPI_KEY", raising=False)
    with serving(project) as address:
        monkeypatch.setenv("MP_API_ENDPOINT", address)
        yield project


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "my" / "demo.yaml"
    path.parent.mkdir()
    path.write_text(CAMPAIGN, encoding="utf-8")
    return path


def fetch(*arguments):
    return CliRunner().invoke(app, ["references", "fetch", *map(str, arguments)])


def test_the_systems_of_a_campaign_lie_beside_it_and_are_one_snapshot(project, campaign):
    result = fetch(campaign)
    assert result.exit_code == 0, result.output
    assert result.stdout == "stability: {references: references}\n"
    assert "Cl-K-Ta: " in result.stderr
    assert "Cl-Na-Ta: " in result.stderr
    assert "note: these are DFT energies" in result.stderr
    folder = campaign.parent / "references"
    assert sorted(path.name for path in folder.iterdir()) == ["Cl-K-Ta.json", "Cl-Na-Ta.json"]
    merged = ReferencePhases.load(folder)
    assert {phase.entry_id for phase in merged.phases} == {
        document["entries"]["GGA"]["entry_id"]
        for document in project.documents
        if not {"K", "Na"} <= set(document["elements"])
    }


def test_the_line_for_the_config_names_the_folder_and_the_engine_must_fit(project, campaign):
    line = fetch(campaign).stdout
    campaign.write_text(CAMPAIGN + line, encoding="utf-8")
    plan = CliRunner().invoke(app, ["plan", str(campaign)])
    assert plan.exit_code == 2
    assert "references holds energies of MP legacy PBE POTCARs" in plan.stderr
    assert "the campaign's engine is chgnet 0.3.0" in plan.stderr


def test_a_second_call_fetches_nothing(project, campaign):
    fetch(campaign)
    n_requests = len(project.requests)
    again = fetch(campaign)
    assert again.exit_code == 0
    assert len(project.requests) == n_requests
    assert "nothing to fetch: all 2 systems are in" in again.stderr
    assert "--refresh asks" in again.stderr
    refreshed = fetch(campaign, "--refresh")
    assert [route for route, _ in project.requests[n_requests:]] == ["heartbeat"]
    assert "and of the present version of the database" in refreshed.stderr


def test_elements_need_no_campaign(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = fetch("--elements", "Ta, K,Cl", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (system,) = document["systems"]
    path = tmp_path / "references" / "Cl-K-Ta.json"
    assert document["references"] == str(path.parent)
    assert (system["system"], system["fetched"], system["left_out"]) == ("Cl-K-Ta", True, [])
    assert system["sha256"] == ReferencePhases.load(path).sha256
    assert system["n_phases"] == len(ReferencePhases.load(path).phases)


def test_another_folder_is_named_as_the_config_needs_it(project, campaign, tmp_path):
    below = fetch(campaign, "--elements", "K,Cl", "--out", campaign.parent / "mp" / "2026")
    assert below.stdout == "stability: {references: mp/2026}\n"
    elsewhere = fetch(campaign, "--elements", "K,Cl", "--out", tmp_path / "elsewhere")
    assert elsewhere.stdout == f"stability: {{references: {tmp_path / 'elsewhere'}}}\n"


def test_what_ctrl_c_leaves_is_where_the_next_call_goes_on(project, campaign):
    def interrupt_the_second(_):
        if len(project.asked("materials/thermo")) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    project.on_thermo = interrupt_the_second
    stopped = fetch(campaign)
    assert stopped.exit_code == 3, stopped.output
    assert "stopped; 1 of 2 systems are in" in stopped.stderr
    folder = campaign.parent / "references"
    assert [path.name for path in folder.iterdir()] == ["Cl-K-Ta.json"]
    project.on_thermo = lambda _: None
    goes_on = fetch(campaign)
    assert goes_on.exit_code == 0, goes_on.output
    assert "phases, there already" in goes_on.stderr
    assert len(list(folder.iterdir())) == 2


def test_no_key_says_how_to_get_one_and_how_to_do_without(project, campaign, monkeypatch):
    monkeypatch.delenv("MP_API_KEY")
    result = fetch(campaign)
    assert result.exit_code == 2
    assert "no key of the Materials Project" in result.stderr
    assert "To go on offline" in result.stderr
    assert not (campaign.parent / "references").exists()


@pytest.mark.parametrize("status", [401, 403, 500])
def test_refusals_end_with_one_message_and_never_show_the_key(status, project, campaign):
    project.status["materials/thermo"] = status
    result = fetch(campaign)
    assert result.exit_code == 2
    assert f"HTTP {status}" in result.stderr
    assert "To go on offline" in result.stderr
    assert "Traceback" not in result.output
    assert KEY not in result.output
    assert not (campaign.parent / "references").exists()


def test_fetch_for_nothing_is_asked_what_for():
    result = fetch()
    assert result.exit_code == 2
    assert "Give a campaign's config file, or --elements" in result.stderr


def test_a_campaign_without_candidates_says_why(project, tmp_path):
    path = tmp_path / "none.yaml"
    path.write_text(CAMPAIGN.replace("Ta: [4]", "Ta: [5]"), encoding="utf-8")
    result = fetch(path)
    assert result.exit_code == 2
    assert "has no candidates: " in result.stderr
    assert project.requests == []


def test_electrodes_of_the_config_join_its_systems(project, campaign):
    with campaign.open("a", encoding="utf-8") as file:
        file.write("stability: {electrodes: [NaMnNiFeTiCoAlO2]}\n")
    result = fetch(campaign)
    assert result.exit_code == 2
    assert "with the electrode NaMnNiFeTiCoAlO2 has 1" in result.stderr
    assert "at most 9" in result.stderr
