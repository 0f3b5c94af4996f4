import itertools
import math
import re
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Species

from screening.candidate_settings import Equimolar, XRange
from screening.compositions import (
    Constituent,
    amounts_formula,
    constituents,
    likeliest_ions,
    mixtures,
    neutral_x,
    units_needed,
    usual_oxidation_states,
    whole_x,
    why_not_neutral,
    why_not_whole,
    x_values,
)
from screening.errors import InvalidInput
from screening.formulas import Amount, parse_formula

METALS = ["Ta", "Nb", "Zr", "Y", "Sm", "In", "Ti", "V", "W", "Fe", "Yb", "Mo", "Mg"]
NO_X = Fraction(0)
shares = st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(2, 5)])


def parts_of(text, states=None, **letters):
    chosen = {name: {ion: Fraction(1)} for name, ion in letters.items()}
    return constituents(parse_formula(text, letters), chosen, states or {})


def charges(ions):
    return {ion.symbol: ion.oxi_state for ion in ions}


def test_published_compositions_are_neutral():
    zirconate = parts_of("A(2+x)Zr(1-x)M(x)X6", A="K", M="Y", X="Cl")
    ions = likeliest_ions(zirconate, Fraction(3, 10))
    assert ions == {
        Species("K", 1): Fraction(23, 10),
        Species("Zr", 4): Fraction(7, 10),
        Species("Y", 3): Fraction(3, 10),
        Species("Cl", -1): 6,
    }
    assert amounts_formula(zirconate, Fraction(3, 10)) == "K2.3Zr0.7Y0.3Cl6"
    ucl3 = parts_of("A(3x)M(2-x)X6", A="Na", M="Sm", X="Cl")
    assert charges(likeliest_ions(ucl3, Fraction(1, 4))) == {"Na": 1, "Sm": 3, "Cl": -1}
    assert charges(likeliest_ions(parts_of("LiNbOCl4"), NO_X))["Nb"] == 5
    assert charges(likeliest_ions(parts_of("Li2OHCl"), NO_X)) == {
        "Li": 1,
        "O": -2,
        "H": 1,
        "Cl": -1,
    }
    assert charges(likeliest_ions(parts_of("K(3-2x)Ba(x)OI"), Fraction(1, 8)))["Ba"] == 2


@given(
    metals=st.lists(st.sampled_from(METALS), min_size=1, max_size=3, unique=True),
    n_alkali=st.integers(0, 4),
    n_halogen=st.integers(1, 12),
    n_oxygen=st.integers(0, 4),
)
@settings(deadline=None)
def test_the_choice_is_that_of_pymatgen(metals, n_alkali, n_halogen, n_oxygen):
    """One atom of each metal, so that pymatgen cannot give one element two charges."""
    amounts = {"K": n_alkali, "Cl": n_halogen, "O": n_oxygen, **dict.fromkeys(metals, 1)}
    amounts = {symbol: n for symbol, n in amounts.items() if n}
    formula = "".join(f"{symbol}{n}" for symbol, n in amounts.items())
    guesses = Composition(amounts).oxi_state_guesses()
    ions = likeliest_ions(parts_of(formula), NO_X)
    if ions is None:
        assert not guesses
        return
    found = charges(ions)
    assert sum(n * found[symbol] for symbol, n in amounts.items()) == 0
    likelihood = {
        tuple(sorted(guess.items())): sum(
            n * Composition.oxi_prob.get(Species(symbol, guess[symbol]), 0)
            for symbol, n in amounts.items()
        )
        for guess in guesses
    }
    assert likelihood[tuple(sorted(found.items()))] == max(likelihood.values())


@given(
    states=st.lists(
        st.lists(st.integers(-3, 6).filter(bool), min_size=1, max_size=3, unique=True),
        min_size=1,
        max_size=4,
    ),
    data=st.data(),
)
@settings(deadline=None)
def test_neutral_if_and_only_if_some_choice_is(states, data):
    amounts = [data.draw(st.fractions(0, 6, max_denominator=8)) for _ in states]
    assume(any(amounts))
    parts = [
        Constituent(symbol, tuple(allowed), Amount(amount))
        for symbol, allowed, amount in zip("KYVW", states, amounts, strict=False)
    ]
    some = any(
        sum(n * z for n, z in zip(amounts, chosen, strict=True)) == 0
        for chosen in itertools.product(*states)
    )
    ions = likeliest_ions(parts, NO_X)
    assert (ions is not None) == some
    if ions is not None:
        unit = math.lcm(*(n.denominator for n in ions.values()))
        whole = {ion: n * unit for ion, n in ions.items()}
        assert all(n.denominator == 1 for n in whole.values())
        assert sum(int(n) * int(ion.oxi_state) for ion, n in whole.items()) == 0


@given(
    alkali=st.tuples(st.integers(0, 6), st.integers(-4, 4)),
    metal=st.tuples(st.integers(0, 4), st.integers(-3, 3)),
    states=st.sampled_from([(3,), (4,), (3, 4), (2, 5)]),
    share=shares,
    n_units=st.integers(1, 6),
    high=st.fractions(0, 2, max_denominator=12),
)
@settings(deadline=None, max_examples=200)
def test_from_min_to_max_no_neutral_composition_is_missed(
    alkali, metal, states, share, n_units, high
):
    """Brute force over whole numbers of atoms, not over x."""
    assume(alkali[1] or metal[1])
    parts = [
        Constituent("K", (1,), Amount(*map(Fraction, alkali))),
        Constituent("Y", states, Amount(*map(Fraction, metal)) * share),
        Constituent("Zr", (4,), Amount(*map(Fraction, metal)) * (1 - share)),
        Constituent("Cl", (-1,), Amount(Fraction(6))),
    ]
    parts = [part for part in parts if part.amount.constant or part.amount.slope]
    found = {}
    for x in whole_x(parts, Fraction(n_units), Fraction(0), high):
        if all(part.amount.at(x) >= 0 for part in parts):
            ions = likeliest_ions(parts, x)
            if ions:
                numbers = tuple(int(part.amount.at(x) * n_units) for part in parts)
                assert numbers == tuple(part.amount.at(x) * n_units for part in parts)
                found[numbers] = ions
    largest = [
        max(part.amount.at(Fraction(0)), part.amount.at(high)) * n_units for part in parts[:-1]
    ]
    brute = set()
    for cations in itertools.product(*(range(math.floor(n) + 1) for n in largest)):
        numbers = (*cations, 6 * n_units)
        line = [(Fraction(n, n_units), p.amount) for n, p in zip(numbers, parts, strict=True)]
        roots = {(n - a.constant) / a.slope for n, a in line if a.slope}
        fixed = all(n == a.constant for n, a in line if not a.slope)
        if len(roots) == 1 and fixed and 0 <= min(roots) <= high:
            for chosen in itertools.product(*(part.states for part in parts)):
                if sum(n * z for n, z in zip(numbers, chosen, strict=True)) == 0:
                    brute.add(numbers)
    assert set(found) == brute


def test_x_of_a_list_a_grid_and_a_range():
    parts = parts_of("A(2+x)Zr(1-x)M(x)X6", A="K", M="Y", X="Cl")
    size = [Fraction(4)]
    assert x_values((0, 0.25, 0.333, 0.25), parts, size) == [0, Fraction(1, 4), Fraction(1, 3)]
    grid = XRange(min=0, max=0.5, step=0.1)
    assert x_values(grid, parts, size) == [Fraction(k, 10) for k in range(6)]
    assert x_values(XRange(min=0, max=0.5), parts, size) == [0, Fraction(1, 4), Fraction(1, 2)]
    several = x_values(XRange(min=0, max=0.5), parts, [Fraction(1), Fraction(2), Fraction(3)])
    assert several == [0, Fraction(1, 3), Fraction(1, 2)]
    assert x_values((), parts_of("KTaCl6"), size) == [0]


def test_a_mixture_needs_a_larger_cell_than_one_metal():
    formula = parse_formula("K(2+x)Zr(1-x)M(x)Cl6", ["M"])
    mixture = {"M": {"Y": Fraction(1, 2), "In": Fraction(1, 2)}}
    parts = constituents(formula, mixture, {})
    assert whole_x(parts, Fraction(4), NO_X, Fraction(1)) == [0, Fraction(1, 2), 1]
    assert units_needed(parts, Fraction(1, 4)) == 8


def test_one_element_under_two_letters_is_one_element():
    parts = parts_of("K3M(1-x)M'(x)Cl6", **{"M": "Y", "M'": "Y"})
    assert [part.symbol for part in parts] == ["K", "Y", "Cl"]
    assert amounts_formula(parts, Fraction(1, 3)) == "K3YCl6"


def test_one_element_with_two_charges_has_two_ions():
    formula = parse_formula("K1.5MCl6", ["M"])
    half = Fraction(1, 2)
    parts = constituents(formula, {"M": {"Ta5+": half, "Ta4+": half}}, {})
    assert likeliest_ions(parts, NO_X) == {
        Species("K", 1): Fraction(3, 2),
        Species("Ta", 5): half,
        Species("Ta", 4): half,
        Species("Cl", -1): 6,
    }
    assert amounts_formula(parts, NO_X) == "K1.5TaCl6"


def test_choices_become_mixtures():
    assert mixtures("Ta5+") == [{"Ta5+": 1}]
    assert mixtures({"Y": 0.333, "In": 0.667}) == [{"Y": Fraction(1, 3), "In": Fraction(2, 3)}]
    metals = ("Y", "In", "Sc", "Er", "Yb")
    found = mixtures(Equimolar(equimolar=4, of=metals))
    assert [set(mixture) for mixture in found] == [
        set(four) for four in itertools.combinations(metals, 4)
    ]
    assert {share for mixture in found for share in mixture.values()} == {Fraction(1, 4)}


@pytest.mark.parametrize(
    ("symbol", "states"),
    [("K", (1,)), ("Cl", (-1,)), ("O", (-2,)), ("Y", (3,)), ("Ba", (2,)), ("Al", (3,))],
)
def test_usual_oxidation_states(symbol, states):
    assert usual_oxidation_states(symbol) == states


def test_hydrogen_beside_oxygen_is_a_cation():
    assert usual_oxidation_states("H", with_oxygen=True) == (1,)


def test_an_element_without_an_oxidation_state():
    with pytest.raises(InvalidInput, match="no oxidation state of Ar is known; set oxidation_st"):
        parts_of("KArCl")
    assert charges(likeliest_ions(parts_of("KArCl2", {"Ar": (1,)}), NO_X))["Ar"] == 1


@pytest.mark.parametrize(
    ("text", "x", "states", "reason"),
    [
        ("KYCl6", 0, {}, r"^neutral only with Y 5\+; allowed: Y 3\+$"),
        ("KTaCl6", 0, {"Ta": (3, 4)}, r"^neutral only with Ta 5\+; allowed: Ta 3\+ or 4\+$"),
        ("K1.5YCl6", 0, {}, r"neutral only with Y 4.5\+"),
        ("K(x)YCl6", 1, {}, r"neutral only with Y 5\+; allowed: Y 3\+; neutral at x = 3$"),
        ("K(x)TaCl6", 1.5, {"Ta": (4, 5)}, r"allowed: Ta 4\+ or 5\+; neutral at x = 1 and 2$"),
        (
            "KYAlCl6",
            0,
            {},
            r"^no choice of charges is neutral, the nearest leaves 1\+ a formula; a",
        ),
        ("K3Cl", 0, {}, r"^no choice of charges is neutral, the nearest leaves 2\+ a formula$"),
    ],
)
def test_reasons_name_what_would_be_neutral(text, x, states, reason):
    limits = parse_formula(text).limits()
    parts = parts_of(text, states)
    assert likeliest_ions(parts, Fraction(x)) is None
    assert re.search(reason, why_not_neutral(parts, Fraction(x), limits))


@given(
    alkali=st.tuples(st.integers(0, 6), st.integers(-4, 4)),
    metal=st.tuples(st.integers(0, 4), st.integers(-3, 3)),
    x=st.fractions(0, 2, max_denominator=20),
)
@settings(deadline=None)
def test_neutral_x_are_exactly_those_that_are_neutral(alkali, metal, x):
    parts = [
        Constituent("K", (1,), Amount(*map(Fraction, alkali))),
        Constituent("V", (3, 4, 5), Amount(*map(Fraction, metal))),
        Constituent("Cl", (-1,), Amount(Fraction(6))),
    ]
    roots = neutral_x(parts)
    for root in [x] if roots is None else [x, *roots]:
        assume(all(part.amount.at(root) >= 0 for part in parts))
        assert (likeliest_ions(parts, root) is not None) == (roots is None or root in roots)


def test_what_does_not_fit_comes_with_what_does():
    formula = "A(2+x)Zr(1-x)M(x)X6"
    parts = parts_of(formula, A="K", M="Y", X="Cl")
    limits = (Fraction(0), Fraction(1))
    assert why_not_whole(parts, Fraction(3, 10), [Fraction(4)], limits) == (
        "x = 0.3 puts 9.2 K into 4 formula units; the nearest x that work: 0.25 and 0.5; "
        "x = 0.3 needs a multiple of 10 formula units"
    )
    reason = why_not_whole(parts, Fraction(1, 10), [Fraction(1), Fraction(2)], limits)
    assert reason.startswith("x = 0.1 puts 4.2 K into 2 formula units, the largest supercell; the ")
    assert "the nearest x that work: 0 and 0.5;" in reason
    not_above = why_not_whole(
        parts, Fraction(3, 10), [Fraction(4)], limits, lambda x: x < Fraction(3, 10)
    )
    assert "the nearest x that works: 0.25;" in not_above


def test_without_x_the_number_of_formula_units_is_what_helps():
    reason = why_not_whole(parts_of("Na0.75Sm1.75Cl6"), NO_X, [Fraction(1)], (Fraction(0), None))
    assert reason == "0.75 Na in 1 formula unit; it needs a multiple of 4 formula units"


@given(
    x=st.fractions(0, 1, max_denominator=40),
    size=st.integers(1, 8),
    share=shares,
)
@settings(deadline=None)
def test_the_nearest_x_hold_whole_atoms_and_nothing_nearer_does(x, size, share):
    parts = [
        Constituent("K", (1,), Amount(Fraction(2), Fraction(1))),
        Constituent("Zr", (4,), Amount(Fraction(1), Fraction(-1))),
        Constituent("Y", (3,), Amount(NO_X, share)),
        Constituent("In", (3,), Amount(NO_X, 1 - share)),
        Constituent("Cl", (-1,), Amount(Fraction(6))),
    ]
    parts = [part for part in parts if part.amount.constant or part.amount.slope]

    def whole(x):
        return all((part.amount.at(x) * size).denominator == 1 for part in parts)

    assume(not whole(x))
    reason = why_not_whole(parts, x, [Fraction(size)], (Fraction(0), Fraction(1)))
    grid = [Fraction(k, 15 * size * 2) for k in range(30 * size + 1)]
    below = max(other for other in grid if other < x and whole(other))
    above = min((other for other in grid if other > x and whole(other)), default=None)
    near = (
        f"{float(below):.4g} and {float(above):.4g}" if above is not None else f"{float(below):.4g}"
    )
    assert f": {near};" in reason
    needed = units_needed(parts, x)
    assert reason.endswith(f"needs a multiple of {needed} formula units")
    assert [
        n
        for n in range(1, needed + 1)
        if all((part.amount.at(x) * n).denominator == 1 for part in parts)
    ] == [needed]
