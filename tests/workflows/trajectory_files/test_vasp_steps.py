"""What vasprun.xml and OUTCAR say besides positions, and OUTCARs as other versions write them."""

import io

import numpy as np
import pytest
from md_files import outcar, random_run, vasprun, write

from screening.errors import InvalidInput
from workflows.trajectory_files.outcar import read_outcar
from workflows.trajectory_files.outcar import read_steps as outcar_steps
from workflows.trajectory_files.reading import read_trajectory
from workflows.trajectory_files.vasprun import read_steps as vasprun_steps
from workflows.trajectory_files.vasprun import read_vasprun

RUN = random_run(n_frames=70)


def read(path):
    return read_trajectory([path], "K")


@pytest.mark.parametrize(("write_text", "name"), [(vasprun, "vasprun.xml"), (outcar, "OUTCAR")])
@pytest.mark.parametrize(
    ("tags", "is_conserved"),
    [
        ({"MDALGO": 0, "SMASS": 0.0}, True),
        ({"MDALGO": 0, "SMASS": -3.0}, True),
        ({"MDALGO": 0, "SMASS": -1.0}, False),
        ({"MDALGO": 1, "ANDERSEN_PROB": 0.1}, False),
        ({"MDALGO": 1, "ANDERSEN_PROB": 0.0}, True),
        ({"MDALGO": 2}, True),
        ({"MDALGO": 3}, False),
        ({"MDALGO": 4}, True),
        ({"MDALGO": 5}, False),
    ],
)
def test_the_total_counts_as_conserved_where_the_thermostat_lets_it(
    tmp_path, write_text, name, tags, is_conserved
):
    path = write(tmp_path / name, write_text(RUN.frames(5), **tags))
    assert (read(path).conserved_energies_eV is not None) == is_conserved


def test_outcar_tells_the_thermostat_within_its_first_step(tmp_path):
    """As VASP 5 does; Nosé's mass may be too large for its columns."""
    run = RUN.frames(5)
    text = outcar(run, MDALGO="", SMASS="*****")
    assert read(write(tmp_path / "OUTCAR", text)).conserved_energies_eV is None
    inserted = text.replace("% ion-electron", "                MDALGO =   2\n% ion-electron")
    known = read(write(tmp_path / "OUTCAR", inserted)).conserved_energies_eV
    np.testing.assert_allclose(known, run.conserved_eV, atol=6e-7, rtol=0)


def test_numbers_of_an_outcar_may_touch(tmp_path):
    run = RUN.frames(5)
    text = outcar(run).replace(" -0.700000000", "-10.700000000")
    trajectory = read(write(tmp_path / "OUTCAR", text))
    assert trajectory.cell_A[2].tolist() == [0.4, -10.7, 11.2]


@pytest.mark.parametrize(("read_file", "text"), [(read_vasprun, vasprun), (read_outcar, outcar)])
def test_forces_come_with_the_steps(read_file, text):
    contents = read_file(io.BytesIO(text(RUN).encode()), "file")
    forces = np.concatenate([block.forces_eV_per_A for block in contents.blocks])
    np.testing.assert_allclose(forces, RUN.forces_eV_per_A, atol=1e-9, rtol=0)


def test_steps_of_relaxations_are_read_as_steps_alone():
    run = RUN.frames(3)
    for read_file, read_steps, text in (
        (read_vasprun, vasprun_steps, vasprun(run, IBRION=2)),
        (read_outcar, outcar_steps, outcar(run, IBRION=2)),
    ):
        with pytest.raises(InvalidInput, match="IBRION = 2, which is no molecular dynamics"):
            read_file(io.BytesIO(text.encode()), "file")
        contents = read_steps(io.BytesIO(text.encode()), "file")
        (block,) = contents.blocks
        np.testing.assert_allclose(block.potential_energies_eV, run.energies_eV, atol=1e-7)
        assert (contents.timestep_fs, contents.temperature_K) == (None, None)
