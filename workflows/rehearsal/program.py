"""The executable: `vasp_std`, `vasp_gam` and `vasp_ncl` by its name, or `halideflow-vasp`."""

from __future__ import annotations

import errno
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.rehearsal import NOTICE, REHEARSAL_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELP = f"""\
usage: halideflow-vasp                            run in this folder, as VASP does
       halideflow-vasp --potcars FOLDER [--functional NAME] LABEL...
                                                  write headers of potentials for pymatgen, of
                                                  its set NAME (PBE)
       halideflow-vasp --version | --help

A stand-in for VASP ({NOTICE}).
By another name it is vasp_std, vasp_gam (Γ point alone) or vasp_ncl (refused).
"""
_STANDARD, _GAMMA, _NONCOLLINEAR = "vasp_std", "vasp_gam", "vasp_ncl"
_RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_SET_PARENT_DEATH_SIGNAL = 1
_SIGKILL = 9


def main() -> None:
    """Run the command line's wish and exit."""
    gc.disable()  # until everything is loaded: a tenth of the time to start
    sys.exit(_command(Path(sys.argv[0]).name, sys.argv[1:]))


def run(folder: Path, flavour: str = _STANDARD) -> int:
    """Run in a folder, within this process.

    Args:
        folder: holds INCAR, POSCAR, POTCAR and, unless KSPACING is enough, KPOINTS.
        flavour: vasp_std, vasp_gam or vasp_ncl.

    Returns:
        The exit code.
    """
    from screening.errors import EngineFailure
    from workflows.rehearsal.stopped import Stopped

    try:
        _run(folder, flavour)
    except (Stopped, EngineFailure) as error:
        _say(f" {error}\n")
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write(f"forrtl: {os.strerror(errno.ENOSPC)}\n")
        return 1
    return 0


def _run(folder: Path, flavour: str) -> None:
    from workflows.rehearsal.faults import Faults
    from workflows.rehearsal.inputs import read_inputs
    from workflows.rehearsal.outputs import Outputs
    from workflows.rehearsal.settings import read_settings
    from workflows.rehearsal.stopped import Stopped

    if flavour == _NONCOLLINEAR:
        raise Stopped(
            "ERROR: vasp_ncl is for noncollinear magnetism and spin-orbit coupling, which the "
            "stand-in for VASP does not honour; use vasp_std"
        )
    inputs = read_inputs(folder)
    settings = read_settings(inputs)
    if flavour == _GAMMA and not inputs.kpoints.is_gamma_alone:
        raise Stopped(
            f"ERROR: vasp_gam is for the Γ point alone, but KPOINTS gives "
            f"{len(inputs.kpoints.points)} point(s), Γ not the only one; use vasp_std"
        )
    faults = Faults.from_environment(folder)
    with Outputs(inputs, settings, faults, _say) as outputs:
        faults.after_headers()
        from workflows.rehearsal.surface import Surface

        if settings.is_dynamics:
            from workflows.rehearsal.dynamics import run_dynamics as run_kind
        elif settings.is_relaxation:
            from workflows.rehearsal.relaxation import run_relaxation as run_kind
        else:
            from workflows.rehearsal.static import run_static as run_kind
        surface = Surface(inputs)
        gc.enable()
        run_kind(surface, inputs, settings, faults, outputs)
    faults.at_end()


def _command(name: str, arguments: Sequence[str]) -> int:
    match arguments:
        case ["--help" | "-h"]:
            _say(_HELP)
            return 0
        case ["--version"]:
            _say(f"vasp.{REHEARSAL_VERSION} ({NOTICE})\n")
            return 0
        case ["--potcars", folder, "--functional", functional, *labels] if labels:
            return _write_potcars(Path(folder), labels, functional)
        case ["--potcars", folder, *labels] if labels:
            return _write_potcars(Path(folder), labels, "PBE")
        case [_, *_]:
            sys.stderr.write(f"no option {' '.join(arguments)!r}\n{_HELP}")
            return 2
    if _rank() > 0:
        return 0
    _die_with_parent()
    is_named = name in {_STANDARD, _GAMMA, _NONCOLLINEAR}
    return run(Path.cwd(), name if is_named else _STANDARD)


def _write_potcars(folder: Path, labels: Sequence[str], functional: str) -> int:
    from screening.errors import InvalidInput
    from workflows.rehearsal.potcars import write_potcars

    try:
        write_potcars(folder, labels, functional)
    except InvalidInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _rank() -> int:
    """Number of this process among those that a launcher of MPI started; 0 without one.

    Slurm's variables are inherited by everything that runs in a task, so they count only in what
    `srun` itself started.
    """
    for variable in _RANKS:
        if os.environ.get(variable, "").isdigit():
            return int(os.environ[variable])
    task = os.environ.get("SLURM_PROCID", "")
    if task.isdigit() and "SLURM_STEP_ID" in os.environ and _parent_name() == "slurmstepd":
        return int(task)
    return 0


def _parent_name() -> str:
    try:
        return Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    except OSError:
        return ""


def _die_with_parent() -> None:
    """On Linux, be killed when the parent dies, as a program under mpirun is."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, _SIGKILL)
    if os.getppid() != parent:  # it died meanwhile
        sys.exit(1)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
