"""Orderings and the embedded potential: every configuration by brute force against the distinct."""

import itertools

import numpy as np
import pytest
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from screening.candidate_settings import CandidateSettings, Family
from screening.candidates import enumerate_candidates
from screening.ensemble import boltzmann_weights, thermal_average
from screening.units import BOLTZMANN_EV_PER_K
from workflows.config import EngineSettings, RelaxSettings
from workflows.engines import load_engine

TEMPERATURE_K = 300.0
ENGINE = load_engine(EngineSettings())


@pytest.fixture(scope="module")
def candidates():
    family = Family(formula="KTaCl6", prototype="k2ptcl6")
    return enumerate_candidates(CandidateSettings(families=(family,))).candidates


def energies_eV(structures):
    """Per cell, nothing relaxed."""
    calculator = ENGINE.calculator()
    found = []
    for structure in structures:
        atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
        atoms.calc = calculator
        found.append(float(atoms.get_potential_energy()))
    return np.array(found)


@pytest.fixture(scope="module")
def every_configuration():
    """All 70 ways to put four K on the 8c sites of the cubic cell."""
    full = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta", "K", "Cl"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    )
    potassium = full.indices_from_symbol("K")
    structures = []
    for vacant in itertools.combinations(potassium, 4):
        structure = full.copy()
        structure.remove_sites(vacant)
        structures.append(structure)
    return structures


def test_distinct_orderings_stand_for_every_configuration(candidates, every_configuration):
    """The same energies, each as often as its degeneracy says, and the same thermal average."""
    brute_eV = energies_eV(every_configuration)
    distinct_eV = energies_eV(candidate.structure for candidate in candidates)
    degeneracies = [candidate.origin.degeneracy for candidate in candidates]
    np.testing.assert_allclose(
        np.sort(np.repeat(distinct_eV, degeneracies)), np.sort(brute_eV), rtol=0, atol=2e-4
    )
    factors = np.exp(-(brute_eV - brute_eV.min()) / (BOLTZMANN_EV_PER_K * TEMPERATURE_K))
    expected_eV = np.sum(brute_eV * factors) / np.sum(factors)
    weights = boltzmann_weights(distinct_eV, degeneracies, TEMPERATURE_K)
    assert float(thermal_average(distinct_eV, weights)) == pytest.approx(expected_eV, abs=1e-4)
    uncounted = boltzmann_weights(distinct_eV, np.ones(6), TEMPERATURE_K)
    assert abs(float(thermal_average(distinct_eV, uncounted)) - expected_eV) > 1e-3


@pytest.mark.slow
def test_the_ground_state_of_cubic_ktacl6_is_among_the_orderings(candidates, every_configuration):
    """Relaxed, no configuration out of those drawn at random is lower than the lowest ordering."""
    settings = RelaxSettings()

    def relaxed_eV_per_atom(structure):
        return ENGINE.relax(structure, settings).energy_eV_per_atom

    ordered_eV = [relaxed_eV_per_atom(candidate.structure) for candidate in candidates]
    drawn = np.random.default_rng(0).permutation(len(every_configuration))[:20]
    drawn_eV = [relaxed_eV_per_atom(every_configuration[i]) for i in drawn]
    assert min(ordered_eV) <= min(drawn_eV) + 1e-4
    # CHGNet sets the six apart by no more than a few meV per formula unit of eight atoms
    assert max(ordered_eV) - min(ordered_eV) < 0.010 / 8 * 2
