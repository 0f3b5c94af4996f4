from pathlib import Path

import pytest
from numpy.testing import assert_allclose
from pymatgen.core import Lattice, Structure
from vasp_runs import NACL, write_run

from screening.errors import InvalidInput
from screening.stability.corrections import require_corrections
from screening.stability.references import ReferencePhases
from workflows.rehearsal import REHEARSAL_VERSION
from workflows.vasp_references import read_runs

REAL_RUNS = Path(__file__).parents[3] / "shared" / "vasp_outputs"


def in_a_row(formula_units):
    """Some structure of a composition."""
    symbols = [symbol for symbol, n in formula_units.items() for _ in range(n)]
    n = len(symbols)
    return Structure(Lattice.orthorhombic(3 * n, 3, 3), symbols, [[i / n, 0, 0] for i in range(n)])


def test_a_run_becomes_a_corrected_phase(tmp_path):
    write_run(tmp_path / "NaCl" / "vasprun.xml", energy_eV=-6.72)
    runs = read_runs(tmp_path)
    (phase,) = runs.references.phases
    assert not runs.refused
    assert (phase.name, phase.formula, phase.entry_id) == ("NaCl", "NaCl", "NaCl/vasprun.xml")
    assert phase.correction_eV_per_atom == pytest.approx(-0.614 / 2, abs=1e-5)
    assert phase.energy_eV_per_atom == pytest.approx((-6.72 - 0.614) / 2, abs=1e-5)
    assert_allclose(phase.structure.lattice.abc, NACL.lattice.abc, atol=1e-5)
    assert runs.references.convention.corrections == "MP2020"
    require_corrections(runs.references)


def test_gzipped_runs_in_any_folder_and_two_of_one_compound(tmp_path):
    write_run(tmp_path / "a" / "relax" / "vasprun.xml.gz")
    write_run(tmp_path / "a" / "static" / "vasprun.xml", parameters={"NSW": 0, "IBRION": -1})
    write_run(tmp_path / "vasprun.xml", in_a_row({"Na": 1}), -1.3)
    references = read_runs(tmp_path).references
    names = sorted(phase.name for phase in references.phases)
    assert names == ["Na", "NaCl a/relax/vasprun.xml.gz", "NaCl a/static/vasprun.xml"]
    assert [p.correction_eV_per_atom for p in references.phases if p.name == "Na"] == [0]


def test_hubbard_runs_are_corrected_as_upstream_does(tmp_path):
    oxide = in_a_row({"Fe": 2, "O": 3})
    write_run(tmp_path / "vasprun.xml", oxide, -30.0, hubbard_U_eV={"Fe": 5.3})
    (phase,) = read_runs(tmp_path).references.phases
    assert phase.correction_eV_per_atom == pytest.approx(-(2 * 2.256 + 3 * 0.687) / 5, abs=1e-5)


def test_a_correction_that_upstream_loses_is_put_back(tmp_path):
    oxychloride = in_a_row({"K": 2, "Ta": 4, "O": 1, "Cl": 10})
    write_run(tmp_path / "vasprun.xml", oxychloride, -80.0)
    runs = read_runs(tmp_path)
    (phase,) = runs.references.phases
    assert phase.correction_eV_per_atom == pytest.approx(-(0.687 + 10 * 0.614) / 17, abs=1e-5)
    require_corrections(runs.references)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": REHEARSAL_VERSION}, "a rehearsal.*no VASP computed"),
        ({"n_electronic_steps": 100}, "electrons did not converge"),
        ({"n_ionic_steps": 99}, "atoms did not converge"),
        ({"functional": "PE"}, "functional PBE, needed: GGA or GGA.*leave GGA unset"),
        ({"functional": "PS"}, "functional PBEsol, needed"),
        ({"parameters": {"METAGGA": "R2SCAN"}}, "functional R2SCAN"),
        ({"parameters": {"ENMAX": 400.0}}, "ENCUT is 400 eV.*have 520"),
        ({"parameters": {"IBRION": 0, "NSW": 10}}, "molecular dynamics"),
        (
            {"potcars": {"Na": "PAW_PBE Na 08Apr2002", "Cl": "PAW_PBE Cl 06Sep2000"}},
            "not in Materials Project settings: Incompatible POTCAR",
        ),
        ({"hubbard_U_eV": {"Na": 4.0}}, "not in Materials Project settings: Invalid U value of 4"),
    ],
)
def test_what_must_not_be_mixed_is_refused_with_its_reason(tmp_path, changes, reason):
    write_run(tmp_path / "bad" / "vasprun.xml", **changes)
    write_run(tmp_path / "good" / "vasprun.xml")
    runs = read_runs(tmp_path)
    assert [phase.entry_id for phase in runs.references.phases] == ["good/vasprun.xml"]
    assert list(runs.refused) == ["bad/vasprun.xml"]
    with pytest.raises(InvalidInput, match=f"none of 1 VASP runs.*can be used:\n.*{reason}"):
        read_runs(tmp_path / "bad")


@pytest.mark.parametrize("name", ["vasprun.xml", "vasprun.xml.gz"])
def test_a_run_that_is_cut_off_is_refused(tmp_path, name):
    whole = write_run(tmp_path / "whole" / name).read_bytes()
    cut = tmp_path / "cut" / name
    cut.parent.mkdir()
    cut.write_bytes(whole[: len(whole) // 2])
    (reason,) = read_runs(tmp_path).refused.values()
    assert "cut off" in reason


def test_a_file_that_is_no_run_is_refused(tmp_path):
    write_run(tmp_path / "good" / "vasprun.xml")
    (tmp_path / "vasprun.xml").write_text("<modeling></modeling>", encoding="utf-8")
    assert list(read_runs(tmp_path).refused) == ["vasprun.xml"]


def test_a_folder_without_runs(tmp_path):
    with pytest.raises(InvalidInput, match=r"no vasprun\.xml"):
        read_runs(tmp_path)
    with pytest.raises(InvalidInput, match="is not a directory"):
        read_runs(tmp_path / "nowhere")


def test_runs_and_fetched_phases_are_one_snapshot(tmp_path):
    write_run(tmp_path / "runs" / "vasprun.xml")
    ours = read_runs(tmp_path / "runs").references
    folder = tmp_path / "snapshots"
    folder.mkdir()
    fetched = ours.phases[0].model_copy(update={"name": "NaCl mp-22862", "entry_id": "mp-22862"})
    other = ours.model_copy(update={"phases": (fetched,), "source": "Materials Project"})
    (folder / "ours.json").write_text(ours.dump(), encoding="utf-8")
    (folder / "theirs.json").write_text(other.dump(), encoding="utf-8")
    assert len(ReferencePhases.load(folder).phases) == 2


@pytest.mark.skipif(not REAL_RUNS.is_dir(), reason="the real VASP outputs are not at hand")
def test_real_runs():
    runs = read_runs(REAL_RUNS)
    assert runs.refused == {"emmet_vasprun.xml.gz": "functional R2SCAN, needed: GGA or GGA+U"}
    found = {phase.formula: phase for phase in runs.references.phases}
    assert found["Si"].energy_eV_per_atom == pytest.approx(-5.42074, abs=1e-5)
    halide = found["Sb2XeClF11"]
    corrected = -(11 * 0.462 + 0.614) / 15
    assert halide.correction_eV_per_atom == pytest.approx(corrected, abs=1e-5)
