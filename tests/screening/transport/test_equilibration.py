"""Stationary runs lose little, runs whose start relaxes lose the start, hops call for no cut."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from synthetic_hosts import FRAME_INTERVAL_PS, noise, octahedra

from screening.errors import InvalidInput
from screening.transport.equilibration import find_equilibration
from screening.transport.trajectory import Trajectory


def energies(rng, n_frames, *, memory_frames=2.0, relaxing=0.0, over_frames=1.0):
    """Unit noise about zero and an exponential relaxation of `relaxing` at the start."""
    kept = np.exp(-1 / memory_frames)
    kicks = rng.standard_normal(n_frames)
    kicks[1:] *= np.sqrt(1 - kept**2)
    start = relaxing * np.exp(-np.arange(n_frames) / over_frames)
    return lfilter([1], [1, -kept], kicks) + start


def still(n_frames, **series):
    """A crystal that does not move at all, so that only what was recorded speaks."""
    return octahedra(np.random.default_rng(0), n_frames, grid=(1, 1, 2), rattle_A=0.0, **series)


@pytest.mark.parametrize("memory_frames", [0.5, 5.0])
@pytest.mark.parametrize("n_frames", [150, 1000])
def test_stationary_runs_lose_little(n_frames, memory_frames):
    rng = np.random.default_rng(1)
    run = still(n_frames)
    cuts = []
    for _ in range(60):
        energy = energies(rng, n_frames, memory_frames=memory_frames)
        cuts.append(find_equilibration(replace(run, potential_energies_eV=energy), "K")[0])
    assert np.mean(np.array(cuts) > 0) < 0.08
    assert np.mean(cuts) < 0.02 * n_frames


@pytest.mark.parametrize("quantity", ["potential_energies_eV", "kinetic_temperatures_K"])
def test_a_start_that_relaxes_is_cut(quantity):
    """What is left is off by no more than its own statistical error."""
    rng = np.random.default_rng(2)
    run = still(1000)
    cuts, means, uncut = [], [], []
    for _ in range(40):
        values = energies(rng, 1000, relaxing=10.0, over_frames=40.0)
        cut, found = find_equilibration(replace(run, **{quantity: values}), "K")
        assert found.cut_ps == pytest.approx(cut * FRAME_INTERVAL_PS, rel=1e-9)
        cuts.append(cut)
        means.append(values[cut:].mean())
        uncut.append(values.mean())
    assert 80 < np.median(cuts) < 250  # e⁻² to e⁻⁶ of the relaxation is left
    assert abs(np.mean(means)) < np.std(means)
    assert np.mean(uncut) > 5 * np.std(uncut)


@pytest.mark.parametrize("ramp_ps", [2.0, 5.0])
def test_heating_ramps_show_in_positions_alone(ramp_ps):
    """Vibration grows with the square root of the temperature, 100 to 800 K."""
    rng = np.random.default_rng(3)
    time_ps = FRAME_INTERVAL_PS * np.arange(800)
    heat = np.sqrt(np.clip(1 / 8 + 7 / 8 * time_ps / ramp_ps, 0, 1))[:, None, None]
    run = octahedra(rng, 800)
    crystal_A = octahedra(rng, 1, rattle_A=0.0).positions_A
    heated = replace(run, positions_A=crystal_A + (run.positions_A - crystal_A) * heat)
    _, found = find_equilibration(heated, "K")
    assert 0.6 * ramp_ps < found.cut_ps < 1.5 * ramp_ps
    assert "displacement of the framework from frame to frame differs" in found.test
    assert "energy" not in found.test


def test_a_host_that_settles_is_cut():
    """Octahedra creep by 1.5 Å in all, over some 2 ps, and stay there."""
    rng = np.random.default_rng(4)
    creep_A = 1.5 * np.exp(-FRAME_INTERVAL_PS * np.arange(800) / 2.0)[:, None, None]
    directions = np.sign(rng.standard_normal((1, 8, 3))) / np.sqrt(3)
    _, found = find_equilibration(octahedra(rng, 800, centres_A=creep_A * directions), "K")
    assert 1.0 < found.cut_ps < 12.0
    assert "displacement of the framework over 1 ps differs" in found.test


def with_hops(rng, run, chances):
    """Each K hops 3.5 Å along an axis with these chances a frame, shape (n_frames, n_ions)."""
    n_frames, n_ions = chances.shape
    hops = rng.random((n_frames, n_ions)) < chances
    steps_A = np.zeros((n_frames, n_ions, 3))
    frames, ions = np.nonzero(hops)
    steps_A[frames, ions, rng.integers(3, size=len(ions))] = 3.5 * rng.choice([-1, 1], len(ions))
    positions_A = run.positions_A.copy()
    positions_A[:, :n_ions] += np.cumsum(steps_A, axis=0)
    return replace(run, positions_A=positions_A.astype(np.float32))


@pytest.mark.parametrize("n_hops", [8, 40, 400])
def test_hops_by_chance_call_for_no_cut(n_hops):
    rng = np.random.default_rng(5)
    cuts = []
    for _ in range(25):
        run = octahedra(rng, 600)
        run = with_hops(rng, run, np.full((600, 16), n_hops / 9600))
        cuts.append(find_equilibration(run, "K")[0])
    assert np.count_nonzero(cuts) <= 2


def test_a_burst_of_one_ion_calls_for_no_cut():
    rng = np.random.default_rng(6)
    chances = np.zeros((600, 16))
    chances[:150, 3] = 0.3
    assert find_equilibration(with_hops(rng, octahedra(rng, 600), chances), "K")[0] == 0


def test_ions_that_all_rush_at_first_are_cut():
    """They begin where they do not belong."""
    rng = np.random.default_rng(7)
    chances = np.full((1000, 16), 0.002)
    chances[:200] = 0.04
    _, found = find_equilibration(with_hops(rng, octahedra(rng, 1000), chances), "K")
    assert 6.0 < found.cut_ps < 16.0
    assert "displacement of K over 1.35 ps differs" in found.test


def test_never_more_than_half():
    rng = np.random.default_rng(12)
    energy = energies(rng, 1000, relaxing=100.0, over_frames=150.0)
    cut, _ = find_equilibration(still(1000, potential_energies_eV=energy), "K")
    assert 450 < cut <= 500


@settings(max_examples=20, deadline=None)
@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    relaxing=st.sampled_from([0.0, 10.0]),
    seed=st.integers(0, 50),
)
def test_units_and_zero_of_energy_do_not_matter(scale, shift, relaxing, seed):
    energy = energies(np.random.default_rng(seed), 300, relaxing=relaxing, over_frames=10.0)
    run = still(300, potential_energies_eV=energy)
    changed = replace(run, potential_energies_eV=scale * energy + shift)
    assert find_equilibration(changed, "K")[0] == find_equilibration(run, "K")[0]


def test_the_report_names_what_was_looked_at():
    rng = np.random.default_rng(8)
    run = octahedra(rng, 200, potential_energies_eV=energies(rng, 200))
    cut, found = find_equilibration(run, "K")
    assert (cut, found.cut_ps) == (0, 0.0)
    assert "potential energy" in found.test
    assert "kinetic temperature" not in found.test
    assert found.test.endswith("no start differs from the rest")


def test_few_frames_are_not_tested():
    run = octahedra(np.random.default_rng(9), 99)
    cut, found = find_equilibration(run, "K")
    assert (cut, found.cut_ps) == (0, 0.0)
    assert found.test == "not tested: 99 frames, at least 100 needed"


@pytest.mark.parametrize("n_frames", [20, 200])
def test_the_mobile_ion_must_be_there(n_frames):
    run = octahedra(np.random.default_rng(10), n_frames)
    with pytest.raises(InvalidInput, match="no Na among the trajectory's species"):
        find_equilibration(run, "Na")


def test_one_mobile_ion_in_one_host_atom():
    """The smallest system there can be."""
    rng = np.random.default_rng(11)
    positions_A = 0.1 * noise(rng, 200, 2, 3, memory_ps=0.1) + np.array([[0.0] * 3, [2.0] * 3])
    run = Trajectory(positions_A.astype(np.float32), 4.0 * np.eye(3), ("Li", "Cl"), 1.0, 50, 300.0)
    assert find_equilibration(run, "Li")[0] == 0


@pytest.mark.parametrize("kelvin", [331.55766061571654, 600.1, 1e-3])
@pytest.mark.parametrize("n_frames", [1499, 1500, 1999])
def test_a_temperature_that_is_held_exactly_says_nothing(kelvin, n_frames):
    """As by rescaled velocities; the means of blocks of it differ by rounding alone."""
    values = np.full(n_frames, kelvin)
    cut, found = find_equilibration(still(n_frames, kinetic_temperatures_K=values), "K")
    assert cut == 0
    assert "kinetic temperature" not in found.test
