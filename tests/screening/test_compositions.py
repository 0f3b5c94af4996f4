from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.compositions import likely_oxidation_states, neutral_compositions, whole_number_of
from screening.prototypes.library import load_prototype, prototype_names


def combine(prototype="k2ptcl6", ions=("K",), metals=("Ta",), fillings=(0.5,), states=None, n=1):
    return neutral_compositions(
        load_prototype(prototype), ions, metals, ("Cl",), fillings, states or {}, n
    )


def reasons(left_out):
    return {entry.formula: entry.reason for entry in left_out}


def test_half_filled_ktacl6_is_neutral_and_k2tacl6_is_not():
    neutral, left_out = combine(fillings=(0.5, 1.0))
    (composition,) = neutral
    assert composition.n_filled == 4
    assert composition.species["framework"].oxi_state == 5
    assert reasons(left_out) == {"K2TaCl6": "k2ptcl6: neutral only with Ta 4+; allowed: 5+"}


def test_oxidation_states_may_be_given():
    neutral, left_out = combine(fillings=(1.0,), states={"Ta": (4,)})
    assert neutral[0].species["framework"].oxi_state == 4
    assert not left_out


@given(
    prototype=st.sampled_from(prototype_names()),
    metals=st.lists(
        st.sampled_from(["Ta", "Zr", "Y", "Mg", "W", "Sn", "K"]), min_size=1, unique=True
    ),
    n_ions=st.lists(st.integers(1, 24), min_size=1, unique=True),
    n_cells=st.integers(1, 3),
)
@settings(deadline=None)
def test_every_combination_is_neutral_or_left_out(prototype, metals, n_ions, n_cells):
    host = load_prototype(prototype)
    n_mobile, n_framework, n_anion = (
        n_cells * host.n_sites(role) for role in ("mobile", "framework", "anion")
    )
    fillings = [n / n_mobile for n in n_ions if n <= n_mobile]
    neutral, left_out = combine(prototype, metals=metals, fillings=fillings, n=n_cells)
    assert len(neutral) + len(left_out) == len(metals) * len(fillings)
    for composition in neutral:
        charge = composition.species["framework"].oxi_state
        assert composition.n_filled + n_framework * charge - n_anion == 0
        assert charge in likely_oxidation_states(composition.species["framework"].symbol)


def test_a_filling_without_whole_ions():
    _, left_out = combine(fillings=(0.3,))
    assert reasons(left_out)["K0.6TaCl6"].startswith("k2ptcl6: 0.3 of 8 mobile sites is 2.4 ions")


def test_mean_charges_are_named_with_their_fraction():
    _, left_out = combine(fillings=(0.625,))
    assert reasons(left_out) == {"K5Ta4Cl24": "k2ptcl6: neutral only with Ta 4.75+; allowed: 5+"}


def test_an_element_has_one_role():
    _, left_out = combine(metals=("K",))
    assert reasons(left_out) == {"KCl3": "k2ptcl6: K would be framework and mobile"}


def test_an_element_of_unknown_charge():
    _, left_out = combine(metals=("F",))
    assert "no positive oxidation state of F is known" in left_out[0].reason


@given(n=st.integers(1, 400), data=st.data())
@settings(deadline=None)
def test_rounded_fractions_are_read_as_meant(n, data):
    k = data.draw(st.integers(1, n))
    assert whole_number_of(round(k / n, 4), n) == k


@pytest.mark.parametrize(("fraction", "n"), [(0.3, 8), (1e-4, 8), (0.49, 8)])
def test_fractions_that_mean_no_whole_number(fraction, n):
    assert whole_number_of(fraction, n) is None


def test_thirds():
    assert whole_number_of(0.333, 12) == 4
    assert whole_number_of(float(Fraction(2, 3)), 12) == 8
