import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pymatgen.core.periodic_table import Species

from screening.candidate_settings import (
    CandidateSettings,
    ClusterSubstitution,
    Equimolar,
    Family,
    StructureFile,
    SupercellsUpTo,
    XRange,
    n_cells,
)
from screening.errors import InvalidInput
from screening.families import allowed_cells, family_hosts, units_per_cell, whole_amounts
from screening.occupation import occupied_prototype
from screening.prototypes.library import load_prototype, prototype_names


def family(formula, prototype, **changes):
    return Family(formula=formula, prototype=prototype, **changes)


def hosts_of(formula, prototype, **changes):
    return family_hosts(family(formula, prototype, **changes))


def only_host(formula, prototype, **changes):
    (host,), left_out = hosts_of(formula, prototype, **changes)
    assert not left_out
    return host


def only_reason(formula, prototype, **changes):
    hosts, (entry,) = hosts_of(formula, prototype, **changes)
    assert not hosts
    return f"{entry.formula}: {entry.reason}"


def composition(host, per):
    """Amounts of elements for so many of one element."""
    amounts = {}
    for ion, n in host.amounts().items():
        amounts[ion.symbol] = amounts.get(ion.symbol, Fraction(0)) + n
    symbol, number = per
    return {other: n * number / amounts[symbol] for other, n in amounts.items()}


def fractions_at(host, role):
    """What each occupant holds of the sublattice at the sites of a role; vacancies as None."""
    roles = host.structure.site_properties["role"]
    (found,) = (d for d in host.disorder if {roles[i] for i in d.sites} == {role})
    return {
        ion and ion.symbol: fraction
        for ion, fraction in zip(found.occupants, found.fractions, strict=True)
    }


def test_potassium_zirconium_yttrium_chloride():
    host = only_host(
        "A(2+x)Zr(1-x)M(x)X6",
        "elpasolite",
        elements={"A": ["K"], "M": ["Y"], "X": ["Cl"]},
        x=[0.3],
        supercell=(1, 1, 5),
    )
    assert composition(host, ("Cl", 6)) == {
        "K": Fraction(23, 10),
        "Zr": Fraction(7, 10),
        "Y": Fraction(3, 10),
        "Cl": 6,
    }
    assert fractions_at(host, "framework") == {"Zr": Fraction(7, 10), "Y": Fraction(3, 10)}
    assert fractions_at(host, "mobile") == {"K": Fraction(23, 30), None: Fraction(7, 30)}
    assert whole_amounts(host, 5) == ((14, 6), (46, 14))
    assert whole_amounts(host, 4) is None
    assert host.mobile_ion == "K"
    assert host.source == load_prototype("elpasolite").source


@pytest.mark.parametrize("metal", ["Sm", "La"])
def test_sodium_on_both_sites_of_the_ucl3_type(metal):
    host = only_host(
        "A(3x)M(2-x)X6",
        "ucl3",
        elements={"A": ["Na"], "M": [metal], "X": ["Cl"]},
        x=[0.25],
        supercell=(1, 1, 4),
    )
    assert composition(host, ("Cl", 6)) == {
        "Na": Fraction(3, 4),
        metal: Fraction(7, 4),
        "Cl": 6,
    }
    assert fractions_at(host, "framework") == {metal: Fraction(7, 8), "Na": Fraction(1, 8)}
    assert fractions_at(host, "mobile") == {"Na": Fraction(1, 4), None: Fraction(3, 4)}
    assert whole_amounts(host, 4) == ((7, 1), (2, 6))


def test_lithium_niobium_oxychloride_and_its_bromide():
    hosts, left_out = hosts_of(
        "LiMOX4", "limocl4", elements={"M": ["Nb", "Ta"], "X": ["Cl", {"Cl": 0.75, "Br": 0.25}]}
    )
    assert not left_out
    assert [composition(host, ("Li", 1)) for host in hosts] == [
        {"Li": 1, "Nb": 1, "O": 1, "Cl": 4},
        {"Li": 1, "Nb": 1, "O": 1, "Cl": 3, "Br": 1},
        {"Li": 1, "Ta": 1, "O": 1, "Cl": 4},
        {"Li": 1, "Ta": 1, "O": 1, "Cl": 3, "Br": 1},
    ]
    niobate, bromide, *_ = hosts
    assert not niobate.disorder
    assert niobate.structure == load_prototype("limocl4").own_structure()
    assert fractions_at(bromide, "anion") == {"Cl": Fraction(3, 4), "Br": Fraction(1, 4)}
    assert {bromide.structure[i].specie.symbol for i in bromide.disorder[0].sites} == {"Cl"}
    assert len(bromide.disorder[0].sites) == 16


def test_formula_units_of_a_cell():
    prototype = load_prototype("limocl4")
    assert units_per_cell(prototype, {-2: Fraction(1), -1: Fraction(4)}) == 4
    assert units_per_cell(load_prototype("ucl3"), {-1: Fraction(12)}) == Fraction(1, 2)


def test_sodium_aluminium_chloride_is_ordered():
    host = only_host("AMX4", "naalcl4", elements={"A": ["Na"], "M": ["Al"], "X": ["Cl"]})
    assert not host.disorder
    assert host.structure.composition.formula == "Na4 Al4 Cl16"
    own = load_prototype("naalcl4").own_structure()
    assert host.structure.lattice == own.lattice


def test_barium_and_vacancies_in_potassium_oxide_iodide():
    host = only_host(
        "A(3-2x)Ba(x)OI",
        "antiperovskite",
        elements={"A": ["K"]},
        x=[0.125],
        sites={"Ba": "mobile"},
        supercell=(2, 2, 2),
    )
    assert fractions_at(host, "mobile") == {
        "K": Fraction(11, 12),
        "Ba": Fraction(1, 24),
        None: Fraction(1, 24),
    }
    assert whole_amounts(host, 8) == ((22, 1, 1),)
    assert host.mobile_ion == "K"
    letter = only_host(
        "A(3-2x)M(x)OI",
        "antiperovskite",
        elements={"A": ["K"], "M": ["Ba"]},
        x=[0.125],
        sites={"M": "mobile"},
        supercell=(2, 2, 2),
    )
    assert letter.disorder == host.disorder


def test_high_entropy_chlorides():
    metals = ["Y", "In", "Sc", "Er", "Yb"]
    four, left_out = hosts_of(
        "Li3MCl6",
        "li3ycl6-p3m1",
        elements={"M": [{"equimolar": 4, "of": metals}]},
        supercell=(2, 2, 1),
    )
    assert not left_out
    assert [{site.symbol for site in host.amounts()} - {"Li", "Cl"} for host in four] == [
        set(chosen) for chosen in itertools.combinations(metals, 4)
    ]
    five = only_host(
        "Li3MCl6",
        "li3ycl6-p3m1",
        elements={"M": [dict.fromkeys(metals, 0.2)]},
        supercell=(1, 1, 5),
    )
    assert fractions_at(five, "framework") == dict.fromkeys(metals, Fraction(1, 5))
    assert whole_amounts(five, 5)[0] == (3, 3, 3, 3, 3)


def test_hydroxide_has_its_hydrogen_at_one_of_eight_sites():
    host = only_host("Li2OHCl", "li2ohcl-cubic", supercell=(3, 3, 3))
    assert composition(host, ("O", 1)) == {"Li": 2, "O": 1, "H": 1, "Cl": 1}
    (oxide,) = (d for d in host.disorder if d.satellites)
    assert oxide.occupants == (Species("O", -2),)
    assert oxide.fractions == (1,)
    ((oxygen,), (hydrogens,)) = oxide.sites, oxide.satellites
    assert len(set(hydrogens)) == 8
    assert {host.structure[i].specie.symbol for i in hydrogens} == {"H"}
    lengths_A = [host.structure.get_distance(oxygen, i) for i in hydrogens]
    assert max(lengths_A) < 1.1
    assert min(lengths_A) == pytest.approx(max(lengths_A), abs=1e-3)
    assert fractions_at(host, "mobile") == {"Li": Fraction(2, 3), None: Fraction(1, 3)}
    assert only_host("A2(OH)X", "li2ohcl-cubic", elements={"A": ["Li"], "X": ["Cl"]}) is not None


def test_ions_beyond_the_mobile_sites_go_to_vacant_ones():
    hosts, left_out = hosts_of(
        "Li(2+x)Zr(1-x)In(x)Cl6", "li2zrcl6-p3m1", x={"min": 0, "max": 1}, supercell=(1, 1, 1)
    )
    assert not left_out
    assert not hosts[0].disorder
    assert "vacant" not in hosts[0].structure.site_properties["role"]
    vacant = [fractions_at(host, "vacant")["Li"] for host in hosts[1:]]
    assert vacant == [Fraction(1, 6), Fraction(1, 3), Fraction(1, 2)]
    for host in hosts[1:]:
        assert "mobile" not in {
            host.structure.site_properties["role"][i] for d in host.disorder for i in d.sites
        }


def test_a_mixture_of_mobile_ions_moves_the_one_there_is_most_of():
    def mobile(shares):
        return only_host("ATaCl6", "k2ptcl6", elements={"A": [shares]}).mobile_ion

    assert mobile({"Na": 0.25, "K": 0.75}) == "K"
    assert mobile({"Na": 0.5, "K": 0.5}) == "Na"
    assert mobile({"K": 0.5, "Na": 0.5}) == "K"


def test_vacancies_mixed_anions_and_two_mobile_ions_at_once():
    host = only_host(
        "ATaX6",
        "k2ptcl6",
        elements={"A": [{"K": 0.5, "Na": 0.5}], "X": [{"Cl": 0.5, "Br": 0.5}]},
    )
    quarter, half = Fraction(1, 4), Fraction(1, 2)
    assert fractions_at(host, "mobile") == {"K": quarter, "Na": quarter, None: half}
    assert fractions_at(host, "anion") == {"Cl": half, "Br": half}
    assert not any(site.specie.symbol == "Br" for site in host.structure)


def test_every_composition_is_there_once():
    hosts, left_out = hosts_of(
        "K3M(1-x)M'(x)Cl6",
        "elpasolite",
        elements={"M": ["Y", "In", "Y3+"], "M'": ["Y", "In"]},
        x=[0, 0.25, 0.5, 0.75, 1, 1],
    )
    assert not left_out
    found = {frozenset(host.amounts().items()) for host in hosts}
    assert len(found) == len(hosts) == 5  # Y, Y3In, YIn, YIn3, In


def test_from_min_to_max_in_every_supercell():
    changes = {"elements": {"A": ["K"], "M": ["Y"]}, "x": {"min": 0, "max": 0.5}}
    formula = "A(2+x)Zr(1-x)M(x)Cl6"

    def shares(supercell):
        hosts, left_out = hosts_of(formula, "elpasolite", supercell=supercell, **changes)
        assert not left_out
        return [composition(host, ("Cl", 6)).get("Y", 0) for host in hosts]

    assert shares((1, 1, 1)) == [0, Fraction(1, 4), Fraction(1, 2)]
    assert shares({"max_cells": 3}) == [0, Fraction(1, 3), Fraction(1, 2)]
    assert shares(((1, 0, 0), (0, 1, 0), (0, 0, 2))) == [Fraction(k, 8) for k in range(5)]


names = st.sampled_from([name for name in prototype_names() if "ohcl" not in name])


@given(
    name=names,
    metals=st.lists(st.sampled_from(["Ta", "Zr", "Y", "Mg", "Sc", "Al"]), min_size=1, max_size=2),
    formula=st.sampled_from(
        ["A(2+x)M(1-x)M'(x)X6", "A(3x)M(2-x)X6", "AMX4", "A2MX4", "A3MX6", "AMX6", "A6MX8", "A3OX"]
    ),
    x=st.sampled_from([Fraction(k, 8) for k in range(9)]),
    size=st.integers(1, 4),
)
@settings(deadline=None)
def test_every_host_is_the_neutral_composition_that_was_asked_for(name, metals, formula, x, size):
    elements = {
        "A": [{"Na": 0.5, "K": 0.5}],
        "M": [metals[0]],
        "M'": [metals[-1]],
        "X": ["Cl", {"Cl": 0.5, "Br": 0.5}],
    }
    changes = {"elements": {letter: elements[letter] for letter in elements if letter in formula}}
    if "M'" not in formula:
        changes["elements"].pop("M'", None)
    if "M" not in formula.replace("M'", ""):
        changes["elements"].pop("M", None)
    if "x" in formula:
        changes["x"] = [float(x)]
    hosts, left_out = hosts_of(formula, name, supercell=(1, 1, size), **changes)
    assert hosts or left_out
    assert len(hosts) + len(left_out) == 2
    for host in hosts:
        amounts = host.amounts()
        assert sum(n * Fraction(ion.oxi_state) for ion, n in amounts.items()) == 0
        assert amounts[Species("Na", 1)] == amounts[Species("K", 1)]
        assert all((n * size).denominator == 1 for n in amounts.values())
        assert whole_amounts(host, size) is not None
        sites = [i for d in host.disorder for i in d.sites]
        assert len(set(sites)) == len(sites)
        for d in host.disorder:
            assert sum(d.fractions) == 1
            assert min(d.fractions) > 0
            assert {host.structure[i].specie for i in d.sites} == {d.occupants[0]}


@pytest.mark.parametrize(
    ("formula", "prototype", "changes", "reason"),
    [
        ("KYCl6", "k2ptcl6", {}, r"^KYCl6: k2ptcl6: neutral only with Y 5\+; allowed: Y 3\+$"),
        (
            "K(2+x)Zr(1-x)Y(x)Cl6",
            "elpasolite",
            {"x": [0.3]},
            r"^K2.3Zr0.7Y0.3Cl6: elpasolite: x = 0.3 puts 9.2 K into 4 formula units; the nearest "
            r"x that work: 0.25 and 0.5; x = 0.3 needs a multiple of 10 formula units, such as "
            r"supercell \[1, 1, 5\]$",
        ),
        ("Na0.75Sm1.75Cl6", "ucl3", {}, r"0.75 Na in 1 formula unit; it needs a multiple of 4"),
        (
            "Na(3x)Sm(2-x)Cl6",
            "ucl3",
            {"x": [0.25]},
            r"the nearest x that works: 1;",  # at x = 0 nothing could move
        ),
        (
            "K(2+x)Zr(1-x)Y(x)Cl6",
            "elpasolite",
            {"x": {"min": 0.01, "max": 0.2}},
            r"^K\(2\+x\)Zr\(1-x\)Y\(x\)Cl6: elpasolite: no x from 0.01 to 0.2 gives whole numbers; "
            r"x = 0.01 puts 8.04 K into 4 formula units; the nearest x that work: 0 and 0.25;",
        ),
        ("K3OI", "k2ptcl6", {}, r"the formula has 1 anion 1- and 1 anion 2-, the cell of the pro"),
        ("KTaCl5", "antiperovskite", {"oxidation_states": {"Ta": [4]}}, r"5 anions 1-, the cell"),
        ("K3OCl6", "k2ptcl6", {}, r"no choice of charges is neutral, the nearest leaves 5- a"),
        ("NaAlCl4", "k2ptcl6", {}, r"6 cations \(Al6\) for 4 framework sites a cell, too many"),
        ("K7TaCl12", "k2ptcl6", {}, r"2 cations \(Ta2\) for 4 .* leave 2 of these empty; needed"),
        (
            "Rb2PtCl6",
            "k2ptcl6",
            {"sites": {"Rb": "mobile"}},
            r"no Li, Na or K that could move; needed: at least one of them",
        ),
        ("Li6ScCl9", "li3sccl6", {}, r"leave 0.6667 of these empty"),
        (
            "Li6MgCl8",
            "suzuki",
            {"sites": {"Mg": "mobile"}},
            r"0 cations for 4 framework sites a cell leave 4 of these empty",
        ),
        ("Li2OHCl", "antiperovskite", {}, r"the formula has hydrogen, the prototype no sites for"),
        ("Li3OCl", "li2ohcl-cubic", {}, r"0 H for 1 O a cell; needed by the prototype: one at ea"),
        (
            "ArK(x)Cl",
            "k2ptcl6",
            {"x": [0.5]},
            r"^ArK\(x\)Cl: k2ptcl6: no oxidation state of Ar is known; set oxidation_states",
        ),
        (
            "KTaO(x)Cl(6-x)",
            "k2ptcl6",
            {"x": {"min": 0, "max": 1}},
            r"the number of anions changes with x, .*give a list, or a step",
        ),
    ],
)
def test_reasons(formula, prototype, changes, reason):
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(only_reason(formula, prototype, **changes))


def test_too_many_mobile_ions():
    ions = {Species("Li", 1): Fraction(20), Species("Zr", 4): Fraction(4)}
    with pytest.raises(InvalidInput, match=r"20 cations \(Li20\) for 8 mobile .*, 4 vacant ones"):
        occupied_prototype(load_prototype("k2ptcl6"), ions | {Species("Cl", -1): Fraction(24)})


@pytest.mark.parametrize(
    ("name", "cells"),
    [("elpasolite", 4), ("antiperovskite", 1), ("li3sccl6", 2), ("ucl3", 1), ("naalcl4", 1)],
)
def test_primitive_cells_of_a_unit_cell(name, cells):
    sizes = allowed_cells(SupercellsUpTo(max_cells=4), load_prototype(name))
    assert sizes == [Fraction(n, cells) for n in range(1, 5)]


def test_sizes_of_supercells():
    prototype = load_prototype("ucl3")
    assert allowed_cells((2, 3, 4), prototype) == [24]
    assert allowed_cells(((2, 1, 0), (0, 2, 0), (0, 0, 1)), prototype) == [4]
    assert n_cells(((1, 1, 0), (-1, 1, 0), (0, 0, 3))) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formula": "K(2+xCl"}, r'formula "K\(2\+xCl", character 2: "\(" is never closed'),
        ({"formula": "QTaCl6"}, r'"Q" is no element symbol'),
        ({"elements": {"A": ["K"]}}, r"elements explains A, which KTaCl6 does not hold"),
        ({"formula": "AxTaCl6", "elements": {"A": ["K"]}}, r"x has no values, but AxTaCl6 depends"),
        ({"x": [0.5]}, r"x has values, but KTaCl6 does not depend on it"),
        ({"formula": "K(2-x)TaCl6", "x": [3]}, r"x = 3 makes the amount of K -1; .* 0 to 2"),
        (
            {"formula": "K(2-x)TaCl6", "x": {"min": 0, "max": 2.5}},
            r"x = 2.5 makes the amount of K -0.5",
        ),
        ({"formula": "KxCl", "x": {"min": 1, "max": 0}}, r"max=0 is smaller than min=1; swap them"),
        (
            {"formula": "KxCl", "x": {"min": 0, "max": 1, "step": 1e-6}},
            r"step=1e-06 gives more than 1000 values of x from 0 to 1; choose a larger one",
        ),
        ({"formula": "K0Cl"}, r"the amount of K is 0; needed: more than 0"),
        ({"prototype": "elpasolit"}, r'no prototype "elpasolit"; did you mean elpasolite\?'),
        ({"oxidation_states": {"Nb": [5]}}, r"oxidation_states names Nb, which neither KTaCl6 nor"),
        ({"oxidation_states": {"Xx": [5]}}, r'"Xx" is no element symbol'),
        ({"sites": {"Ba": "mobile"}}, r"sites names Ba, which neither KTaCl6 nor a choice"),
        ({"sites": {"Ta": "anion"}}, r"Input should be 'mobile', 'framework' or 'vacant'"),
        ({"elements": {"m": ["K"]}}, r'"m" is no name for a choice'),
        (
            {"formula": "ATaCl6", "elements": {"A": [{"K": 0.5, "Na": 0.4}]}},
            r"shares of {K: 0.5, Na: 0.4} add up to 0.9; needed: exactly 1",
        ),
        ({"formula": "ATaCl6", "elements": {"A": ["Kq"]}}, r'"Kq" is no element symbol'),
        (
            {"formula": "KMCl6", "elements": {"M": [{"equimolar": 3, "of": ["Y", "In"]}]}},
            r"equimolar is 3, but there are only 2 elements to choose from",
        ),
        (
            {"formula": "KMCl6", "elements": {"M": [{"equimolar": 2, "of": ["Y", "Y"]}]}},
            r"of names an element twice: Y, Y",
        ),
        (
            {"supercell": [[1, 0, 0], [2, 0, 0], [0, 0, 1]]},
            r"the matrix .* has the determinant 0; needed: the number of cells, at least 1",
        ),
        ({"supercell": {"max_cells": 17}}, r"less than or equal to 16"),
        (
            {"replace": {"group": {"K": 1}, "by": "Na", "at": "Ta"}},
            r"at is Ta, which the group K lacks",
        ),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    values = {"formula": "KTaCl6", "prototype": "k2ptcl6"} | changes
    with pytest.raises(ValidationError, match=message):
        Family.model_validate(values)


def test_settings_as_a_campaign_file_has_them():
    read = CandidateSettings.model_validate_json(
        """{"families": [{
            "formula": "A2MX6", "prototype": "k2ptcl6",
            "elements": {"A": ["K", {"K": 0.5, "Na": 0.5}],
                         "M": ["Ta4+", {"equimolar": 2, "of": ["Zr", "Hf", "Sn"]}], "X": ["Cl"]},
            "supercell": {"max_cells": 2}, "when_more": "sample", "seed": 7,
            "replace": {"group": {"K": 2}, "by": "Ba", "at": "K"}}],
          "files": [{"path": "a.cif", "mobile_ion": "K", "supercell": [[1,0,0],[0,1,0],[0,0,2]]}],
          "substitutions": [{"path": "b.cif", "mobile_ion": "K", "ions": {"Na": ["K", "Li"]}}]}""",
        strict=True,
    )
    (one,) = read.families
    assert one.elements["A"] == ("K", {"K": 0.5, "Na": 0.5})
    assert one.elements["M"][1] == Equimolar(equimolar=2, of=("Zr", "Hf", "Sn"))
    assert one.supercell == SupercellsUpTo(max_cells=2)
    assert one.replace == ClusterSubstitution(group={"K": 2}, by="Ba", at="K")
    assert read.files[0].supercell == ((1, 0, 0), (0, 1, 0), (0, 0, 2))
    assert read.substitutions[0].ions == {"Na": ("K", "Li")}
    assert CandidateSettings.model_validate_json(read.model_dump_json(), strict=True) == read
    grid = family("KxTaCl6", "k2ptcl6", x={"min": 0, "max": 1, "step": 0.5}).x
    assert grid == XRange(min=0, max=1, step=0.5)


def test_nothing_to_screen():
    with pytest.raises(ValidationError, match="families, files and substitutions are all empty"):
        CandidateSettings()
    assert CandidateSettings(files=(StructureFile(path="a.cif", mobile_ion="K"),)).families == ()


@pytest.mark.parametrize("name", prototype_names())
def test_the_own_compound_of_a_prototype_goes_where_its_source_has_it(name):
    prototype = load_prototype(name)
    contents = prototype.own_contents()
    ions = {}
    for site, here in zip(prototype.sites, contents, strict=True):
        for ion, share in here.items():
            ions[ion] = ions.get(ion, Fraction(0)) + share * site.multiplicity
    host = occupied_prototype(prototype, ions, {"Rb": "mobile"})
    assert host.amounts() == ions
    own = prototype.structure(contents)
    assert host.structure.lattice.lengths == pytest.approx(own.lattice.lengths, rel=0.01, abs=0)
    assert host.structure.site_properties["orbit"] == own.site_properties["orbit"]
