"""POTCAR: headers read, and a library of headers alone, where there is no licence.

The library holds nothing of VASP's potentials: a title that says "rehearsal", and numbers that are
public (valence electrons, masses) or made up to be reasonable (cutoffs).
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ase.data import atomic_masses, atomic_numbers

from screening.errors import InvalidInput
from workflows.rehearsal import NOTICE
from workflows.rehearsal.stopped import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86)
_CLOSED_D_SHELL = 10
_CLOSED_F_SHELL = 14
_FIRST_F_PERIOD = 54  # electrons before the sixth period, the first that fills f shells
_HEAVIEST = 94  # plutonium, the last one that CHGNet and pymatgen's sets know
_TITLE = re.compile(r"TITEL\s*=\s*(.+)")
_NUMBER = r"\s*=\s*([-+.\dEe]+)"
_ENMAX_EV = {"_s": 200.0, "_h": 700.0, "_sv": 350.0, "_pv": 300.0}
_USUAL_ENMAX_EV = {"H": 250.0, "B": 319.0, "C": 400.0, "N": 400.0, "O": 400.0, "F": 400.0}


@dataclass(frozen=True)
class Header:
    """What the stand-in reads of one potential.

    Args:
        label: such as K_sv.
        title: the line TITEL.
        n_valence: electrons, ZVAL.
        cutoff_eV: ENMAX.
        mass_u: POMASS.
    """

    label: str
    title: str
    n_valence: float
    cutoff_eV: float
    mass_u: float

    @property
    def symbol(self) -> str:
        """Of the element."""
        return self.label.split("_")[0]


def read_headers(text: str) -> list[Header]:
    """The potentials of a POTCAR, in its order.

    Raises:
        Stopped: one that lacks TITEL, ZVAL or ENMAX.
    """
    headers = []
    for part in re.split(r"End of Dataset", text)[:-1]:
        title = _TITLE.search(part)
        numbers = {tag: re.search(tag + _NUMBER, part) for tag in ("ZVAL", "ENMAX", "POMASS")}
        if title is None or any(match is None for match in numbers.values()):
            raise Stopped("ERROR: POTCAR cannot be read; needed: TITEL, ZVAL, ENMAX and POMASS")
        values = [float(match[1].rstrip(";")) for match in numbers.values() if match]
        headers.append(Header(title[1].split()[1], title[1].strip(), *values))
    if not headers:
        raise Stopped("ERROR: POTCAR holds no potential that ends in 'End of Dataset'")
    return headers


def n_valence_electrons(label: str) -> int:
    """Electrons that a potential of that name treats, by a rule: the shells that are not full.

    `_pv` adds the p shell below, `_sv` the s shell, too, `_d` a full d shell. Lanthanides and
    actinides have the s and p shells below; with `_2` or `_3` they give so many electrons, and
    their f shell is part of the core.
    """
    symbol, _, suffix = label.partition("_")
    number: int = atomic_numbers[symbol]
    core = max(n for n in _NOBLE_GASES if n < number)
    outer = number - core
    if core >= _FIRST_F_PERIOD and 3 <= outer <= _CLOSED_F_SHELL + 2:
        if suffix[:1].isdigit():
            return int(suffix[0]) + (8 if outer <= 8 else 6)
        return outer + 8
    if core >= _FIRST_F_PERIOD and outer > _CLOSED_F_SHELL + 2:
        outer -= _CLOSED_F_SHELL
    if suffix[:1].isdigit():
        return int(suffix[0]) + 6
    has_d_shell = core >= _NOBLE_GASES[3] and outer > _CLOSED_D_SHELL + 2
    if has_d_shell and not suffix.startswith("d"):
        outer -= _CLOSED_D_SHELL
    if suffix.startswith("pv"):
        outer += 6
    if suffix.startswith("sv"):
        outer += 8 if core > _NOBLE_GASES[1] else 2
    return outer


def header_of(label: str) -> Header:
    """The made-up header of a potential.

    Raises:
        InvalidInput: no element, or one that the stand-in knows nothing of.
    """
    symbol, _, suffix = label.partition("_")
    if not 1 <= atomic_numbers.get(symbol, 0) <= _HEAVIEST:
        raise InvalidInput(
            f"no potential {label!r}; needed: an element up to Pu, such as Cl, K_sv or Ta_pv"
        )
    usual_eV = _USUAL_ENMAX_EV.get(symbol, 250.0)
    return Header(
        label=label,
        title=f"PAW_PBE {label} rehearsal",
        n_valence=float(n_valence_electrons(label)),
        cutoff_eV=_ENMAX_EV.get(f"_{suffix}", usual_eV),
        mass_u=float(atomic_masses[atomic_numbers[symbol]]),
    )


def potcar_text(label: str) -> str:
    """A POTCAR that holds a header and no potential."""
    header = header_of(label)
    return (
        f"  {header.title}\n"
        f"  {header.n_valence:.14f}\n"
        " parameters from PSCTR are:\n"
        f"   VRHFIN ={header.symbol}: {NOTICE}\n"
        "   LEXCH  = PE\n"
        "   EATOM  =   100.0000 eV,    7.3499 Ry\n"
        "\n"
        f"   TITEL  = {header.title}\n"
        "   LULTRA =        F    use ultrasoft PP ?\n"
        "   IUNSCR =        0    unscreen: 0-lin 1-nonlin 2-no\n"
        "   RPACOR =     0.000    partial core radius\n"
        f"   POMASS = {header.mass_u:8.3f}; ZVAL   = {header.n_valence:8.3f}    mass and valenz\n"
        "   RCORE  =     2.000    outmost cutoff radius\n"
        f"   ENMAX  = {header.cutoff_eV:8.3f}; ENMIN  = {0.75 * header.cutoff_eV:8.3f} eV\n"
        "   LPAW   =        T    paw PP\n"
        "\n"
        " END of PSCTR-controll parameters\n"
        " local part\n"
        "  0.0 0.0 0.0\n"
        " End of Dataset\n"
    )


def write_potcars(folder: Path, labels: Iterable[str], functional: str = "PBE") -> None:
    """Write a library as pymatgen's PMG_VASP_PSP_DIR expects it; several processes may do so.

    Args:
        folder: of the library; made if need be.
        labels: such as K_sv and Cl.
        functional: pymatgen's name of the set, such as PBE or PBE_54.

    Raises:
        InvalidInput: a label that names no element, or a functional that pymatgen does not know.
    """
    from pymatgen.io.vasp.inputs import PotcarSingle

    if functional not in PotcarSingle.functional_dir:
        known = ", ".join(PotcarSingle.functional_dir)
        raise InvalidInput(f"no set of potentials {functional!r}; needed: one of {known}")
    for label in labels:
        path = folder / PotcarSingle.functional_dir[functional] / label / "POTCAR"
        text = potcar_text(label)
        if path.exists() and path.read_text() == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".POTCAR-")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
