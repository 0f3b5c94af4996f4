"""Each way in which VASP fails, shown by the stand-in: code, cause, what was tried, what to do."""

import sys
import time

import pytest
from pymatgen.core import SETTINGS
from vasp_cells import primitive_nacl

from screening.documents import RelaxDocument
from screening.errors import ScreeningError
from workflows.config import EngineSettings, RelaxSettings
from workflows.rehearsal.potcars import write_potcars
from workflows.stages.relax import relax
from workflows.vasp.failures import diagnose


def failed(**vasp):
    """The failure that a relaxation ends in; no candidate is lost to it."""
    engine = EngineSettings(name="rehearsal", vasp=vasp)
    made = relax.original(primitive_nacl(), "Na", engine, RelaxSettings(rattle_A=0.05))
    assert isinstance(made, RelaxDocument)
    assert made.state == "failed"
    return made.failure


@pytest.mark.parametrize(
    ("fault", "code", "message", "log"),
    [
        ("kill=1", "KILLED", r"killed before its end.*want of memory.*next run tries again", ""),
        ("segfault", "CRASHED", r"segmentation fault.*ulimit -s", "SIGSEGV"),
        ("disk_full=1", "DISK_FULL", r"no space left for .*relax-1", "No space left on device"),
        ("corrupt_xml", "CORRUPT_OUTPUT", r"cannot be read.*look at .*relax-1", ""),
        ("missing=OUTCAR", "MISSING_OUTPUT", r"VASP wrote no OUTCAR", ""),
        ("missing=vasprun.xml", "MISSING_OUTPUT", r"VASP wrote no vasprun\.xml", ""),
        ("missing=CONTCAR", "MISSING_OUTPUT", r"VASP wrote no CONTCAR", ""),
    ],
)
def test_a_run_that_ends_badly(folder, faults, fault, code, message, log):
    faults(fault)
    failure = failed()
    assert failure.code == code, failure
    assert failure.message.startswith("relax-1: ")
    with pytest.raises(ScreeningError, match=f"(?s){message}"):
        raise ScreeningError(failure.message)
    assert log in failure.log_tail


def test_electrons_that_do_not_converge(folder, faults):
    faults("scf")
    failure = failed()
    assert failure.code == "SCF_NOT_CONVERGED"
    assert "within NELM = 100 steps" in failure.message
    assert failure.corrections[0] == "Unconverged: ALGO = Normal"
    assert len(failure.corrections) > 1


def test_ions_that_do_not_converge(folder, faults):
    faults("ionic")
    failure = failed(relax={"incar": {"NSW": 3}})
    assert failure.code == "NOT_CONVERGED"
    assert "within NSW = 3 steps" in failure.message
    assert "engine.vasp.relax.incar.NSW" in failure.message
    assert failure.corrections[0].startswith("Unconverged: IBRION = 1")


def test_an_error_that_custodian_knows_and_cannot_mend(folder, faults):
    faults("message=BRMIX: very serious problems")
    failure = failed()
    assert failure.code == "PROGRAM_FAILURE"
    assert "VASP stopped with brmix" in failure.message
    assert failure.corrections
    assert "BRMIX: very serious problems" in failure.log_tail


def test_an_error_that_custodian_mends_leaves_its_trace(folder, faults):
    faults("message=BRMIX: very serious problems times=1")
    engine = EngineSettings(name="rehearsal")
    made = relax.original(primitive_nacl(), "Na", engine, RelaxSettings())
    assert made.state == "done"
    (correction,) = made.result.calculations[0].corrections
    assert correction.startswith("brmix: ")


def test_wall_time(folder, faults, executed):
    """Asked to stop, VASP stops; the next attempt goes on from where it was."""
    faults("slow=1; ionic")
    executed(wall_time_h=9 / 3600, stop_before_min=4 / 60)
    failure = failed()
    assert failure.code == "WALLTIME"
    assert "goes on from the last structure" in failure.message
    assert any("Walltime reached" in correction for correction in failure.corrections)


def test_a_run_that_hangs_is_ended(folder, faults, executed):
    """It hears no STOPCAR; at its wall time it is ended, whatever the run before left beside it."""
    faults("hang where=*relax-2*")
    executed(wall_time_h=10 / 3600, stop_before_min=2 / 60)
    start_s = time.monotonic()
    failure = failed()
    assert failure.code == "WALLTIME"
    assert failure.message.startswith("relax-2: ")
    assert time.monotonic() - start_s < 60


def test_a_command_that_is_not_there(folder, executed, monkeypatch):
    write_potcars(folder / "library", ["Na_pv", "Cl"])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder / "library"))
    executed(vasp_command="no_such_vasp")
    made = relax.original(primitive_nacl(), "Na", EngineSettings(name="vasp"), RelaxSettings())
    assert made.failure.code == "COMMAND_NOT_FOUND"
    assert "cannot start 'no_such_vasp': No such file" in made.failure.message
    assert "execution.vasp_command" in made.failure.message


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("false", "ended before it wrote anything: without a word"),
        ("sh -c 'echo libmpi.so: cannot open >&2; exit 127'", "anything: libmpi.so: cannot open"),
    ],
)
def test_a_program_that_ends_before_it_wrote_anything(
    folder, executed, monkeypatch, command, message
):
    write_potcars(folder / "library", ["Na_pv", "Cl"])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder / "library"))
    executed(vasp_command=command)
    made = relax.original(primitive_nacl(), "Na", EngineSettings(name="vasp"), RelaxSettings())
    assert made.failure.code == "CRASHED"
    assert message in made.failure.message


def test_a_potcar_that_is_not_there(folder, executed, monkeypatch):
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    made = relax.original(primitive_nacl(), "Na", EngineSettings(name="vasp"), RelaxSettings())
    assert made.failure.code == "MISSING_POTCAR"
    assert "Na_pv" in made.failure.message
    assert "halideflow doctor" in made.failure.message


def test_a_stand_in_in_the_place_of_vasp_is_found_out(folder, executed, monkeypatch):
    """Energies of a rehearsal never pass for DFT."""
    write_potcars(folder / "library", ["Na_pv", "Cl"])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder / "library"))
    executed(vasp_command=f"{sys.executable} -m workflows.rehearsal")
    made = relax.original(primitive_nacl(), "Na", EngineSettings(name="vasp"), RelaxSettings())
    assert made.failure.code == "MIXED_CONVENTIONS"
    assert "which is a rehearsal" in made.failure.message


def test_a_failure_that_nobody_foresaw_is_still_named(tmp_path):
    error = diagnose(RuntimeError("the moon is full"), tmp_path)
    assert error.code == "PROGRAM_FAILURE"
    assert "the moon is full" in str(error)
