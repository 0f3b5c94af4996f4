"""Which snapshots are looked at, and which are refused."""

import numpy as np
import pytest
from local_structures import SKEWED_A, gas, trajectory_at
from pymatgen.core import Lattice, Structure

from screening.disorder.frames import MAX_FRAMES, Frames, is_anion
from screening.errors import InvalidInput


def salt(a_A=5.6, shift=0.0):
    return Structure(Lattice.cubic(a_A), ["Cl", "Na"], [[shift, 0, 0], [0.5, 0.5, 0.5]])


def test_a_long_run_is_thinned_evenly_from_end_to_end():
    n_frames = 3 * MAX_FRAMES
    positions_A = np.linspace(0, 2.9, n_frames)[:, None, None] * np.ones(3)
    frames = Frames.of(trajectory_at(positions_A, np.eye(3) * 6, ["K"]))
    assert len(frames.fractional) == MAX_FRAMES
    x_A = 6 * frames.fractional[:, 0, 0]
    assert x_A[[0, -1]] == pytest.approx([0, 2.9], rel=1e-6)
    assert np.diff(x_A) == pytest.approx(np.full(MAX_FRAMES - 1, 2.9 / (MAX_FRAMES - 1)), rel=0.4)


def test_cations_stand_before_anions_each_species_together():
    frames = Frames.of(gas(2, ("Cl", "K", "Br", "Ta", "Cl", "K")))
    assert frames.species == ("K", "K", "Ta", "Br", "Cl", "Cl")
    assert dict(frames.blocks())["Cl"] == slice(4, 6)


def test_structures_of_one_cell_are_frames():
    frames = Frames.of([salt(), salt(shift=0.1)])
    assert frames.fractional.shape == (2, 2, 3)
    assert frames.fractional[1, 1] == pytest.approx([0.1, 0, 0], abs=1e-12)
    assert frames.species == ("Na", "Cl")


def test_no_image_within_reach_is_forgotten():
    frames = Frames.of(gas(1, ("K", "Cl")))
    reach_A = 12.0
    kept = {tuple(image) for image in frames.images(reach_A)}
    grid = np.arange(-5, 6)
    everything = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3)
    wrapped = np.random.default_rng(0).uniform(-0.5, 0.5, (500, 3))
    distances_A = np.linalg.norm((wrapped[:, None] + everything) @ SKEWED_A, axis=2)
    needed = everything[(distances_A < reach_A).any(axis=0)]
    assert {tuple(image) for image in needed.astype(float)} <= kept
    assert len(frames.images(float(frames.widths_A.min()) / 2)) == 1


@pytest.mark.parametrize(
    ("symbol", "present", "anion"),
    [("Cl", ["K"], True), ("O", ["H"], True), ("H", ["O"], False), ("P", ["S"], False)],
)
def test_anions_are_told_from_cations(symbol, present, anion):
    assert is_anion(symbol, present) is anion


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "no structure given"),
        ([salt(), salt(a_A=5.7)], "structure 2 has another cell"),
        ([salt(), salt() * [2, 1, 1]], "structure 2 has other atoms"),
        (
            [Structure(Lattice.cubic(5), [{"K": 0.5, "Na": 0.5}], [[0, 0, 0]])],
            "partially occupied",
        ),
        (trajectory_at(np.empty((0, 2, 3)), np.eye(3), ["K", "Cl"]), "no frame with atoms"),
        (trajectory_at(np.full((1, 2, 3), np.nan), np.eye(3), ["K", "Cl"]), "NaN or infinity"),
        (trajectory_at(np.ones((1, 2, 3)), np.ones((3, 3)), ["K", "Cl"]), "no volume"),
        (trajectory_at(np.ones((1, 2, 3)), np.eye(3), ["K", "X"]), "'X' is no element"),
    ],
)
def test_what_shows_no_local_structure_is_refused(source, message):
    with pytest.raises(InvalidInput, match=message):
        Frames.of(source)
