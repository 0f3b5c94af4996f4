import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from screening.ensemble import (
    boltzmann_weights,
    configurational_entropy_eV_per_K,
    thermal_average,
)
from screening.errors import InvalidInput
from screening.units import BOLTZMANN_EV_PER_K

orbits = st.lists(
    st.tuples(st.floats(-2, 2), st.integers(1, 6), st.floats(-5, 5)), min_size=1, max_size=6
)


def columns(orbits):
    return tuple(map(list, zip(*orbits, strict=True)))


@given(orbits, st.floats(50, 5000))
@example([(0.0, 1, 0.0), (6.4e-11, 1, 1.0)], 50.0)  # nearly equal energies are not taken for equal
def test_averages_are_those_over_all_configurations(orbits, temperature_K):
    energies_eV, degeneracies, values = columns(orbits)
    raw = [(e, v) for e, g, v in orbits for _ in range(g)]
    factors = np.array([math.exp(-e / (BOLTZMANN_EV_PER_K * temperature_K)) for e, _ in raw])
    probabilities = factors / factors.sum()
    weights = boltzmann_weights(energies_eV, degeneracies, temperature_K)
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(
        thermal_average(values, weights), probabilities @ [v for _, v in raw], rtol=1e-9, atol=1e-12
    )
    possible = probabilities[probabilities > 0]
    entropy = -BOLTZMANN_EV_PER_K * np.sum(possible * np.log(possible))
    np.testing.assert_allclose(
        configurational_entropy_eV_per_K(weights, degeneracies), entropy, rtol=1e-9, atol=1e-14
    )


@given(orbits, st.floats(-1e6, 1e6))
def test_the_zero_of_energy_does_not_matter(orbits, shift_eV):
    energies_eV, degeneracies, _ = columns(orbits)
    shifted = [energy + shift_eV for energy in energies_eV]
    np.testing.assert_allclose(
        boltzmann_weights(shifted, degeneracies, 600),
        boltzmann_weights(energies_eV, degeneracies, 600),
        rtol=1e-7,
        atol=1e-9,
    )


def test_hot_orderings_count_by_their_degeneracy():
    weights = boltzmann_weights([-3.0, 0.5, 2.0], [24, 6, 2], math.inf)
    np.testing.assert_allclose(weights, np.array([24, 6, 2]) / 32, rtol=1e-12)
    entropy = configurational_entropy_eV_per_K(weights, [24, 6, 2])
    assert entropy == pytest.approx(BOLTZMANN_EV_PER_K * math.log(32), rel=1e-12, abs=0)


@pytest.mark.parametrize("temperature_K", [0.0, 1e-300, 0.5])
def test_ground_states_share_when_it_is_cold(temperature_K):
    weights = boltzmann_weights([0.1, -0.3, -0.3 + 1e-13], [5, 24, 8], temperature_K)
    np.testing.assert_allclose(weights, [0, 24 / 32, 8 / 32], rtol=1e-9, atol=0)
    entropy = configurational_entropy_eV_per_K(weights, [5, 24, 8])
    assert entropy == pytest.approx(BOLTZMANN_EV_PER_K * math.log(32), rel=1e-9, abs=0)


def test_two_levels_have_the_schottky_heat_capacity():
    gap_eV, n_upper, temperature_K = 0.05, 3, 400.0
    x = gap_eV / (BOLTZMANN_EV_PER_K * temperature_K)
    law = BOLTZMANN_EV_PER_K * x**2 * n_upper * math.exp(-x) / (1 + n_upper * math.exp(-x)) ** 2
    weights = boltzmann_weights([0, gap_eV], [1, n_upper], temperature_K)
    mean_eV, mean_square_eV2 = thermal_average([[0, 0], [gap_eV, gap_eV**2]], weights)
    variance_eV2 = mean_square_eV2 - mean_eV**2
    assert variance_eV2 / (BOLTZMANN_EV_PER_K * temperature_K**2) == pytest.approx(law, rel=1e-9)


def test_degeneracies_beyond_any_float():
    huge = 10**400
    weights = boltzmann_weights([0.0, 0.0], [huge, 3 * huge], 300)
    np.testing.assert_allclose(weights, [0.25, 0.75], rtol=1e-12)
    assert configurational_entropy_eV_per_K(weights, [huge, 3 * huge]) == pytest.approx(
        BOLTZMANN_EV_PER_K * (math.log(4) + 400 * math.log(10)), rel=1e-12, abs=0
    )


def test_a_sample_of_distinct_orderings_estimates_the_whole():
    # Necklaces of 12 beads, 6 of them black, alike under turns; energy: black neighbours.
    n = 12
    orbits = {}
    for black in itertools.combinations(range(n), 6):
        beads = np.isin(np.arange(n), black).astype(int)
        name = min(tuple(np.roll(beads, i).tolist()) for i in range(n))
        orbits.setdefault(name, [0.03 * int(beads @ np.roll(beads, 1)), 0])[1] += 1
    energies_eV, degeneracies = np.array(list(orbits.values())).T
    degeneracies = degeneracies.astype(int)
    assert degeneracies.sum() == math.comb(n, 6)
    weights = boltzmann_weights(energies_eV, degeneracies, 500)
    exact_eV = thermal_average(energies_eV, weights)
    exact_entropy = configurational_entropy_eV_per_K(weights, degeneracies)
    rng = np.random.default_rng(5)
    means_eV, entropies = [], []
    for _ in range(400):
        some = rng.choice(len(orbits), size=40, replace=False)
        weights = boltzmann_weights(energies_eV[some], degeneracies[some], 500)
        means_eV.append(thermal_average(energies_eV[some], weights))
        entropies.append(
            configurational_entropy_eV_per_K(weights, degeneracies[some], math.comb(n, 6))
        )
    assert np.mean(means_eV) == pytest.approx(exact_eV, rel=0.02)
    assert np.mean(entropies) == pytest.approx(exact_entropy, rel=0.02, abs=0)


@pytest.mark.parametrize(
    ("energies_eV", "degeneracies", "temperature_K", "message"),
    [
        ([], [], 300, "0 energies and 0 degeneracies; give one of each"),
        ([1.0, 2.0], [1], 300, "2 energies and 1 degeneracies"),
        ([1.0, math.nan], [1, 1], 300, "1 of 2 energies are not finite; leave those out"),
        ([1.0], [0], 300, "a degeneracy of 0"),
        ([1.0], [1], -5, "a temperature of -5 K; give 0 K or more"),
        ([1.0], [1], math.nan, "a temperature of nan K"),
    ],
)
def test_what_has_no_average(energies_eV, degeneracies, temperature_K, message):
    with pytest.raises(InvalidInput, match=message):
        boltzmann_weights(energies_eV, degeneracies, temperature_K)
