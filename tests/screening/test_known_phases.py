"""The list of known compounds: formulas that parse, once each, neutral, by chemical system."""

import re
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition, Element

from screening.prototypes.known import known_groups, known_phases

FORMULAS = [(group.name, formula) for group in known_groups() for formula in group.formulas]
NOT_IONIC = {  # charges are shared among atoms of one kind
    "hydrides, peroxides and superoxides",
    "phosphides",
    "polysulfides and thiophosphates with P-P or S-S bonds",
}
CHARGES = {  # the only ones of these elements in the list
    **dict.fromkeys(("F", "Cl", "Br"), -1),
    **dict.fromkeys(("O", "S"), -2),
    **dict.fromkeys(("H", "Li", "Na", "K"), 1),
    **dict.fromkeys(("Mg", "Ca", "Sr", "Ba", "Zn", "Cd"), 2),
    **dict.fromkeys(("Al", "La", "Er", "Lu"), 3),
}
ELEMENTS = sorted({e.symbol for _, formula in FORMULAS for e in Composition(formula)})
FRAMEWORK = (
    *("Mg", "Ca", "Sr", "Ba", "Sc", "Y", "La", "Ce", "Nd", "Sm", "Gd", "Dy", "Er", "Yb", "Lu"),
    *("Ti", "Zr", "Hf", "V", "Nb", "Ta", "Mo", "W", "Mn", "Fe", "Co", "Ni", "Zn", "Cd", "Al"),
    *("Ga", "In", "Sn", "Sb", "Bi"),
)


@pytest.mark.parametrize("group", [group.name for group in known_groups()])
def test_formulas_are_whole_numbers_of_at_least_two_elements(group):
    for formula in (formula for name, formula in FORMULAS if name == group):
        assert re.fullmatch(r"([A-Z][a-z]?[1-9]?\d*)+", formula), formula
        assert len(Composition(formula)) > 1


def test_every_compound_is_named_once():
    reduced = [Composition(formula).reduced_formula for _, formula in FORMULAS]
    assert len(reduced) == len(set(reduced))
    assert len({group.name for group in known_groups()}) == len(known_groups())
    assert all(group.source for group in known_groups())


@pytest.mark.parametrize(("group", "formula"), [f for f in FORMULAS if f[0] not in NOT_IONIC])
def test_compounds_are_neutral_with_known_oxidation_states(group, formula):
    lowest = highest = 0
    for symbol, amount in Composition(formula).get_el_amt_dict().items():
        states = _states(symbol, group)
        lowest += amount * min(states)
        highest += amount * max(states)
    assert lowest <= 0 <= highest


def _states(symbol, group):
    if symbol == "Cl" and "chlorine" in group:
        return range(1, 8)
    if symbol in CHARGES:
        return [CHARGES[symbol]]
    return [0, *(state for state in Element(symbol).oxidation_states if state > 0)]


@pytest.mark.parametrize("metal", FRAMEWORK)
@pytest.mark.parametrize("halogen", ["F", "Cl", "Br"])
def test_every_framework_metal_has_a_known_halide(metal, halogen):
    found = known_phases([metal, halogen])
    assert found
    for formula in found:
        amounts = Composition(formula)
        charge = amounts[halogen] / amounts[metal]
        assert 0 < charge <= max(Element(metal).oxidation_states)


def test_the_phases_of_published_windows_are_known():
    expected = {"KCl", "TaCl4", "TaCl5", "K2TaCl6", "KTaCl6", "K2Ta3Cl9", "Ta2Cl5", "Ta3Cl7"}
    assert expected == set(known_phases(["K", "Ta", "Cl"]))
    sulfur = known_phases(["Na", "P", "S"])
    assert {"Na3PS4", "Na2S", "Na3P", "P2S5", "NaPS3"} <= set(sulfur)
    assert all(sulfur.values())


@given(st.sets(st.sampled_from(ELEMENTS), max_size=6), st.sampled_from(ELEMENTS))
def test_a_larger_system_knows_all_of_a_smaller_one(elements, another):
    smaller, larger = known_phases(elements), known_phases({*elements, another})
    assert smaller.items() <= larger.items()
    names = set(chain.from_iterable(Composition(formula).as_dict() for formula in smaller))
    assert names <= elements


def test_elements_alone_have_no_compounds():
    assert known_phases(["K"]) == {}
    assert known_phases([]) == {}
