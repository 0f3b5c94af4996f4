"""What is known to be wrong with energies, by element and compound.

It is true of the Materials Project's entries with MP2020 corrections and of potentials trained on
them; of energies without corrections nothing is said here of compounds. Snapshots carry it to every
candidate that it concerns.
"""

from __future__ import annotations

from collections.abc import Iterable

from pymatgen.core.composition import Composition

_HIDDEN_VALENCE = (
    "{0}2+ is described with the potential of {0}3+: its compounds come out far too unstable{1}, "
    "and reduction limits that involve them too low"
)
_ELEMENTS = {
    "Sm": _HIDDEN_VALENCE.format(
        "Sm", " (SmCl2 by 1.4 eV; SmCl3 really reduces near 2.1 V against Na)"
    ),
    "Eu": _HIDDEN_VALENCE.format("Eu", ""),
    "Yb": _HIDDEN_VALENCE.format("Yb", ""),
}
_UNCORRECTED_ELEMENTS = {  # as the weights r2scan have them
    "Sm": _HIDDEN_VALENCE.format(
        "Sm", " (SmCl2 by 1.8 eV; SmCl3 really reduces near 2.1 V against Na)"
    ),
    "Eu": "EuCl3 comes out 1.2 eV per formula unit too unstable against experiment: trust no limit "
    "that involves Eu",
}
_PERCHLORATE = (
    "chlorine in {0} is treated as if it were bound as well as its oxygen: its formation energy is "
    "2.1 eV per formula unit too negative against experiment"
)
_COMPOUNDS = {
    "NaClO4": _PERCHLORATE.format("NaClO4"),
    "KClO4": _PERCHLORATE.format("KClO4"),
    "H2O": "the formation energy of ice is 0.9 eV per formula unit too negative against experiment",
    "TaCl5": "MP2020's anion correction overshoots for molecular TaCl5: its formation energy is "
    "1.9 eV per formula unit too negative against experiment",
    "P2S5": "MP2020's anion correction overshoots for molecular P4S10: its formation energy is "
    "3.0 eV per P4S10 too negative against experiment",
}


def element_caveats(elements: Iterable[str], *, corrected: bool = True) -> dict[str, str]:
    """Symbol -> what is wrong with its compounds, for those of which something is."""
    known = _ELEMENTS if corrected else _UNCORRECTED_ELEMENTS
    return {symbol: known[symbol] for symbol in sorted(elements) if symbol in known}


def compound_caveats(composition: Composition, *, corrected: bool = True) -> tuple[str, ...]:
    """What is wrong with a compound; nothing for most."""
    formula = composition.reduced_formula
    return (_COMPOUNDS[formula],) if corrected and formula in _COMPOUNDS else ()
