import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.core.structure_matcher import StructureMatcher

from screening.documents import Candidate, Origin
from screening.duplicates import MAX_SHIFT, MAX_STRAIN, merge_duplicates
from screening.orderings.parent import Parent
from screening.orderings.space import ConfigurationSpace, Sublattice


def candidates(structures, host, mobile_ion="K"):
    return [
        Candidate(
            id=f"{host}-{number}",
            formula=structure.composition.reduced_formula,
            mobile_ion=mobile_ion,
            origin=Origin(
                host=host,
                source="made for this test",
                parent_formula=structure.formula,
                ordering=number,
                n_orderings=len(structures),
                degeneracy=1,
                n_configurations=len(structures),
            ),
            structure=structure,
        )
        for number, structure in enumerate(structures, start=1)
    ]


@functools.cache
def orderings(supercell):
    """K and Na, half each, on the cation sites of the CsCl type."""
    parent = Structure(Lattice.cubic(4.1), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    cell = Parent.from_structure(parent).supercell(supercell)
    cations, anions = (np.flatnonzero(cell.unit_site == i) for i in (0, 1))
    half = len(cations) // 2
    sublattice = Sublattice(np.arange(len(cations)), (half, len(cations) - half))
    found = ConfigurationSpace(cell.permutations(cations), [sublattice]).enumerate()
    return [
        Structure(
            cell.lattice,
            [*np.where(row == 0, "K", "Na"), *["Cl"] * len(anions)],
            cell.frac_coords[np.concatenate([cations, anions])],
        )
        for row in found.occupants
    ]


@functools.cache
def crystals(supercell):
    """The orderings that are crystals of their own."""
    return [group[0] for group in StructureMatcher().group_structures(orderings(supercell))]


def disguised(structure, seed, scale=1.06, shift=0.03):
    """The same crystal in another cell: scaled, moved, reordered, atoms shifted a little."""
    rng = np.random.default_rng(seed)
    other = structure.copy()
    other.make_supercell([[1, 1, 0], [0, 1, 0], [0, -1, 1]], to_unit_cell=True)
    other.scale_lattice(structure.volume * scale**3)
    directions = rng.normal(size=(len(other), 3))
    directions *= rng.random(len(other))[:, None] / np.linalg.norm(directions, axis=1)[:, None]
    shifts_A = directions * shift * (other.volume / len(other)) ** (1 / 3)
    coords = other.frac_coords + other.lattice.get_fractional_coords(shifts_A) + rng.random(3)
    order = rng.permutation(len(other))
    return Structure(other.lattice, [other[i].specie for i in order], coords[order])


@pytest.fixture
def n_fits(monkeypatch):
    """The number of times that the matcher is asked."""
    calls = []
    fit = StructureMatcher.fit

    def counted(self, *structures, **options):
        calls.append(structures)
        return fit(self, *structures, **options)

    monkeypatch.setattr(StructureMatcher, "fit", counted)
    return lambda: len(calls)


def test_one_crystal_of_two_hosts_keeps_both_origins():
    known = crystals((2, 2, 2))
    first = candidates(known, "first")
    second = candidates([disguised(s, seed) for seed, s in enumerate(known)], "second")
    merged = merge_duplicates([first, second[::-1]])
    assert [candidate.id for candidate in merged] == [candidate.id for candidate in first]
    for one, other, candidate in zip(first, second, merged, strict=True):
        assert candidate.origin == one.origin
        assert candidate.other_origins == (other.origin,)
        assert candidate.structure == one.structure


def test_origins_of_three_hosts_add_up():
    known = orderings((2, 1, 1))
    groups = [
        candidates([disguised(s, seed) for s in known], host)
        for seed, host in enumerate(["first", "second", "third"])
    ]
    (first, *_), (second, *_), (third, *_) = groups
    merged = merge_duplicates([merge_duplicates(groups[:1]), groups[1], groups[2]])
    assert merged[0].id == first.id
    assert merged[0].other_origins == (second.origin, third.origin)
    again = merge_duplicates([candidates(known, "zeroth"), merged])
    assert again[0].other_origins == (first.origin, second.origin, third.origin)


def test_what_only_one_host_has_stays():
    known = crystals((2, 2, 2))
    first, second = candidates(known[:4], "first"), candidates(known[2:], "second")
    merged = merge_duplicates([first, second])
    assert len(merged) == len(known) == 6
    repeated = [candidate.other_origins for candidate in merged if candidate.other_origins]
    assert repeated == [(candidate.origin,) for candidate in second[:2]]


def test_the_matcher_is_asked_a_number_of_times_linear_in_the_candidates(n_fits):
    known = orderings((4, 2, 2))
    for n in (10, 20, 40):
        before = n_fits()
        copies = [disguised(structure, n) for structure in known[:n]]
        merged = merge_duplicates([candidates(known[:n], "first"), candidates(copies, "second")])
        assert len(merged) == n
        assert n <= n_fits() - before <= 1.2 * n
        before = n_fits()
        others = candidates(known[n : 2 * n], "others")
        merge_duplicates([candidates(known[:n], "first"), others])
        assert n_fits() - before <= 0.2 * n


def test_orderings_of_one_host_are_never_compared(n_fits):
    twins = candidates([*orderings((2, 1, 1)), *orderings((2, 1, 1))], "first")
    assert merge_duplicates([twins]) == tuple(twins)
    assert n_fits() == 0
    merged = merge_duplicates([candidates(orderings((2, 1, 1))[:1], "zeroth"), twins])
    assert [candidate.id for candidate in merged] == [
        "zeroth-1",
        *[twin.id for twin in twins if twin.id != merged[0].other_origins[0].host + "-1"],
    ]


def test_other_compositions_ions_and_types_are_not_compared(n_fits):
    rock_salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.3), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    caesium_chloride = Structure(Lattice.cubic(3.8), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    bromide = rock_salt.copy()
    bromide.replace_species({"Cl": "Br"})
    groups = [
        candidates([rock_salt], "rock salt"),
        candidates([caesium_chloride], "caesium chloride"),
        candidates([bromide], "bromide"),
        candidates([rock_salt], "another ion's", mobile_ion="Na"),
    ]
    assert merge_duplicates(groups) == tuple(c for group in groups for c in group)
    assert n_fits() == 0


def test_charges_and_the_size_of_the_cell_do_not_matter():
    plain = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.3), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    charged = plain.get_primitive_structure() * (3, 1, 1)
    charged.add_oxidation_state_by_element({"K": 1, "Cl": -1})
    merged = merge_duplicates([candidates([plain], "plain"), candidates([charged], "charged")])
    assert [candidate.id for candidate in merged] == ["plain-1"]


def test_free_coordinates_of_two_prototypes_may_differ_a_little():
    def k2tacl6(a_A, x):
        return Structure.from_spacegroup(
            "Fm-3m",
            Lattice.cubic(a_A),
            ["Ta", "K", "Cl"],
            [[0, 0, 0], [0.25, 0.25, 0.25], [x, 0, 0]],
        )

    groups = [
        candidates([k2tacl6(9.894, 0.239)], "one"),
        candidates([k2tacl6(10.3, 0.248)], "two"),
        candidates([k2tacl6(9.9, 0.36)], "three"),
    ]
    merged = merge_duplicates(groups)
    assert [candidate.id for candidate in merged] == ["one-1", "three-1"]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10**6),
    st.floats(0.8, 1.3),
    st.floats(0, 0.7 * MAX_SHIFT),
    st.floats(-0.5 * MAX_STRAIN, 0.5 * MAX_STRAIN),
)
def test_no_copy_within_tolerance_is_missed(seed, scale, shift, strain):
    # Whatever the copies look like, no rounding puts them on two sides of a boundary. Crystals of
    # a smaller cell are left out: so much noise makes the matcher see a larger one.
    known = [s for s in crystals((2, 2, 2)) if len(s.get_primitive_structure()) == len(s)]
    copy = disguised(known[seed % len(known)], seed, scale, shift)
    stretch = np.array([1 + strain, 1, 1 / (1 + strain)])
    copy = Structure(Lattice(copy.lattice.matrix * stretch), copy.species, copy.frac_coords)
    merged = merge_duplicates([candidates(known, "first"), candidates([copy], "second")])
    assert len(merged) == len(known)
    assert len(merged[seed % len(known)].other_origins) == 1
