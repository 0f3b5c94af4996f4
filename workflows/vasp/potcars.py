"""Which POTCARs a campaign needs, whether they are there, and stand-ins for a rehearsal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pymatgen.core import SETTINGS
from pymatgen.io.vasp.inputs import PotcarSingle
from pymatgen.io.vasp.sets import MPRelaxSet

LIBRARY_VARIABLE = "PMG_VASP_PSP_DIR"
FUNCTIONAL = "PBE"
"""The potentials without a version, which the Materials Project's GGA energies are of."""


def potcar_labels(symbols: Iterable[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """POTCAR label of each element: the Materials Project's, unless another one is chosen.

    Raises:
        KeyError: an element that has none.
    """
    theirs: dict[str, str] = MPRelaxSet.CONFIG["POTCAR"]
    return {symbol: chosen.get(symbol) or theirs[symbol] for symbol in symbols}


def library() -> Path | None:
    """Where pymatgen looks for POTCARs; None where it was never told."""
    folder = SETTINGS.get(LIBRARY_VARIABLE)
    return Path(folder).expanduser() if folder else None


def missing_labels(labels: Iterable[str]) -> list[str]:
    """Those that pymatgen would not find."""
    folder = library()
    return [label for label in labels if folder is None or not _is_there(folder, label)]


def _is_there(folder: Path, label: str) -> bool:
    """In any of the places and spellings that pymatgen tries."""
    name = PotcarSingle.functional_dir[FUNCTIONAL]
    files = (
        place / file
        for place in (folder / name, folder)
        for file in (f"{label}/POTCAR", f"POTCAR.{label}")
    )
    return any(
        file.with_name(file.name + suffix).is_file()
        for file in files
        for suffix in ("", ".gz", ".Z", ".bz2")
    )


@contextlib.contextmanager
def synthetic_library(labels: Iterable[str], folder: Path) -> Iterator[None]:
    """Pymatgen finds POTCARs without any potential in them, made in `folder`."""
    from workflows.rehearsal.potcars import write_potcars

    write_potcars(folder, labels, FUNCTIONAL)
    before = SETTINGS.get(LIBRARY_VARIABLE)
    SETTINGS[LIBRARY_VARIABLE] = str(folder)
    try:
        yield
    finally:
        SETTINGS[LIBRARY_VARIABLE] = before
