"""Pieces of one molecular-dynamics run: kept, found again, and joined as if there was one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from screening.documents import VaspCalculation
from workflows.vasp.dynamics import nose_mass
from workflows.vasp.pieces import (
    Piece,
    attempts,
    forget_attempts,
    joined,
    note_attempt,
    read_pieces,
)
from workflows.vasp.segments import _unwrapped

RECORD = VaspCalculation(
    name="production-0001",
    version="6.4.2",
    incar={"NSW": 10},
    kpoints="Gamma 1 1 1",
    potcars={},
    n_ionic_steps=10,
    corrections=(),
    elapsed_s=1.5,
    n_cores=32,
    folder="node1:/scratch/run",
)


def piece(fractional, first_step=0, stride=1, conserved_eV=None):
    """A piece as it is read from wrapped positions of all its steps."""
    inside = _unwrapped(fractional - np.floor(fractional))
    steps = np.arange(first_step, first_step + len(inside))
    kept = steps % stride == 0
    series = {} if conserved_eV is None else {"conserved_energies_eV": conserved_eV[kept]}
    return Piece(
        first_step=first_step,
        n_steps=len(inside),
        steps=steps[kept],
        fractional=inside[kept],
        first=inside[0],
        last=inside[-1],
        series=series,
        hottest_K=600.0,
        n_unconverged=0,
        contcar="where it goes on",
        record=RECORD,
    )


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_steps=st.integers(4, 40),
    cuts=st.lists(st.integers(1, 39), max_size=4, unique=True),
    stride=st.integers(1, 3),
)
def test_pieces_are_joined_to_the_run_that_was_never_cut(seed, n_steps, cuts, stride):
    """Whatever the cuts, and however often atoms cross the cell in between."""
    rng = np.random.default_rng(seed)
    walk = rng.random((1, 3, 3)) + np.cumsum(rng.uniform(-0.3, 0.3, (n_steps, 3, 3)), axis=0)
    bounds = [0, *sorted(cut for cut in cuts if cut < n_steps), n_steps]
    pieces = [piece(walk[start:end], start, stride) for start, end in pairwise(bounds)]
    together, _ = joined(pieces)
    whole, _ = joined([piece(walk, 0, stride)])
    np.testing.assert_allclose(together, whole, rtol=0, atol=1e-12)
    np.testing.assert_allclose(whole, walk[::stride] - np.floor(walk[0]), rtol=0, atol=1e-9)


def test_a_thermostat_that_starts_anew_is_no_drift():
    """Between two runs of VASP the conserved energy may begin from another zero."""
    still = np.full((10, 2, 3), 0.25)
    flat = np.linspace(0, 0.1, 10)
    _, series = joined([piece(still, 0, 1, flat), piece(still, 10, 1, flat - 7.0)])
    conserved_eV = series["conserved_energies_eV"]
    assert np.ptp(conserved_eV) == pytest.approx(0.2, rel=1e-9)


def test_a_series_that_one_piece_lacks_is_none():
    still = np.full((4, 2, 3), 0.25)
    _, series = joined([piece(still, 0, 1, np.zeros(4)), piece(still, 4)])
    assert series == {}


def test_pieces_are_found_again_in_order(tmp_path):
    rng = np.random.default_rng(3)
    for first_step in (100, 0, 20):
        piece(rng.random((5, 2, 3)), first_step, 1, rng.random(5)).write(tmp_path)
    found = read_pieces(tmp_path)
    assert [part.first_step for part in found] == [0, 20, 100]
    assert found[0].contcar == "where it goes on"
    assert found[0].record == RECORD
    again = Piece.read(tmp_path / "piece-000000020.npz")
    np.testing.assert_array_equal(again.fractional, found[1].fractional)
    np.testing.assert_array_equal(
        again.series["conserved_energies_eV"], found[1].series["conserved_energies_eV"]
    )


def test_attempts_are_counted_for_one_piece_at_a_time(tmp_path):
    assert attempts(tmp_path, "a") == 0
    note_attempt(tmp_path, "a")
    note_attempt(tmp_path, "a")
    assert attempts(tmp_path, "a") == 2
    assert attempts(tmp_path, "b") == 0
    note_attempt(tmp_path, "b")
    assert (attempts(tmp_path, "a"), attempts(tmp_path, "b")) == (0, 1)
    forget_attempts(tmp_path)
    assert attempts(tmp_path, "b") == 0


def test_the_mass_of_the_thermostat_is_that_of_vasp():
    """With a period of 40 steps it is what VASP itself takes for SMASS = 0.

    Its source, in SI: 2 k_B T N_f (40 POTIM / 2π)² / a², over one atomic mass unit.
    """

    cell = Structure(
        Lattice.orthorhombic(7.0, 9.0, 11.0),
        ["K", "Cl"] * 4,
        np.random.default_rng(0).random((8, 3)),
    )
    k_B_J_per_K, amu_kg, step_s = 1.380649e-23, 1.66053906660e-27, 2e-15
    mass_kg_m2 = 2 * k_B_J_per_K * 800 * (3 * 8 - 3) * (40 * step_s / (2 * np.pi)) ** 2
    expected = mass_kg_m2 / (7.0e-10) ** 2 / amu_kg
    assert nose_mass(cell, 800, 80.0) == pytest.approx(expected, rel=1e-6, abs=0)
