"""Each guard, on the shipped references, whole and broken."""

import pytest

from screening.errors import MissingReference, MixedConventions
from screening.stability.assessment import assess_stability
from screening.stability.references import ReferencePhases

CHGNET = ReferencePhases.load("chgnet-0.3.0")
NAMES = ("one_convention", "metal_at_0_V", "reference_space", "depth")


def guards_of(name, ion, references=CHGNET, gain_eV_per_atom=0.0, **options):
    """Guards of a reference phase as the candidate, by name."""
    phase = next(p for p in CHGNET.phases if p.name == name)
    stability = assess_stability(
        phase.composition,
        phase.energy_eV_per_atom - gain_eV_per_atom,
        CHGNET.convention,
        references,
        ion,
        **options,
    )
    return {guard.name: guard for guard in stability.guards}, stability


def shifted(elements, shift_eV_per_atom):
    """The references with the energy of pure elements moved."""
    return CHGNET.model_copy(
        update={
            "phases": tuple(
                p.model_copy(
                    update={"energy_eV_per_atom": p.energy_eV_per_atom + shift_eV_per_atom}
                )
                if p.formula in elements
                else p
                for p in CHGNET.phases
            )
        }
    )


def without(chosen):
    return CHGNET.model_copy(update={"phases": tuple(p for p in CHGNET.phases if not chosen(p))})


@pytest.mark.parametrize(
    ("name", "ion"), [("KTaCl6", "K"), ("NaTaCl6", "Na"), ("Na3PS4", "Na"), ("Na3P", "Na")]
)
def test_all_guards_pass_on_sound_references(name, ion):
    guards, stability = guards_of(name, ion)
    assert tuple(guards) == NAMES
    assert all(guard.passed for guard in guards.values())
    assert not stability.suspect


def test_a_metal_that_is_not_its_lowest_phase_is_found():
    guards, stability = guards_of("KTaCl6", "K", shifted({"K"}, 0.5))
    assert not guards["metal_at_0_V"].passed
    assert "KCl -0.42" in guards["metal_at_0_V"].message
    assert "the reference of K is not its lowest phase" in guards["metal_at_0_V"].message
    assert stability.suspect


@pytest.mark.parametrize("shift_eV", [-0.614, 0.614])  # MP2020's correction of chloride
def test_a_halide_correction_that_is_missing_or_there_twice_is_found(shift_eV):
    guards, stability = guards_of("KTaCl6", "K", shifted({"Cl2"}, shift_eV))
    assert not guards["metal_at_0_V"].passed
    assert stability.suspect


def test_sulfides_are_judged_by_the_halides_of_their_metal():
    guards, _ = guards_of("Na3PS4", "Na")
    assert "NaCl +0.12" in guards["metal_at_0_V"].message
    guards, stability = guards_of("Na3PS4", "Na", shifted({"Na"}, 0.5))
    assert stability.suspect


def test_raw_halide_energies_are_not_held_against_experiment():
    guards, stability = guards_of("KTaCl6", "K", raw_halide_energies=True)
    assert guards["metal_at_0_V"].passed
    assert "not compared" in guards["metal_at_0_V"].message
    _, corrected = guards_of("KTaCl6", "K")
    # 0.614 eV a chlorine: the oxidation to Cl2 comes earlier by as much
    moved_V = stability.oxidation_limit_V - corrected.oxidation_limit_V
    assert moved_V == pytest.approx(-0.614, abs=1e-3)
    assert any("without MP2020's correction" in caveat for caveat in stability.caveats)


def test_a_cation_without_a_binary_competitor_is_found():
    chlorides_of_ta = without(lambda p: {e.symbol for e in p.composition} == {"Ta", "Cl"})
    guards, stability = guards_of("KTaCl6", "K", chlorides_of_ta)
    assert not guards["reference_space"].passed
    assert "no reference compound of Ta with Cl alone" in guards["reference_space"].message
    assert stability.suspect


def test_a_candidate_far_below_the_hull_is_found():
    assert guards_of("KTaCl6", "K", gain_eV_per_atom=0.049)[0]["depth"].passed
    guards, stability = guards_of("KTaCl6", "K", gain_eV_per_atom=0.051)
    assert not guards["depth"].passed
    assert guards["depth"].message.startswith("51 meV/atom below all reference phases")
    assert stability.suspect


def test_an_element_without_reference_is_an_error():
    with pytest.raises(MissingReference, match="K"):
        guards_of("KTaCl6", "K", without(lambda p: p.formula == "K"))


def test_two_conventions_are_an_error():
    phase = next(p for p in CHGNET.phases if p.name == "KTaCl6")
    vasp = CHGNET.convention.model_copy(update={"code": "vasp", "corrections": "MP2020"})
    with pytest.raises(MixedConventions, match="chgnet"):
        assess_stability(phase.composition, phase.energy_eV_per_atom, vasp, CHGNET, "K")
