"""The vacancies found are those that the enumeration left, also after atoms and cell have moved."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from screening.candidate_settings import CandidateSettings
from screening.candidates import enumerate_candidates
from screening.documents import CandidateInfo
from workflows.vacant_sites import vacant_sites

KTACL6 = {
    "families": [
        {"formula": "A(x)TaCl6", "prototype": "k2ptcl6", "elements": {"A": ["K"]}, "x": [1, 2],
         "oxidation_states": {"Ta": [4, 5]}}
    ]
}  # fmt: skip


def candidates(settings, structures=None):
    parsed = CandidateSettings(**settings)
    for made in enumerate_candidates(parsed, structures).candidates:
        yield parsed, CandidateInfo(**made.model_dump(exclude={"structure"})), made.structure


def empty(host_sites, structure):
    """Those of the sites on which there is no atom."""
    distances_A = structure.lattice.get_all_distances(host_sites, structure.frac_coords)
    return {tuple(np.round(site, 3)) for site in host_sites[distances_A.min(axis=1) > 0.5]}


EIGHTHS = np.array([[x, y, z] for x in (0.25, 0.75) for y in (0.25, 0.75) for z in (0.25, 0.75)])


def test_they_are_the_sites_without_an_atom():
    found = list(candidates(KTACL6))
    assert len(found) == 7
    for settings, info, structure in found:
        vacancies = vacant_sites(info, structure, settings)
        assert vacancies.note == ""
        assert {tuple(np.round(site.fractional, 3)) for site in vacancies.sites} == empty(
            EIGHTHS, structure
        )
        assert {site.species for site in vacancies.sites} <= {("K",)}
        assert len(vacancies.sites) == 8 - info.formula.startswith("K2") * 4 - 4


@pytest.mark.parametrize("seed", range(5))
def test_they_are_found_after_relaxing_and_drifting(seed):
    rng = np.random.default_rng(seed)
    settings, info, structure = list(candidates(KTACL6))[seed]
    expected = np.array(sorted(empty(EIGHTHS, structure)))
    drift = rng.uniform(-0.05, 0.05, 3)
    moved = Structure(
        Lattice(structure.lattice.matrix * rng.normal(1, 0.02, (3, 3))),
        structure.species,
        structure.frac_coords + drift + rng.normal(0, 0.02, (len(structure), 3)),
    )
    found = np.array([site.fractional for site in vacant_sites(info, moved, settings).sites])
    distances_A = moved.lattice.get_all_distances(found, expected + drift)
    assert distances_A.shape == (4, 4)
    assert distances_A.min(axis=0).max() < 0.3


def test_an_ion_far_from_every_site_makes_them_a_guess():
    settings, info, structure = next(candidates(KTACL6))
    (k, *_) = [i for i, site in enumerate(structure) if site.specie.symbol == "K"]
    moved = structure.copy()
    moved.translate_sites([k], [0.2, 0.0, 0.0])
    assert vacant_sites(info, moved, settings).note.startswith("Vacancies are a guess")


def test_settings_that_no_longer_hold_the_candidate_say_so():
    _, info, structure = next(candidates(KTACL6))
    families = [{**KTACL6["families"][0], "elements": {"A": ["Na"]}}]
    other = CandidateSettings(families=families)
    found = vacant_sites(info, structure, other)
    assert (found.sites, found.note[:20]) == ((), "Vacancies are unknow")


def test_a_file_that_is_gone_says_so():
    file = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.3), [{"K": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    asked = {"files": [{"path": "k.cif", "mobile_ion": "K"}]}
    settings, info, structure = next(candidates(asked, {"k.cif": file}))
    known = vacant_sites(info, structure, settings, {"k.cif": file})
    assert len(known.sites) == 2
    gone = vacant_sites(info, structure, settings)
    assert gone.sites == ()
    assert "unknown" in gone.note


def test_a_full_parent_has_none():
    file = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.3), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    asked = {"files": [{"path": "k.cif", "mobile_ion": "K"}]}
    settings, info, structure = next(candidates(asked, {"k.cif": file}))
    found = vacant_sites(info, structure, settings, {"k.cif": file})
    assert (found.sites, found.note) == ((), "")
