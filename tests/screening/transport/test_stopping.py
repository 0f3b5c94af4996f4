"""The decision after each segment: every outcome, their order, and what repeated looks cost."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from synthetic_hosts import noise

from screening.documents import Failure
from screening.errors import InvalidInput
from screening.gates import Gates
from screening.transport.documents import Diffusivity, FrameworkMotion, RunEnd
from screening.transport.nernst_einstein import conductivity_per_diffusivity
from screening.transport.stopping import (
    MAX_DRIFT_EV_PER_ATOM_PER_PS,
    MIN_DRIFT_FRAMES,
    REPEATED_LOOKS,
    StoppingRule,
    Threshold,
    conserved_drift_eV_per_atom_per_ps,
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


def drifting(drift_eV_per_atom_per_ps, *, noise_eV_per_atom=1e-3, n_frames=401, seed=0):
    """Energies of eight atoms that wander with a memory of 0.1 ps, over 20 ps in 401 frames."""
    rng = np.random.default_rng(seed)
    time_ps = 0.05 * np.arange(n_frames)
    wander_eV = noise_eV_per_atom * noise(rng, n_frames, memory_ps=0.1)
    per_atom_eV = -4.0 + drift_eV_per_atom_per_ps * time_ps + wander_eV
    return replace(still(n_frames), conserved_energies_eV=8 * per_atom_eV)


@given(
    drift=st.floats(-0.05, 0.05),
    noise_eV_per_atom=st.sampled_from([1e-5, 1e-3, 1e-2]),
    n_frames=st.integers(50, 2000),
)
def test_a_drift_is_found_within_its_error(drift, noise_eV_per_atom, n_frames):
    run = drifting(drift, noise_eV_per_atom=noise_eV_per_atom, n_frames=n_frames)
    slope, error = conserved_drift_eV_per_atom_per_ps(run)
    assert 0 < error < 30 * noise_eV_per_atom / n_frames**1.5 / 0.05
    assert abs(slope - drift) < 5 * error


def test_errors_of_drifts_cover_the_truth():
    found = [conserved_drift_eV_per_atom_per_ps(drifting(0.01, seed=seed)) for seed in range(400)]
    off = np.array([(slope - 0.01) / error for slope, error in found])
    assert 0.62 < np.mean(np.abs(off) < 1) < 0.8
    assert 0.92 < np.mean(np.abs(off) < 2) < 0.99


def test_noise_alone_is_no_drift():
    """However large: a run in which chance may have made the slope goes on."""
    assert np.ptp(drifting(0.0, noise_eV_per_atom=0.1).conserved_energies_eV) > 2
    for seed in range(200):
        run = drifting(0.0, noise_eV_per_atom=0.1, n_frames=101, seed=seed)
        end = judge(run, "K", StoppingRule(None), is_last=False)
        slope, error = conserved_drift_eV_per_atom_per_ps(run)
        assert end is None or abs(slope) > 2 * error + MAX_DRIFT_EV_PER_ATOM_PER_PS
        assert abs(slope) < 5 * error


@pytest.mark.parametrize("drift", [-0.0055, 0.0055, 0.5])
@pytest.mark.parametrize("target", [None, 0.25])
def test_a_drift_ends_every_run_at_once(drift, target):
    run = drifting(drift)
    end = judge(run, "K", StoppingRule(target, GATE), is_last=False)
    assert end.outcome == "drifted"
    found = re.match(r"the conserved energy drifts by (\S+) ± (\S+) meV/atom/ps", end.message)
    slope, error = (float(number) for number in found.groups())
    assert slope == pytest.approx(1000 * drift, abs=3 * error)
    assert re.search(
        r", at most 5 allowed; use a shorter dynamics\.timestep_fs.*tighter EDIFF", end.message
    )
    assert judge(run, "K", StoppingRule(target, GATE), is_last=True) == end


@pytest.mark.parametrize("drift", [-0.0045, 0.0, 0.0045])
@pytest.mark.parametrize("noise_eV_per_atom", [0.0, 1e-3])
def test_a_drift_that_is_small_enough_changes_nothing(drift, noise_eV_per_atom):
    run = drifting(drift, noise_eV_per_atom=noise_eV_per_atom)
    without = replace(run, conserved_energies_eV=None)
    for rule in (RULE, StoppingRule(None)):
        for is_last in (True, False):
            expected = judge(without, "K", rule, is_last=is_last)
            assert judge(run, "K", rule, is_last=is_last) == expected


def test_a_conserved_energy_that_is_constant_does_not_drift():
    run = replace(still(400), conserved_energies_eV=np.full(400, -369.40258132))
    assert conserved_drift_eV_per_atom_per_ps(run) == (0.0, 0.0)


def test_a_drift_needs_energies_and_frames():
    assert conserved_drift_eV_per_atom_per_ps(still(400)) is None
    few = drifting(1.0, n_frames=MIN_DRIFT_FRAMES - 1)
    assert conserved_drift_eV_per_atom_per_ps(few) is None
    assert judge(few, "K", RULE, is_last=False) is None
    enough = drifting(1.0, n_frames=MIN_DRIFT_FRAMES)
    assert judge(enough, "K", RULE, is_last=False).outcome == "drifted"


def test_a_run_that_failed_says_with_what():
    failure = Failure(code="calculator-failed", message="EDDDAV failed five times")
    end = RunEnd(outcome="failed", message="3 of 10 ps", failure=failure)
    assert RunEnd.model_validate(end.model_dump(mode="json")) == end
    assert RunEnd.model_validate({"outcome": "budget", "message": "20 ps"}).failure is None
