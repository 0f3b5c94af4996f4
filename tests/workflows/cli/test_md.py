"""`md analyze` as people call it, on files of a run whose diffusivity is known."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from md_files import hopping_run, random_run, vasprun, write, write_extxyz, write_traj, xdatcar
from typer.testing import CliRunner

from workflows.cli import app

RUN = hopping_run()
TOLD = ["--timestep-fs", "2", "--stride", "10", "--temperature-K", "600"]
# 150 hops of 3.5 Å by 8 ions in 30 ps, in cm²/s
TRUE_D_CM2_S = 150 * 3.5**2 / (6 * 8 * 29.98) * 1e-4
KEYS = {
    "species", "temperature_K", "D_cm2_s", "D_68_cm2_s", "D_95_cm2_s", "upper_bound_cm2_s",
    "reason", "dimensionality", "n_hops", "duration_ps", "files", "formula", "n_atoms", "n_ions",
    "n_frames", "timestep_fs", "stride", "notes", "motion", "disorder", "msd", "caveats",
}  # fmt: skip


def run(*arguments, width=100):
    runner = CliRunner(env={"COLUMNS": str(width), "NO_COLOR": "1"})
    return runner.invoke(app, ["md", "analyze", *map(str, arguments)])


def report(*arguments):
    result = run(*arguments, "--species", "K", "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("md")
    write(folder / "XDATCAR", xdatcar(RUN, stride=10))
    write(folder / "XDATCAR.gz", xdatcar(RUN, stride=10))
    write(folder / "1.xml", vasprun(RUN.frames(700), POTIM=20.0))
    write(folder / "2.xml", vasprun(RUN.frames(700, 1500), POTIM=20.0))
    write_extxyz(folder / "run.extxyz", RUN)
    write_traj(folder / "run.traj", RUN)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return report(folder / "XDATCAR", *TOLD)


def test_the_diffusivity_is_known_within_its_errors(found):
    assert found.keys() >= KEYS
    assert (found["species"], found["temperature_K"]) == ("K", 600.0)
    low, high = found["D_95_cm2_s"]
    assert low < TRUE_D_CM2_S < high
    assert low < found["D_68_cm2_s"][0] < found["D_cm2_s"] < found["D_68_cm2_s"][1] < high
    assert found["n_hops"] == pytest.approx(150, rel=0.4, abs=0)
    assert (found["upper_bound_cm2_s"], found["reason"]) == (None, None)
    assert (found["n_atoms"], found["n_ions"], found["n_frames"]) == (36, 8, 1500)
    assert found["formula"] == "K8Ta4Cl24"


def test_motion_and_local_structure_come_with_it(found):
    assert found["motion"]["species"] == "K"
    assert found["motion"]["n_ions"] == 8
    assert found["disorder"]["n_atoms"] == 36


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (["XDATCAR.gz"], ["--timestep-fs", "2", "--temperature-K", "600"]),
        (["1.xml", "2.xml"], []),
        (["run.extxyz"], TOLD),
        (["run.traj"], TOLD),
    ],
)
def test_every_format_gives_the_same(folder, found, names, options):
    same = report(*(folder / name for name in names), *options)
    for key in ("D_cm2_s", "n_hops", "duration_ps"):
        # energies, which XDATCAR lacks, may tell where equilibration ends
        assert same[key] == pytest.approx(found[key], rel=0.25, abs=0)
    assert same["files"] == [str(folder / name) for name in names]


def test_the_table_says_what_json_says(folder, found):
    result = run(folder / "XDATCAR", "--species", "K", *TOLD)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "K in K8Ta4Cl24" in text
    assert f"{found['D_cm2_s']:.2e} cm²/s (68 %: " in text
    assert "1500 of 36 atoms, 8 of them K" in text
    assert "2 fs, a frame every 10 steps (0.02 ps)" in text
    for title in ("diffusion", "motion", "local structure"):
        assert f"\n{title}" in text


def test_axes_that_are_closed_show_their_bounds(tmp_path):
    channel = hopping_run()
    channel.fractional[:, :8, 2] -= (
        np.round(3 * (channel.fractional[:, :8, 2] - channel.fractional[0, :8, 2])) / 3
    )
    found = report(path := write_extxyz(tmp_path / "channel.extxyz", channel), *TOLD)
    closed = found["principal"][-1]
    assert closed["D_cm2_s"] is None
    assert f"< {closed['upper_bound_cm2_s']:.2e} cm²/s" in run(path, "--species", "K", *TOLD).stdout


def test_what_is_a_note_is_no_caveat_too(folder):
    result = run(
        folder / "run.traj", "--species", "K", "--timestep-fs", "2", "--temperature-K", "6"
    )
    (note,) = report(folder / "run.traj", "--timestep-fs", "2", "--temperature-K", "6")["notes"]
    assert result.stdout.count(note[:40]) == 1


def test_too_short_a_run_gives_a_bound_and_its_reason(tmp_path):
    still = write_extxyz(tmp_path / "still.extxyz", hopping_run(n_frames=400, n_hops=0))
    found = report(still, *TOLD)
    assert found["D_cm2_s"] is None
    assert found["upper_bound_cm2_s"] > 0
    assert "hops of 3.5 Å" in found["reason"]
    text = run(still, "--species", "K", *TOLD).stdout
    assert "cm²/s at 95 % confidence" in text
    assert "no value because" in text


def test_a_truncated_file_is_analysed_and_said(folder, tmp_path, found):
    data = (folder / "2.xml").read_bytes()
    cut = write(tmp_path / "2.xml", data[: int(0.9 * len(data))])
    same = report(folder / "1.xml", cut)
    assert 1350 < same["n_frames"] < 1450
    (note,) = [note for note in same["notes"] if "2.xml" in note]
    assert "whole frames are used" in note
    printed = run(folder / "1.xml", cut, "--species", "K").stdout
    assert note.split("2.xml")[1][:20] in " ".join(printed.split())  # wrapped where paths are long


def test_figures(folder, tmp_path, monkeypatch):
    # rendering takes seconds and is tested where the figures are
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: path.write_text("drawn"))
    out = tmp_path / "figures" / "K"
    result = run(folder / "run.traj", "--species", "K", *TOLD, "--figures", out, "--json")
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    names = {path.stem for path in out.iterdir()}
    assert names >= {"density_ab", "van_hove_self", "rdf"}
    assert {path.suffix for path in out.iterdir()} == {".pdf", ".svg", ".png"}
    assert f"files written to {out}" in result.stderr.replace("\n", "")


def refused(*arguments):
    """The one message on stderr."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_expected_failures_are_one_message_and_exit_code_2(folder, tmp_path):
    file = folder / "XDATCAR"
    assert "--timestep-fs (in fs) and --temperature-K (in K)" in refused(file, "--species", "K")
    assert "no Li in it, but Cl, K, Ta" in refused(file, "--species", "Li", *TOLD)
    assert "did you mean K?" in refused(file, "--species", "k", *TOLD)
    assert "is a folder" in refused(folder, "--species", "K")
    assert "no such file" in refused(folder / "none", "--species", "K")
    assert "needed: more than 0 fs" in refused(file, "--species", "K", "--timestep-fs", "-1")
    short = write(tmp_path / "XDATCAR", xdatcar(RUN.frames(5)))
    assert "5 frames, at least 10 needed" in refused(short, "--species", "K", *TOLD)
    text = write(tmp_path / "notes.txt", "no trajectory at all\n")
    assert "no trajectory of a known format" in refused(text, "--species", "K", *TOLD)
    assert "is a file; needed: a folder" in refused(
        file, "--species", "K", *TOLD, "--figures", text
    )
    nothing_else = write(tmp_path / "K", xdatcar(random_run(n_frames=20, species=("K",) * 4)))
    assert "nothing but K" in refused(nothing_else, "--species", "K", *TOLD)


def test_damaged_positions_are_refused(tmp_path):
    fractional = RUN.fractional[:50].copy()
    fractional[20, 2] = np.nan
    damaged = type(RUN)(fractional, RUN.cell_A, RUN.species, RUN.energies_eV[:50])
    path = write(tmp_path / "XDATCAR", xdatcar(damaged))
    assert "in frame 20; the run exploded" in refused(path, "--species", "K", *TOLD)


def test_species_is_asked_for(folder):
    result = run(folder / "XDATCAR")
    assert result.exit_code == 2
    assert "--species" in result.stderr
