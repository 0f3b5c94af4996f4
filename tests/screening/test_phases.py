"""Reference phases against crystallography: symmetry, contacts, charge, measured volumes."""

import numpy as np
import pytest
from pymatgen.core import Composition
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from screening.errors import InvalidInput
from screening.prototypes.phases import (
    ASE_ELEMENTS,
    formula_amounts,
    phase_types,
    reference_phase_names,
    reference_structure,
)

TYPES = phase_types()
MEMBERS = [(name, phase) for name, kind in TYPES.items() for phase in kind.phases]
COMPOUNDS = [phase for _, phase in MEMBERS if len(formula_amounts(phase)) > 1]
CHARGED = [p for p in COMPOUNDS if hasattr(reference_structure(p)[0].specie, "oxi_state")]
METALS = (
    *("K", "Na", "Li", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In", "Sn", "Sb", "Bi", "Zn", "Cd"),
    *("Sc", "Y", "La", "Ce", "Nd", "Sm", "Gd", "Dy", "Er", "Yb", "Lu"),
    *("Ti", "Zr", "Hf", "V", "Nb", "Ta", "Mo", "W", "Mn", "Fe", "Co", "Ni"),
)
METAL_BONDS = {"HfCl": [1]}  # formal charges of cations bonded to one another


@pytest.mark.parametrize("name", TYPES)
def test_space_group_and_orbits_of_each_type(name):
    kind = TYPES[name]
    structure = kind.structure(kind.formula)
    found = SpacegroupAnalyzer(structure, symprec=0.01)
    assert found.get_space_group_symbol() == kind.space_group
    orbits = found.get_symmetrized_structure().wyckoff_symbols
    assert sorted(orbits) == sorted(site.wyckoff for site in kind.sites)


@pytest.mark.parametrize(("name", "phase"), MEMBERS)
def test_members_have_the_symmetry_and_stoichiometry_of_their_type(name, phase):
    kind = TYPES[name]
    assert list(formula_amounts(phase).values()) == list(formula_amounts(kind.formula).values())
    structure = kind.structure(phase)
    written = Composition(phase.partition(" ")[0])
    assert structure.composition.reduced_formula == written.reduced_formula
    found = SpacegroupAnalyzer(structure, symprec=0.01)
    assert found.get_space_group_symbol() == kind.space_group


@pytest.mark.parametrize("phase", CHARGED)
def test_compounds_are_neutral_with_charges_that_icsd_knows(phase):
    structure = reference_structure(phase)
    assert structure.charge == 0
    for species in structure.composition:
        known = {*species.element.oxidation_states, *METAL_BONDS.get(phase, ())}
        assert species.oxi_state in known


COVALENT = "CrO3"  # its double bonds are a quarter shorter than the sum of any ionic radii


def _is_ionic_binary(phase):
    elements = formula_amounts(phase).keys()
    return len(elements) == 2 and "H" not in elements and elements & {"F", "Cl", "Br", "I", "O"}


@pytest.mark.parametrize("phase", [p for p in CHARGED if _is_ionic_binary(p) and p != COVALENT])
def test_cations_are_next_to_anions_at_ionic_distances(phase):
    structure = reference_structure(phase)
    cations = [i for i, site in enumerate(structure) if site.specie.oxi_state > 0]
    anions = [i for i, site in enumerate(structure) if site.specie.oxi_state < 0]
    distances_A = structure.distance_matrix
    between = distances_A[np.ix_(cations, anions)]
    ions = [structure[cations[0]].specie, structure[anions[0]].specie]
    expected_A = sum(_radius(ion) for ion in ions)
    assert between.min(axis=1) == pytest.approx(expected_A, rel=0.25)
    among_anions = distances_A[np.ix_(anions, anions)] + 9 * np.eye(len(anions))
    assert among_anions.min() > 1.5 * _radius(ions[1])


def _radius(ion):
    return ion.element.ionic_radii.get(ion.oxi_state) or ion.element.average_ionic_radius


@pytest.mark.parametrize(
    ("phase", "bonds_A"),
    [
        ("LaCl3", [2.95] * 9),  # Morosin, J. Chem. Phys. 49, 3007 (1968)
        ("MgCl2", [2.49] * 6),  # Partin and O'Keeffe, J. Solid State Chem. 95, 176 (1991)
        ("TbCl3", [2.70] * 2 + [2.79] * 4 + [2.95] * 2),  # Forrester et al. (1964)
        ("WCl6", [2.26] * 6),
        ("Cl2", [1.98]),
        ("Br2", [2.27]),
        ("I2", [2.71]),
    ],
)
def test_bond_lengths_are_the_published_ones(phase, bonds_A):
    structure = reference_structure(phase)
    neighbors = sorted(n.nn_distance for n in structure.get_neighbors(structure[0], 6))
    assert neighbors[: len(bonds_A)] == pytest.approx(bonds_A, abs=0.03)


@pytest.mark.parametrize(
    ("phase", "density_g_cm3"),
    [  # CRC Handbook of Chemistry and Physics: weighed, independent of diffraction
        ("NaCl", 2.17),
        ("KBr", 2.74),
        ("MgCl2", 2.325),
        ("CaCl2", 2.15),
        ("SrCl2", 3.052),
        ("BaCl2", 3.9),
        ("ScCl3", 2.4),
        ("YCl3", 2.61),
        ("LaCl3", 3.84),
        ("SmCl3", 4.46),
        ("AlCl3", 2.48),
        ("FeCl3", 2.90),
        ("ZnCl2", 2.907),
        ("CdCl2", 4.08),
        ("SnCl2", 3.90),
        ("ZrCl4", 2.80),
        ("NbCl5", 2.78),
        ("TaCl5", 3.68),
        ("WCl6", 3.52),
        ("SnI4", 4.46),
        ("MnCl2", 2.98),
        ("MnF2", 3.98),
        ("SrBr2", 4.216),
        ("YbCl2", 5.27),
        ("InBr", 4.96),
        ("InBr3", 4.74),
        ("SnBr2", 5.12),
        ("AlBr3", 3.2),
        ("SbF3", 4.38),
        ("SbCl3", 3.14),
        ("SbBr3", 4.35),
        ("BiCl3", 4.75),
        ("MoCl3", 3.74),
        ("ZrF4", 4.43),
        ("Mn", 7.3),
        ("LaF3", 5.9),
        ("Li2O", 2.013),
        ("LiOH", 1.45),
        ("KOH", 2.044),
        ("Nd", 7.01),
        ("Ga", 5.91),
        ("Sn", 7.287),
        ("Sm", 7.52),
        ("Yb", 6.90),
        ("I2", 4.933),
    ],
)
def test_densities_are_the_measured_ones(phase, density_g_cm3):
    assert reference_structure(phase).density == pytest.approx(density_g_cm3, rel=0.06)


@pytest.mark.parametrize("metal", METALS)
def test_every_metal_of_a_framework_is_there(metal):
    structure = reference_structure(metal)
    assert structure.composition.reduced_formula == metal
    assert 2 < np.sort(structure.distance_matrix + 99 * np.eye(len(structure)))[0, 0] < 100


@pytest.mark.parametrize("metal", ["La", "Pr", "Nd"])
def test_double_hexagonal_metals_are_not_those_of_ase(metal):
    assert metal not in ASE_ELEMENTS
    assert len(reference_structure(metal)) == 4


def test_names_are_unique_and_any_spelling_finds_the_phase():
    names = reference_phase_names()
    assert len(names) == len(set(names))
    assert reference_structure("Cl3La") == reference_structure("LaCl3")
    assert reference_structure("LiHO") == reference_structure("LiOH")
    assert reference_structure("Cl") == reference_structure("Cl2")
    assert reference_structure("Sn alpha").volume != reference_structure("Sn").volume


@pytest.mark.parametrize(
    ("name", "nearest"), [("LaCl4", "LaCl3"), ("NbF6", "NbF5"), ("Tin alpha", "Sn alpha")]
)
def test_an_unknown_phase_names_the_nearest(name, nearest):
    message = rf'no reference phase "{name}" .*{nearest}.*phases\.yaml'
    with pytest.raises(InvalidInput, match=message):
        reference_structure(name)
