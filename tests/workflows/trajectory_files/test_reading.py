"""Files of every format give the run that was written into them."""

import base64
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from md_files import (
    CELL_A,
    SPECIES,
    outcar,
    random_run,
    vasprun,
    write,
    write_extxyz,
    write_traj,
    xdatcar,
)
from pymatgen.core import Structure
from pymatgen.core.trajectory import Trajectory as PymatgenTrajectory
from pymatgen.io.vasp import Xdatcar

from screening.errors import InvalidInput
from screening.transport.trajectory import Trajectory
from workflows.trajectory_files.reading import read_trajectory

RUN = random_run()
TOLD = {"timestep_fs": 2.0, "temperature_K": 600.0}
CUT_TEXTS = {
    "XDATCAR": xdatcar(RUN.frames(6)),
    "run.xml": vasprun(RUN.frames(6)),
    "OUTCAR": outcar(RUN.frames(6)),
}
DIGITS_A = (5e-6, 1.1e-5)  # rounding of two positions, half of it in fractional ones of 10 Å
CUT_AT = {"XDATCAR": rb"Direct", "run.xml": rb"</calculation>", "OUTCAR": rb"ETOTAL = .* eV"}


def read(*paths, ion="K", **told):
    return read_trajectory(list(paths), ion, **(TOLD | told))


def stored(path, run, timestep_fs=2.0, stride=5, temperature_K=600.0):
    trajectory = Trajectory(
        run.positions_A.astype(np.float32),
        run.cell_A,
        run.species,
        timestep_fs,
        stride,
        temperature_K,
        potential_energies_eV=run.energies_eV,
        conserved_energies_eV=run.conserved_eV,
        notes=("made up",),
    )
    path.write_bytes(base64.b64decode(trajectory.as_dict()["npz"]))
    return path


def files_of(folder, run):
    """One file of each kind, all of one run."""
    return {
        "XDATCAR": write(folder / "XDATCAR", xdatcar(run)),
        "XDATCAR.gz": write(folder / "XDATCAR.gz", xdatcar(run)),
        "NPT header": write(folder / "XDATCAR_each", xdatcar(run, header_each=True)),
        "vasprun.xml": write(folder / "vasprun.xml", vasprun(run)),
        "vasprun.xml.gz": write(folder / "vasprun.xml.gz", vasprun(run)),
        "OUTCAR": write(folder / "OUTCAR", outcar(run)),
        "OUTCAR.gz": write(folder / "OUTCAR.gz", outcar(run)),
        "extxyz": write_extxyz(folder / "run.extxyz", run),
        "unwrapped extxyz": write_extxyz(folder / "unwrapped.extxyz", run, wrapped=False),
        "traj": write_traj(folder / "run.traj", run),
        "npz": stored(folder / "run.npz", run),
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return files_of(tmp_path_factory.mktemp("files"), RUN)


def same_path(trajectory, run, atol=5e-6):
    """Displacements since the first frame: the image that an atom begins in has no meaning."""
    moved_A = trajectory.positions_A - trajectory.positions_A[0]
    np.testing.assert_allclose(moved_A, run.positions_A - run.positions_A[0], atol=atol, rtol=0)


@pytest.mark.parametrize(
    "kind",
    [
        "XDATCAR", "XDATCAR.gz", "NPT header", "vasprun.xml", "vasprun.xml.gz", "OUTCAR",
        "OUTCAR.gz", "extxyz", "unwrapped extxyz", "traj", "npz",
    ],
)  # fmt: skip
def test_every_format_gives_the_unwrapped_run(files, kind):
    trajectory = read(files[kind])
    same_path(trajectory, RUN, DIGITS_A["OUTCAR" in kind])
    assert trajectory.species == SPECIES
    np.testing.assert_allclose(trajectory.cell_A, CELL_A, atol=1e-8, rtol=0)
    assert trajectory.positions_A.dtype == np.float32
    assert (trajectory.timestep_fs, trajectory.temperature_K) == (2.0, 600.0)
    if "XDATCAR" in kind or kind == "NPT header":
        assert trajectory.potential_energies_eV is None
    else:
        np.testing.assert_allclose(trajectory.potential_energies_eV, RUN.energies_eV, atol=1e-7)
    conserved_eV = trajectory.conserved_energies_eV
    if kind.startswith(("vasprun", "OUTCAR", "npz")):
        np.testing.assert_allclose(conserved_eV, RUN.conserved_eV, atol=6e-7, rtol=0)
    else:
        assert conserved_eV is None


def test_pymatgens_xdatcar_is_read(tmp_path):
    run = RUN.frames(20)
    structures = [Structure(run.cell_A, run.species, frame % 1) for frame in run.fractional]
    file = Xdatcar.__new__(Xdatcar)
    file.structures, file.comment = structures, "by pymatgen"
    file.write_file(tmp_path / "XDATCAR")
    same_path(read(tmp_path / "XDATCAR"), run)


def test_pymatgens_trajectory_ends_each_line_of_an_xdatcar_with_the_symbol(tmp_path):
    run = RUN.frames(20)
    written = PymatgenTrajectory(
        species=run.species, coords=run.fractional, lattice=run.cell_A, constant_lattice=True
    )
    written.write_Xdatcar(tmp_path / "XDATCAR")
    trajectory = read(tmp_path / "XDATCAR")
    moved_A = trajectory.positions_A - trajectory.positions_A[0]
    # six decimals of fractional coordinates
    np.testing.assert_allclose(moved_A, run.positions_A - run.positions_A[0], atol=3e-5, rtol=0)


def test_vasprun_tells_time_step_and_temperature(files):
    trajectory = read_trajectory([files["vasprun.xml"]], "K")
    # every step is in it, whatever NBLOCK says
    assert (trajectory.timestep_fs, trajectory.stride, trajectory.temperature_K) == (2.0, 1, 600.0)
    # 1.5 eV in 18 atoms whose centre of mass stands still
    expected_K = 2 * 1.5 / (3 * 17 * 8.617333262e-5)
    np.testing.assert_allclose(trajectory.kinetic_temperatures_K, expected_K, rtol=1e-8)
    assert trajectory.notes == ()


def test_vasprun_of_a_machine_learned_force_field_may_be_thinned(tmp_path):
    for version, stride in (("6.4.2", 1), ("6.4.3", 10)):
        text = vasprun(RUN.frames(5), ML_OUTBLOCK=10, version=version)
        assert read(write(tmp_path / "vasprun.xml", text)).stride == stride


def test_vasprun_without_thermostat_says_so(tmp_path):
    text = vasprun(RUN.frames(5), MDALGO=0, SMASS=-3.0)
    (note,) = read(write(tmp_path / "vasprun.xml", text)).notes
    assert "no thermostat (SMASS = -3); TEBEG is where the run began" in note


def test_outcar_tells_time_step_and_temperature(files):
    trajectory = read_trajectory([files["OUTCAR"]], "K")
    assert (trajectory.timestep_fs, trajectory.stride, trajectory.temperature_K) == (2.0, 1, 600.0)
    # VASP's own is that of the same atoms with a centre of mass that stands still
    expected_K = read(files["vasprun.xml"]).kinetic_temperatures_K
    np.testing.assert_allclose(trajectory.kinetic_temperatures_K, expected_K, atol=0.006, rtol=0)
    assert trajectory.notes == ()


def test_stride_comes_from_the_numbers_of_configurations(tmp_path):
    path = write(tmp_path / "XDATCAR", xdatcar(RUN.frames(9), stride=10))
    trajectory = read(path)
    assert trajectory.stride == 10
    assert "--stride tells the true one" in trajectory.notes[0]
    renumbered = read(path, stride=20)
    assert (renumbered.stride, renumbered.notes) == (20, ())


def test_numbers_beyond_fortrans_room_are_no_error(tmp_path):
    text = xdatcar(RUN.frames(9), first=999_996)
    for number in range(1_000_000, 1_000_010):
        text = text.replace(f"={number}", "=******")
    trajectory = read(write(tmp_path / "XDATCAR", text))
    assert (len(trajectory.positions_A), trajectory.stride) == (9, 1)


def test_unknown_stride_is_one_and_said(files):
    trajectory = read(files["extxyz"])
    assert trajectory.stride == 1
    assert trajectory.notes == (
        "no file says how many steps lie between two frames; taken as one (--stride)",
    )
    assert read(files["extxyz"], stride=7).notes == ()


def test_ase_dynamics_says_time_step_interval_and_temperature(tmp_path):
    from ase import units
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.md.langevin import Langevin

    atoms = bulk("Cu", cubic=True)
    atoms.symbols[0] = "Au"
    atoms.calc = EMT()
    with Langevin(
        atoms, 2 * units.fs, temperature_K=300, friction=0.01, loginterval=5, fixcm=False,
        trajectory=str(tmp_path / "md.traj"),
    ) as dynamics:  # fmt: skip
        dynamics.run(30)
    trajectory = read_trajectory([tmp_path / "md.traj"], "Au")
    assert trajectory.timestep_fs == pytest.approx(2.0, rel=1e-9, abs=0)
    assert (trajectory.stride, trajectory.temperature_K) == (5, 300.0)
    assert len(trajectory.positions_A) == 7
    assert trajectory.kinetic_temperatures_K.shape == (7,)
    assert trajectory.notes == ()


def test_our_own_archive_says_everything(files):
    trajectory = read_trajectory([files["npz"]], "K")
    assert (trajectory.timestep_fs, trajectory.stride, trajectory.temperature_K) == (2.0, 5, 600.0)
    assert trajectory.notes == ("made up",)


@pytest.mark.parametrize("kind", ["XDATCAR", "vasprun", "OUTCAR", "extxyz", "traj", "npz"])
def test_parts_are_joined_in_order(tmp_path, kind):
    parts = [RUN.frames(0, 80), RUN.frames(80, 81), RUN.frames(81, 200)]
    writers = {
        "XDATCAR": lambda path, run: write(path, xdatcar(run)),
        "vasprun": lambda path, run: write(path, vasprun(run)),
        "OUTCAR": lambda path, run: write(path, outcar(run)),
        "extxyz": write_extxyz,
        "traj": write_traj,
        "npz": stored,
    }
    paths = [writers[kind](tmp_path / f"{i}.part", part) for i, part in enumerate(parts)]
    trajectory = read(*paths)
    same_path(trajectory, RUN, DIGITS_A[kind == "OUTCAR"])
    if kind != "XDATCAR":
        np.testing.assert_allclose(trajectory.potential_energies_eV, RUN.energies_eV, atol=1e-7)
    if kind in {"vasprun", "OUTCAR", "npz"}:
        expected_eV = np.concatenate([part.conserved_eV for part in parts])
        np.testing.assert_allclose(trajectory.conserved_energies_eV, expected_eV, atol=6e-7, rtol=0)


def test_formats_may_be_mixed(tmp_path):
    paths = [
        write(tmp_path / "XDATCAR", xdatcar(RUN.frames(0, 100))),
        write_extxyz(tmp_path / "rest.xyz", RUN.frames(100, 200)),
    ]
    trajectory = read(*paths)
    same_path(trajectory, RUN)
    assert trajectory.potential_energies_eV is None  # known of one part only


@pytest.mark.parametrize("with_header", [True, False])
def test_xdatcars_appended_to_each_other_are_one_run(tmp_path, with_header):
    second = xdatcar(RUN.frames(120, 200), stride=10)
    if not with_header:
        second = second[second.index("Direct") :]
    path = write(tmp_path / "XDATCAR", xdatcar(RUN.frames(0, 120), stride=10) + second)
    trajectory = read(path)
    same_path(trajectory, RUN)
    assert trajectory.stride == 10


def test_a_repeated_frame_between_parts_is_left_out(tmp_path):
    paths = [
        write_traj(tmp_path / "1.traj", RUN.frames(0, 101)),
        write_traj(tmp_path / "2.traj", RUN.frames(100, 200)),
    ]
    trajectory = read(*paths)
    same_path(trajectory, RUN)
    assert "2.traj: its first frame repeats the one before and is left out" in trajectory.notes[0]


@pytest.mark.parametrize("name", CUT_TEXTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_file_cut_anywhere_gives_its_whole_frames(tmp_path_factory, name, data):
    whole = CUT_TEXTS[name].encode()
    cut = data.draw(st.integers(1, len(whole) - len("</modeling>\n") - 1))
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(whole[:cut])
    n_whole = len(re.findall(CUT_AT[name], whole[:cut])) - (name == "XDATCAR")
    try:
        trajectory = read(path)
    except InvalidInput:
        assert n_whole < 2
        return
    n_frames = len(trajectory.positions_A)
    assert n_frames in {n_whole, n_whole + (name == "XDATCAR")}  # cut right behind a frame
    same_path(trajectory, RUN.frames(n_frames), DIGITS_A[name == "OUTCAR"])
    if n_frames == n_whole and name != "XDATCAR":
        assert f"its {n_frames} whole frames are used" in trajectory.notes[-1]


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("kind", ["XDATCAR.gz", "vasprun.xml.gz", "OUTCAR.gz"])
def test_an_archive_cut_short_gives_its_whole_frames(files, tmp_path, kind, share):
    data = files[kind].read_bytes()
    path = tmp_path / kind
    path.write_bytes(data[: int(share * len(data))])
    trajectory = read(path)
    n_frames = len(trajectory.positions_A)
    assert 0.5 * share * 200 < n_frames < 200
    same_path(trajectory, RUN.frames(n_frames), DIGITS_A[kind == "OUTCAR.gz"])
    assert f"{n_frames} whole frames are used" in trajectory.notes[-1]


@pytest.mark.parametrize(("kind", "said"), [("extxyz", "it ends within"), ("traj", "is damaged")])
def test_files_of_ase_cut_short_give_their_whole_frames(files, tmp_path, kind, said):
    data = files[kind].read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(data[: int(0.6 * len(data))])
    trajectory = read(path, stride=1)
    assert 100 < len(trajectory.positions_A) < 130
    same_path(trajectory, RUN.frames(len(trajectory.positions_A)))
    assert said in trajectory.notes[-1]


def test_a_last_line_without_its_end_is_whole_if_it_is_as_long(tmp_path):
    text = xdatcar(RUN.frames(5))
    assert len(read(write(tmp_path / "a", text.rstrip())).positions_A) == 5
    assert len(read(write(tmp_path / "b", text.rstrip()[:-1])).positions_A) == 4


def test_progress_ends_at_the_bytes_of_all_files(files):
    for kind in ("XDATCAR", "vasprun.xml.gz", "traj"):
        seen = []
        read(files[kind], advance=lambda done, total, seen=seen: seen.append((done, total)))
        size = files[kind].stat().st_size
        assert seen[-1] == (size, size)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_memory_is_that_of_the_trajectory(tmp_path):
    run = random_run(n_frames=500, species=("K",) * 64 + ("Cl",) * 64)
    path = write(tmp_path / "XDATCAR", xdatcar(run))
    read(path)  # imports
    tracemalloc.start()
    size = read(path).positions_A.nbytes
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < peak < 2 * size + 1e6
