"""Molecular dynamics of several cells, temperatures and replicas as one batch.

On a CPU, in one thread, whatever else is in the batch changes no bit of a run: together or alone,
in one piece or in several, it takes the very same path.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.calculators.calculator import all_changes
from pymatgen.io.ase import AseAtomsAdaptor

from screening.errors import EngineFailure, RunExploded
from screening.potential.calculator import PotentialCalculator
from screening.potential.evaluation import Potential
from screening.potential.together import run_together
from screening.prototypes.phases import reference_structure
from workflows.engines.chgnet import weights_file
from workflows.nvt import STATE, Leg, NvtRun

N_STEPS = 300
SAVED_AT = 200
SAVE_EVERY = 100
STEP_FS = 2.0


@dataclass(frozen=True)
class Member:
    """A run of a batch."""

    phase: str
    temperature_K: float
    seed: int


MEMBERS = (
    Member("KTaCl6", 600, 0),
    Member("KTaCl6", 600, 1),  # a replica
    Member("KTaCl6", 900, 0),
    Member("KCl", 400, 0),
)


@functools.cache
def potential() -> Potential:
    torch.set_num_threads(1)
    return Potential(weights_file("0.3.0"), "cpu")


def start(member: Member, folder: Path, **changed: Any) -> NvtRun:
    folder.mkdir(parents=True, exist_ok=True)
    structure = reference_structure(member.phase).remove_oxidation_states()
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.calc = PotentialCalculator(potential())
    settings: dict[str, Any] = {
        "timestep_fs": STEP_FS,
        "thermostat_period_fs": 100.0,
        "seed": member.seed,
        "record_from": 0,
        "stride": 1,
        "save_every": SAVE_EVERY,
        "on_save": lambda step: None,
    }
    constant = [Leg(N_STEPS, member.temperature_K, member.temperature_K)]
    return NvtRun(atoms, constant, folder=folder, **settings | changed)


def advance_together(runs, n_steps) -> dict[int, Exception | None]:
    """How each run ended."""
    programs = iter([functools.partial(run.advance, n_steps) for run in runs])
    batch = run_together(lambda: next(programs, None), 10**6)
    return {ended.index: ended.error for ended in batch}


def batch(folder: Path, n_steps: int, members=MEMBERS, **changed: Any) -> list[NvtRun]:
    """Runs from where their folders say to a step."""
    runs = [start(one, folder / str(n), **changed) for n, one in enumerate(members)]
    assert advance_together(runs, n_steps) == dict.fromkeys(range(len(runs)))
    return runs


def state(run: NvtRun) -> dict[str, np.ndarray]:
    """All that the next step depends on, and what was recorded."""
    thermostat = run._integrator._thermostat
    return {
        "positions": run.atoms.get_positions(),
        "momenta": run.atoms.get_momenta(),
        "eta": thermostat._eta,
        "p_eta": thermostat._p_eta,
        "frames": np.array(run._frames),
        **{name: np.array(values) for name, values in run._series.items()},
    }


def assert_bitwise_same(runs, others) -> None:
    for run, other in zip(runs, others, strict=True):
        assert run.step == other.step
        for name, values in state(run).items():
            np.testing.assert_array_equal(values, state(other)[name], err_msg=name)


def assert_same_paths(runs, others) -> None:
    for run, other in zip(runs, others, strict=True):
        assert run.n_frames == other.n_frames
        np.testing.assert_array_equal(run._frames, other._frames)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return batch(tmp_path_factory.mktemp("whole"), N_STEPS)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    runs = [start(one, tmp_path_factory.mktemp("alone")) for one in MEMBERS]
    for run in runs:
        run.advance(N_STEPS)
    return runs


@pytest.fixture(scope="module")
def dropped_at_210(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dropped")
    batch(folder, 210)
    return folder


@pytest.fixture
def cut(tmp_path, dropped_at_210):
    """Folders of a batch that was dropped after its checkpoint at 200 steps."""
    return Path(shutil.copytree(dropped_at_210, tmp_path / "cut"))


def test_paths_are_those_of_single_runs(whole, alone):
    assert_same_paths(whole, alone)
    ends = [run.atoms.get_positions() for run in whole]
    assert np.abs(ends[0] - ends[1]).max() > 0.1  # replicas and temperatures do differ
    assert np.abs(ends[0] - ends[2]).max() > 0.1


def test_the_conserved_quantity_is_kept_as_well_as_in_single_runs(whole, alone):
    for run, other in zip(whole, alone, strict=True):
        ours, theirs = (np.array(one._series["conserved_eV"]) for one in (run, other))
        np.testing.assert_array_equal(ours, theirs)
        assert np.ptp(ours) / len(run.atoms) < 1.5e-3
        assert abs(run.drift_eV_per_atom_per_ps()) < 1e-3


def test_recording_every_step_costs_no_evaluation(whole, alone):
    for run in (*whole, *alone):
        assert run.n_frames == N_STEPS
        assert run.atoms.calc.n_evaluations == N_STEPS + 1


def test_the_recorded_energy_is_that_of_the_recorded_positions(whole):
    """In float64 positions, at the end."""
    for run in whole:
        fresh = run.atoms.copy()
        fresh.calc = PotentialCalculator(potential())
        assert run._series["potential_energies_eV"][-1] == pytest.approx(
            fresh.get_potential_energy(), rel=0, abs=1e-5
        )


# ---- killed ----


def test_a_batch_in_pieces_is_bitwise_the_whole(cut, whole):
    """Dropped between checkpoints, saved more often, dropped again."""
    batch(cut, 235, save_every=20)
    pieces = batch(cut, N_STEPS)
    assert [run.atoms.calc.n_evaluations for run in pieces] == [N_STEPS - 220 + 1] * len(MEMBERS)
    assert_bitwise_same(pieces, whole)


def saved_step(path: Path) -> int:
    with np.load(path) as saved:
        return int(saved["step"])


def test_a_batch_whose_process_was_killed_is_bitwise_the_whole(cut, whole):
    child = subprocess.Popen([sys.executable, __file__, str(cut)])
    states = [cut / str(n) / STATE for n in range(len(MEMBERS))]
    try:
        patience_s = time.monotonic() + 120
        while not all(saved_step(path) > SAVED_AT for path in states):
            assert child.poll() is None
            assert time.monotonic() < patience_s
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
    assert len({saved_step(path) for path in states}) == 1
    resumed = batch(cut, N_STEPS)
    assert all(run.atoms.calc.n_evaluations <= N_STEPS - 220 + 1 for run in resumed)
    assert_bitwise_same(resumed, whole)


def test_a_single_run_in_pieces_is_bitwise_the_whole(tmp_path, alone):
    for n_steps in (110, 210, N_STEPS):
        run = start(MEMBERS[0], tmp_path)
        run.advance(n_steps)
    assert_bitwise_same([run], alone[:1])


@pytest.mark.parametrize("places", [(0,), (1, 2)])
def test_resumed_with_other_members_it_is_bitwise_the_whole(cut, whole, places):
    runs = [start(MEMBERS[n], cut / str(n)) for n in places]
    assert advance_together(runs, N_STEPS) == dict.fromkeys(range(len(runs)))
    assert_same_paths(runs, [whole[n] for n in places])


def test_killed_between_two_checkpoints_of_a_batch_it_is_bitwise_the_whole(cut, whole):
    """One member was saved and the others not: from there on they are out of step."""
    start(MEMBERS[0], cut / "0", save_every=20).advance(220)
    resumed = batch(cut, N_STEPS)
    steps = [N_STEPS - saved + 1 for saved in (220, 200, 200, 200)]
    assert [run.atoms.calc.n_evaluations for run in resumed] == steps
    assert_same_paths(resumed, whole)


# ---- failures ----


class Overlapping(PotentialCalculator):
    """The thirtieth structure that it is asked for has two atoms in one place."""

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        if self.n_evaluations == 29:
            atoms = atoms.copy()
            atoms.positions[1] = atoms.positions[0]
        super().calculate(atoms, properties, system_changes)


def test_a_run_without_forces_ends_alone_and_keeps_what_it_has(cut, whole):
    runs = [start(one, cut / str(n)) for n, one in enumerate(MEMBERS)]
    runs[1].atoms.calc = Overlapping(potential())
    errors = advance_together(runs, N_STEPS)
    assert isinstance(errors.pop(1), EngineFailure)
    assert errors == dict.fromkeys((0, 2, 3))
    assert runs[1].n_frames == SAVED_AT + 28
    others = (0, 2, 3)
    assert_same_paths([runs[n] for n in others], [whole[n] for n in others])


def test_a_run_that_explodes_ends_alone(cut, whole):
    runs = [start(MEMBERS[n], cut / str(n)) for n in (0, 3)]
    runs[0]._integrator._p *= 10
    errors = advance_together(runs, N_STEPS)
    assert isinstance(errors[0], RunExploded)
    assert errors[1] is None
    assert_same_paths(runs[1:], whole[3:])


# ---- physics ----


@pytest.mark.slow
def test_the_temperature_is_that_of_the_thermostat(tmp_path):
    """Of 3N degrees of freedom, which is what ASE's thermostat couples to; over 8 ps."""
    runs = batch(tmp_path, 4500, save_every=10**6)
    for run, member in zip(runs, MEMBERS, strict=True):
        mean_K = run.kinetic_temperatures_K[500:].mean()
        assert mean_K == pytest.approx(member.temperature_K, rel=0.05)


if __name__ == "__main__":
    batch(Path(sys.argv[1]), 10**6, save_every=20)
