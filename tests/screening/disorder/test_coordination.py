"""Neighbours within cutoffs against pymatgen's."""

import numpy as np
import pytest
from local_structures import OCTAHEDRON, antifluorite, gas
from pymatgen.core import Lattice, Structure

from screening.disorder.coordination import first_shells
from screening.disorder.frames import Frames


@pytest.mark.parametrize("cutoffs_A", [{"Cl": 3.1}, {"Cl": 6.5, "Br": 4.0}])
def test_neighbours_are_pymatgens(cutoffs_A):
    """In a skewed cell, within and beyond half its width, each species by its own cutoff."""
    species = ("Ta",) * 3 + ("Cl",) * 5 + ("Br",) * 4
    trajectory = gas(6, species)
    frames = Frames.of(trajectory)
    shells = first_shells(frames, "Ta", cutoffs_A)
    symbols = np.array(frames.species)
    for frame, fractional in enumerate(frames.fractional):
        structure = Structure(Lattice(frames.cell_A), frames.species, fractional)
        i, j, _, distances_A = structure.get_neighbor_list(max(cutoffs_A.values()))
        limits_A = np.array([cutoffs_A.get(symbol, 0.0) for symbol in symbols[j]])
        inside = (symbols[i] == "Ta") & (distances_A < limits_A)
        expected = np.bincount(i[inside], minlength=len(symbols))[symbols == "Ta"]
        assert shells.numbers[frame].tolist() == expected.tolist()


def test_vectors_lead_from_the_centre_to_its_six():
    shells = first_shells(Frames.of(antifluorite(rattle_A=0.0)), "Ta", {"Cl": 3.5})
    assert (shells.numbers == 6).all()
    found = np.round(shells.vectors_A[0] / 2.35, 5)
    expected = {tuple(corner) for corner in OCTAHEDRON}
    for vectors in found:
        assert {tuple(vector + 0.0) for vector in vectors} == expected


def test_the_summary_adds_up():
    trajectory = gas(50, ("Na",) * 4 + ("Cl",) * 8)
    shells = first_shells(Frames.of(trajectory), "Na", {"Cl": 4.0})
    summary = shells.summary()
    assert sum(summary.shares) == pytest.approx(1, rel=1e-12)
    assert np.dot(summary.numbers, summary.shares) == pytest.approx(summary.mean, rel=1e-12)
    density_A3 = 8 / abs(np.linalg.det(trajectory.cell_A))
    expected = density_A3 * 4 / 3 * np.pi * 4.0**3
    assert summary.mean == pytest.approx(expected, rel=5 / np.sqrt(200 * expected))
    assert (summary.centre, summary.neighbours, summary.cutoffs_A) == ("Na", ("Cl",), (4.0,))
