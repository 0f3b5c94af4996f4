"""Energies of VASP runs on the scale of the Materials Project's entries.

Reference:
    Wang, Kingsbury, McDermott, Horton, Jain, Ong, Dwaraknath, Persson, Sci. Rep. 11, 15496 (2021),
    doi:10.1038/s41598-021-94550-5.
"""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING

from screening.errors import InvalidInput, MissingCorrection, MixedConventions
from screening.stability.corrections import halide_anions, holds_halide_corrections

if TYPE_CHECKING:
    from pymatgen.entries.computed_entries import ComputedStructureEntry

_RUN_TYPES = ("GGA", "GGA+U")


def corrected(entry: ComputedStructureEntry) -> ComputedStructureEntry:
    """An entry with its MP2020 corrections, and certainly with those of its halides.

    Raises:
        MixedConventions: of another functional than the Materials Project's GGA and GGA+U.
        InvalidInput: upstream does not accept potentials or Hubbard U of the run.
        MissingCorrection: a halide has lost its correction all the same.
    """
    from pymatgen.analysis.compatibility import (
        CompatibilityError,
        MaterialsProject2020Compatibility,
    )

    require_functional(str(entry.parameters["run_type"]))
    entry = copy.deepcopy(entry)  # upstream writes into it
    scheme = MaterialsProject2020Compatibility()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheme.process_entry(entry, on_error="raise")
            if not holds_halide_corrections(entry.composition, entry.correction_per_atom):
                # upstream could not guess the charges; it takes ours for what is an anion
                anions = dict.fromkeys(halide_anions(entry.composition), -1.0)
                known = entry.data.get("oxidation_states") or {}
                entry.data["oxidation_states"] = known | anions
                scheme.process_entry(entry, on_error="raise")
    except CompatibilityError as error:
        what = str(error).partition(" for {")[0]
        raise InvalidInput(f"not in Materials Project settings: {what}") from error
    if not holds_halide_corrections(entry.composition, entry.correction_per_atom):
        raise MissingCorrection(
            f"{entry.composition.reduced_formula} holds {entry.correction_per_atom:.3f} eV/atom of "
            f"MP2020 corrections, which lack that of {', '.join(halide_anions(entry.composition))};"
            " its window would be wrong by volts; report this composition"
        )
    return entry


def require_functional(run_type: str) -> None:
    """Let the functionals of the Materials Project's GGA entries pass.

    Raises:
        MixedConventions: any other.
    """
    if run_type not in _RUN_TYPES:
        hint = " (leave GGA unset: GGA = PE is not read as PBE)" if run_type == "PBE" else ""
        raise MixedConventions(f"functional {run_type}, needed: {' or '.join(_RUN_TYPES)}{hint}")
