"""What cannot be read is refused with one message that says what, where and what to do."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from md_files import (
    SPECIES,
    Run,
    outcar,
    random_run,
    vasprun,
    write,
    write_extxyz,
    write_traj,
    xdatcar,
)

from screening.errors import InvalidInput, UnusableRun
from workflows.trajectory_files.reading import read_trajectory

RUN = random_run(n_frames=20)
TOLD = {"timestep_fs": 2.0, "temperature_K": 600.0}
XDATCAR, VASPRUN, OUTCAR = xdatcar(RUN), vasprun(RUN), outcar(RUN)


def refused(error, match, *paths, ion="K", **told):
    """The message, a single line."""
    with pytest.raises(error, match=match) as caught:
        read_trajectory(list(paths), ion, **told)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 450
    return message


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "XDATCAR", XDATCAR)


def test_unknown_times_name_the_options(path, tmp_path):
    refused(
        InvalidInput,
        r"^time step and temperature unknown: XDATCAR does not say; needed: --timestep-fs "
        r"\(in fs\) and --temperature-K \(in K\)$",
        path,
    )
    refused(InvalidInput, "^temperature unknown: .*--temperature-K", path, timestep_fs=2.0)
    traj = write_traj(tmp_path / "a.traj", RUN)
    refused(InvalidInput, "^time step unknown: a.traj .*--timestep-fs", traj, temperature_K=600.0)
    text = vasprun(RUN).replace('<i name="POTIM">2.0</i>\n', "")
    refused(InvalidInput, "^time step unknown: v.xml", write(tmp_path / "v.xml", text))


@pytest.mark.parametrize(
    ("option", "value"),
    [("timestep_fs", 0.0), ("timestep_fs", -1.0), ("timestep_fs", np.nan), ("stride", 0),
     ("stride", -3), ("temperature_K", -5.0), ("temperature_K", np.inf)],
)  # fmt: skip
def test_impossible_options(path, option, value):
    name = "--" + option.replace("_", "-")
    refused(InvalidInput, f"^{name} .*: needed: more than 0", path, **(TOLD | {option: value}))


def test_species_that_is_not_there(path):
    refused(InvalidInput, "XDATCAR: no Li in it, but Cl, K, Ta; needed: an ion", path, ion="Li")
    refused(InvalidInput, '^"k" is no element symbol; did you mean K', path, ion="k")
    refused(InvalidInput, "no element symbol; did you mean", path, ion="Potassium")


def test_mobile_ion_without_framework(tmp_path):
    run = random_run(n_frames=5, species=("K",) * 4)
    path = write(tmp_path / "XDATCAR", xdatcar(run))
    refused(InvalidInput, "nothing but K; needed: a framework of other atoms", path, **TOLD)


def test_one_frame(tmp_path):
    path = write(tmp_path / "XDATCAR", xdatcar(RUN.frames(1)))
    refused(InvalidInput, "XDATCAR: one frame; needed: a trajectory", path, **TOLD)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is empty; needed: XDATCAR, vasprun.xml"),
        ("\n\n", "no trajectory of a known format; needed: XDATCAR"),
        ("some words\nand more\n", "no trajectory of a known format; needed: XDATCAR"),
        (bytes(range(256)) * 4, "no trajectory of a known format"),
        (b"\x1f\x8b\x08\x00garbage", "a damaged archive"),
        (b"PK\x03\x04garbage", "no trajectory of Halideflow, or a damaged one"),
        (b"- of Ulm" + b"garbage" * 9, "its first frame, or its list of where frames begin, is"),
        ("<?xml version='1.0'?><a><b/></a>", "XML, but no vasprun.xml"),
        ("<?xml version='1.0'?>\n<modeling><incar><", "it ends within a step"),
        ("<?xml version='1.0'?>\n<modeling></incar>", "it is no XML from line 2 on"),
        (XDATCAR[:600], "it ends within frame 0; needed: one whole frame at least"),
        (" vasp.6.4.2 20Jul23\n", "it ends before the first step; needed: one whole frame"),
        (OUTCAR[: OUTCAR.index("ETOTAL")], "there is no step in it|it ends before VASP was done"),
        (OUTCAR.replace("ions per type", ""), r"of atoms \[\] \(ions per type\); needed: one"),
        (OUTCAR.replace("NIONS =     18", "NIONS =     20"), "NIONS = 20, but ions per type"),
        (OUTCAR.replace("PBE K_sv 17Jan2003\n   TITEL", "PBE Kx_sv 17Jan2003\n   TITEL"), "Kx"),
        (OUTCAR.replace("TOTAL-FORCE", ""), "step 0 holds no positions or no cell; .*NWRITE"),
        ("Direct configuration= 1\n 0 0 0\n", "it ends within a header"),
        (XDATCAR.replace("  K  Ta  Cl\n", "\n"), "no header as VASP 5 and 6 write it"),
        ("3\njust a comment\nK 0 0 0\nCl 1 1 1\nCl 2 2 2\n", "frame 0 has no cell; needed: .*Latt"),
    ],
)  # fmt: skip
def test_files_that_hold_no_trajectory(tmp_path, content, match):
    content = content.replace("K  Ta  Cl\n", "\n") if content == XDATCAR else content
    refused(InvalidInput, match, write(tmp_path / "file", content), **TOLD)


def test_folders_and_missing_files(tmp_path, path):
    refused(InvalidInput, "is a folder; needed: XDATCAR", tmp_path, **TOLD)
    refused(InvalidInput, "no such file; needed: XDATCAR", tmp_path / "none", **TOLD)
    refused(InvalidInput, "no such file", path, tmp_path / "none", **TOLD)


def test_relaxations_and_ramps_are_no_runs(tmp_path):
    relaxation = write(tmp_path / "vasprun.xml", vasprun(RUN, IBRION=2))
    refused(InvalidInput, "IBRION = 2, which is no molecular dynamics", relaxation)
    ramp = write(tmp_path / "vasprun.xml", vasprun(RUN, TEBEG=100.0))
    refused(InvalidInput, r"heated or cooled from 100 to 600 K \(TEBEG, TEEND\)", ramp)
    relaxation = write(tmp_path / "OUTCAR", outcar(RUN, IBRION=2))
    refused(InvalidInput, "IBRION = 2, which is no molecular dynamics", relaxation)
    ramp = write(tmp_path / "OUTCAR", outcar(RUN, TEBEG=100.0))
    refused(InvalidInput, r"heated or cooled from 100 to 600 K \(TEBEG, TEEND\)", ramp)
    traj = write_traj(tmp_path / "a.traj", RUN, type="optimization")
    refused(InvalidInput, "of type optimization, which is no molecular dynamics", traj, **TOLD)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_positions_that_are_not_finite(tmp_path, value):
    fractional = RUN.fractional.copy()
    fractional[7, 3, 1] = value
    run = Run(fractional, RUN.cell_A, SPECIES, RUN.energies_eV)
    match = "positions are not finite, or .* in frame 7; the run exploded or the file is damaged"
    with np.errstate(invalid="ignore"):
        refused(UnusableRun, match, write(tmp_path / "XDATCAR", xdatcar(run)), **TOLD)
        refused(UnusableRun, match, write(tmp_path / "v.xml", vasprun(run)), **TOLD)
        refused(UnusableRun, match, write_traj(tmp_path / "a.traj", run, wrapped=False), **TOLD)


def test_stars_in_place_of_numbers(tmp_path):
    number = XDATCAR.splitlines()[-1].split()[0]
    text = XDATCAR.replace(number, "**********")
    match = "frame 19 does not hold three coordinates for each of 18 atoms"
    refused(UnusableRun, match, write(tmp_path / "XDATCAR", text), **TOLD)
    number = VASPRUN.split("<v>")[-1].split()[0]
    text = VASPRUN.replace(number, "**********")
    refused(UnusableRun, "a step holds what are no numbers", write(tmp_path / "v.xml", text))
    number = OUTCAR.splitlines()[-8].split()[0]
    text = OUTCAR.replace(number, "*" * len(number))
    match = "step 19 holds what are no numbers"
    refused(UnusableRun, match, write(tmp_path / "OUTCAR", text))
    extxyz = write_extxyz(tmp_path / "a.xyz", RUN)
    number = extxyz.read_text().splitlines()[-1].split()[1]
    write(extxyz, extxyz.read_text().replace(number, "*********"))
    refused(UnusableRun, "frame 19 does not hold 4 columns with numbers", extxyz, **TOLD)


@pytest.mark.parametrize("kind", ["XDATCAR", "vasprun.xml", "OUTCAR", "a.xyz", "a.traj"])
def test_a_cell_that_changes(tmp_path, kind):
    strained = Run(RUN.fractional, RUN.cell_A * 1.01, SPECIES, RUN.energies_eV)
    path = tmp_path / kind
    if kind == "XDATCAR":
        later = xdatcar(strained.frames(10, 20), first=11, header_each=True)
        write(path, xdatcar(RUN.frames(10), header_each=True) + later)
    elif kind == "vasprun.xml":
        later = vasprun(strained.frames(10, 20))
        first = vasprun(RUN.frames(10)).removesuffix("</modeling>\n")
        write(path, first + later[later.index("<calculation>") :])
    elif kind == "OUTCAR":
        later = outcar(strained.frames(10, 20))
        write(path, outcar(RUN.frames(10)).rpartition(" General")[0] + later[later.index("----") :])
    elif kind == "a.xyz":
        later = write_extxyz(tmp_path / "later", strained.frames(10, 20)).read_text()
        write(path, write_extxyz(path, RUN.frames(10)).read_text() + later)
    else:
        from ase.io.trajectory import TrajectoryWriter

        with TrajectoryWriter(path) as writer:
            for run in (RUN.frames(10), strained.frames(10, 20)):
                for atoms in run.images():
                    writer.write(atoms)
    match = r"the cell changes, by 0\.11 Å from .* to frame 10; needed: one cell"
    refused(InvalidInput, match, path, **TOLD)


def test_no_cell_at_all(tmp_path):
    from ase import Atoms
    from ase.io.trajectory import TrajectoryWriter

    path = tmp_path / "a.traj"
    with TrajectoryWriter(path) as writer:
        writer.write(Atoms("KCl", positions=[[0, 0, 0], [1, 1, 1]]))
    refused(InvalidInput, r"a.traj: no periodic cell, but the vectors", path, **TOLD)


def test_parts_that_do_not_belong_together(tmp_path, path):
    first, second = tmp_path / "1.xml", tmp_path / "2.xml"
    write(first, vasprun(RUN.frames(10)))
    write(second, vasprun(RUN.frames(10, 20), POTIM=1.0))
    refused(InvalidInput, r"2.xml: a time step of 1 fs, but 2 fs in .*1.xml", first, second)
    write(second, vasprun(RUN.frames(10, 20), TEBEG=800.0, TEEND=800.0))
    refused(InvalidInput, r"2.xml: a temperature of 800 K, but 600 K in .*1.xml", first, second)
    write(second, vasprun(RUN.frames(10, 20), ML_OUTBLOCK=10, version="6.5.0"))
    refused(InvalidInput, r"2.xml: a stride of 10 steps, but 1 steps in .*1.xml", first, second)
    other = write(tmp_path / "other", xdatcar(random_run(n_frames=5, species=("K", "Cl", "Cl"))))
    refused(InvalidInput, r"other: other atoms, or in another order, than", path, other, **TOLD)
    strained = Run(RUN.fractional, RUN.cell_A * 1.01, SPECIES, RUN.energies_eV)
    write(second, vasprun(strained.frames(10, 20)))
    refused(InvalidInput, "2.xml: the cell changes", first, second)


def test_parts_in_the_wrong_order(tmp_path):
    run = random_run()  # drifts by 0.0075 of the cell a frame
    parts = [run.frames(0, 50), run.frames(50, 100), run.frames(100, 150)]
    paths = [write(tmp_path / f"{i}.xml", vasprun(part)) for i, part in enumerate(parts)]
    message = "1.xml: does not go on where the part before it ends: atom .* jumps .* Å"
    refused(InvalidInput, message, paths[2], paths[1], paths[0])
    refused(InvalidInput, "2.xml: does not go on", paths[0], paths[2])


def test_parts_given_twice(tmp_path):
    first = write(tmp_path / "1.xml", vasprun(RUN.frames(10)))
    second = write(tmp_path / "2.xml", vasprun(RUN.frames(10, 20)))
    again = tmp_path / ".." / tmp_path.name / "1.xml"
    refused(InvalidInput, r"1.xml: given twice; needed: each part of the run once", first, again)
    copy = write(tmp_path / "copy.gz", xdatcar(RUN.frames(10)))
    match = "copy.gz: begins with the same frame as .*1.xml; needed: each part of the run once"
    refused(InvalidInput, match, first, copy)
    refused(InvalidInput, match, first, second, copy)


def test_frames_missing_between_numbered_ones(tmp_path):
    later = xdatcar(RUN.frames(10, 20), first=15)
    path = write(tmp_path / "XDATCAR", xdatcar(RUN.frames(10)) + later[later.index("Direct") :])
    match = "configuration 15 follows on 10, while others are 1 apart; needed: frames at equal"
    refused(InvalidInput, match, path, **TOLD)


def test_wrapped_frames_too_far_apart_to_unwrap(tmp_path):
    rng = np.random.default_rng(0)
    scattered = Run(rng.random((20, 18, 3)), RUN.cell_A, SPECIES, RUN.energies_eV)
    message = refused(
        UnusableRun, "moves 0.* of the cell from frame .*; store frames more often",
        write(tmp_path / "XDATCAR", xdatcar(scattered)), **TOLD,
    )  # fmt: skip
    assert any(f"({symbol})" in message for symbol in SPECIES)


def test_atoms_in_another_order_further_down(tmp_path):
    one, other = tmp_path / "1", tmp_path / "2"
    write_extxyz(one, RUN.frames(10))
    write_extxyz(other, Run(RUN.fractional, RUN.cell_A, SPECIES[::-1], RUN.energies_eV).frames(10))
    path = write(tmp_path / "a.xyz", one.read_text() + other.read_text())
    refused(InvalidInput, "holds other atoms, or in another order, further down", path, **TOLD)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    run = RUN.frames(3)
    contents = {
        "XDATCAR": xdatcar(run).encode(),
        "vasprun.xml": vasprun(run).encode(),
        "OUTCAR": outcar(run).encode(),
        "extxyz": write_extxyz(folder / "a.xyz", run).read_bytes(),
    }
    return folder / "damaged", contents


@pytest.mark.parametrize("kind", ["XDATCAR", "vasprun.xml", "OUTCAR", "extxyz"])
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_whatever_is_damaged_there_is_a_run_or_a_message(sound, kind, data):
    path, contents = sound
    whole = contents[kind]
    damaged = bytearray(whole)
    start = data.draw(st.integers(0, len(whole) - 1))
    patch = data.draw(st.binary(max_size=8) | st.sampled_from([b"nan", b"-1", b"1e999", b"****"]))
    damaged[start : start + data.draw(st.integers(0, 8))] = patch
    path.write_bytes(damaged)
    with suppress(InvalidInput, UnusableRun):
        read_trajectory([path], "K", **TOLD)
