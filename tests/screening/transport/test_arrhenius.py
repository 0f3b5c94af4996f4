"""The Arrhenius law: recovered when exact, honest when data are few."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy import constants

from screening.errors import InvalidInput
from screening.transport.arrhenius import fit_arrhenius
from screening.transport.documents import Arrhenius, Diffusivity
from screening.units import BOLTZMANN_EV_PER_K

TEMPERATURES_K = (600.0, 700.0, 850.0, 1000.0)


def value(temperature_K, D_cm2_s, ln_error=0.1):
    reach = np.exp(ln_error)
    return Diffusivity(
        species="K",
        temperature_K=temperature_K,
        duration_ps=40.0,
        n_hops=100.0,
        D_cm2_s=D_cm2_s,
        D_68_cm2_s=(D_cm2_s / reach, D_cm2_s * reach),
        D_95_cm2_s=(D_cm2_s / reach**2, D_cm2_s * reach**2),
    )


def bound(temperature_K, bound_cm2_s=1e-7):
    return Diffusivity(
        species="K",
        temperature_K=temperature_K,
        duration_ps=40.0,
        n_hops=0.0,
        upper_bound_cm2_s=bound_cm2_s,
        reason="0.0 hops",
    )


def law(temperature_K, ea_eV=0.35, d0_cm2_s=1e-3):
    return d0_cm2_s * np.exp(-ea_eV / (BOLTZMANN_EV_PER_K * temperature_K))


def fit(entries, **kwargs):
    return fit_arrhenius(entries, **{"n_mobile": 4, "volume_A3": 1000.0, **kwargs})


@given(
    ea_eV=st.floats(0.05, 1.5),
    log10_d0=st.floats(-6, 0),
    ln_errors=st.lists(st.floats(0.01, 0.5), min_size=4, max_size=4),
)
def test_fit_recovers_the_law_it_was_given(ea_eV, log10_d0, ln_errors):
    points = zip(TEMPERATURES_K, ln_errors, strict=True)
    answer = fit([value(t, law(t, ea_eV, 10**log10_d0), error) for t, error in points])
    assert answer.activation_energy_eV == pytest.approx(ea_eV, rel=1e-6, abs=0)
    assert answer.prefactor_cm2_s == pytest.approx(10**log10_d0, rel=1e-6, abs=0)
    assert answer.D_300K_cm2_s == pytest.approx(law(300, ea_eV, 10**log10_d0), rel=1e-6, abs=0)
    assert answer.reason is None


def test_conductivity_is_nernst_einstein():
    answer = fit([value(t, law(t)) for t in TEMPERATURES_K], n_mobile=8, volume_A3=500.0, charge=2)
    carriers_per_m3 = 8 / 500e-30
    D_m2_s = law(300.0) * 1e-4
    S_m = carriers_per_m3 * (2 * constants.e) ** 2 * D_m2_s / (constants.k * 300)
    assert answer.conductivity_300K_S_cm == pytest.approx(S_m / 100, rel=1e-9, abs=0)
    low, high = answer.conductivity_300K_68_S_cm
    assert low < answer.conductivity_300K_S_cm < high
    assert high / low == pytest.approx(
        answer.D_300K_68_cm2_s[1] / answer.D_300K_68_cm2_s[0], rel=1e-12
    )


def test_order_does_not_matter_and_bounds_are_not_used():
    entries = [value(t, law(t) * f) for t, f in zip(TEMPERATURES_K, (1, 1.1, 0.9, 1), strict=True)]
    shuffled = fit([bound(300.0), *entries[::-1], bound(500.0)])
    assert shuffled.activation_energy_eV == pytest.approx(fit(entries).activation_energy_eV)


def test_errors_halve_the_interval_when_they_halve():
    def half_width(ln_error):
        low, high = fit(
            [value(t, law(t), ln_error) for t in TEMPERATURES_K]
        ).activation_energy_68_eV
        return (high - low) / 2

    assert half_width(0.1) == pytest.approx(half_width(0.2) / 2, rel=1e-9, abs=0)


def test_intervals_cover():
    rng = np.random.default_rng(7)
    errors = np.array([0.3, 0.2, 0.1, 0.05])
    covered = np.zeros(2)
    for _ in range(400):
        noise = np.exp(rng.normal(scale=errors))
        answer = fit(
            [value(t, law(t) * f, e) for t, f, e in zip(TEMPERATURES_K, noise, errors, strict=True)]
        )
        low_eV, high_eV = answer.activation_energy_68_eV
        low_cm2_s, high_cm2_s = answer.D_300K_68_cm2_s
        covered += [low_eV <= 0.35 <= high_eV, low_cm2_s <= law(300.0) <= high_cm2_s]
    assert np.all((covered / 400 > 0.62) & (covered / 400 < 0.74))


def test_points_off_the_line_widen_the_intervals():
    def half_width(factor):
        entries = [value(t, law(t)) for t in TEMPERATURES_K]
        entries[1] = value(TEMPERATURES_K[1], law(TEMPERATURES_K[1]) * factor)
        low, high = fit(entries).activation_energy_68_eV
        return (high - low) / 2

    assert half_width(1.1) == pytest.approx(half_width(1.0), rel=1e-9)
    assert half_width(3.0) > 3 * half_width(1.0)


def test_two_temperatures_give_a_line_without_error_bars():
    answer = fit([value(600.0, law(600.0)), value(900.0, law(900.0)), bound(400.0)])
    assert answer.activation_energy_eV == pytest.approx(0.35, rel=1e-9)
    assert answer.conductivity_300K_S_cm > 0
    assert answer.activation_energy_68_eV is None
    assert answer.D_300K_68_cm2_s is None
    assert answer.conductivity_300K_68_S_cm is None
    assert answer.reason == "2 of 3 temperatures carry a diffusivity; error bars need 3"


def test_a_moving_framework_does_not_enter_the_law_of_the_crystal():
    crystal = [value(600.0, law(600.0)), value(800.0, law(800.0))]
    melt = value(1000.0, 50 * law(1000.0)).model_copy(update={"framework_moves": True})
    answer = fit([*crystal, melt])
    assert answer.activation_energy_eV == pytest.approx(0.35, rel=1e-9)
    assert answer.reason == (
        "2 of 3 temperatures carry a diffusivity (not counting 1000 K, where the framework moves); "
        "error bars need 3"
    )


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "0 of 0 temperatures"),
        ([bound(600.0), bound(800.0)], "0 of 2 temperatures"),
        ([value(800.0, 1e-6), bound(600.0)], "1 of 2 temperatures"),
        ([value(800.0, 1e-6), value(800.0, 2e-6)], "1 of 1 temperatures"),
    ],
)
def test_fewer_give_nothing_but_the_reason(entries, reason):
    answer = fit(entries)
    assert answer == Arrhenius(
        reason=f"{reason} carry a diffusivity; a line needs 2, its error bars 3"
    )


@pytest.mark.parametrize("wrong", [{"n_mobile": 0}, {"volume_A3": float("nan")}, {"charge": -1}])
def test_senseless_cells_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(InvalidInput, match=f"{name}=.* must be positive"):
        fit([value(t, law(t)) for t in TEMPERATURES_K], **wrong)


def test_values_that_cannot_be_weighed_are_refused():
    entries = [value(t, law(t)) for t in TEMPERATURES_K]
    bare = entries[0].model_copy(update={"D_68_cm2_s": None})
    with pytest.raises(InvalidInput, match="D at 600 K has no 68 % interval"):
        fit([bare, *entries[1:]])
    exact = entries[0].model_copy(update={"D_68_cm2_s": (1e-6, 1e-6), "D_cm2_s": 1e-6})
    with pytest.raises(InvalidInput, match="D at 600 K is 1e-06 in 1e-06 to 1e-06"):
        fit([exact, *entries[1:]])
