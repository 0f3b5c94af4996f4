"""A whole campaign by the VASP path: killed, run again, and compared with the embedded engine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from campaigns import halideflow, ranking, rock_salt
from ruamel.yaml import YAML

CAMPAIGN = """\
name: rehearsed
engine:
  name: rehearsal
  vasp: {relax: {incar: {EDIFFG: -0.03}}}
candidates:
  files:
    - {path: nacl.cif, mobile_ion: Na}
relax: {rattle_A: 0}
dynamics:
  temperatures_K: [400]
  heating_ps: 0.04
  equilibration_ps: 0.04
  segment_ps: 0.1
  production_ps: 0.2
  frame_interval_fs: 4
  min_cell_width_A: 3
"""


def campaign(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    rock_salt("Na", "Cl", 5.7).get_primitive_structure().to(str(folder / "nacl.cif"))
    yaml = YAML()
    config = yaml.load(CAMPAIGN) | changes
    path = folder / "c.yaml"
    with path.open("w") as file:
        yaml.dump(config, file)
    return path


def records(folder):
    """When each run of VASP was finished, by its folder."""
    return {str(path.parent): path.stat().st_mtime_ns for path in folder.rglob("calculation.json")}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed with -9, all its processes too, in its second relaxation."""
    config = campaign(tmp_path_factory.mktemp("killed"))
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "run", str(config), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not list(config.parent.rglob("relax-2/OUTCAR")):
        assert time.monotonic() < deadline, "no second relaxation within two minutes"
        assert process.poll() is None, "the run ended before its second relaxation"
        time.sleep(0.02)
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        with pytest.MonkeyPatch.context():
            try:
                member.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
    process.wait()
    return config, records(config.parent)


@pytest.fixture(scope="module")
def finished(killed):
    config, before = killed
    run = halideflow("run", config, "--workers", 1)
    assert run.returncode == 0, run.stderr
    return config, before


def test_a_run_that_was_killed_goes_on_where_it_was(finished):
    config, before = finished
    assert [name.rpartition("/")[2] for name in before] == ["relax-1"]
    after = records(config.parent)
    assert {name: after[name] for name in before} == before  # never run again
    assert sorted(name.rpartition("/")[2] for name in after) == ["relax-1", "relax-2", "static"]
    (row,) = ranking(config)
    assert row["state"] == "done"


def test_vasp_alone_being_killed_is_mended_by_the_next_run(tmp_path, monkeypatch):
    config = campaign(tmp_path, dynamics=None)
    monkeypatch.setenv("HALIDEFLOW_REHEARSAL_FAULTS", "kill=1 where=*relax-1*")
    assert halideflow("run", config).returncode == 4
    assert "KILLED" in halideflow("failures", config).stdout
    monkeypatch.delenv("HALIDEFLOW_REHEARSAL_FAULTS")
    assert halideflow("run", config).returncode == 0
    (row,) = ranking(config)
    assert row["state"] == "done"


def test_nothing_is_left_to_do(finished):
    config, _ = finished
    assert "nothing to do" in halideflow("run", config).stderr


def test_it_has_the_window_of_the_engine_behind_it(finished, tmp_path):
    """The same potential gives the same thermodynamics, corrections included."""
    config, _ = finished
    other = campaign(tmp_path, engine={"name": "chgnet"}, dynamics=None)
    assert halideflow("run", other).returncode == 0
    (rehearsed,), (embedded,) = ranking(config), ranking(other)
    for limit in ("reduction_limit_V", "oxidation_limit_V"):
        assert rehearsed[limit] == pytest.approx(embedded[limit], rel=0, abs=0.02)
    assert rehearsed["e_hull_eV_per_atom"] == pytest.approx(
        embedded["e_hull_eV_per_atom"], rel=0, abs=1e-3
    )


def test_show_names_the_runs_and_the_potentials(finished):
    config, _ = finished
    (row,) = ranking(config)
    shown = halideflow("show", config, row["id"]).stdout
    for said in ("relax-1", "VASP 0.0.0-rehearsal", "PAW_PBE Na_pv rehearsal, sha256"):
        assert said in " ".join(shown.split())
    document = json.loads(halideflow("show", config, row["id"], "--json").stdout)
    assert len(json.dumps(document)) < 1_000_000


def test_changing_the_tags_of_dynamics_redoes_dynamics_alone(finished):
    config, _ = finished
    yaml = YAML()
    changed = yaml.load(config.read_text())
    changed["engine"]["vasp"]["dynamics"] = {"incar": {"ALGO": "Normal"}}
    changed["dynamics"] |= {"heating_ps": 0, "production_ps": 0.1}
    with config.open("w") as file:
        yaml.dump(changed, file)
    before = records(config.parent)
    assert halideflow("run", config).returncode == 0
    assert records(config.parent) == before


@pytest.mark.slow
def test_the_shipped_rehearsal_runs_to_its_ranking(tmp_path):
    """From relaxation to AIMD at two temperatures, with the embedded engine's windows."""
    yaml = YAML()
    shipped = yaml.load(Path(__file__).parents[2] / "configs" / "rehearsal_ktacl6.yaml")
    rehearsed, embedded = tmp_path / "rehearsed.yaml", tmp_path / "embedded.yaml"
    yaml.dump(shipped | {"results_dir": "rehearsed"}, rehearsed)
    yaml.dump(
        shipped | {"results_dir": "embedded", "engine": {"name": "chgnet"}, "dynamics": None},
        embedded,
    )
    for config in (rehearsed, embedded):
        run = halideflow("run", config, "--workers", 2)
        assert run.returncode == 0, run.stderr
    windows = {row["id"]: row for row in ranking(embedded)}
    first, *rejected = ranking(rehearsed)
    for row in (first, *rejected):
        for limit in ("reduction_limit_V", "oxidation_limit_V"):
            assert row[limit] == pytest.approx(windows[row["id"]][limit], rel=0, abs=0.02)
    assert {row["state"] for row in rejected} == {"rejected"}
    assert first["state"] == "done"
    assert [entry["temperature_K"] for entry in first["diffusivity"]] == [600, 800]
