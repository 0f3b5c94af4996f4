"""Energies of the orderings of one space, weighed as the ensemble weighs them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pymatgen.core import Lattice, Structure

from screening.documents import CandidateInfo, EnergyConvention, Origin, Relaxation
from workflows.enumerated import STAGES, Enumerated
from workflows.ordering_energies import ordering_energies
from workflows.ordering_ensemble import RelaxedOrdering, ensemble_of
from workflows.stored_documents import as_lines

CRYSTAL = Structure(Lattice.cubic(6.0), ["K", "Cl"], [[0] * 3, [0.5] * 3])
CONVENTION = EnergyConvention(code="x", functional="x", corrections="none", potential="x")
KNOWN = {"a": (-3.0, 24, "s"), "b": (-3.02, 2, "s"), "c": (-2.9, 6, "s"), "alone": (-9.0, 1, "t")}


def info(identifier):
    origin = Origin(
        host="h", source="s", parent_formula="K Cl", ordering=1, n_orderings=3,
        degeneracy=KNOWN[identifier][1], n_configurations=32, space=KNOWN[identifier][2],
    )  # fmt: skip
    return CandidateInfo(id=identifier, formula="KCl", mobile_ion="K", origin=origin)


def relaxation(identifier):
    return Relaxation(
        structure=CRYSTAL, energy_eV_per_atom=KNOWN[identifier][0], n_steps=1,
        max_force_eV_per_A=0.01, volume_change_percent=0.0, convention=CONVENTION,
    )  # fmt: skip


def results(lost=()):
    entries = [
        {
            "candidate": info(name).model_dump(mode="json"),
            **{stage: {"uuid": f"{stage}-{name}"} for stage in STAGES},
        }
        for name in KNOWN
    ]
    outputs = {
        f"relax-{name}": {"result": relaxation(name).model_dump(mode="json")}
        for name in KNOWN
        if name not in lost
    }
    return SimpleNamespace(
        enumerated=Enumerated(as_lines(entries)),
        outputs=lambda uuids: {uuid: outputs[uuid] for uuid in uuids if uuid in outputs},
    )


def test_they_rise_and_weigh_as_in_the_ensemble():
    found = ordering_energies(results(), "c")
    assert [ordering.id for ordering in found] == ["b", "a", "c"]
    heights = [ordering.energy_above_lowest_eV_per_atom for ordering in found]
    assert heights == pytest.approx([0, 0.02, 0.12])
    assert sum(ordering.probability for ordering in found) == pytest.approx(1)
    relaxed = [RelaxedOrdering(info(name), KNOWN[name][0], len(CRYSTAL)) for name in "abc"]
    for ordering in found:
        ensemble = ensemble_of(ordering.id, relaxed)
        assert ordering.probability == pytest.approx(ensemble.probability, abs=0, rel=1e-9)


def test_those_that_could_not_be_relaxed_are_left_out():
    assert [ordering.id for ordering in ordering_energies(results(lost="b"), "c")] == ["a", "c"]


def test_one_alone_is_compared_with_nothing():
    assert ordering_energies(results(), "alone") == ()
    assert ordering_energies(results(lost="ab"), "c") == ()
