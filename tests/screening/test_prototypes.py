import hashlib
import itertools
import re
from fractions import Fraction
from importlib import resources

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.composition import Composition
from pymatgen.core.molecule_structure_comparator import CovalentRadius
from pymatgen.core.periodic_table import Species

from screening.errors import InvalidInput
from screening.prototypes.library import (
    Prototype,
    PrototypeSite,
    ionic_radius,
    library_sha256,
    load_prototype,
    prototype_names,
)
from screening.structures import MIN_CONTACT, check_structure

every_prototype = pytest.mark.parametrize("name", prototype_names())


def contents(prototype, **species):
    """The source's contents with other ions by role; what is shared goes by what it was."""
    mobile = {ion for site in prototype.sites if site.role == "mobile" for ion in [site.species]}
    answer = []
    for site, own in zip(prototype.sites, prototype.own_contents(), strict=True):
        new = {}
        for ion, share in own.items():
            is_mobile = site.shared and str(ion) in mobile
            name = species.get("mobile" if is_mobile else site.role)
            new[Species.from_str(name) if name else ion] = share
        answer.append(new)
    return answer


def filled(prototype, **species):
    """Every site of a role full."""
    return [
        {Species.from_str(species[site.role]): Fraction(1)} if site.role in species else {}
        for site in prototype.sites
    ]


@every_prototype
def test_space_group_and_orbits(name):
    prototype = load_prototype(name)
    structure = prototype.own_structure()
    orbits = structure.site_properties["orbit"]
    species = [site.specie.Z for site in structure]
    for kinds in (orbits, species):
        cell = (structure.lattice.matrix, structure.frac_coords, kinds)
        dataset = spglib.get_symmetry_dataset(cell, symprec=0.01)
        assert dataset.international == prototype.space_group
    cell = (structure.lattice.matrix, structure.frac_coords, orbits)
    dataset = spglib.get_symmetry_dataset(cell, symprec=0.01)
    for orbit, site in enumerate(prototype.sites):
        of_orbit = [i for i, other in enumerate(orbits) if other == orbit]
        letters = {dataset.wyckoffs[i] for i in of_orbit}
        assert len(set(dataset.crystallographic_orbits[of_orbit])) == 1
        assert len(of_orbit) == site.multiplicity
        assert letters == {site.wyckoff[-1]}
        assert {structure[i].properties["role"] for i in of_orbit} == {site.role}
    for role in ("mobile", "framework", "anion", "vacant", "hydrogen"):
        assert structure.site_properties["role"].count(role) == prototype.n_sites(role)


@every_prototype
def test_composition_is_the_formula_and_neutral(name):
    prototype = load_prototype(name)
    amounts, charge = {}, Fraction(0)
    for site, here in zip(prototype.sites, prototype.own_contents(), strict=True):
        assert sum(here.values()) <= 1
        for ion, share in here.items():
            amounts[ion.symbol] = amounts.get(ion.symbol, 0) + site.multiplicity * share
            charge += site.multiplicity * share * int(ion.oxi_state)
    assert charge == 0
    formula = {
        symbol: Fraction(str(n))
        for symbol, n in Composition(prototype.formula).get_el_amt_dict().items()
    }
    assert formula.keys() == amounts.keys()
    assert len({amounts[symbol] / n for symbol, n in formula.items()}) == 1


@every_prototype
def test_source_can_be_looked_up(name):
    source = load_prototype(name).source
    assert re.search(r"doi:10\.\d{4,9}/\S+\w|\b(ICSD|mp-)\s?\d+|\((19|20)\d\d\)", source)


@every_prototype
def test_no_close_contacts_in_the_source(name):
    prototype = load_prototype(name)
    structure = prototype.own_structure()
    shares = [sum(here.values()) for here in prototype.own_contents()]
    first, second, _, distances_A = structure.get_neighbor_list(4.0)
    for i, j, distance_A in zip(first, second, distances_A, strict=True):
        one, other = (structure.site_properties["orbit"][k] for k in (i, j))
        if shares[one] + shares[other] > 1:  # else the two need not be there at the same time
            radii_A = [CovalentRadius.radius[structure[k].specie.symbol] for k in (i, j)]
            assert distance_A > MIN_CONTACT * sum(radii_A), (structure[i], structure[j])


@every_prototype
def test_own_contents_give_the_own_cell(name):
    prototype = load_prototype(name)
    own = prototype.own_structure()
    structure = prototype.structure(prototype.own_contents())
    assert structure.lattice.parameters == pytest.approx(own.lattice.parameters)
    assert structure.lattice.parameters == pytest.approx(prototype.lattice, abs=1e-6)
    occupied = [i for i, site in enumerate(own) if site.properties["role"] != "vacant"]
    assert structure.species == [own[i].specie for i in occupied]
    assert structure.site_properties["orbit"] == [own.site_properties["orbit"][i] for i in occupied]
    np.testing.assert_allclose(structure.frac_coords, own.frac_coords[occupied], atol=1e-9)


@every_prototype
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_larger_ions_make_larger_cells(name, data):
    prototype = load_prototype(name)
    order = {
        "mobile": ["Li+", "Na+", "K+", "Rb+"],
        "framework": ["Al3+", "Sc3+", "Y3+", "La3+"],
        "anion": ["F-", "Cl-", "Br-", "I-"],
    }
    small = {role: data.draw(st.integers(0, 3)) for role in order}
    large = {role: data.draw(st.integers(step, 3)) for role, step in small.items()}
    lengths_A = [
        prototype.structure(
            contents(prototype, **{role: order[role][step] for role, step in steps.items()})
        ).lattice.a
        for steps in (small, large)
    ]
    assert lengths_A[0] <= lengths_A[1] * (1 + 1e-12)


@every_prototype
def test_vacancies_change_no_volume(name):
    prototype = load_prototype(name)
    thinned = [
        {ion: share / 2 for ion, share in here.items()} if site.role == "mobile" else here
        for site, here in zip(prototype.sites, prototype.own_contents(), strict=True)
    ]
    assert prototype.structure(thinned).volume == pytest.approx(prototype.own_structure().volume)


@every_prototype
def test_no_close_contacts_whatever_the_species(name):
    prototype = load_prototype(name)
    full = all(sum(c.values()) == 1 for c in prototype.own_contents() if c)
    if not full or prototype.n_sites("hydrogen"):
        return  # not all of its sites are filled at the same time
    ions = itertools.product(
        ("Li+", "Na+", "K+"), ("Al3+", "La3+", "Zr4+", "Ta5+"), ("F-", "Cl-", "Br-", "I-")
    )
    for mobile, framework, anion in ions:
        here = contents(prototype, mobile=mobile, framework=framework, anion=anion)
        check_structure(prototype.structure(here), mobile[:-1])


def test_k2ptcl6_type_gives_back_the_published_cell():
    prototype = load_prototype("k2ptcl6")
    structure = prototype.structure(filled(prototype, mobile="K+", framework="Ta5+", anion="Cl-"))
    assert structure.lattice.abc == pytest.approx((9.894,) * 3)
    distances_A = structure.distance_matrix[structure.indices_from_symbol("Ta")[0]]
    bonds_A = np.sort(distances_A)[1:7]
    assert bonds_A == pytest.approx([0.239 * 9.894] * 6)


def test_vacant_sites_are_there_only_where_they_are_filled():
    prototype = load_prototype("k2ptcl6")
    assert prototype.n_sites("vacant") == 4
    without = filled(prototype, mobile="K+", framework="Zr4+", anion="Cl-")
    assert prototype.structure(without).composition.reduced_formula == "K2ZrCl6"
    beyond = filled(prototype, mobile="K+", framework="Y3+", anion="Cl-", vacant="K+")
    structure = prototype.structure(beyond)
    assert structure.composition.reduced_formula == "K3YCl6"
    assert structure.site_properties["role"].count("vacant") == 4
    absent = [{ion: Fraction(0) for ion in here} for here in beyond]
    mixed = [*without[:-1], absent[-1]]
    assert prototype.structure(mixed) == prototype.structure(without)


def test_elpasolite_fills_both_kinds_of_holes():
    prototype = load_prototype("elpasolite")
    assert prototype.n_sites("mobile") == 12
    structure = prototype.structure(filled(prototype, mobile="K+", framework="Y3+", anion="Cl-"))
    assert structure.composition.reduced_formula == "K3YCl6"


def test_the_first_ion_named_holds_the_site():
    prototype = load_prototype("k2ptcl6")
    here = filled(prototype, mobile="K+", framework="Ta5+", anion="Cl-")
    here[0] = {Species("Zr", 4): Fraction(3, 10), Species("Y", 3): Fraction(7, 10)}
    structure = prototype.structure(here)
    assert structure.composition.reduced_formula == "K2ZrCl6"
    ends = []
    for ion in here[0]:
        here[0] = {ion: Fraction(1)}
        ends.append(prototype.structure(here).lattice.a)
    assert ends[0] < structure.lattice.a < ends[1]


def test_contents_are_one_for_each_orbit():
    prototype = load_prototype("k2ptcl6")
    with pytest.raises(ValueError, match="k2ptcl6 has 4 orbits, not 3"):
        prototype.structure(prototype.own_contents()[:3])


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
    prototype = load_prototype("k2ptcl6")
    here = filled(prototype, mobile=mobile, framework=framework, anion=anion)
    assert prototype.structure(here).lattice.a == pytest.approx(a_A, rel=0.025)


@pytest.mark.parametrize(
    ("name", "species", "volume_A3"),
    [
        # Li3ErBr6: Bohnsack et al., Z. Anorg. Allg. Chem. 623, 1352 (1997)
        ("li3sccl6", {"framework": "Er3+", "anion": "Br-"}, 528.6),
        # Li2CdCl4: Partik, Schneider, Lutz, doi:10.1002/zaac.19946200505
        ("spinel", {"framework": "Cd2+"}, 10.6206**3),
        # Na3AlF6: Hawthorne, Ferguson, Can. Mineral. 13, 377 (1975)
        ("cryolite", {"framework": "Al3+", "anion": "F-"}, 234.48),
        # LaCl3: Morosin, J. Chem. Phys. 49, 3007 (1968)
        ("ucl3", {"framework": "La3+"}, 211.8),
    ],
)
def test_starting_volumes_are_near_measured_ones(name, species, volume_A3):
    prototype = load_prototype(name)
    structure = prototype.structure(contents(prototype, **species))
    assert structure.volume == pytest.approx(volume_A3, rel=0.10)


@pytest.mark.parametrize(
    ("name", "mobile", "n_around"), [("natacl6", "Na", 6), ("ktacl6-c2c", "K", 8)]
)
def test_models_of_amx6_hold_octahedra_that_share_nothing(name, mobile, n_around):
    structure = load_prototype(name).own_structure()

    def around(center, species, up_to_A):
        return [
            site.nn_distance
            for site in structure.get_neighbors(center, up_to_A)
            if site.specie.symbol == species
        ]

    radii_A = {ion: ionic_radius(Species(ion, 1)) for ion in ("Na", "K")}
    for site in structure:
        match site.specie.symbol:
            case "Ta":
                cubic_A = 0.239 * 9.894  # of cubic KTaCl6, see k2ptcl6
                assert around(site, "Cl", 2.8) == pytest.approx([cubic_A] * 6, abs=0.1)
            case "Cl":
                assert len(around(site, "Ta", 2.8)) == 1
            case _:
                contact_A = radii_A[mobile] + ionic_radius(Species("Cl", -1))
                bonds_A = around(site, "Cl", 1.2 * contact_A)
                assert len(bonds_A) == n_around
                assert min(bonds_A) > 0.9 * contact_A


def test_shared_sites_hold_the_rest_of_the_mobile_ions():
    prototype = load_prototype("ucl3")
    framework, mobile = prototype.own_contents()[:2]
    assert framework == {Species("Sm", 3): Fraction(7, 8), Species("Na", 1): Fraction(1, 8)}
    assert mobile == {Species("Na", 1): Fraction(1, 4)}


@pytest.mark.parametrize("name", [n for n in prototype_names() if "ohcl" in n])
@pytest.mark.parametrize("mobile", ["Li+", "K+"])
def test_one_hydrogen_around_each_oxygen_at_its_own_bond_length(name, mobile):
    prototype = load_prototype(name)
    structure = prototype.structure(contents(prototype, mobile=mobile))
    scale = structure.volume / prototype.own_structure().volume
    assert scale == pytest.approx(1) if mobile == "Li+" else scale > 1.2
    oxygens = [i for i, site in enumerate(prototype.own_structure()) if site.specie.symbol == "O"]
    shares = {i: site.occupancy for i, site in enumerate(prototype.sites)}
    around = dict.fromkeys(oxygens, Fraction(0))
    for site in structure:
        if site.properties["role"] == "hydrogen":
            bonds_A = {i: site.distance(structure[i]) for i in oxygens}
            nearest = min(bonds_A, key=bonds_A.__getitem__)
            assert bonds_A[nearest] == pytest.approx(0.97, abs=0.02)
            around[nearest] += shares[site.properties["orbit"]]
    assert set(around.values()) == {Fraction(1)}


def test_only_framework_sites_are_shared():
    with pytest.raises(ValueError, match="2b is mobile; only framework sites are shared"):
        PrototypeSite(wyckoff="2b", role="mobile", species="Na+", xyz=(0, 0, 0), shared=True)


def test_prototypes_are_used_as_keys():
    prototype = load_prototype("elpasolite")
    again = Prototype(**prototype.model_dump())
    assert {prototype: 1}[again] == 1


def test_identity_is_that_of_the_hosts_and_of_nothing_else():
    hosts = resources.files("screening.prototypes").joinpath("hosts.yaml").read_bytes()
    assert library_sha256() == hashlib.sha256(hosts).hexdigest()


def test_sodium_tetrachloroaluminate_has_its_weighed_density():
    # CRC Handbook: 2.01 g/cm3
    assert load_prototype("naalcl4").own_structure().density == pytest.approx(2.01, rel=0.02)


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
