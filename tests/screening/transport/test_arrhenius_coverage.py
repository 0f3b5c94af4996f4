"""How often intervals of Ea and D(300 K) hold the truth, as docs/science.md tells it."""

import numpy as np
import pytest
from arrhenius_data import LAW_EV, bound, law, value
from scipy import stats

from screening.transport.arrhenius import fit_arrhenius

N_REPLICAS = 400
DESIGNS = {
    3: ((600.0, 800.0, 1000.0), (0.2, 0.2, 0.2)),
    4: ((600.0, 700.0, 850.0, 1000.0), (0.3, 0.2, 0.1, 0.05)),
    6: ((600.0, 700.0, 800.0, 900.0, 1000.0, 1100.0), (0.25,) * 6),
}


def coverage(make_entries):
    """Of Ea in 68 and 95 %, then of D(300 K)."""
    rng = np.random.default_rng(2)
    hits = []
    while len(hits) < N_REPLICAS:
        answer = fit_arrhenius(make_entries(rng), n_mobile=4, volume_A3=1000.0)
        if answer.activation_energy_68_eV:
            hits.append(
                [
                    low <= truth <= high
                    for truth, (low, high) in (
                        (LAW_EV, answer.activation_energy_68_eV),
                        (LAW_EV, answer.activation_energy_95_eV),
                        (law(300.0), answer.D_300K_68_cm2_s),
                        (law(300.0), answer.D_300K_95_cm2_s),
                    )
                ]
            )
    return np.mean(hits, axis=0)


def values(n_temperatures, dof, scatter):
    temperatures_K, errors = DESIGNS[n_temperatures]

    def make(rng):
        normal = np.isinf(dof)
        noise = rng.normal(size=n_temperatures) if normal else rng.standard_t(dof, n_temperatures)
        deviations = noise * errors + scatter * rng.normal(size=n_temperatures)
        one_sigma = np.array(errors) * stats.t.ppf(0.84135, dof)
        data = zip(temperatures_K, np.exp(deviations), one_sigma, strict=True)
        return [value(t, law(t) * factor, error, dof) for t, factor, error in data]

    return make


def counted_hops(n_hottest):
    """Poisson counts; fewer than ten hops give a bound, as a run does."""
    temperatures_K = np.array([400.0, 500.0, 600.0, 700.0, 900.0])
    D_of_a_hop = law(900.0) / n_hottest

    def make(rng):
        entries = []
        for t, n in zip(temperatures_K, rng.poisson(law(temperatures_K) / D_of_a_hop), strict=True):
            highest = stats.chi2.ppf(0.95, 2 * n + 2) / 2
            entries.append(
                value(t, n * D_of_a_hop, n**-0.5)
                if n >= 10
                else bound(t, highest * D_of_a_hop, n_hops=n)
            )
        return entries

    return make


@pytest.mark.slow
@pytest.mark.parametrize("n_temperatures", DESIGNS)
@pytest.mark.parametrize("dof", [12, np.inf])
def test_coverage_where_the_errors_are_right(n_temperatures, dof):
    Ea_68, Ea_95, D_68, D_95 = coverage(values(n_temperatures, dof, scatter=0.0))
    assert 0.62 < Ea_68 < 0.77
    assert 0.62 < D_68 < 0.77
    assert 0.93 < Ea_95 < 0.985
    assert 0.93 < D_95 < 0.985


@pytest.mark.slow
@pytest.mark.parametrize("n_hottest", [100, 400])
def test_coverage_with_bounds_among_the_data(n_hottest):
    Ea_68, Ea_95, D_68, D_95 = coverage(counted_hops(n_hottest))
    assert 0.65 < Ea_68 < 0.82
    assert 0.65 < D_68 < 0.82
    assert min(Ea_95, D_95) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("n_temperatures", DESIGNS)
@pytest.mark.parametrize("scatter", [0.2, 0.5])
def test_coverage_where_the_points_scatter_more_than_they_say(n_temperatures, scatter):
    """Better than least squares with the same errors, and worse than promised."""
    Ea_68, Ea_95, D_68, D_95 = coverage(values(n_temperatures, np.inf, scatter))
    assert min(Ea_68, D_68) > 0.42
    assert min(Ea_95, D_95) > 0.72
