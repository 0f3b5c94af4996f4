import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.ewald import EwaldSummation
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from screening.orderings.electrostatics import Electrostatics

COULOMB_EV_A = 14.399645478  # e²/(4πε₀), CODATA 2018


def electrostatics_of(structure):
    return Electrostatics(structure.lattice, structure.frac_coords)


def formal_charges(structure):
    return np.array([[site.specie.oxi_state for site in structure]])


@functools.cache
def k2tacl6(supercell=(1, 1, 1)):
    return (
        Structure.from_spacegroup(
            "Fm-3m",
            Lattice.cubic(9.894),
            ["Ta5+", "K+", "Cl-"],
            [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
        )
        * supercell
    )


# Per formula unit with the shortest distance as length: Johnson, Templeton, J. Chem. Phys. 34,
# 2004 (1961), doi:10.1063/1.1731809; Sakamoto, J. Chem. Phys. 28, 164 (1958).
@pytest.mark.parametrize(
    ("space_group", "species", "coords", "shortest_of_a", "n_formula", "madelung"),
    [
        ("Fm-3m", ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]], 0.5, 4, 1.7475645946),
        ("Pm-3m", ["Cs+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]], 3**0.5 / 2, 1, 1.7626747731),
        ("F-43m", ["Zn+", "S-"], [[0, 0, 0], [0.25, 0.25, 0.25]], 3**0.5 / 4, 4, 1.6380550534),
        ("Fm-3m", ["Ca2+", "F-"], [[0, 0, 0], [0.25, 0.25, 0.25]], 3**0.5 / 4, 4, 5.03878),
    ],
)
def test_madelung_constants(space_group, species, coords, shortest_of_a, n_formula, madelung):
    a_A = 5.64
    structure = Structure.from_spacegroup(space_group, Lattice.cubic(a_A), species, coords)
    energy_eV = electrostatics_of(structure).energies_eV(formal_charges(structure))[0]
    expected_eV = -madelung * COULOMB_EV_A / (a_A * shortest_of_a) * n_formula
    digits = 1e-5 if madelung > 5 else 1e-9
    assert energy_eV == pytest.approx(expected_eV, rel=digits)


def test_one_ion_in_its_background():
    # Simple cubic one-component lattice: Nijboer, Ruijgrok, J. Stat. Phys. 53, 361 (1988).
    alone = Electrostatics(Lattice.cubic(4.0), np.zeros((1, 3)))
    energy_eV = alone.energies_eV(np.array([[2]]))[0]
    assert energy_eV == pytest.approx(-2.8372974795 * 4 * COULOMB_EV_A / (2 * 4.0), rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3), min_size=2, max_size=6),
    st.lists(st.integers(-3, 3), min_size=6, max_size=6),
    st.tuples(*[st.floats(3, 9)] * 3),
    st.tuples(*[st.floats(60, 120)] * 3),
)
def test_pairs_add_up_to_the_sum_of_each_ordering(coords, charges, lengths_A, angles):
    lattice = Lattice.from_parameters(*lengths_A, *angles)
    if not lattice.volume > 0.2 * np.prod(lengths_A):
        return
    distances_A = lattice.get_all_distances(coords, coords)
    if np.min(distances_A[np.triu_indices(len(coords), 1)]) < 0.1:
        return
    charges = np.array(charges[: len(coords)], dtype=float)
    points = Structure(
        lattice, ["H"] * len(coords), coords, site_properties={"charge": charges.tolist()}
    )
    expected_eV = EwaldSummation(points).total_energy  # neutral or with its background
    found_eV = Electrostatics(lattice, np.array(coords)).energies_eV(charges[None])[0]
    assert found_eV == pytest.approx(expected_eV, rel=1e-8, abs=1e-7)


def test_fixed_sites_may_be_given_once(monkeypatch):
    parent = k2tacl6()
    electrostatics = electrostatics_of(parent)
    potassium = np.array([i for i, site in enumerate(parent) if site.specie.symbol == "K"])
    filled = np.array(list(itertools.combinations(range(8), 4)))
    variable = np.zeros((len(filled), 8), dtype=np.int8)
    np.put_along_axis(variable, filled, 1, axis=1)
    charges = np.repeat(formal_charges(parent), len(filled), axis=0)
    charges[:, potassium] = variable
    fixed = charges[0].copy()
    fixed[potassium] = 0
    expected_eV = electrostatics.energies_eV(charges)
    monkeypatch.setattr("screening.orderings.electrostatics._CHUNK", 100)
    found_eV = electrostatics.ordering_energies_eV(fixed, potassium, variable)
    np.testing.assert_allclose(found_eV, expected_eV, rtol=0, atol=1e-9)


def test_no_variable_site():
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    electrostatics = electrostatics_of(structure)
    charges = formal_charges(structure)
    none = np.array([], dtype=np.intp)
    found_eV = electrostatics.ordering_energies_eV(charges[0], none, np.empty((1, 0)))
    np.testing.assert_allclose(found_eV, electrostatics.energies_eV(charges), rtol=1e-12)


@pytest.mark.parametrize("supercell", [(1, 1, 1), (2, 1, 1)])
def test_equal_by_symmetry_is_equal_in_energy(supercell):
    parent = k2tacl6(supercell)
    potassium = np.array([i for i, site in enumerate(parent) if site.specie.symbol == "K"])
    operations = SpacegroupAnalyzer(parent).get_symmetry_operations()
    fixed = formal_charges(parent)[0]
    fixed[potassium] = 0
    coords = parent.frac_coords[potassium]
    rng = np.random.default_rng(1)
    electrostatics = electrostatics_of(parent)
    for _ in range(5):
        filled = rng.choice(len(potassium), size=len(potassium) // 2, replace=False)
        images = np.array([o.operate_multi(coords[filled]) for o in operations])
        shifts = images[:, :, None] - coords
        occupied = np.all(np.abs(shifts - np.round(shifts)) < 1e-4, axis=-1).any(axis=1)
        assert set(occupied.sum(axis=1)) == {len(filled)}
        energies_eV = electrostatics.ordering_energies_eV(fixed, potassium, occupied)
        assert np.ptp(energies_eV) < 1e-8


def test_the_energy_of_a_supercell_is_that_of_its_cells():
    small, large = k2tacl6(), k2tacl6((2, 1, 1))
    charges = formal_charges(small)
    charges[0, [i for i, site in enumerate(small) if site.specie.symbol == "Ta"]] = 4
    charges_large = formal_charges(large)
    charges_large[0, [i for i, site in enumerate(large) if site.specie.symbol == "Ta"]] = 4
    np.testing.assert_allclose(
        electrostatics_of(large).energies_eV(charges_large),
        2 * electrostatics_of(small).energies_eV(charges),
        rtol=1e-11,
    )
