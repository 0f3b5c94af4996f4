"""K+ for [Li2OH]+ in cubic Li2OHCl: places of the ion, what is left around it, how many ways."""

import itertools
import math

import numpy as np
import pytest
from pymatgen.core.composition import Composition

from screening.candidate_settings import CandidateSettings, Family
from screening.candidates import iterate_candidates
from screening.structures import check_structure
from screening.survey import survey_candidates


def survey(supercell, number=1, **changes):
    family = Family(
        formula="Li2OHCl",
        prototype="li2ohcl-cubic",
        replace={"group": {"Li": 2, "O": 1, "H": 1}, "by": "K", "at": "O", "number": number},
        supercell=supercell,
        **changes,
    )
    return survey_candidates(CandidateSettings(families=(family,)))


def test_the_published_cell():
    """(Li2OH)26KCl27 in the 3x3x3 cell, doi:10.1038/s41467-023-42385-1, sampled."""
    surveyed = survey((3, 3, 3), when_more="sample", max_orderings=12)
    (counted,) = surveyed.counts
    # 27 places of K; 6 of 81 Li sites beside it are shut, 52 Li on the other 75; 8 ways for each OH
    assert counted.n_configurations == 27 * math.comb(75, 52) * 8**26
    candidates = list(iterate_candidates(surveyed))
    assert len({c.id for c in candidates}) == 12
    for candidate in candidates:
        structure = candidate.structure
        assert structure.composition.get_el_amt_dict() == {
            "Li": 52, "O": 26, "H": 26, "K": 1, "Cl": 27,
        }  # fmt: skip
        check_structure(structure, "Li")
        assert candidate.origin.degeneracy == 27 * 48
        assert any("replaced by K+" in note for note in candidate.origin.notes)
        hydrogen = structure.indices_from_symbol("H")
        oxygen = structure.indices_from_symbol("O")
        distances_A = structure.distance_matrix[np.ix_(oxygen, hydrogen)]
        assert np.all((distances_A < 1.1).sum(axis=0) == 1)  # each H at one O
        assert np.all((distances_A < 1.1).sum(axis=1) == 1)  # and each O with one H


@pytest.mark.parametrize(
    ("supercell", "number", "n_lithium"),
    [((2, 2, 1), 1, 6), ((2, 2, 2), 1, 14), ((2, 2, 2), 2, 12)],
)
def test_configurations_are_those_of_brute_force(supercell, number, n_lithium):
    """All ways to place K, with the Li sites that are then shut counted one by one."""
    n = np.array(supercell)
    oxygen = list(itertools.product(*map(range, supercell)))
    lithium = [np.array(o) + shift for o in oxygen for shift in np.eye(3) / 2]
    expected = 0
    for places in itertools.combinations(oxygen, number):
        shut = set()
        for site, place in itertools.product(range(len(lithium)), places):
            step = (lithium[site] - place + n / 2) % n - n / 2
            if np.linalg.norm(step) < 0.51:
                shut.add(site)
        n_open = len(lithium) - len(shut)
        expected += math.comb(n_open, n_lithium) * 8 ** (len(oxygen) - number)
    counts = survey(supercell, number).counts
    assert sum(counted.n_configurations for counted in counts) == expected


def test_degeneracies_of_all_orderings_sum_to_all_configurations():
    surveyed = survey((2, 2, 1), max_orderings=300)
    (counted,) = surveyed.counts
    candidates = list(iterate_candidates(surveyed))
    assert sum(c.origin.degeneracy for c in candidates) == counted.n_configurations
    assert len(candidates) <= counted.n_orderings


def test_two_ions_have_a_cell_for_each_distance():
    """Along an edge, across a face or across the cell of eight."""
    counts = survey((2, 2, 2), 2, when_more="sample").counts
    assert [counted.supercell for counted in counts] == ["2x2x2-K1", "2x2x2-K2", "2x2x2-K3"]
    assert {counted.formula for counted in counts} == {"KLi6H3Cl4O3"}


def test_what_cannot_be_replaced_is_left_out_with_its_reason():
    (left_out,) = survey((1, 1, 1)).left_out
    assert "li2ohcl-cubic" in left_out.reason


def survey_of(**family):
    return survey_candidates(CandidateSettings(families=(Family(**family),)))


@pytest.mark.parametrize(
    ("family", "formula"),
    [
        # one occupant of two is left, and it is not the first
        (
            {
                "formula": "Na2.5Zr0.5Y0.5Cl6",
                "prototype": "elpasolite",
                "replace": {"group": {"Zr": 1}, "by": "Hf4+", "at": "Zr", "number": 2},
                "max_orderings": 500,
            },
            "Na10 Y2 Hf2 Cl24",
        ),
        # vacancies alone are left
        (
            {
                "formula": "KTaCl6",
                "prototype": "k2ptcl6",
                "replace": {"group": {"K": 1}, "by": "Na", "at": "K", "number": 3},
            },
            "Na3 K1 Ta4 Cl24",
        ),
    ],
)
def test_what_is_left_on_the_sublattice_of_the_ions(family, formula):
    surveyed = survey_of(**family)
    formulas = {
        candidate.structure.composition.get_el_amt_dict() == Composition(formula).get_el_amt_dict()
        for candidate in iterate_candidates(surveyed)
    }
    assert formulas == {True}


def test_an_ion_that_the_host_holds_already():
    (left_out,) = survey_of(
        formula="Na2.5Zr0.5Y0.5Cl6",
        prototype="elpasolite",
        replace={"group": {"Na": 1, "Y": 1}, "by": "Zr", "at": "Y"},
    ).left_out
    assert "the host holds Zr already; choose another ion" in left_out.reason


def test_places_without_room_are_passed_over_and_said_so():
    """Some arrangements of four K in 4x2x1 cells shut more Li sites than can be vacant."""
    surveyed = survey((4, 2, 1), 4, when_more="sample", max_orderings=2)
    assert 2 < len(surveyed.counts) < 10
    candidates = list(iterate_candidates(surveyed))
    assert all(any("have no room" in n for n in c.origin.notes) for c in candidates)
