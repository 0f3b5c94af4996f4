import itertools
import math

import numpy as np
import pytest
from configuration_oracles import multinomial
from hypothesis import given, settings
from hypothesis import strategies as st
from ordering_parents import (
    binary_space,
    decorated,
    k2tacl6,
    li3ycl6,
    metal,
    other_setting,
    permutations_by_spglib,
    positions,
    rock_salt,
    ucl3,
)
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.errors import InvalidInput, UnusableStructure
from screening.orderings.parent import Parent
from screening.orderings.space import ConfigurationSpace, Sublattice

HOSTS = {
    "K2TaCl6": k2tacl6,
    "Li3YCl6": li3ycl6,
    "UCl3": ucl3,
    "hcp": lambda: metal("hcp"),
    "triclinic": lambda: metal("triclinic"),
}


def degeneracies(space):
    """Largest first."""
    return sorted(space.enumerate().degeneracies.tolist(), reverse=True)


def half_full(structure, matrix, symbol, n_filled):
    """The space of one supercell with n of an element's sites filled."""
    supercell = Parent.from_structure(structure).supercell(matrix)
    return binary_space(supercell, positions(supercell, structure, symbol), n_filled)


@pytest.mark.parametrize("matrix", [(1, 1, 1), [[0, 1, 1], [1, 0, 1], [1, 1, 0]]])
@pytest.mark.parametrize("name", HOSTS)
def test_a_supercell_copies_the_unit_cell(name, matrix):
    structure = HOSTS[name]()
    supercell = Parent.from_structure(structure).supercell(matrix)
    rows = np.diag(matrix) if np.ndim(matrix) == 1 else np.array(matrix)
    n_cells = abs(round(np.linalg.det(rows)))
    assert np.allclose(supercell.lattice.matrix, rows @ structure.lattice.matrix, atol=1e-8)
    species = [structure[i].specie for i in supercell.unit_site]
    copied = Structure(supercell.lattice, species, supercell.frac_coords)
    wanted = structure * rows
    assert len(copied) == len(wanted) == n_cells * len(structure)
    for site in copied:
        (_,) = [
            near
            for near in wanted.get_sites_in_sphere(site.coords, 1e-4)
            if near.specie == site.specie
        ]


@pytest.mark.parametrize(
    ("name", "n_primitive_sites"),
    [("K2TaCl6", 9), ("Li3YCl6", 33), ("UCl3", 10), ("hcp", 2), ("triclinic", 1)],
)
def test_the_primitive_cell_inside(name, n_primitive_sites):
    structure = HOSTS[name]()
    parent = Parent.from_structure(structure)
    assert len(parent.frac_coords) == n_primitive_sites
    larger = Parent.from_structure(structure * (1, 2, 1))
    assert len(larger.frac_coords) == n_primitive_sites
    assert larger.supercell((1, 1, 3)).n_cells == 6 * len(structure) // n_primitive_sites


@pytest.mark.parametrize("name", HOSTS)
@given(entries=st.lists(st.integers(-1, 2), min_size=9, max_size=9))
@settings(max_examples=8, deadline=None)
def test_permutations_are_those_that_spglib_finds_in_the_supercell(name, entries):
    matrix = np.array(entries).reshape(3, 3)
    if not 1 <= abs(round(np.linalg.det(matrix))) <= 3:
        matrix = np.diag([1, 1, 1 + abs(entries[0])])
    if np.linalg.det(matrix) < 0:
        matrix = matrix[[1, 0, 2]]
    structure = HOSTS[name]()
    supercell = Parent.from_structure(structure).supercell(matrix)
    kinds = [site.specie.Z for site in structure]
    sites = np.arange(len(supercell.unit_site))
    found = [tuple(row) for row in supercell.permutations(sites).tolist()]
    assert len(set(found)) == len(found)
    assert set(found) == permutations_by_spglib(supercell, kinds, sites)
    symbol = structure[len(structure) // 2].specie.symbol
    some = positions(supercell, structure, symbol)[::-1]
    found = [tuple(row) for row in supercell.permutations(some).tolist()]
    assert len(set(found)) == len(found)
    assert set(found) == permutations_by_spglib(supercell, kinds, some)


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=6, unique=True), st.data()
)
@settings(max_examples=40, deadline=None)
def test_permutations_of_points_on_a_cubic_grid(points, data):
    """Against all signed axis permutations and all translations, tried one by one."""
    grid = np.array(points)
    kinds = data.draw(st.lists(st.integers(0, 1), min_size=len(points), max_size=len(points)))
    index = {(*point, kind): i for i, (point, kind) in enumerate(zip(points, kinds, strict=True))}
    expected = set()
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            turned = (grid * signs)[:, axes]
            for target in grid:
                moved = (turned + target - turned[0]) % 4
                images = [index.get((*p, k)) for p, k in zip(moved.tolist(), kinds, strict=True)]
                if None not in images:
                    expected.add(tuple(images))
    structure = Structure(Lattice.cubic(12.0), ["K"] * len(points), grid / 4)
    supercell = Parent.from_structure(structure, kinds=kinds).supercell((1, 1, 1))
    order = np.argsort(supercell.unit_site)
    found = supercell.permutations(order)
    assert {tuple(row) for row in found.tolist()} == expected


def test_sites_are_told_apart_by_species_unless_kinds_are_given():
    structure = k2tacl6()
    potassium = [i for i, site in enumerate(structure) if site.specie.symbol == "K"]
    oxidised = structure.copy()
    oxidised.replace(potassium[0], "K")  # K without a charge is another species
    kinds = np.array([site.specie.Z for site in structure])
    alone = kinds.copy()
    alone[potassium[0]] = 0

    def n_permutations(parent):
        supercell = parent.supercell((1, 1, 1))
        return len(supercell.permutations(np.arange(len(structure))))

    n_all = n_permutations(Parent.from_structure(structure))
    n_alone = n_permutations(Parent.from_structure(structure, kinds=alone.tolist()))
    assert n_all == 192  # 48 rotations, 4 centrings
    assert n_alone == 24  # site symmetry -43m of 8c
    assert n_permutations(Parent.from_structure(oxidised)) == n_alone
    assert n_permutations(Parent.from_structure(oxidised, kinds=kinds.tolist())) == n_all


@pytest.mark.parametrize(
    ("n_filled", "expected"), [(4, [24, 24, 8, 6, 6, 2]), (1, [8]), (0, [1]), (8, [1])]
)
def test_orderings_of_k2tacl6(n_filled, expected):
    space = half_full(k2tacl6(), (1, 1, 1), "K", n_filled)
    assert space.n_configurations == math.comb(8, n_filled)
    assert space.n_orderings == len(expected)
    assert degeneracies(space) == expected


def test_double_cell_of_k2tacl6_holds_283_of_12870():
    space = half_full(k2tacl6(), (2, 1, 1), "K", 8)
    found = space.enumerate()
    assert (space.n_configurations, space.n_orderings) == (12_870, 283)
    assert len(np.unique(found.occupants, axis=0)) == 283
    assert found.degeneracies.sum() == 12_870
    assert ((found.occupants == 0).sum(axis=1) == 8).all()


def test_quadruple_cell_of_k2tacl6_is_counted_without_enumeration():
    space = half_full(k2tacl6(), (2, 2, 1), "K", 16)
    assert (space.n_configurations, space.n_orderings) == (601_080_390, 2_386_468)


@pytest.mark.slow
def test_quadruple_cell_of_k2tacl6_in_a_stream():
    space = half_full(k2tacl6(), (2, 2, 1), "K", 16)
    n_orderings = n_configurations = 0
    for block in space.blocks():
        assert ((block.occupants == 0).sum(axis=1) == 16).all()
        n_orderings += len(block.degeneracies)
        n_configurations += int(block.degeneracies.sum())
    assert (n_configurations, n_orderings) == (601_080_390, 2_386_468)


@pytest.mark.parametrize(
    ("matrix", "n_filled", "n_configurations", "n_orderings"),
    [
        ((1, 1, 1), 6, 924, 96),
        ((1, 1, 2), 18, 134_596, 5_794),
        ((1, 1, 2), 12, 2_704_156, 113_510),
    ],
)
def test_orderings_of_trigonal_li3ycl6(matrix, n_filled, n_configurations, n_orderings):
    space = half_full(li3ycl6(), matrix, "Li", n_filled)
    assert (space.n_configurations, space.n_orderings) == (n_configurations, n_orderings)
    if n_orderings < 10_000:
        found = space.enumerate()
        assert len(found.degeneracies) == n_orderings
        assert found.degeneracies.sum() == n_configurations


def test_two_sublattices_of_the_ucl3_type():
    """4 Na in the 16 channel sites of 2×2×2 and 2 of 16 large cations replaced."""
    structure = ucl3()
    supercell = Parent.from_structure(structure).supercell((2, 2, 2))
    sodium, samarium = (positions(supercell, structure, s) for s in ("Na", "Sm"))
    sites = np.concatenate([sodium, samarium])
    space = ConfigurationSpace(
        supercell.permutations(sites),
        [
            Sublattice(np.arange(16), (4, 12), None),
            Sublattice(16 + np.arange(16), (2, 14), None),
        ],
    )
    found = space.enumerate()
    assert space.n_configurations == found.degeneracies.sum() == 218_400
    assert space.n_orderings == len(found.degeneracies) == 2_380


@pytest.mark.parametrize(
    ("matrix", "n_filled", "n_orderings"),
    [
        ((1, 1, 1), 1, 1),
        ((1, 1, 1), 2, 1),
        ((1, 1, 2), 1, 1),
        ((1, 1, 2), 2, 4),
        ((1, 1, 2), 4, 8),
        ((1, 1, 3), 3, 9),
        ((1, 1, 3), 6, 34),
        ((1, 2, 2), 1, 1),
        ((1, 2, 2), 2, 5),
        ((1, 2, 2), 4, 33),
        ((1, 2, 2), 8, 153),
        ((2, 2, 2), 2, 5),
        ((2, 2, 2), 4, 71),
        ((2, 2, 2), 8, 8_043),
        ((2, 2, 2), 16, 404_582),
    ],
)
def test_published_substitutions_in_rock_salt(matrix, n_filled, n_orderings):
    """Okhotnikov et al., J. Cheminform. 8, 17 (2016), doi:10.1186/s13321-016-0129-3, table 2."""
    space = half_full(rock_salt(), matrix, "Pb", n_filled)
    n_sites = 4 * math.prod(matrix)
    assert space.n_configurations == math.comb(n_sites, n_filled)
    assert space.n_orderings == n_orderings


@given(seed=st.integers(0, 2**32 - 1), matrix=st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 1, 2)]))
@settings(max_examples=12, deadline=None)
def test_neither_order_nor_origin_nor_noise_nor_setting_matters(seed, matrix):
    structure = k2tacl6()
    shaken, back = other_setting(structure, np.random.default_rng(seed))
    known = half_full(structure, matrix, "K", 4)
    moved = half_full(shaken, np.diag(matrix) @ back, "K", 4)
    assert moved.n_orderings == known.n_orderings
    assert degeneracies(moved) == degeneracies(known)


@pytest.mark.parametrize(
    ("host", "symbol", "matrix", "n_filled", "n_orderings"),
    [(k2tacl6, "K", (2, 2, 1), 16, 2_386_468), (li3ycl6, "Li", (1, 1, 2), 12, 113_510)],
)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_noise_on_sites_and_lattice_of_an_enlarged_cell(
    host, symbol, matrix, n_filled, n_orderings, seed
):
    rng = np.random.default_rng(seed)
    shaken, _ = other_setting(host() * matrix, rng)
    strained = Lattice(shaken.lattice.matrix + rng.uniform(-1e-4, 1e-4, (3, 3)))
    shaken = Structure(strained, shaken.species, shaken.frac_coords)
    assert half_full(shaken, (1, 1, 1), symbol, n_filled).n_orderings == n_orderings


@pytest.mark.parametrize("matrix", [(1, 1, 1), (2, 1, 1)])
def test_a_primitive_or_an_enlarged_cell_gives_the_same_orderings(matrix):
    structure = k2tacl6()
    primitive = structure.get_primitive_structure()
    assert len(primitive) == 9
    to_conventional = np.rint(
        structure.lattice.matrix @ np.linalg.inv(primitive.lattice.matrix)
    ).astype(int)
    wanted = degeneracies(half_full(structure, matrix, "K", 4))
    in_primitive = half_full(primitive, np.diag(matrix) @ to_conventional, "K", 4)
    assert degeneracies(in_primitive) == wanted
    if matrix == (2, 1, 1):
        assert degeneracies(half_full(structure * (2, 1, 1), (1, 1, 1), "K", 4)) == wanted


def test_a_supercell_given_as_the_unit_cell_changes_nothing():
    structure = k2tacl6()
    doubled = structure * (2, 1, 1)
    known = half_full(structure, (2, 2, 1), "K", 3)
    assert degeneracies(half_full(doubled, (1, 2, 1), "K", 3)) == degeneracies(known)
    assert half_full(doubled, (1, 2, 1), "K", 16).n_orderings == 2_386_468
    assert half_full(doubled, (2, 2, 1), "K", 2).n_orderings == (
        half_full(structure, (4, 2, 1), "K", 2).n_orderings
    )


@pytest.mark.parametrize(
    ("host", "symbol", "matrix", "n_filled"),
    [(k2tacl6, "K", (1, 1, 1), 4), (k2tacl6, "K", (2, 1, 1), 2), (ucl3, "Na", (1, 1, 2), 2)],
)
def test_other_settings_give_the_same_crystals(host, symbol, matrix, n_filled):
    structure = host()
    shaken, back = other_setting(structure, np.random.default_rng(7))
    crystals = []
    for given_as, rows in ((structure, np.diag(matrix)), (shaken, np.diag(matrix) @ back)):
        supercell = Parent.from_structure(given_as).supercell(rows)
        sites = positions(supercell, given_as, symbol)
        found = binary_space(supercell, sites, n_filled).enumerate()
        crystals.append(
            [
                (decorated(supercell, given_as, sites, row), degeneracy)
                for row, degeneracy in zip(
                    found.occupants, found.degeneracies.tolist(), strict=True
                )
            ]
        )
    same = StructureMatcher(
        ltol=0.01, stol=0.01, angle_tol=0.5, primitive_cell=False, scale=False
    ).fit
    left = crystals[1]
    for one, degeneracy in crystals[0]:
        twins = [i for i, (other, n) in enumerate(left) if n == degeneracy and same(one, other)]
        assert twins
        left.pop(twins[0])
    assert not left


def test_a_real_distortion_lowers_the_symmetry():
    structure = k2tacl6()
    moved = structure.copy()
    moved.translate_sites([0], [0.1, 0, 0], frac_coords=False)
    assert half_full(moved, (1, 1, 1), "K", 4).n_orderings > 6


@pytest.mark.parametrize("matrix", [(1, 1, 2), (3, 2, 1), [[1, 1, 0], [0, 1, 2], [1, 0, 1]]])
def test_one_ion_on_equivalent_sites_has_one_ordering(matrix):
    """The parent's translations are symmetries of every supercell, and reach half of 8c at least.

    The inversion joins the other half.
    """
    space = half_full(k2tacl6(), matrix, "K", 1)
    assert space.n_orderings == 1


def test_large_supercells_count_exactly():
    space = half_full(k2tacl6(), (4, 4, 4), "K", 256)
    assert space.n_configurations == multinomial((256, 256)) == math.comb(512, 256)
    n_operations = 48 * 4 * 64
    assert space.n_orderings >= space.n_configurations // n_operations
    assert space.n_orderings < 1.000001 * space.n_configurations / n_operations


def test_half_an_orbit_cannot_be_ordered():
    structure = k2tacl6()
    supercell = Parent.from_structure(structure).supercell((1, 1, 1))
    with pytest.raises(UnusableStructure, match="whole orbits"):
        supercell.permutations(positions(supercell, structure, "K")[:3])


def test_atoms_on_top_of_each_other_have_no_symmetry():
    structure = Structure(Lattice.cubic(5), ["K", "K"], [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(UnusableStructure, match="on top of each other"):
        Parent.from_structure(structure)


@pytest.mark.parametrize("matrix", [(1, 0, 1), [[1, 1, 0], [0, 1, 1], [1, 2, 1]]])
def test_a_supercell_without_volume(matrix):
    with pytest.raises(InvalidInput, match="has no volume"):
        Parent.from_structure(k2tacl6()).supercell(matrix)
