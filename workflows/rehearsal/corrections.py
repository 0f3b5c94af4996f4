"""The Materials Project's corrections of 2020, which are in CHGNet's energies and not in VASP's.

pymatgen adds them to GGA and GGA+U runs. What it is going to add does not depend on the U of a run,
as it drops runs with another U than the Materials Project's, so that the structure says it all.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymatgen.core import Composition

    from workflows.rehearsal.poscar import Poscar

_ANIONS = ("Br", "I", "Se", "Si", "Sb", "Te", "H", "N", "F", "Cl")
_SITES_FOR_OXIDATION_STATES = -20
_OF_STRUCTURE = ("O", "S")  # depend on who is bonded to whom


def correction_eV(poscar: Poscar) -> float:
    """What `MaterialsProject2020Compatibility` adds to the energy of a cell.

    pymatgen's own class takes a second to import; without oxygen and sulphur, only the composition
    counts, and the same rule is applied here.
    """
    from pymatgen.core import Composition

    composition = Composition(poscar.formula)
    if len(composition) == 1:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of electronegativities and oxidation states unknown
        if any(symbol in composition for symbol in _OF_STRUCTURE):
            return upstream_correction_eV(poscar)
        return _of_composition_eV(composition)


def upstream_correction_eV(poscar: Poscar) -> float:
    """As pymatgen's class says."""
    from pymatgen.core import Structure
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    structure = Structure(poscar.cell_A, poscar.species, poscar.fractional)
    scheme = MaterialsProject2020Compatibility(check_potcar=False)
    anion = max(structure.composition.elements, key=lambda element: element.X).symbol
    parameters = {"run_type": "GGA+U", "hubbards": scheme.u_settings.get(anion, {})}
    entry = ComputedStructureEntry(structure, 0.0, parameters=parameters)
    return float(sum(adjustment.value for adjustment in scheme.get_adjustments(entry)))


def _of_composition_eV(composition: Composition) -> float:
    corrections = _tables()["Corrections"]
    try:
        guesses = composition.oxi_state_guesses(max_sites=_SITES_FOR_OXIDATION_STATES)
    except ValueError:  # too large a formula
        guesses = ()
    states = guesses[0] if guesses else {}
    most_negative = max(composition.elements, key=lambda element: element.X).symbol
    total_eV = 0.0
    for anion in _ANIONS:
        if anion not in composition or anion not in corrections["CompositionCorrections"]:
            continue
        state = states.get(anion, 0)
        if state <= -1 or (state >= 0 and anion == most_negative):
            total_eV += corrections["CompositionCorrections"][anion] * composition[anion]
    mixing_eV = corrections["GGAUMixingCorrections"].get(most_negative, {})
    for element, amount in composition.items():
        total_eV += mixing_eV.get(element.symbol, 0.0) * amount
    return total_eV


def _tables() -> dict[str, Any]:
    from monty.serialization import loadfn

    package = importlib.util.find_spec("pymatgen.analysis.compatibility")
    assert package is not None
    assert package.origin is not None
    tables: dict[str, Any] = loadfn(Path(package.origin).parent / "MP2020Compatibility.yaml")
    return tables
