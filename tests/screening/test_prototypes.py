import itertools

import numpy as np
import pytest
from pymatgen.core.periodic_table import Species
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from screening.errors import InvalidInput
from screening.prototypes.library import ionic_radius, load_prototype, prototype_names
from screening.structures import check_structure


def species(mobile, framework, anion):
    names = {"mobile": mobile, "framework": framework, "anion": anion}
    return {role: Species.from_str(name) for role, name in names.items()}


@pytest.mark.parametrize("name", prototype_names())
def test_space_group_and_orbits(name):
    prototype = load_prototype(name)
    structure = prototype.structure(species("K+", "Y3+", "Cl-"))
    symmetrised = SpacegroupAnalyzer(structure, symprec=1e-3).get_symmetrized_structure()
    assert SpacegroupAnalyzer(structure).get_space_group_symbol() == prototype.space_group
    assert sorted(symmetrised.wyckoff_symbols) == sorted(s.wyckoff for s in prototype.sites)
    for role in ("mobile", "framework", "anion"):
        assert structure.site_properties["role"].count(role) == prototype.n_sites(role)


@pytest.mark.parametrize("name", prototype_names())
def test_no_close_contacts_whatever_the_species(name):
    prototype = load_prototype(name)
    ions = itertools.product(
        ("Li+", "Na+", "K+"), ("Al3+", "La3+", "Zr4+", "Ta5+"), ("F-", "Cl-", "Br-", "I-")
    )
    for mobile, framework, anion in ions:
        structure = prototype.structure(species(mobile, framework, anion))
        check_structure(structure, mobile[:-1])


def test_k2ptcl6_type_gives_back_the_published_cell():
    structure = load_prototype("k2ptcl6").structure(species("K+", "Ta5+", "Cl-"))
    assert structure.lattice.abc == pytest.approx((9.894,) * 3)
    distances_A = structure.distance_matrix[structure.indices_from_symbol("Ta")[0]]
    bonds_A = np.sort(distances_A)[1:7]
    assert bonds_A == pytest.approx([0.239 * 9.894] * 6)


def test_elpasolite_fills_both_kinds_of_holes():
    prototype = load_prototype("elpasolite")
    assert prototype.n_sites("mobile") == 12
    structure = prototype.structure(species("K+", "Y3+", "Cl-"))
    assert structure.composition.reduced_formula == "K3YCl6"


@pytest.mark.parametrize(
    ("mobile", "framework", "anion", "a_A"),
    [
        ("K+", "Si4+", "F-", 8.134),  # Loehlin, Acta Cryst. C 40, 570 (1984)
        ("K+", "Pt4+", "Cl-", 9.755),  # Wyckoff, Crystal Structures 3
        ("K+", "Pt4+", "Br-", 10.293),
        ("K+", "Sn4+", "Cl-", 9.99),
        ("Cs+", "Zr4+", "Cl-", 10.42),
    ],
)
def test_starting_cells_are_near_measured_ones(mobile, framework, anion, a_A):
    structure = load_prototype("k2ptcl6").structure(species(mobile, framework, anion))
    assert structure.lattice.a == pytest.approx(a_A, rel=0.025)


def test_untabulated_charges_have_the_radius_of_the_nearest():
    assert ionic_radius(Species("Ta", 5)) == pytest.approx(0.78)
    assert ionic_radius(Species("Ta", 7)) == ionic_radius(Species("Ta", 5))


def test_no_radius_at_all():
    with pytest.raises(InvalidInput, match=r"no ionic radius is known for He2\+; leave He out"):
        ionic_radius(Species("He", 2))


@pytest.mark.parametrize("name", ["K2PtCl6", "k2ptcl", "k2pdcl6"])
def test_an_unknown_prototype_names_the_nearest_and_all(name):
    with pytest.raises(InvalidInput, match=r"did you mean k2ptcl6.*elpasolite"):
        load_prototype(name)
