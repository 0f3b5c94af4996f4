"""The longest runs are small as stored, and soon read: 300 ps of 128 atoms, a frame every 20 fs."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from jobflow import JobStore
from scipy.signal import lfilter

from screening.documents import EnergyConvention
from screening.transport.documents import DynamicsDocument, MolecularDynamics, RunEnd
from screening.transport.trajectory import SERIES, Trajectory
from workflows.store.arrays import ArrayFileStore
from workflows.store.sqlite import SqliteStore

N_FRAMES, N_ATOMS, N_IONS = 15_000, 128, 16
CELL_A = np.array([[19.8, 0, 0], [0.3, 20.1, 0], [-0.2, 0.1, 20.4]])


def long_run():
    """Ions hop once in 20 ps or so; every atom vibrates by 0.2 Å with a period of 0.2 ps."""
    rng = np.random.default_rng(0)
    hops = rng.random((N_FRAMES, N_IONS)) < 1e-3
    steps_A = 3.5 * (hops * rng.choice([-1, 1], hops.shape))[..., None]
    paths_A = np.cumsum(steps_A * np.eye(3)[rng.integers(3, size=hops.shape)], axis=0)
    memory, turn = np.exp(-0.02 / 0.5), 2 * np.pi * 0.02 / 0.2
    kicks = rng.standard_normal((N_FRAMES, N_ATOMS, 3))
    positions_A = lfilter([1], [1, -2 * memory * np.cos(turn), memory**2], kicks, axis=0)
    positions_A *= 0.2 / positions_A.std()
    positions_A += rng.random((N_ATOMS, 3)) @ CELL_A
    positions_A[:, :N_IONS] += paths_A
    return Trajectory(
        positions_A=positions_A.astype(np.float32),
        cell_A=CELL_A,
        species=("K",) * N_IONS + ("Ta",) * 16 + ("Cl",) * (N_ATOMS - N_IONS - 16),
        timestep_fs=2.0,
        stride=10,
        temperature_K=600.0,
        potential_energies_eV=-500 + rng.standard_normal(N_FRAMES),
        kinetic_temperatures_K=600 + 40 * rng.standard_normal(N_FRAMES),
        conserved_energies_eV=-480 + 0.01 * rng.standard_normal(N_FRAMES),
    )


def document(trajectory):
    result = MolecularDynamics(
        temperature_K=600.0,
        mean_temperature_K=600.0,
        timestep_fs=2.0,
        n_heating_steps=1000,
        n_equilibration_steps=5000,
        n_production_steps=150_000,
        end=RunEnd(outcome="budget", message="fixed length of 300 ps"),
        energy_drift_eV_per_atom_per_ps=1e-6,
        seed=1,
        convention=EnergyConvention(
            code="lj", functional="none", corrections="none", potential="none"
        ),
        trajectory=trajectory,
    )
    return DynamicsDocument(state="done", temperature_K=600.0, result=result, wall_time_s=1.0)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The run, its stores, and the document as the job table's neighbour keeps it."""
    folder = tmp_path_factory.mktemp("results")
    run = long_run()
    arrays = ArrayFileStore(folder / "results.sqlite", folder / "arrays")
    answer = {"uuid": "job", "index": 1, "output": document(run).model_dump(mode="json")}
    with JobStore(SqliteStore(folder / "results.sqlite"), {"data": arrays}) as store:
        store.update(answer, save={"data": [Trajectory]})
        yield run, store, arrays


def test_the_archive_is_small(stored):
    _, _, arrays = stored
    (archive,) = Path(arrays.directory).iterdir()
    assert archive.stat().st_size < 50e6
    with np.load(archive) as opened:
        assert opened["positions_A"].shape == (N_FRAMES, N_ATOMS, 3)


def test_the_document_holds_no_frames(stored):
    _, store, arrays = stored
    kept = store.query_one({"uuid": "job"}, load=False)
    index = next(SqliteStore.query(arrays))
    for stored_json in (kept, index):
        stored_json.pop("_id", None)
        assert len(json.dumps(stored_json)) < 10_000
    assert kept["output"]["result"]["n_production_steps"] == 150_000


def test_it_is_soon_read_and_the_same(stored):
    run, store, _ = stored
    start_s = time.process_time()
    loaded = store.query_one({"uuid": "job"}, load=True)["output"]["result"]["trajectory"]
    again = loaded if isinstance(loaded, Trajectory) else Trajectory.from_dict(loaded)
    cpu_s = time.process_time() - start_s
    assert cpu_s < 2.0
    np.testing.assert_array_equal(again.positions_A, run.positions_A)
    assert again.positions_A.dtype == np.float32
    np.testing.assert_array_equal(again.cell_A, run.cell_A)
    for name in SERIES:
        np.testing.assert_array_equal(getattr(again, name), getattr(run, name))
    told = ("species", "temperature_K", "timestep_fs", "stride", "notes")
    assert [getattr(again, name) for name in told] == [getattr(run, name) for name in told]
    assert again.duration_ps == pytest.approx(300, abs=0.03)
