from fractions import Fraction

import pytest
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure

from screening.errors import InvalidInput
from screening.hosts import file_host

K, TA, CL = Species("K", 1), Species("Ta", 5), Species("Cl", -1)


def antifluorite(potassium):
    return Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta", potassium, "Cl"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    )


def pair(first, second):
    return Structure(Lattice.cubic(4), [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_partial_occupancy_is_one_sublattice_with_guessed_charges():
    host = file_host("k.cif", antifluorite({"K": 0.5}), "K")
    (disorder,) = host.disorder
    assert len(disorder.sites) == 8
    assert disorder.occupants == (K, None)
    assert disorder.fractions == (Fraction(1, 2), Fraction(1, 2))
    assert host.amounts() == {TA: 4, K: 4, CL: 24}
    assert host.notes == ()


@pytest.mark.parametrize("n_eighths", range(1, 8))
def test_amounts_are_those_of_the_structure(n_eighths):
    structure = antifluorite({"K": n_eighths / 8})
    amounts = file_host("k.cif", structure, "K").amounts()
    assert {s.symbol: float(n) for s, n in amounts.items()} == pytest.approx(
        structure.composition.get_el_amt_dict()
    )


def test_a_structure_that_no_charges_balance_is_kept_with_a_note():
    host = file_host("k.cif", antifluorite({"K": 0.25}), "K")
    assert {site.specie.oxi_state for site in host.structure} == {0}
    assert "no usual oxidation states make KTa2Cl12 neutral" in host.notes[0] or (
        "neutral" in host.notes[0]
    )


def test_charges_of_the_user_that_do_not_balance():
    states = {"Ta": (5,), "K": (1,), "Cl": (-1,)}
    with pytest.raises(InvalidInput, match=r"k\.cif: no choice of oxidation states makes .* neutr"):
        file_host("k.cif", antifluorite({"K": 0.25}), "K", states)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (pair("Na", "Cl"), r"a\.cif: no K, the mobile ion, on any site; the file holds Cl, Na"),
        (
            pair("K+", "O2-"),
            r"charges of the file sum to -1 a cell; needed: 0$",
        ),
        (pair("K2+", "Cl-"), r"charges of the file sum to \+1 a cell"),
        (
            pair({"K+": 0.25}, {"Cl-": 0.5}),
            r"sum to -0\.25 a cell; .* 0\.5 instead of 0\.25 K on its 1 sites .* occupancy of 1/2",
        ),
    ],
)
def test_files_that_cannot_be_a_host(structure, message):
    with pytest.raises(InvalidInput, match=message):
        file_host("a.cif", structure, "K")


@pytest.mark.parametrize(
    ("site", "fractions"),
    [
        ({"Na": 0.333, "K": 0.333, "Li": 0.334}, {Fraction(1, 3)}),
        (
            {"Na": 0.335, "K": 0.165, "Li": 0.5},
            {Fraction(67, 200), Fraction(33, 200), Fraction(1, 2)},
        ),
        ({"Na": 0.3333, "K": 0.6667}, {Fraction(1, 3), Fraction(2, 3)}),
    ],
)
def test_rounded_occupancies_fill_the_site(site, fractions):
    (disorder,) = file_host("a.cif", pair(site, "Cl"), "K").disorder
    assert set(disorder.fractions) == fractions
    assert sum(disorder.fractions) == 1


def test_sites_of_equal_contents_are_one_sublattice_and_others_are_not():
    half, quarter = {"K": 0.5}, {"K": 0.25, "Na": 0.25}
    structure = Structure(
        Lattice.cubic(9),
        [half, half, quarter, "Cl"],
        [[0, 0, 0], [0.3, 0, 0], [0, 0.3, 0], [0.5, 0.5, 0.5]],
    )
    host = file_host("a.cif", structure, "K")
    assert sorted(len(d.sites) for d in host.disorder) == [1, 2]
    assert all(sum(d.fractions) == 1 for d in host.disorder)
