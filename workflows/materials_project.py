"""Reference phases from the Materials Project: one snapshot file for each chemical system.

Only GGA/GGA+U entries with MP2020 corrections are taken: they are on one energy scale with VASP
runs in the project's own settings, and with nothing else. Files that are there stay as they are, so
that a campaign's numbers change only when they are told to (`refresh`).

Reference:
    Wang, Kingsbury, McDermott, Horton, Jain, Ong, Dwaraknath, Persson, Sci. Rep. 11, 15496 (2021),
    doi:10.1038/s41598-021-94550-5 (the corrections, and which energies may be mixed).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screening.errors import (
    InvalidInput,
    MissingCorrection,
    MissingReference,
    MixedConventions,
    ScreeningError,
)
from screening.stability.caveats import compound_caveats, element_caveats
from screening.stability.conventions import VASP
from screening.stability.corrections import (
    halide_anions,
    holds_halide_corrections,
    require_corrections,
)
from screening.stability.references import ENERGY_DECIMALS, ReferencePhase, ReferencePhases
from workflows.chemical_systems import System
from workflows.materials_project_client import (
    HOW_TO_GO_ON,
    THERMO_TYPE,
    UNKNOWN,
    api_key,
    database_version,
    entries_in,
    materials_project,
    server_address,
)
from workflows.references import write_snapshot

if TYPE_CHECKING:
    from pymatgen.entries.computed_entries import ComputedStructureEntry

_RUN_TYPES = ("GGA", "GGA+U")
_SOURCE = re.compile(r"^Materials Project, database version ([^\s,;]+),")


@dataclass(frozen=True)
class FetchedSystem:
    """A chemical system and the file with its phases.

    Args:
        elements: in the order of the alphabet.
        left_out: entries that were refused, each with its id and why; of this fetch.
        is_new: fetched now; otherwise it was there.
    """

    elements: System
    path: Path
    snapshot: ReferencePhases
    left_out: tuple[str, ...] = ()
    is_new: bool = False

    @property
    def name(self) -> str:
        """For instance Cl-K-Ta."""
        return "-".join(self.elements)


def fetch_systems(
    systems: Sequence[System],
    folder: Path,
    *,
    refresh: bool = False,
    announce: Callable[[System], None] = lambda _: None,
) -> Iterator[FetchedSystem]:
    """Fetch chemical systems into a folder, a file each; those that are there are not asked for.

    One that cannot be used does not stop the others; its error comes at the end.

    Args:
        systems: see `chemical_systems`.
        folder: made if need be.
        refresh: fetch all again that are of another version of the database, and so other
            systems of the folder.
        announce: called before each request.

    Yields:
        The systems, first those that are there.

    Raises:
        InvalidInput: no key, or files of another version of the database.
        Unavailable: the key is refused, no network, no usable answer.
    """
    there = {system: _stored(folder, system, refresh) for system in systems}
    others = dict(_others(folder, systems))
    found = {system: stored for system, stored in there.items() if stored}
    versions = {_version(stored) for stored in (found | others).values()}
    if len(found) == len(systems) and len(versions) == 1 and not refresh:
        yield from (_there(folder, system, snapshot) for system, snapshot in found.items())
        return
    key = api_key()
    address = server_address()
    version = database_version(address)
    if refresh:
        systems = [*systems, *others]
        found |= others
        found = {s: old for s, old in found.items() if version == _version(old) != UNKNOWN}
    elif versions - {version}:
        raise InvalidInput(
            f"{folder} holds phases of database version {', '.join(sorted(versions))}, the "
            f"Materials Project is at {version}; versions are not mixed. --refresh fetches all "
            "again (results that use them will be computed anew), --out with another folder keeps "
            "both"
        )
    yield from (_there(folder, system, snapshot) for system, snapshot in found.items())
    problems = []
    wanted = [system for system in systems if system not in found]
    if wanted:
        with materials_project(key, address) as client:
            for system in wanted:
                announce(system)
                entries = entries_in(client, system, address)
                try:
                    snapshot, left_out = snapshot_of(entries, system, version)
                except ScreeningError as error:
                    problems.append(error)
                    continue
                path = _path(folder, system)
                folder.mkdir(parents=True, exist_ok=True)
                write_snapshot(path, snapshot)
                yield FetchedSystem(system, path, snapshot, left_out, is_new=True)
    if problems:
        raise type(problems[0])("\n".join(map(str, problems)) + HOW_TO_GO_ON)


def _path(folder: Path, system: System) -> Path:
    return folder / f"{'-'.join(system)}.json"


def _there(folder: Path, system: System, snapshot: ReferencePhases) -> FetchedSystem:
    return FetchedSystem(system, _path(folder, system), snapshot)


def _stored(folder: Path, system: System, refresh: bool) -> ReferencePhases | None:
    """What is in the file of a system.

    Raises:
        InvalidInput: no snapshot, or one from elsewhere.
    """
    path = _path(folder, system)
    if not path.exists():
        return None
    try:
        snapshot = ReferencePhases.parse(path.read_bytes(), str(path))
    except InvalidInput:
        if refresh:
            return None
        raise
    if not _is_ours(snapshot):
        raise InvalidInput(
            f"{path} is there already, and is not from the Materials Project ({snapshot.source}); "
            "give another folder with --out"
        )
    return snapshot


def _others(folder: Path, systems: Sequence[System]) -> Iterator[tuple[System, ReferencePhases]]:
    """Systems that were fetched into the folder for other campaigns."""
    for path in sorted(folder.glob("*.json")):
        system = tuple(path.stem.split("-"))
        if system in systems:
            continue
        try:
            snapshot = ReferencePhases.parse(path.read_bytes(), str(path))
        except InvalidInput:
            continue
        if _is_ours(snapshot):
            yield system, snapshot


def _is_ours(snapshot: ReferencePhases) -> bool:
    return snapshot.convention == VASP and bool(_SOURCE.match(snapshot.source))


def _version(snapshot: ReferencePhases) -> str:
    found = _SOURCE.match(snapshot.source)
    return found[1] if found else UNKNOWN


def snapshot_of(
    entries: Iterable[ComputedStructureEntry], system: System, version: str
) -> tuple[ReferencePhases, tuple[str, ...]]:
    """Entries of the Materials Project as a snapshot, once they are found to be what they must be.

    Args:
        entries: with structures and corrections, of the system and its subsystems.
        system: its elements.
        version: of the database.

    Returns:
        The snapshot, and what was left out of it: compounds with several anions of which a halogen
        has no correction, as happens where no oxidation states could be assigned.

    Raises:
        MixedConventions: an entry of another functional.
        MissingCorrection: a halide, or an energy with a Hubbard U, that holds no correction.
        MissingReference: no phase at all, or none of an element.
    """
    name = "-".join(system)
    entries = sorted(entries, key=_order)
    if not entries:
        raise MissingReference(
            f"{name}: the Materials Project (database version {version}) has no "
            f"{THERMO_TYPE} entries"
        )
    _require_gga(entries, name)
    snapshot = ReferencePhases(
        convention=VASP,
        source=f"Materials Project, database version {version}, {THERMO_TYPE} entries of {name}",
        date=datetime.now(UTC).date().isoformat(),
        element_caveats=element_caveats(system),
        phases=tuple(_phase(entry) for entry in entries),
    )
    snapshot.for_system(system)
    left_out = {
        phase.name: f"{phase.name}: no correction of {', '.join(_halogens(phase))}"
        for phase in snapshot.phases
        if not (_holds_its_corrections(phase) or _is_halide(phase))
    }
    if left_out:
        kept = tuple(phase for phase in snapshot.phases if phase.name not in left_out)
        source = f"{snapshot.source}; left out: {'; '.join(left_out.values())}"
        snapshot = snapshot.model_copy(update={"phases": kept, "source": source})
    require_corrections(snapshot)
    return snapshot, tuple(left_out.values())


def _holds_its_corrections(phase: ReferencePhase) -> bool:
    return holds_halide_corrections(phase.composition, phase.correction_eV_per_atom)


def _order(entry: ComputedStructureEntry) -> tuple[Any, ...]:
    composition = entry.composition
    return len(composition), composition.reduced_formula, entry.energy_per_atom, str(entry.entry_id)


def _halogens(phase: ReferencePhase) -> list[str]:
    return sorted(halide_anions(phase.composition))


def _is_halide(phase: ReferencePhase) -> bool:
    """Whether a halogen is its most electronegative element: then the correction is never lost."""
    return max(phase.composition, key=lambda element: element.X).symbol in _halogens(phase)


def _require_gga(entries: Sequence[ComputedStructureEntry], name: str) -> None:
    others = [entry for entry in entries if _run_type(entry) not in _RUN_TYPES]
    if others:
        found = ", ".join(f"{entry.entry_id} ({_run_type(entry)})" for entry in others[:10])
        raise MixedConventions(
            f"{name}: the Materials Project sent entries that are not GGA or GGA+U: {found}; their "
            "energies cannot be mixed with the others"
        )
    unmixed = [
        entry
        for entry in entries
        if _run_type(entry) == "GGA+U"
        and not any("mixing correction" in adjustment.name for adjustment in _adjustments(entry))
    ]
    if unmixed:
        found = ", ".join(str(entry.entry_id) for entry in unmixed[:10])
        raise MissingCorrection(
            f"{name}: entries with a Hubbard U but without the correction that brings them to the "
            f"scale of the others: {found}"
        )


def _run_type(entry: ComputedStructureEntry) -> str:
    return str(entry.parameters.get("run_type") or entry.data.get("run_type") or "no run type")


def _adjustments(entry: ComputedStructureEntry) -> list[Any]:
    return list(entry.energy_adjustments)


def _phase(entry: ComputedStructureEntry) -> ReferencePhase:
    formula = entry.composition.reduced_formula
    energy_eV_per_atom = float(entry.energy_per_atom)
    if not math.isfinite(energy_eV_per_atom):
        raise InvalidInput(f"{entry.entry_id} ({formula}) of the Materials Project has no energy")
    licence = ", CC BY-NC" if entry.data.get("license") == "BY-NC" else ""
    return ReferencePhase(
        name=f"{formula} {entry.entry_id}",
        formula=formula,
        structure=entry.structure,
        energy_eV_per_atom=round(energy_eV_per_atom, ENERGY_DECIMALS),
        correction_eV_per_atom=round(float(entry.correction_per_atom), ENERGY_DECIMALS),
        entry_id=str(entry.entry_id),
        source=f"Materials Project {entry.entry_id}{licence}",
        caveats=compound_caveats(entry.composition),
    )
