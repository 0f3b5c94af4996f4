"""What the stand-in leaves is what pymatgen, emmet, custodian and this project read."""

import gzip

import numpy as np
import pytest
from custodian.vasp.handlers import (
    DriftErrorHandler,
    IncorrectSmearingHandler,
    KspacingMetalHandler,
    LargeSigmaHandler,
    MeshSymmetryErrorHandler,
    NonConvergingErrorHandler,
    PositiveEnergyErrorHandler,
    PotimErrorHandler,
    StdErrHandler,
    UnconvergedErrorHandler,
    VaspErrorHandler,
)
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from emmet.core.tasks import TaskDoc
from emmet.core.vasp.calculation import Calculation
from numpy.testing import assert_allclose
from pymatgen.io.vasp.inputs import Kpoints, Poscar
from pymatgen.io.vasp.outputs import Chgcar, Oszicar, Outcar, Vasprun, Xdatcar
from rehearsal_runs import NACL, NOSE, NVE, done, ktacl6, prepare, shaken

from screening.units import BOLTZMANN_EV_PER_K
from workflows.rehearsal import NOTICE, REHEARSAL_VERSION
from workflows.rehearsal.program import run
from workflows.trajectory_files.reading import read_trajectory

pytestmark = pytest.mark.filterwarnings(
    "ignore:POTCAR data with symbol:pymatgen.io.vasp.inputs.UnknownPotcarWarning",
    "ignore:unclosed file.*XDATCAR:ResourceWarning",  # pymatgen counts its lines and leaves it open
    "ignore:Exception ignored in.*XDATCAR:pytest.PytestUnraisableExceptionWarning",
)
RELAX = {"IBRION": 1, "ISIF": 3, "NSW": 40, "EDIFFG": -0.02}
HANDLERS = (
    VaspErrorHandler,
    MeshSymmetryErrorHandler,
    UnconvergedErrorHandler,
    NonConvergingErrorHandler,
    PotimErrorHandler,
    PositiveEnergyErrorHandler,
    StdErrHandler,
    LargeSigmaHandler,
    IncorrectSmearingHandler,
    KspacingMetalHandler,
    DriftErrorHandler,
)


@pytest.fixture(scope="module")
def relaxed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relaxed")
    done(folder, shaken(ktacl6()), "2 2 2", **RELAX | {"ISPIN": 2, "LORBIT": 11, "SIGMA": 0.05})
    (folder / "vasp.out").write_text("")
    (folder / "std_err.txt").write_text("")
    return folder


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moved")
    done(folder, shaken(NACL), **NOSE | {"NSW": 12})
    return folder


def test_pymatgen_reads_a_relaxation(relaxed):
    run_ = Vasprun(relaxed / "vasprun.xml", parse_potcar_file=False)
    assert run_.vasp_version == REHEARSAL_VERSION
    assert run_.run_type == "GGA"
    assert not run_.is_hubbard
    assert run_.converged
    assert run_.potcar_symbols == [f"PAW_PBE {x} rehearsal" for x in ("K_sv", "Ta_pv", "Cl")]
    assert run_.kpoints.kpts == [(2, 2, 2)]
    assert sum(run_.actual_kpoints_weights) == pytest.approx(1)
    assert run_.eigenvalue_band_properties[0] > 0
    outcar = Outcar(relaxed / "OUTCAR")
    assert outcar.final_energy == pytest.approx(run_.final_energy, abs=1e-7)
    assert outcar.nelect == 9 + 11 + 6 * 7
    assert outcar.run_stats["cores"] == 1
    assert len(outcar.drift) == len(run_.ionic_steps)
    oszicar = Oszicar(relaxed / "OSZICAR")
    assert oszicar.final_energy == pytest.approx(run_.final_energy, abs=1e-6)
    assert len(oszicar.ionic_steps) == len(oszicar.electronic_steps) == len(run_.ionic_steps)
    frames = Xdatcar(relaxed / "XDATCAR").structures
    assert len(frames) == len(run_.ionic_steps)
    assert_allclose(frames[-1].lattice.matrix, run_.final_structure.lattice.matrix, atol=1e-5)
    contcar = Poscar.from_file(relaxed / "CONTCAR")
    assert_allclose(contcar.structure.frac_coords % 1, run_.final_structure.frac_coords, atol=1e-7)
    assert Chgcar.from_file(relaxed / "CHGCAR").data["total"].shape == (1, 1, 1)
    assert Kpoints.from_file(relaxed / "IBZKPT").num_kpts == len(run_.actual_kpoints)


def test_emmet_reads_it(relaxed):
    document = TaskDoc.from_directory(relaxed)
    assert document.state == "successful"
    assert document.vasp_version == REHEARSAL_VERSION
    assert document.output.energy < 0
    calculation = document.calcs_reversed[0]
    assert isinstance(calculation, Calculation)
    assert calculation.run_type == "GGA"
    assert calculation.output.bandgap > 0


def test_emmet_reads_dynamics(moved):
    document = TaskDoc.from_directory(moved, store_trajectory="no")
    assert document.state == "successful"
    assert len(document.calcs_reversed[0].output.ionic_steps) == 12


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: handler.__name__)
def test_custodian_finds_nothing_wrong(relaxed, handler, monkeypatch):
    assert not handler().check(str(relaxed))


@pytest.mark.parametrize("validator", [VaspFilesValidator, VasprunXMLValidator])
def test_custodian_finds_it_valid(relaxed, validator):
    assert not validator().check(str(relaxed))


def test_dynamics_tell_their_energies_everywhere(moved):
    run_ = Vasprun(moved / "vasprun.xml", parse_potcar_file=False)
    outcar = Outcar(moved / "OUTCAR")
    outcar.read_pattern(
        {
            "kinetic": r"kinetic energy EKIN\s+=\s+(\S+)",
            "temperature": r"kin\. lattice\s+EKIN_LAT=\s+\S+\s+\(temperature\s+(\S+) K\)",
            "total": r"total energy\s+ETOTAL =\s+(\S+) eV",
        },
        postprocess=float,
    )
    steps = Oszicar(moved / "OSZICAR").ionic_steps
    for name, key in (("kinetic", "EK"), ("total", "E")):
        from_xml = [step[name] for step in run_.ionic_steps]
        assert_allclose(np.ravel(outcar.data[name]), from_xml, atol=1e-6)
        assert_allclose([step[key] for step in steps], from_xml, rtol=1e-5)
    K_per_eV = 2 / (21 * BOLTZMANN_EV_PER_K)
    temperatures_K = np.array([step["kinetic"] for step in run_.ionic_steps]) * K_per_eV
    assert_allclose(np.ravel(outcar.data["temperature"]), temperatures_K, atol=0.01)
    assert_allclose([step["T"] for step in steps], temperatures_K, atol=0.51)


def test_this_projects_own_reader_reads_dynamics(moved):
    from_xml = read_trajectory([moved / "vasprun.xml"], "Na")
    run_ = Vasprun(moved / "vasprun.xml", parse_potcar_file=False)
    assert from_xml.timestep_fs == 2
    assert from_xml.temperature_K == 600
    assert len(from_xml.positions_A) == 12
    assert_allclose(
        from_xml.potential_energies_eV, [s["e_fr_energy"] for s in run_.ionic_steps], atol=1e-6
    )


def test_isif_0_has_no_stress(tmp_path):
    run_ = done(tmp_path, NACL, **NVE | {"ISIF": 0, "NSW": 2})
    assert "stress" not in run_.ionic_steps[0]
    assert "in kB" not in (tmp_path / "OUTCAR").read_text()


@pytest.mark.parametrize("kind", ["relaxed", "moved"])
def test_every_file_with_text_says_what_it_is(kind, request):
    folder = request.getfixturevalue(kind)
    inputs = {"INCAR", "POSCAR", "KPOINTS", "POTCAR", "vasp.out", "std_err.txt", "WAVECAR"}
    written = {path for path in folder.iterdir() if path.name not in inputs}
    assert len(written) >= 9
    for path in written:
        assert NOTICE in path.read_text(), path


def test_the_notice_does_not_pile_up(tmp_path):
    done(tmp_path, NACL, **NVE)
    for _ in range(3):
        (tmp_path / "CONTCAR").replace(tmp_path / "POSCAR")
        assert run(tmp_path) == 0
    assert (tmp_path / "CONTCAR").read_text().count(NOTICE) == 1


def test_kspacing_gives_the_mesh_that_pymatgen_knows(tmp_path):
    run_ = done(tmp_path, NACL, mesh=None, KSPACING=0.4)
    assert run_.kpoints.kpts == [(3, 3, 3)]


def test_explicit_points_are_kept(tmp_path):
    prepare(tmp_path, NACL)
    (tmp_path / "KPOINTS").write_text("list\n2\nReciprocal\n0 0 0 1\n0.5 0 0 3\n")
    assert run(tmp_path) == 0
    run_ = Vasprun(tmp_path / "vasprun.xml", parse_potcar_file=False)
    assert_allclose(run_.actual_kpoints, [[0, 0, 0], [0.5, 0, 0]])
    assert_allclose(run_.actual_kpoints_weights, [0.25, 0.75])


def test_compressed_runs_are_read_as_well(moved, tmp_path):
    """As atomate2 leaves them."""
    packed = tmp_path / "vasprun.xml.gz"
    packed.write_bytes(gzip.compress((moved / "vasprun.xml").read_bytes()))
    assert len(read_trajectory([packed], "Na").positions_A) == 12
