from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.errors import InvalidInput
from screening.formulas import (
    Amount,
    Formula,
    check_letter,
    exact_fraction,
    ion_formula,
    parse_formula,
    parse_ion,
)

LETTERS = ["A", "M", "M'", "X"]
SUBSCRIPTS = str.maketrans("0123456789+-=x()", "₀₁₂₃₄₅₆₇₈₉₊₋₌ₓ₍₎")

fractions = st.fractions(0, 20, max_denominator=48)
positive = fractions.filter(bool)
amounts = st.builds(Amount, fractions, st.fractions(-6, 6, max_denominator=24)).filter(
    lambda amount: amount.constant or amount.slope
)
names = st.sampled_from([*LETTERS, "Li", "K", "Zr", "Ta", "O", "H", "Cl", "C", "Co"])


@pytest.mark.parametrize(
    ("text", "at_a_quarter"),
    [
        ("A(3-x)M(1-x)M'(x)X6", "A2.75M0.75M'0.25X6"),
        ("A₃₋ₓM₁₋ₓM'ₓX₆", "A2.75M0.75M'0.25X6"),
        ("A3-xM1-xM′xX6", "A2.75M0.75M'0.25X6"),
        ("A(2+x)Zr(1-x)M(x)X6", "A2.25Zr0.75M0.25X6"),
        ("A(3x)M(2-x)X6", "A0.75M1.75X6"),
        ("A(3 - 2x) Ba(x) O I", "A2.5Ba0.25OI"),
        ("A(3-2x)Ba(x/2)OI", "A2.5Ba0.125OI"),
        ("K(0.5+0.5x)TaCl6", "K0.625TaCl6"),
        ("K(1/2*x+1/2)TaCl6", "K0.625TaCl6"),
        ("LiMOCl4", "LiMOCl4"),
        ("AMX4", "AMX4"),
        ("A2OHX", "A2OHX"),
        ("A2(OH)X", "A2OHX"),
        ("[Li2OH](1-x)K(x)Cl", "Li1.5O0.75H0.75K0.25Cl"),
        ("Li3MCl6", "Li3MCl6"),
        ("K2.3Zr0.7Y0.3Cl6", "K2.3Zr0.7Y0.3Cl6"),
        ("Li(7/3)M(8/9)X5", "Li2.333M0.8889X5"),
        ("CH3COOH", "C2H4O2"),
    ],
)
def test_formulas_as_papers_write_them(text, at_a_quarter):
    formula = parse_formula(text, LETTERS)
    assert ion_formula(list(formula.at(Fraction(1, 4)).items())) == at_a_quarter


def test_amounts_are_exact():
    formula = parse_formula("Li(7/3-x/3)M0.333Cl6", ["M"])
    assert formula.at(Fraction(1, 7)) == {
        "Li": Fraction(16, 7),
        "M": Fraction(1, 3),
        "Cl": Fraction(6),
    }


@given(st.dictionaries(names, amounts, min_size=1))
def test_what_is_written_is_read_again(amounts):
    formula = Formula("", amounts)
    letters = [*LETTERS, "K", "C"]  # K and C are explained: symbols that begin alike stay whole
    assert parse_formula(str(formula), letters) == formula


@given(st.dictionaries(names, st.integers(1, 99), min_size=1))
def test_subscripts_mean_the_same(amounts):
    text = "".join(f"{name}{n}" for name, n in amounts.items())
    subscripts = "".join(name + str(n).translate(SUBSCRIPTS) for name, n in amounts.items())
    assert parse_formula(subscripts, LETTERS) == parse_formula(text, LETTERS)


def test_a_letter_wins_over_an_element_but_not_inside_one():
    formula = parse_formula("KKrBBr", ["K", "B"])
    assert list(formula.amounts) == ["K", "Kr", "B", "Br"]
    assert list(parse_formula("RE2MoMO", ["RE", "M"]).amounts) == ["RE", "Mo", "M", "O"]
    assert list(parse_formula("M'M", ["M", "M'"]).amounts) == ["M'", "M"]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("A(3x)M(2-x)X6", 0, 2),
        ("A(3-2x)Ba(x)OI", 0, Fraction(3, 2)),
        ("A(2x-1)M(2-x)X6", Fraction(1, 2), 2),
        ("A(x)MX6", 0, None),
        ("KTaCl6", 0, None),
    ],
)
def test_limits_of_x(text, low, high):
    assert parse_formula(text, LETTERS).limits() == (low, high)


@given(amounts=st.dictionaries(names, amounts, min_size=1), x=fractions)
def test_inside_its_limits_no_amount_is_negative(amounts, x):
    formula = Formula("", amounts)
    try:
        low, high = formula.limits()
    except InvalidInput:
        assert any(amount.at(x) < 0 or not amount.slope for amount in amounts.values())
        return
    inside = low <= x and (high is None or x <= high)
    assert inside == all(amount.at(x) >= 0 for amount in amounts.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r'formula "", character 1: is empty'),
        ("A(3-x", r'character 2: "\(" is never closed'),
        ("Li2(OHCl", r'character 4: "\(" is never closed'),
        ("[Li(2]Cl", r'character 4: "\(" is never closed'),
        ("Li3)Cl", r'character 4: "\)" closes no bracket'),
        ("Li()Cl", r'character 4: "" is no amount'),
        ("Li([])Cl", r"character 4: nothing in these brackets"),
        ("Zz2Cl", r'character 1: "Zz" is no element symbol; did you mean Zr\?'),
        ("A2QX6", r'character 3: "Q" is no element symbol; .* explained under elements'),
        ("Li3M''Cl6", r"""character 4: "M''" is no element symbol"""),
        ("K(2-y)Cl", r'character 3: "2-y" is no amount; needed: a number or an expression'),
        ("K(x2)Cl", r'character 3: "x2" is no amount'),
        ("K(1/0)Cl", r'character 3: "1/0" is no amount'),
        ("K(2--x)Cl", r'character 3: "2--x" is no amount'),
        ("K(2x)(x)", r'"x" begins no element or letter'),
        ("(K(x)Cl)(1-x)", r"x times x"),
        ("kCl", r'character 1: "k" begins no element or letter; those begin with a capital'),
        ("K+Cl", r'character 2: "\+" is no amount'),
        ("K2·Cl", r'character 3: "·" where an element, a letter or a group was expected'),
    ],
)
def test_errors_name_the_place(text, message):
    with pytest.raises(InvalidInput, match=message):
        parse_formula(text, LETTERS)


def test_amounts_below_zero():
    formula = parse_formula("A(2+x)Zr(1-x)M(x)X6", LETTERS)
    with pytest.raises(InvalidInput, match=r"x = 1.5 makes the amount of Zr -0.5; .* 0 to 1"):
        formula.at(Fraction(3, 2))
    with pytest.raises(InvalidInput, match=r"the amount of K is 0; needed: more than 0"):
        parse_formula("K0Cl").limits()
    with pytest.raises(InvalidInput, match=r"one needs x <= 0.5, another x >= 1"):
        parse_formula("K(2x-2)Cl(1-2x)").limits()


@pytest.mark.parametrize(
    ("text", "ion"), [("Ta5+", ("Ta", 5)), ("K+", ("K", 1)), ("O2-", ("O", -2)), ("Y", ("Y", None))]
)
def test_ions(text, ion):
    assert parse_ion(text) == ion


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tantalum", r'"tantalum" is no ion; needed: an element or an element with its oxidation'),
        ("Ta5", r'"Ta5" is no ion'),
        ("Qq2+", r'"Qq" is no element symbol; did you mean'),
        ("K0+", r'"K0\+" has no charge'),
        ("", r'"" is no ion'),
    ],
)
def test_what_is_no_ion(text, message):
    with pytest.raises(InvalidInput, match=message):
        parse_ion(text)


@pytest.mark.parametrize("name", ["M", "M'", "M''", "Ln", "RE", "X"])
def test_names_of_choices(name):
    check_letter(name)


@pytest.mark.parametrize("name", ["", "m", "Mx", "M2", "M(", "'"])
def test_names_that_could_not_be_told_apart(name):
    with pytest.raises(InvalidInput, match="no name for a choice"):
        check_letter(name)


@given(n=st.integers(1, 48), data=st.data())
def test_rounded_fractions_are_read_as_meant(n, data):
    k = data.draw(st.integers(0, n))
    assert exact_fraction(round(k / n, 4)) == Fraction(k, n)
    assert exact_fraction(k / n) == Fraction(k, n)


@given(st.integers(0, 400))
def test_hundredths_are_what_they_are(n):
    assert exact_fraction(n / 100) == Fraction(n, 100)


@pytest.mark.parametrize(
    ("value", "fraction"),
    [
        (0.333, "1/3"),
        (0.6666, "2/3"),
        (0.6667, "2/3"),
        (0.083, "1/12"),
        (0.33, "33/100"),
        (0.0078125, "1/128"),
        (0.001, "1/1000"),
        (1e-7, "1/10000000"),
        (7, "7"),
    ],
)
def test_decimals(value, fraction):
    assert exact_fraction(value) == Fraction(fraction)
