"""Drifts that are both sure and large are named, others are not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_hosts import noise, octahedra

from screening.transport.run_flags import run_flags
from screening.units import BOLTZMANN_EV_PER_K

N_FRAMES = 600
RUN = octahedra(np.random.default_rng(0), N_FRAMES, grid=(1, 1, 2))
N_ATOMS = len(RUN.species)
RAMP = np.linspace(-0.5, 0.5, N_FRAMES)


def run_with(*, drift_K=0.0, off_K=0.0, drift_eV_per_atom=0.0, scatter=1.0, seed=1):
    """A run at 800 K whose temperature scatters as that of so few atoms does."""
    rng = np.random.default_rng(seed)
    scatter_K = 800.0 * np.sqrt(2 / (3 * N_ATOMS)) * scatter
    thermal_eV = 1.5 * BOLTZMANN_EV_PER_K * 800.0
    wobble = noise(rng, N_FRAMES, 2, memory_ps=0.2)
    energy_eV = N_ATOMS * (-4.0 + drift_eV_per_atom * RAMP + thermal_eV * wobble[:, 0] / 30)
    return replace(
        RUN,
        potential_energies_eV=energy_eV,
        kinetic_temperatures_K=800.0 + off_K + drift_K * RAMP + scatter_K * wobble[:, 1],
    )


@pytest.mark.parametrize("seed", range(10))
def test_steady_runs_are_not_flagged(seed):
    assert run_flags(run_with(seed=seed)) == ()


def test_nothing_recorded_nothing_said():
    assert run_flags(RUN) == ()


def test_a_drift_of_energy_is_flagged():
    (flag,) = run_flags(run_with(drift_eV_per_atom=-0.03))
    meV = float(flag.split("by ")[1].split(" meV/atom")[0])
    assert meV == pytest.approx(-30, abs=5)
    assert "in 30 ps, " in flag
    assert "of 3/2 k_B T" in flag


def test_a_drift_of_temperature_is_flagged():
    (flag,) = run_flags(run_with(drift_K=200.0, scatter=0.3))
    drift_K = float(flag.split("by ")[1].split(" K")[0])
    assert drift_K == pytest.approx(200, abs=40)
    assert "at a target of 800 K" in flag


def test_a_mean_temperature_off_its_target_is_flagged():
    (flag,) = run_flags(run_with(off_K=-100.0, scatter=0.3))
    mean_K = float(flag.removeprefix("mean temperature ").split(" K")[0])
    assert mean_K == pytest.approx(700, abs=20)
    assert "target 800 K; look at the thermostat" in flag


@pytest.mark.parametrize(
    "change", [{"drift_K": 20.0}, {"off_K": 20.0}, {"drift_eV_per_atom": 0.003}]
)
def test_small_drifts_are_not_flagged_however_sure(change):
    assert run_flags(run_with(**change, scatter=0.01)) == ()


def test_large_drifts_are_not_flagged_where_chance_may_have_made_them():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        wandering_K = 800.0 + 60.0 * noise(rng, N_FRAMES, memory_ps=3.0)
        wandering_K += 800.0 - wandering_K.mean()
        assert run_flags(replace(RUN, kinetic_temperatures_K=wandering_K)) == ()


@settings(max_examples=25, deadline=None)
@given(zero_eV=st.floats(-1e3, 1e3), drift=st.sampled_from([0.0, 0.05]), seed=st.integers(0, 20))
def test_the_zero_of_energy_does_not_matter(zero_eV, drift, seed):
    run = run_with(drift_eV_per_atom=drift, seed=seed)
    assert run.potential_energies_eV is not None
    shifted = replace(run, potential_energies_eV=run.potential_energies_eV + zero_eV)
    assert run_flags(shifted) == run_flags(run)
    assert len(run_flags(run)) == (drift > 0)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 5])
def test_a_few_frames_show_no_drift(n_frames):
    run = run_with(drift_K=300.0)
    short = replace(
        run,
        positions_A=run.positions_A[:n_frames],
        potential_energies_eV=run.potential_energies_eV[:n_frames],
        kinetic_temperatures_K=run.kinetic_temperatures_K[:n_frames],
    )
    assert not any("drifted" in flag for flag in run_flags(short))
