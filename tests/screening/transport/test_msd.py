"""Mean squared displacements against the double loop and against known motions."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst
from synthetic_walks import CELL_A, brownian, trajectory_of

from screening.errors import InvalidInput
from screening.transport.msd import (
    displacements_from_framework,
    mean_squared_displacement,
    mobile_mask,
)
from screening.transport.trajectory import Trajectory


def double_loop(positions_A):
    n_frames = len(positions_A)
    return np.array(
        [
            np.mean(
                [
                    np.square(positions_A[start + lag] - positions_A[start]).sum(axis=1)
                    for start in range(n_frames - lag)
                ],
                axis=0,
            )
            for lag in range(n_frames)
        ]
    )


@given(
    positions_A=npst.arrays(
        np.float64,
        st.tuples(st.integers(1, 24), st.integers(1, 3), st.just(3)),
        elements=st.floats(-100, 100),
    )
)
def test_fft_equals_the_double_loop(positions_A):
    np.testing.assert_allclose(
        mean_squared_displacement(positions_A), double_loop(positions_A), rtol=1e-9, atol=1e-8
    )


def test_far_from_the_origin_no_digits_are_lost():
    positions_A = np.random.default_rng(0).normal(scale=1e-3, size=(50, 2, 3))
    np.testing.assert_allclose(
        mean_squared_displacement(positions_A + 1e3), double_loop(positions_A), rtol=1e-6
    )


def test_ballistic_motion_grows_with_the_square_of_time():
    velocity_A = np.array([[0.1, -0.2, 0.3], [0.0, 0.5, 0.0]])
    frames = np.arange(100)
    msd_A2 = mean_squared_displacement(frames[:, None, None] * velocity_A)
    expected = frames[:, None] ** 2 * np.square(velocity_A).sum(axis=1)
    np.testing.assert_allclose(msd_A2, expected, rtol=1e-9, atol=1e-9)


def test_brownian_motion_grows_linearly():
    path_A = brownian(np.random.default_rng(1), 400, 400, D_A2_per_frame=1e-3)
    msd_A2 = mean_squared_displacement(path_A).mean(axis=1)
    lags = np.arange(1, 20)
    np.testing.assert_allclose(msd_A2[1:20] / lags, 6e-3, rtol=0.05)


@given(seed=st.integers(0, 1000))
def test_drift_of_the_framework_is_removed_exactly(seed):
    rng = np.random.default_rng(seed)
    run = trajectory_of(rng, brownian(rng, 20, 3, D_A2_per_frame=0.01))
    drift_A = np.cumsum(rng.normal(size=(20, 1, 3)), axis=0)
    drifting = Trajectory(run.positions_A + drift_A, CELL_A, run.species, 2.0, 25, 800.0)
    still_A = displacements_from_framework(run, "K")
    np.testing.assert_allclose(displacements_from_framework(drifting, "K"), still_A, atol=2e-5)
    assert np.abs(still_A[:, ~mobile_mask(run, "K")].mean(axis=1)).max() < 1e-12


def test_ions_moving_together_on_a_fixed_framework_are_not_drift():
    positions_A = np.zeros((5, 3, 3), np.float32)
    positions_A[:, :2, 0] = np.arange(5)[:, None]
    run = Trajectory(positions_A, CELL_A, ("K", "K", "Cl"), 2.0, 1, 800.0)
    np.testing.assert_array_equal(displacements_from_framework(run, "K"), positions_A)


def test_absent_ion_and_absent_framework():
    run = Trajectory(np.zeros((5, 2, 3), np.float32), CELL_A, ("K", "K"), 2.0, 1, 800.0)
    with pytest.raises(InvalidInput, match="no Na among the trajectory's species \\(K\\)"):
        displacements_from_framework(run, "Na")
    with pytest.raises(InvalidInput, match="every atom is K: drift needs a framework"):
        displacements_from_framework(run, "K")
