"""Oxides, phosphates, sulfides and the like: densities, bonds and bond valences."""

import itertools

import numpy as np
import pytest
from pymatgen.analysis.bond_valence import calculate_bv_sum
from pymatgen.core import Composition, Element
from ruamel.yaml import YAML

from screening.prototypes import phases
from screening.prototypes.phases import (
    formula_amounts,
    is_hypothetical,
    phase_types,
    reference_phase_names,
    reference_source,
    reference_structure,
)
from workflows.config import RelaxSettings
from workflows.engines.chgnet import ChgnetEngine

FILE = phases.resources.files("screening.prototypes").joinpath("phases_oxides.yaml")
TYPES = list(YAML(typ="safe", pure=True).load(FILE.read_text(encoding="utf-8")))
PHASES = [phase for name in TYPES for phase in phase_types()[name].phases]
VALENCES = {  # of cations in phases without charges, by the formula's own chemistry
    "LiFePO4": {"Fe": 2, "P": 5},
    "FePO4": {"Fe": 3, "P": 5},
    "InPO4": {"In": 3, "P": 5},
    "LaPO4": {"La": 3, "P": 5},
    "YPO4": {"Y": 3, "P": 5},
    "NaZr2P3O12": {"Zr": 4, "P": 5},
    "TaPO5": {"Ta": 5, "P": 5},
    "YVO4": {"Y": 3, "V": 5},
    "LaVO4": {"La": 3, "V": 5},
    "InTaO4": {"In": 3, "Ta": 5},
    "YTaO4": {"Y": 3, "Ta": 5},
    "FeTa2O6": {"Fe": 2, "Ta": 5},
    "LaMnO3": {"La": 3, "Mn": 3},
    "YFeO3": {"Y": 3, "Fe": 3},
    "LaCoO3": {"La": 3, "Co": 3},
    "LaCrO3": {"La": 3, "Cr": 3},
    "CrO3": {"Cr": 6},
    "Ta2O5": {"Ta": 5},
    "Nb2O5": {"Nb": 5},
    "V2O5": {"V": 5},
    "VO2": {"V": 4},
    "MoO3": {"Mo": 6},
    "WO3": {"W": 6},
    "NaTaO3": {"Ta": 5},
    "LiTaO3": {"Ta": 5},
    "NaVO3": {"V": 5},
    "Na2CrO4": {"Cr": 6},
    "K2MnO4": {"Mn": 6},
    "KMnO4": {"Mn": 7},
    "LiCoO2": {"Co": 3},
    "NaCrO2": {"Cr": 3},
    "LaOCl": {"La": 3},
    "InOCl": {"In": 3},
    "TaOCl3": {"Ta": 5},
    "Na3PS4": {"P": 5},
}

RELAXED = (
    *("LiH", "MnO", "Na2S", "LiCoO2", "NaCrO2", "NaMnO2", "NaNiO2", "CoO2", "SnO", "VP", "ZnO"),
    *("KNbO3", "KTaO3", "La2O3", "Na3OCl", "CrO2", "FeOCl", "LaOCl", "NbO", "La2NiO4", "FeP"),
    *("TaPO5", "Nb2O5", "Ta2O5 R", "Ta2O5", "Nb2O5 B", "InPO4", "VPO4", "Na2CrO4", "NaV2O5"),
    *("InTaO4", "YTaO4", "Na3PS4", "NaFeO2", "NaCr2O4 layered", "LiCo2O4 layered", "CrO3"),
    *("NaVO3", "NaClO4", "KClO4", "KMnO4", "InVO4", "K2CrO4", "Li3PO4", "FePO4 berlinite"),
    *("Na2O2", "Li2O2", "NaO2", "KO2", "V2O5", "MoO3", "LiTaO3", "NaTaO3", "SmTaO4", "LaCrO3"),
    *("YFeO3", "LiFePO4", "FePO4", "Na3V2P3O12", "ZrP2O7", "YPO4", "LaPO4", "YVO4", "YMnO3"),
    *("MnNiO3", "LaMnO3", "Li2OHCl", "P4O10", "Na3PO4"),
)
CHANGES_PERCENT = {  # volumes further than 10 % from the measured: between 10 and this, and why
    "CoO2": (17, "layers held by dispersion, which PBE lacks"),
    "SnO": (19, "layers held by dispersion, which PBE lacks"),
    "FeOCl": (14, "layers held by dispersion, which PBE lacks"),
    "ZrP2O7": (13, "the parent cell, whose P-O-P and Zr-O-P angles are straight"),
}


@pytest.fixture(scope="module")
def engine():
    return ChgnetEngine("0.3.0")


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate:RuntimeWarning")
@pytest.mark.slow
@pytest.mark.parametrize("phase", RELAXED)
def test_relaxing_keeps_space_group_and_measured_volume(phase, engine):
    structure = reference_structure(phase).get_primitive_structure()
    relaxation = engine.relax(structure, RelaxSettings())
    change_percent = abs(relaxation.volume_change_percent)
    if phase in CHANGES_PERCENT:
        assert 10 < change_percent < CHANGES_PERCENT[phase][0]
    else:
        assert change_percent < 10
    groups = [s.get_space_group_info(0.1)[0] for s in (structure, relaxation.structure)]
    assert groups[0] == groups[1]


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_has_a_source_of_its_own_type(phase):
    assert len(reference_source(phase)) > 15
    assert "placeholder" not in reference_source(phase)


@pytest.mark.parametrize(
    ("phase", "density_g_cm3"),
    [  # CRC Handbook of Chemistry and Physics: weighed, independent of diffraction
        ("Al2O3", 3.99),
        ("Cr2O3", 5.22),
        ("Fe2O3", 5.25),
        ("Fe3O4", 5.17),
        ("V2O3", 4.87),
        ("V2O5", 3.35),
        ("VO2", 4.339),
        ("Ta2O5", 8.24),
        ("Nb2O5", 4.60),
        ("MoO3", 4.70),
        ("MoO2", 6.47),
        ("WO3", 7.2),
        ("ZrO2", 5.68),
        ("HfO2", 9.68),
        ("Y2O3", 5.03),
        ("La2O3", 6.51),
        ("In2O3", 7.18),
        ("ZnO", 5.6),
        ("SnO", 6.45),
        ("MnO", 5.37),
        ("Mn3O4", 4.84),
        ("Mn2O3", 5.0),
        ("MnO2", 5.08),
        ("CrO3", 2.7),
        ("NiO", 6.72),
        ("CoO", 6.44),
        ("Co3O4", 6.11),
        ("Li2O2", 2.31),
        ("Na2O2", 2.805),
        ("KO2", 2.16),
        ("NaO2", 2.2),
        ("H2O", 0.93),
        ("Na2S", 1.856),
        ("Li2S", 1.64),
        ("K2S", 1.74),
        ("S", 2.07),
        ("P", 2.69),
        ("P4O10", 2.30),
        ("LiH", 0.78),
        ("NaH", 1.39),
        ("KH", 1.43),
        ("Na2CrO4", 2.72),
        ("K2CrO4", 2.73),
        ("KMnO4", 2.7),
        ("KClO4", 2.52),
        ("NaClO4", 2.52),
        ("NaClO3", 2.5),
        ("Li3PO4", 2.46),
        ("AlPO4", 2.56),
        ("LiNbO3", 4.30),
        ("NaFeO2", 3.4),
        ("InPO4", 4.9),
        ("Fe2P", 6.8),
        ("Ni2P", 7.33),
        ("BiOCl", 7.72),
        ("FeOCl", 3.6),
    ],
)
def test_densities_are_the_measured_ones(phase, density_g_cm3):
    assert reference_structure(phase).density == pytest.approx(density_g_cm3, rel=0.08)


@pytest.mark.parametrize(
    ("phase", "pair", "bonds_A"),
    [
        ("Li2O2", ("O", "O"), [1.55]),  # Cota and de la Mora, Acta Cryst. B 61, 133 (2005)
        ("Na2O2", ("O", "O"), [1.50]),
        ("KO2", ("O", "O"), [1.28]),
        ("NaO2", ("O", "O"), [1.33]),
        ("Na2S2", ("S", "S"), [2.15]),
        ("S", ("S", "S"), [2.05, 2.05]),
        ("P", ("P", "P"), [2.22, 2.22, 2.24]),
        ("H2", ("H", "H"), [0.74]),
        ("Cr2O3", ("Cr", "O"), [1.97] * 3 + [2.01] * 3),
        ("V2O5", ("V", "O"), [1.58, 1.78, 1.88, 1.88, 2.02]),
        ("Na3PS4", ("P", "S"), [2.05] * 4),
        ("LiFePO4", ("P", "O"), [1.54] * 4),
        ("Na2CrO4", ("Cr", "O"), [1.65] * 4),
        ("KMnO4", ("Mn", "O"), [1.61] * 4),
        ("KClO4", ("Cl", "O"), [1.44] * 4),
        ("LaOCl", ("La", "O"), [2.40] * 4),
    ],
)
def test_bond_lengths_are_the_published_ones(phase, pair, bonds_A):
    structure = reference_structure(phase)
    symbols = np.array([site.specie.symbol for site in structure])
    centre = list(symbols).index(pair[0])
    around = structure.get_neighbors(structure[centre], 4)
    found = sorted(n.nn_distance for n in around if n.specie.symbol == pair[1])
    assert found[: len(bonds_A)] == pytest.approx(bonds_A, abs=0.08)


@pytest.mark.parametrize("phase", VALENCES)
def test_bond_valences_give_the_charges_of_the_formula(phase):
    structure = reference_structure(phase).copy().remove_oxidation_states()
    for site in structure:
        valence = VALENCES[phase].get(site.specie.symbol)
        if valence is not None:
            total = abs(calculate_bv_sum(site, structure.get_neighbors(site, 4.0)))
            # phosphorus comes out high with the parameters in pymatgen, in every phosphate
            assert 0.75 * valence < total < (1.6 if site.specie.symbol == "P" else 1.25) * valence


@pytest.mark.parametrize("phase", [p for p in PHASES if {"P", "O"} <= formula_amounts(p).keys()])
def test_phosphorus_is_in_tetrahedra_of_oxygen(phase):
    structure = reference_structure(phase)
    for site in structure:
        if site.specie.symbol == "P":
            bonds_A = sorted(n.nn_distance for n in structure.get_neighbors(site, 3.3))
            assert 1.35 < bonds_A[0] <= bonds_A[3] < 1.85
            assert all(bond_A > 2.2 for bond_A in bonds_A[4:])


@pytest.mark.parametrize("phase", PHASES)
def test_like_charged_atoms_keep_apart(phase):
    """No two metals within 2.3 Å, no oxygen within 2.1 Å of another but in peroxides."""
    structure = reference_structure(phase)
    distances_A = structure.distance_matrix + 9 * np.eye(len(structure))
    elements = [Element(site.specie.symbol) for site in structure]
    oxygen = [i for i, element in enumerate(elements) if element.symbol == "O"]
    metals = [i for i, element in enumerate(elements) if element.is_metal]
    if metals:
        assert distances_A[np.ix_(metals, metals)].min() > 2.3
    if oxygen and phase not in ("Li2O2", "Na2O2", "NaO2", "KO2"):
        assert distances_A[np.ix_(oxygen, oxygen)].min() > 2.1


@pytest.mark.parametrize(
    ("phase", "charges"),
    [
        ("LaOCl", {"La": 3, "O": -2, "Cl": -1}),
        ("Na3PS4", {"Na": 1, "P": 5, "S": -2}),
        ("LiCoO2", {"Li": 1, "Co": 3, "O": -2}),
        ("Na3P", {"Na": 1, "P": -3}),
    ],
)
def test_charges_follow_where_one_element_is_open(phase, charges):
    composition = reference_structure(phase).composition
    assert {s.element.symbol: s.oxi_state for s in composition} == charges


@pytest.mark.parametrize("phase", ["Li2O2", "KO2", "LiH", "Fe3O4", "LaCrO3", "KClO4", "Fe2P", "P"])
def test_peroxides_mixed_valence_and_two_open_elements_carry_no_charges(phase):
    assert all(isinstance(site.specie, Element) for site in reference_structure(phase))


def test_models_of_unknown_structures_say_so():
    assert [p for p in PHASES if is_hypothetical(p)] == ["TaOCl3", "Na3PO4", "Ta2O5 R"]


@pytest.mark.parametrize(
    "system",
    [
        ("Na", "Cr", "O"),
        ("Na", "V", "P", "O"),
        ("Li", "Co", "O"),
        ("Li", "Fe", "P", "O"),
        ("K", "Mn", "O"),
        ("Na", "P", "S"),
        ("Li", "K", "O", "H", "Cl"),
    ],
)
def test_systems_of_the_interfaces_have_every_element_and_compounds_between(system):
    found = {
        frozenset(e.symbol for e in Composition(name.partition(" ")[0]))
        for name in reference_phase_names()
    }
    assert {frozenset([element]) for element in system} <= found
    oxides = [frozenset(pair) for pair in itertools.combinations(system, 2) if "O" in pair]
    assert {pair for pair in oxides if "Cl" not in pair} <= found


def test_a_phase_described_twice_is_refused(tmp_path, monkeypatch):
    text = FILE.read_text(encoding="utf-8")
    (tmp_path / "phases.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "phases_more.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(phases.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match=r"phases_more\.yaml describes CoO, FeO, MnO, .* again"):
        phase_types.__wrapped__()
