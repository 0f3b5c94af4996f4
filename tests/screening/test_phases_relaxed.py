"""Reference phases at rest in the embedded potential: symmetry and measured volumes stand."""

from importlib import resources

import pytest
import spglib
from ruamel.yaml import YAML

from screening.prototypes.phases import ASE_ELEMENTS, phase_types, reference_structure
from screening.stability.references import ReferencePhases
from workflows.config import RelaxSettings
from workflows.engines.chgnet import ChgnetEngine

FILES = [
    resources.files("screening.prototypes").joinpath(name)
    for name in ("phases.yaml", "phases_ternary_halides.yaml")  # for oxides: test_phases_oxides.py
]
NAMES = [name for f in FILES for name in YAML(typ="safe", pure=True).load(f.read_text("utf-8"))]
OWN = [phase_types()[name].formula for name in NAMES]
MEMBERS = (
    *("LiF", "LiCl", "KCl", "KBr", "NaI", "CsBr", "BaF2", "SrCl2", "Na2O", "K2O", "ZnF2", "SnO2"),
    *("CaBr2", "BaCl2", "BaBr2", "FeCl2", "CoCl2", "NiBr2", "MgBr2", "VCl2", "TiBr2", "NbF4"),
    *("NdF3", "SmF3", "DyF3", "ErF3", "AlF3", "GaF3", "InF3", "CoF3", "CeCl3", "NdCl3", "SmCl3"),
    *("LaBr3", "ScCl3", "TiCl3", "VCl3", "FeCl3", "YI3", "NdI3", "YbCl3", "Nd", "Pr", "Li hcp"),
    *("HfCl4", "TaCl4", "TaCl5", "CdCl2", "CaI2", "ErCl3", "LuCl3", "InCl3", "YBr3", "LaI3"),
    *("GdCl3", "SmCl2", "SnCl2", "YbF2", "HfCl", "ZrF4", "TaF5", "BiCl3", "K2ZrCl6", "K2HfCl6"),
    *("Li3YCl6", "Li3ScCl6", "Li3YBr6", "Na3YCl6", "Na3ErCl6", "Li2HfCl6", "Na2MgCl4", "NaMgCl3"),
    *("LiGaCl4", "NaGaCl4", "KCaCl3", "KMnCl3", "K2MgCl4", "K2CoCl4", "Li2FeCl4", "NaTaF6"),
)
DISPERSION = "layers or chains held by dispersion, which PBE lacks"
MOLECULES = "molecules held by dispersion, which PBE lacks"
F_SHELL = "valence or localisation of the f shell, which the potential does not tell"
CHANGES_PERCENT = {  # volumes further than 10 % from the measured: between 10 and this, and why
    "MgCl2": (13, DISPERSION),
    "CdCl2": (18, DISPERSION),
    "CdI2": (15, DISPERSION),
    "CaI2": (15, DISPERSION),
    "SnCl2": (16, DISPERSION),
    "ZnCl2": (13, "tetrahedra joined at corners, soft to turning"),
    "SnF4": (17, DISPERSION),
    "ZrCl2": (18, DISPERSION),
    "ZrCl3": (15, DISPERSION),
    "Nb3Cl8": (13, DISPERSION),
    "SnBr2": (18, DISPERSION),
    "SbBr3": (16, DISPERSION),
    "MoCl3": (45, "layers, whose pairs of molybdenum the potential takes apart"),
    "NaSbF6": (13, "octahedra that only sodium holds together"),
    "Na2ZnCl4": (18, "tetrahedra of zinc too large, as in ZnCl2"),
    "LiGaCl4": (16, "GaCl4 tetrahedra that only lithium holds together"),
    "YCl3": (16, DISPERSION),
    "InCl3": (16, DISPERSION),
    "ErCl3": (17, DISPERSION),
    "LuCl3": (13, DISPERSION),
    "BiI3": (20, DISPERSION),
    "YBr3": (22, DISPERSION),
    "TbCl3": (13, DISPERSION),
    "LaI3": (13, DISPERSION),
    "ZrCl4": (16, DISPERSION),
    "HfCl4": (15, DISPERSION),
    "NbCl4": (26, DISPERSION),
    "TaCl4": (25, DISPERSION),
    "NbCl5": (23, MOLECULES),
    "TaCl5": (33, MOLECULES),
    "WCl6": (31, MOLECULES),
    "SnI4": (31, MOLECULES),
    "GaBr3": (55, MOLECULES),
    "TiCl4": (22, MOLECULES),
    "SbCl5": (24, MOLECULES),
    "I2": (34, MOLECULES),
    "Cl2": (65, MOLECULES),
    "O2": (26, MOLECULES),
    "GdCl3": (17, "not understood: GdF3 and Gd itself are within 4 %"),
    "SmCl2": (19, F_SHELL),
    "YbF2": (14, F_SHELL),
    "Eu": (14, F_SHELL),
    "Ce": (26, F_SHELL),
    "Sn": (13, "white tin is not a ground state of PBE"),
}
OTHER_SPACE_GROUPS = {
    "NbCl5": ({"C2/m", "P-1"}, "bridges of the dimers turn uneven, along a nearly flat valley"),
}


@pytest.fixture(scope="module")
def engine():
    return ChgnetEngine("0.3.0")


def space_group(structure, symprec):
    kinds = [site.specie.Z for site in structure]
    cell = (structure.lattice.matrix, structure.frac_coords, kinds)
    return spglib.get_symmetry_dataset(cell, symprec=symprec).international


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate:RuntimeWarning")
@pytest.mark.slow
@pytest.mark.parametrize("phase", [*OWN, *MEMBERS, *ASE_ELEMENTS])
def test_relaxing_keeps_space_group_and_measured_volume(phase, engine):
    structure = reference_structure(phase).get_primitive_structure()
    relaxation = engine.relax(structure, RelaxSettings())
    change_percent = abs(relaxation.volume_change_percent)
    if phase in CHANGES_PERCENT:
        bound_percent, _ = CHANGES_PERCENT[phase]
        assert 10 < change_percent < bound_percent
    else:
        assert change_percent < 10
    expected, _ = OTHER_SPACE_GROUPS.get(phase, ({space_group(structure, 0.01)}, ""))
    assert space_group(relaxation.structure, 0.05) in expected


SHARED = ("K", "Na", "Li", "Ta", "La", "Sm", "Y", "Cl2", "KCl", "NaCl", "LiCl", "LaCl3", "YCl3")


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate:RuntimeWarning")
@pytest.mark.slow
@pytest.mark.parametrize("phase", SHARED)
def test_energies_are_those_of_the_snapshot_made_from_other_starts(phase, engine):
    structure = reference_structure(phase).get_primitive_structure()
    snapshot = ReferencePhases.load("chgnet-0.3.0").phases
    expected = {known.name: known.energy_eV_per_atom for known in snapshot}[phase]
    energy_eV_per_atom = engine.relax(structure, RelaxSettings()).energy_eV_per_atom
    assert energy_eV_per_atom == pytest.approx(expected, rel=0, abs=0.0005)
