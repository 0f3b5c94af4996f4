"""Limits and profiles on random systems against linear programs and pymatgen's phase diagram.

The linear programs know nothing of facets or of E(n) as an envelope: they mix phases.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from invented_systems import INVENTED, snapshot
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element
from scipy import constants
from scipy.optimize import linprog

from screening.stability.assessment import ON_HULL_EV_PER_ATOM, assess_stability
from screening.stability.hull import Hull
from screening.stability.window import window_limits

METAL = "K"
OTHERS = ("Cl", "Ta", "O", "S")
TOLERANCE_V = 1e-6
APART_EV = 1e-6  # solutions of linear programs closer than this are one


class System:
    """Phases of K and some other elements, and a candidate that is none of them."""

    def __init__(self, elements, counts, energies_eV_per_atom, candidate, candidate_eV_per_atom):
        self.elements = elements
        self.counts = np.array(counts, dtype=float)
        self.n_atoms = self.counts.sum(axis=1)
        self.fractions = self.counts / self.n_atoms[:, None]
        self.energies_eV_per_atom = np.array(energies_eV_per_atom)
        self.candidate = np.array(candidate, dtype=float)
        self.candidate_eV = candidate_eV_per_atom * self.candidate.sum()
        self.metal = elements.index(METAL)
        self.metal_eV = min(
            e for x, e in zip(self.fractions, self.energies_eV_per_atom, strict=True)
            if x[self.metal] == 1
        )  # fmt: skip

    def __repr__(self):
        phases = zip(self.counts, self.energies_eV_per_atom, strict=True)
        listed = ", ".join(f"{self.formula(n)}: {e!r}" for n, e in phases)
        return (
            f"eV/atom {{{listed}}}, candidate {self.formula(self.candidate)} at "
            f"{self.candidate_eV / self.candidate.sum()!r}"
        )

    def formula(self, counts):
        named = zip(self.elements, counts, strict=True)
        return "".join(f"{symbol}{n:g}" for symbol, n in named if n)

    def hull(self):
        formulas = [Composition(self.formula(n)).reduced_formula for n in self.counts]
        return Hull.of(self.elements, formulas, self.fractions, self.energies_eV_per_atom)

    def limits(self):
        return window_limits(self.hull(), self.candidate, self.candidate_eV, METAL)

    @property
    def unit(self):
        """Formula units in the amounts of the candidate, and one unit's composition."""
        return Composition(self.formula(self.candidate)).reduced_composition

    def assessed(self):
        """The whole chain, from a snapshot; not so near the hull that it counts as on it."""
        assume(not 0 < self.limits().e_above_hull_eV_per_atom[0] < 2 * ON_HULL_EV_PER_ATOM)
        energies_eV = {}
        for n, e in zip(self.counts, self.energies_eV_per_atom, strict=True):
            name = self.formula(n)
            while name in energies_eV:
                name += "'"
            energies_eV[name] = e * n.sum()
        return assess_stability(
            Composition(self.formula(self.candidate)),
            self.candidate_eV / self.candidate.sum(),
            INVENTED,
            snapshot(energies_eV),
            METAL,
        )

    def with_stable_candidate(self):
        """The candidate among the phases, per formula unit; itself if it is metastable."""
        unit = np.array([self.unit[symbol] for symbol in self.elements])
        energy_eV_per_atom = self.candidate_eV / self.candidate.sum()
        is_stable = energy_eV_per_atom < self.hull_energy_eV(unit) / unit.sum()
        added = [[*unit]], [energy_eV_per_atom]
        return System(
            self.elements,
            np.vstack([self.counts, *(added[:1] if is_stable else [])]),
            np.append(self.energies_eV_per_atom, added[1] if is_stable else []),
            unit,
            energy_eV_per_atom,
        )

    def holds_candidate(self):
        """Whether a phase has the candidate's composition."""
        return (abs(self.fractions - self.candidate / self.candidate.sum()) < 1e-9).all(1).any()

    def grand_energy_eV(self, mu_eV):
        """Least E - mu n of the candidate's host, with as much of the metal as it takes."""
        host = np.arange(len(self.elements)) != self.metal
        cost = self.energies_eV_per_atom - mu_eV * self.fractions[:, self.metal]
        return _solved(cost, self.fractions.T[host], self.candidate[host]).fun

    def entries(self):
        return [
            PDEntry(Composition(self.formula(n)), e * n.sum())
            for n, e in zip(self.counts, self.energies_eV_per_atom, strict=True)
        ]

    def hull_energy_eV(self, amounts):
        """Energy of the best mixture of phases."""
        return _solved(self.energies_eV_per_atom, self.fractions.T, amounts).fun

    def mu_range_eV(self):
        """Least and greatest chemical potential of the metal in equilibrium with the candidate's
        composition: potentials that no phase undercuts and that give the mixture its energy."""
        energy_eV = self.hull_energy_eV(self.candidate)
        scale = self.candidate.sum()
        found = [
            linprog(
                sign * np.eye(len(self.elements))[self.metal],
                A_ub=np.vstack([self.fractions, -self.candidate / scale]),
                b_ub=np.append(self.energies_eV_per_atom, -energy_eV / scale + 1e-12),
                bounds=(None, None),
                method="highs",
            )
            for sign in (1, -1)
        ]
        assert found[1].success
        low_eV = found[0].fun if found[0].success else -np.inf
        return low_eV, -found[1].fun

    def own_limit_eV(self, uptake):
        """Best energy of s candidate + A -> phases (uptake), or s candidate -> phases + A."""
        columns = np.column_stack([self.fractions.T, -self.candidate])
        cost = np.append(self.energies_eV_per_atom, -self.candidate_eV)
        pure = self.fractions[:, self.metal] == 1
        sign = 1 if uptake else -1
        bounds = [(0, 0 if metal and not uptake else None) for metal in pure] + [(0, None)]
        found = linprog(
            cost, A_eq=columns, b_eq=sign * np.eye(len(self.elements))[self.metal],
            bounds=bounds, method="highs",
        )  # fmt: skip
        return sign * found.fun if found.success else -np.inf

    def corners(self):
        """(n, E) where E(n) of the candidate's host bends, by rising n: one LP for each."""
        host = self.candidate.copy()
        host[self.metal] = 0
        kept = [i for i in range(len(self.elements)) if i != self.metal]
        compounds = self.fractions[:, self.metal] < 1

        def at(mu_eV, metal_free=False):
            """Amount of A and energy that minimise E - mu n."""
            used = self.fractions[:, self.metal] == 0 if metal_free else compounds
            x, e = self.fractions[used], self.energies_eV_per_atom[used]
            w = _solved(e - mu_eV * x[:, self.metal], x.T[kept], host[kept]).x
            return float(w @ x[:, self.metal]), float(w @ e)

        def between(left, right):
            slope_eV = (right[1] - left[1]) / (right[0] - left[0])
            middle = at(slope_eV)
            if middle[1] - slope_eV * middle[0] > left[1] - slope_eV * left[0] - APART_EV:
                return []
            return [*between(left, middle), middle, *between(middle, right)]

        first, last = at(0.0, metal_free=True), at(self.metal_eV)
        if last[1] - self.metal_eV * last[0] > first[1] - APART_EV or last[0] < APART_EV:
            return [first]
        return [first, *between(first, last), last]


def _solved(cost, A_eq, b_eq):
    found = linprog(cost, A_eq=A_eq, b_eq=b_eq, bounds=(0, None), method="highs")
    assert found.success
    return found


STABLE, METASTABLE = st.floats(-0.3, -1e-3), st.floats(1e-3, 0.2)
ANYWHERE = STABLE | METASTABLE


@st.composite
def systems(draw, height_eV_per_atom=ANYWHERE):
    """Up to 20 compounds in two to five elements; energies that no two mixtures share."""
    elements = (METAL, *OTHERS[: draw(st.integers(1, 4))])
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    compounds = random.integers(0, 7, size=(draw(st.integers(0, 20)), len(elements)))
    compounds = compounds[(compounds > 0).sum(axis=1) > 1]
    energies = random.normal(-0.8, 0.6, size=len(compounds))
    pure_eV = random.normal(-3, 1, size=len(elements))
    candidate = random.integers(1, 7, size=len(elements))
    counts = np.vstack([np.eye(len(elements), dtype=int), compounds])
    shifted = counts @ pure_eV / counts.sum(axis=1)
    energies = shifted + np.concatenate([np.zeros(len(elements)), energies])
    made = System(elements, counts, energies, candidate, 0.0)
    made.candidate_eV = made.hull_energy_eV(candidate) + draw(height_eV_per_atom) * candidate.sum()
    return made


@settings(deadline=None, max_examples=60)
@given(systems())
def test_distance_to_the_hull(system):
    (above,) = system.limits().e_above_hull_eV_per_atom
    by_program = (
        system.candidate_eV - system.hull_energy_eV(system.candidate)
    ) / system.candidate.sum()
    assert above == pytest.approx(by_program, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(systems())
def test_the_equilibriums_window_is_the_range_of_potentials(system):
    limits = system.limits()
    low_eV, high_eV = system.mu_range_eV()
    found = limits.equilibrium_reduction_V[0], limits.equilibrium_oxidation_V[0]
    expected = system.metal_eV - high_eV, system.metal_eV - low_eV
    assert found == pytest.approx(expected, abs=TOLERANCE_V)


@settings(deadline=None, max_examples=60)
@given(systems(STABLE))
def test_a_stable_candidate_reacts_where_its_best_reaction_gains_nothing(system):
    limits = system.limits()
    uptake_V = system.metal_eV - system.own_limit_eV(uptake=True)
    release_V = system.metal_eV - system.own_limit_eV(uptake=False)
    assert limits.reduction_V[0] == pytest.approx(uptake_V, abs=TOLERANCE_V)
    assert limits.oxidation_V[0] == pytest.approx(release_V, abs=TOLERANCE_V)


@settings(deadline=None, max_examples=60)
@given(systems(STABLE))
def test_a_stable_candidates_window_is_that_of_pymatgen(system):
    candidate = PDEntry(Composition(system.formula(system.candidate)), system.candidate_eV)
    diagram = PhaseDiagram([*system.entries(), candidate])
    ranges = diagram.get_chempot_range_stability_phase(candidate.composition, Element(METAL))
    low_eV, high_eV = ranges[Element(METAL)]
    limits = system.limits()
    assert limits.reduction_V[0] == pytest.approx(system.metal_eV - high_eV, abs=TOLERANCE_V)
    assert limits.oxidation_V[0] == pytest.approx(system.metal_eV - low_eV, abs=TOLERANCE_V)


@settings(deadline=None, max_examples=60)
@given(systems(METASTABLE))
def test_a_metastable_candidate_reacts_to_corners_of_the_equilibrium(system):
    limits = system.limits()
    n, energy_eV = system.candidate[system.metal], system.candidate_eV
    corners = system.corners()
    assume(all(abs(corner - n) > 1e-4 for corner, _ in corners))
    uptake_eV = [(e - energy_eV) / (k - n) for k, e in corners if k > n]
    release_eV = [(energy_eV - e) / (n - k) for k, e in corners if k < n]
    assert limits.reduction_V[0] == pytest.approx(
        max([0.0, *(system.metal_eV - slope for slope in uptake_eV)]), abs=TOLERANCE_V
    )
    assert limits.oxidation_V[0] == pytest.approx(
        min(system.metal_eV - slope for slope in release_eV), abs=TOLERANCE_V
    )


@settings(deadline=None, max_examples=60)
@given(systems())
def test_the_whole_chain_finds_the_same_hull_and_windows(system):
    assessed, limits = system.assessed(), system.limits()
    above = limits.e_above_hull_eV_per_atom[0]
    assume(abs(above) > 1e-6)
    assert assessed.e_hull_eV_per_atom == pytest.approx(max(0.0, above), abs=1e-9)
    assert assessed.window_of == ("candidate" if above < 0 else "equilibrium")
    if above > 0 or not system.holds_candidate():
        assert _potentials_V(assessed.equilibrium_window) == pytest.approx(
            (limits.equilibrium_reduction_V[0], limits.equilibrium_oxidation_V[0]), abs=TOLERANCE_V
        )
    if not system.holds_candidate():
        assert assessed.energy_below_competitors_eV_per_atom == pytest.approx(-above, abs=1e-9)
        assert _potentials_V(assessed.candidate_window) == pytest.approx(
            (limits.reduction_V[0], limits.oxidation_V[0]), abs=TOLERANCE_V
        )


@settings(deadline=None, max_examples=30)
@given(systems())
def test_steps_are_where_the_energy_bends(system):
    profile = system.assessed().profile
    everything = system.with_stable_candidate()
    corners = everything.corners()
    bends = [
        (n, everything.metal_eV - (e - before_eV) / (n - before))
        for (before, before_eV), (n, e) in pairwise(corners)
    ]
    found = [(step.n_metal, step.potential_V) for step in profile.steps]
    assert np.allclose(found, bends, rtol=0, atol=1e-5), (found, bends)


@settings(deadline=None, max_examples=30)
@given(systems())
def test_steps_are_those_of_pymatgen(system):
    profile = system.assessed().profile
    everything = system.with_stable_candidate()
    metal = Element(METAL)
    evolved = PhaseDiagram(everything.entries()).get_element_profile(metal, everything.unit)
    theirs = [
        (everything.unit[METAL] + point["evolution"], everything.metal_eV - point["chempot"])
        for point in reversed(evolved)
    ]
    n_metal = [0.0, *(step.n_metal for step in profile.steps)]
    below_V = [*(step.potential_V for step in profile.steps), 0.0]
    assert np.allclose(list(zip(n_metal, below_V, strict=True)), theirs, rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(systems())
def test_steps_keep_mass_charge_and_energy(system):
    """Atoms of the host stay, each charge is counted once, energies are those of the mixtures."""
    profile = system.assessed().profile
    everything = system.with_stable_candidate()
    unit = system.unit
    n_before, mixtures = 0.0, [(0.0, profile.oxidized)]
    for step in profile.steps:
        passed_C_g = (step.n_metal - n_before) * constants.N_A * constants.e / unit.weight
        assert step.capacity_mAh_g == pytest.approx(passed_C_g / 3.6, rel=1e-6)
        assert step.energy_Wh_kg == pytest.approx(step.potential_V * passed_C_g / 3.6, rel=1e-6)
        mixtures.append((step.n_metal, step.products))
        n_before = step.n_metal
    for n_metal, products in mixtures:
        mixed = sum((Composition(f) * n for f, n in products.items()), Composition())
        assert min(products.values()) > 0
        for symbol in system.elements:
            held = n_metal if symbol == METAL else unit[symbol]
            assert mixed[symbol] == pytest.approx(held, abs=1e-4)
    for step, (n_metal, _) in zip(profile.steps, mixtures[1:], strict=True):
        amounts = np.array([unit[symbol] for symbol in system.elements])
        taken_up = n_metal - amounts[system.metal]
        amounts[system.metal] = n_metal
        expected_eV = (
            everything.hull_energy_eV(amounts)
            - everything.candidate_eV
            - taken_up * system.metal_eV
        )
        assert step.reaction_energy_eV == pytest.approx(expected_eV, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(systems(), st.floats(0, 7))
def test_the_driving_force_is_the_best_mixture_of_an_open_system(system, potential_V):
    profile = system.assessed().profile
    everything = system.with_stable_candidate()
    mu_eV = everything.metal_eV - potential_V
    own_eV = everything.candidate_eV - mu_eV * everything.candidate[everything.metal]
    gain_eV = everything.grand_energy_eV(mu_eV) - own_eV
    n_atoms = everything.candidate.sum()
    found = np.interp(
        potential_V,
        profile.decomposition_potentials_V,
        profile.decomposition_energies_eV_per_atom,
    )
    assert found == pytest.approx(min(0.0, gain_eV) / n_atoms, abs=1e-7)


def _potentials_V(window):
    return window.reduction.potential_V, window.oxidation.potential_V
