"""Candidates: one composition in one host with one ordering each, made one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pymatgen.core.composition import Composition

from screening.candidate_settings import CandidateSettings
from screening.compositions import LeftOut
from screening.documents import Candidate, Document, Origin
from screening.duplicates import merge_duplicates
from screening.orderings.space import Orderings
from screening.survey import Survey, SurveyedCell, survey_candidates

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from screening.host_cells import HostCell

MAX_NUMBERED_BY_ENERGY = 100_000  # more orderings of a cell are numbered as they are made
_EQUAL_ENERGY_EV = 1e-6  # per cell; sums for equivalent orderings differ by 1e-12


class Enumeration(Document):
    """All candidates of a campaign, and what was left out on the way."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...] = Field(description="one entry a formula")


def enumerate_candidates(
    settings: CandidateSettings, structures: Mapping[str, Structure] | None = None
) -> Enumeration:
    """All candidates of a campaign at once.

    Args:
        settings: families, files and substitutions.
        structures: the structure of each file by its path, already read.

    Raises:
        InvalidInput: more orderings than allowed, somewhere; all places are named.
    """
    survey = survey_candidates(settings, structures)
    return Enumeration(candidates=tuple(iterate_candidates(survey)), left_out=survey.left_out)


def iterate_candidates(survey: Survey) -> Iterator[Candidate]:
    """All candidates, each crystal once, composition by composition.

    The orderings of a composition in a supercell are numbered by the Ewald energy of the formal
    charges, lowest first, equal ones as they are made; more than MAX_NUMBERED_BY_ENERGY all as they
    are made. Structures keep the coordinates of their host; whether atoms overlap is for
    `check_structure` to say, one candidate at a time.

    Memory does not grow with their number, except where several hosts share a composition and must
    be compared.

    Raises:
        InvalidInput: more orderings than allowed, before anything is made.
    """
    survey.check_limits()
    compositions: dict[tuple[str, str], list[SurveyedCell]] = {}
    for surveyed in survey.cells:
        key = surveyed.counted.formula, surveyed.counted.mobile_ion
        compositions.setdefault(key, []).append(surveyed)
    for cells in compositions.values():
        series = [
            itertools.chain.from_iterable(map(cell_candidates, list(alike)))
            for _, alike in itertools.groupby(cells, key=_series)
        ]
        yield from series[0] if len(series) == 1 else merge_duplicates(series)


def _series(surveyed: SurveyedCell) -> tuple[int, str | None]:
    """Equal for cells that have no crystal in common: the shapes that one entry goes through."""
    if surveyed.cell.one_shape_of_all:
        return id(surveyed.entry), surveyed.cell.host.name
    return id(surveyed), None


def cell_candidates(surveyed: SurveyedCell) -> Iterator[Candidate]:
    """The candidates of one composition in one supercell; see `iterate_candidates`."""
    cell, counted = surveyed.cell, surveyed.counted
    symbols = cell.parent_symbols
    parent = Composition("".join(symbols)).formula
    n_all = counted.n_orderings if counted.n_orderings > counted.n_kept else None
    has_energies = cell.has_charges and bool(cell.host.disorder)
    number = 0
    for orderings, energies_eV in _chosen(surveyed):
        if n_all is None and counted.n_kept <= MAX_NUMBERED_BY_ENERGY:
            n_all = len(orderings)  # all of them; some may have been one crystal
        for i in range(len(orderings)):
            number += 1
            structure = cell.structure(orderings.occupants[i])
            yield Candidate(
                id=f"{surveyed.label}-{number}",
                formula=counted.formula,
                mobile_ion=counted.mobile_ion,
                origin=Origin(
                    host=cell.host.name,
                    source=cell.host.source,
                    parent_formula=parent,
                    ordering=number,
                    n_orderings=n_all or counted.n_orderings,
                    degeneracy=int(orderings.degeneracies[i]),
                    n_configurations=counted.n_configurations,
                    selection=counted.selection,
                    ewald_energy_eV=float(energies_eV[i]) if has_energies else None,
                    notes=cell.host.notes,
                ),
                structure=structure,
            )


def _chosen(surveyed: SurveyedCell) -> Iterator[tuple[Orderings, NDArray[np.float64]]]:
    """The orderings that the settings keep, with their Ewald energies in eV per cell, in blocks."""
    cell, counted = surveyed.cell, surveyed.counted
    if counted.selection == "sample":
        sample = cell.space.sample(counted.n_kept, surveyed.entry.seed)
        blocks = cell.crystals(iter([sample]))
    else:
        blocks = cell.crystals()
    if counted.n_kept > MAX_NUMBERED_BY_ENERGY:
        yield from ((block, cell.ewald_energies_eV(block)) for block in blocks)
    else:
        yield _lowest(cell, blocks, counted.n_kept)


def _lowest(
    cell: HostCell, blocks: Iterable[Orderings], n: int
) -> tuple[Orderings, NDArray[np.float64]]:
    """The n of lowest energy, rising; no more than these and a block are held at once."""
    best: Orderings | None = None
    best_eV = np.empty(0)
    for block in blocks:
        best = block if best is None else Orderings.joined([best, block])
        energies_eV = np.concatenate([best_eV, cell.ewald_energies_eV(block)])
        kept = _by_energy(energies_eV)[:n]
        best, best_eV = best[kept], energies_eV[kept]
    assert best is not None, "every space has an ordering"
    return best, best_eV


def _by_energy(energies_eV: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices by rising energy; energies that differ by rounding alone keep their order."""
    rising = np.argsort(energies_eV, kind="stable")
    steps_eV = np.diff(energies_eV[rising], prepend=energies_eV[rising[:1]])
    levels = np.empty(len(rising), dtype=np.intp)
    levels[rising] = np.cumsum(steps_eV > _EQUAL_ENERGY_EV)
    return np.argsort(levels, kind="stable")
