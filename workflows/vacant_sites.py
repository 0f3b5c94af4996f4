"""Sites of a candidate's parent that its ordering leaves empty, found in any later structure of it.

Candidates are stored without them. The parent in its supercell is made again from the settings, its
sites are laid over the structure, and each atom is given one, so that the squares of the distances
have the least sum; what is left over is vacant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from screening.errors import ScreeningError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from screening.candidate_settings import CandidateSettings
    from screening.documents import CandidateInfo
    from screening.hosts import Host
    from screening.survey import SurveyedCell

_FAR_A = (
    1.5  # from its site an ion has gone elsewhere, and which site is vacant is a matter of taste
)
_FORBIDDEN_A2 = 1e6


@dataclass(frozen=True)
class VacantSite:
    """An empty site of the parent.

    Args:
        fractional: coordinates in the cell of the structure.
        species: symbols of what may sit there.
    """

    fractional: tuple[float, float, float]
    species: tuple[str, ...]


@dataclass(frozen=True)
class VacantSites:
    """The empty sites of a structure.

    Args:
        sites: none where the parent has no more sites than the structure has atoms.
        note: why they cannot be told, or how sure they are; empty where there is nothing to say.
    """

    sites: tuple[VacantSite, ...] = ()
    note: str = ""


def vacant_sites(
    candidate: CandidateInfo,
    structure: Structure,
    settings: CandidateSettings,
    structures: Mapping[str, Structure] | None = None,
) -> VacantSites:
    """The sites of the parent that are empty in a candidate.

    Args:
        candidate: what it is and where it came from.
        structure: of the candidate, as made or relaxed.
        settings: of the campaign, from which it was made.
        structures: the user's structure files by their path, as far as they can be read.
    """
    try:
        parent = _parent(candidate, settings, structures or {})
    except ScreeningError as error:
        return VacantSites(note=f"Vacancies are unknown: {error}")
    if parent is None:
        return VacantSites(
            note="Vacancies are unknown: the campaign's settings no longer give the parent of this "
            "candidate."
        )
    if not any(None in disorder.occupants for disorder in parent.disorder):
        return VacantSites()
    return _left_over(parent, structure)


def _parent(
    candidate: CandidateInfo, settings: CandidateSettings, structures: Mapping[str, Structure]
) -> Host | None:
    """The parent in its supercell; None where the settings give no such one, or several."""
    from pymatgen.core.composition import Composition

    from screening.survey import survey_candidates

    origin = candidate.origin

    def fits(surveyed: SurveyedCell) -> bool:
        counted = surveyed.counted
        return (
            (counted.formula, counted.mobile_ion) == (candidate.formula, candidate.mobile_ion)
            and counted.host == origin.host
            and Composition("".join(surveyed.cell.parent_symbols)).formula == origin.parent_formula
        )

    survey = survey_candidates(_of_host(settings, origin.host), structures)
    found = [surveyed for surveyed in survey.cells if fits(surveyed)]
    label = candidate.id.rsplit("-", 1)[0]
    found = [surveyed for surveyed in found if surveyed.label == label] or found
    return found[0].cell.expanded_host() if len(found) == 1 else None


def _of_host(settings: CandidateSettings, host: str) -> CandidateSettings:
    """Only the parts that a host can come from: a survey of all takes too long for a page."""
    return settings.model_copy(
        update={
            "families": tuple(f for f in settings.families if f.prototype == host),
            "files": tuple(f for f in settings.files if f.path == host),
            "substitutions": tuple(s for s in settings.substitutions if s.path == host),
        }
    )


def _left_over(parent: Host, structure: Structure) -> VacantSites:
    allowed = [{site.specie.symbol} for site in parent.structure]
    may_be_vacant: set[int] = set()
    satellites: set[int] = set()
    for disorder in parent.disorder:
        species = {occupant.symbol for occupant in disorder.occupants if occupant is not None}
        for i in disorder.sites:
            allowed[i] = species
        if None in disorder.occupants:
            may_be_vacant.update(disorder.sites)
        satellites.update(i for near in disorder.satellites for i in near)
    symbols = [site.specie.symbol for site in structure]
    forbidden = np.array([[symbol not in species for species in allowed] for symbol in symbols])
    if len(symbols) > len(allowed) or forbidden.all(axis=1).any():
        return VacantSites(note="Vacancies are unknown: the parent has other sites than these.")
    places = parent.structure.frac_coords
    for _ in range(2):  # the second time without the crystal's drift as a whole
        atoms, sites, distances_A = _assigned(structure, places, forbidden)
        apart = structure.frac_coords[atoms] - places[sites]
        moved = apart - np.round(apart)
        places = places + np.median(moved, axis=0)
    empty = sorted(set(range(len(allowed))) - set(sites.tolist()) - satellites)
    if not set(empty) <= may_be_vacant:
        return VacantSites(note="Vacancies are unknown: atoms cannot be told from their sites.")
    vacancies = VacantSites(
        tuple(
            VacantSite((float(x), float(y), float(z)), tuple(sorted(allowed[i])))
            for i, (x, y, z) in zip(empty, places[empty] % 1.0, strict=True)
        )
    )
    on_vacant = [
        d for i, d in zip(sites.tolist(), distances_A.tolist(), strict=True) if i in may_be_vacant
    ]
    if empty and on_vacant and max(on_vacant) > _FAR_A:
        return replace(
            vacancies,
            note=f"Vacancies are a guess: an ion lies {max(on_vacant):.1f} Å from its nearest free "
            "site of the parent.",
        )
    return vacancies


def _assigned(
    structure: Structure, places: NDArray[np.float64], forbidden: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Atoms, the site of each, and how far it is from there, Å."""
    distances_A = structure.lattice.get_all_distances(structure.frac_coords, places)
    atoms, sites = linear_sum_assignment(np.where(forbidden, _FORBIDDEN_A2, distances_A**2))
    return atoms, sites, distances_A[atoms, sites]
