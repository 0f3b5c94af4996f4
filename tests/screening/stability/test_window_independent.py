"""Limits and profiles on random systems against linear programs and pymatgen's phase diagram.

The linear programs know nothing of facets or of E(n) as an envelope: they mix phases.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element
from scipy.optimize import linprog

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


ANYWHERE, STABLE, METASTABLE = st.floats(-0.3, 0.2), st.floats(-0.3, -1e-3), st.floats(1e-3, 0.2)


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


@settings(deadline=None, max_examples=200)
@given(systems())
def test_distance_to_the_hull(system):
    (above,) = system.limits().e_above_hull_eV_per_atom
    by_program = (
        system.candidate_eV - system.hull_energy_eV(system.candidate)
    ) / system.candidate.sum()
    assert above == pytest.approx(by_program, abs=1e-9)


@settings(deadline=None, max_examples=200)
@given(systems())
def test_the_equilibriums_window_is_the_range_of_potentials(system):
    limits = system.limits()
    low_eV, high_eV = system.mu_range_eV()
    found = limits.equilibrium_reduction_V[0], limits.equilibrium_oxidation_V[0]
    expected = system.metal_eV - high_eV, system.metal_eV - low_eV
    assert found == pytest.approx(expected, abs=TOLERANCE_V)


@settings(deadline=None, max_examples=200)
@given(systems(STABLE))
def test_a_stable_candidate_reacts_where_its_best_reaction_gains_nothing(system):
    limits = system.limits()
    uptake_V = system.metal_eV - system.own_limit_eV(uptake=True)
    release_V = system.metal_eV - system.own_limit_eV(uptake=False)
    assert limits.reduction_V[0] == pytest.approx(uptake_V, abs=TOLERANCE_V)
    assert limits.oxidation_V[0] == pytest.approx(release_V, abs=TOLERANCE_V)


@settings(deadline=None, max_examples=150)
@given(systems(STABLE))
def test_a_stable_candidates_window_is_that_of_pymatgen(system):
    candidate = PDEntry(Composition(system.formula(system.candidate)), system.candidate_eV)
    diagram = PhaseDiagram([*system.entries(), candidate])
    ranges = diagram.get_chempot_range_stability_phase(candidate.composition, Element(METAL))
    low_eV, high_eV = ranges[Element(METAL)]
    limits = system.limits()
    assert limits.reduction_V[0] == pytest.approx(system.metal_eV - high_eV, abs=TOLERANCE_V)
    assert limits.oxidation_V[0] == pytest.approx(system.metal_eV - low_eV, abs=TOLERANCE_V)


@settings(deadline=None, max_examples=150)
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
