"""The filter that relaxes cells against the one of ASE that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from distorted import distorted
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.linalg import expm
from stock_chgnet import ours_float64

from screening.potential.calculator import PotentialCalculator
from screening.potential.cell_filter import CellFilter
from screening.prototypes.phases import reference_structure


def cell_of(name):
    atoms = AseAtomsAdaptor.get_atoms(distorted(reference_structure(name), 4), msonable=False)
    atoms.calc = PotentialCalculator(ours_float64())
    return atoms


def random_variables(filtered, rng, size):
    """Atoms moved, and the cell by a deformation that is neither symmetric nor small."""
    variables = filtered.get_positions()
    variables[:-3] += rng.normal(scale=0.05, size=variables[:-3].shape)
    variables[-3:] = rng.uniform(-size, size, (3, 3)) * filtered.exp_cell_factor
    return variables


def deformed_alike(ours_, theirs, rng, size):
    """Both filters at the same atoms and cell.

    ASE 3.29 takes the logarithm of the deformation times the number of atoms, so that its variables
    are ours and a constant, which changes no gradient and no path.
    """
    constant = theirs.get_positions() - ours_.get_positions()
    variables = random_variables(ours_, rng, size)
    ours_.set_positions(variables)
    theirs.set_positions(variables + constant)
    np.testing.assert_allclose(ours_.atoms.cell.array, theirs.atoms.cell.array, atol=1e-9)
    np.testing.assert_allclose(ours_.atoms.positions, theirs.atoms.positions, atol=1e-9)


@pytest.mark.parametrize("name", ["NaCl", "KTaCl6", "W"])
@pytest.mark.parametrize("size", [1e-3, 0.05, 0.3])
def test_gradient_is_that_of_ase_at_any_deformation(name, size):
    rng = np.random.default_rng(7)
    for _ in range(3):
        pair = [kind(cell_of(name)) for kind in (CellFilter, FrechetCellFilter)]
        deformed_alike(*pair, rng, size)
        found, expected = (filtered.get_forces() for filtered in pair)
        scale = max(1, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("size", [0.0, 1e-3, 0.05, 0.3, 1.0])
def test_gradient_is_that_of_ase_with_another_potential(size):
    """Many deformations of copper, with ASE's own effective-medium potential."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        pair = []
        for kind in (CellFilter, FrechetCellFilter):
            atoms = AseAtomsAdaptor.get_atoms(reference_structure("Cu"), msonable=False).repeat(2)
            atoms.calc = EMT()
            pair.append(kind(atoms))
        deformed_alike(*pair, rng, size)
        found, expected = (filtered.get_forces() for filtered in pair)
        scale = max(1, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * scale)
        np.testing.assert_allclose(pair[0].stress, pair[1].stress, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("name", ["NaCl", "KTaCl6", "W"])
def test_a_relaxation_takes_the_path_of_ase(name):
    """Positions and cell after every step; in float64, where rounding leaves paths together."""
    paths = []
    for kind in (CellFilter, FrechetCellFilter):
        atoms = cell_of(name)
        path = []
        optimizer = FIRE(kind(atoms), logfile=None)
        optimizer.attach(lambda path=path, atoms=atoms: path.append(both(atoms)))
        optimizer.run(fmax=0.02, steps=60)
        paths.append(np.array(path))
    assert len(paths[0]) == len(paths[1]) > 20
    np.testing.assert_allclose(*paths, rtol=0, atol=1e-6)


def both(atoms):
    return np.vstack([atoms.positions, atoms.cell.array])


@pytest.mark.parametrize("name", ["NaCl", "KTaCl6"])
@pytest.mark.parametrize("size", [0.0, 0.1, 0.3])
def test_gradient_is_the_slope_of_the_energy(name, size):
    filtered = CellFilter(cell_of(name))
    rng = np.random.default_rng(1)
    start = random_variables(filtered, rng, size)
    filtered.set_positions(start)
    forces = filtered.get_forces().copy()
    for _ in range(4):
        direction = rng.normal(size=start.shape)
        direction /= np.linalg.norm(direction)
        energies_eV = []
        for step in (-2e-4, -1e-4, 1e-4, 2e-4):
            filtered.set_positions(start + step * direction)
            energies_eV.append(filtered.get_potential_energy())
        one, two, three, four = energies_eV
        slope = (one - 8 * two + 8 * three - four) / 12e-4
        assert -(forces * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_variables_are_given_back_as_they_were_set():
    filtered = CellFilter(cell_of("KTaCl6"))
    start = filtered.atoms.cell.array.copy()
    variables = random_variables(filtered, np.random.default_rng(2), 0.2)
    filtered.set_positions(variables)
    np.testing.assert_allclose(filtered.get_positions(), variables, rtol=0, atol=1e-12)
    deformation = expm(variables[-3:] / filtered.exp_cell_factor)
    np.testing.assert_allclose(filtered.atoms.cell.array, start @ deformation.T, atol=1e-12)
