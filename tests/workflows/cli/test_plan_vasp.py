"""What `plan` and `doctor` say of VASP before anything runs, and the inputs that plan writes."""

import json

import pytest
from pymatgen.core import SETTINGS
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar
from typer.testing import CliRunner

from workflows.cli import app
from workflows.config_file import load_campaign
from workflows.rehearsal.potcars import write_potcars

CAMPAIGN = """\
name: planned
engine: {{name: {engine}{vasp}}}
candidates:
  families:
    - formula: A(x)TaCl6
      prototype: k2ptcl6
      elements: {{A: [K]}}
      x: [1]
dynamics: {{temperatures_K: [600, 800], timestep_fs: {timestep_fs}}}
"""
ID = "KTaCl6-k2ptcl6-1"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Function that writes a campaign; nobody has told pymatgen of any library."""
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", None)

    def to_file(engine="vasp", vasp="", timestep_fs=2):
        path = tmp_path / "c.yaml"
        path.write_text(CAMPAIGN.format(engine=engine, vasp=vasp, timestep_fs=timestep_fs))
        return path

    return to_file


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Function that makes a library of the user's own."""

    def make(*labels):
        write_potcars(tmp_path / "potcars", labels)
        monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path / "potcars"))

    return make


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def checks(campaign):
    found = json.loads(run("doctor", campaign, "--json").stdout)["checks"]
    return {check["name"]: check for check in found}


def test_plan_says_which_potcars_are_needed_and_missing(write, library):
    result = run("plan", write())
    assert "POTCARs (PBE, without a version): Cl, K_sv, Ta_pv" in result.stdout
    assert "missing POTCARs: Cl, K_sv, Ta_pv (PMG_VASP_PSP_DIR is not set)" in result.stderr
    library("K_sv", "Cl")
    document = json.loads(run("plan", write(), "--json").stdout)
    assert document["potcars"] == {"Cl": "Cl", "K": "K_sv", "Ta": "Ta_pv"}
    assert document["potcars_missing"] == ["Ta_pv"]
    library("Ta")
    chosen = run("plan", write(vasp=", vasp: {potcar: {Ta: Ta}}"))
    assert "missing POTCARs" not in chosen.stderr


def test_doctor_fails_before_anything_is_submitted(write, library):
    found = checks(write())
    assert found["potcars"]["state"] == "fail"
    assert "missing: Cl, K_sv, Ta_pv (PMG_VASP_PSP_DIR is not set)" in found["potcars"]["found"]
    assert found["vasp"]["state"] == "fail"
    assert "not on this machine: vasp_gam, vasp_std" in found["vasp"]["found"]
    assert "execution.vasp_command" in found["vasp"]["advice"]
    assert "references fetch" in found["references"]["advice"]
    library("K_sv", "Ta_pv", "Cl")
    assert checks(write())["potcars"]["state"] == "ok"


def test_a_rehearsal_misses_nothing(write):
    campaign = write("rehearsal")
    found = checks(campaign)
    assert {check["state"] for check in found.values()} <= {"ok", "warn"}
    assert "rehearsal, no DFT" in found["vasp"]["found"]
    result = run("plan", campaign)
    assert result.exit_code == 0
    assert "of which the rehearsal makes stand-ins: Cl, K_sv, Ta_pv" in result.stdout


def test_a_plan_without_reference_phases_says_how_to_get_them(write):
    result = run("plan", write())
    assert result.exit_code == 2
    assert "engine vasp needs reference phases of its own energies" in result.stderr
    assert "halideflow references fetch" in result.stderr


def test_inputs_are_written_for_each_run_without_running_any(write, library, tmp_path):
    library("K_sv", "Ta_pv", "Cl")
    out = tmp_path / "inputs"
    vasp = ", vasp: {relax: {incar: {EDIFFG: -0.02}, kpoints: {Gamma: [1, 2, 3]}}}"
    result = run("plan", write(vasp=vasp), "--inputs", out, "--candidate", ID)
    assert result.exit_code == 0, result.output
    assert [path.name for path in out.iterdir() if path.is_dir()] == [ID]
    assert "relax-1 is exactly what would run" in (out / "README.txt").read_text()
    relax = out / ID / "relax-1"
    assert {path.name for path in relax.iterdir()} == {"INCAR", "KPOINTS", "POSCAR", "POTCAR"}
    incar = Incar.from_file(relax / "INCAR")
    assert (incar["EDIFFG"], incar["ENCUT"], incar["NSW"]) == (-0.02, 520, 99)
    assert tuple(Kpoints.from_file(relax / "KPOINTS").kpts[0]) == (1, 2, 3)
    assert Poscar.from_file(relax / "POSCAR").site_symbols == ["K", "Ta", "Cl"]
    assert "EDIFFG" not in Incar.from_file(out / ID / "static" / "INCAR")
    heating, production = (
        Incar.from_file(out / ID / "dynamics-600K" / name / "INCAR")
        for name in ("heating", "production-0001")
    )
    assert (heating["TEBEG"], heating["TEEND"], heating["NSW"]) == (100, 600, 1000)
    assert (production["TEBEG"], production["TEEND"], production["NSW"]) == (600, 600, 2500)
    assert (production["ISPIN"], production["POTIM"], production["MDALGO"]) == (1, 2, 2)
    start = Poscar.from_file(out / ID / "dynamics-800K" / "heating" / "POSCAR")
    assert len(start.velocities) == 32


def test_without_a_library_the_labels_are_written(write, tmp_path):
    out = tmp_path / "inputs"
    run("plan", write(), "--inputs", out, "--candidate", ID)
    relax = out / ID / "relax-1"
    assert (relax / "POTCAR.spec").read_text().split() == ["K_sv", "Ta_pv", "Cl"]
    assert not (relax / "POTCAR").exists()


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        ("chgnet", ["--inputs", "out"], "engine chgnet has no inputs of VASP"),
        ("rehearsal", ["--candidate", ID], "give --inputs DIR with it"),
        ("rehearsal", ["--inputs", "out", "--candidate", "K9"], "K9: no such candidate"),
    ],
)
def test_what_cannot_be_written(write, tmp_path, monkeypatch, engine, options, message):
    monkeypatch.chdir(tmp_path)
    result = run("plan", write(engine), *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_long_step_with_light_ions_is_noted(write, tmp_path):
    path = write("rehearsal")
    path.write_text(path.read_text().replace("A: [K]", "A: [Li]"))
    assert "timestep_fs is 2 with Li; the literature takes 1 fs" in run("plan", path).stderr
    path.write_text(path.read_text().replace("timestep_fs: 2", "timestep_fs: 1"))
    assert "the literature takes" not in run("plan", path).stderr


def test_execution_decides_no_result(write, tmp_path):
    """It may change between a run and the next."""
    from workflows.campaign import build_campaign

    path = write("rehearsal")
    before = build_campaign(load_campaign(path), {}).job_uuids
    path.write_text(path.read_text() + "execution: {wall_time_h: 5, vasp_files: delete}\n")
    assert build_campaign(load_campaign(path), {}).job_uuids == before
