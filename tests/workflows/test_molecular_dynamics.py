"""Dynamics that survive being killed: a run in pieces is the same run."""

from __future__ import annotations

import numpy as np
import pytest
from argon import ARGON, CONVENTION, Argon, Killed
from ase import Atoms, units
from ase.calculators.harmonic import SpringCalculator
from pymatgen.core import Lattice, Structure

from screening.errors import RunExploded
from screening.transport.stopping import (
    StoppingRule,
    Threshold,
    conserved_drift_eV_per_atom_per_ps,
)
from workflows.config import DynamicsSettings
from workflows.molecular_dynamics import run_molecular_dynamics, widened
from workflows.nvt import STATE, Leg, NvtRun, target_temperature


class Springs(SpringCalculator):
    """Every atom on a spring of its own."""

    def calculate(self, *args):
        super().calculate(*args)
        self.results["free_energy"] = self.results["energy"]


class LooseForces(Argon):
    """Forces with an error of their own at every step, as of electrons that are not converged."""

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["forces"] += self.rng.normal(0, 0.15, self.results["forces"].shape)


SETTINGS = DynamicsSettings(
    temperatures_K=(60.0,),
    heating_ps=0.1,
    equilibration_ps=0.1,
    production_ps=0.8,
    frame_interval_fs=20,
    checkpoint_ps=0.1,
    min_cell_width_A=5.0,
)


FIXED = StoppingRule(relative_error=None)
ADAPTIVE = StoppingRule(0.25, Threshold("min_diffusivity_cm2_s", 1e-3))


def run(folder, calculator, settings=SETTINGS, temperature_K=60.0, rule=FIXED):
    folder.mkdir(exist_ok=True)
    return run_molecular_dynamics(
        ARGON, calculator, CONVENTION, temperature_K, settings, folder, "K", rule
    )


def same_frames(one, other):
    """Up to the order of sums in ASE's neighbour list, which remembers earlier steps."""
    np.testing.assert_allclose(
        one.trajectory.positions_A, other.trajectory.positions_A, rtol=0, atol=1e-6
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run(tmp_path_factory.mktemp("unbroken"), Argon())


@pytest.mark.parametrize("deaths", [(120,), (260, 1), (60, 60, 60, 60, 200)])
def test_a_run_in_pieces_is_the_same_run(tmp_path, unbroken, deaths):
    for evaluations in deaths:
        with pytest.raises(Killed):
            run(tmp_path, Argon(evaluations))
    pieces = run(tmp_path, Argon())
    same_frames(pieces, unbroken)
    assert pieces.mean_temperature_K == pytest.approx(unbroken.mean_temperature_K, rel=1e-9)
    assert pieces.energy_drift_eV_per_atom_per_ps == pytest.approx(
        unbroken.energy_drift_eV_per_atom_per_ps, rel=1e-6, abs=0
    )


def test_at_most_one_checkpoint_interval_is_lost(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, Argon(320))
    with np.load(tmp_path / STATE) as state:
        assert 320 - state["step"] <= 50 + 1


def test_a_piece_that_was_written_without_its_state_does_not_count(tmp_path, unbroken):
    """Killed between the two files of a checkpoint."""
    with pytest.raises(Killed):
        run(tmp_path, Argon(260))
    np.savez(
        tmp_path / "frames-000000300.npz",
        frames_A=np.zeros((5, 4, 3), np.float32),
        kinetic_temperatures_K=np.zeros(5),
        potential_energies_eV=np.zeros(5),
        conserved_eV=np.zeros(5),
    )
    pieces = run(tmp_path, Argon())
    same_frames(pieces, unbroken)


@pytest.mark.parametrize("first", [True, False])
def test_such_a_piece_never_counts_even_if_checkpoints_are_then_further_apart(
    tmp_path, unbroken, first
):
    with pytest.raises(Killed):
        run(tmp_path, Argon(120))
    if first:
        (tmp_path / STATE).unlink()
    else:
        newest = max(tmp_path.glob("frames-*.npz"))
        newest.with_name("frames-000000130.npz").write_bytes(newest.read_bytes())
    rarer = SETTINGS.model_copy(update={"checkpoint_ps": 0.14})
    with pytest.raises(Killed):
        run(tmp_path, Argon(350), rarer)
    same_frames(run(tmp_path, Argon(), rarer), unbroken)


def test_what_is_recorded(unbroken):
    trajectory = unbroken.trajectory
    assert trajectory.positions_A.shape == (41, 4, 3)
    assert trajectory.duration_ps == pytest.approx(0.8)
    assert unbroken.mean_temperature_K == pytest.approx(60, rel=0.5)
    assert abs(unbroken.energy_drift_eV_per_atom_per_ps) < 1e-4


def test_energies_and_temperatures_are_recorded_once_a_frame(unbroken):
    """At each frame the energy is that of its positions, with the same forces anew."""
    trajectory = unbroken.trajectory
    assert trajectory.kinetic_temperatures_K.mean() == pytest.approx(unbroken.mean_temperature_K)
    for frame in (0, 20, 40):
        atoms = Atoms("K4", trajectory.positions_A[frame], cell=trajectory.cell_A, pbc=True)
        atoms.calc = Argon()
        energy_eV = atoms.get_potential_energy()
        assert trajectory.potential_energies_eV[frame] == pytest.approx(energy_eV, rel=1e-5)


def test_the_conserved_energy_is_recorded_and_does_not_drift(unbroken):
    trajectory = unbroken.trajectory
    assert trajectory.conserved_energies_eV.shape == (41,)
    slope, error = conserved_drift_eV_per_atom_per_ps(trajectory)
    assert slope == pytest.approx(unbroken.energy_drift_eV_per_atom_per_ps, rel=1e-6, abs=0)
    assert abs(slope) + error < 1e-4
    assert unbroken.end.outcome == "budget"


@pytest.mark.parametrize("rule", [FIXED, ADAPTIVE])
def test_forces_that_are_no_gradient_end_a_run_as_drifted(tmp_path, rule):
    """White noise σ in a force heats an atom by 3 σ² Δt / 2 m, here by 16 meV/ps."""
    made = run(tmp_path, LooseForces(), rule=rule)
    assert made.end.outcome == "drifted"
    rate = 1.5 * 0.15**2 * (2 * units.fs) / 39.5 * 1000 * units.fs
    assert made.energy_drift_eV_per_atom_per_ps == pytest.approx(rate, rel=0.5, abs=0)
    assert "use a shorter dynamics.timestep_fs" in made.end.message


def test_the_length_is_that_of_heating_equilibration_and_production(unbroken):
    steps = unbroken.n_heating_steps, unbroken.n_equilibration_steps, unbroken.n_production_steps
    assert steps == (50, 50, 400)
    assert (unbroken.end.outcome, unbroken.end.message) == ("budget", "fixed length of 0.8 ps")


SEGMENTED = SETTINGS.model_copy(update={"production_ps": 8.0, "segment_ps": 0.9})


@pytest.fixture(scope="module")
def adaptive(tmp_path_factory):
    return run(tmp_path_factory.mktemp("adaptive"), Argon(), SEGMENTED, rule=ADAPTIVE)


def test_a_crystal_that_does_not_move_is_ended_by_the_gate_that_rejects_it(adaptive):
    assert adaptive.end.outcome == "bound_rejects"
    assert 450 < adaptive.n_production_steps < 4000
    assert adaptive.n_production_steps % 450 == 0
    assert len(adaptive.trajectory.positions_A) == adaptive.n_production_steps // 10 + 1


def test_a_run_in_segments_is_the_same_run_as_one_of_that_length(tmp_path, adaptive):
    length_ps = adaptive.n_production_steps * 0.002
    alike = SETTINGS.model_copy(update={"production_ps": length_ps})
    same_frames(run(tmp_path, Argon(), alike), adaptive)


@pytest.mark.parametrize("evaluations", [601, 900])
def test_an_adaptive_run_that_is_killed_ends_where_the_unbroken_one_does(
    tmp_path, adaptive, evaluations
):
    with pytest.raises(Killed):
        run(tmp_path, Argon(evaluations), SEGMENTED, rule=ADAPTIVE)
    resumed = run(tmp_path, Argon(), SEGMENTED, rule=ADAPTIVE)
    same_frames(resumed, adaptive)
    assert resumed.end == adaptive.end


def test_seed_and_temperature_make_different_runs(tmp_path, unbroken):
    other = run(tmp_path / "a", Argon(), SETTINGS.model_copy(update={"seed": 1}))
    assert other.seed != unbroken.seed
    assert not np.allclose(other.trajectory.positions_A, unbroken.trajectory.positions_A)


def test_a_run_that_flies_apart_is_a_failure_with_numbers(tmp_path):
    """Bonds so stiff that the time step cannot follow them."""
    with pytest.raises(RunExploded, match=r"K after \d+ steps at a target of [\d.]+ K"):
        run(tmp_path, Argon(epsilon_eV=600.0))


def test_a_run_that_flies_apart_later_keeps_what_it_had_produced(tmp_path, unbroken):
    made = run(tmp_path, Argon(stiffens_after=300))
    assert made.end.outcome == "exploded"
    assert "at a target of 60 K" in made.end.message
    n_frames = len(made.trajectory.positions_A)
    assert n_frames >= (300 - 100) // 10
    before = made.trajectory.positions_A[:20]
    np.testing.assert_allclose(before, unbroken.trajectory.positions_A[:20], rtol=0, atol=1e-6)


def test_heating_is_linear_and_ends_at_the_temperature():
    legs = [Leg(1000, 100.0, 900.0), Leg(0, 900.0, 900.0), Leg(500, 900.0, 900.0)]
    assert [target_temperature(legs, step) for step in (0, 250, 1000, 1400, 9999)] == [
        100,
        300,
        900,
        900,
        900,
    ]


def test_a_solid_follows_the_thermostat_while_it_is_heated(tmp_path):
    """Oscillators of many frequencies."""
    n_atoms = 100
    sites_A = np.random.default_rng(0).uniform(0, 50, (n_atoms, 3))
    atoms = Atoms(f"K{n_atoms}", sites_A, masses=np.linspace(10, 300, n_atoms))
    atoms.calc = Springs(sites_A, 1.0)
    heated = NvtRun(
        atoms,
        [Leg(2000, 100.0, 900.0)],
        timestep_fs=2.0,
        thermostat_period_fs=100.0,
        seed=1,
        record_from=0,
        stride=1,
        save_every=10_000,
        folder=tmp_path,
        on_save=lambda step: None,
    )
    heated.advance(2000)
    parts = np.split(heated.kinetic_temperatures_K, 5)[1:]  # the first still fills the springs
    for part, expected_K in zip(parts, (340, 500, 660, 820), strict=True):
        assert part.mean() == pytest.approx(expected_K, rel=0.2), [p.mean() for p in parts]


@pytest.mark.parametrize(("width", "cells"), [(5.0, 1), (5.3, 1), (5.4, 8), (10.7, 27)])
def test_cells_are_widened_no_more_than_needed(width, cells):
    assert len(widened(ARGON, width)) == 4 * cells


def test_widening_counts_perpendicular_widths():
    slanted = Structure(Lattice.from_parameters(6, 6, 6, 60, 60, 60), ["Ca"], [[0, 0, 0]])
    made = widened(slanted, 5.9)
    assert min(1 / np.linalg.norm(made.lattice.inv_matrix, axis=0)) >= 5.9
