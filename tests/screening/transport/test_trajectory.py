"""A trajectory survives storage."""

import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from screening.transport.trajectory import Trajectory


@given(
    positions_A=npst.arrays(
        np.float32,
        st.tuples(st.integers(0, 5), st.just(3), st.just(3)),
        elements=st.floats(-1e4, 1e4, width=32),
    ),
    timestep_fs=st.floats(0.1, 5),
    stride=st.integers(1, 100),
    temperature_K=st.floats(1, 3000),
)
def test_round_trip_through_json(positions_A, timestep_fs, stride, temperature_K):
    run = Trajectory(
        positions_A,
        np.diag([9.9, 10.0, 10.1]),
        ("K", "Ta", "Cl"),
        timestep_fs,
        stride,
        temperature_K,
    )
    again = Trajectory.from_dict(json.loads(json.dumps(run.as_dict())))
    np.testing.assert_array_equal(again.positions_A, run.positions_A)
    assert again.positions_A.dtype == np.float32
    np.testing.assert_array_equal(again.cell_A, run.cell_A)
    assert again.species == run.species
    assert (again.timestep_fs, again.stride, again.temperature_K) == (
        timestep_fs,
        stride,
        temperature_K,
    )


def test_duration_runs_from_the_first_frame_to_the_last():
    run = Trajectory(np.zeros((11, 1, 3), np.float32), np.eye(3), ("K",), 2.0, 25, 800.0)
    assert run.frame_interval_ps == pytest.approx(0.05)
    assert run.duration_ps == pytest.approx(0.5)
