"""The inputs of the stand-in: POSCAR to the last digit, meshes, potentials that fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Kpoints
from pymatgen.io.vasp.inputs import Poscar as UpstreamPoscar
from rehearsal_runs import NACL, ktacl6, prepare, shaken

from workflows.rehearsal.incar import Incar
from workflows.rehearsal.inputs import read_inputs
from workflows.rehearsal.kpoints import read_kpoints
from workflows.rehearsal.poscar import Poscar, ThermostatState, parse_poscar
from workflows.rehearsal.settings import read_settings
from workflows.rehearsal.stopped import Stopped

CELL_A = np.array([[5.1, 0.2, 0.0], [0.0, 6.3, 0.1], [0.3, 0.0, 7.7]])
any_numbers = st.floats(-50, 50, allow_subnormal=False)


@given(
    fractional=arrays(np.float64, (3, 3), elements=st.floats(0, 1)),
    velocities=arrays(np.float64, (3, 3), elements=any_numbers),
    thermostat=st.builds(ThermostatState, any_numbers, any_numbers),
    movable=st.none() | arrays(np.bool_, (3, 3)),
)
def test_a_contcar_is_read_as_it_was_to_the_last_digit(fractional, velocities, thermostat, movable):
    written = Poscar(
        "title", ("Na", "Cl"), (1, 2), CELL_A, fractional, movable, velocities, thermostat
    )
    read = parse_poscar(written.text(2.0), [])
    assert_array_equal(read.cell_A, written.cell_A)
    assert_array_equal(read.fractional, fractional)
    assert_array_equal(read.velocities_A_per_fs, velocities)
    assert read.thermostat == thermostat
    if movable is None or movable.all():
        assert read.movable is None
    else:
        assert_array_equal(read.movable, movable)
        assert read.text(2.0) == written.text(2.0)


@pytest.mark.filterwarnings("ignore:.*elective dynamics:pymatgen.io.vasp.inputs.BadPoscarWarning")
def test_pymatgen_reads_it_as_well():
    written = Poscar(
        "title",
        ("Na", "Cl"),
        (1, 2),
        CELL_A,
        np.linspace(0, 0.9, 9).reshape(3, 3),
        np.array([3 * [True], 3 * [False], [True, False, True]]),
        np.linspace(-1e-2, 1e-2, 9).reshape(3, 3),
        ThermostatState(0.5, -1e-3),
    )
    read = UpstreamPoscar.from_str(written.text(2.0))
    assert_array_equal(read.structure.lattice.matrix, CELL_A)
    assert_array_equal(read.structure.frac_coords, written.fractional)
    assert_array_equal(read.velocities, written.velocities_A_per_fs)
    assert_array_equal(read.selective_dynamics, written.movable)
    assert float(read.predictor_corrector_preamble.split("\n")[2].split()[1]) == -1e-3


def test_what_pymatgen_writes_is_read():
    structure = shaken(ktacl6(), 0.3)
    velocities = np.full((8, 3), 0.01)
    upstream = UpstreamPoscar(structure, velocities=velocities.tolist())
    read = parse_poscar(str(upstream), [])
    assert_allclose(read.cell_A, structure.lattice.matrix, atol=1e-12)
    assert_allclose(read.fractional, structure.frac_coords, atol=1e-12)
    assert_allclose(read.velocities_A_per_fs, velocities, atol=1e-12)
    assert read.thermostat is None  # velocities of these positions, not half a step behind


@pytest.mark.parametrize(
    ("scale", "style", "row"),
    [
        ("1.0", "Direct", "0.5 0.25 0.1"),
        ("2.0", "Cartesian", "0.5 0.25 0.1"),
        ("-216.0", "Direct", "0.5 0.25 0.1"),
        ("2.0 3.0 4.0", "Direct", "0.5 0.25 0.1"),
    ],
)
def test_scales(scale, style, row):
    text = f"t\n{scale}\n1 0 0\n0 1 0\n0 0 1\nNa\n1\n{style}\n{row}\n"
    read = parse_poscar(text, [])
    if len(scale.split()) == 3:
        assert_array_equal(np.diag(read.cell_A), [2, 3, 4])
    else:
        upstream = UpstreamPoscar.from_str(text).structure
        assert_allclose(read.cell_A, upstream.lattice.matrix)
        assert_allclose(read.fractional, upstream.frac_coords)


def test_without_symbols_the_potentials_name_the_atoms():
    text = "t\n1\n5 0 0\n0 5 0\n0 0 5\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    assert parse_poscar(text, ["Na", "Cl"]).species == ["Na", "Cl"]


def test_symbols_as_vasp_6_writes_them():
    text = "t\n1\n5 0 0\n0 5 0\n0 0 5\nNa_pv/f474ac0d Cl/79d9987ad87\n1 1\nD\n0 0 0\n.5 .5 .5\n"
    assert parse_poscar(text, []).symbols == ("Na", "Cl")


@pytest.mark.parametrize(
    "text",
    [
        "t\n1\n5 0 0\n0 5 0\n0 0 5\nNa Cl\n1\nD\n0 0 0\n",
        "t\n1\n5 0 0\n5 0 0\n0 0 5\nNa\n1\nD\n0 0 0\n",
        "t\n1\n5 0 0\n0 5 0\n0 0 5\nNa\n2\nD\n0 0 0\n",
        "t\n1\n5 0 0\n0 5 0\n0 0 5\nNa\n1\nD\n0 0 nowhere\n",
        "",
    ],
    ids=["counts", "flat", "cut", "words", "empty"],
)
def test_what_is_no_poscar_says_so(text):
    with pytest.raises(Stopped, match="POSCAR cannot be read"):
        parse_poscar(text, [])


@pytest.mark.parametrize("name", ["INCAR", "POSCAR", "POTCAR"])
def test_a_missing_file_is_named(tmp_path, name):
    prepare(tmp_path, NACL)
    (tmp_path / name).unlink()
    with pytest.raises(Stopped, match=f"{name} found, STOPPING: .*{name} is missing"):
        read_inputs(tmp_path)


def test_potentials_in_another_order_are_an_error(tmp_path):
    prepare(tmp_path, NACL)
    blocks = (tmp_path / "POTCAR").read_text().split("End of Dataset\n")
    (tmp_path / "POTCAR").write_text(f"{blocks[1]}End of Dataset\n{blocks[0]}End of Dataset\n")
    with pytest.raises(Stopped, match="incompatible: POSCAR holds Na Cl, POTCAR Cl Na_pv"):
        read_inputs(tmp_path)


@pytest.mark.parametrize(
    ("tags", "cutoff_eV"), [({}, 350), ({"PREC": "High"}, 455), ({"ENCUT": 520}, 520)]
)
def test_electrons_and_cutoff_are_those_of_the_potentials(tmp_path, tags, cutoff_eV):
    inputs = read_inputs(prepare(tmp_path, ktacl6(), **tags))
    settings = read_settings(inputs)
    assert settings.n_electrons == 9 + 11 + 6 * 7
    assert settings.cutoff_eV == pytest.approx(cutoff_eV)


@pytest.mark.parametrize("style", ["Gamma", "Monkhorst"])
@pytest.mark.parametrize("divisions", [(3, 3, 3), (2, 2, 2), (4, 2, 1)])
def test_a_mesh_holds_every_point_once(style, divisions):
    """Reduced by symmetry, weights tell how many; the unreduced mesh is that of its definition."""
    text = f"m\n0\n{style}\n{' '.join(map(str, divisions))}\n0 0 0\n"
    structure = Structure(Lattice(CELL_A), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.4, 0.3]])
    poscar = parse_poscar(str(UpstreamPoscar(structure)), [])
    reduced = read_kpoints(text, Incar({}), poscar)
    whole = read_kpoints(text, Incar({"ISYM": -1}), poscar)
    assert reduced.weights.sum() == pytest.approx(1)
    assert len(whole.points) == np.prod(divisions)
    assert len(reduced.points) <= len(whole.points)
    counts = reduced.weights * np.prod(divisions)
    assert_allclose(counts, np.round(counts), atol=1e-9)
    upstream = Kpoints.from_str(text)
    assert upstream.kpts[0] == whole.divisions


def test_only_gamma_is_gamma_alone():
    poscar = parse_poscar(str(UpstreamPoscar(NACL)), [])
    assert read_kpoints("m\n0\nG\n1 1 1\n", Incar({}), poscar).is_gamma_alone
    assert not read_kpoints("m\n0\nG\n2 1 1\n", Incar({}), poscar).is_gamma_alone
    assert not read_kpoints("m\n0\nM\n1 1 1\n.5 0 0\n", Incar({}), poscar).is_gamma_alone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bands\n20\nLine-mode\nReciprocal\n0 0 0\n0.5 0 0\n", "ask for bands"),
        ("m\n0\nNonsense\n1 1 1\n", "names no mesh"),
        ("m\n0\nGamma\n", "cannot be read"),
    ],
)
def test_other_kpoints_are_refused(text, message):
    poscar = parse_poscar(str(UpstreamPoscar(NACL)), [])
    with pytest.raises(Stopped, match=message):
        read_kpoints(text, Incar({}), poscar)
