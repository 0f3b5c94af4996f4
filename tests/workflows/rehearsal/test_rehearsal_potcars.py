"""Headers of potentials that pymatgen takes for potentials."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from pymatgen.core import SETTINGS, Element, Lattice, Structure
from pymatgen.io.vasp.inputs import PotcarSingle
from pymatgen.io.vasp.sets import MPRelaxSet, MPScanRelaxSet
from rehearsal_runs import environment, ktacl6

from screening.errors import InvalidInput
from workflows.rehearsal.potcars import header_of, n_valence_electrons, read_headers, write_potcars

pytestmark = pytest.mark.filterwarnings(
    "ignore:POTCAR data with symbol:pymatgen.io.vasp.inputs.UnknownPotcarWarning",
    "ignore:POTCAR data with symbol:pymatgen.io.vasp.sets.BadInputSetWarning",
)
LABELS = sorted(
    {
        label
        for input_set in (MPRelaxSet, MPScanRelaxSet)
        for symbol, label in input_set.CONFIG["POTCAR"].items()
        if Element(symbol).Z <= Element("Pu").Z
    }
)


@pytest.mark.parametrize("label", LABELS)
def test_pymatgen_reads_every_label_of_its_sets(tmp_path, label):
    write_potcars(tmp_path, [label])
    path = tmp_path / PotcarSingle.functional_dir["PBE"] / label / "POTCAR"
    single = PotcarSingle.from_file(path)
    assert single.symbol == label
    assert single.element == label.split("_")[0]
    assert single.functional == "PBE"
    assert single.potential_type == "PAW"
    assert "rehearsal" in single.TITEL
    assert 1 <= single.nelectrons <= 30
    assert single.nelectrons <= single.atomic_no
    (header,) = read_headers(path.read_text())
    assert header == header_of(label) or header.mass_u == pytest.approx(
        header_of(label).mass_u, abs=1e-3
    )
    assert single.enmax == header.cutoff_eV


@pytest.mark.parametrize(
    ("label", "n"),
    [
        *(("K_sv", 9), ("Na_pv", 7), ("Na", 1), ("Li_sv", 3), ("Cl", 7), ("Ta_pv", 11), ("O", 6)),
        *(("Nb_pv", 11), ("Zr_sv", 12), ("Y_sv", 11), ("La", 11), ("Er_3", 9), ("Yb_2", 8)),
        *(("In_d", 13), ("Ga_d", 13), ("Hf_pv", 10), ("Cs_sv", 9), ("Fe_pv", 14), ("U", 14)),
        *(("Nd_3", 11), ("H", 1), ("Bi", 5), ("Pb_d", 14), ("Zn", 12), ("Mg_pv", 8), ("Pu", 16)),
    ],
)
def test_valence_electrons_are_those_that_everybody_knows(label, n):
    assert n_valence_electrons(label) == n


@pytest.mark.parametrize(
    "structure",
    [
        ktacl6(),
        Structure(
            Lattice.hexagonal(7.6, 4.3),
            ["Na", "La", "Cl", "Cl", "Cl"],
            [[0, 0, 0], [1 / 3, 2 / 3, 0.25], [0.3, 0, 0.25], [0, 0.3, 0.25], [0.7, 0.7, 0.25]],
        ),
    ],
    ids=["KTaCl6", "Na-La-Cl"],
)
def test_a_set_of_the_materials_project_writes_its_potcar(tmp_path, monkeypatch, structure):
    labels = [MPRelaxSet.CONFIG["POTCAR"][str(e)] for e in structure.composition.elements]
    write_potcars(tmp_path, labels)
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))
    potcar = MPRelaxSet(structure).potcar
    assert [single.symbol for single in potcar] == labels
    assert [header.label for header in read_headers(str(potcar))] == labels


def test_other_functionals_have_their_own_folder(tmp_path):
    write_potcars(tmp_path, ["Cl"], "PBE_54")
    assert (tmp_path / PotcarSingle.functional_dir["PBE_54"] / "Cl" / "POTCAR").is_file()


def test_several_at_once_leave_one_whole_file(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write_potcars(tmp_path, ["K_sv", "Cl"]), range(40)))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.parent.name for path in files) == ["Cl", "K_sv"]


@pytest.mark.parametrize("label", ["Xx", "Lr", "chlorine"])
def test_what_names_no_element_is_an_error(tmp_path, label):
    with pytest.raises(InvalidInput, match=f"no potential '{label}'; needed: an element up to Pu"):
        write_potcars(tmp_path, [label])


def test_an_unknown_functional_is_an_error(tmp_path):
    with pytest.raises(InvalidInput, match="no set of potentials 'PBEX'; needed: one of PBE"):
        write_potcars(tmp_path, ["Cl"], "PBEX")


def test_the_shell_writes_a_library(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "workflows.rehearsal", "--potcars", tmp_path, "K_sv", "Cl"],
        env=environment(),
        check=True,
    )
    found = sorted(path.parent.name for path in tmp_path.rglob("POTCAR"))
    assert found == ["Cl", "K_sv"]
