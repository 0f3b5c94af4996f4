"""Every fault does what it says, as often and where it is told to."""

import json
import signal
import subprocess
import time

import numpy as np
import pytest
from custodian.vasp.handlers import VaspErrorHandler
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import Outcar, Vasprun
from rehearsal_runs import (
    NACL,
    NACL_PRIMITIVE,
    NOSE,
    NVE,
    environment,
    execute,
    launcher,
    prepare,
    shaken,
    vasprun,
)

from workflows.rehearsal.faults import COUNTS, VARIABLE, Fault, Faults
from workflows.rehearsal.program import run
from workflows.rehearsal.stopped import Stopped
from workflows.trajectory_files.reading import read_trajectory

RELAX = {"IBRION": 2, "ISIF": 3, "NSW": 6, "EDIFFG": -0.02}


@pytest.fixture
def fault(monkeypatch):
    return lambda text: monkeypatch.setenv(VARIABLE, text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("BRMIX: very serious problems", "brmix"),
        ("ZBRENT: fatal error in bracketing", "zbrent"),
        ("Error EDDDAV: Call to ZHEGV failed", "edddav"),
    ],
)
def test_a_message_that_custodian_knows(tmp_path, fault, capsys, text, key):
    fault(f"message={text} times=1")
    folder = prepare(tmp_path / "a", shaken(NACL), **RELAX)
    assert run(folder) == 1
    (folder / "vasp.out").write_text(capsys.readouterr().out)
    handler = VaspErrorHandler()
    assert handler.check(str(folder))
    assert handler.errors == {key}
    Poscar.from_file(folder / "CONTCAR")
    assert run(folder) == 0  # it has struck once


@pytest.mark.parametrize(
    ("text", "code"), [("segfault", -signal.SIGSEGV), ("kill", -signal.SIGKILL)]
)
def test_real_signals(tmp_path, text, code):
    folder = prepare(tmp_path / "a", NACL_PRIMITIVE)
    assert execute(launcher(tmp_path), folder, **{VARIABLE: text}).returncode == code
    assert (folder / "CONTCAR").read_text() == ""  # as VASP leaves it
    with pytest.raises(Exception, match=r"Premature end|EndTag|Extra content"):
        vasprun(folder)


def test_killed_in_a_step_it_leaves_the_steps_before(tmp_path):
    whole = prepare(tmp_path / "whole", shaken(NACL), **NOSE | {"NSW": 6})
    assert run(whole) == 0
    folder = prepare(tmp_path / "parts", shaken(NACL), **NOSE | {"NSW": 6})
    assert execute(launcher(tmp_path), folder, **{VARIABLE: "kill=4"}).returncode == -9
    left = read_trajectory([folder / "vasprun.xml"], "Na")
    assert len(left.positions_A) == 3
    assert "it ends within a step" in " ".join(left.notes)
    (folder / "CONTCAR").replace(folder / "POSCAR")
    assert run(folder) == 0
    frames = [structure.frac_coords for structure in vasprun(whole).structures]
    np.testing.assert_array_equal(frames[3], vasprun(folder).structures[0].frac_coords)


def test_electrons_that_do_not_converge(tmp_path, fault):
    fault("scf")
    run_folder = prepare(tmp_path / "a", NACL, NELM=12)
    assert run(run_folder) == 0
    run_ = vasprun(run_folder)
    assert not run_.converged_electronic
    assert len(run_.ionic_steps[0]["electronic_steps"]) == 12
    assert Outcar(run_folder / "OUTCAR").final_energy == pytest.approx(run_.final_energy, abs=1e-7)


def test_ions_that_do_not_converge(tmp_path, fault):
    fault("ionic")
    folder = prepare(tmp_path / "a", NACL, **RELAX | {"EDIFFG": -1})
    assert run(folder) == 0
    assert not vasprun(folder).converged_ionic


def test_a_slow_run(tmp_path, fault):
    fault("slow=0.2")
    start = time.perf_counter()
    assert run(prepare(tmp_path / "a", NACL, **NVE | {"NSW": 3})) == 0
    assert time.perf_counter() - start > 0.6


def test_a_full_disk(tmp_path, fault, capsys):
    fault("disk_full=2")
    folder = prepare(tmp_path / "a", NACL, **NVE | {"NSW": 3})
    assert run(folder) == 1
    assert capsys.readouterr().err == "forrtl: No space left on device\n"
    text = (folder / "vasprun.xml").read_text()
    assert text.count("</calculation>") == 1
    assert text.count("<calculation>") == 2


def test_a_corrupt_vasprun(tmp_path, fault):
    fault("corrupt_xml")
    folder = prepare(tmp_path / "a", NACL, **NVE)
    assert run(folder) == 0
    with pytest.raises(Exception, match=r"Char 0x0|invalid|PCDATA"):
        Vasprun(folder / "vasprun.xml", parse_potcar_file=False)
    assert (folder / "vasprun.xml").read_text().rstrip().endswith("</modeling>")


def test_missing_files(tmp_path, fault):
    fault("missing=CONTCAR; missing=OSZICAR")
    folder = prepare(tmp_path / "a", NACL)
    assert run(folder) == 0
    assert not (folder / "CONTCAR").exists()
    assert not (folder / "OSZICAR").exists()
    assert (folder / "OUTCAR").exists()


def test_a_run_that_hangs(tmp_path):
    folder = prepare(tmp_path / "a", NACL)
    process = subprocess.Popen(
        [launcher(tmp_path)],
        cwd=folder,
        env=environment(**{VARIABLE: "hang"}),
        stdout=subprocess.DEVNULL,
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        assert "<calculation>" not in (folder / "vasprun.xml").read_text()
        assert (folder / "OUTCAR").stat().st_size > 0
    finally:
        process.terminate()
        assert process.wait(5) == -signal.SIGTERM


def test_an_explosion(tmp_path, fault, capsys):
    fault("explode=3")
    run(prepare(tmp_path / "a", shaken(NACL), **NOSE | {"NSW": 5}))
    lines = [line for line in capsys.readouterr().out.splitlines() if "EK=" in line]
    kinetic_eV = [float(line.split("EK=")[1].split()[0]) for line in lines]
    assert kinetic_eV[1] < 1
    assert kinetic_eV[2] > 1000 * kinetic_eV[1]


def test_atoms_that_meet_end_a_run_as_any_error_does(tmp_path, capsys):
    met = NACL.copy()
    met.translate_sites([0], [0, 0, 0.46])
    assert run(prepare(tmp_path / "a", met)) == 1
    assert "closer than 0.5 Å" in capsys.readouterr().out
    assert "</modeling>" not in (tmp_path / "a" / "vasprun.xml").read_text()


def test_a_drift_of_the_conserved_energy(tmp_path, fault):
    slopes = []
    for text in ("", "drift=0.05"):
        fault(text)
        folder = prepare(tmp_path / f"a{text}", shaken(NACL), **NVE | {"NSW": 100, "POTIM": 1})
        assert run(folder) == 0
        total_eV = [step["total"] for step in vasprun(folder).ionic_steps]
        slopes.append(np.polyfit(np.arange(100) / 1000, total_eV, 1)[0] / 8)
    assert abs(slopes[0]) < 5e-3
    assert slopes[1] == pytest.approx(0.05, rel=0.2, abs=0)


def test_strikes_are_counted_over_sibling_folders(tmp_path, fault, capsys):
    """A retry in a fresh folder beside the first counts."""
    fault("message=out of order times=2")
    folders = [prepare(tmp_path / name, NACL_PRIMITIVE) for name in "abc"]
    assert [run(folder) for folder in folders] == [1, 1, 0]
    assert list(json.loads((tmp_path / COUNTS).read_text()).values()) == [2]


def test_it_strikes_where_it_is_told_to(tmp_path, fault, capsys):
    fault("message=out of order where=*/relax-*")
    assert run(prepare(tmp_path / "static-1", NACL_PRIMITIVE)) == 0
    assert run(prepare(tmp_path / "relax-1", NACL_PRIMITIVE)) == 1
    assert not (tmp_path / COUNTS).exists()


def test_a_step_that_is_never_reached_is_not_counted(tmp_path, fault):
    fault("disk_full=9 times=1")
    assert run(prepare(tmp_path / "a", NACL, **NVE | {"NSW": 3})) == 0
    assert not (tmp_path / COUNTS).exists()


def test_it_costs_nothing_without_the_variable(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not Faults.from_environment(tmp_path)._here


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("explosion", "unknown fault 'explosion'; needed: one of .*segfault"),
        ("message", "it needs an argument"),
        ("hang=3", "it takes no argument"),
        ("kill=soon", "cannot be read"),
        ("slow", "cannot be read"),
        ("explode", "cannot be read"),
        ("scf times=often", "cannot be read"),
    ],
)
def test_what_is_no_fault_is_an_error(text, message):
    with pytest.raises(Stopped, match=message):
        Fault.parse(text)


def test_a_message_may_hold_anything_but_a_semicolon():
    fault = Fault.parse("message=a = b, where we are where=*/x times=3")
    assert fault == Fault("message", "a = b, where we are", "*/x", 3)


def test_an_unknown_fault_ends_the_run_with_a_message(tmp_path, fault, capsys):
    fault("explosion")
    assert run(prepare(tmp_path, NACL_PRIMITIVE)) == 1
    assert "unknown fault 'explosion'" in capsys.readouterr().out
