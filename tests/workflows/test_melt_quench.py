"""Melting and quenching with Lennard-Jones atoms: a real melt, a real glass, no network."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.optimize import FIRE
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from screening.documents import EnergyConvention
from screening.errors import RunExploded
from workflows.config import AmorphousSettings, DynamicsSettings
from workflows.melt_quench import run_melt_quench

CONVENTION = EnergyConvention(
    code="lj", functional="none", corrections="none", potential="Lennard-Jones argon"
)
# Argon in all but name, so that a host has a cation and an anion beside the mobile ion.
ARGON = Structure(
    Lattice.cubic(5.4),
    ["K", "Ca", "Cl", "Cl"],
    [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
)
DYNAMICS = DynamicsSettings(frame_interval_fs=20, checkpoint_ps=0.2, timestep_fs=4.0)
SETTINGS = AmorphousSettings(
    melt_temperatures_K=(600.0,),
    heating_ps=0.4,
    hold_ps=1.2,
    quench_ps=0.8,
    quench_temperature_K=20.0,
    min_cell_width_A=9.0,
)


class Killed(Exception):
    pass


class Argon(LennardJones):
    """Real forces; dies after a number of evaluations, as a killed process would."""

    def __init__(self, dies_after=None, epsilon_eV=0.0104):
        super().__init__(sigma=3.4, epsilon=epsilon_eV, rc=5.0, smooth=True)
        self.left = dies_after

    def calculate(self, *args, **kwargs):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        super().calculate(*args, **kwargs)


def run(folder, calculator, melt_temperature_K=600.0, settings=SETTINGS):
    folder.mkdir(exist_ok=True)
    return run_melt_quench(
        ARGON, calculator, CONVENTION, "K", melt_temperature_K, settings, DYNAMICS, folder
    )


def energy_at_rest_eV(structure):
    """Per atom, of the nearest minimum."""
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.calc = Argon()
    with FIRE(atoms, logfile=None) as optimiser:
        optimiser.run(fmax=0.01, steps=500)
    return atoms.get_potential_energy() / len(atoms)


@pytest.fixture(scope="module")
def glass(tmp_path_factory):
    return run(tmp_path_factory.mktemp("glass"), Argon())


def test_what_was_held_long_enough_is_seen_to_be_a_melt(tmp_path):
    made = run(tmp_path, Argon(), settings=SETTINGS.model_copy(update={"hold_ps": 6.0}))
    assert {(evidence.kind, evidence.species) for evidence in made.motion} >= {
        ("diffuses", "Ca"),
        ("diffuses", "Cl"),
    }
    assert made.caveats == ()


def test_the_melt_is_held_at_its_temperature(glass):
    assert glass.mean_melt_temperature_K == pytest.approx(600, rel=0.15)


def test_the_melt_alone_is_kept_as_a_trajectory(glass):
    assert glass.melt.duration_ps == pytest.approx(SETTINGS.hold_ps)
    assert glass.melt.temperature_K == 600
    assert len(glass.melt.potential_energies_eV) == len(glass.melt.positions_A)


def test_a_glass_has_the_cell_of_the_crystal_and_lies_above_it(glass):
    crystal = ARGON.make_supercell([2, 2, 2], in_place=False)
    assert glass.structure.composition == crystal.composition
    np.testing.assert_allclose(glass.structure.lattice.matrix, crystal.lattice.matrix)
    assert energy_at_rest_eV(glass.structure) > energy_at_rest_eV(crystal) + 0.003


def test_it_is_quenched(glass):
    """It lies near a minimum, where the melt does not: the heat went to the thermostat."""
    atoms = AseAtomsAdaptor.get_atoms(glass.structure, msonable=False)
    atoms.calc = Argon()
    above_eV = atoms.get_potential_energy() / len(atoms) - energy_at_rest_eV(glass.structure)
    melt_eV = glass.melt.potential_energies_eV.mean() / len(atoms)
    assert 0 < above_eV < 0.4 * (melt_eV - energy_at_rest_eV(glass.structure))


def test_a_crystal_that_does_not_melt_is_said_and_stays_a_crystal(tmp_path):
    made = run(tmp_path, Argon(), melt_temperature_K=30.0)
    (caveat,) = made.caveats
    assert "at 30 K" in caveat
    assert "no sign of melting" in caveat
    crystal_eV = energy_at_rest_eV(ARGON.make_supercell([2, 2, 2], in_place=False))
    assert energy_at_rest_eV(made.structure) == pytest.approx(crystal_eV, abs=1e-4)


@pytest.mark.parametrize("deaths", [(150,), (300, 250), (590,)])
def test_killed_in_any_part_it_ends_in_the_same_glass(tmp_path, glass, deaths):
    """Heating ends after 100 steps, the melt after 400, the quench after 600."""
    for evaluations in deaths:
        with pytest.raises(Killed):
            run(tmp_path, Argon(evaluations))
    pieces = run(tmp_path, Argon())
    assert len(pieces.melt.positions_A) == len(glass.melt.positions_A)
    # later the order of sums in ASE's neighbour list, which remembers earlier steps, shows
    np.testing.assert_allclose(
        pieces.melt.positions_A[:20], glass.melt.positions_A[:20], rtol=0, atol=1e-3
    )
    assert pieces.seed == glass.seed


def test_a_melt_that_flies_apart_is_a_failure_with_numbers(tmp_path):
    """Bonds so stiff that the time step cannot follow them."""
    with pytest.raises(RunExploded, match=r"K after \d+ steps"):
        run(tmp_path, Argon(epsilon_eV=600.0))
