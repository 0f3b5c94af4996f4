"""Small real campaigns for tests: binary halides, a few atoms, the embedded potential."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from pymatgen.core import Lattice, Structure

CONFIG = """\
name: small
candidates:
  files:
{files}
relax: {{max_force_eV_per_A: 0.1}}
{dynamics}
gates: {{max_e_hull_eV_per_atom: {max_e_hull}}}
"""
DYNAMICS = """\
dynamics:
  temperatures_K: {temperatures}
  heating_ps: 0.02
  equilibration_ps: 0.02
  production_ps: 0.2
  frame_interval_fs: 10
  checkpoint_ps: 0.02
  min_cell_width_A: 3"""


def rock_salt(cation: str, anion: str, lattice_constant_A: float) -> Structure:
    lattice = Lattice.cubic(lattice_constant_A)
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure.from_spacegroup("Fm-3m", lattice, [cation, anion], sites)


def overlapping() -> Structure:
    """KCl with one chlorine on top of another."""
    structure = rock_salt("K", "Cl", 6.3)
    structure.append("Cl", [0.5, 0.5, 0.52])
    return structure


def write_campaign(
    folder: Path,
    structures: dict[str, tuple[str, Structure]],
    temperatures: tuple[float, ...] = (300.0, 600.0),
    max_e_hull: float = 0.05,
) -> Path:
    """A campaign over `structures`: name -> (mobile ion, structure); dynamics if temperatures."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, (ion, structure) in structures.items():
        structure.to(str(folder / f"{name}.cif"))
        lines.append(f"    - {{path: {name}.cif, mobile_ion: {ion}}}")
    config = folder / "campaign.yaml"
    dynamics = (
        DYNAMICS.format(temperatures=list(temperatures)) if temperatures else "dynamics: null"
    )
    config.write_text(
        CONFIG.format(files="\n".join(lines), dynamics=dynamics, max_e_hull=max_e_hull)
    )
    return config


SMALL = {
    "kcl-a": ("K", rock_salt("K", "Cl", 6.2).get_primitive_structure()),
    "nacl-a": ("Na", rock_salt("Na", "Cl", 5.6).get_primitive_structure()),
    "licl-a": ("Li", rock_salt("Li", "Cl", 5.2).get_primitive_structure()),
}

EVERY_END = {
    "kcl-a": SMALL["kcl-a"],
    "overlap": ("K", overlapping()),
    "expanded": ("Na", Structure(Lattice.cubic(3.3), ["Na", "Cl"], [[0] * 3, [0.5] * 3])),
}
"""One goes through, one fails, and one is rejected where `max_e_hull` is 0.005."""

CELLS = {
    "kcl": SMALL["kcl-a"],
    "nacl": ("Na", rock_salt("Na", "Cl", 5.6).get_primitive_structure() * (2, 1, 1)),
    "licl": ("Li", rock_salt("Li", "Cl", 5.2)),
}
"""Of 2, 4 and 8 atoms."""


def change(config: Path, *statements: tuple) -> None:
    """Execute statements of SQL, each with its parameters, in the results of a campaign."""
    with closing(sqlite3.connect(config.parent / "campaign" / "results.sqlite")) as connection:
        for statement in statements:
            connection.execute(*statement)
        connection.commit()


def halideflow(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "workflows.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        check=False,
        **options,
    )


def ranking(config: Path) -> list[dict]:
    return json.loads(halideflow("rank", config, "--json").stdout)
