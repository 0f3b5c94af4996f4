import json

import pytest
from typer.testing import CliRunner
from vasp_runs import write_run

from screening.stability.references import ReferencePhases
from workflows.cli import app
from workflows.references import write_snapshot

SHIPPED = ReferencePhases.load("chgnet-0.3.0")


@pytest.fixture
def halideflow():
    """Runs `halideflow references` with the given arguments."""
    return lambda *arguments: CliRunner().invoke(
        app, ["references", *(str(argument) for argument in arguments)], env={"COLUMNS": "80"}
    )


def only(path, *names):
    phases = tuple(p for p in SHIPPED.phases if p.name in names)
    write_snapshot(path, SHIPPED.model_copy(update={"phases": phases}))
    return path


def test_the_list_names_shipped_and_given_snapshots(halideflow, tmp_path):
    mine = only(tmp_path / "mine.json", "K", "Cl2", "KCl")
    result = halideflow("list", mine, "--json")
    assert result.exit_code == 0, result.output
    shipped, _, _, given = json.loads(result.stdout)
    assert (shipped["name"], shipped["sha256"]) == ("chgnet-0.3.0", SHIPPED.sha256)
    assert (given["name"], given["n_phases"], given["elements"]) == (str(mine), 3, ["Cl", "K"])
    assert given["convention"] == SHIPPED.convention.model_dump()
    table = halideflow("list", mine).stdout
    assert "chgnet-0.3.0" in table
    assert SHIPPED.sha256[:12] in table
    n_elements = len({symbol for phase in SHIPPED.phases for symbol in phase.elements})
    (row,) = (line.split() for line in table.splitlines() if "chgnet-0.3.0" in line)
    assert row[-2:] == [str(len(SHIPPED.phases)), str(n_elements)]


def test_show_places_each_phase_among_its_elements(halideflow, tmp_path):
    mine = only(tmp_path / "mine.json", "K", "Cl2", "KCl", "Na", "Na hcp")
    result = halideflow("show", mine, "--json")
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in json.loads(result.stdout)["phases"]}
    energies = {p.name: p.energy_eV_per_atom for p in SHIPPED.phases}
    formation = energies["KCl"] - (energies["K"] + energies["Cl2"]) / 2
    assert rows["KCl"]["formation_energy_eV_per_atom"] == pytest.approx(formation, abs=1e-9)
    assert rows["KCl"]["e_hull_eV_per_atom"] == pytest.approx(0, abs=1e-9)
    above = energies["Na"] - min(energies["Na"], energies["Na hcp"])
    assert rows["Na"]["e_hull_eV_per_atom"] == pytest.approx(above, abs=1e-9)
    assert "structure" not in rows["Na"]


def test_show_one_system_and_what_it_lacks(halideflow, tmp_path):
    mine = only(tmp_path / "mine.json", "K", "Cl2", "Ta", "TaCl5", "Na", "NaCl")
    result = halideflow("show", mine, "--system", "K-Ta-Cl", "--json")
    document = json.loads(result.stdout)
    assert {row["name"] for row in document["phases"]} == {"K", "Cl2", "Ta", "TaCl5"}
    assert "KTaCl6" in document["missing"]
    assert not {"TaCl5", "NaCl"} & document["missing"].keys()
    text = halideflow("show", mine, "--system", "K,Ta,Cl").stdout
    assert "overshoots for molecular TaCl5" in " ".join(text.split())
    assert "known compounds of these elements that are missing" in text


def test_show_without_elements_to_compare_with(halideflow, tmp_path):
    result = halideflow("show", only(tmp_path / "mine.json", "KCl"), "--json")
    (row,) = json.loads(result.stdout)["phases"]
    assert row["formation_energy_eV_per_atom"] is None
    assert row["e_hull_eV_per_atom"] is None
    assert halideflow("show", tmp_path / "mine.json").exit_code == 0


def test_bad_input_is_one_message(halideflow, tmp_path):
    for arguments, complaint in [
        (("list", "nowhere"), "no reference phases 'nowhere'"),
        (("show", tmp_path), "holds no snapshot"),
        (("show", "chgnet-0.3.0", "--system", "K-Xx"), "found 'Xx'"),
        (("show", "chgnet-0.3.0", "--system", "K-Xe-Cl"), "no elemental reference phase of Xe"),
        (("build", "--elements", "K,,Cl", "--out", tmp_path / "x.json"), "found ''"),
        (("build", "--elements", "He", "--out", tmp_path / "x.json"), "none of 0 phases"),
        (("vasp", tmp_path, "--out", tmp_path / "x.json"), "no vasprun.xml"),
        (("vasp", tmp_path, "--out", tmp_path / "no/x.json"), "make it first"),
        (("build", "--elements", "K", "--out", tmp_path / "no/x.json"), "make it first"),
        (("vasp", tmp_path / "no", "--out", tmp_path / "x.json"), "is not a directory"),
    ]:
        result = halideflow(*arguments)
        assert result.exit_code == 2, arguments
        assert complaint in result.stderr
        assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_vasp_runs_become_a_file_and_others_are_listed(halideflow, tmp_path):
    write_run(tmp_path / "runs" / "good" / "vasprun.xml")
    write_run(tmp_path / "runs" / "bad" / "vasprun.xml", functional="PS")
    out = tmp_path / "mine.json"
    result = halideflow("vasp", tmp_path / "runs", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert list(document["refused"]) == ["bad/vasprun.xml"]
    assert document["sha256"] == ReferencePhases.load(out).sha256
    told = halideflow("vasp", tmp_path / "runs", "--out", out).stderr
    assert "1 phases" in told
    assert "functional PBEsol" in told


def test_no_usable_run_writes_nothing(halideflow, tmp_path):
    write_run(tmp_path / "runs" / "vasprun.xml", version="0.0.0-rehearsal")
    result = halideflow("vasp", tmp_path / "runs", "--out", tmp_path / "mine.json")
    assert result.exit_code == 2
    assert "vasprun.xml: a rehearsal" in result.stderr
    assert not (tmp_path / "mine.json").exists()


def test_build_relaxes_once(halideflow, tmp_path):
    out = tmp_path / "mine.json"
    arguments = ("build", "--elements", "K,Po", "--out", out, "--workers", "1", "--json")
    first = halideflow(*arguments)
    assert first.exit_code == 0, first.output
    assert "no structure that comes with the package holds Po" in first.stderr
    document = json.loads(first.stdout)
    assert (document["elements"], document["failures"]) == (["K"], {})
    assert document["n_relaxed"] == document["n_phases"] == 1
    again = json.loads(halideflow(*arguments).stdout)
    assert (again["n_relaxed"], again["n_reused"]) == (0, 1)
    assert again["sha256"] == document["sha256"]


def test_a_large_snapshot_is_shown_a_line_a_phase(halideflow):
    lines = halideflow("show", "chgnet-0.3.0").stdout.splitlines()
    assert len(SHIPPED.phases) < len(lines) < 1.2 * len(SHIPPED.phases)
    assert max(map(len, lines)) <= 80
    (row,) = (line.split() for line in lines if line.split()[:1] == ["KTaCl6"])
    (energy,) = (p.energy_eV_per_atom for p in SHIPPED.phases if p.name == "KTaCl6")
    assert row[1] == f"{energy:.4f}"
    assert "--system K-Ta-Cl" in " ".join(lines)
