"""The decision after each segment: every outcome, their order, and what repeated looks cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from screening.errors import InvalidInput
from screening.gates import Gates
from screening.transport.documents import Diffusivity, FrameworkMotion
from screening.transport.nernst_einstein import conductivity_per_diffusivity
from screening.transport.stopping import (
    REPEATED_LOOKS,
    StoppingRule,
    Threshold,
    decide,
    judge,
    relative_error,
    threshold_of,
)
from screening.transport.trajectory import Trajectory
from screening.units import ELEMENTARY_CHARGE_C

GATE = Threshold("min_diffusivity_cm2_s", 1e-6)
RULE = StoppingRule(0.25, GATE)


def entry(**fields):
    return Diffusivity(species="K", temperature_K=600, duration_ps=20, n_hops=20, **fields)


def value(D_cm2_s, error, **fields):
    reach = 1 + error
    return entry(
        D_cm2_s=D_cm2_s,
        D_68_cm2_s=(D_cm2_s / reach, D_cm2_s * reach),
        D_95_cm2_s=(D_cm2_s / reach**2, D_cm2_s * reach**2),
        **fields,
    )


def bound(cm2_s):
    return entry(upper_bound_cm2_s=cm2_s, reason="2.0 hops, at least 10 needed")


def motion(kind):
    return FrameworkMotion(species="Cl", kind=kind, message="Cl moves 4 Å")


@given(D_cm2_s=st.floats(2e-6, 1e-3), error=st.floats(0.01, 2))
def test_a_run_converges_exactly_at_its_target(D_cm2_s, error):
    known = value(D_cm2_s, error)
    reached = relative_error(known) <= 0.25
    end = decide(known, RULE, is_last=False)
    assert (end is not None and end.outcome == "converged") == reached
    tighter = StoppingRule(relative_error(known) * 0.99, GATE)
    assert decide(known, tighter, is_last=False) is None


@given(st.floats(1e-9, 1e-4))
def test_a_bound_rejects_below_the_threshold_with_repeated_looks_allowed_for(cm2_s):
    end = decide(bound(cm2_s), RULE, is_last=False)
    if cm2_s * REPEATED_LOOKS < GATE.D_cm2_s:
        assert end.outcome == "bound_rejects"
        assert "min_diffusivity_cm2_s needs 1e-06" in end.message
    else:
        assert end is None
    assert decide(bound(cm2_s), StoppingRule(0.25), is_last=False) is None


def test_a_value_known_badly_but_surely_too_small_rejects_too():
    end = decide(value(1e-7, 0.6), RULE, is_last=False)
    assert end.outcome == "bound_rejects"
    assert decide(value(7e-7, 0.6), RULE, is_last=False) is None


@pytest.mark.parametrize("kind", ["diffuses", "loses coordination"])
def test_a_framework_that_melts_ends_even_a_run_that_has_converged(kind):
    end = decide(value(1e-5, 0.05, framework=(motion(kind),)), RULE, is_last=True)
    assert (end.outcome, end.message) == ("melted", "Cl moves 4 Å")


def test_units_that_turn_are_no_melt():
    turning = value(1e-5, 0.5, framework=(motion("turns"),))
    assert decide(turning, RULE, is_last=False) is None


@pytest.mark.parametrize(
    ("known", "message"),
    [(value(1e-5, 0.5), "known to 42%, 25% asked for"), (bound(2e-6), "only an upper bound")],
)
def test_the_budget_ends_every_run(known, message):
    assert decide(known, RULE, is_last=False) is None
    end = decide(known, RULE, is_last=True)
    assert end.outcome == "budget"
    assert message in end.message


def test_looking_again_and_again_rejects_no_more_often_than_the_bound_promises():
    """Hops at the threshold's rate, watched all the time; exact, by the law of Poisson.

    Time is counted in hops expected at the threshold. With n hops the run is rejected from the time
    on at which the bound, stretched, falls below the threshold.
    """

    def share_ever_rejected(stretch):
        n_hops = np.arange(20)
        times = stretch * stats.chi2.ppf(0.95, 2 * n_hops + 2) / 2
        goes_on = np.zeros(150)
        goes_on[0] = 1.0
        for n, pause in enumerate(np.diff(times, prepend=0.0)):
            more = stats.poisson.pmf(np.arange(150), pause)
            goes_on = np.convolve(goes_on, more)[:150]
            goes_on[: n + 1] = 0.0
        return 1 - goes_on.sum()

    assert share_ever_rejected(REPEATED_LOOKS) < 0.05
    assert share_ever_rejected(1.0) == pytest.approx(0.18, abs=0.03)


def still(n_frames):
    """A crystal that rattles: K and Cl on a chain."""
    rng = np.random.default_rng(0)
    sites_A = 3.0 * np.arange(8)[:, None] * [1, 0, 0]
    return Trajectory(
        positions_A=(sites_A + rng.normal(0, 0.1, (n_frames, 8, 3))).astype(np.float32),
        cell_A=np.diag([24.0, 10, 10]),
        species=("K", "Cl") * 4,
        timestep_fs=2.0,
        stride=25,
        temperature_K=600.0,
    )


def test_a_fixed_length_is_ended_by_nothing_but_its_end():
    fixed = StoppingRule(None, Threshold("min_diffusivity_cm2_s", 1.0))
    assert judge(still(400), "K", fixed, is_last=False) is None
    end = judge(still(401), "K", fixed, is_last=True)
    assert (end.outcome, end.message) == ("budget", "fixed length of 20 ps")


def test_a_run_too_short_to_say_anything_goes_on_unless_its_budget_is_used_up():
    assert judge(still(3), "K", RULE, is_last=False) is None
    end = judge(still(3), "K", RULE, is_last=True)
    assert end.outcome == "budget"
    assert "3 frames" in end.message


def test_ions_that_do_not_hop_are_rejected_once_the_bound_is_low_enough():
    rule = StoppingRule(0.25, Threshold("min_diffusivity_cm2_s", 1e-4))
    assert judge(still(4001), "K", rule, is_last=False).outcome == "bound_rejects"


def test_what_no_longer_run_would_mend_is_said_at_once():
    with pytest.raises(InvalidInput, match="no Li among"):
        judge(still(400), "Li", RULE, is_last=False)


def test_the_conductivity_gate_is_a_gate_on_D_above_room_temperature():
    """σ = n e² D / (kB T): with D at the threshold, σ(300 K) is that of the gate."""
    gates = Gates(min_conductivity_300K_S_cm=1e-4)
    threshold = threshold_of(gates, 600.0, n_mobile=4, volume_A3=1000.0)
    kT_J = 1.380649e-23 * 300
    sigma_S_cm = 4e21 * ELEMENTARY_CHARGE_C**2 * threshold.D_cm2_s / kT_J
    assert sigma_S_cm == pytest.approx(1e-4, rel=1e-9, abs=0)
    assert threshold_of(gates, 250.0, n_mobile=4, volume_A3=1000.0) is None


@given(D_cm2_s=st.floats(1e-9, 1e-4), sigma_S_cm=st.floats(1e-7, 1e-1))
def test_the_strictest_gate_decides(D_cm2_s, sigma_S_cm):
    gates = Gates(min_diffusivity_cm2_s=D_cm2_s, min_conductivity_300K_S_cm=sigma_S_cm)
    threshold = threshold_of(gates, 300.0, n_mobile=4, volume_A3=1000.0)
    from_sigma_cm2_s = sigma_S_cm / conductivity_per_diffusivity(4e21, 1, 300.0)
    assert threshold.D_cm2_s == pytest.approx(max(D_cm2_s, from_sigma_cm2_s), rel=1e-9, abs=0)
    assert threshold_of(Gates(), 300.0, n_mobile=4, volume_A3=1000.0) is None
