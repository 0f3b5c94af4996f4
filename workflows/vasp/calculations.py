"""One run of VASP in a folder of its own: run once, known ever after, its failure explained.

A run that has ended well leaves `calculation.json`, written last and atomically; with it the run is
never repeated. A folder without it is what a killed process left: it is put aside, and the run
begins again from the last structure that it wrote.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import socket
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monty.json import MontyDecoder
from monty.shutil import compress_file
from pymatgen.core.structure import Structure
from pymatgen.io.vasp.inputs import UnknownPotcarWarning
from pymatgen.io.vasp.outputs import UnconvergedVASPWarning
from pymatgen.io.vasp.sets import BadInputSetWarning

from screening.documents import VaspCalculation
from screening.errors import ElectronsNotConverged, ProgramFailure, ScreeningError
from workflows.vasp.failures import corrections_in, diagnose, require_success
from workflows.vasp.files import located, text_of, write_atomically
from workflows.vasp.progress import last_step

if TYPE_CHECKING:
    from atomate2.vasp.jobs.base import BaseVaspMaker
    from emmet.core.tasks import TaskDoc
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from workflows.vasp.makers import Program

RECORD = "calculation.json"
_END_OF_POTCAR = "End of Dataset"
# What stays of a run where its large files are deleted.
_SMALL = frozenset(
    {"INCAR", "KPOINTS", "POSCAR", "CONTCAR", "OSZICAR", "custodian.json", "std_err.txt", RECORD}
)


@dataclass(frozen=True)
class Calculated:
    """What a run of VASP gave.

    Args:
        record: what was run, and where its files are.
        structure: at its end.
        entry: structure and energy without corrections.
        max_force_eV_per_A: on an atom, in its last step.
    """

    record: VaspCalculation
    structure: Structure
    entry: ComputedStructureEntry
    max_force_eV_per_A: float


def run_calculation(
    maker: BaseVaspMaker,
    structure: Structure,
    folder: Path,
    program: Program,
    accept: Callable[[Calculated], object],
    previous: Path | None = None,
) -> Calculated:
    """Run a Maker of atomate2, or read what an earlier call left.

    Args:
        maker: made for this run.
        structure: that it starts from; sorted by species.
        folder: of this run alone.
        program: whose files are kept as it says.
        accept: raises a ScreeningError about a result that cannot be used; what was left by another
            program or with other potentials is then run again.
        previous: folder of the run whose charge densities and wavefunctions go on.

    Raises:
        EngineFailure: VASP gave no usable result; the message says why and what to do.
        ScreeningError: as `accept` does.
    """
    if (folder / RECORD).exists():
        with contextlib.suppress(ScreeningError):
            left = read_record(folder)
            accept(left)
            return left
    structure = put_aside(folder) or structure
    task = run_maker(maker, structure, folder, program, previous)
    calculated = Calculated(
        record=record_of(task, folder),
        structure=task.structure,
        entry=task.structure_entry,
        max_force_eV_per_A=_largest_force(task),
    )
    accept(calculated)
    with explained(folder):
        _write_record(folder, calculated)
    return calculated


def run_maker(
    maker: BaseVaspMaker,
    structure: Structure,
    folder: Path,
    program: Program,
    previous: Path | None = None,
) -> TaskDoc:
    """Run a Maker of atomate2 in a folder, with custodian and all.

    Raises:
        EngineFailure: see `run_calculation`.
    """
    program.require_time()
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _inside(folder, program):
            task: TaskDoc = type(maker).make.original(maker, structure, previous).output
            require_success(task, folder)
    return task


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Whatever goes wrong inside is a failure of the run in a folder, with its cause.

    Raises:
        ScreeningError: as it was raised, or as `diagnose` explains it.
    """
    try:
        yield
    except ScreeningError:
        raise
    except Exception as error:  # upstream raises everything under the sun
        failure = diagnose(error, folder)
        if isinstance(failure, ElectronsNotConverged):  # forces that lead nowhere
            (folder / "CONTCAR").unlink(missing_ok=True)
        raise failure from error


def read_record(folder: Path) -> Calculated:
    """A run that has ended well.

    Raises:
        ProgramFailure: its record is damaged.
    """
    try:
        stored = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        decoded = MontyDecoder().process_decoded(stored)
        return Calculated(VaspCalculation(**decoded.pop("record")), **decoded)
    except (ValueError, TypeError, KeyError) as error:
        raise ProgramFailure(
            f"{folder / RECORD} is damaged ({str(error).splitlines()[0]}); remove it, and the run "
            "is repeated"
        ) from error


def record_of(task: TaskDoc, folder: Path) -> VaspCalculation:
    """What is worth keeping of a run besides its result."""
    last = task.calcs_reversed[0]
    times = (task.run_stats or {}).get("overall")
    elapsed_s = float(times.elapsed_time) if times is not None else 0.0
    cores = getattr(times, "cores", None)
    return VaspCalculation(
        name=folder.name,
        version=last.vasp_version,
        incar=_plain(dict(last.input.incar)),
        kpoints=mesh_in_words(last.input.kpoints),
        potcars=_potcars(folder),
        n_ionic_steps=last_step(folder) or 0,
        corrections=corrections_in(folder),
        elapsed_s=elapsed_s,
        n_cores=int(cores) if cores else None,
        folder=f"{socket.gethostname()}:{folder}",
    )


def tidy(folder: Path, vasp_files: str) -> None:
    """Do with the large files of a run, and of its attempts, what is wanted once it was read."""
    for place in (folder, *folder.parent.glob(f"{folder.name}.interrupted-*")):
        for file in place.iterdir():
            if not file.is_file() or file.name.removesuffix(".gz") in _SMALL:
                continue
            if vasp_files == "delete":
                file.unlink()
            elif vasp_files == "compress" and file.suffix not in {".gz", ".tar"}:
                compress_file(file, "gz")


def _write_record(folder: Path, calculated: Calculated) -> None:
    content = {
        "record": calculated.record.model_dump(mode="json"),
        "structure": calculated.structure.as_dict(),
        "entry": calculated.entry.as_dict(),
        "max_force_eV_per_A": calculated.max_force_eV_per_A,
    }
    write_atomically(folder / RECORD, json.dumps(content, default=str))


def put_aside(folder: Path) -> Structure | None:
    """Make way for a run anew; the last structure of the one before, if it wrote any.

    What it left is moved, not deleted: its process may still be writing there.
    """
    if not folder.exists():
        return None
    n = 1
    while (aside := folder.with_name(f"{folder.name}.interrupted-{n}")).exists():
        n += 1
    folder.rename(aside)
    for name in ("CONTCAR", "CONTCAR.gz", "POSCAR", "POSCAR.gz"):  # the last one, or its own start
        with contextlib.suppress(Exception):  # whatever is wrong with it, there is another start
            return Structure.from_file(aside / name)
    return None


@contextlib.contextmanager
def _inside(folder: Path, program: Program) -> Iterator[None]:
    """Work in a folder, with atomate2's ways of keeping files set as the campaign wants them."""
    from atomate2 import SETTINGS

    before, zipped = Path.cwd(), SETTINGS.VASP_ZIP_FILES
    os.chdir(folder)
    SETTINGS.VASP_ZIP_FILES = program.execution.vasp_files == "compress"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # into the job's log
            warnings.simplefilter("ignore", DeprecationWarning)  # of libraries among themselves
            warnings.simplefilter("ignore", UnconvergedVASPWarning)  # custodian looks for it
            if program.is_rehearsal:  # that its POTCARs are no VASP's is known
                warnings.filterwarnings("ignore", category=UnknownPotcarWarning)
                warnings.filterwarnings("ignore", category=BadInputSetWarning)
            yield
    finally:
        SETTINGS.VASP_ZIP_FILES = zipped
        os.chdir(before)


def _largest_force(task: TaskDoc) -> float:
    forces = task.output.forces or ()
    return max((math.hypot(*force) for force in forces), default=0.0)


def mesh_in_words(kpoints: Any) -> str:
    """A mesh as one line, such as `Gamma 4 4 4`."""
    if kpoints is None:
        return "KSPACING"
    divisions = " ".join(f"{n:g}" for n in kpoints.kpts[0]) if kpoints.kpts else ""
    return f"{kpoints.style.name} {divisions}".strip()


def _potcars(folder: Path) -> dict[str, str]:
    """Title and sha256 of each pseudopotential, as it was written."""
    file = located(folder, "POTCAR")
    if file is None:
        return {}
    found = {}
    for part in text_of(file).split(_END_OF_POTCAR)[:-1]:
        title = re.search(r"TITEL\s*=\s*(.+)", part)
        name = title[1].strip() if title else part.strip().partition("\n")[0]
        found[name] = hashlib.sha256(part.strip().encode()).hexdigest()
    return found


def _plain(incar: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(incar, default=str))
    return plain
