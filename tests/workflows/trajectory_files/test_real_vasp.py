"""What is read of VASP's own files is what pymatgen reads of them, to the digits printed."""

import gzip
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from md_files import write
from pymatgen.core import Lattice
from pymatgen.io.vasp import Outcar, Vasprun

from screening.errors import InvalidInput
from workflows.trajectory_files import outcar, vasprun
from workflows.trajectory_files.contents import CutShort
from workflows.trajectory_files.reading import read_trajectory

REAL_RUNS = Path(__file__).parents[4] / "shared" / "vasp_outputs"
OUTCARS = ["OUTCAR_npt_common.gz"]
VASPRUNS = ["emmet_vasprun.xml.gz", "tests_files_io_vasprun.xml.gz"]
VASPRUNS += ["tests_files_max_force_vasprun.xml.gz"]
BOLTZMANN_EV_PER_K = 8.617333262e-5
_NUMBER = r"([\d\-.]+)"
_ROW = r"\s+" + r"\s+".join([_NUMBER] * 6)

pytestmark = pytest.mark.skipif(not REAL_RUNS.is_dir(), reason="no real VASP outputs here")


def ours(reader, name):
    """The steps of a file, each series whole."""
    with gzip.open(REAL_RUNS / name) as stream:
        contents = reader.read_steps(stream, name)
        return contents, list(contents.blocks)


def joined(blocks, series):
    return np.concatenate([getattr(block, series) for block in blocks])


@pytest.fixture(scope="module")
def npt():
    """By pymatgen, as numbers of every step."""
    file = Outcar(REAL_RUNS / OUTCARS[0])
    patterns = {
        "energy_eV": r"free  energy   TOTEN\s+=\s+" + _NUMBER,
        "temperature_K": r"\(temperature\s+([\d.]+) K\)",
        "kinetic_eV": r"EKIN   =\s+" + _NUMBER,
        "lattice_kinetic_eV": r"EKIN_LAT=\s+" + _NUMBER,
        "total_eV": r"ETOTAL\s+=\s+" + _NUMBER,
    }
    file.read_pattern(patterns, postprocess=float)
    numbers = {key: np.array(file.data[key])[:, 0] for key in patterns}
    tables = {
        "rows": (r"\sPOSITION\s+TOTAL-FORCE \(eV/Angst\)\n\s-+", _ROW, r"\s--+"),
        "vectors": (r"direct lattice vectors\s+reciprocal lattice vectors", _ROW, r"\n\s+length"),
    }
    for key, (header, row, footer) in tables.items():
        found = file.read_table_pattern(header, row, footer, float, last_one_only=False)
        numbers[key] = np.array(found)
    return numbers


def test_every_file_is_looked_at():
    found = {path.name for path in REAL_RUNS.iterdir() if path.suffix != ".md"}
    assert found == {*OUTCARS, *VASPRUNS}


@pytest.mark.parametrize("name", VASPRUNS)
def test_steps_of_a_vasprun(name):
    contents, blocks = ours(vasprun, name)
    with pytest.raises(InvalidInput, match="IBRION = 2, which is no molecular dynamics"):
        read_trajectory([REAL_RUNS / name], contents.species[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Vasprun(REAL_RUNS / name, parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    assert contents.species == tuple(site.specie.symbol for site in run.structures[0])
    energies_eV = joined(blocks, "potential_energies_eV")
    assert len(energies_eV) == len(run.ionic_steps) == run.nionic_steps
    read = [step["e_fr_energy"] for step in run.ionic_steps]
    np.testing.assert_allclose(energies_eV, read, rtol=0, atol=1e-9)
    forces = np.array([step["forces"] for step in run.ionic_steps])
    assert (np.ptp(forces) > 0) == ("max_force" in name)  # symmetry forbids them in silicon
    np.testing.assert_allclose(joined(blocks, "forces_eV_per_A"), forces, rtol=0, atol=1e-9)
    fractional = [structure.frac_coords for structure in run.structures]
    np.testing.assert_allclose(joined(blocks, "fractional"), fractional, rtol=0, atol=1e-8)
    cells_A = [block.cell_A for block in blocks for _ in block.fractional]
    lattices_A = [structure.lattice.matrix for structure in run.structures]
    np.testing.assert_allclose(cells_A, lattices_A, rtol=0, atol=1e-8)
    # relaxations: nothing has a temperature
    assert all(block.kinetic_temperatures_K is None for block in blocks)
    assert all(block.conserved_energies_eV is None for block in blocks)


@pytest.mark.parametrize("name", VASPRUNS)
def test_tags_of_a_vasprun(name):
    """Of a relaxation that is called a run."""
    text = gzip.decompress((REAL_RUNS / name).read_bytes())
    called_run = re.sub(rb'(name="IBRION"> *)2', rb"\g<1>0", text)
    contents = vasprun.read_vasprun(io.BytesIO(called_run), name)
    assert (contents.timestep_fs, contents.temperature_K) == (0.5, 0.0001)


def test_steps_of_an_outcar(npt):
    contents, blocks = ours(outcar, OUTCARS[0])
    assert contents.species == ("Li",) * 28 + ("P",) * 12 + ("S",) * 44
    energies_eV = joined(blocks, "potential_energies_eV")
    assert len(energies_eV) == 10  # NSW
    np.testing.assert_allclose(energies_eV, npt["energy_eV"], rtol=0, atol=1e-9)
    forces = joined(blocks, "forces_eV_per_A")
    np.testing.assert_allclose(forces, npt["rows"][:, :, 3:], rtol=0, atol=1e-9)
    cells_A = np.array([block.cell_A for block in blocks for _ in block.fractional])
    np.testing.assert_allclose(cells_A, npt["vectors"][1:, :, :3], rtol=0, atol=1e-9)
    for fractional, cell_A, rows in zip(
        joined(blocks, "fractional"), cells_A, npt["rows"], strict=True
    ):
        positions_A = Lattice(cell_A).get_cartesian_coords(fractional)
        np.testing.assert_allclose(positions_A, rows[:, :3], rtol=0, atol=1e-9)


def test_temperatures_of_an_outcar_are_twice_the_kinetic_energy_per_degree_of_freedom(npt):
    """Langevin at constant pressure moves 84 atoms in three directions and nine of the cell."""
    _, blocks = ours(outcar, OUTCARS[0])
    temperatures_K = joined(blocks, "kinetic_temperatures_K")
    np.testing.assert_allclose(temperatures_K, npt["temperature_K"], rtol=0, atol=1e-9)
    kinetic_eV = npt["kinetic_eV"] + npt["lattice_kinetic_eV"]
    expected_K = 2 * kinetic_eV / ((3 * 84 + 9) * BOLTZMANN_EV_PER_K)
    np.testing.assert_allclose(temperatures_K, expected_K, rtol=0, atol=0.0051)


def test_the_total_of_an_outcar_counts_where_a_thermostat_conserves_it(npt, tmp_path):
    """Langevin's does not, and the numbers say so: 0.7 eV in ten steps."""
    _, blocks = ours(outcar, OUTCARS[0])
    assert all(block.conserved_energies_eV is None for block in blocks)
    assert np.ptp(npt["total_eV"]) > 0.7
    text = gzip.decompress((REAL_RUNS / OUTCARS[0]).read_bytes())
    nose = write(tmp_path / "OUTCAR", text.replace(b"MDALGO =   3", b"MDALGO =   2"))
    with nose.open("rb") as stream:
        blocks = list(outcar.read_steps(stream, "OUTCAR").blocks)
    totals_eV = joined(blocks, "conserved_energies_eV")
    np.testing.assert_allclose(totals_eV, npt["total_eV"], rtol=0, atol=1e-9)


def test_a_run_at_constant_pressure_is_no_run_at_one_cell(tmp_path, npt):
    """It is heated, too; with both mended, the whole of it is a trajectory."""
    ramp = REAL_RUNS / OUTCARS[0]
    with pytest.raises(InvalidInput, match=r"heated or cooled from 1 to 400 K \(TEBEG, TEEND\)"):
        read_trajectory([ramp], "Li")
    steady = gzip.decompress(ramp.read_bytes()).replace(b"TEBEG  =    1.0", b"TEBEG  =  400.0")
    with pytest.raises(InvalidInput, match=r"the cell changes, by .* \(NVT\)"):
        read_trajectory([write(tmp_path / "npt", steady)], "Li")
    head, *steps = steady.split(b"direct lattice vectors")
    cell = steps[0].splitlines(keepends=True)[1:4]
    fixed = [b"".join([b"\n", *cell, *step.splitlines(keepends=True)[4:]]) for step in steps]
    path = write(tmp_path / "nvt.gz", b"direct lattice vectors".join([head, *fixed]))
    run = read_trajectory([path], "Li")
    assert (run.timestep_fs, run.stride, run.temperature_K) == (2.0, 1, 400.0)
    assert run.notes == ()
    positions_A = npt["rows"][:, :, :3]
    cell_A = npt["vectors"][0, :, :3]
    steps_A = np.diff(positions_A, axis=0)
    steps_A -= np.rint(steps_A @ np.linalg.inv(cell_A)) @ cell_A
    moved_A = np.diff(run.positions_A.astype(float), axis=0)
    np.testing.assert_allclose(moved_A, steps_A, rtol=0, atol=3e-6)
    np.testing.assert_allclose(run.potential_energies_eV, npt["energy_eV"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("share", [0.35, 0.6, 0.95])
def test_an_outcar_cut_short_gives_its_whole_steps(npt, tmp_path, share):
    text = gzip.decompress((REAL_RUNS / OUTCARS[0]).read_bytes())
    cut = text[: int(share * len(text))]
    path = write(tmp_path / "OUTCAR", cut)
    blocks = []
    with path.open("rb") as stream, pytest.raises(CutShort, match="it ends before VASP was done"):
        blocks.extend(outcar.read_steps(stream, "OUTCAR").blocks)
    n_whole = cut.count(b"total energy   ETOTAL =")
    assert 0 < n_whole < 10
    energies_eV = joined(blocks, "potential_energies_eV")
    np.testing.assert_allclose(energies_eV, npt["energy_eV"][:n_whole], rtol=0, atol=1e-9)
