"""The user's structure files: read by pymatgen, after a look at what it would pass over in silence.

Its CIF reader drops sites of negative or unreadable occupancy, and takes the first letters of an
unknown symbol for an element (Foo becomes fluorine).
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from screening.errors import InvalidInput

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from screening.candidate_settings import MobileIon

_GROUPS = {"D", "T", "OH", "OH2", "O-H", "H2O", "Wat"}  # what CIF files hold besides elements


def read_structure(path: Path) -> Structure:
    """The structure of a CIF, POSCAR or whatever else pymatgen reads.

    Raises:
        InvalidInput: there is none in it, or a site holds no element, or more or less than 0 to 1
            atoms.
    """
    from pymatgen.core.structure import Structure

    if not path.is_file():
        raise InvalidInput(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    if path.suffix.lower() in {".cif", ".mcif"}:
        _check_cif(path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            structure = Structure.from_file(path)
        except Exception as error:  # pymatgen's parsers raise whatever they stumble over
            raise InvalidInput(
                f"{path}: cannot be read as a structure: {_reason(error, told)}; needed: a CIF, a "
                "POSCAR or another file that pymatgen reads"
            ) from error
    return structure


def mobile_ion_of(path: Path, structure: Structure) -> MobileIon:
    """The alkali metal that only partly fills its sites, else the most abundant one.

    Raises:
        InvalidInput: there is none.
    """
    partly: defaultdict[str, float] = defaultdict(float)
    everywhere: defaultdict[str, float] = defaultdict(float)
    for site in structure:
        for element, amount in site.species.element_composition.items():
            everywhere[element.symbol] += amount
            if not site.is_ordered:
                partly[element.symbol] += amount
    ions: tuple[MobileIon, ...] = ("Li", "Na", "K")
    for amounts in (partly, everywhere):
        if present := [ion for ion in ions if amounts.get(ion)]:
            return max(present, key=lambda ion: amounts[ion])
    raise InvalidInput(
        f"{path}: no mobile site: the file holds {', '.join(sorted(everywhere))}; needed: Li, Na "
        "or K on some site"
    )


def _reason(error: Exception, told: list[warnings.WarningMessage]) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    reason = str(error) or type(error).__name__
    if isinstance(error, KeyError | IndexError):
        reason = f"{type(error).__name__} {reason}"
    hints = [str(w.message).splitlines()[-1] for w in told if issubclass(w.category, UserWarning)]
    return f"{reason} {hints[-1]}".strip() if hints else reason


def _check_cif(path: Path) -> None:
    """See that every site of a CIF holds a known element, and between 0 and 1 of it.

    Raises:
        InvalidInput: with the sites.
    """
    from pymatgen.io.cif import CifFile, str2float

    try:
        blocks = CifFile.from_file(path).data.values()
    except Exception:  # what is wrong is for the reader of the whole file to say
        return
    for block in (block.data for block in blocks if "_atom_site_fract_x" in block.data):
        labels = block.get("_atom_site_label") or block.get("_atom_site_type_symbol", [])
        for label, symbol in zip(labels, block.get("_atom_site_type_symbol", []), strict=False):
            _check_symbol(path, label, symbol)
        filled: dict[tuple[str, ...], float] = {}
        axes = [block.get(f"_atom_site_fract_{axis}", []) for axis in "xyz"]
        for label, text, *place in zip(
            labels, block.get("_atom_site_occupancy", []), *axes, strict=False
        ):
            try:
                occupancy = 1.0 if text in {".", "?"} else float(str2float(text))
            except ValueError:
                occupancy = float("nan")
            if not 0 <= occupancy <= 1:
                raise InvalidInput(f"{path}: site {label} has the occupancy {text}; needed: 0 to 1")
            key = tuple(place)
            filled[key] = filled.get(key, 0.0) + occupancy
            if filled[key] > 1 + 1e-6:
                raise InvalidInput(
                    f"{path}: occupancies at the place of {label} sum to {filled[key]:.4g}; "
                    "needed: at most 1"
                )


def _check_symbol(path: Path, label: str, symbol: str) -> None:
    from pymatgen.core.periodic_table import Element

    letters = (re.match(r"[A-Za-z]+", symbol) or [""])[0]
    if symbol not in _GROUPS and letters not in _GROUPS:
        if Element.is_valid_symbol(letters.capitalize()):
            return
        raise InvalidInput(
            f"{path}: site {label} holds {symbol}, which is no element; needed: its symbol, such "
            "as K or Ta5+"
        )
