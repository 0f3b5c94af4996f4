"""Crystals of which no two bonds at an atom are shorter than 3 Å: iodides, molecules of two."""

from __future__ import annotations

import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from screening.potential.calculator import PotentialCalculator
from screening.potential.evaluation import Potential
from screening.prototypes.phases import reference_structure
from workflows.engines.chgnet import weights_file


@pytest.mark.parametrize("model", ["0.3.0", "r2scan"])
@pytest.mark.parametrize("phase", ["LiI", "BiI3", "Cl2"])
def test_crystals_without_angles_have_the_energies_of_the_package(phase: str, model: str) -> None:
    from chgnet.model import CHGNet

    structure = reference_structure(phase).remove_oxidation_states()
    atoms = AseAtomsAdaptor.get_atoms(structure)
    atoms.calc = PotentialCalculator(Potential(weights_file(model), "cpu"))
    stock = CHGNet.load(model_name=model, use_device="cpu", verbose=False)
    expected = stock.predict_structure(structure)
    assert atoms.get_potential_energy() / len(atoms) == pytest.approx(
        float(expected["e"]), abs=1e-5
    )
    assert atoms.get_forces() == pytest.approx(expected["f"], abs=1e-4)
