"""How VASP is started: it ends with whoever started it, and finds no outputs of another run."""

import subprocess
import sys
import time

import psutil
import pytest

LAUNCH = [sys.executable, "-m", "workflows.vasp.launch"]
# What custodian does: a program in a session of its own, and then it waits.
PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux's")
def test_it_ends_with_whoever_started_it():
    sleeper = [*LAUNCH, sys.executable, "-c", "import time; time.sleep(600)"]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *sleeper], stdout=subprocess.PIPE, text=True
    )
    child = psutil.Process(int(parent.stdout.readline()))
    deadline = time.monotonic() + 30
    while "time.sleep(600)" not in " ".join(child.cmdline()[:3]):  # it has become the program
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    child.wait(timeout=30)
    assert not child.is_running()


def test_outputs_of_the_run_before_are_gone_and_inputs_stay(tmp_path):
    for name in ("OUTCAR", "OSZICAR", "vasprun.xml", "INCAR", "WAVECAR", "CONTCAR"):
        (tmp_path / name).write_text("of the run before")
    command = [*LAUNCH, sys.executable, "-c", "import sys; sys.exit(3)"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 3
    assert {path.name for path in tmp_path.iterdir()} == {"INCAR", "WAVECAR", "CONTCAR"}


def test_a_command_that_is_not_there_is_said(tmp_path):
    made = subprocess.run(
        [*LAUNCH, "no_such_vasp"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 127
    assert made.stderr == "halideflow: cannot start 'no_such_vasp': No such file or directory\n"
