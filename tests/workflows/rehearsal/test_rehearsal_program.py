"""The executable: its names, launchers, parent and time to start."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rehearsal_runs import (
    NACL,
    NACL_PRIMITIVE,
    NVE,
    contents,
    environment,
    execute,
    launcher,
    prepare,
    vasprun,
)

from workflows.rehearsal import NOTICE, REHEARSAL_VERSION
from workflows.rehearsal.program import run


def test_it_runs_by_the_name_of_vasp(tmp_path):
    folder = prepare(tmp_path / "run", NACL_PRIMITIVE, "2 2 2")
    done = execute(launcher(tmp_path), folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert NOTICE in done.stdout
    assert vasprun(folder).vasp_version == REHEARSAL_VERSION


def test_it_runs_as_a_module(tmp_path):
    folder = prepare(tmp_path, NACL_PRIMITIVE)
    done = execute(sys.executable, folder, "-m", "workflows.rehearsal")
    assert done.returncode == 0


def test_the_gamma_version_wants_the_gamma_point_alone(tmp_path, capsys):
    assert run(prepare(tmp_path / "a", NACL_PRIMITIVE), "vasp_gam") == 0
    assert run(prepare(tmp_path / "b", NACL_PRIMITIVE, "2 2 2"), "vasp_gam") == 1
    assert "vasp_gam is for the Γ point alone" in capsys.readouterr().out


def test_its_name_decides_through_a_symbolic_link(tmp_path):
    folder = prepare(tmp_path / "run", NACL_PRIMITIVE, "2 2 2")
    program = launcher(tmp_path, "halideflow-vasp")
    (tmp_path / "vasp_gam").symlink_to(program)
    (tmp_path / "vasp_ncl").symlink_to(program)
    assert "vasp_gam" in execute(tmp_path / "vasp_gam", folder).stdout
    refused = execute(tmp_path / "vasp_ncl", folder)
    assert refused.returncode == 1
    assert "vasp_ncl is for noncollinear magnetism" in refused.stdout


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_it_introduces_itself_quickly(tmp_path, option):
    start = time.perf_counter()
    done = execute(launcher(tmp_path), tmp_path, option)
    assert NOTICE in done.stdout
    assert done.returncode == 0
    assert time.perf_counter() - start < 1


def test_other_options_are_refused(tmp_path):
    done = execute(launcher(tmp_path), tmp_path, "--fast")
    assert done.returncode == 2
    assert "no option '--fast'" in done.stderr


@pytest.mark.parametrize("variable", ["PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"])
def test_all_ranks_but_the_first_leave_at_once(tmp_path, variable):
    folder = prepare(tmp_path / "run", NACL_PRIMITIVE)
    before = contents(folder)
    done = execute(launcher(tmp_path), folder, **{variable: "1"})
    assert (done.returncode, done.stdout) == (0, "")
    assert contents(folder) == before


def test_a_task_of_slurm_that_runs_it_itself_is_no_rank(tmp_path):
    """Variables of the worker's own task are inherited; only children of slurmstepd are ranks."""
    folder = prepare(tmp_path / "run", NACL_PRIMITIVE)
    done = execute(launcher(tmp_path), folder, SLURM_PROCID="3", SLURM_STEP_ID="0")
    assert done.returncode == 0
    assert (folder / "vasprun.xml").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_it_dies_with_its_parent(tmp_path):
    folder = prepare(tmp_path / "run", NACL, **NVE | {"NSW": 100_000})
    program = launcher(tmp_path)
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; p = subprocess.Popen(sys.argv[1:], "
            "stdout=subprocess.DEVNULL); print(p.pid, flush=True); p.wait()",
            program,
        ],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_for(lambda: (folder / "CONTCAR").exists() and (folder / "CONTCAR").stat().st_size)
    parent.stdout.close()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not is_running(child))


def is_running(process):
    """Whether it is neither gone nor waits for a parent to notice."""
    try:
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def wait_for(happens, limit_s=30):
    end = time.perf_counter() + limit_s
    while not happens():
        assert time.perf_counter() < end
        time.sleep(0.05)


def test_constants_cost_nothing_to_import():
    code = (
        "import sys; import workflows.rehearsal; "
        "heavy = {'numpy', 'torch', 'ase', 'pymatgen', 'scipy'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


def test_dynamics_do_without_pymatgens_input_and_output(tmp_path):
    """Whose import takes longer than all else but torch."""
    folder = prepare(tmp_path, NACL_PRIMITIVE, **NVE)
    code = (
        "import sys; from pathlib import Path; from workflows.rehearsal.program import run; "
        "assert run(Path('.')) == 0; "
        "heavy = {'pymatgen.io.vasp', 'pymatgen.entries', 'scipy.optimize'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert execute(sys.executable, folder, "-c", code).returncode == 0
