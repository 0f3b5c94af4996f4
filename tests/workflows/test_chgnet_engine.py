"""The embedded engine against CHGNet and atomate2 as they ship."""

from __future__ import annotations

import contextlib
import hashlib
import io

import numpy as np
import pytest
from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from campaigns import rock_salt
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from screening.errors import EngineFailure, NotConverged
from screening.prototypes.phases import reference_structure
from workflows.config import EngineSettings, RelaxSettings
from workflows.engines import engine_convention, load_engine
from workflows.engines.chgnet import weights_file

ENGINE = load_engine(EngineSettings())
KCL = rock_salt("K", "Cl", 6.2).get_primitive_structure()


def rattled(structure, seed=0):
    made = structure.copy()
    made.perturb(0.1, seed=seed)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_energy_and_forces_are_those_of_stock_chgnet(seed):
    with contextlib.redirect_stdout(io.StringIO()):
        stock = CHGNetCalculator(use_device="cpu")
    cell = rattled(rock_salt("Na", "Cl", 5.6), seed)
    ours, theirs = (AseAtomsAdaptor.get_atoms(cell, msonable=False) for _ in range(2))
    ours.calc, theirs.calc = ENGINE.calculator(), stock
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=1e-5)
    np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("cation", "anion", "literature_A"), [("K", "Cl", 6.29), ("Na", "Cl", 5.64), ("Li", "Cl", 5.13)]
)
def test_relaxed_lattice_constants(cation, anion, literature_A):
    """Within 3 % of experiment (Wyckoff, Crystal Structures, 1963), from 3 % off it."""
    start = rattled(rock_salt(cation, anion, literature_A * 1.03).get_primitive_structure())
    relaxed = ENGINE.relax(start, RelaxSettings())
    conventional_A = (4 * relaxed.structure.volume) ** (1 / 3)
    assert conventional_A == pytest.approx(literature_A, rel=0.03)
    assert relaxed.max_force_eV_per_A <= 0.033  # ASE measures in the frame of the first cell
    assert relaxed.convention == engine_convention(EngineSettings())
    assert relaxed.volume_change_percent == pytest.approx(
        100 * (relaxed.structure.volume / start.volume - 1)
    )


@pytest.mark.parametrize("cell", [KCL, rock_salt("Na", "Cl", 5.5), reference_structure("KTaCl6")])
def test_relaxation_ends_where_that_of_stock_chgnet_does(cell, tmp_path, monkeypatch):
    """Through atomate2's Maker with nothing of it changed, which writes a file where it runs."""
    monkeypatch.chdir(tmp_path)
    start = rattled(cell)
    settings = RelaxSettings()
    stock = ForceFieldRelaxMaker(
        force_field_name="CHGNet",
        steps=settings.max_steps,
        relax_kwargs={"fmax": settings.max_force_eV_per_A},
    ).run_ase(start)
    ours = ENGINE.relax(start, settings)
    theirs_eV_per_atom = stock.trajectory.frame_properties[-1]["energy"] / len(start)
    assert stock.converged
    assert ours.energy_eV_per_atom == pytest.approx(theirs_eV_per_atom, rel=0, abs=1e-4)
    assert ours.structure.volume == pytest.approx(stock.final_mol_or_struct.volume, rel=1e-3)
    assert ours.n_steps == pytest.approx(len(stock.trajectory) - 1, abs=2)


def test_relaxation_is_the_same_each_time():
    first, second = (ENGINE.relax(rattled(KCL), RelaxSettings()) for _ in range(2))
    assert first == second


def test_convention_names_the_weights_that_are_loaded():
    digest = hashlib.sha256(weights_file("0.3.0").read_bytes()).hexdigest()
    assert ENGINE.convention.weights_sha256 == digest
    assert ENGINE.convention.potential == "chgnet 0.3.0"


def test_a_relaxation_without_end_is_a_failure_with_numbers():
    with pytest.raises(NotConverged, match=r"eV/Å after 2 steps, needed 0\.0001"):
        ENGINE.relax(rattled(KCL), RelaxSettings(max_steps=2, max_force_eV_per_A=1e-4))


def test_an_isolated_atom_is_a_failure():
    with pytest.raises(EngineFailure, match="no neighbour within 6 Å"):
        ENGINE.relax(Structure(Lattice.cubic(15), ["K"], [[0, 0, 0]]), RelaxSettings())


def test_nothing_is_printed(capfd):
    ENGINE.relax(KCL, RelaxSettings())
    ENGINE.calculator()
    assert capfd.readouterr().out == ""
