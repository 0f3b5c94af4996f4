"""Models of compounds without known coordinates: composition, volume, contacts, and no doubles."""

import numpy as np
import pytest
from pymatgen.core import Composition, Element

from screening.errors import InvalidInput
from screening.prototypes import competing
from screening.prototypes.competing import (
    competing_formulas,
    competing_reason,
    competing_sources,
    competing_structures,
)
from screening.prototypes.phases import is_hypothetical, reference_phase_names

FORMULAS = competing_formulas()
HALOGEN_RADII_A = {"F": 1.33, "Cl": 1.81, "Br": 1.96}  # Shannon (1976), six-coordinate


@pytest.mark.parametrize("formula", FORMULAS)
def test_every_model_is_the_compound_in_the_stated_volume(formula):
    structures = competing_structures(formula)
    wanted = Composition(formula)
    volume_A3 = competing._entries()[formula].volume_A3
    assert list(structures) == list(competing_sources(formula))
    for structure in structures.values():
        found = structure.composition
        assert found.reduced_formula == wanted.reduced_formula
        assert all(isinstance(site.specie, Element) for site in structure)
        if volume_A3 is not None:
            per_formula = structure.volume * wanted.num_atoms / found.num_atoms
            assert per_formula == pytest.approx(volume_A3, rel=1e-9)


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_ions_of_a_model_are_closer_than_sense(formula):
    for structure in competing_structures(formula).values():
        radius_A = max(HALOGEN_RADII_A.get(site.specie.symbol, 0) for site in structure)
        between_A = structure.distance_matrix + 99 * np.eye(len(structure))
        halogens = [i for i, site in enumerate(structure) if site.specie.symbol in HALOGEN_RADII_A]
        assert between_A.min() > 0.85 * radius_A + 0.35
        assert between_A[np.ix_(halogens, halogens)].min() > 1.4 * radius_A


@pytest.mark.parametrize("formula", FORMULAS)
def test_models_stand_only_for_compounds_without_a_structure(formula):
    reduced = Composition(formula).reduced_formula
    for name in reference_phase_names():
        if Composition(name.partition(" ")[0]).reduced_formula == reduced:
            assert is_hypothetical(name) or " " in name
    assert competing_reason(formula)


def test_one_element_may_take_several_places():
    structure = competing_structures("GaCl2")["lialcl4"]
    gallium = [i for i, site in enumerate(structure) if site.specie.symbol == "Ga"]
    shells = [len(structure.get_neighbors(structure[i], 2.4)) for i in gallium]
    assert sorted(shells) == [0] * 4 + [4] * 4  # Ga 1+ between GaCl4 tetrahedra


@pytest.mark.parametrize(
    ("amounts", "of_type"),
    [
        ({"K": 2, "Cl": 1}, {"Na": 1, "Cl": 1}),
        ({"Ga": 1, "Cl": 3}, {"Li": 2, "Al": 1, "Cl": 5}),
        ({"K": 3, "Cl": 1}, {"Ca": 1, "F": 3}),
    ],
)
def test_proportions_that_do_not_fit_are_refused(amounts, of_type):
    with pytest.raises(ValueError, match="does not fit on the places"):
        competing._assignment(amounts, of_type)


def test_hosts_with_partly_filled_sites_are_refused():
    with pytest.raises(ValueError, match="partly filled"):
        competing._host("k2ptcl6")


def test_any_spelling_finds_a_compound_and_an_unknown_one_names_the_nearest():
    assert competing_structures("Cl3Ga") == competing_structures("GaCl3")
    with pytest.raises(InvalidInput, match=r'no models of "GaCl9" .*GaCl'):
        competing_structures("GaCl9")
