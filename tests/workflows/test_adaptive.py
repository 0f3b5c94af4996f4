"""The loop that extends a run until the decision function ends it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from screening.errors import RunExploded
from screening.transport.analysis import analyse_run
from screening.transport.stopping import StoppingRule, Threshold
from screening.transport.trajectory import Trajectory
from workflows.adaptive import produce_until_decided

FRAME_PS = 0.1
N_IONS = 24


def hopping(D_A2_ps, n_frames, seed):
    """Ions that hop by 3.5 Å in a framework, all of them rattling; D is known."""
    rng = np.random.default_rng(seed)
    hops = rng.poisson(6 * D_A2_ps * FRAME_PS / 3.5**2, (n_frames, N_IONS))
    axes = np.eye(3)[rng.integers(3, size=hops.shape)]
    steps_A = 3.5 * (hops * rng.choice([-1, 1], hops.shape))[..., None] * axes
    ions_A = np.cumsum(steps_A, axis=0)
    positions_A = np.concatenate([ions_A, np.zeros_like(ions_A)], axis=1)
    positions_A += rng.normal(0, 0.15, positions_A.shape)
    return Trajectory(
        positions_A=positions_A.astype(np.float32),
        cell_A=np.eye(3) * 20.0,
        species=("K",) * N_IONS + ("Cl",) * N_IONS,
        timestep_fs=2.0,
        stride=50,
        temperature_K=700.0,
    )


@dataclass
class Recorded:
    """A run that was made before and is shown bit by bit."""

    whole: Trajectory
    produced_ps: float = 0.0
    explodes_at_ps: float = math.inf
    n_calls: int = 0

    def produce(self, until_ps):
        self.n_calls += 1
        if until_ps > self.explodes_at_ps:
            raise RunExploded("8000 K")
        self.produced_ps = max(until_ps, self.produced_ps)

    def production(self):
        n_frames = round(self.produced_ps / FRAME_PS) + 1
        return replace(self.whole, positions_A=self.whole.positions_A[:n_frames])


FAST = hopping(1.0, 1001, 0)
SLOW = hopping(1e-4, 1001, 1)
RULE = StoppingRule(0.25, Threshold("min_diffusivity_cm2_s", 1e-6))


def ended(run, rule=RULE, segment_ps=5.0):
    return produce_until_decided(run, "K", rule, segment_ps=segment_ps, budget_ps=100.0)


def test_a_fast_ion_needs_little_and_a_slow_one_is_rejected():
    fast, slow = Recorded(FAST), Recorded(SLOW)
    assert ended(fast).outcome == "converged"
    assert ended(slow).outcome == "bound_rejects"
    assert fast.produced_ps < slow.produced_ps < 100


def test_without_a_gate_a_slow_ion_uses_up_the_budget_exactly():
    run = Recorded(SLOW)
    assert ended(run, StoppingRule(0.25), segment_ps=7.0).outcome == "budget"
    assert run.produced_ps == 100
    assert run.n_calls == 15


@pytest.mark.parametrize("produced_ps", [0.0, 3.3, 5.0, 14.9, 15.0])
def test_a_run_resumed_anywhere_ends_where_the_unbroken_one_does(produced_ps):
    unbroken = Recorded(SLOW)
    end = ended(unbroken)
    resumed = Recorded(SLOW, produced_ps=min(produced_ps, unbroken.produced_ps))
    assert ended(resumed) == end
    assert resumed.produced_ps == unbroken.produced_ps


def test_what_kills_a_run_is_passed_on_with_what_it_had_produced():
    run = Recorded(SLOW, explodes_at_ps=12.0)
    with pytest.raises(RunExploded, match="8000 K"):
        ended(run)
    assert run.produced_ps == 10


def test_a_fixed_length_is_one_whatever_its_segments():
    for segment_ps in (3.0, 20.0, 1000.0):
        run = Recorded(FAST)
        end = ended(run, StoppingRule(None), segment_ps=segment_ps)
        assert (end.outcome, run.produced_ps) == ("budget", 100.0)


@pytest.mark.slow
def test_intervals_of_runs_that_were_ended_early_still_cover_the_truth():
    """Looking again and again prefers lucky moments; the rule must not fall for them."""
    D_A2_ps = 0.1
    covers, logarithms = [], []
    for seed in range(80):
        run = Recorded(hopping(D_A2_ps, 1001, seed))
        assert ended(run, StoppingRule(0.25)).outcome == "converged"
        made = analyse_run(run.production(), "K")
        low_cm2_s, high_cm2_s = made.D_68_cm2_s
        covers.append(low_cm2_s <= D_A2_ps * 1e-4 <= high_cm2_s)
        logarithms.append(math.log(made.D_cm2_s / (D_A2_ps * 1e-4)))
    assert 0.55 < np.mean(covers) < 0.82  # 68 % within 2.5 standard errors
    assert abs(np.median(logarithms)) < 0.07
    assert np.std(logarithms) < 0.3
