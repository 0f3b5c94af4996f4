"""Everything that a campaign's candidates come from, counted before any is made.

    families, files, substitutions ─▶ hosts ─▶ supercells ─▶ counts

It takes milliseconds a composition, so that nothing is made where something is wrong.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field
from pymatgen.core.composition import Composition

from screening.candidate_settings import CandidateSettings, Family, StructureFile, Substitution
from screening.compositions import LeftOut
from screening.documents import Count, Document
from screening.errors import InvalidInput, ScreeningError
from screening.families import family_hosts
from screening.hosts import Host, file_host
from screening.ordering_settings import SupercellsUpTo, n_cells
from screening.substitution import substituted_hosts

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from screening.host_cells import HostCell
    from screening.orderings.parent import Supercell

Entry = Family | StructureFile | Substitution

MAX_COMPARED_BY_ENERGY = 50_000_000  # orderings; minutes of work on one or two sublattices


class CountedCell(Document):
    """A composition in one supercell of one host, counted."""

    formula: str
    mobile_ion: str
    host: str
    supercell: str = Field(description="2x1x1, or 4-2 for the second shape of 4 primitive cells")
    vectors: tuple[tuple[float, ...], ...] = Field(
        description="of the supercell, in those of the host's unit cell"
    )
    n_atoms: int
    n_configurations: Count
    n_orderings: Count = Field(description="distinct under the symmetry of the supercell")
    n_kept: int = Field(description="at most so many candidates; fewer where some are one crystal")
    selection: Literal["all", "lowest_ewald", "sample"]


@dataclass(frozen=True)
class SurveyedCell:
    """A host in a supercell, and what the settings say of its orderings.

    Args:
        cell: the configurations.
        entry: the part of the settings that it comes from.
        label: that no other cell has; part of its candidates' names.
        counted: what to tell people.
    """

    cell: HostCell
    entry: Entry
    label: str
    counted: CountedCell


@dataclass(frozen=True)
class Survey:
    """All compositions in all supercells, in the order of the settings, and what is left out."""

    cells: tuple[SurveyedCell, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def counts(self) -> tuple[CountedCell, ...]:
        """What to tell people."""
        return tuple(surveyed.counted for surveyed in self.cells)

    def check_limits(self) -> None:
        """See that no composition has more orderings than its settings can deal with.

        Raises:
            InvalidInput: with every one that has.
        """
        if problems := self.problems():
            raise InvalidInput("\n".join(problems))

    def problems(self) -> list[str]:
        """Compositions with more orderings than their settings can deal with, and what to do."""
        found = ((cell, _too_many(cell)) for cell in self.cells)
        return list(_gathered([(cell, problem) for cell, problem in found if problem]))


def survey_candidates(
    settings: CandidateSettings, structures: Mapping[str, Structure] | None = None
) -> Survey:
    """Find and count all compositions of a campaign.

    Args:
        settings: families, files and substitutions.
        structures: the structure of each file by its path, already read.
    """
    cells: dict[object, SurveyedCell] = {}
    reasons: dict[str, list[str]] = {}
    labels: Counter[str] = Counter()
    entries: list[Entry] = [*settings.families, *settings.files, *settings.substitutions]
    for entry in entries:
        hosts, left_out = _hosts(entry, structures or {})
        for host in hosts:
            try:
                for cell in _cells(entry, host):
                    known = cells.get(key := cell.identity)
                    if known and _choice(known.entry) != _choice(entry):
                        raise InvalidInput(
                            f"{host.name}: {_formula(host)} in supercell {cell.label} is there "
                            "already, from an earlier block whose max_orderings, when_more and "
                            "seed count; make them one block"
                        )
                    if not known and cell.n_orderings:
                        cells[key] = _surveyed(entry, cell, labels)
            except ScreeningError as error:  # a host that cannot be used does not stop the others
                name = host.name if isinstance(entry, StructureFile) else _formula(host)
                left_out.append(LeftOut(formula=name, reason=str(error)))
        for lost in left_out:
            reasons.setdefault(lost.formula, []).append(lost.reason)
    return Survey(
        cells=tuple(cells.values()),
        left_out=tuple(
            LeftOut(formula=formula, reason="; ".join(dict.fromkeys(found)))
            for formula, found in reasons.items()
        ),
    )


def _choice(entry: Entry) -> tuple[int, str, int]:
    """What an entry says of how many orderings are kept, and which."""
    return entry.max_orderings, entry.when_more, entry.seed


def _hosts(entry: Entry, structures: Mapping[str, Structure]) -> tuple[list[Host], list[LeftOut]]:
    """What an entry of the settings describes, and what it leaves out."""
    from screening.host_cells import note_on_symmetry

    if isinstance(entry, Family):
        return family_hosts(entry)
    try:
        if entry.path not in structures:
            raise InvalidInput(f"{entry.path} was not read; give its structure")
        structure = structures[entry.path]
        if isinstance(entry, Substitution):
            return substituted_hosts(entry, structure)
        host = file_host(entry.path, structure, entry.mobile_ion, entry.oxidation_states)
        note = note_on_symmetry(host)
        return [replace(host, notes=(*host.notes, note)) if note else host], []
    except ScreeningError as error:
        return [], [LeftOut(formula=entry.path, reason=str(error))]


def _cells(entry: Entry, host: Host) -> Iterator[HostCell]:
    """The supercells of a host that hold whole numbers of everything.

    Raises:
        InvalidInput: none does.
    """
    from screening.cluster_cells import cells_with_clusters_replaced
    from screening.host_cells import (  # compiled code, slow to load
        HostCell,
        host_parent,
        primitive_cell,
    )

    parent = host_parent(host)
    clusters = None if isinstance(entry, Substitution) else entry.replace

    def cells(supercell: Supercell, label: str, one_of_all: bool = False) -> Iterator[HostCell]:
        if clusters is None:
            yield HostCell(host, supercell, label, one_of_all)
        else:
            yield from cells_with_clusters_replaced(host, supercell, label, clusters)

    size = entry.supercell
    if not isinstance(size, SupercellsUpTo):
        matrix = np.array(size)
        label = f"{n_cells(size)}-cells" if matrix.ndim == 2 else "x".join(map(str, size))
        yield from cells(parent.supercell(matrix), label)
        return
    if not host.disorder and clusters is None:
        yield primitive_cell(host)
        return
    error: ScreeningError | None = None
    n_found = 0
    for n in range(1, size.max_cells + 1):
        for number, supercell in enumerate(parent.distinct_supercells(n), start=1):
            try:
                for cell in cells(supercell, f"{n}-{number}", one_of_all=True):
                    n_found += 1
                    yield cell
            except InvalidInput as found:
                error = found
    if error and not n_found:
        raise error


def _surveyed(entry: Entry, cell: HostCell, labels: Counter[str]) -> SurveyedCell:
    n_orderings = cell.n_orderings
    formula = _formula(cell.host)
    stem = cell.host.name if isinstance(entry, Family) else PurePath(cell.host.name).stem
    label = f"{_plain(formula)}-{_safe(stem)}"
    if cell.label != "1x1x1":
        label += f"-{cell.label}"
    labels[label] += 1
    if labels[label] > 1:  # a second POSCAR, say
        label += f".{labels[label]}"
    return SurveyedCell(
        cell=cell,
        entry=entry,
        label=label,
        counted=CountedCell(
            formula=formula,
            mobile_ion=cell.host.mobile_ion,
            host=cell.host.name,
            supercell=cell.label,
            vectors=cell.vectors,
            n_atoms=cell.n_atoms,
            n_configurations=cell.n_configurations,
            n_orderings=n_orderings,
            n_kept=min(n_orderings, entry.max_orderings),
            selection="all"
            if n_orderings <= entry.max_orderings or entry.when_more == "error"
            else entry.when_more,
        ),
    )


def _too_many(surveyed: SurveyedCell) -> str | None:
    """What is wrong with the number of orderings, and what to do."""
    n_orderings, entry = surveyed.counted.n_orderings, surveyed.entry
    if n_orderings <= entry.max_orderings:
        return None
    if entry.when_more == "error":
        return (
            f"more than max_orderings={entry.max_orderings:,}; choose smaller supercells, raise "
            "max_orderings, or set when_more to lowest_ewald or sample"
        )
    if entry.when_more == "lowest_ewald" and n_orderings > MAX_COMPARED_BY_ENERGY:
        return (
            f"the energies of at most {MAX_COMPARED_BY_ENERGY:,} can be compared; set when_more to "
            "sample, or choose smaller supercells"
        )
    if entry.when_more == "lowest_ewald" and not surveyed.cell.has_charges:
        return (
            f"more than max_orderings={entry.max_orderings:,}, and no charges to compare them by; "
            "set oxidation_states, or when_more to sample"
        )
    return None


def _gathered(problems: Sequence[tuple[SurveyedCell, str]]) -> Iterator[str]:
    """One line for each composition in a host, however many supercells have its problem."""
    alike: dict[tuple[str, str, str], list[CountedCell]] = defaultdict(list)
    for surveyed, problem in problems:
        counted = surveyed.counted
        alike[counted.host, counted.formula, problem].append(counted)
    for (host, formula, problem), cells in alike.items():
        numbers = sorted(counted.n_orderings for counted in cells)
        found, where = f"{numbers[0]:,}", f"supercell {cells[0].supercell}"
        if len(cells) > 1:
            found, where = f"{numbers[0]:,} to {numbers[-1]:,}", f"{len(cells)} supercells"
        yield f"{host}: {formula} has {found} distinct orderings in {where}; {problem}"


def _formula(host: Host) -> str:
    amounts: dict[str, Fraction] = defaultdict(Fraction)
    for species, amount in host.amounts().items():
        amounts[species.symbol] += amount
    n_cells = math.lcm(*(amount.denominator for amount in amounts.values()))
    return Composition({e: int(n * n_cells) for e, n in amounts.items()}).reduced_formula


def _plain(formula: str) -> str:
    """Without brackets."""
    parts = Composition(formula).formula.split()
    return "".join(re.sub(r"(?<=[A-Za-z])1$", "", part) for part in parts)


def _safe(name: str) -> str:
    """What is left of a name once it must do as a file name everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "file"
