import functools
from fractions import Fraction

import pytest
from pydantic import ValidationError
from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure
from pymatgen.core.structure_prediction.substitution_probability import SubstitutionPredictor

from screening.candidate_settings import Substitution
from screening.errors import InvalidInput
from screening.prototypes.library import ionic_radius, load_prototype
from screening.substitution import predicted_exchanges, substituted_hosts


def half_filled(alkali="K", occupancy=0.5):
    return read_file(alkali, occupancy).copy()


@functools.cache
def read_file(alkali, occupancy):
    """ATaCl6 of the K2PtCl6 type, as a CIF gives it."""
    return Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta", {alkali: occupancy}, "Cl"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    )


def sodium_tantalum_chloride():
    """An ordered structure: half of the sites are gone."""
    structure = half_filled("Na", 1)
    structure.remove_sites(range(4, 8))
    return structure


def substitute(structure, mobile_ion="K", **changes):
    settings = Substitution(path="a.cif", mobile_ion=mobile_ion, **changes)
    return substituted_hosts(settings, structure)


def formulas(hosts):
    found = {}
    for host in hosts:
        amounts = {ion.symbol: float(n) for ion, n in host.amounts().items()}
        found[Composition(amounts).reduced_formula] = host
    return found


def reasons(left_out):
    return {entry.formula: entry.reason for entry in left_out}


def test_ions_that_the_user_names_in_every_combination():
    hosts, left_out = substitute(
        sodium_tantalum_chloride(), ions={"Na": ["K", "Li"], "Ta": ["Nb", "Sb"]}
    )
    assert not left_out
    found = formulas(hosts)
    assert set(found) == {"KNbCl6", "LiNbCl6", "KSbCl6", "LiSbCl6"}
    assert {formula: host.mobile_ion for formula, host in found.items()} == {
        "KNbCl6": "K",
        "KSbCl6": "K",
        "LiNbCl6": "Li",
        "LiSbCl6": "Li",
    }
    for host in hosts:
        assert not host.disorder
        assert host.name == host.source == "a.cif"
        assert host.structure.charge == 0
        assert sum(site.specie.oxi_state for site in host.structure) == 0


def test_notes_say_what_took_whose_place_and_how_likely_that_is():
    hosts, _ = substitute(sodium_tantalum_chloride(), ions={"Na": ["K"]})
    predictor = SubstitutionPredictor(threshold=1e-6).p
    own = [Species.from_str(ion) for ion in ("Na+", "Ta5+", "Cl-")]
    new = [Species.from_str(ion) for ion in ("K+", "Ta5+", "Cl-")]
    ratio = ionic_radius(new[0]) / ionic_radius(own[0])
    assert hosts[0].notes == (
        f"K+ in place of Na+: radius ratio {ratio:.3f}",
        f"probability of the substitution {predictor.cond_prob_list(own, new):.2g}",
    )


def test_disorder_stays():
    hosts, _ = substitute(half_filled(), ions={"K": ["Na"], "Ta": ["Nb"]})
    (sublattice,) = hosts[0].disorder
    assert sublattice.occupants == (Species("Na", 1), None)
    assert sublattice.fractions == (Fraction(1, 2), Fraction(1, 2))
    assert len(sublattice.sites) == 8
    assert hosts[0].amounts()[Species("Nb", 5)] == 4


def test_two_ions_that_become_one_share_their_sites():
    structure = half_filled()
    structure.replace_species({"K": {"K": 0.5, "Na": 0.5}})
    hosts, _ = substitute(structure, ions={"Na": ["K"]})
    (sublattice,) = hosts[0].disorder
    assert dict(zip(sublattice.occupants, sublattice.fractions, strict=True)) == {
        Species("K", 1): Fraction(1, 2),
        None: Fraction(1, 2),
    }


def test_two_ions_change_places():
    structure = sodium_tantalum_chloride()
    structure.replace(4, "K")
    hosts, _ = substitute(structure, ions={"Na": ["K"], "K": ["Na"]})
    assert hosts[0].structure[4].specie == Species("Na", 1)
    assert hosts[0].amounts() == {
        Species("K", 1): 3,
        Species("Na", 1): 1,
        Species("Ta", 5): 4,
        Species("Cl", -1): 24,
    }


@pytest.mark.parametrize(
    "ions", [{"K": ["Na"]}, {"Cl": ["Br"]}, {"Ta": ["V"]}, {"K": ["Na"], "Cl": ["I"]}]
)
def test_the_volume_follows_the_rule_of_prototypes(ions):
    structure = half_filled()
    hosts, _ = substitute(structure, ions=ions)
    prototype = load_prototype("k2ptcl6")
    new = {ion.symbol: ion for ion in hosts[0].amounts()}
    contents = [
        {new[ions.get(old.symbol, [old.symbol])[0]]: share for old, share in here.items()}
        for here in prototype.own_contents()
    ]
    expected = prototype.structure(contents).volume / prototype.own_structure().volume
    assert hosts[0].structure.volume / structure.volume == pytest.approx(expected, rel=1e-9, abs=0)


def test_the_same_ions_give_the_same_structure():
    (host,), left_out = substitute(half_filled(), ions={"K": ["K"], "Ta": ["Ta5+"]})
    assert not left_out
    assert host.structure.lattice == half_filled().lattice
    assert host.notes == ()


def test_reasons_for_what_is_left_out():
    hosts, left_out = substitute(
        half_filled(),
        ions={"K": ["K", "Li", "Rb"], "Ta": ["Ta", "Zr", "Nb4+"]},
        max_radius_mismatch=0.4,
    )
    assert set(formulas(hosts)) == {"KTaCl6"}
    found = reasons(left_out)
    assert found["KZrCl6"] == "a.cif: neutral only with Zr 5+; allowed: Zr 2+ or 3+ or 4+"
    assert found["KNbCl6"] == "a.cif: neutral only with Nb 5+; allowed: Nb 4+"
    assert "Li+ in place of K+: radii of 0.90 and 1.52 Å, |ln ratio| 0.52" in found["LiTaCl6"]
    assert found["LiTaCl6"].endswith("allowed: max_radius_mismatch=0.4")
    assert "no Li, Na or K that could move" in found["RbTaCl6"]
    _, left_out = substitute(half_filled(), ions={"Cl": ["Ta"], "Ta": ["Cl"]})
    assert "neutral" in reasons(left_out)["KTa6Cl"]


def test_oxidation_states_may_be_given():
    structure = half_filled(occupancy=1)
    hosts, _ = substitute(
        structure,
        ions={"Ta": ["Nb"]},
        oxidation_states={"Ta": [4], "Nb": [4]},
    )
    assert hosts[0].amounts() == {
        Species("Nb", 4): 4,
        Species("K", 1): 8,
        Species("Cl", -1): 24,
    }


@pytest.mark.parametrize("ions", [("Na+", "Ta5+", "Cl-"), ("Li+", "Y3+", "Br-")])
def test_predictions_are_those_of_pymatgen(ions):
    threshold = 5e-3
    species = [Species.from_str(ion) for ion in ions]
    expected = SubstitutionPredictor(threshold=threshold).list_prediction(
        species, to_this_composition=False
    )
    found = predicted_exchanges(species, threshold)
    assert {frozenset(exchange.items()): chance for exchange, chance in found} == pytest.approx(
        {frozenset(entry["substitutions"].items()): entry["probability"] for entry in expected},
        rel=1e-9,
        abs=0,
    )
    chances = [chance for _, chance in found]
    assert chances == sorted(chances, reverse=True)


def test_statistics_propose_what_chemistry_knows():
    """Nb for Ta, Br for Cl, Na for K; each neutral, with something that moves."""
    hosts, left_out = substitute(half_filled())
    found = formulas(hosts)
    assert {"KNbCl6", "KTaBr6", "NaTaCl6"} <= set(found)
    assert "KTaCl6" not in found
    for host in hosts:
        assert host.mobile_ion in ("Li", "Na", "K")
        assert sum(n * Fraction(ion.oxi_state) for ion, n in host.amounts().items()) == 0
        assert host.notes[-1].startswith("probability of the substitution 0.00")
    assert all("radii" in reason for reason in reasons(left_out).values())
    fewer, _ = substitute(half_filled(), min_probability=0.005)
    assert set(formulas(fewer)) < set(found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ions": {"Zr": ["Hf"]}},
            r"a.cif holds no Zr that could be replaced; it holds Ta5\+, Cl-, K\+",
        ),
        ({"ions": {"Ta4+": ["Hf"]}}, r"a.cif holds no Ta4\+ that could be replaced"),
    ],
)
def test_ions_that_are_not_there(changes, message):
    with pytest.raises(InvalidInput, match=message):
        substitute(half_filled(), **changes)


def test_structures_that_cannot_be_used():
    with pytest.raises(InvalidInput, match=r"a.cif: no K, the mobile ion, on any site"):
        substitute(half_filled("Rb"), ions={"Ta": ["Nb"]})
    with pytest.raises(InvalidInput, match=r"a.cif: the charge of .*K.* is unknown; set oxidation"):
        substitute(half_filled(occupancy=0.25), ions={"Ta": ["Nb"]})
    argon = half_filled()
    argon.replace_species({"Ta": "Xe"})
    with pytest.raises(InvalidInput, match=r"statistics know no Xe5\+; say under ions"):
        substitute(argon, oxidation_states={"Xe": [5]})


def test_settings_name_each_element_once():
    with pytest.raises(ValidationError, match="ions names an element twice: Ta, Ta5"):
        Substitution(path="a", mobile_ion="K", ions={"Ta": ["Nb"], "Ta5+": ["Sb"]})
    with pytest.raises(ValidationError, match='"Qz" is no element symbol'):
        Substitution(path="a", mobile_ion="K", ions={"Ta": ["Qz"]})
