"""Dynamics that survive being killed: a run in pieces is the same run."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from pymatgen.core import Lattice, Structure

from screening.documents import EnergyConvention
from screening.errors import RunExploded
from screening.transport.stopping import StoppingRule
from workflows.config import DynamicsSettings
from workflows.molecular_dynamics import run_molecular_dynamics, widened
from workflows.nvt import STATE

CONVENTION = EnergyConvention(
    code="lj", functional="none", corrections="none", potential="Lennard-Jones argon"
)
# Argon in all but name: calcium has its mass, and pymatgen misses the electronegativity of argon.
ARGON = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.3), ["Ca"], [[0, 0, 0]])
SETTINGS = DynamicsSettings(
    temperatures_K=(60.0,),
    heating_ps=0.1,
    equilibration_ps=0.1,
    production_ps=0.8,
    frame_interval_fs=20,
    checkpoint_ps=0.1,
    min_cell_width_A=5.0,
)


class Killed(Exception):
    pass


class Argon(LennardJones):
    """Real forces; dies after a number of evaluations, as a killed process would."""

    def __init__(self, dies_after=None, epsilon_eV=0.0104):
        super().__init__(sigma=3.4, epsilon=epsilon_eV, rc=8.0, smooth=True)
        self.left = dies_after

    def calculate(self, *args, **kwargs):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        super().calculate(*args, **kwargs)


FIXED = StoppingRule(relative_error=None)


def run(folder, calculator, settings=SETTINGS, temperature_K=60.0):
    return run_molecular_dynamics(
        ARGON, calculator, CONVENTION, temperature_K, settings, folder, "Ca", FIXED
    )


def same_frames(one, other):
    """Up to the order of sums in ASE's neighbour list, which remembers earlier steps."""
    np.testing.assert_allclose(
        one.trajectory.positions_A, other.trajectory.positions_A, rtol=0, atol=1e-6
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run(tmp_path_factory.mktemp("unbroken"), Argon())


@pytest.mark.parametrize("deaths", [(3,), (120,), (260, 1), (499,), (60, 60, 60, 60, 200)])
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


def test_what_is_recorded(unbroken):
    trajectory = unbroken.trajectory
    assert trajectory.positions_A.shape == (41, 4, 3)
    assert trajectory.duration_ps == pytest.approx(0.8)
    assert unbroken.mean_temperature_K == pytest.approx(60, rel=0.5)
    assert abs(unbroken.energy_drift_eV_per_atom_per_ps) < 1e-4


def test_seed_and_temperature_make_different_runs(tmp_path, unbroken):
    (tmp_path / "a").mkdir()
    other = run(tmp_path / "a", Argon(), SETTINGS.model_copy(update={"seed": 1}))
    assert other.seed != unbroken.seed
    assert not np.allclose(other.trajectory.positions_A, unbroken.trajectory.positions_A)


def test_a_run_that_flies_apart_is_a_failure_with_numbers(tmp_path):
    """Bonds so stiff that the time step cannot follow them."""
    with pytest.raises(RunExploded, match=r"K after \d+ steps at a target of 60 K"):
        run(tmp_path, Argon(epsilon_eV=600.0))


@pytest.mark.parametrize(("width", "cells"), [(5.0, 1), (5.3, 1), (5.4, 8), (10.7, 27)])
def test_cells_are_widened_no_more_than_needed(width, cells):
    assert len(widened(ARGON, width)) == 4 * cells


def test_widening_counts_perpendicular_widths():
    slanted = Structure(Lattice.from_parameters(6, 6, 6, 60, 60, 60), ["Ca"], [[0, 0, 0]])
    made = widened(slanted, 5.9)
    assert min(1 / np.linalg.norm(made.lattice.inv_matrix, axis=0)) >= 5.9
