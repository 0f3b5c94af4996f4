"""The four files a run begins with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workflows.rehearsal.incar import Incar
from workflows.rehearsal.kpoints import Kpoints, read_kpoints
from workflows.rehearsal.poscar import Poscar, parse_poscar
from workflows.rehearsal.potcars import Header, read_headers
from workflows.rehearsal.stopped import Stopped
from workflows.rehearsal.tags import check_files, check_tags


@dataclass(frozen=True)
class Inputs:
    """What a folder asks for.

    Args:
        folder: it.
        incar: tags, all of which are understood.
        poscar: crystal.
        kpoints: its mesh.
        headers: potentials, in the order of the crystal's blocks.
    """

    folder: Path
    incar: Incar
    poscar: Poscar
    kpoints: Kpoints
    headers: tuple[Header, ...]

    @property
    def n_electrons(self) -> float:
        """Of the neutral cell."""
        blocks = zip(self.headers, self.poscar.counts, strict=True)
        return sum(header.n_valence * n for header, n in blocks)


def read_inputs(folder: Path) -> Inputs:
    """Read and check what a run needs.

    Raises:
        Stopped: a file is missing or cannot be read, the potentials are not those of the crystal,
            or the folder asks for what a rehearsal cannot do.
    """
    incar = Incar.parse(_read(folder / "INCAR", "No INCAR found, STOPPING"))
    check_tags(incar)
    check_files(folder)
    poscar_text = _read(folder / "POSCAR", "ERROR: no POSCAR found, STOPPING")
    headers = read_headers(_read(folder / "POTCAR", "ERROR: no POTCAR found, STOPPING"))
    poscar = parse_poscar(poscar_text, [header.symbol for header in headers])
    if [header.symbol for header in headers] != list(poscar.symbols):
        raise Stopped(
            f"ERROR: the type information on POSCAR and POTCAR are incompatible: POSCAR holds "
            f"{' '.join(poscar.symbols)}, POTCAR {' '.join(header.label for header in headers)}; "
            "needed: the same elements in the same order"
        )
    mesh = folder / "KPOINTS"
    kpoints = read_kpoints(mesh.read_text() if mesh.is_file() else None, incar, poscar)
    inputs = Inputs(folder, incar, poscar, kpoints, tuple(headers))
    n_electrons = incar.real("NELECT", inputs.n_electrons)
    if abs(n_electrons - inputs.n_electrons) > 1e-3:
        raise Stopped(
            f"NELECT = {n_electrons:g} charges the cell, which CHGNet cannot; allowed: "
            f"{inputs.n_electrons:g}, the neutral cell, or no NELECT"
        )
    return inputs


def _read(path: Path, message: str) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError as error:
        raise Stopped(f"{message}: {path} is missing") from error
