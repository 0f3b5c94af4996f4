"""Folders that the stand-in for VASP runs in, and what it leaves there."""

import os
import subprocess
import sys
import warnings
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import UnconvergedVASPWarning, Vasprun
from pymatgen.io.vasp.sets import MPRelaxSet

from workflows.rehearsal.potcars import potcar_text
from workflows.rehearsal.program import run

ROOT = Path(__file__).parents[3]
NACL = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
NACL_PRIMITIVE = NACL.get_primitive_structure().get_sorted_structure(lambda s: s.specie.X)
MD = {"IBRION": 0, "ISIF": 2, "POTIM": 2, "TEBEG": 600, "NSW": 3}
NVE = MD | {"SMASS": -3}
NOSE = MD | {"MDALGO": 2, "SMASS": 0}


def ktacl6():
    """A primitive cell of K2PtCl6 with every second potassium taken out."""
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(10.0), ["K", "Ta", "Cl"], [[0.25] * 3, [0] * 3, [0.24, 0, 0]]
    ).get_primitive_structure()
    cell.remove_sites([next(i for i, site in enumerate(cell) if site.specie.symbol == "K")])
    return cell.get_sorted_structure(lambda site: site.specie.X)


def shaken(structure, by_A=0.1, seed=1):
    """Every atom elsewhere by about so much."""
    moves_A = np.random.default_rng(seed).normal(size=(len(structure), 3)) * by_A / 3**0.5
    positions_A = structure.cart_coords + moves_A
    return Structure(structure.lattice, structure.species, positions_A, coords_are_cartesian=True)


def prepare(folder, structure, mesh="1 1 1", **tags):
    """Write the four inputs; a tag that is None is left out, `mesh` None means no KPOINTS."""
    folder.mkdir(parents=True, exist_ok=True)
    Poscar(structure).write_file(folder / "POSCAR")
    symbols = [symbol for symbol, _ in groupby(site.specie.symbol for site in structure)]
    labels = [MPRelaxSet.CONFIG["POTCAR"][symbol] for symbol in symbols]
    (folder / "POTCAR").write_text("".join(map(potcar_text, labels)))
    if mesh is not None:
        (folder / "KPOINTS").write_text(f"mesh\n0\nGamma\n{mesh}\n")
    write_incar(folder, **tags)
    return folder


def write_incar(folder, **tags):
    lines = (f"{tag} = {value}\n" for tag, value in tags.items() if value is not None)
    (folder / "INCAR").write_text("".join(lines))


def done(folder, structure, mesh="1 1 1", **tags):
    """Run it in this process, to a good end."""
    assert run(prepare(folder, structure, mesh, **tags)) == 0
    return vasprun(folder)


def vasprun(folder):
    """What it wrote, converged or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnconvergedVASPWarning)
        return Vasprun(folder / "vasprun.xml", parse_potcar_file=False)


def go_on(folder, **tags):
    """Another segment of dynamics in the same folder."""
    (folder / "CONTCAR").replace(folder / "POSCAR")
    if tags:
        write_incar(folder, **tags)
    assert run(folder) == 0
    return vasprun(folder)


def launcher(folder, name="vasp_std"):
    """The executable under a name, as a symbolic link to the console script would be."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nfrom workflows.rehearsal.program import main\nmain()\n")
    path.chmod(0o755)
    return path


def environment(**variables):
    """That of a process of its own."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | variables


def execute(program, folder, *arguments, **variables):
    return subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def contents(folder):
    """Files and their sizes."""
    return Counter({path.name: path.stat().st_size for path in folder.iterdir()})
