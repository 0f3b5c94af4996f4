"""Energies of the orderings of one space, weighed as the ensemble weighs them."""

from __future__ import annotations

import pytest

from screening.documents import CandidateInfo, Origin
from workflows.ordering_energies import ordering_energies
from workflows.ordering_ensemble import RelaxedOrdering, ensemble_of

KNOWN = {"a": (-3.0, 24), "b": (-3.02, 2), "c": (-2.9, 6)}


def relaxed(identifier):
    energy_eV_per_atom, degeneracy = KNOWN[identifier]
    origin = Origin(
        host="h", source="s", parent_formula="K Cl", ordering=1, n_orderings=3,
        degeneracy=degeneracy, n_configurations=32, space="s",
    )  # fmt: skip
    info = CandidateInfo(id=identifier, formula="KCl", mobile_ion="K", origin=origin)
    return RelaxedOrdering(info, energy_eV_per_atom, 2)


def test_they_rise_and_weigh_as_in_the_ensemble():
    space = [relaxed(name) for name in "abc"]
    found = ordering_energies(space)
    assert [ordering.id for ordering in found] == ["b", "a", "c"]
    heights = [ordering.energy_above_lowest_eV_per_atom for ordering in found]
    assert heights == pytest.approx([0, 0.02, 0.12])
    assert sum(ordering.probability for ordering in found) == pytest.approx(1)
    for ordering in found:
        ensemble = ensemble_of(ordering.id, space)
        assert ordering.probability == pytest.approx(ensemble.probability, abs=0, rel=1e-9)


def test_one_alone_is_compared_with_nothing():
    assert ordering_energies([relaxed("a")]) == ()
    assert ordering_energies([]) == ()
