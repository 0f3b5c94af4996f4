"""Corrected energies of rehearsals are CHGNet's own."""

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.io.vasp.sets import MPStaticSet
from rehearsal_runs import NACL, done, ktacl6

from screening.potential.calculator import PotentialCalculator
from screening.potential.evaluation import Potential
from workflows.engines.chgnet import weights_file
from workflows.rehearsal.corrections import correction_eV, upstream_correction_eV
from workflows.rehearsal.poscar import Poscar


def rock_salt(cation, anion, a_A):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a_A), [cation, anion], [[0] * 3, [0.5] * 3]
    ).get_sorted_structure(lambda site: site.specie.X)


def rutile(cation, anion, a_A, c_A):
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(a_A, c_A), [cation, anion], [[0] * 3, [0.305, 0.305, 0]]
    )


COMPOSITIONS = (
    *("NaCl", "KTaCl6", "K2TaCl6", "TaCl5", "FeF3", "Li3N", "NaH", "AlSb", "ZnSe", "MgTe", "LaBr3"),
    *("CsSnI3", "Na4La3Cl13", "CrF5", "K3Cl", "Ta", "NaBrCl2", "H2", "NF3", "SiCl4", "HgCl"),
    "KMnF3",
)
PYRITE = Structure.from_spacegroup(
    "Pa-3", Lattice.cubic(5.42), ["Fe", "S"], [[0] * 3, [0.385] * 3]
).get_sorted_structure(lambda site: site.specie.X)


@pytest.mark.filterwarnings("ignore:Failed to guess oxidation states")
@pytest.mark.parametrize(
    "structure",
    [
        NACL,
        ktacl6(),
        rock_salt("Mg", "O", 4.21),
        rock_salt("Ni", "O", 4.17),  # with U, as oxide
        rutile("Fe", "F", 4.70, 3.31),  # with U, as fluoride
        PYRITE,
        Structure(Lattice.cubic(3.6), ["Ta"], [[0] * 3]),
    ],
    ids=["NaCl", "KTaCl6", "MgO", "NiO", "FeF2", "FeS2", "Ta"],
)
def test_they_come_back(tmp_path, structure):
    tags = {
        tag: value for tag, value in MPStaticSet(structure).incar.items() if tag.startswith("LDA")
    }
    tags = {tag: " ".join(map(str, v)) if isinstance(v, list) else v for tag, v in tags.items()}
    run_ = done(tmp_path, structure, **tags)
    entry = run_.get_computed_entry(entry_id="rehearsal")
    corrected = MaterialsProject2020Compatibility(check_potcar=False).process_entry(entry)
    atoms = run_.final_structure.to_ase_atoms()
    atoms.calc = PotentialCalculator(Potential(weights_file("0.3.0")))
    expected_eV = atoms.get_potential_energy() / len(atoms)
    assert corrected.energy_per_atom == pytest.approx(expected_eV, abs=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("formula", COMPOSITIONS)
def test_the_rule_without_oxygen_is_pymatgens(formula):
    """On structures that nobody will find: only the composition counts."""
    symbols = tuple(
        str(element) for element, n in Composition(formula).items() for _ in range(int(n))
    )
    n_atoms = len(symbols)
    in_a_row = np.zeros((n_atoms, 3))
    in_a_row[:, 0] = np.arange(n_atoms) / n_atoms
    poscar = Poscar(formula, symbols, n_atoms * (1,), np.diag([3.0 * n_atoms, 3, 3]), in_a_row)
    assert correction_eV(poscar) == pytest.approx(upstream_correction_eV(poscar), abs=1e-9)
