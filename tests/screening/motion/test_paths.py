import numpy as np
import pytest
from lattice_walks import OBLIQUE_A, lattice_paths, trajectory_of

from screening.errors import InvalidInput, UnusableRun
from screening.motion.paths import mobile_paths
from screening.transport.msd import series_from_framework


@pytest.fixture
def run():
    rng = np.random.default_rng(1)
    paths, _ = lattice_paths(rng, 200, 5, 3, hops_per_frame=0.05)
    return trajectory_of(rng, paths, OBLIQUE_A, drift_A=3.0)


def changed(run, **parts):
    return type(run)(**{**run.__dict__, **parts})


def test_paths_are_the_displacements_from_the_framework(run):
    paths = mobile_paths(run, "K")
    expected_A = series_from_framework(run, "K").transpose(2, 0, 1)
    np.testing.assert_allclose((paths - paths[0]) @ OBLIQUE_A, expected_A, atol=1e-5)
    np.testing.assert_allclose(paths[0] @ OBLIQUE_A, run.positions_A[0, :5], atol=1e-5)


def test_a_drifting_crystal_does_not_move_its_ions(run):
    positions_A = run.positions_A + np.linspace(0, 2, 200, dtype=np.float32)[:, None, None]
    moved = changed(run, positions_A=positions_A)
    np.testing.assert_allclose(mobile_paths(moved, "K"), mobile_paths(run, "K"), atol=1e-5)


@pytest.mark.parametrize("atom", [0, 7])
def test_positions_that_are_not_finite_are_refused(run, atom):
    positions_A = run.positions_A.copy()
    positions_A[50, atom, 1] = np.nan
    with pytest.raises(UnusableRun, match="not finite"):
        mobile_paths(changed(run, positions_A=positions_A), "K")


def test_wrapped_positions_are_refused(run):
    fractional = run.positions_A @ np.linalg.inv(OBLIQUE_A)
    wrapped_A = ((fractional % 1.0) @ OBLIQUE_A).astype(np.float32)
    with pytest.raises(UnusableRun, match="unwrap"):
        mobile_paths(changed(run, positions_A=wrapped_A), "K")


def test_other_unusable_runs_are_refused(run):
    with pytest.raises(UnusableRun, match="9 frames, at least 10"):
        mobile_paths(changed(run, positions_A=run.positions_A[:9]), "K")
    with pytest.raises(InvalidInput, match="no volume"):
        mobile_paths(changed(run, cell_A=np.zeros((3, 3))), "K")
    with pytest.raises(InvalidInput, match="timestep_fs=0"):
        mobile_paths(changed(run, timestep_fs=0.0), "K")
    with pytest.raises(InvalidInput, match="no Na among"):
        mobile_paths(run, "Na")
