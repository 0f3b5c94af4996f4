"""The Arrhenius law: recovered when exact, honest when data are few."""

import hypothesis.strategies as st
import numpy as np
import pytest
from arrhenius_data import LAW_EV, TEMPERATURES_K, bound, law, melted, value
from hypothesis import given, settings
from scipy import constants, stats

from screening.errors import InvalidInput, UnusableRun
from screening.transport.arrhenius import arrhenius_band, arrhenius_line, fit_arrhenius
from screening.transport.arrhenius_points import arrhenius_points
from screening.transport.documents import Arrhenius
from screening.units import BOLTZMANN_EV_PER_K


def fit(entries, **kwargs):
    return fit_arrhenius(entries, **{"n_mobile": 4, "volume_A3": 1000.0, **kwargs})


def exact(ln_error=0.1):
    return [value(t, law(t), ln_error) for t in TEMPERATURES_K]


def half_width(interval):
    low, high = interval
    return (high - low) / 2


@settings(max_examples=25)
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
    assert answer.law.holds


def test_good_data_get_the_errors_of_a_weighted_linear_regression():
    """Peer: `numpy.polyfit` with known errors; only the doubt about the line adds a little."""
    temperatures_K = np.linspace(500.0, 1200.0, 12)
    errors = np.tile([0.05, 0.1, 0.2], 4)
    noise = errors * np.tile([0.9, -1.1, 1.0, -0.8], 3)
    answer = fit(
        [
            value(t, law(t) * np.exp(n), e)
            for t, n, e in zip(temperatures_K, noise, errors, strict=True)
        ]
    )
    x = -1 / (BOLTZMANN_EV_PER_K * temperatures_K)
    y = np.log(law(temperatures_K)) + noise
    (slope_eV, intercept), covariance = np.polyfit(x, y, 1, w=1 / errors, cov="unscaled")
    errors_eV = np.sqrt(covariance[0, 0])
    assert answer.activation_energy_eV == pytest.approx(slope_eV, abs=0.1 * errors_eV)
    assert 1.0 <= half_width(answer.activation_energy_68_eV) / errors_eV < 1.06
    assert 1.96 <= half_width(answer.activation_energy_95_eV) / errors_eV < 2.15
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert answer.correlation_Ea_ln_D0 == pytest.approx(correlation, abs=0.01)
    x_room = -1 / (BOLTZMANN_EV_PER_K * 300)
    error_300K = np.sqrt([x_room, 1] @ covariance @ [x_room, 1])
    reach = half_width(np.log(answer.D_300K_68_cm2_s))
    assert 1.0 <= reach / error_300K < 1.06
    assert np.log(answer.D_300K_cm2_s) == pytest.approx(
        slope_eV * x_room + intercept, abs=0.1 * error_300K
    )


def test_both_conventions_are_those_of_fits_by_hand():
    answer = fit(exact())
    T_K = np.array(TEMPERATURES_K)
    x = -1 / (BOLTZMANN_EV_PER_K * T_K)
    ln_sigma = np.log(law(T_K) / T_K)
    assert answer.activation_energy_eV == pytest.approx(
        np.polyfit(x, ln_sigma + np.log(T_K), 1)[0], rel=1e-9, abs=0
    )
    assert answer.activation_energy_ln_sigma_eV == pytest.approx(
        np.polyfit(x, ln_sigma, 1)[0], rel=1e-9, abs=0
    )
    shift_eV = answer.activation_energy_eV - answer.activation_energy_ln_sigma_eV
    assert BOLTZMANN_EV_PER_K * 600 < shift_eV < BOLTZMANN_EV_PER_K * 1000
    assert answer.activation_energy_ln_sigma_68_eV[0] == pytest.approx(
        answer.activation_energy_68_eV[0] - shift_eV, rel=1e-9
    )


def test_conductivity_is_nernst_einstein():
    answer = fit(exact(), n_mobile=8, volume_A3=500.0, charge=2)
    carriers_per_m3 = 8 / 500e-30
    D_m2_s = law(300.0) * 1e-4
    S_m = carriers_per_m3 * (2 * constants.e) ** 2 * D_m2_s / (constants.k * 300)
    assert answer.conductivity_300K_S_cm == pytest.approx(S_m / 100, rel=1e-6, abs=0)
    assert answer.conductivity_300K_mS_cm == pytest.approx(S_m * 10, rel=1e-6, abs=0)
    assert answer.carriers_per_cm3 == pytest.approx(1.6e22, rel=1e-12, abs=0)
    assert (answer.charge, "n z² e² D / (kB T)" in answer.conductivity_formula) == (2, True)
    for sigma, D in (
        (answer.conductivity_300K_68_S_cm, answer.D_300K_68_cm2_s),
        (answer.conductivity_300K_95_S_cm, answer.D_300K_95_cm2_s),
    ):
        assert sigma[0] < answer.conductivity_300K_S_cm < sigma[1]
        assert sigma[1] / sigma[0] == pytest.approx(D[1] / D[0], rel=1e-12)


def test_order_does_not_matter():
    factors = (1, 1.1, 0.9, 1)
    entries = [value(t, law(t) * f) for t, f in zip(TEMPERATURES_K, factors, strict=True)]
    entries.append(bound(450.0, law(450.0)))
    assert fit(entries[::-1]) == fit(entries)


def test_errors_halve_the_interval_when_they_halve():
    widths = [half_width(fit(exact(error)).activation_energy_68_eV) for error in (0.05, 0.1, 0.2)]
    assert widths[0] / widths[1] == pytest.approx(0.5, rel=0.1)
    assert widths[1] / widths[2] == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("dof", [3.0, 12.0, np.inf])
def test_scale_and_degrees_of_freedom_are_read_off_the_intervals(dof):
    values = arrhenius_points([value(700.0, 1e-6, 0.2, dof)]).log_values()
    assert values.dof[0] == pytest.approx(dof, rel=0.02)
    assert values.scale[0] == pytest.approx(0.2 / stats.t.ppf(0.84135, dof), rel=1e-3)
    lopsided = value(700.0, 1e-6).model_copy(update={"D_68_cm2_s": (0.5e-6, 1.1e-6)})
    sides = arrhenius_points([lopsided]).log_values()
    assert sides.below[0] / sides.above[0] == pytest.approx(np.log(2) / np.log(1.1), rel=1e-6)


@pytest.mark.parametrize("dof", [np.inf, 12])
def test_intervals_cover(dof):
    rng = np.random.default_rng(7)
    errors = np.array([0.3, 0.2, 0.1, 0.05])
    covered = np.zeros((2, 2))
    noise = errors * (
        rng.normal(size=(120, 4)) if np.isinf(dof) else rng.standard_t(dof, size=(120, 4))
    )
    for factors in np.exp(noise):
        one_sigma = errors * stats.t.ppf(0.84135, dof)
        data = zip(TEMPERATURES_K, factors, one_sigma, strict=True)
        answer = fit([value(t, law(t) * f, e, dof) for t, f, e in data])
        for row, (truth, *intervals) in enumerate(
            (
                (LAW_EV, answer.activation_energy_68_eV, answer.activation_energy_95_eV),
                (law(300.0), answer.D_300K_68_cm2_s, answer.D_300K_95_cm2_s),
            )
        ):
            covered[row] += [low <= truth <= high for low, high in intervals]
    assert np.all((covered[:, 0] / 120 > 0.58) & (covered[:, 0] / 120 < 0.80))
    assert np.all(covered[:, 1] / 120 > 0.91)


def test_points_off_the_line_widen_the_intervals():
    def width(factor):
        entries = exact()
        entries[1] = value(TEMPERATURES_K[1], law(TEMPERATURES_K[1]) * factor)
        return half_width(fit(entries).activation_energy_68_eV)

    assert width(1.1) == pytest.approx(width(1.0), rel=0.1)
    assert width(3.0) > 3 * width(1.0)
    entries = exact()
    entries[1] = value(TEMPERATURES_K[1], law(TEMPERATURES_K[1]) * 3)
    assert fit(entries).scatter_ln_D > 5 * fit(exact()).scatter_ln_D


def test_a_bound_far_above_the_line_says_nothing():
    far = fit([*exact(), bound(400.0, 1e3 * law(400.0))])
    near = fit(exact())
    assert far.activation_energy_eV == pytest.approx(near.activation_energy_eV, rel=1e-3)
    assert far.activation_energy_68_eV == pytest.approx(near.activation_energy_68_eV, rel=1e-2)


def test_a_bound_that_cuts_the_posterior_raises_ea_and_narrows_the_extrapolation():
    cut = fit([*exact(0.3), bound(400.0, law(400.0))])
    plain = fit(exact(0.3))
    assert cut.activation_energy_eV > plain.activation_energy_eV
    assert cut.D_300K_95_cm2_s[1] < plain.D_300K_95_cm2_s[1] / 2
    assert cut.notes == ("as censored data: the upper bounds at 400 K",)


def test_coverage_with_bounds_from_runs_of_too_few_hops():
    """Poisson counts of hops; fewer than ten give a bound, as a run does."""
    rng = np.random.default_rng(11)
    temperatures_K = np.array([400.0, 500.0, 600.0, 700.0, 900.0])
    D_cm2_s = law(temperatures_K)
    D_of_a_hop = D_cm2_s[-1] / 120  # two hundred hops at 900 K
    covered = []
    while len(covered) < 100:
        entries = []
        for t, n in zip(temperatures_K, rng.poisson(D_cm2_s / D_of_a_hop), strict=True):
            limit = stats.chi2.ppf(0.95, 2 * n + 2) / 2 * D_of_a_hop
            entries.append(
                value(t, n * D_of_a_hop, n**-0.5) if n >= 10 else bound(t, limit, n_hops=n)
            )
        if sum(entry.D_cm2_s is not None for entry in entries) >= 3:
            answer = fit(entries)
            low_eV, high_eV = answer.activation_energy_68_eV
            lowest_eV, highest_eV = answer.activation_energy_95_eV
            covered.append([low_eV < LAW_EV < high_eV, lowest_eV < LAW_EV < highest_eV])
    in_68, in_95 = np.mean(covered, axis=0)
    assert 0.60 < in_68 < 0.82
    assert in_95 > 0.91


def test_two_temperatures_give_a_line_without_error_bars():
    answer = fit([value(600.0, law(600.0)), value(900.0, law(900.0)), bound(400.0, 1e-3)])
    assert answer.activation_energy_eV == pytest.approx(LAW_EV, rel=1e-3)
    assert answer.conductivity_300K_S_cm > 0
    assert answer.activation_energy_68_eV is None
    assert answer.D_300K_68_cm2_s is None
    assert answer.conductivity_300K_68_S_cm is None
    assert answer.law is None
    assert answer.reason == "2 of 3 temperatures carry a diffusivity; error bars need 3"
    assert answer.D_300K_upper_bound_cm2_s == pytest.approx(1e-3, abs=0)


def test_a_moving_framework_does_not_enter_the_law_of_the_crystal():
    crystal = [value(600.0, law(600.0)), value(800.0, law(800.0))]
    melt = melted(value(1000.0, 50 * law(1000.0)))
    answer = fit([*crystal, melt])
    assert answer.activation_energy_eV == pytest.approx(LAW_EV, rel=1e-9)
    assert answer.reason == (
        "2 of 3 temperatures carry a diffusivity (not counting 1000 K, where the framework moves); "
        "error bars need 3"
    )
    complete = fit([*exact(), melted(bound(1200.0))])
    assert complete.notes == ("left out: 1200 K, where the framework moves",)
    assert complete.activation_energy_68_eV == fit(exact()).activation_energy_68_eV


@pytest.mark.parametrize(
    ("entries", "reason", "highest_cm2_s"),
    [
        ([], "0 of 0 temperatures", None),
        ([bound(600.0, 1e-7), bound(800.0, 1e-6)], "0 of 2 temperatures", 1e-7),
        ([value(800.0, 1e-6), bound(600.0, 1e-7)], "1 of 2 temperatures", 1e-7),
        (
            [value(800.0, 1e-6), value(800.0, 1e-6)],
            "1 of 1 temperatures",
            1e-6 * np.exp(stats.norm.ppf(0.975) * 0.1),
        ),
        ([bound(250.0, 1e-9)], "0 of 1 temperatures", None),
    ],
)
def test_fewer_give_the_reason_and_a_bound(entries, reason, highest_cm2_s):
    answer = fit(entries)
    assert answer.reason == f"{reason} carry a diffusivity; a line needs 2, its error bars 3"
    assert answer.activation_energy_eV is None
    assert answer.conductivity_300K_S_cm is None
    if highest_cm2_s is None:
        assert answer.D_300K_upper_bound_cm2_s is None
        assert answer.conductivity_300K_upper_bound_S_cm is None
        return
    assert answer.D_300K_upper_bound_cm2_s == pytest.approx(highest_cm2_s, rel=1e-3, abs=0)
    n_per_m3 = 4 / 1000e-30
    S_m = n_per_m3 * constants.e**2 * answer.D_300K_upper_bound_cm2_s * 1e-4 / (constants.k * 300)
    assert answer.conductivity_300K_upper_bound_S_cm == pytest.approx(S_m / 100, rel=1e-6, abs=0)
    assert any("D does not rise on cooling" in note for note in answer.notes)


def test_temperatures_side_by_side_give_no_law():
    answer = fit([value(600.0 + 2 * i, D) for i, D in enumerate((1e-6, 1e-9, 1e-12))])
    assert answer.activation_energy_eV is None
    assert "too close together for a law" in answer.reason


def test_the_band_and_the_line_are_those_of_the_document():
    entries = [*exact(0.2), bound(450.0, law(450.0)), melted(value(1300.0, 1.0))]
    answer = fit(entries)
    low, middle, high = arrhenius_band(entries, [300.0, 700.0])
    assert (low[0], high[0]) == pytest.approx(answer.D_300K_68_cm2_s, rel=1e-9, abs=0)
    assert middle[0] == pytest.approx(answer.D_300K_cm2_s, rel=0.1, abs=0)
    assert low[1] < law(700.0) < high[1]
    assert high[1] / low[1] < high[0] / low[0]
    assert arrhenius_line(answer, np.array([300.0]))[0] == pytest.approx(
        answer.D_300K_cm2_s, rel=1e-9, abs=0
    )
    with pytest.raises(UnusableRun, match="2 temperatures carry a diffusivity; a band needs 3"):
        arrhenius_band(entries[:2], [300.0])
    with pytest.raises(UnusableRun, match="no Arrhenius law: too short"):
        arrhenius_line(Arrhenius(reason="too short"), np.array([300.0]))


@pytest.mark.parametrize("wrong", [{"n_mobile": 0}, {"volume_A3": float("nan")}, {"charge": -1}])
def test_senseless_cells_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(InvalidInput, match=f"{name}=.* must be positive"):
        fit(exact(), **wrong)


def test_values_that_cannot_be_weighed_are_refused():
    entries = exact()
    bare = entries[0].model_copy(update={"D_68_cm2_s": None})
    with pytest.raises(InvalidInput, match="D at 600 K has no 68 % interval"):
        fit([bare, *entries[1:]])
    point = entries[0].model_copy(update={"D_68_cm2_s": (1e-6, 1e-6), "D_cm2_s": 1e-6})
    with pytest.raises(InvalidInput, match="D at 600 K is 1e-06 in 1e-06 to 1e-06"):
        fit([point, *entries[1:]])
    with pytest.raises(InvalidInput, match=r"upper bound of D at 600 K is 0\.0; a positive one"):
        fit([bound(600.0, 0.0)])
    with pytest.raises(InvalidInput, match="at 0 K; a positive temperature is needed"):
        fit([bound(0.0)])


def test_a_value_without_95_percent_interval_is_taken_as_normal():
    entries = [entry.model_copy(update={"D_95_cm2_s": None}) for entry in exact()]
    assert fit(entries).D_300K_95_cm2_s == pytest.approx(
        fit(exact()).D_300K_95_cm2_s, rel=1e-2, abs=0
    )
