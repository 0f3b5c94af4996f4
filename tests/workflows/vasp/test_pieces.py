"""Pieces of one molecular-dynamics run: kept, found again, and joined as if there was one."""

from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Poscar

from screening.documents import VaspCalculation
from screening.errors import EngineFailure
from workflows.vasp.dynamics import nose_mass
from workflows.vasp.pieces import (
    Piece,
    attempts,
    forget_attempts,
    joined,
    note_attempt,
    read_pieces,
)
from workflows.vasp.segments import _n_unconverged, _unwrapped, require_as_asked

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


OSZICAR = """\
       N       E                     dE             d eps       ncg     rms          rms(c)
DAV:   1    -0.1E+03    0.2E+00   -0.3E+00   100   0.1E+01
RMM:   2    -0.1E+03    0.2E+00   -0.3E+00   100   0.1E+01
      1 T=   500. E= -.26E+02 F= -.27E+02 E0= -.27E+02  EK= 0.5E+00 SP= 0.0E+00 SK= 0.0E+00
DAV:   1    -0.1E+03    0.2E+00   -0.3E+00   100   0.1E+01
      2 T=   510. E= -.26E+02 F= -.27E+02 E0= -.27E+02  EK= 0.5E+00 SP= 0.0E+00 SK= 0.0E+00
"""


@pytest.mark.parametrize(("n_most", "found"), [(1, 2), (2, 1), (3, 0)])
def test_electronic_loops_that_use_up_their_steps_are_counted(n_most, found):
    assert _n_unconverged(OSZICAR, n_most) == found


def asked(**changes):
    cell = Structure(Lattice.cubic(5), ["Na", "Cl"], [[0.25, 0.25, 0.999], [0.5, 0.5, 0.5]])
    text = Poscar(cell).get_str()
    tags = {"time_step": 2.0, "start_temp": 300.0, "end_temp": 300.0, "nsteps": 4}
    return cell.frac_coords, SimpleNamespace(poscar_text=text, **tags | changes)


@pytest.mark.parametrize(
    ("changes", "shift", "n_unconverged", "error"),
    [
        ({}, 0.0, 0, None),
        ({}, 1.0, 0, None),  # another image
        ({"time_step": 1.0}, 0.0, 0, r"POTIM = 2.0 instead of 1.*another run.*ALGO"),
        ({"start_temp": 100.0}, 0.0, 0, r"TEBEG = 300.* instead of 100"),
        ({}, 1e-4, 0, r"does not begin where it was to begin"),
        ({}, 0.0, 3, r"did not converge in 3 of 4 steps"),
    ],
)
def test_a_piece_that_is_not_the_one_asked_for_is_refused(changes, shift, n_unconverged, error):
    start, wanted = asked(**changes)
    incar = {"POTIM": 2.0, "TEBEG": 300.0, "TEEND": 300.0, "NSW": 4}
    made = replace(
        piece(np.tile(start, (4, 1, 1)) + shift),
        record=RECORD.model_copy(update={"incar": incar}),
        n_unconverged=n_unconverged,
    )
    with pytest.raises(EngineFailure, match=error) if error else nullcontext():
        require_as_asked(made, wanted)


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
