"""Candidates as JSON straight from arrays, many times as fast as by way of documents.

All orderings of a composition in a supercell choose from the same atoms, so that the JSON of each
atom is made once, by pymatgen; that of an ordering is put together from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pymatgen.core.structure import Structure

from screening.candidates import CandidateBlock
from screening.documents import Candidate
from screening.host_cells import HostCell

_ROWS = 1024  # orderings whose atoms are sorted at once


def candidate_lines(candidates: Sequence[Candidate]) -> Iterator[bytes]:
    """Each candidate as one line of JSON, of which pydantic makes the same document again."""
    if not isinstance(candidates, CandidateBlock):
        for candidate in candidates:
            yield orjson.dumps(candidate.model_dump(mode="json"), option=orjson.OPT_APPEND_NEWLINE)
        return
    if not len(candidates):
        return
    atoms = _Atoms(candidates.surveyed.cell)
    document = candidates[0].model_dump(mode="json")
    head, tail = orjson.dumps({**document["structure"], "sites": []}).split(b'"sites":[]')
    origin, label = document["origin"], candidates.surveyed.label
    has_energies = origin["ewald_energy_eV"] is not None
    energies_eV = candidates.energies_eV.tolist()
    degeneracies = candidates.orderings.degeneracies.tolist()
    for i, sites in enumerate(atoms.of(candidates.orderings.occupants)):
        number = candidates.first + i
        document["id"] = f"{label}-{number}"
        origin["ordering"], origin["degeneracy"] = number, degeneracies[i]
        if has_energies:
            origin["ewald_energy_eV"] = energies_eV[i]
        document["structure"] = orjson.Fragment(b'%b"sites":[%b]%b' % (head, sites, tail))
        yield orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


class _Atoms:
    """Every atom that an ordering of a cell may hold, in JSON."""

    def __init__(self, cell: HostCell) -> None:
        contents = _contents(cell)
        self._sites = cell.sites
        self._elements = list(dict.fromkeys(e for held in contents for e in held if e))
        number = {element: i for i, element in enumerate(self._elements)}
        occupants = np.full((len(contents), max(map(len, contents))), -1)
        for site, held in enumerate(contents):
            occupants[site, : len(held)] = [number[element] if element else -1 for element in held]
        self._occupants = occupants
        sites, _ = pairs = np.nonzero(occupants >= 0)
        structure = Structure(
            cell.lattice,
            [self._elements[i] for i in occupants[pairs]],
            cell.supercell.frac_coords[sites],
        )
        self._json = [b""] * (len(contents) * len(self._elements))
        made = structure.as_dict(verbosity=0)["sites"]
        for at, which, atom in zip(sites, occupants[pairs], made, strict=True):
            self._json[at * len(self._elements) + which] = orjson.dumps(atom)

    def of(self, occupants: NDArray[np.uint8]) -> Iterator[bytes]:
        """The atoms of each ordering, in the order of `HostCell.structure`.

        Args:
            occupants: shape (n_orderings, n_sites).
        """
        for start in range(0, len(occupants), _ROWS):
            for row in self._sorted(occupants[start : start + _ROWS]).tolist():
                atoms: Any = itemgetter(*row)(self._json)
                yield atoms if len(row) == 1 else b",".join(atoms)

    def _sorted(self, occupants: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Places in `_json`, shape (n_orderings, n_atoms), by element."""
        held = np.repeat(self._occupants[None, :, 0], len(occupants), axis=0)
        held[:, self._sites] = self._occupants[self._sites, occupants]
        if len(self._sites):
            order = np.argsort(held, axis=1, kind="stable")[:, np.count_nonzero(held[0] < 0) :]
        else:
            order = np.repeat(np.arange(held.shape[1])[None], len(held), axis=0)
        places: NDArray[np.intp] = order * len(self._elements)
        places += np.take_along_axis(held, order, axis=1)
        return places


def _contents(cell: HostCell) -> list[tuple[str | None, ...]]:
    """What each number of an occupant means on each site of the supercell; None is a vacancy."""
    species = [cell.host.structure[i].specie.symbol for i in cell.supercell.unit_site.tolist()]
    contents: list[tuple[str | None, ...]] = [(symbol,) for symbol in species]
    for disorder, sublattice in zip(cell.host.disorder, cell.space.sublattices, strict=True):
        occupants = tuple(occupant and occupant.symbol for occupant in disorder.occupants)
        for site in cell.sites[sublattice.sites].tolist():
            contents[site] = occupants
        if sublattice.satellites is not None:
            satellite = cell.host.satellite(disorder).symbol
            for site in cell.sites[sublattice.satellites.ravel()].tolist():
                contents[site] = (None, satellite)
    return contents
