import json

import pytest
from invented_systems import INVENTED, snapshot
from pymatgen.core import Composition

from screening.errors import (
    EnergyNotFinite,
    InvalidInput,
    MissingReference,
    MixedConventions,
    UnusableStructure,
)
from screening.stability.assessment import assess_stability
from screening.stability.documents import Stability

KJ_PER_MOL_PER_EV = 96.48533
CHLORIDES = {"KCl": -4.0, "TaCl5": -8.0}  # eV per formula unit, elements at zero


def assess(formula, energy_eV, references, mobile_ion="K"):
    composition = Composition(formula)
    return assess_stability(
        composition, energy_eV / composition.num_atoms, INVENTED, references, mobile_ion
    )


def test_rock_salt_from_its_enthalpy_of_formation():
    # CRC Handbook: NaCl, -411.2 kJ/mol, hence 4.26 V against sodium
    energy_eV = -411.2 / KJ_PER_MOL_PER_EV
    stability = assess("NaCl", energy_eV, snapshot({"Na": 0.0, "Cl2": 0.0}), "Na")
    assert stability.oxidation_limit_V == pytest.approx(4.262, abs=1e-3)
    assert stability.window.oxidation.products == ("Cl2",)
    assert stability.window.oxidation.reaction == "NaCl -> 0.5 Cl2 + Na"
    assert stability.reduction_limit_V == 0.0
    assert stability.window.reduction.products == ("Na",)
    assert stability.window.reduction.reaction == "Na+ + e- -> Na"
    assert stability.formation_energy_eV_per_atom == pytest.approx(energy_eV / 2)
    assert stability.window_of == "candidate"


def test_stable_ternary_by_hand():
    stability = assess("KTaCl6", -12.32, snapshot(CHLORIDES))
    assert stability.e_hull_eV_per_atom == 0.0
    # KCl + TaCl5 -> KTaCl6 gains 0.32 eV over eight atoms
    assert stability.energy_below_competitors_eV_per_atom == pytest.approx(0.04)
    assert stability.decomposition == {"KCl": 1.0, "TaCl5": 1.0}
    # KTaCl6 -> TaCl5 + Cl2/2 + K: 12.32 - 8
    assert stability.oxidation_limit_V == pytest.approx(4.32)
    assert stability.window.oxidation.reaction == "KTaCl6 -> 0.5 Cl2 + TaCl5 + K"
    # KTaCl6 + 5 K -> 6 KCl + Ta: (24 - 12.32) / 5
    assert stability.reduction_limit_V == pytest.approx(2.336)
    assert stability.window.reduction.reaction == "KTaCl6 + 5 K -> 6 KCl + Ta"
    assert stability.window.oxidation.products == ("Cl2", "TaCl5")
    assert stability.window.reduction.products == ("KCl", "Ta")
    assert stability.window_of == "candidate"
    alone, unknown_error = stability.caveats
    assert alone.startswith("no reference phase contains Cl, K, Ta together")
    assert unknown_error.startswith("no error bar on some limits: the reference phases hold 2")


def test_metastable_candidate_has_the_window_of_its_equilibrium():
    stability = assess("KTaCl6", -11.92, snapshot(CHLORIDES))
    assert stability.e_hull_eV_per_atom == pytest.approx(0.01)
    assert stability.energy_below_competitors_eV_per_atom == pytest.approx(-0.01)
    assert stability.decomposition == {"KCl": 1.0, "TaCl5": 1.0}
    assert stability.window_of == "equilibrium"
    assert stability.oxidation_limit_V == pytest.approx(4.0)  # KCl -> K + Cl2/2
    assert stability.reduction_limit_V == pytest.approx(2.4)  # TaCl5 + 5 K -> 5 KCl + Ta


def test_composition_inside_a_three_phase_field_has_a_window_of_zero_width():
    stability = assess("K2TaCl6", -13.0, snapshot(CHLORIDES))
    assert stability.reduction_limit_V == stability.oxidation_limit_V == pytest.approx(2.4)
    assert stability.decomposition == {"KCl": 2.0, "Ta": 0.2, "TaCl5": 0.8}
    assert stability.window.reduction.reaction == "TaCl5 + 5 K -> 5 KCl + Ta"
    assert stability.window.oxidation.reaction == "5 KCl + Ta -> TaCl5 + 5 K"
    assert any("window of zero width" in caveat for caveat in stability.caveats)


def test_composition_richer_in_metal_than_any_compound_lies_at_zero_volts():
    stability = assess("K3Cl", -1.0, snapshot({"KCl": -4.0}))
    assert stability.reduction_limit_V == stability.oxidation_limit_V == 0.0
    assert stability.window.reduction.products == ("K",)
    own = stability.candidate_window  # K3Cl -> KCl + 2 K gains 3 eV
    assert own.oxidation.reaction == "K3Cl -> KCl + 2 K"
    assert own.oxidation.potential_V == pytest.approx(-1.5)


def test_a_polymorph_competes_for_the_hull_but_is_no_reaction_product():
    references = snapshot({**CHLORIDES, "KTaCl6": -12.32})
    above = assess("K2Ta2Cl12", -24.48, references)
    assert above.e_hull_eV_per_atom == pytest.approx(0.01)
    assert above.decomposition == {"KTaCl6": 1.0}
    assert above.energy_below_competitors_eV_per_atom == pytest.approx(0.03)  # KCl + TaCl5
    assert above.window_of == "equilibrium"
    assert above.equilibrium_window.oxidation.potential_V == pytest.approx(4.32)
    assert above.candidate_window.oxidation.potential_V == pytest.approx(4.24)
    below = assess("K2Ta2Cl12", -24.80, references)
    assert below.e_hull_eV_per_atom == 0
    assert below.decomposition == {"KCl": 1.0, "TaCl5": 1.0}
    assert below.energy_below_competitors_eV_per_atom == pytest.approx(0.05)
    assert below.window_of == "candidate"
    assert below.oxidation_limit_V == pytest.approx(4.4)


def test_a_polymorph_that_is_no_reference_competes_alike():
    with_reference = assess("KTaCl6", -12.24, snapshot({**CHLORIDES, "KTaCl6": -12.32}))
    beside = assess_stability(
        Composition("KTaCl6"),
        -12.24 / 8,
        INVENTED,
        snapshot(CHLORIDES),
        "K",
        polymorph_energy_eV_per_atom=-12.32 / 8,
    )
    kept = {"guards", "references_sha256", "caveats"}
    assert beside.model_dump(exclude=kept) == with_reference.model_dump(exclude=kept)
    higher = assess_stability(
        Composition("KTaCl6"),
        -12.24 / 8,
        INVENTED,
        snapshot(CHLORIDES),
        "K",
        polymorph_energy_eV_per_atom=-12.2 / 8,
    )
    assert higher == assess("KTaCl6", -12.24, snapshot(CHLORIDES))


def test_a_metastable_candidate_has_narrower_limits_of_its_own():
    stability = assess("KTaCl6", -11.92, snapshot(CHLORIDES))  # 0.08 eV above KCl + TaCl5
    own = stability.candidate_window
    assert own.oxidation.potential_V == pytest.approx(4.0 - 0.08)
    assert own.oxidation.reaction == "KTaCl6 -> 0.5 Cl2 + TaCl5 + K"
    assert own.reduction.potential_V == pytest.approx(2.4 + 0.08 / 5)
    assert stability.equilibrium_window.oxidation.reaction == "KCl -> 0.5 Cl2 + K"


def test_the_steps_of_a_profile_by_hand():
    profile = assess("KTaCl6", -12.32, snapshot(CHLORIDES)).profile
    assert profile.oxidized == {"Cl2": 0.5, "TaCl5": 1.0}
    high, low = profile.steps
    assert high.reaction == "0.5 Cl2 + TaCl5 + K -> KTaCl6"
    assert high.products == {"KTaCl6": 1.0}
    # one electron a formula unit of 432.78 g/mol: 26801.4 mAh/mol
    assert high.capacity_mAh_g == pytest.approx(26801.4 / 432.78, rel=1e-4)
    assert high.energy_Wh_kg == pytest.approx(4.32 * 26801.4 / 432.78, rel=1e-4)
    assert high.reaction_energy_eV == pytest.approx(0, abs=1e-9)
    assert low.products == {"KCl": 6.0, "Ta": 1.0}
    assert low.n_metal == 6
    assert low.capacity_mAh_g == pytest.approx(5 * 26801.4 / 432.78, rel=1e-4)
    assert low.reaction_energy_eV == pytest.approx(-24 + 12.32)


def test_driving_force_is_zero_inside_the_window_and_grows_outside():
    profile = assess("KTaCl6", -12.32, snapshot(CHLORIDES)).profile
    potentials_V, energies_eV = (
        profile.decomposition_potentials_V,
        profile.decomposition_energies_eV_per_atom,
    )
    assert potentials_V == pytest.approx((-0.5, 0.0, 2.336, 4.32, 7.0))
    # per atom of eight; five K taken up below, one given off above
    expected = (-5 * (2.336 + 0.5) / 8, -5 * 2.336 / 8, 0, 0, -(7 - 4.32) / 8)
    assert energies_eV == pytest.approx(expected, abs=1e-9)


def test_a_candidate_on_the_hull_counts_as_stable():
    same = assess("KTaCl6", -12.32, snapshot({**CHLORIDES, "KTaCl6": -12.32}))
    assert same.window_of == "candidate"
    assert same.oxidation_limit_V == pytest.approx(4.32)


def test_voltages_do_not_depend_on_the_zero_of_the_energies():
    shift_eV = {"K": -1.1, "Ta": -11.9, "Cl": -1.9}

    def shifted(formula, energy_eV):
        return energy_eV + sum(shift_eV[e.symbol] * n for e, n in Composition(formula).items())

    energies_eV = {"K": 0.0, "Ta": 0.0, "Cl": 0.0, **CHLORIDES}
    references = snapshot({f: shifted(f, e) for f, e in energies_eV.items()})
    stability = assess("KTaCl6", shifted("KTaCl6", -12.32), references)
    assert stability.oxidation_limit_V == pytest.approx(4.32)
    assert stability.reduction_limit_V == pytest.approx(2.336)
    assert stability.formation_energy_eV_per_atom == pytest.approx(-12.32 / 8)


def test_survives_a_round_trip_through_json():
    stability = assess("KTaCl6", -12.32, snapshot(CHLORIDES))
    assert Stability.model_validate_json(stability.model_dump_json()) == stability
    json.dumps(stability.model_dump(mode="json"), allow_nan=False)


def test_caveats_of_elements_and_of_products_are_handed_on():
    references = snapshot(
        {**CHLORIDES, "Sm": 0.0},
        caveats={"TaCl5": ("molecular",), "Sm": ("not formed here",)},
        element_caveats={"Ta": "heavy", "Sm": "not in this system"},
    )
    caveats = assess("KTaCl6", -11.92, references).caveats
    assert "heavy" in caveats
    assert "molecular" in caveats
    assert not {"not formed here", "not in this system"} & set(caveats)


def test_mixed_conventions_are_refused():
    other = INVENTED.model_copy(update={"potential": "pbe", "corrections": "MP2020"})
    with pytest.raises(
        MixedConventions,
        match=r"is of pbe, the reference phases' of by hand.*corrections: 'MP2020' against 'none'",
    ):
        assess_stability(Composition("KTaCl6"), -1.0, other, snapshot(CHLORIDES), "K")


def test_an_element_without_reference_is_refused():
    with pytest.raises(MissingReference, match="of Br for the system Br-K-Ta; the snapshot knows"):
        assess("KTaBr6", -12.0, snapshot(CHLORIDES))


@pytest.mark.parametrize("energy_eV", [float("nan"), float("inf")])
def test_an_energy_that_is_no_number_is_refused(energy_eV):
    with pytest.raises(EnergyNotFinite, match=r"the energy of KTaCl6 is (nan|inf) eV/atom"):
        assess("KTaCl6", energy_eV, snapshot(CHLORIDES))


@pytest.mark.parametrize("mobile_ion", ["Mg", "Cl", "potassium"])
def test_only_alkali_metals_have_a_window_here(mobile_ion):
    with pytest.raises(InvalidInput, match=f"Li, Na, K, Rb, Cs, not '{mobile_ion}'"):
        assess("KTaCl6", -12.0, snapshot(CHLORIDES), mobile_ion)


@pytest.mark.parametrize("formula", ["TaCl5", "K"])
def test_a_candidate_needs_the_mobile_ion_and_another_element(formula):
    with pytest.raises(UnusableStructure, match=f"{formula} needs K and another element"):
        assess(formula, -1.0, snapshot(CHLORIDES))
