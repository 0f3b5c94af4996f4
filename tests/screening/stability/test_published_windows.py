"""The shipped references against the literature, and against pymatgen's other routes."""

import numpy as np
import pytest
from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from pymatgen.analysis.phase_diagram import (
    GrandPotentialPhaseDiagram,
    GrandPotPDEntry,
    PDEntry,
    PhaseDiagram,
)
from pymatgen.core import Composition, Element, Lattice, Structure

from screening.stability.assessment import assess_stability
from screening.stability.references import ReferencePhases


def reference_entries(phases):
    return [PDEntry(p.composition, p.energy_eV_per_atom * p.composition.num_atoms) for p in phases]


CHGNET = ReferencePhases.load("chgnet-0.3.0")
TERNARIES = ("KTaCl6", "NaTaCl6", "K4Ta6Cl18", "Na4Ta6Cl18", "Li4Ta6Cl18", "Na3PS4", "Na2P2S6")
BINARIES = ("KCl", "NaCl", "LiCl", "Na2S", "Na2S2", "NaP")


def alone(name):
    """A phase of the snapshot as a candidate, and the snapshot without its composition."""
    phase = next(p for p in CHGNET.phases if p.name == name)
    others = tuple(p for p in CHGNET.phases if p.formula != phase.formula)
    return phase, CHGNET.model_copy(update={"phases": others})


def mobile_ion_of(phase):
    return next(s for s in ("K", "Na", "Li") if s in phase.composition)


def assess_alone(name):
    phase, others = alone(name)
    ion = mobile_ion_of(phase)
    return assess_stability(
        phase.composition, phase.energy_eV_per_atom, CHGNET.convention, others, ion
    )


def hull_of_system(phase):
    return PhaseDiagram(reference_entries(CHGNET.for_system(e.symbol for e in phase.composition)))


@pytest.mark.parametrize("name", TERNARIES)
def test_agrees_with_pymatgens_chemical_potential_range(name):
    phase, _ = alone(name)
    stability = assess_alone(name)
    hull = hull_of_system(phase)
    ion = Element(mobile_ion_of(phase))
    low_eV, high_eV = hull.get_chempot_range_stability_phase(phase.composition, ion)[ion]
    metal_eV = hull.el_refs[ion].energy_per_atom
    assert stability.window_of == "candidate"
    assert stability.reduction_limit_V == pytest.approx(metal_eV - high_eV, abs=1e-6)
    assert stability.oxidation_limit_V == pytest.approx(metal_eV - low_eV, abs=1e-6)


@pytest.mark.parametrize("name", [*TERNARIES[:3], *BINARIES[:2]])
def test_agrees_with_a_scan_of_grand_potential_diagrams(name):
    phase, others = alone(name)
    stability = assess_alone(name)
    ion = Element(mobile_ion_of(phase))
    entries = reference_entries(others.for_system(e.symbol for e in phase.composition))
    candidate = PDEntry(phase.composition, phase.energy_eV_per_atom * phase.composition.num_atoms)
    metal_eV = PhaseDiagram(entries).el_refs[ion].energy_per_atom
    limits_V = np.array([stability.reduction_limit_V, stability.oxidation_limit_V])
    potentials_V = np.array([*np.linspace(0, 6, 13), *(limits_V - 0.002), *(limits_V + 0.002)])
    for potential_V in potentials_V[potentials_V >= 0]:  # below zero the metal is plated
        mu = {ion: metal_eV - potential_V}
        diagram = GrandPotentialPhaseDiagram([*entries, candidate], mu)
        above_eV = diagram.get_e_above_hull(GrandPotPDEntry(candidate, mu))
        inside = limits_V[0] <= potential_V <= limits_V[1]
        assert (above_eV < 1e-7) == inside, f"{potential_V:.3f} V"


@pytest.mark.parametrize("name", [*TERNARIES, *BINARIES])
def test_a_phase_of_the_hull_keeps_its_window_when_it_is_its_own_reference(name):
    phase, _ = alone(name)
    same = assess_stability(
        phase.composition,
        phase.energy_eV_per_atom,
        CHGNET.convention,
        CHGNET,
        mobile_ion_of(phase),
    )
    other = assess_alone(name)
    assert same.e_hull_eV_per_atom == pytest.approx(0, abs=1e-9)
    assert same.decomposition == other.decomposition
    assert same.window_of == "candidate"
    assert same.reduction_limit_V == pytest.approx(other.reduction_limit_V, abs=1e-6)
    assert same.oxidation_limit_V == pytest.approx(other.oxidation_limit_V, abs=1e-6)


def test_metastable_potassium_hexachlorotantalate_iv_sits_in_a_three_phase_field():
    stability = assess_alone("K2TaCl6")
    assert stability.window_of == "equilibrium"
    assert stability.reduction_limit_V == stability.oxidation_limit_V
    own = stability.candidate_window
    assert own.oxidation.reaction == "K2TaCl6 -> KTaCl6 + K"
    assert own.reduction.potential_V > own.oxidation.potential_V


@pytest.fixture(scope="module")
def cubic_ktacl6():
    """Composition and energy per atom: K2PtCl6 type, half of the K removed, relaxed with CHGNet.

    Published cell: Energy Storage Mater. 2024, 103618.
    """
    ideal = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta", "K", "Cl"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    ).get_primitive_structure()
    ideal.remove_sites([ideal.indices_from_symbol("K")[0]])
    maker = ForceFieldRelaxMaker(
        force_field_name="CHGNet",
        steps=1000,
        relax_kwargs={"fmax": 0.03, "final_atoms_object_file": None},
    )
    relaxed = maker.run_ase(ideal)
    assert relaxed.converged
    energy_eV = float(maker.calculator.results["energy"])
    return ideal.composition, energy_eV / len(ideal)


def test_cubic_ktacl6_against_the_published_window(cubic_ktacl6):
    """Published: 2.414-4.826 V, to K2Ta3Cl9 + KCl and TaCl5 + Cl2 (PBE, Materials Project)."""
    stability = assess_stability(
        *cubic_ktacl6,
        CHGNET.convention,
        alone("KTaCl6")[1],
        "K",
    )
    assert stability.window_of == "candidate"
    assert stability.reduction_limit_V == pytest.approx(2.414, abs=0.15)
    assert stability.oxidation_limit_V == pytest.approx(4.826, abs=0.15)
    assert stability.window.reduction.products == ("K2Ta3Cl9", "KCl")
    assert stability.window.oxidation.products == ("Cl2", "TaCl5")
    assert any("anion correction" in caveat for caveat in stability.caveats)


def test_cubic_ktacl6_is_the_reference_phase_of_its_composition(cubic_ktacl6):
    stability = assess_stability(
        *cubic_ktacl6,
        CHGNET.convention,
        CHGNET,
        "K",
    )
    assert stability.e_hull_eV_per_atom < 1e-3


# Published: Adv. Mater. 2023, 2308012. Two of its oxidation limits lie below that of NaCl itself
# with corrected chlorides (4.14 V) and are not to be expected here.
@pytest.mark.parametrize(
    ("formula", "energy_eV_per_atom", "reduction_V", "oxidation_V"),
    [
        ("Na3PS4", None, 1.21, 2.12),
        ("NaTaCl6", None, 2.15, None),
        ("Na3La7Cl24", -5.13752, 0.41, None),
        ("Na3Sm7Cl24", -4.96293, 0.64, 4.25),
    ],
)
def test_sodium_electrolytes_against_published_windows(
    formula, energy_eV_per_atom, reduction_V, oxidation_V
):
    if energy_eV_per_atom is None:
        stability = assess_alone(formula)
    else:  # UCl3 type, relaxed with CHGNet: 3 meV/atom above the hull, 13 with a model of Na3SmCl6
        stability = assess_stability(
            Composition(formula), energy_eV_per_atom, CHGNET.convention, CHGNET, "Na"
        )
        assert stability.e_hull_eV_per_atom < 0.015
        assert stability.window_of == "equilibrium"
    assert stability.reduction_limit_V == pytest.approx(reduction_V, abs=0.2)
    if oxidation_V is not None:
        assert stability.oxidation_limit_V == pytest.approx(oxidation_V, abs=0.2)


def test_samarium_warns_about_its_reduction_limit():
    stability = assess_stability(
        Composition("Na3Sm7Cl24"), -4.96293, CHGNET.convention, CHGNET, "Na"
    )
    assert any("Sm2+" in caveat for caveat in stability.caveats)
