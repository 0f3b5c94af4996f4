"""The test for one Arrhenius law: rarely wrong where there is one, and it finds a change."""

import numpy as np
import pytest
from arrhenius_data import LAW_EV, bound, law, value

from screening.transport.arrhenius_law import check_arrhenius_law
from screening.transport.arrhenius_points import arrhenius_points

LADDER_K = (500.0, 600.0, 700.0, 850.0, 1000.0, 1200.0)


def check(entries):
    return check_arrhenius_law(arrhenius_points(entries))


def two_laws(temperature_K, change_K=700.0, cold_eV=0.6):
    """Continuous at the change, steeper below it."""
    above = law(np.maximum(temperature_K, change_K))
    below = law(np.minimum(temperature_K, change_K), cold_eV) / law(change_K, cold_eV)
    return above * below


@pytest.mark.parametrize("n_temperatures", [3, 4, 6])
@pytest.mark.parametrize("dof", [12, np.inf])
def test_false_alarms_are_rare(n_temperatures, dof):
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(300):
        entries = []
        for t in LADDER_K[-n_temperatures:]:
            noise = rng.normal() if np.isinf(dof) else rng.standard_t(dof)
            scale = 0.2 if np.isinf(dof) else 0.2 * 1.041  # 68 % interval of t with 12 degrees
            entries.append(value(t, law(t) * np.exp(0.2 * noise), scale, dof))
        alarms += not check(entries).holds
    assert alarms / 300 < 0.085  # 5 %, and two standard errors more


@pytest.mark.parametrize("n_temperatures", [4, 6])
def test_a_phase_change_is_found_and_named(n_temperatures):
    entries = [value(t, two_laws(t), 0.1) for t in LADDER_K[:n_temperatures]]
    answer = check(entries)
    assert not answer.holds
    assert answer.p_value < 0.01
    assert "Ea is 0.60 eV below 700 K and 0.35 eV above" in answer.message
    assert "another phase or another mechanism" in answer.message
    assert "curvature -" in answer.message


def test_three_temperatures_show_a_change_too():
    answer = check([value(t, two_laws(t), 0.05) for t in (500.0, 700.0, 1000.0)])
    assert not answer.holds
    assert "χ²" in answer.message
    assert "with 1 degree of freedom" in answer.message
    assert "curvature" not in answer.message
    assert "Ea is 0.60 eV below 700 K and 0.35 eV above" in answer.message


def test_a_superionic_jump_is_found():
    entries = [value(t, law(t) * (30 if t > 750 else 1), 0.2) for t in LADDER_K]
    assert not check(entries).holds


def test_a_bound_far_below_the_line_is_a_change_and_one_above_is_none():
    entries = [value(t, law(t), 0.1) for t in LADDER_K[1:]]
    answer = check([*entries, bound(500.0, law(500.0) / 20)])
    assert not answer.holds
    assert "D at 500 K is below 1.5e-08 cm²/s, where the line through the other" in answer.message
    assert check([*entries, bound(500.0, 3 * law(500.0))]).holds


def test_a_single_law_is_said_to_hold_with_its_figures():
    answer = check([value(t, law(t), 0.1) for t in LADDER_K])
    assert answer.holds
    assert answer.p_value == pytest.approx(1.0)
    assert answer.message.startswith("ln D lies on a line over 1/T (p = 1; χ² 0.0 with 4 degrees")
    assert LAW_EV == 0.35
