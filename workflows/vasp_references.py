"""Reference phases from VASP runs in Materials Project settings, on the scale of its entries.

Each run is corrected as the Materials Project corrects its own. What must not be mixed with them is
refused with its reason: another functional or other settings, runs that did not converge or are cut
off, molecular dynamics, and rehearsals, whose energies no VASP computed.

Reference:
    Wang, Kingsbury, McDermott, Horton, Jain, Ong, Dwaraknath, Persson, Sci. Rep. 11, 15496 (2021),
    doi:10.1038/s41598-021-94550-5.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from screening.errors import InvalidInput, UnsoundHull
from screening.stability.caveats import compound_caveats, element_caveats
from screening.stability.conventions import VASP
from screening.stability.references import ENERGY_DECIMALS, ReferencePhase, ReferencePhases
from workflows.rehearsal import REHEARSAL_VERSION
from workflows.vasp.energies import corrected, require_functional

if TYPE_CHECKING:
    from pymatgen.entries.computed_entries import ComputedStructureEntry
    from pymatgen.io.vasp import Vasprun

MIN_CUTOFF_EV = 520.0  # of all Materials Project runs
_FILE = re.compile(r"(.*[._-])?vasprun\.xml(\.gz)?")
_MOLECULAR_DYNAMICS = 0  # value of IBRION


class Refused(Exception):
    """A run that is no reference phase; the message says why."""


@dataclass(frozen=True)
class VaspRuns:
    """The phases of a directory of runs, and the runs that gave none.

    Args:
        references: the snapshot.
        refused: run -> reason.
    """

    references: ReferencePhases
    refused: dict[str, str]


def read_runs(
    folder: Path, advance: Callable[[int, int], None] = lambda done, total: None
) -> VaspRuns:
    """Every VASP run below a directory as a reference phase.

    Args:
        folder: searched with all its subfolders for vasprun.xml, plain or gzipped.
        advance: called with how many of how many runs have been read.

    Raises:
        InvalidInput: there is no such directory, no run in it, or none that can be used.
    """
    files = _files(folder)
    entries: dict[str, ComputedStructureEntry] = {}
    refused: dict[str, str] = {}
    for n_read, file in enumerate(files):
        advance(n_read, len(files))
        run = str(file.relative_to(folder))
        try:
            entries[run] = _entry(file, run)
        except Refused as error:
            refused[run] = str(error)
    advance(len(files), len(files))
    if not entries:
        reasons = "\n".join(f"  {run}: {reason}" for run, reason in refused.items())
        raise InvalidInput(f"none of {len(files)} VASP runs below {folder} can be used:\n{reasons}")
    return VaspRuns(_snapshot(folder, entries), refused)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a directory; give one with VASP runs in it")
    files = sorted(file for file in folder.rglob("*vasprun.xml*") if _FILE.fullmatch(file.name))
    if not files:
        raise InvalidInput(f"no vasprun.xml or vasprun.xml.gz below {folder}")
    return files


def _entry(file: Path, entry_id: str) -> ComputedStructureEntry:
    """Structure and corrected energy of a run.

    Raises:
        Refused: see the module.
    """
    run = _parse(file)
    _require_finished(run)
    _require_settings(run)
    entry: ComputedStructureEntry = run.get_computed_entry(inc_structure=True, entry_id=entry_id)
    return _corrected(entry)


def _parse(file: Path) -> Vasprun:
    from pymatgen.io.vasp import Vasprun

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say is checked below, or concerns no energy
            return Vasprun(file, parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    except (SyntaxError, EOFError, zlib.error) as error:  # of XML, of gzip
        raise Refused(
            f"cut off or no XML ({error}); the run was killed or still goes on"
        ) from error
    except Exception as error:  # the parser fails in many ways on what VASP did not write whole
        raise Refused(f"cannot be read ({type(error).__name__}: {error})") from error


def _require_finished(run: Vasprun) -> None:
    if run.vasp_version == REHEARSAL_VERSION:
        raise Refused(f"a rehearsal (version {REHEARSAL_VERSION}): no VASP computed its energy")
    if run.parameters.get("IBRION") == _MOLECULAR_DYNAMICS and run.parameters.get("NSW", 0) > 0:
        raise Refused("molecular dynamics: its last energy is not that of a relaxed structure")
    if not run.converged_electronic:
        raise Refused("its electrons did not converge within NELM steps")
    if not run.converged_ionic:
        raise Refused("its atoms did not converge within NSW steps")


def _require_settings(run: Vasprun) -> None:
    try:
        require_functional(str(run.run_type))
    except UnsoundHull as error:
        raise Refused(str(error)) from error
    cutoff_eV = float(run.parameters.get("ENMAX", 0.0))
    if cutoff_eV < MIN_CUTOFF_EV:
        raise Refused(f"ENCUT is {cutoff_eV:g} eV, Materials Project runs have {MIN_CUTOFF_EV:g}")


def _corrected(entry: ComputedStructureEntry) -> ComputedStructureEntry:
    """With the MP2020 corrections, and certainly with those of its halides.

    Raises:
        Refused: see `workflows.vasp.energies.corrected`.
    """
    try:
        return corrected(entry)
    except (InvalidInput, UnsoundHull) as error:
        raise Refused(str(error)) from error


def _snapshot(folder: Path, entries: dict[str, ComputedStructureEntry]) -> ReferencePhases:
    formulas = Counter(entry.composition.reduced_formula for entry in entries.values())
    phases = tuple(
        _phase(run, entry, is_only=formulas[entry.composition.reduced_formula] == 1)
        for run, entry in entries.items()
    )
    snapshot = ReferencePhases(
        convention=VASP,
        source=f"VASP runs in {folder.resolve().name}",
        date=datetime.now(UTC).date().isoformat(),
        element_caveats=element_caveats(_symbols(phases)),
        phases=phases,
    )
    # parsed from its own text: what is returned is what a reader of the file will see
    return ReferencePhases.parse(snapshot.dump().encode(), "the snapshot read")


def _phase(run: str, entry: ComputedStructureEntry, *, is_only: bool) -> ReferencePhase:
    formula = entry.composition.reduced_formula
    return ReferencePhase(
        name=formula if is_only else f"{formula} {run}",
        formula=formula,
        structure=entry.structure,
        energy_eV_per_atom=round(float(entry.energy_per_atom), ENERGY_DECIMALS),
        correction_eV_per_atom=round(float(entry.correction_per_atom), ENERGY_DECIMALS),
        entry_id=run,
        source=f"VASP run {run} ({entry.parameters['run_type']})",
        caveats=compound_caveats(entry.composition),
    )


def _symbols(phases: Iterable[ReferencePhase]) -> frozenset[str]:
    return frozenset[str]().union(*(phase.elements for phase in phases))
