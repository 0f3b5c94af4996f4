"""Laws that hold in any system, on random ones, against linear programming."""

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from invented_systems import (
    INVENTED,
    equilibrium_metal_content,
    lowest_energy,
    snapshot,
)
from pymatgen.core import Composition

from screening.stability.assessment import ON_HULL_EV_PER_ATOM, assess_stability

STEP_V = 1e-3
ENERGY_eV_PER_ATOM = st.floats(-3.0, 0.3)


@st.composite
def systems(draw):
    """A snapshot of 1 to 6 compounds and a candidate, in two to four elements."""
    others = draw(st.sampled_from([("Cl",), ("Ta", "Cl"), ("Y", "Ta", "Cl")]))
    amounts = st.lists(st.integers(0, 6), min_size=1 + len(others), max_size=1 + len(others))

    def formula(counts):
        return "".join(f"{e}{n}" for e, n in zip(("K", *others), counts, strict=True) if n)

    compounds = draw(st.lists(amounts.filter(lambda c: sum(n > 0 for n in c) > 1), max_size=6))
    energies_eV = dict.fromkeys(("K", *others), 0.0)
    for counts in compounds:
        energies_eV[formula(counts)] = draw(ENERGY_eV_PER_ATOM) * sum(counts)
    candidate = formula(draw(amounts.filter(lambda c: c[0] > 0 and all(n > 0 for n in c[1:]))))
    unit = Composition(candidate).reduced_formula  # polymorphs are another matter
    assume(all(Composition(key).reduced_formula != unit for key in energies_eV))
    others_eV = lowest_energy(snapshot(energies_eV), Composition(candidate))
    # near the hull, where windows are decided, but not so little above that it counts as on it
    height_eV_per_atom = draw(st.floats(-0.2, 0.0) | st.floats(2 * ON_HULL_EV_PER_ATOM, 0.1))
    return energies_eV, candidate, others_eV / atoms(candidate) + height_eV_per_atom


def with_candidate(energies_eV, formula, energy_eV_per_atom):
    return snapshot({**energies_eV, f"{formula}'": energy_eV_per_atom * atoms(formula)})


def with_metal(composition, n_metal):
    others = {e.symbol: n for e, n in composition.items() if e.symbol != "K"}
    return Composition({**others, "K": n_metal})


def atoms(formula):
    return Composition(formula).num_atoms


def assess(energies_eV, formula, energy_eV_per_atom):
    return assess_stability(
        Composition(formula), energy_eV_per_atom, INVENTED, snapshot(energies_eV), "K"
    )


@settings(deadline=None, max_examples=150)
@given(systems())
def test_the_metal_content_is_constant_inside_the_window_and_nowhere_else(system):
    stability = assess(*system)
    everything = with_candidate(*system)
    unit = Composition(system[1]).reduced_composition

    def n_metal(potential_V):
        return equilibrium_metal_content(everything, unit, "K", potential_V)

    low_V, high_V = stability.reduction_limit_V, stability.oxidation_limit_V
    assert -1e-9 <= low_V <= high_V + 1e-9
    assert n_metal(high_V + STEP_V) < unit["K"] - 1e-6
    if low_V > STEP_V:
        assert n_metal(low_V - STEP_V) > unit["K"] + 1e-6
    if high_V - low_V > 2 * STEP_V:
        for potential_V in (low_V + STEP_V, (low_V + high_V) / 2, high_V - STEP_V):
            assert n_metal(potential_V) == pytest.approx(unit["K"], abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(systems())
def test_distance_to_the_hull_agrees_with_linear_programming(system):
    energies_eV, formula, energy_eV_per_atom = system
    stability = assess(*system)
    composition = Composition(formula)
    others_eV = lowest_energy(snapshot(energies_eV), composition) / composition.num_atoms
    depth = stability.energy_below_competitors_eV_per_atom
    assert depth == pytest.approx(others_eV - energy_eV_per_atom, abs=1e-8)
    assert stability.e_hull_eV_per_atom == max(0.0, -depth)
    assert stability.formation_energy_eV_per_atom == pytest.approx(energy_eV_per_atom, abs=1e-9)
    assert balanced(composition.reduced_composition, stability.decomposition)


@settings(deadline=None, max_examples=100)
@given(systems())
def test_reactions_balance_and_give_their_potential(system):
    stability = assess(*system)
    energies_eV = {Composition(system[1]).reduced_formula: system[2]}  # of the candidate itself

    def energy_eV(formula):
        composition = Composition(formula)
        others = lowest_energy(snapshot(system[0]), composition)
        return energies_eV.get(formula, others / composition.num_atoms) * composition.num_atoms

    for window in (stability.candidate_window, stability.equilibrium_window):
        for limit in (window.reduction, window.oxidation):
            if limit.reaction == "K+ + e- -> K":
                assert limit.potential_V == 0
                assert limit.products == ("K",)
                continue
            sides = [
                [term_of(t) for t in side.split(" + ")] for side in limit.reaction.split(" -> ")
            ]
            for element in Composition(system[1]):
                left, right = (content(side, element) for side in sides)
                assert left == pytest.approx(right, rel=3e-3)
            assert {f for _, f in sides[1]} - {"K"} <= set(limit.products)
            left_eV, right_eV = (sum(n * energy_eV(f) for n, f in side) for side in sides)
            uptake = sum(
                n * sign
                for side, sign in zip(sides, (1, -1), strict=True)
                for n, f in side
                if f == "K"
            )
            size_eV = 1 + sum(n * abs(energy_eV(f)) for side in sides for n, f in side)
            assert limit.potential_V * uptake == pytest.approx(
                left_eV - right_eV, abs=2e-3 * size_eV
            )


@settings(deadline=None, max_examples=100)
@given(systems())
def test_a_profile_falls_through_balanced_steps(system):
    profile = assess(*system).profile
    unit = Composition(system[1]).reduced_composition
    potentials_V = [step.potential_V for step in profile.steps]
    assert potentials_V == sorted(potentials_V, reverse=True)
    assert all(potential_V >= -1e-9 for potential_V in potentials_V)
    for step in profile.steps:
        assert balanced(with_metal(unit, step.n_metal), step.products)
    taken_up = sum(step.capacity_mAh_g for step in profile.steps)
    last = profile.steps[-1].n_metal if profile.steps else 0.0
    assert taken_up == pytest.approx(last * 26801.4 / unit.weight, rel=1e-4, abs=1e-6)
    assert max(profile.decomposition_energies_eV_per_atom) <= 0


@settings(deadline=None, max_examples=100)
@given(systems())
def test_the_driving_force_is_the_height_above_the_grand_potential_hull(system):
    stability = assess(*system)
    everything = with_candidate(*system)
    unit = Composition(system[1]).reduced_composition
    n_atoms = unit.num_atoms
    for potential_V in (0.3, 2.7, 5.9):
        n_metal = equilibrium_metal_content(everything, unit, "K", potential_V)
        there = with_metal(unit, n_metal)
        equilibrium_eV = lowest_energy(everything, there) + n_metal * potential_V
        candidate_eV = system[2] * n_atoms + unit["K"] * potential_V
        force = np.interp(
            potential_V,
            stability.profile.decomposition_potentials_V,
            stability.profile.decomposition_energies_eV_per_atom,
        )
        assert force == pytest.approx((equilibrium_eV - candidate_eV) / n_atoms, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(systems())
def test_a_candidates_own_window_lies_inside_that_of_its_equilibrium_if_it_is_metastable(system):
    stability = assess(*system)
    own, equilibrium = stability.candidate_window, stability.equilibrium_window
    if stability.energy_below_competitors_eV_per_atom <= 0:
        assert own.reduction.potential_V >= equilibrium.reduction.potential_V - 1e-7
        assert own.oxidation.potential_V <= equilibrium.oxidation.potential_V + 1e-7
    else:
        assert own.reduction.potential_V <= equilibrium.reduction.potential_V + 1e-7
        assert own.oxidation.potential_V >= equilibrium.oxidation.potential_V - 1e-7


@settings(deadline=None, max_examples=60)
@given(systems(), st.integers(2, 9), st.randoms(use_true_random=False))
def test_amounts_and_order_do_not_matter(system, scale, random):
    energies_eV, formula, energy_eV_per_atom = system
    shuffled = list(energies_eV.items())
    random.shuffle(shuffled)
    one = assess(*system)
    other = assess_stability(
        Composition(formula) * scale, energy_eV_per_atom, INVENTED, snapshot(dict(shuffled)), "K"
    )
    for field in ("reduction_limit_V", "oxidation_limit_V", "energy_below_competitors_eV_per_atom"):
        assert getattr(other, field) == pytest.approx(getattr(one, field), abs=1e-6)
    assert other.window_of == one.window_of


@settings(deadline=None, max_examples=60)
@given(systems(), st.floats(0.01, 1.0))
def test_a_more_stable_candidate_has_a_wider_window(system, gain_eV_per_atom):
    energies_eV, formula, energy_eV_per_atom = system
    before = assess(*system)
    assume(before.energy_below_competitors_eV_per_atom > 0.001)
    after = assess(energies_eV, formula, energy_eV_per_atom - gain_eV_per_atom)
    assert after.reduction_limit_V <= before.reduction_limit_V + 1e-9
    assert after.oxidation_limit_V > before.oxidation_limit_V


def balanced(composition, amounts):
    terms = [(n, formula) for formula, n in amounts.items()]
    return all(content(terms, e) == pytest.approx(composition[e], abs=1e-4) for e in composition)


def content(terms, element):
    return sum(n * Composition(formula)[element] for n, formula in terms)


def term_of(text):
    amount, formula = re.fullmatch(r"(?:([\d.e+-]+) )?([\w()]+)", text).groups()
    return float(amount or 1), formula
