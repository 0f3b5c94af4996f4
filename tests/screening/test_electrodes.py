"""Electrodes: exact compositions, states of charge that belong together, sensible contacts."""

import numpy as np
import pytest
from pymatgen.analysis.bond_valence import calculate_bv_sum
from pymatgen.core import Composition, Element

from screening.errors import InvalidInput
from screening.prototypes.electrodes import electrode_names, load_electrode
from screening.prototypes.phases import reference_phase_names, reference_source

ASKED_FOR = (
    *("NaCrO2", "Na3V2(PO4)3", "Na0.85Mn0.5Ni0.4Fe0.1O2", "LiCoO2", "LiFePO4", "K0.45MnO2"),
    *("K", "Na", "Li"),
)
CHARGING = [  # full and empty state of one electrode
    ("NaCrO2", "Na0.5CrO2"),
    ("Na3V2(PO4)3", "NaV2(PO4)3"),
    ("Na0.85Mn0.5Ni0.4Fe0.1O2", "Na0.35Mn0.5Ni0.4Fe0.1O2"),
    ("LiCoO2", "Li0.5CoO2"),
    ("LiFePO4", "FePO4"),
    ("K0.45MnO2", "K0.25MnO2"),
]
CONTACTS_A = {"Li": (1.9, 2.4), "Na": (2.1, 2.8), "K": (2.5, 3.2), "P": (1.4, 1.6)}
TRANSITION_METALS_A = (1.75, 2.2)


def test_the_electrodes_asked_for_are_there():
    assert set(ASKED_FOR) <= set(electrode_names())
    assert len(electrode_names()) == len(set(electrode_names()))


def test_names_by_mobile_ion_share_out_all_electrodes():
    by_ion = [name for ion in ("Li", "Na", "K") for name in electrode_names(ion)]
    assert sorted(by_ion) == sorted(electrode_names())
    assert electrode_names("Cs") == []


@pytest.mark.parametrize("name", electrode_names())
def test_the_structure_has_exactly_the_composition(name):
    electrode = load_electrode(name)
    written = Composition(electrode.formula).fractional_composition
    held = Composition(electrode.structure.composition.get_el_amt_dict()).fractional_composition
    assert written.almost_equals(held, rtol=0, atol=1e-9)
    assert len(electrode.structure.get_primitive_structure()) < 80
    assert electrode.phase in reference_phase_names()
    assert reference_source(electrode.phase)


@pytest.mark.parametrize(("full", "empty"), CHARGING)
def test_charging_takes_nothing_but_the_mobile_ion_and_raises_the_potential(full, empty):
    full, empty = load_electrode(full), load_electrode(empty)
    assert full.mobile_ion == empty.mobile_ion
    assert empty.state == f"de{full.state}"
    ion = Element(full.mobile_ion)
    hosts = []
    for electrode in (full, empty):
        amounts = electrode.structure.composition.get_el_amt_dict()
        amounts.pop(ion.symbol, None)
        hosts.append(Composition(amounts).reduced_formula)
    assert hosts[0] == hosts[1]
    assert full.structure.composition.get_atomic_fraction(ion) > (
        empty.structure.composition.get_atomic_fraction(ion)
    )
    assert 0 < full.potential_V < empty.potential_V < 5


@pytest.mark.parametrize("name", ["Li", "Na", "K"])
def test_a_metal_is_at_zero(name):
    metal = load_electrode(name)
    assert (metal.potential_V, metal.state, metal.mobile_ion) == (0, "metal", name)
    assert len(metal.structure) == 1


@pytest.mark.parametrize("name", [n for n in electrode_names() if "O" in n])
def test_cations_have_oxygen_at_the_distances_of_their_kind(name):
    structure = load_electrode(name).structure
    symbols = np.array([site.specie.symbol for site in structure])
    distances_A = structure.distance_matrix
    for i, symbol in enumerate(symbols):
        if symbol != "O":
            shortest_A, longest_A = CONTACTS_A.get(symbol, TRANSITION_METALS_A)
            assert shortest_A < distances_A[i][symbols == "O"].min() < longest_A


@pytest.mark.parametrize(
    ("name", "metal", "valence"),
    [("Na3V2(PO4)3", "V", 3), ("LiCoO2", "Co", 3), ("LiFePO4", "Fe", 2), ("FePO4", "Fe", 3)],
)
def test_bond_valences_of_the_redox_metal(name, metal, valence):
    structure = load_electrode(name).structure
    structure = structure.copy().remove_oxidation_states()
    for site in structure:
        if site.specie.symbol == metal:
            total = calculate_bv_sum(site, structure.get_neighbors(site, 3.5))
            assert abs(total) == pytest.approx(valence, rel=0.1)


def test_ordered_cells_have_the_space_groups_of_the_measured_orders():
    groups = {
        name: load_electrode(name).structure.get_space_group_info(0.01)[0]
        for name in ("Li0.5CoO2", "Na3V2(PO4)3")
    }
    assert groups == {"Li0.5CoO2": "P2/m", "Na3V2(PO4)3": "C2/c"}


def test_what_an_electrode_is_needs_no_structure(monkeypatch):
    """Reading all structures takes a second, and interfaces take energies from a snapshot."""

    def unwanted(name):
        raise AssertionError(name)

    monkeypatch.setattr("screening.prototypes.electrodes.reference_structure", unwanted)
    assert load_electrode("NaCrO2").potential_V > 0


def test_other_spellings_find_the_electrode():
    assert load_electrode("CoLiO2").name == "LiCoO2"
    assert load_electrode("Na3V2P3O12").name == "Na3V2(PO4)3"
    assert load_electrode("K9Mn20O40").name == "K0.45MnO2"


@pytest.mark.parametrize("name", ["LiCoO3", "graphite"])
def test_an_unknown_electrode_names_the_nearest_and_all(name):
    with pytest.raises(InvalidInput, match=rf'no electrode "{name}"; the nearest is .*K0\.45MnO2'):
        load_electrode(name)
