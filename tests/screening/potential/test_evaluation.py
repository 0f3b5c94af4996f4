"""What cannot be evaluated is a failure with a reason, and leaves all else as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers
from distorted import distorted
from hypothesis import given, settings
from hypothesis import strategies as st
from stock_chgnet import crystal, ours

from screening.errors import EnergyNotFinite, EngineFailure
from screening.potential import evaluation
from screening.potential.calculator import PotentialCalculator
from screening.potential.evaluation import Evaluation, Potential
from screening.potential.graph import Crystal
from screening.prototypes.phases import reference_structure
from workflows.engines.chgnet import weights_file

GOOD = [crystal(distorted(reference_structure(n), 4)) for n in ("NaCl", "KTaCl6", "Fe", "LiFePO4")]


def pair(*numbers, distance_A=2.8, cell_A=4.0):
    positions = np.array([[distance_A * n, 0.1, 0.2] for n in range(len(numbers))])
    return Crystal(np.array(numbers, dtype=np.int64), positions.reshape(-1, 3), np.eye(3) * cell_A)


def changed(crystal, **arrays):
    made = {
        name: arrays.get(name, getattr(crystal, name)).copy()
        for name in ("numbers", "positions_A", "cell_A")
    }
    return Crystal(**made)


def with_value(value, name, index=(0, 1)):
    array = getattr(GOOD[0], name).copy()
    array[index] = value
    return changed(GOOD[0], **{name: array})


BAD = {
    "Po": (pair(84, 17), EngineFailure, "never fitted to Po"),
    "At": (pair(11, 85), EngineFailure, "never fitted to At"),
    "Rn": (pair(11, 86), EngineFailure, "never fitted to Rn"),
    "Fr": (pair(87, 17), EngineFailure, "never fitted to Fr"),
    "Ra": (pair(88, 17), EngineFailure, "never fitted to Ra"),
    "Am": (pair(95, 17), EngineFailure, "never fitted to Am"),
    "Og": (pair(118, 17), EngineFailure, "never fitted to Og"),
    "two of them": (pair(88, 85), EngineFailure, "never fitted to At, Ra"),
    "no element": (pair(0, 17), EngineFailure, "never fitted to the atomic number 0"),
    "a negative number": (pair(-3, 17), EngineFailure, "the atomic number -3"),
    "a number beyond all": (pair(17, 300), EngineFailure, "the atomic number 300"),
    "no atoms": (pair(), EngineFailure, "no atoms"),
    "isolated": (pair(11, cell_A=9.0), EngineFailure, "atom 0 has no neighbour within 6 Å"),
    "one of two isolated": (
        Crystal(
            np.array([11, 17, 19]),
            np.array([[0.0, 0, 0], [2.5, 0, 0], [10, 10, 10]]),
            np.eye(3) * 20,
        ),
        EngineFailure,
        "atom 2 has no neighbour within 6 Å",
    ),
    "NaN position": (with_value(np.nan, "positions_A"), EnergyNotFinite, "not finite"),
    "infinite position": (with_value(np.inf, "positions_A"), EnergyNotFinite, "not finite"),
    "NaN cell": (with_value(np.nan, "cell_A"), EnergyNotFinite, "not finite"),
    "infinite cell": (with_value(-np.inf, "cell_A"), EnergyNotFinite, "not finite"),
    "flown apart": (
        pair(11, 17, distance_A=1e7),
        EngineFailure,
        "atom 1 has a coordinate of 1e.07 Å",
    ),
    "flown to infinity": (
        pair(11, 17, distance_A=1e200),
        EngineFailure,
        "a coordinate of 1e.200 Å",
    ),
    "flat cell": (
        changed(GOOD[0], cell_A=np.array([[3.0, 0, 0], [0, 3, 0], [3, 3, 0]])),
        EngineFailure,
        "cell of 0 Å³ is less than 0.1 Å wide",
    ),
    "no cell": (changed(GOOD[0], cell_A=np.zeros((3, 3))), EngineFailure, "cell of 0 Å³ is less"),
    "nearly flat cell": (
        changed(GOOD[0], cell_A=np.array([[3.0, 0, 0], [0, 3, 0], [3, 3, 1e-9]])),
        EngineFailure,
        "cell of 9e-09 Å³ is less than 0.1 Å wide",
    ),
    "on one another": (pair(11, 17, distance_A=0.0), EngineFailure, "0.000 Å apart, closer than"),
    "too close": (pair(11, 17, distance_A=0.3), EngineFailure, "atoms 0 and 1 are 0.300 Å apart"),
    "its own image": (pair(11, cell_A=0.4), EngineFailure, "atoms 0 and 0 are 0.400 Å apart"),
}


def same(one, other):
    assert isinstance(one, Evaluation)
    assert isinstance(other, Evaluation)
    assert one.energy_eV == pytest.approx(other.energy_eV, rel=1e-6, abs=1e-5)
    np.testing.assert_allclose(one.forces_eV_per_A, other.forces_eV_per_A, rtol=0, atol=1e-5)
    np.testing.assert_allclose(one.stress_eV_per_A3, other.stress_eV_per_A3, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_failure_with_its_reason(name):
    bad, kind, message = BAD[name]
    (answer,) = ours().evaluate([bad])
    assert isinstance(answer, kind)
    with pytest.raises(kind, match=message):
        raise answer


@settings(max_examples=20)
@given(chosen=st.lists(st.sampled_from([*BAD, 0, 1, 2, 3]), max_size=12))
def test_a_bad_structure_leaves_the_others_of_its_batch_alone(chosen):
    crystals = [BAD[one][0] if isinstance(one, str) else GOOD[one] for one in chosen]
    answers = ours().evaluate(crystals)
    assert len(answers) == len(chosen)
    for one, answer in zip(chosen, answers, strict=True):
        if isinstance(one, str):
            assert isinstance(answer, BAD[one][1])
        else:
            same(answer, ours().evaluate([GOOD[one]])[0])


def test_ytterbium_is_unknown_to_r2scan_alone():
    """Its reference energy there is zero: none of the data holds it."""
    ytterbium = pair(70, 17)
    potential = Potential(weights_file("r2scan"), device="cpu")
    (answer,) = potential.evaluate([ytterbium])
    with pytest.raises(EngineFailure, match="never fitted to Yb; leave the element out"):
        raise answer
    assert isinstance(ours().evaluate([ytterbium])[0], Evaluation)


def test_89_elements_are_known():
    answers = ours().evaluate([pair(number, 17) for number in range(1, 119)])
    assert sum(isinstance(answer, Evaluation) for answer in answers) == 89
    assert isinstance(answers[atomic_numbers["Pu"] - 1], Evaluation)


def test_an_empty_batch_has_no_answers():
    assert ours().evaluate([]) == []


def test_input_is_left_as_it_was():
    before = changed(GOOD[1])
    ours().evaluate([GOOD[1]])
    for name in ("numbers", "positions_A", "cell_A"):
        np.testing.assert_array_equal(getattr(before, name), getattr(GOOD[1], name))


@pytest.mark.parametrize("at_once", [1, 300, 1500, 10**9])
def test_chunks_change_nothing(monkeypatch, at_once):
    alone = [ours().evaluate([one])[0] for one in GOOD]
    monkeypatch.setitem(evaluation._BONDS_AT_ONCE, "cpu", at_once)
    for one, other in zip(ours().evaluate(GOOD * 3), alone * 3, strict=True):
        same(one, other)


@pytest.mark.parametrize("pbc", [False, [True, True, False], [False, True, True]])
def test_atoms_that_are_not_periodic_are_a_failure(pbc):
    atoms = bulk("NaCl", "rocksalt", 5.6)
    atoms.pbc = pbc
    atoms.calc = PotentialCalculator(ours())
    with pytest.raises(EngineFailure, match="not periodic in all three directions"):
        atoms.get_potential_energy()
    assert atoms.calc.n_evaluations == 0


@pytest.mark.parametrize("name", BAD)
def test_the_calculator_has_no_number_for_bad_input(name):
    bad, kind, message = BAD[name]
    if (bad.numbers < 0).any() or (bad.numbers > 118).any():
        pytest.skip("ASE itself has no such atoms")
    atoms = Atoms(numbers=bad.numbers, positions=bad.positions_A, cell=bad.cell_A, pbc=True)
    atoms.calc = PotentialCalculator(ours())
    for ask in (atoms.get_potential_energy, atoms.get_forces, atoms.get_stress):
        with pytest.raises(kind, match=message):
            ask()
    assert not atoms.calc.results


def test_no_number_of_an_earlier_structure_outlives_a_failure():
    atoms = bulk("NaCl", "rocksalt", 5.6)
    atoms.calc = PotentialCalculator(ours())
    atoms.get_potential_energy()
    atoms.positions[0, 0] = np.nan
    for _ in range(2):
        with pytest.raises(EnergyNotFinite):
            atoms.get_potential_energy()
    assert not atoms.calc.results


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("n_times", [1, 50])
def test_a_gpu_gives_the_same(n_times):
    on_gpu = Potential(weights_file("0.3.0"), device="cuda")
    bad = BAD["too close"][0]
    answers = on_gpu.evaluate([*GOOD, bad] * n_times)
    for n, one in enumerate(GOOD):
        same(answers[n - 5], ours().evaluate([one])[0])
    assert isinstance(answers[-1], EngineFailure)
