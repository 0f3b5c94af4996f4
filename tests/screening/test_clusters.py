import functools
import itertools
import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from screening.clusters import substitute_cluster
from screening.errors import InvalidInput
from screening.hosts import Disorder, Host
from screening.orderings.parent import Parent, Supercell
from screening.orderings.space import ConfigurationSpace, Sublattice

LI, OXIDE, H, K, CL = (Species.from_str(ion) for ion in ("Li+", "O2-", "H+", "K+", "Cl-"))
GROUP = {"Li": 2, "O": 1, "H": 1}


def cubic_structure():
    # Cubic Li2OHCl: Cl at the corners, O in the centre, Li on two of three faces; the hydrogen
    # points to one of the six Li sites around.
    return Structure.from_spacegroup(
        "Pm-3m",
        Lattice.cubic(3.91),
        [CL, OXIDE, LI, H],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.745, 0.5, 0.5]],
    )


def sites_of(structure, species):
    return tuple(i for i, site in enumerate(structure) if site.specie == species)


def lithium(structure):
    return Disorder(sites_of(structure, LI), (LI, None), (Fraction(2, 3), Fraction(1, 3)))


def cubic_li2ohcl(hydrogen="satellites"):
    structure = cubic_structure()
    disorder = [lithium(structure)]
    if hydrogen == "satellites":
        hydroxide = Disorder(
            sites_of(structure, OXIDE), (OXIDE,), (Fraction(1),), (sites_of(structure, H),)
        )
        disorder.append(hydroxide)
    elif hydrogen == "partly filled":
        shares = (Fraction(1, 6), Fraction(5, 6))
        disorder.append(Disorder(sites_of(structure, H), (H, None), shares))
    return Host("cubic Li2OHCl", "made for this test", "Li", structure, tuple(disorder))


def with_potassium(n_cells, number=1, host=None):
    return substitute_cluster(host or cubic_li2ohcl(), GROUP, "K+", "O", number, n_cells)


def contents(host, species):
    """Occupants and fractions of the sublattice that holds an ion."""
    (found,) = [d for d in host.disorder if species in d.occupants]
    return dict(zip(found.occupants, found.fractions, strict=True))


def total_charge(host, n_cells):
    """Charge of a supercell, from the mean contents of its sites."""
    disordered = {site for d in host.disorder for site in d.sites}
    satellites = {h for d in host.disorder for group in d.satellites for h in group}
    charge = sum(
        int(site.specie.oxi_state)
        for i, site in enumerate(host.structure)
        if i not in disordered | satellites
    )
    for d in host.disorder:
        for i, (occupant, fraction) in enumerate(zip(d.occupants, d.fractions, strict=True)):
            own = 0 if occupant is None else int(occupant.oxi_state)
            own += 1 if d.satellites and i == 0 else 0
            charge += own * fraction * len(d.sites)
    return charge * n_cells


class Choices(NamedTuple):
    """The configuration space of a substituted supercell, with what is needed to look into it."""

    cell: Supercell
    domain: np.ndarray
    lithium: Sublattice
    oxygen: Sublattice
    space: ConfigurationSpace


@functools.cache
def choices(number, supercell):
    host = with_potassium(math.prod(supercell), number)
    cell = Parent.from_structure(host.structure).supercell(supercell)
    variable = {site for d in host.disorder for sites in (d.sites, *d.satellites) for site in sites}
    domain = np.flatnonzero(np.isin(cell.unit_site, sorted(variable)))
    place = {site: i for i, site in enumerate(domain.tolist())}
    sublattices = []
    for d in host.disorder:
        sites = np.flatnonzero(np.isin(cell.unit_site, d.sites))
        satellites = None
        if d.satellites:
            hydrogen = np.flatnonzero(np.isin(cell.unit_site, d.satellites[0]))
            distances_A = cell.lattice.get_all_distances(
                cell.frac_coords[sites], cell.frac_coords[hydrogen]
            )
            around = [hydrogen[row < 1.3] for row in distances_A]
            satellites = np.array([[place[h] for h in group] for group in around])
        amounts = tuple(int(fraction * len(sites)) for fraction in d.fractions)
        sublattices.append(Sublattice(np.array([place[s] for s in sites]), amounts, satellites))
    lithium, oxygen = sorted(sublattices, key=lambda s: s.satellites is not None)
    space = ConfigurationSpace(cell.permutations(domain), sublattices)
    return Choices(cell, domain, lithium, oxygen, space)


def raw_configurations(of):
    """All ways to fill the sites, one by one, as rows of occupants."""
    lithium, oxygen = of.lithium, of.oxygen
    for filled in itertools.combinations(lithium.sites, lithium.amounts[0]):
        for potassium in itertools.combinations(range(len(oxygen.sites)), oxygen.amounts[1]):
            groups = [g for i, g in enumerate(oxygen.satellites) if i not in potassium]
            for hydrogen in itertools.product(*groups):
                row = np.zeros(len(of.domain), dtype=int)
                row[lithium.sites] = 1  # vacancies
                row[list(filled)] = 0
                row[oxygen.sites[list(potassium)]] = 1
                row[list(hydrogen)] = 1
                yield row


def orbit_sizes(rows, of, supercell):
    """Sizes of the orbits of all configurations, with the group from pymatgen."""
    large = cubic_structure() * supercell
    coords = of.cell.frac_coords[of.domain]
    names = np.empty(len(rows), dtype=object)
    weights = 2 ** np.arange(len(of.domain), dtype=object)
    for operation in SpacegroupAnalyzer(large).get_symmetry_operations():
        offsets = operation.operate_multi(coords)[:, None] - coords
        image = np.argmax(np.all(np.abs(offsets - np.round(offsets)) < 1e-3, axis=-1), axis=1)
        moved = rows[:, np.argsort(image)] @ weights
        names = moved if names[0] is None else np.minimum(names, moved)
    return sorted(np.unique(names.astype(str), return_counts=True)[1].tolist())


def test_the_published_cell():
    # (Li2OH)26KCl27, 3 x 3 x 3 cells: doi:10.1038/s41467-023-42385-1
    host = with_potassium(27)
    assert contents(host, OXIDE) == {OXIDE: Fraction(26, 27), K: Fraction(1, 27)}
    assert contents(host, LI) == {LI: Fraction(52, 81), None: Fraction(29, 81)}
    (hydroxide,) = [d for d in host.disorder if d.satellites]
    assert hydroxide.occupants[0] == OXIDE
    assert hydroxide.satellites == (sites_of(host.structure, H),)
    assert total_charge(host, 27) == 0
    assert host.structure == cubic_structure()
    assert host.notes == ("1 [Li2OH] replaced by K+ at O in 27 cells",)


def test_all_choices_are_counted():
    # 2 of 6 Li stay, K takes one of 2 places, one hydrogen has 6 directions
    assert choices(1, (2, 1, 1)).space.n_configurations == math.comb(6, 2) * 2 * 6
    published = choices(1, (3, 3, 3)).space
    assert published.n_configurations == math.comb(81, 52) * 27 * 6**26
    assert len(published.permutations) == 27 * 48
    assert published.n_orderings > published.n_configurations / (27 * 48)


@pytest.mark.parametrize(
    ("supercell", "number"), [((2, 1, 1), 1), ((3, 1, 1), 1), ((3, 1, 1), 2), ((2, 2, 1), 3)]
)
def test_distinct_choices_match_brute_force(supercell, number):
    of = choices(number, supercell)
    rows = np.array(list(raw_configurations(of)))
    assert len(rows) == of.space.n_configurations
    expected = orbit_sizes(rows, of, supercell)
    assert of.space.n_orderings == len(expected)
    assert sorted(of.space.enumerate().degeneracies.tolist()) == expected


def check_rows(of, rows, n_lithium, n_potassium):
    """The right amounts, one hydrogen around each oxygen and none around potassium."""
    for row in rows:
        assert (row[of.lithium.sites] == 0).sum() == n_lithium
        assert (row[of.oxygen.sites] == 1).sum() == n_potassium
        filled = row[of.oxygen.satellites].sum(axis=1)
        np.testing.assert_array_equal(filled, row[of.oxygen.sites] == 0)


def test_every_oxygen_has_its_hydrogen_and_potassium_none():
    of = choices(1, (3, 1, 1))
    check_rows(of, of.space.enumerate().occupants, n_lithium=4, n_potassium=1)


def test_a_sample_of_the_published_cell():
    of = choices(1, (3, 3, 3))
    sample = of.space.sample(20, seed=3)
    assert len(np.unique(sample.occupants, axis=0)) == 20
    check_rows(of, sample.occupants, n_lithium=52, n_potassium=1)
    assert {27 * 48 % int(degeneracy) for degeneracy in sample.degeneracies} == {0}
    np.testing.assert_array_equal(sample.occupants, of.space.sample(20, seed=3).occupants)


def test_hydrogen_beside_oxygen_is_found():
    found = with_potassium(27, host=cubic_li2ohcl("partly filled")).disorder
    assert sorted(found, key=hash) == sorted(with_potassium(27).disorder, key=hash)


def ordered_li2ohcl():
    """A cell without disorder: two Li, one O with one hydrogen, one Cl."""
    structure = Structure(
        Lattice.tetragonal(3.85, 4.0),
        [LI, LI, OXIDE, H, CL],
        [[0.5, 0, 0.5], [0, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.74], [0, 0, 0]],
    )
    return Host("ordered.cif", "ordered.cif", "Li", structure)


def test_an_ordered_host_loses_any_two_of_its_lithium():
    host = with_potassium(8, host=ordered_li2ohcl())
    assert contents(host, LI) == {LI: Fraction(14, 16), None: Fraction(2, 16)}
    (hydroxide,) = [d for d in host.disorder if d.satellites]
    assert hydroxide.satellites == ((3,),)
    assert contents(host, OXIDE) == {OXIDE: Fraction(7, 8), K: Fraction(1, 8)}
    assert total_charge(host, 8) == 0


def test_lithium_of_several_sublattices_leaves_any_of_them():
    structure = cubic_structure()
    first, *others = sites_of(structure, LI)
    hydroxide = cubic_li2ohcl().disorder[1]
    halves = Disorder(tuple(others), (None, LI), (Fraction(1, 2), Fraction(1, 2)))
    host = with_potassium(27, host=Host("two kinds", "test", "Li", structure, (halves, hydroxide)))
    (found,) = [d for d in host.disorder if LI in d.occupants]
    assert sorted(found.sites) == [first, *others]
    assert contents(host, LI) == {LI: Fraction(52, 81), None: Fraction(29, 81)}


def test_a_charge_may_be_left_to_be_found():
    assert substitute_cluster(cubic_li2ohcl(), GROUP, "K", "O", 1, 27) == with_potassium(27)
    assert substitute_cluster(cubic_li2ohcl(), {"Li": 1}, "Na", "Li", 9, 27).disorder[-1] == (
        Disorder(
            sites_of(cubic_structure(), LI),
            (LI, None, Species("Na", 1)),
            (Fraction(45, 81), Fraction(27, 81), Fraction(9, 81)),
        )
    )


def test_a_second_substitution_adds_to_the_first():
    twice = with_potassium(27, host=with_potassium(27))
    assert contents(twice, OXIDE) == {OXIDE: Fraction(25, 27), K: Fraction(2, 27)}
    assert contents(twice, LI)[LI] == Fraction(50, 81)


@pytest.mark.parametrize(
    ("group", "by", "at", "number", "n_cells", "message"),
    [
        (GROUP, "Ba2+", "O", 1, 27, r"the group \[Li2OH\] has the charge \+2 -2 \+1 = \+1, Ba2\+ "),
        (GROUP, "Ba", "O", 1, 27, r"Ba has \+2; choose another ion or other amounts"),
        ({"Li": 1, "O": 1, "H": 1}, "K+", "O", 1, 27, r"\+1 -2 \+1 = \+0, K\+ has \+1"),
        ({"Na": 2, "O": 1}, "K+", "O", 1, 27, r"holds Na, which the host lacks; it holds Cl-, H\+"),
        (GROUP, "K+", "Cl", 1, 27, r"the place of one Cl, of which the group \[Li2OH\] has 0"),
        (GROUP, "K+", "Li", 1, 27, r"the place of one Li, of which the group \[Li2OH\] has 2"),
        (GROUP, "K+", "O", 28, 27, r"56 Li\+ are to leave .* replace at most 27"),
        (GROUP, "K+", "O", 2, 1, r"4 Li\+ .* of 1 unit cells holds 2; replace at most 1"),
        (GROUP, "K+", "O", 1, Fraction(1, 4), r"holds 0\.5; choose .* multiple of 2 times"),
        (GROUP, "K+", "O", 0, 27, r"0 groups \[Li2OH\] to replace; give at least 1"),
        ({"Li": 3, "O": 1}, "K+", "O", 1, 27, r"1 H must leave .* give H: 1 in the group, not 0"),
        ({"Li": 1, "O": 1, "H": 2}, "K+", "O", 1, 27, r"give H: 1 in the group, not 2"),
        ({"Li": 1, "Cl": 1, "H": 1}, "K+", "Cl", 1, 27, "H of the group .* is bonded to no other"),
        (GROUP, "Qq+", "O", 1, 27, "Qq"),
    ],
)
def test_groups_that_cannot_be_replaced(group, by, at, number, n_cells, message):
    with pytest.raises(InvalidInput, match=message):
        substitute_cluster(cubic_li2ohcl(), group, by, at, number, n_cells)


def test_hydrogen_in_short_supply():
    structure = cubic_structure()
    shares = (Fraction(1, 12), Fraction(11, 12))
    half = Disorder(sites_of(structure, H), (H, None), shares)
    host = Host("half", "test", "Li", structure, (lithium(structure), half))
    with pytest.raises(
        InvalidInput, match=r"0\.5 H\+ on 6 sites are not one within 1\.3 Å of each"
    ):
        with_potassium(27, host=host)


def test_an_element_of_two_charges():
    structure = Structure(
        Lattice.cubic(5), ["Ta4+", "Ta5+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]]
    )
    host = Host("mixed", "test", "Li", structure)
    with pytest.raises(
        InvalidInput, match=r"Ta of the group \[Ta\] is Ta4\+ and Ta5\+ in the host"
    ):
        substitute_cluster(host, {"Ta": 1}, "Nb5+", "Ta", 1, 4)


def test_sublattices_of_different_contents():
    structure = cubic_structure()
    first, *others = sites_of(structure, LI)
    mixed = Disorder((first,), (LI, Species("Na", 1)), (Fraction(1, 2), Fraction(1, 2)))
    rest = Disorder(tuple(others), (LI, None), (Fraction(1, 2), Fraction(1, 2)))
    host = Host("mixed", "test", "Li", structure, (mixed, rest))
    with pytest.raises(InvalidInput, match=r"Li\+ sits on 2 sublattices of different contents"):
        substitute_cluster(host, {"Li": 1}, "K+", "Li", 1, 4)
