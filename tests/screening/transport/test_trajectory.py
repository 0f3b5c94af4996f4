"""A trajectory survives storage."""

import base64
import io
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from screening.transport.trajectory import SERIES, Trajectory


@given(
    positions_A=npst.arrays(
        np.float32,
        st.tuples(st.integers(0, 5), st.just(3), st.just(3)),
        elements=st.floats(-1e4, 1e4, width=32),
    ),
    timestep_fs=st.floats(0.1, 5),
    stride=st.integers(1, 100),
    temperature_K=st.floats(1, 3000),
    recorded=st.sets(st.sampled_from(SERIES)),
)
def test_round_trip_through_json(positions_A, timestep_fs, stride, temperature_K, recorded):
    series = {name: np.arange(len(positions_A)) - len(name) / 3 for name in recorded}
    run = Trajectory(
        positions_A,
        np.diag([9.9, 10.0, 10.1]),
        ("K", "Ta", "Cl"),
        timestep_fs,
        stride,
        temperature_K,
        **series,
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
    for name in SERIES:
        if name in recorded:
            np.testing.assert_array_equal(getattr(again, name), series[name])
        else:
            assert getattr(again, name) is None


def test_archives_from_before_a_series_was_recorded_are_read():
    """As the first versions wrote them: positions and what goes with them, nothing else."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        positions_A=np.zeros((2, 1, 3), np.float32),
        cell_A=np.eye(3),
        species=np.array(["K"]),
        timestep_fs=2.0,
        stride=5,
        temperature_K=600.0,
        potential_energies_eV=np.array([-1.0, -2.0]),
    )
    run = Trajectory.from_dict({"npz": base64.b64encode(buffer.getvalue()).decode()})
    assert run.potential_energies_eV.tolist() == [-1, -2]
    assert (run.kinetic_temperatures_K, run.conserved_energies_eV, run.notes) == (None, None, ())


@given(first=st.integers(0, 12), end=st.integers(0, 12))
def test_parts_of_a_run_are_parts_of_all_that_was_recorded(first, end):
    frames = np.arange(10.0)
    run = Trajectory(
        np.tile(frames[:, None, None], (1, 1, 3)).astype(np.float32),
        np.eye(3),
        ("K",),
        2.0,
        25,
        800.0,
        **dict.fromkeys(SERIES, frames),
    )
    part = run.from_frame(first).until_frame(end)
    expected = frames[first:][:end]
    np.testing.assert_array_equal(part.positions_A[:, 0, 0], expected)
    for name in SERIES:
        np.testing.assert_array_equal(getattr(part, name), expected)


def test_duration_runs_from_the_first_frame_to_the_last():
    run = Trajectory(np.zeros((11, 1, 3), np.float32), np.eye(3), ("K",), 2.0, 25, 800.0)
    assert run.frame_interval_ps == pytest.approx(0.05)
    assert run.duration_ps == pytest.approx(0.5)
