"""Mean squared displacements against the double loop and against known motions."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as npst
from synthetic_walks import CELL_A, brownian, trajectory_of

from screening.errors import InvalidInput, UnusableRun
from screening.transport.msd import (
    PAIRS,
    displacement_tensor,
    mobile_mask,
    msd_curves,
    series_from_framework,
)
from screening.transport.trajectory import Trajectory


def msd(series_A):
    return displacement_tensor(series_A)[:3].sum(axis=0)


def displacements_from_framework(run, ion):
    """All atoms, shape (n_frames, n_atoms, 3), in plain numpy."""
    moved_A = run.positions_A.astype(np.float64) - run.positions_A[0]
    return moved_A - moved_A[:, ~mobile_mask(run, ion)].mean(axis=1, keepdims=True)


def double_loop_tensor(series_A):
    """⟨Δa Δb⟩ over atoms and origins, lag by lag."""
    n_frames = series_A.shape[2]
    tensor_A2 = np.zeros((6, n_frames))
    for lag in range(1, n_frames):
        moved_A = series_A[:, :, lag:] - series_A[:, :, :-lag]
        for pair, (a, b) in enumerate(PAIRS):
            tensor_A2[pair, lag] = (moved_A[:, a] * moved_A[:, b]).mean()
    return tensor_A2


@settings(deadline=None, max_examples=100)  # the first call compiles
@given(
    series_A=npst.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.just(3), st.integers(1, 24)),
        elements=st.floats(-100, 100),
    )
)
def test_displacement_tensor_equals_the_double_loop(series_A):
    np.testing.assert_allclose(
        displacement_tensor(series_A), double_loop_tensor(series_A), rtol=1e-9, atol=1e-8
    )


def test_tensor_of_motion_along_a_diagonal():
    """Straight flight along (1, -1, 0): every product is the square of half the way."""
    series_A = np.array([0.1, -0.1, 0.0])[None, :, None] * np.arange(50.0)
    square_A2 = 0.01 * np.arange(50.0) ** 2
    expected_A2 = np.outer([1, 1, 0, -1, 0, 0], square_A2)
    np.testing.assert_allclose(displacement_tensor(series_A), expected_A2, rtol=1e-9, atol=1e-9)


def test_far_from_the_origin_no_digits_are_lost():
    series_A = np.random.default_rng(0).normal(scale=1e-3, size=(2, 3, 50))
    np.testing.assert_allclose(
        displacement_tensor(series_A + 1e3), double_loop_tensor(series_A), rtol=1e-6, atol=1e-15
    )


def test_ballistic_motion_grows_with_the_square_of_time():
    velocity_A = np.array([[0.1, -0.2, 0.3], [0.0, 0.5, 0.0]])
    frames = np.arange(100)
    expected = frames**2 * np.square(velocity_A).sum(axis=1).mean()
    np.testing.assert_allclose(msd(velocity_A[..., None] * frames), expected, rtol=1e-9, atol=1e-9)


def test_brownian_motion_grows_linearly():
    path_A = brownian(np.random.default_rng(1), 400, 400, D_A2_per_frame=1e-3)
    lags = np.arange(1, 20)
    np.testing.assert_allclose(msd(path_A.transpose(1, 2, 0))[1:20] / lags, 6e-3, rtol=0.05)


@given(seed=st.integers(0, 1000))
def test_drift_of_the_framework_is_removed_exactly(seed):
    rng = np.random.default_rng(seed)
    run = trajectory_of(rng, brownian(rng, 20, 3, D_A2_per_frame=0.01))
    drift_A = np.cumsum(rng.normal(size=(20, 1, 3)), axis=0)
    drifting = Trajectory(run.positions_A + drift_A, CELL_A, run.species, 2.0, 25, 800.0)
    still_A = series_from_framework(run, "K")
    np.testing.assert_allclose(series_from_framework(drifting, "K"), still_A, atol=2e-5)


def test_ions_moving_together_on_a_fixed_framework_are_not_drift():
    positions_A = np.zeros((5, 3, 3), np.float32)
    positions_A[:, :2, 0] = np.arange(5)[:, None]
    run = Trajectory(positions_A, CELL_A, ("K", "K", "Cl"), 2.0, 1, 800.0)
    expected_A = positions_A[:, :2].transpose(1, 2, 0)
    np.testing.assert_array_equal(series_from_framework(run, "K"), expected_A)


def test_absent_ion_and_absent_framework():
    run = Trajectory(np.zeros((5, 2, 3), np.float32), CELL_A, ("K", "K"), 2.0, 1, 800.0)
    with pytest.raises(InvalidInput, match="no Na among the trajectory's species \\(K\\)"):
        series_from_framework(run, "Na")
    with pytest.raises(InvalidInput, match="every atom is K: drift needs a framework"):
        series_from_framework(run, "K")


def drifting_run(seed, n_frames=100):
    """Ions that diffuse on a framework that flows."""
    rng = np.random.default_rng(seed)
    run = trajectory_of(rng, brownian(rng, n_frames, 3, D_A2_per_frame=0.01))
    drift_A = np.cumsum(rng.normal(scale=0.3, size=(n_frames, 1, 3)), axis=0)
    positions_A = (run.positions_A + drift_A).astype(np.float32)
    return Trajectory(positions_A, CELL_A, run.species, 2.0, 25, 800.0)


@settings(deadline=None, max_examples=100)  # the first call compiles
@given(seed=st.integers(0, 1000), n_frames=st.integers(1, 70))
def test_series_are_the_displacements_of_the_ions(seed, n_frames):
    run = drifting_run(seed, n_frames)
    expected_A = displacements_from_framework(run, "K")[:, mobile_mask(run, "K")]
    series_A = series_from_framework(run, "K")
    np.testing.assert_allclose(series_A, np.moveaxis(expected_A, 0, -1), atol=1e-12)
    np.testing.assert_array_equal(series_A[:, :, 0], 0)


def test_series_of_absent_ion_and_absent_framework():
    run = Trajectory(np.zeros((5, 2, 3), np.float32), CELL_A, ("K", "K"), 2.0, 1, 800.0)
    with pytest.raises(InvalidInput, match="no Na among the trajectory's species \\(K\\)"):
        series_from_framework(run, "Na")
    with pytest.raises(InvalidInput, match="every atom is K: drift needs a framework"):
        series_from_framework(run, "K")


@pytest.mark.parametrize(("atom", "value"), [(0, np.nan), (2, np.inf), (18, np.nan)])
@pytest.mark.parametrize("first_bad", [0, 1, 40, 99])
def test_positions_that_are_no_numbers_are_named(atom, value, first_bad):
    run = drifting_run(0)
    run.positions_A[first_bad:, atom, 1] = value
    message = f"not finite in {100 - first_bad} of 100 frames, first in frame {first_bad}; the run"
    with pytest.raises(UnusableRun, match=message):
        series_from_framework(run, "K")


@pytest.mark.parametrize(("atom", "symbol"), [(1, "K"), (4, "Ta"), (10, "Cl")])
@pytest.mark.parametrize("frame", [0, 63, 1001])
def test_wrapped_positions_are_named(atom, symbol, frame):
    rng = np.random.default_rng(0)
    run = trajectory_of(rng, brownian(rng, 1100, 3, D_A2_per_frame=1e-3))
    run.positions_A[frame + 1 :, atom] -= CELL_A[1].astype(np.float32)
    message = rf"atom {atom} \({symbol}\) crosses (0\.9\d|1\.0\d) of the cell between frames "
    with pytest.raises(UnusableRun, match=f"{message}{frame} and {frame + 1}; unwrap"):
        series_from_framework(run, "K")


def test_half_of_an_oblique_cell_is_measured_along_its_vectors():
    """A step of 0.45 of a long lattice vector is wider than half the cell's least width."""
    cell_A = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [12.0, 0.0, 4.0]])
    positions_A = np.zeros((20, 2, 3), np.float32)
    positions_A[10:, 0] = 0.45 * cell_A[2]
    run = Trajectory(positions_A, cell_A, ("K", "Cl"), 2.0, 1, 800.0)
    assert series_from_framework(run, "K")[0, 0, -1] == pytest.approx(5.4)
    positions_A[10:, 0] = 0.55 * cell_A[2]
    with pytest.raises(UnusableRun, match=r"crosses 0\.55 of the cell between frames 9 and 10"):
        series_from_framework(run, "K")


def test_curves_are_the_mean_squared_displacements_of_every_species():
    """With fewer frames than origins a lag, every origin counts."""
    run = drifting_run(3, 150)
    displacements_A = displacements_from_framework(run, "K")
    curves = msd_curves(run, "K")
    assert [curve.species for curve in curves] == ["K", "Ta", "Cl"]
    for curve in curves:
        series_A = np.moveaxis(displacements_A[:, mobile_mask(run, curve.species)], 0, -1)
        lags = np.round(np.array(curve.lag_ps) / 0.05).astype(int)
        assert lags[0] == 1
        assert lags[-1] == 75
        assert len(lags) <= 50
        expected_A2 = displacement_tensor(series_A)[:3, lags].sum(axis=0)
        np.testing.assert_allclose(curve.msd_A2, expected_A2, rtol=1e-4)


def test_curves_of_long_runs_rest_on_some_origins():
    rng = np.random.default_rng(0)
    run = trajectory_of(rng, brownian(rng, 5000, 8, D_A2_per_frame=0.01))
    (ions, *_) = msd_curves(run, "K")
    lags = np.round(np.array(ions.lag_ps) / 0.05).astype(int)
    all_A2 = displacement_tensor(series_from_framework(run, "K"))[:3, lags].sum(axis=0)
    np.testing.assert_allclose(ions.msd_A2, all_A2, rtol=0.2)


def test_other_alkali_metals_are_no_framework():
    """They may diffuse too; the drift that they would make is no motion of the others."""
    rng = np.random.default_rng(3)
    run = trajectory_of(rng, brownian(rng, 200, 6, D_A2_per_frame=0.01), amplitude_A=0.0)
    still = series_from_framework(run, "Cl")
    np.testing.assert_allclose(still, 0, atol=1e-5)
    without_others = run.positions_A[:, [i for i, s in enumerate(run.species) if s != "Ta"]]
    species = tuple(s for s in run.species if s != "Ta")
    alone = Trajectory(without_others, CELL_A, species, 2.0, 25, 800.0)
    assert np.abs(series_from_framework(alone, "Cl")).max() > 0.01  # K is all there is
