import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_systems import snapshot
from pymatgen.analysis.compatibility import MaterialsProject2020Compatibility
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from screening.documents import EnergyConvention
from screening.errors import MissingCorrection
from screening.stability.corrections import (
    halide_anions,
    halide_correction_eV_per_atom,
    require_corrections,
    without_halide_corrections,
)
from screening.stability.references import ReferencePhases

CORRECTED = EnergyConvention(
    code="vasp", functional="PBE/PBE+U", corrections="MP2020", potential="MP legacy PBE POTCARs"
)
UPSTREAM = MaterialsProject2020Compatibility(check_potcar=False)
# fmt: off
HALIDES = [
    "KCl", "NaF", "LiBr", "CsI", "TaCl5", "TaCl4", "Ta6Cl15", "K4Ta6Cl18", "KTaCl6", "K2TaCl6",
    "SmCl2", "LaCl3", "Na3LaCl6", "LaCl", "Gd2Cl3", "K2ZrCl3Br3", "KTaCl5F", "K3OCl", "Li2OHCl",
    "KOH", "K2O", "Na3PS4", "Na6PS5Cl", "Li6PS5I", "TaOCl3", "NbOCl2", "BiOCl", "LaOCl", "POCl3",
    "SOCl2", "NH4Cl", "ZrNCl", "YSCl", "Na3SO4Cl", "KClO4", "NaClO3", "KIO3", "I2O5", "ICl", "BrF5",
    "CsICl2", "PCl5", "SCl2", "WCl6",
]
# fmt: on
LOST_UPSTREAM = ("K2Ta4OCl10", "Ca5P3O12Cl")  # whose charges it cannot guess


def upstream_eV_per_atom(formula):
    """What pymatgen adds for the halides of a composition."""
    entry = ComputedEntry(
        Composition(formula), 0.0, parameters={"run_type": "GGA", "software": "none"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        added = UPSTREAM.get_adjustments(entry)
    halides = [a for a in added if a.name.endswith(("(F)", "(Cl)", "(Br)", "(I)"))]
    return sum(a.value for a in halides) / entry.composition.num_atoms


@pytest.mark.parametrize("formula", HALIDES)
def test_the_correction_is_what_upstream_adds(formula):
    ours = halide_correction_eV_per_atom(Composition(formula))
    assert ours == pytest.approx(upstream_eV_per_atom(formula), abs=1e-12)


@pytest.mark.parametrize("formula", LOST_UPSTREAM)
def test_what_upstream_loses_without_a_word_is_found(formula):
    composition = Composition(formula)
    assert upstream_eV_per_atom(formula) == 0
    expected = -0.614 * composition.get_atomic_fraction("Cl")
    assert halide_correction_eV_per_atom(composition) == pytest.approx(expected, abs=1e-12)


@given(
    amounts=st.tuples(*[st.integers(1, 9)] * 3),
    scale=st.floats(0.1, 30),
    halogens=st.sampled_from([("F", "Cl"), ("Cl", "Br"), ("Br", "I"), ("Cl", "I")]),
)
def test_the_correction_is_intensive_and_a_mean_over_the_anions(amounts, scale, halogens):
    n_first, n_second, n_excess = amounts
    charge = n_first + n_second
    composition = Composition({"K": charge + n_excess, halogens[0]: n_first, halogens[1]: n_second})
    single = [
        halide_correction_eV_per_atom(Composition({"K": 1, halogen: 1})) * 2 for halogen in halogens
    ]
    expected = (n_first * single[0] + n_second * single[1]) / composition.num_atoms
    assert halide_correction_eV_per_atom(composition) == pytest.approx(expected, rel=1e-12)
    assert halide_correction_eV_per_atom(composition * scale) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "anions"),
    [("KClO4", ""), ("BrF5", "F"), ("ICl3", "Cl"), ("Cl2", ""), ("K3OCl", "Cl"), ("CsIBr2", "Br")],
)
def test_only_halogens_that_take_electrons_are_anions(formula, anions):
    composition = Composition(formula).add_charges_from_oxi_state_guesses()
    assert halide_anions(composition) == set(anions.split())


def test_without_corrections_only_the_halides_change():
    assert without_halide_corrections(Composition("KCl"), -3.7) == pytest.approx(-3.7 + 0.307)
    assert without_halide_corrections(Composition("K2O"), -3.0) == -3.0
    assert without_halide_corrections(Composition("Cl2"), -1.9) == -1.9


def corrected(corrections_eV_per_atom: dict[str, float | None]) -> ReferencePhases:
    references = snapshot(dict.fromkeys(corrections_eV_per_atom, -1.0))
    phases = tuple(
        phase.model_copy(update={"correction_eV_per_atom": corrections_eV_per_atom.get(phase.name)})
        for phase in references.phases
    )
    return references.model_copy(update={"phases": phases, "convention": CORRECTED})


def test_phases_that_hold_their_corrections_pass():
    require_corrections(
        corrected(
            {
                "KCl": -0.307,
                "K2O": -0.687 / 3,
                "K3OCl": -(0.614 + 0.687) / 5,
                "KCl3": None,  # too little K for three chlorides: upstream may leave it as it is
                "FeOCl": -(0.614 + 0.687 + 2.256) / 3,
                "Na3PS4": -4 * 0.503 / 8,
                "Na6PS5Cl": -(5 * 0.503 + 0.614) / 13,
            }
        )
    )


@pytest.mark.parametrize(
    ("lost", "complaint"),
    [
        ({"KCl": 0.0}, r"KCl holds 0\.000 eV/atom and needs -0\.307 for Cl"),
        ({"KCl": None}, "KCl holds none and needs -0.307"),
        ({"K3OCl": -0.687 / 5}, r"K3OCl holds -0\.137 eV/atom and needs -0\.123 for Cl"),
        ({"K2ZrCl3Br3": -3 * 0.614 / 9}, r"needs -0\.383 for Br, Cl"),
        ({"FeOCl": -(0.687 + 2.256) / 3}, "FeOCl holds"),
        ({"K2Ta4OCl10": -0.687 / 17, "KCl": -0.307}, "halides without.*: K2Ta4OCl10 holds"),
    ],
)
def test_a_lost_correction_is_refused_and_named(lost, complaint):
    with pytest.raises(MissingCorrection, match=complaint):
        require_corrections(corrected(lost))


def test_many_lost_corrections_are_counted():
    lost = {f"KCl{'' if i == 0 else chr(39) * i}": 0.0 for i in range(13)}
    with pytest.raises(MissingCorrection, match="and 3 more"):
        require_corrections(corrected(lost))


def test_a_potential_that_has_learned_them_needs_none():
    shipped = ReferencePhases.load("chgnet-0.3.0")
    assert "inside the potential" in shipped.convention.corrections
    require_corrections(shipped)
