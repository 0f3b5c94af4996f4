"""Candidates: one composition in one host with one ordering each, made one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pymatgen.core.composition import Composition

from screening.candidate_settings import CandidateSettings
from screening.compositions import LeftOut
from screening.documents import Candidate, CandidateInfo, Document, Origin
from screening.duplicates import merge_duplicates
from screening.orderings.space import Orderings
from screening.survey import Survey, SurveyedCell, survey_candidates

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure


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
    for block in candidate_blocks(survey):
        yield from block


def candidate_blocks(survey: Survey) -> Iterator[CandidateBlock | tuple[Candidate, ...]]:
    """The same candidates, many at once: as arrays, or where hosts had to be compared as documents.

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
            itertools.chain.from_iterable(map(cell_blocks, list(alike)))
            for _, alike in itertools.groupby(cells, key=_series)
        ]
        if len(series) == 1:
            yield from series[0]
        else:
            yield merge_duplicates(map(itertools.chain.from_iterable, series))


def _series(surveyed: SurveyedCell) -> int:
    """Equal for cells that have no crystal in common: the shapes that one host goes through."""
    return id(surveyed.cell.host if surveyed.cell.one_shape_of_all else surveyed)


@dataclass(frozen=True)
class CandidateBlock(Sequence[Candidate]):
    """Candidates of one composition in one supercell, each made when it is asked for.

    Args:
        surveyed: the composition and its supercell.
        orderings: what tells them apart.
        energies_eV: shape (n_orderings,), Ewald energies per cell; 0 where there are none.
        first: number of the first.
        n_orderings: distinct ones that there are of the composition in the supercell.
        notes: on how they were chosen.
    """

    surveyed: SurveyedCell
    orderings: Orderings
    energies_eV: NDArray[np.float64]
    first: int
    n_orderings: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.orderings)

    @overload
    def __getitem__(self, chosen: int) -> Candidate: ...
    @overload
    def __getitem__(self, chosen: slice) -> CandidateBlock: ...
    def __getitem__(self, chosen: int | slice) -> Candidate | CandidateBlock:
        """A candidate, or some that follow each other as a block."""
        if isinstance(chosen, slice):
            places = range(len(self))[chosen]
            assert places.step == 1
            kept = slice(places.start, places.stop)
            return replace(
                self,
                orderings=self.orderings[kept],
                energies_eV=self.energies_eV[kept],
                first=self.first + places.start,
            )
        i = range(len(self))[chosen]
        structure = self.surveyed.cell.structure(self.orderings.occupants[i])
        return Candidate(**dict(self.info(i)), structure=structure)

    def info(self, i: int) -> CandidateInfo:
        """One of them without its atoms."""
        cell, counted = self.surveyed.cell, self.surveyed.counted
        number = self.first + i
        has_energies = cell.has_charges and bool(cell.host.disorder)
        return CandidateInfo(
            id=f"{self.surveyed.label}-{number}",
            formula=counted.formula,
            mobile_ion=counted.mobile_ion,
            origin=Origin(
                host=cell.host.name,
                source=cell.host.source,
                parent_formula=Composition("".join(cell.parent_symbols)).formula,
                ordering=number,
                n_orderings=self.n_orderings,
                degeneracy=int(self.orderings.degeneracies[i]),
                n_configurations=counted.n_configurations,
                selection=counted.selection,
                ewald_energy_eV=float(self.energies_eV[i]) if has_energies else None,
                notes=(*cell.host.notes, *self.notes),
                space=None if cell.one_shape_of_all else self.surveyed.label,
            ),
        )


def cell_blocks(surveyed: SurveyedCell) -> Iterator[CandidateBlock]:
    """The candidates of one composition in one supercell; see `iterate_candidates`."""
    counted = surveyed.counted
    first = 1
    for orderings, energies_eV, n_tied in _chosen(surveyed):
        n_orderings = counted.n_orderings
        if n_orderings <= counted.n_kept <= MAX_NUMBERED_BY_ENERGY:
            n_orderings = len(orderings)  # all of them; some may have been one crystal
        tied = f"{n_tied:,} more orderings have the Ewald energy of the last kept; drawn at random"
        notes = (tied,) if n_tied else ()
        yield CandidateBlock(surveyed, orderings, energies_eV, first, n_orderings, notes)
        first += len(orderings)


def _chosen(surveyed: SurveyedCell) -> Iterator[tuple[Orderings, NDArray[np.float64], int]]:
    """The orderings that the settings keep, in blocks; see `_lowest`."""
    cell, counted = surveyed.cell, surveyed.counted
    if counted.selection == "sample":
        blocks = cell.sample(counted.n_kept, surveyed.entry.seed)
    else:
        blocks = cell.crystals()
    if counted.n_kept > MAX_NUMBERED_BY_ENERGY and counted.selection != "lowest_ewald":
        yield from ((block, cell.ewald_energies_eV(block), 0) for block in blocks)
    else:
        yield _lowest(surveyed, blocks)


def _lowest(
    surveyed: SurveyedCell, blocks: Iterable[Orderings]
) -> tuple[Orderings, NDArray[np.float64], int]:
    """The orderings of lowest energy that are kept, rising.

    No more than these and a block are held at once. Which are kept of those with the energy of the
    last is decided at random, by the seed of the settings.

    Returns:
        Orderings, their energies in eV per cell, and how many more have the energy of the last.
    """
    cell, n = surveyed.cell, surveyed.counted.n_kept
    rng = np.random.default_rng(surveyed.entry.seed)
    best, best_eV, lots = Orderings.none(len(cell.sites)), np.empty(0), np.empty(0)
    last_eV, n_tied = np.inf, 0
    for block in blocks:
        best = Orderings.joined([best, block])
        energies_eV = np.concatenate([best_eV, cell.ewald_energies_eV(block)])
        lots = np.concatenate([lots, rng.random(len(block))])
        order = _by_energy(energies_eV, lots if len(best) > n else None)
        kept, dropped = order[:n], order[n:]
        if len(dropped):
            if energies_eV[kept[-1]] < last_eV - _EQUAL_ENERGY_EV:
                last_eV, n_tied = energies_eV[kept[-1]], 0
            n_tied += int(np.sum(energies_eV[dropped] <= last_eV + _EQUAL_ENERGY_EV))
        best, best_eV, lots = best[kept], energies_eV[kept], lots[kept]
    return best, best_eV, n_tied


def _by_energy(
    energies_eV: NDArray[np.float64], lots: NDArray[np.float64] | None = None
) -> NDArray[np.intp]:
    """Indices by rising energy.

    Energies that differ by rounding alone are in the order of their lots, else in that given.
    """
    rising = np.argsort(energies_eV, kind="stable")
    steps_eV = np.diff(energies_eV[rising], prepend=energies_eV[rising[:1]])
    levels = np.empty(len(rising), dtype=np.intp)
    levels[rising] = np.cumsum(steps_eV > _EQUAL_ENERGY_EV)
    return np.argsort(levels, kind="stable") if lots is None else np.lexsort((lots, levels))
