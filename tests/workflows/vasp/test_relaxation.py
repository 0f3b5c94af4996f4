"""Relaxation and energy by the VASP path, with the stand-in as VASP."""

import gzip
import shutil
import tempfile
from pathlib import Path

import pytest
from monty.shutil import decompress_dir
from pymatgen.core import Structure
from vasp_cells import NACL, REHEARSAL, primitive_nacl

from screening.errors import InvalidInput, MixedConventions, ProgramFailure
from screening.stability.conventions import VASP
from workflows.config import CampaignConfig, EngineSettings, RelaxSettings
from workflows.engines import engine_convention, load_engine
from workflows.rehearsal import REHEARSAL_VERSION
from workflows.vasp.calculations import read_record, tidy
from workflows.vasp.energies import corrected
from workflows.vasp.inputs import write_inputs
from workflows.vasp.relaxation import require_program

SETTINGS = RelaxSettings()


def relaxed(**vasp):
    engine = EngineSettings(name="rehearsal", vasp=vasp)
    return load_engine(engine).relax(primitive_nacl(), SETTINGS)


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A relaxation, and where its files are."""
    folder = tmp_path_factory.mktemp("relaxed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("OMP_NUM_THREADS", "1")
        made = relaxed(
            relax={"incar": {"EDIFFG": -0.005, "LWAVE": None}, "kpoints": {"Gamma": (2, 3, 2)}},
            static={"incar": {"ALGO": "Normal"}},
        )
    return made, folder / "files"


def test_energy_and_cell_are_those_of_the_potential_behind_the_stand_in(once):
    """Corrections taken out by the stand-in and added by the VASP path cancel."""
    made, _ = once
    ours = load_engine(EngineSettings()).relax(primitive_nacl(), SETTINGS)
    assert made.energy_eV_per_atom == pytest.approx(ours.energy_eV_per_atom, rel=0, abs=2e-4)
    assert made.structure.volume == pytest.approx(ours.structure.volume, rel=5e-3)
    assert made.volume_change_percent == pytest.approx(
        100 * (made.structure.volume / primitive_nacl().volume - 1), rel=1e-9
    )
    assert made.max_force_eV_per_A < 0.005


def test_it_is_known_as_a_rehearsal(once):
    made, _ = once
    assert made.convention == engine_convention(REHEARSAL)
    assert {run.version for run in made.calculations} == {REHEARSAL_VERSION}


def test_runs_are_recorded_with_what_is_needed_to_repeat_them(once):
    made, folder = once
    first, second, static = made.calculations
    assert [run.name for run in made.calculations] == ["relax-1", "relax-2", "static"]
    assert first.kpoints == second.kpoints == "Gamma 2 3 2"
    assert first.incar["EDIFFG"] == -0.005
    assert "LWAVE" not in first.incar
    assert static.incar["ALGO"] == "Normal"
    assert "EDIFFG" not in static.incar
    assert [title.split()[1] for title in static.potcars] == ["Na_pv", "Cl"]
    assert all(len(digest) == 64 for digest in static.potcars.values())
    assert made.n_steps == first.n_ionic_steps + second.n_ionic_steps
    assert first.folder.endswith(str(folder / "relax-1"))


def test_an_incar_stays_that_of_the_materials_project(once):
    made, _ = once
    incar = made.calculations[0].incar
    assert (incar["ENCUT"], incar["ISPIN"], incar["ISIF"], incar["NSW"]) == (520, 2, 3, 99)
    assert "GGA" not in incar


def test_large_files_are_compressed(once):
    _, folder = once
    with gzip.open(folder / "static" / "vasprun.xml.gz") as file:
        assert file.read(5) == b"<?xml"
    assert not (folder / "static" / "OUTCAR").exists()


def test_what_was_finished_is_not_run_again(once, folder, monkeypatch):
    made, files = once
    shutil.copytree(files, folder / "files")
    monkeypatch.setenv("HALIDEFLOW_REHEARSAL_FAULTS", "segfault")  # any run of VASP would end so
    again = relaxed()
    assert again.energy_eV_per_atom == made.energy_eV_per_atom
    assert again.structure == made.structure
    assert again.calculations == made.calculations


def test_a_run_that_was_cut_off_goes_on_from_its_last_structure(once, folder):
    """kill -9 in the single point: both relaxations stay, it alone is run again."""
    made, files = once
    shutil.copytree(files, folder / "files")
    (folder / "files" / "static" / "calculation.json").unlink()
    before = (folder / "files" / "relax-1" / "calculation.json").stat().st_mtime_ns
    again = relaxed()
    assert again.energy_eV_per_atom == pytest.approx(made.energy_eV_per_atom, rel=0, abs=1e-6)
    assert (folder / "files" / "relax-1" / "calculation.json").stat().st_mtime_ns == before
    assert (folder / "files" / "static.interrupted-1" / "INCAR.gz").exists()


def test_a_relaxation_that_was_cut_off_goes_on_from_its_last_structure(once, folder):
    _, files = once
    shutil.copytree(files / "relax-1", folder / "files" / "relax-1")
    (folder / "files" / "relax-1" / "calculation.json").unlink()
    again = relaxed(relax={"incar": {"EDIFFG": -0.005}})
    assert again.calculations[0].n_ionic_steps == 1  # it had converged


@pytest.mark.parametrize(
    ("policy", "there", "gone"),
    [("keep", "vasprun.xml", "vasprun.xml.gz"), ("delete", "CONTCAR", "vasprun.xml")],
)
def test_large_files_are_kept_or_deleted(once, folder, policy, there, gone):
    """Of a run that is finished, whatever was done with its files before."""
    _, files = once
    shutil.copytree(files / "static", folder / "static")
    decompress_dir(folder / "static")
    tidy(folder / "static", policy)
    assert (folder / "static" / there).exists()
    assert not (folder / "static" / gone).exists()
    assert read_record(folder / "static").record.name == "static"


def test_a_rehearsal_is_refused_where_vasp_is_meant():
    with pytest.raises(
        MixedConventions, match=r"0\.0\.0-rehearsal.*a rehearsal.*energies are of vasp"
    ):
        require_program(REHEARSAL_VERSION, VASP)
    with pytest.raises(
        MixedConventions, match=r"version 6\.4\.2, which is VASP.*rehearsal of vasp"
    ):
        require_program("6.4.2", engine_convention(REHEARSAL))
    require_program("6.4.2", VASP)


def test_an_energy_with_other_potentials_is_refused(once):
    _, files = once
    entry = read_record(files / "static").entry
    (na, cl) = entry.parameters["potcar_spec"]
    entry.parameters["potcar_spec"] = [na | {"titel": na["titel"].replace("Na_pv", "Na_sv")}, cl]
    with pytest.raises(InvalidInput, match=r"Incompatible POTCAR.*Na_sv.*expected.*Na_pv"):
        corrected(entry)


@pytest.mark.parametrize("run_type", ["r2SCAN", "PBE", "HSE06"])
def test_an_energy_of_another_functional_is_refused(once, run_type):
    _, files = once
    entry = read_record(files / "static").entry
    entry.parameters["run_type"] = run_type
    with pytest.raises(MixedConventions, match=f"functional {run_type}, needed: GGA or GGA"):
        corrected(entry)


def test_what_another_program_left_is_run_again(once, folder):
    """Once the command is mended, the campaign goes on."""
    _, files = once
    shutil.copytree(files, folder / "files")
    record = folder / "files" / "static" / "calculation.json"
    record.write_text(record.read_text().replace(REHEARSAL_VERSION, "6.4.2"))
    assert relaxed().calculations[-1].version == REHEARSAL_VERSION
    assert (folder / "files" / "static.interrupted-1").is_dir()


def test_a_record_that_is_damaged_is_named(once, folder):
    _, files = once
    shutil.copytree(files / "static", folder / "static")
    (folder / "static" / "calculation.json").write_text('{"record": {}}')
    with pytest.raises(ProgramFailure, match=r"calculation\.json is damaged.*remove it"):
        read_record(folder / "static")


def test_atoms_of_one_kind_stand_together():
    """Alternating sites would become a POTCAR for each."""
    mixed = Structure.from_sites([NACL[i] for i in (0, 4, 1, 5, 2, 6, 3, 7)])
    config = CampaignConfig(
        name="mixed",
        engine=REHEARSAL,
        candidates={"files": [{"path": "mixed.cif", "mobile_ion": "Na"}]},
        dynamics=None,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(mixed, config, Path(folder))
        poscar = Path(folder, "relax-1", "POSCAR").read_text().splitlines()
    assert (poscar[5], poscar[6]) == ("Na Cl", "4 4")
