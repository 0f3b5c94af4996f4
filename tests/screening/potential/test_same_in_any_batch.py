"""On a CPU what is evaluated with a structure changes no bit of its energy, forces and stress.

Dynamics magnify the last bit to another trajectory within picoseconds: without this, a campaign
would depend on which relaxations happened to run side by side.
"""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from screening.potential.evaluation import Potential
from screening.potential.graph import Crystal
from screening.prototypes.phases import reference_structure
from workflows.engines.chgnet import weights_file

N_BATCHES = 20


def crystals():
    """Of 1 to some tens of atoms, with and without short bonds and angles, all distorted."""
    structures = [Structure(Lattice.cubic(3.4), ["K"], [[0, 0, 0]])]
    for number, (cation, anion, a) in enumerate(
        [("Li", "F", 4.0), ("Li", "I", 6.0), ("Na", "Cl", 5.6), ("K", "Cl", 6.0), ("K", "I", 7.0)]
    ):
        lattice = Lattice([[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]])
        cell = Structure(lattice, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
        structures += [cell.copy(), cell.make_supercell([number % 2 + 1, 2, 1], in_place=False)]
    structures += [
        reference_structure(name).remove_oxidation_states() for name in ("KTaCl6", "LiTaCl6")
    ]
    for seed, structure in enumerate(structures):
        structure.perturb(0.1, seed=seed)
    return [
        Crystal(np.array(cell.atomic_numbers), cell.cart_coords, cell.lattice.matrix)
        for cell in structures
    ]


@pytest.fixture(scope="module")
def potential():
    return Potential(weights_file("0.3.0"), device="cpu")


def test_neighbours_in_a_batch_change_no_bit(potential):
    rng = np.random.default_rng(20)
    all_crystals = crystals()
    alone = [potential.evaluate([crystal])[0] for crystal in all_crystals]
    for _ in range(N_BATCHES):
        chosen = rng.permutation(len(all_crystals))[: rng.integers(2, len(all_crystals) + 1)]
        together = potential.evaluate([all_crystals[n] for n in chosen])
        for n, answer in zip(chosen, together, strict=True):
            assert answer.energy_eV == alone[n].energy_eV
            np.testing.assert_array_equal(answer.forces_eV_per_A, alone[n].forces_eV_per_A)
            np.testing.assert_array_equal(answer.stress_eV_per_A3, alone[n].stress_eV_per_A3)
