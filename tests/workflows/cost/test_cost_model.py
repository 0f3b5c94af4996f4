"""Sums over jobs: what averages out, what does not, and whether the intervals are honest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.config import CampaignConfig
from workflows.cost.lengths import Moving, Relaxing
from workflows.cost.model import CostModel, Estimate, Measured
from workflows.cost.priors import PRIORS, priors_for
from workflows.cost.regression import N_DRAWS, REFERENCE_ATOMS, LawPrior, fitted

FAMILY = {"formula": "A(x)TaCl6", "prototype": "k2ptcl6", "elements": {"A": ["K"]}, "x": [1]}


def campaign(engine="chgnet", **changes):
    candidates = {"families": [FAMILY]}
    return CampaignConfig(name="c", engine={"name": engine}, candidates=candidates, **changes)


def columns(n_atoms, n_steps, core_hours):
    n_atoms, n_steps, core_hours = (np.asarray(v, float) for v in (n_atoms, n_steps, core_hours))
    return Measured(n_atoms, n_steps, core_hours, np.ones(len(n_atoms), dtype=bool))


class Truth:
    """What jobs cost in an invented world that the priors expect."""

    def __init__(self, config, rng):
        priors = priors_for(config)
        self.rng = rng
        self.rate = self._drawn(priors.rates["relax"])
        self.steps = self._drawn(priors.relax_steps)
        self.most = config.relax.max_steps + 1

    def _drawn(self, prior):
        power = -1.0
        while power < 0:
            power = self.rng.normal(prior.power, prior.power_error)
        ln_c = self.rng.normal(np.log(prior.typical), np.log(prior.factor))
        return ln_c, power, np.exp(self.rng.normal(np.log(prior.noise), 0.4))

    def _sample(self, law, n_atoms):
        ln_c, power, noise = law
        scores = self.rng.standard_normal(len(n_atoms))
        return np.exp(ln_c + power * np.log(n_atoms / REFERENCE_ATOMS) + noise * scores)

    def relaxations(self, n_atoms):
        n_atoms = np.asarray(n_atoms, float)
        n_evaluations = np.minimum(self._sample(self.steps, n_atoms), self.most)
        core_hours = n_evaluations * self._sample(self.rate, n_atoms) / 3600
        return columns(n_atoms, n_evaluations - 1, core_hours)


def counted(n_atoms):
    sizes, counts = np.unique(n_atoms, return_counts=True)
    return dict(zip(sizes.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize(("n_finished", "n_left"), [(0, 10), (5, 40), (20, 300)])
def test_intervals_of_sums_hold_the_truth_as_often_as_they_say(n_finished, n_left):
    """400 campaigns each: 68 % within 2.5 standard errors, and two percent of numerics."""
    config, n_inside, n_campaigns = campaign(), 0, 400
    rng = np.random.default_rng(n_left)
    for _ in range(n_campaigns):
        truth = Truth(config, rng)
        finished = truth.relaxations(rng.choice([16, 32, 64, 128], n_finished))
        left = truth.relaxations(rng.choice([24, 36, 100], n_left))
        model = CostModel.of(config, {"relax": finished})
        price = Estimate.of(model.total("relax", counted(left.n_atoms.astype(int))))
        n_inside += price.low <= left.core_hours.sum() <= price.high
    error = np.sqrt(0.683 * 0.317 / n_campaigns)
    assert n_inside / n_campaigns == pytest.approx(0.683, abs=2.5 * error + 0.02)


def test_twenty_finished_jobs_tell_several_times_more_than_the_prior():
    config, rng = campaign(), np.random.default_rng(1)
    narrower = []
    for _ in range(20):
        finished = Truth(config, rng).relaxations(rng.choice([16, 32, 64, 128], 20))
        widths = [
            np.log(price.high / price.low)
            for measured in ({}, {"relax": finished})
            if (price := Estimate.of(CostModel.of(config, measured).total("relax", {32: 500})))
        ]
        narrower.append(widths[0] / widths[1])
    assert np.median(narrower) > 3


def test_errors_of_parameters_are_common_and_noise_averages_out():
    config = campaign()
    one, many = (
        Estimate.of(np.log(CostModel.of(config).total("relax", {50: n}))) for n in (1, 100_000)
    )
    priors = PRIORS["chgnet"]
    laws = (priors.rates["relax"], priors.relax_steps)
    common = np.hypot(*(np.log(law.factor) for law in laws))
    noise = np.hypot(*(law.noise for law in laws))
    assert (many.high - many.low) / 2 == pytest.approx(common, rel=0.12)
    assert (one.high - one.low) / 2 == pytest.approx(np.hypot(common, noise), rel=0.1)


def test_sums_of_many_jobs_go_on_from_those_of_few():
    """64 jobs are drawn one by one, 65 as a Gaussian of the same mean and spread."""
    model = CostModel.of(campaign())
    drawn, gaussian = (model.total("relax", {40: n}) / n for n in (64, 65))
    for q in (0.16, 0.5, 0.84):
        assert np.quantile(gaussian, q) == pytest.approx(np.quantile(drawn, q), rel=0.04)


def test_jobs_of_each_draw_are_summed():
    model = CostModel.of(campaign())
    counts = np.arange(N_DRAWS) % 3
    some, all_ = model.total("dynamics", {40: counts}), model.total("dynamics", {40: 2})
    assert np.all(some[counts == 0] == 0)
    np.testing.assert_array_equal(some[counts == 2], all_[counts == 2])
    assert np.all((some <= all_)[counts == 1])
    assert np.all(model.total("dynamics", {}) == 0)


def test_relaxations_stop_at_their_limit():
    law = fitted(LawPrior(500, 1.5, 1, 0.1, 0.8), [], [], stream=1)
    relaxing = Relaxing(law, most=300)
    drawn = relaxing.of_many(80, 4000, np.random.default_rng(0))
    assert drawn.max() == 300
    mean, square = relaxing.moments(80)
    np.testing.assert_allclose(mean, drawn.mean(axis=1), rtol=0.05)
    np.testing.assert_allclose(square, (drawn**2).mean(axis=1), rtol=0.06)


@pytest.mark.parametrize("relative_error", [None, 0.25])
def test_dynamics_takes_no_more_steps_than_asked_for(relative_error):
    config = campaign(dynamics={"production_ps": 20, "relative_error": relative_error})
    moving = CostModel.of(config).lengths["dynamics"]
    drawn = moving.of_many(40, 100, np.random.default_rng(0))
    assert moving.n_before == 3500
    assert drawn.max() == 13500
    assert drawn.min() == (13500 if relative_error is None else 6000)


def test_the_share_of_the_production_is_learnt():
    ends = [2] * 30 + [4] * 10  # of four segments of 2,500 steps
    n_steps = [3500 + 2500 * end for end in ends]
    moving = Moving.adaptive(3500, 10_000, 4, n_steps)
    mean, square = (np.median(moment) for moment in moving.moments(40))
    assert mean == pytest.approx(np.mean(n_steps), rel=0.05)
    drawn = moving.of_many(40, 2000, np.random.default_rng(0))
    assert set(np.unique(drawn)) <= {6000, 8500, 11000, 13500}
    assert np.mean(drawn == 8500) == pytest.approx(0.75, abs=0.06)
    assert square == pytest.approx(np.mean(drawn**2), rel=0.05)
    assert np.median(moving.of_one(40)) == 8500


@settings(deadline=None, max_examples=40)
@given(
    engine=st.sampled_from(["chgnet", "rehearsal", "vasp"]),
    sizes=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    n_finished=st.integers(0, 15),
    seed=st.integers(0, 1000),
)
def test_more_atoms_never_cost_less(engine, sizes, n_finished, seed):
    rng, (few, many) = np.random.default_rng(seed), sorted(sizes)
    finished = columns(
        rng.integers(2, 300, n_finished),
        rng.integers(0, 300, n_finished),
        rng.lognormal(size=n_finished),
    )
    model = CostModel.of(campaign(engine), {"relax": finished, "dynamics": finished})
    for stage in ("relax", "dynamics"):
        smaller, larger = model.job(stage, few), model.job(stage, many)
        assert smaller.median <= larger.median
        assert smaller.low <= larger.low
        assert smaller.high <= larger.high
        assert 0 < smaller.low <= smaller.median <= smaller.high


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(12)))
def test_the_order_of_jobs_does_not_matter(order):
    rng = np.random.default_rng(0)
    finished = columns(rng.integers(2, 300, 12), rng.integers(0, 300, 12), rng.lognormal(size=12))
    shuffled = Measured(*(column[list(order)] for column in vars(finished).values()))
    jobs = {n: i % 3 + 60 for i, n in enumerate((8, 16, 32, 48, 64, 128, 20, 22, 24, 26, 28, 30))}
    ours = CostModel.of(campaign(), {"relax": finished, "dynamics": finished})
    theirs = CostModel.of(campaign(), {"relax": shuffled, "dynamics": shuffled})
    reordered = {n: jobs[n] for n in (list(jobs)[i] for i in order)}
    for stage in ("relax", "dynamics"):
        np.testing.assert_array_equal(ours.total(stage, jobs), theirs.total(stage, reordered))


def test_quenching_is_dynamics_of_known_length():
    config = campaign(amorphous={}, dynamics={"timestep_fs": 1, "relative_error": None})
    model = CostModel.of(config)
    finished = {"quench": columns([100] * 20, [24_000] * 20, [2.0] * 20)}
    learnt = CostModel.of(config, finished)
    assert learnt.job("quench", 100).median == pytest.approx(2.0, rel=0.1)
    per_step = learnt.job("dynamics", 100).median / (107_000)
    assert per_step == pytest.approx(2.0 / 24_000, rel=0.1)
    assert model.job("quench", 100).median < learnt.job("quench", 100).median


def test_times_that_are_not_those_of_the_steps_do_not_count():
    timed = np.array([True] * 10 + [False] * 10)
    core_hours = np.where(timed, 1.0, 1e-6)
    finished = Measured(np.full(20, 50.0), np.full(20, 99.0), core_hours, timed)
    model = CostModel.of(campaign(), {"relax": finished})
    assert model.job("relax", 50).median == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_says_where_it_is_from_and_is_wide_where_it_is_a_guess(name):
    prior = PRIORS[name]
    assert prior.source
    assert prior.is_guess == (name == "vasp")
    for law in prior.rates.values():
        assert law.factor >= (3 if prior.is_guess else 1.5)


def test_finer_relaxations_are_longer():
    fine, coarse = (
        CostModel.of(campaign(relax={"max_force_eV_per_A": f})).job("relax", 40).median
        for f in (0.01, 0.1)
    )
    assert fine > 2 * coarse
