"""Interfaces against pymatgen, against linear programs, and against what must hold for any."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_systems import INVENTED, equilibrium_metal_content, lowest_energy, snapshot
from numpy.testing import assert_allclose
from pymatgen.analysis.interface_reactions import (
    GrandPotentialInterfacialReactivity,
    InterfacialReactivity,
)
from pymatgen.analysis.phase_diagram import GrandPotentialPhaseDiagram, PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element

from screening.errors import (
    EnergyNotFinite,
    InvalidInput,
    MissingCorrection,
    MissingReference,
    MixedConventions,
    UnusableStructure,
)
from screening.prototypes.electrodes import load_electrode
from screening.stability.corrections import halide_correction_eV_per_atom
from screening.stability.interfaces import NO_REACTION, interface, interfaces
from screening.stability.reactants import Reactant, snapshot_reactant
from screening.stability.references import ReferencePhases

FORMULAS = {
    "K", "Na", "Li", "Ta", "La", "P", "S", "Cl2", "KCl", "NaCl", "LiCl", "TaCl5", "TaCl4",
    "K2TaCl6", "Na2TaCl6", "Li2TaCl6", "KTaCl6", "NaTaCl6", "LiTaCl6", "K2Ta3Cl9", "Na2Ta3Cl9",
    "Li2Ta3Cl9", "LaCl3", "LaCl2", "Na2S", "Na3P", "NaS", "Na2S2", "NaP", "P2S5", "Na3PS4",
    "NaPS3", "Na2PS3",
}  # fmt: skip
COMPLETE = ReferencePhases.load("chgnet-0.3.0")
# a few phases of the shipped snapshot, so that more phases in it are no other systems
SHIPPED = COMPLETE.model_copy(
    update={"phases": tuple(p for p in COMPLETE.phases if p.formula in FORMULAS)}
)
SYMBOLS = ("K", "Ta", "Cl", "Na", "S", "O", "Fe")


def shipped(formula, energy_shift_eV_per_atom=0.0, mobile_ion="K"):
    """The lowest polymorph, moved up by some energy."""
    reduced = Composition(formula).reduced_formula
    lowest = min(
        (p for p in SHIPPED.phases if p.formula == reduced), key=lambda p: p.energy_eV_per_atom
    )
    reactant = snapshot_reactant(lowest.name, SHIPPED, mobile_ion)
    return replace(moved(reactant, energy_shift_eV_per_atom), name=formula)


def moved(reactant, shift_eV_per_atom):
    return replace(reactant, energy_eV_per_atom=reactant.energy_eV_per_atom + shift_eV_per_atom)


def energy_at(found, x):
    return np.interp(
        x,
        [kink.mixing_fraction for kink in found.kinks],
        [kink.energy_eV_per_atom for kink in found.kinks],
    )


def entries(references, *reactants):
    """Of one chemical system, without polymorphs of the reactants."""
    symbols = {e.symbol for r in reactants for e in r.composition}
    formulas = {r.composition.reduced_formula for r in reactants}
    listed = [(r.composition, r.energy_eV_per_atom) for r in reactants]
    listed += [
        (p.composition, p.energy_eV_per_atom)
        for p in references.phases
        if {e.symbol for e in p.composition} <= symbols and p.formula not in formulas
    ]
    return [PDEntry(c.reduced_composition, e * c.reduced_composition.num_atoms) for c, e in listed]


def without(reactant):
    """The snapshot without polymorphs of a reactant, which pymatgen would take in its place."""
    formula = reactant.composition.reduced_formula
    kept = tuple(p for p in SHIPPED.phases if p.formula != formula)
    return SHIPPED.model_copy(update={"phases": kept})


# --- against pymatgen ---------------------------------------------------------------------------

PAIRS = [
    ("KTaCl6", "K", "K"),
    ("KTaCl6", "Na", "K"),
    ("KTaCl6", "Na3PS4", "K"),
    ("K2TaCl6", "Na2S", "K"),
    ("NaTaCl6", "Na3P", "Na"),
    ("NaTaCl6", "LaCl3", "Na"),
    ("Na3PS4", "Na", "Na"),
    ("Na3PS4", "NaTaCl6", "Na"),
    ("Na2P2S6", "La", "Na"),
    ("LiTaCl6", "Na3PS4", "Li"),
]


@pytest.mark.parametrize(("candidate", "partner", "ion"), PAIRS)
@pytest.mark.parametrize("shift_eV_per_atom", [0.0, 0.1])
def test_closed_interfaces_agree_with_pymatgen(candidate, partner, ion, shift_eV_per_atom):
    candidate, partner = (
        shipped(candidate, shift_eV_per_atom, ion),
        shipped(partner, mobile_ion=ion),
    )
    ours = interface(candidate, partner, without(candidate), ion)
    theirs = InterfacialReactivity(
        candidate.composition,
        partner.composition,
        PhaseDiagram(entries(SHIPPED, candidate, partner)),
    ).get_kinks()
    assert_agree(ours, [(x, energy_eV) for _, x, energy_eV, *_ in theirs])


# pymatgen has no reservoir as a partner
@pytest.mark.parametrize(("candidate", "partner", "ion"), [p for p in PAIRS if p[1] != p[2]])
@pytest.mark.parametrize("potential_V", [0.0, 1.37, 2.5, 4.1])
def test_open_interfaces_agree_with_pymatgen(candidate, partner, ion, potential_V):
    candidate, partner = shipped(candidate, mobile_ion=ion), shipped(partner, mobile_ion=ion)
    ours = interface(candidate, partner, SHIPPED, ion, potential_V)
    diagram = PhaseDiagram(entries(SHIPPED, candidate, partner, shipped(ion)))
    metal = Element(ion)
    mu_eV = diagram.el_refs[metal].energy_per_atom - potential_V
    grand = GrandPotentialPhaseDiagram(diagram.all_entries, {metal: mu_eV})
    compositions = candidate.composition, partner.composition
    # their fractions count the metal's atoms, ours do not
    counted = [1 - c.get_atomic_fraction(metal) for c in compositions]
    for with_own, energy in ((True, "energy_eV_per_atom"), (False, "mutual_energy_eV_per_atom")):
        theirs = GrandPotentialInterfacialReactivity(
            *compositions, grand, diagram, include_no_mixing_energy=with_own, use_hull_energy=False
        ).get_kinks()
        points = [
            (x * counted[0] / (x * counted[0] + (1 - x) * counted[1]), energy_eV)
            for _, x, energy_eV, *_ in theirs
        ]
        assert_agree(ours, points, energy)


def assert_agree(ours, theirs, energy="energy_eV_per_atom"):
    """Two piecewise linear curves are the same if each goes through the other's kinks."""
    x = [kink.mixing_fraction for kink in ours.kinks]
    y = [getattr(kink, energy) for kink in ours.kinks]
    theirs = sorted(theirs)
    assert_allclose(np.interp([p[0] for p in theirs], x, y), [p[1] for p in theirs], atol=1e-9)
    assert_allclose(np.interp(x, *zip(*theirs, strict=True)), y, atol=1e-9)


# --- laws, for any chemical system ----------------------------------------------------------------


@st.composite
def systems(draw, max_elements=6):
    """Reference phases of a chemical system, and two reactants in it, stable or not."""
    symbols = SYMBOLS[: draw(st.integers(3, max_elements))]
    amounts = st.lists(st.integers(0, 3), min_size=len(symbols), max_size=len(symbols))
    compounds = draw(
        st.lists(amounts.filter(lambda n: sum(map(bool, n)) > 1), min_size=2, max_size=15)
    )
    formulas = list(
        dict.fromkeys(
            "".join(f"{s}{n}" for s, n in zip(symbols, amount, strict=True) if n)
            for amount in compounds
        )
    )
    energies = {f: -draw(st.integers(0, 3000)) / 1000 for f in formulas}
    reactants = []
    for _ in range(2):
        composition = Composition(draw(st.sampled_from([*formulas, "KCl", "Ta2Cl3K"])))
        energy_eV_per_atom = -draw(st.integers(0, 1500)) / 1000
        name = composition.reduced_formula
        reactants.append(Reactant(name, composition, energy_eV_per_atom, INVENTED))
    return snapshot({**dict.fromkeys(symbols, 0.0), **energies}), *reactants


def with_reactants(references, *reactants):
    """The snapshot, in which the reactants are phases themselves."""
    added = {
        f"{r.composition.formula.replace(' ', '')}{prime}": r.energy_eV_per_atom
        * r.composition.num_atoms
        for r, prime in zip(reactants, ("'", "''"), strict=True)
    }
    phases = snapshot(added).phases
    return references.model_copy(
        update={"phases": references.phases + tuple(p for p in phases if len(p.composition) > 1)}
    )


@given(system=systems(), x=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_any_mixture_has_the_energy_of_its_own_linear_program(system, x):
    references, candidate, partner = system
    found = interface(candidate, partner, references, "K")
    c, p = (r.composition.fractional_composition for r in (candidate, partner))
    mixture = Composition({e: x * c[e] + (1 - x) * p[e] for e in {*c, *p}})
    lowest_eV = lowest_energy(with_reactants(references, candidate, partner), mixture)
    unmixed_eV = x * candidate.energy_eV_per_atom + (1 - x) * partner.energy_eV_per_atom
    assert energy_at(found, x) == pytest.approx(lowest_eV - unmixed_eV, abs=1e-7)


@given(system=systems(), x=st.floats(0.01, 0.99), potential_V=st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_any_open_mixture_has_the_grand_potential_of_its_own_linear_program(system, x, potential_V):
    """The metal content in equilibrium at the potential, and the energy of that composition."""
    references, candidate, partner = system
    potential_V /= 10
    found = interface(candidate, partner, references, "K", potential_V)
    mixture, unmixed_eV = Composition({"K": 1.0}), 0.0
    for share, reactant in ((x, candidate), (1 - x, partner)):
        unit = reactant.composition
        host = Composition({e: n for e, n in unit.items() if e.symbol != "K"})
        mixture += share / host.num_atoms * host
        energy_eV = reactant.energy_eV_per_atom * unit.num_atoms + potential_V * unit["K"]
        unmixed_eV += share / host.num_atoms * energy_eV  # K has no energy of its own
    everything = with_reactants(references, candidate, partner)
    n = equilibrium_metal_content(everything, mixture, "K", potential_V)
    equilibrium = Composition({**mixture.as_dict(), "K": n})
    omega_eV = lowest_energy(everything, equilibrium) + potential_V * n
    assert energy_at(found, x) == pytest.approx(omega_eV - unmixed_eV, abs=1e-6)


@given(system=systems(), potential_V=st.none() | st.integers(0, 50).map(lambda n: n / 10))
@settings(max_examples=100, deadline=None)
def test_what_holds_for_any_interface(system, potential_V):
    references, candidate, partner = system
    found = interface(candidate, partner, references, "K", potential_V)
    kinks = found.kinks
    x = np.array([kink.mixing_fraction for kink in kinks])
    energies, mutual = np.array(
        [(kink.energy_eV_per_atom, kink.mutual_energy_eV_per_atom) for kink in kinks]
    ).T
    assert (x[0], x[-1]) == (0, 1)
    assert (np.diff(x) > 0).all()
    assert mutual[0] == mutual[-1] == 0
    assert (energies <= mutual).all()
    slopes = np.diff(energies) / np.diff(x)
    assert (np.diff(slopes) > -1e-7 / np.diff(x).min()).all()  # convex
    assert found.worst_energy_eV_per_atom == energies.min()
    assert found.worst_mutual.mutual_energy_eV_per_atom == mutual.min()

    exchanged = interface(partner, candidate, references, "K", potential_V)
    assert_allclose(energy_at(exchanged, 1 - x), energies, atol=1e-8)
    assert len(exchanged.kinks) == len(kinks)

    for kink in kinks:
        assert_balanced(
            kink, candidate, partner, open_to="K" if found.potential_V is not None else None
        )


def assert_balanced(kink, candidate, partner, open_to=None):
    """Products hold the atoms of the mixture, but for those of the reservoir."""
    x = kink.mixing_fraction
    shares = []
    for share, reactant in ((x, candidate), (1 - x, partner)):
        unit = reactant.composition.reduced_composition
        counted = unit.num_atoms - (unit[open_to] if open_to else 0)
        shares.append((share / counted, unit))
    per = shares[0][0] or shares[1][0]
    products = [(n, Composition(formula)) for formula, n in kink.products.items()]
    for element in {e for _, c in (*shares, *products) for e in c} - {Element(open_to or "Xe")}:
        before = sum(n / per * unit[element] for n, unit in shares)
        after = sum(n * unit[element] for n, unit in products)
        assert after == pytest.approx(before, rel=1e-4, abs=1e-4)
    if kink.reaction != NO_REACTION:
        left, right = map(atoms, kink.reaction.split(" -> "))
        assert left.keys() == right.keys()
        for element, n in left.items():
            assert right[element] == pytest.approx(n, rel=2e-3)


def atoms(side):
    total = {}
    for term in side.split(" + "):
        bare = term.removesuffix(" (stabler polymorph)")
        number, formula = re.fullmatch(r"([\d.e+]+ )?(\S+)", bare).groups()
        for element, n in Composition(formula).items():
            total[element] = total.get(element, 0.0) + n * float(number or 1)
    return total


@given(system=systems(max_elements=4), zeros=st.lists(st.floats(-5, 5), min_size=4, max_size=4))
@settings(max_examples=25, deadline=None)
def test_zeros_of_the_elements_do_not_matter(system, zeros):
    references, candidate, partner = system
    zero_eV = dict(zip(SYMBOLS, zeros, strict=False))

    def shift_eV_per_atom(composition):
        return sum(zero_eV[e.symbol] * composition.get_atomic_fraction(e) for e in composition)

    raised = references.model_copy(
        update={
            "phases": tuple(
                p.model_copy(
                    update={
                        "energy_eV_per_atom": p.energy_eV_per_atom
                        + shift_eV_per_atom(p.composition)
                    }
                )
                for p in references.phases
            )
        }
    )
    pair = [moved(r, shift_eV_per_atom(r.composition)) for r in (candidate, partner)]
    for potential_V in (None, 1.5):
        before = interface(candidate, partner, references, "K", potential_V)
        after = interface(*pair, raised, "K", potential_V)
        x = [kink.mixing_fraction for kink in before.kinks]
        assert_allclose(energy_at(after, x), energy_at(before, x), atol=1e-8)


# --- particular cases -----------------------------------------------------------------------------


def test_a_partner_in_equilibrium_does_not_react():
    found = interface(shipped("KTaCl6"), shipped("KCl"), SHIPPED, "K")
    assert found.worst_energy_eV_per_atom == 0
    assert [kink.mixing_fraction for kink in found.kinks] == [0, 1]
    assert {kink.reaction for kink in found.kinks} == {NO_REACTION}
    assert found.products == {"KTaCl6": 1}
    assert found.kinks[0].products == {"KCl": 1}


def test_a_metastable_candidate_decomposes_without_its_partner():
    """Its own decomposition is all that there is, and it goes with the candidate's share."""
    found = interface(shipped("KTaCl6", 0.05), shipped("KCl"), SHIPPED, "K")
    alone = [kink for kink in found.kinks if kink.mixing_fraction == 1]
    assert alone[0].energy_eV_per_atom == pytest.approx(-0.05, abs=1e-9)
    assert all(kink.mutual_energy_eV_per_atom == 0 for kink in found.kinks)
    assert found.products == {"KTaCl6": 1}
    assert found.reaction == "KTaCl6 -> KTaCl6 (stabler polymorph)"


def test_contact_with_the_metal_is_a_system_open_to_it_at_0_V():
    """In excess metal, energies per atom of candidate are those of the open system."""
    candidate, metal = shipped("KTaCl6"), shipped("K")
    closed = interface(candidate, metal, SHIPPED, "K")
    in_excess = closed.kinks[1]
    per_candidate_eV = in_excess.energy_eV_per_atom / in_excess.mixing_fraction
    for partner in (metal, shipped("KCl")):
        opened = interface(candidate, partner, SHIPPED, "K", 0.0)
        (alone,) = (kink for kink in opened.kinks if kink.mixing_fraction == 1)
        counted = 7 / 8  # atoms of KTaCl6 other than K
        assert alone.energy_eV_per_atom * counted == pytest.approx(per_candidate_eV, abs=1e-9)
        assert alone.reaction == in_excess.reaction == "KTaCl6 + 5 K -> 6 KCl + Ta"
        assert alone.mutual_energy_eV_per_atom == 0


def test_the_open_interface_with_the_metal_has_no_mixing_ratio():
    found = interface(shipped("KTaCl6"), shipped("K"), SHIPPED, "K", 1.0)
    assert [kink.mixing_fraction for kink in found.kinks] == [1]
    assert found.worst_mutual.mutual_energy_eV_per_atom == 0


def test_within_both_windows_only_the_mutual_reaction_is_left():
    """At 3 V against Na the phases of NaCl and NaTaCl6 do not react with the reservoir."""
    found = interface(shipped("NaTaCl6"), shipped("NaCl"), SHIPPED, "Na", 3.0)
    assert found.worst_energy_eV_per_atom == 0


def test_two_samples_of_one_compound_do_not_react():
    found = interface(shipped("KTaCl6"), shipped("KTaCl6"), SHIPPED, "K")
    assert [kink.energy_eV_per_atom for kink in found.kinks] == [0, 0]
    assert [kink.reaction for kink in found.kinks] == [NO_REACTION, NO_REACTION]


def test_a_new_phase_can_only_add_to_a_reaction():
    few = snapshot({"KCl": -4.0, "TaCl5": -8.0, "Na2S": -3.0, "NaCl": -4.0})
    more = snapshot({"KCl": -4.0, "TaCl5": -8.0, "Na2S": -3.0, "NaCl": -4.0, "TaS2": -4.0})
    candidate = Reactant("KTaCl6", Composition("KTaCl6"), -12.2 / 8, INVENTED)
    partner = Reactant("Na2S", Composition("Na2S"), -1.0, INVENTED)
    before, after = (interface(candidate, partner, s, "K") for s in (few, more))
    x = np.linspace(0, 1, 101)
    assert (energy_at(after, x) <= energy_at(before, x) + 1e-12).all()
    assert after.worst_energy_eV_per_atom < before.worst_energy_eV_per_atom


def test_by_hand():
    """AB + CD -> AD + CB, 0.4 eV for four atoms; each of the pairs is stable on its own."""
    references = snapshot({"KCl": -2.0, "NaF": -2.0, "KF": -2.3, "NaCl": -2.1})
    candidate = Reactant("KCl", Composition("KCl"), -1.0, INVENTED)
    partner = Reactant("NaF", Composition("NaF"), -1.0, INVENTED)
    found = interface(candidate, partner, references, "K")
    assert [kink.mixing_fraction for kink in found.kinks] == pytest.approx([0, 0.5, 1])
    assert found.worst_energy_eV_per_atom == pytest.approx(-0.1)
    assert found.reaction == "KCl + NaF -> KF + NaCl"
    assert found.products == {"KF": 1, "NaCl": 1}


def test_raw_halide_energies_shift_a_chloride_against_its_elements():
    """Na and Cl2 lose the correction when NaCl does: 0.614 eV a chlorine less."""
    metal, chlorine = shipped("Na", mobile_ion="Na"), shipped("Cl2", mobile_ion="Na")
    full, raw = (
        interface(chlorine, metal, SHIPPED, "Na", raw_halide_energies=raw).worst_energy_eV_per_atom
        for raw in (False, True)
    )
    assert 2 * (raw - full) == pytest.approx(0.614, abs=1e-6)


def test_phases_by_name_formula_and_element():
    references = snapshot({"Li'": 0.1, "Li": 0.2, "KCl'": -2.0, "KCl": -1.0, "TaCl5": -3.0})
    references = renamed(references, "Li'", "Li hcp")

    def energy_eV(name):
        found = snapshot_reactant(name, references, "K")
        return found.energy_eV_per_atom * found.composition.num_atoms

    assert energy_eV("Li") == pytest.approx(0.1)  # the element is its lowest phase
    assert energy_eV("Li hcp") == pytest.approx(0.1)
    assert energy_eV("KCl") == pytest.approx(-1)  # the phase of that name
    assert energy_eV("ClK") == pytest.approx(-2)  # the lowest of that formula
    assert snapshot_reactant("Li", references, "K").potential_V is None
    assert snapshot_reactant("Li", references, "Li").potential_V == 0
    assert snapshot_reactant("K", references, "K").potential_V == 0
    assert snapshot_reactant("TaCl5", references, "K").potential_V is None


@pytest.mark.parametrize("asked", ["NaCrO2", "CrNaO2"])
@pytest.mark.parametrize("held", ["NaCrO2", "NaCrO2 of a database"])
def test_electrodes_by_name_or_formula(asked, held):
    """Whatever a database calls them, they are the electrodes of their composition."""
    references = renamed(snapshot({"NaCrO2": -6.0, "NaCrO2'": -5.0, "K": 0.0}), "NaCrO2", held)
    found = snapshot_reactant(asked, references, "Na")
    assert (found.name, found.energy_eV_per_atom) == ("NaCrO2", -1.5)
    assert found.potential_V == load_electrode("NaCrO2").potential_V > 0
    assert snapshot_reactant(asked, references, "K").potential_V is None


def test_amounts_that_are_not_whole():
    references = snapshot({"K9Mn20O40": -69.0, "MnO2": -3.0})
    found = snapshot_reactant("K0.45MnO2", references, "K")
    assert found.composition.reduced_formula == "K9Mn20O40"
    assert found.potential_V == load_electrode("K0.45MnO2").potential_V


def renamed(references, name, new):
    phases = [
        p.model_copy(update={"name": new} if p.name == name else {}) for p in references.phases
    ]
    return references.model_copy(update={"phases": tuple(phases)})


# --- all partners of a candidate ------------------------------------------------------------------


def test_each_partner_closed_at_its_own_and_at_given_potentials():
    electrode = replace(shipped("Na3PS4"), name="cathode", potential_V=3.1)
    found = interfaces(shipped("KTaCl6"), SHIPPED, "K", [electrode, "K", "TaCl5"], [4.0, 3.1])
    assert [(i.partner, i.condition, i.potential_V) for i in found.computed] == [
        ("cathode", "closed", None), ("cathode", "open", 3.1), ("cathode", "open", 4.0),
        ("K", "closed", None), ("K", "open", 0.0), ("K", "open", 4.0), ("K", "open", 3.1),
        ("TaCl5", "closed", None), ("TaCl5", "open", 4.0), ("TaCl5", "open", 3.1),
    ]  # fmt: skip
    assert found.left_out == {}
    assert set(found.missing_phases) == {"cathode", "K", "TaCl5"}


def test_a_partner_without_energy_or_elements_is_left_out_with_the_reason():
    stranger = Reactant("RbAu", Composition("RbAu"), -1.0, SHIPPED.convention)
    found = interfaces(shipped("KTaCl6"), SHIPPED, "K", ["KXeF6", stranger, "K"])
    assert {i.partner for i in found.computed} == {"K"}
    assert found.left_out.keys() == {"KXeF6", "RbAu"}
    assert re.search(r"KXeF6: none of the \d+ phases of the snapshot", found.left_out["KXeF6"])
    assert "no elemental reference phase of Au, Rb" in found.left_out["RbAu"]


def test_a_partner_whose_halides_lost_their_correction_is_left_out():
    corrections = {"KCl": halide_correction_eV_per_atom(Composition("KCl"))}
    references = snapshot({"KCl": -4.0, "NaF": -5.0, "Na2O": -4.0})
    convention = INVENTED.model_copy(update={"corrections": "MP2020"})
    phases = tuple(
        p.model_copy(update={"correction_eV_per_atom": corrections.get(p.formula, 0.0)})
        for p in references.phases
    )
    references = references.model_copy(update={"convention": convention, "phases": phases})
    candidate = Reactant("KCl", Composition("KCl"), -2.0, convention)
    found = interfaces(candidate, references, "K", ["K", "NaF"])
    assert {i.partner for i in found.computed} == {"K"}
    assert "halides without their MP2020 correction: NaF" in found.left_out["NaF"]
    sodium_fluoride = Reactant("NaF", Composition("NaF"), -2.5, convention)
    with pytest.raises(MissingCorrection):
        interfaces(sodium_fluoride, references, "Na", ["KCl"])


def test_a_candidate_outside_the_snapshot_is_an_error():
    stranger = Reactant("RbAu", Composition("RbAu"), -1.0, SHIPPED.convention)
    with pytest.raises(MissingReference, match="Au, Rb"):
        interfaces(stranger, SHIPPED, "K", ["K"])


# --- what is refused ------------------------------------------------------------------------------


def test_energies_of_two_conventions():
    foreign = Reactant("KCl", Composition("KCl"), -1.0, INVENTED)
    for pair in ((foreign, shipped("K")), (shipped("KTaCl6"), foreign)):
        with pytest.raises(MixedConventions, match="KCl and the reference phases differ in code"):
            interface(*pair, SHIPPED, "K")


@pytest.mark.parametrize("energy", [float("nan"), float("inf")])
def test_energies_that_are_none(energy):
    with pytest.raises(EnergyNotFinite, match="KCl"):
        interface(shipped("KTaCl6"), moved(shipped("KCl"), energy), SHIPPED, "K")


@pytest.mark.parametrize("potential_V", [-0.01, float("nan"), float("inf")])
def test_potentials_that_no_interface_has(potential_V):
    with pytest.raises(InvalidInput, match="needs 0 V or more"):
        interface(shipped("KTaCl6"), shipped("KCl"), SHIPPED, "K", potential_V)


def test_the_metal_as_a_candidate():
    with pytest.raises(UnusableStructure, match="K is K metal"):
        interface(shipped("K"), shipped("KCl"), SHIPPED, "K")


def test_kinks_bend():
    """A composition where the products change but the slope does not is no kink."""
    found = interface(shipped("KTaCl6"), shipped("K"), SHIPPED, "K")
    slopes = [
        (b.energy_eV_per_atom - a.energy_eV_per_atom) / (b.mixing_fraction - a.mixing_fraction)
        for a, b in pairwise(found.kinks)
    ]
    assert (np.diff(slopes) > 1e-6).all()


def test_a_coefficient_of_one_is_not_written():
    """Rounding in the amounts left `1 K4MnCl6` where integers did not fit."""
    candidate = snapshot_reactant("KTaCl6", COMPLETE, "K")
    found = interfaces(candidate, COMPLETE, "K", ["K0.45MnO2"]).computed
    reactions = [kink.reaction for i in found for kink in i.kinks if i.potential_V]
    assert any("0.075 K9Mn20O40" in reaction for reaction in reactions)
    assert not any({"1"} & set(reaction.split()) for reaction in reactions)


def test_caveats_of_what_forms_are_handed_on():
    def caveats(potential_V):
        answer = interfaces(shipped("KTaCl6"), SHIPPED, "K", [shipped("KCl")], [potential_V])
        return any("TaCl5" in caveat for caveat in answer.caveats)

    assert caveats(5.5)  # KTaCl6 -> TaCl5 + Cl2/2 + K above 4.85 V
    assert not caveats(4.0)
