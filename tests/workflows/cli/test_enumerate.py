"""`enumerate` and `plan` as people call them, on files as pymatgen writes them."""

import gzip
import json
import math
import re
import signal
import subprocess
import sys
import time

import pytest
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from screening.documents import Candidate
from workflows import enumeration_files
from workflows.cli import app, counts
from workflows.cli import enumerate as enumeration
from workflows.cli.counts import short

K2TACL6 = {"Ta": (0, 0, 0), "K": (0.25, 0.25, 0.25), "Cl": (0.239, 0, 0)}
LI3YCL6 = {
    ("Y", 0): (0, 0, 0),
    ("Y", 1): (1 / 3, 2 / 3, 0.488),
    ("Li", 0): (0.3397, 0, 0),
    ("Li", 1): (0.3397, 0, 0.5),
    ("Cl", 0): (0.1131, -0.1131, 0.7717),
    ("Cl", 1): (0.2185, -0.2185, 0.2601),
    ("Cl", 2): (0.4436, -0.4436, 0.7645),
}
CIF = """\
data_k
_symmetry_Int_Tables_number 225
_cell_length_a 9.894
_cell_length_b 9.894
_cell_length_c 9.894
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Ta Ta1 0 0 0 1
K K1 0.25 0.25 0.25 0.5
Cl Cl1 0.239 0 0 1
"""
CONFIG = """\
name: demo
candidates:
  families:
    - formula: A(x)TaCl6
      prototype: k2ptcl6
      elements: {A: [K, Na]}
      x: [1, 2]
      oxidation_states: {Ta: [5]}
dynamics: {temperatures_K: [600, 700, 800]}
"""


def k2tacl6(k=0.5, charged=False, mobile="K"):
    """K2PtCl6 type with part of the K sites filled."""
    species = ["Ta5+", {f"{mobile}+": k}, "Cl-"] if charged else ["Ta", {mobile: k}, "Cl"]
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(9.894), species, list(K2TACL6.values()))


def li3ycl6(li=0.5):
    species = [{symbol: li if symbol == "Li" else 1} for symbol, _ in LI3YCL6]
    return Structure.from_spacegroup(
        "P-3m1", Lattice.hexagonal(11.202, 6.032), species, list(LI3YCL6.values())
    )


@pytest.fixture
def parent(tmp_path):
    """Writes a structure as CIF."""

    def write(structure, name="k.cif"):
        path = tmp_path / name
        if isinstance(structure, str):
            path.write_text(structure)
        else:
            structure.to(str(path))
        return path

    return write


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "demo.yaml"
    path.write_text(CONFIG)
    return path


def run(*arguments):
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, [str(a) for a in arguments])


def as_json(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(*arguments):
    """The message on stderr."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    return result.stderr


def test_six_of_seventy(parent):
    found = as_json("enumerate", parent(k2tacl6()))
    assert (found["n_raw"], found["n_distinct"], found["n_crystals"]) == (70, 6, 6)
    assert sorted(found["degeneracies"]) == [2, 6, 6, 8, 24, 24]
    assert sorted(found["crystal_degeneracies"]) == [2, 6, 6, 8, 24, 24]
    assert (found["formula"], found["mobile_ion"], found["n_atoms"]) == ("KTaCl6", "K", 32)
    assert (found["supercell"], found["notes"]) == ([1, 1, 1], [])


def test_orderings_and_crystals(parent):
    found = as_json("enumerate", parent(k2tacl6(charged=True)), "--supercell", 2, 1, 1)
    assert (found["n_raw"], found["n_distinct"], found["n_crystals"]) == (12_870, 283, 279)
    assert len(found["degeneracies"]) == 283
    assert len(found["crystal_degeneracies"]) == 279
    assert sum(found["degeneracies"]) == sum(found["crystal_degeneracies"]) == 12_870


def test_counted_in_closed_form(parent):
    found = as_json("enumerate", parent(k2tacl6()), "--supercell", 2, 2, 1, "--count-only")
    assert (found["n_raw"], found["n_distinct"]) == (601_080_390, 2_386_468)
    assert "degeneracies" not in found


def test_numbers_of_any_size_are_exact(parent):
    found = as_json("enumerate", parent(k2tacl6()), "--supercell", 3, 3, 2, "--count-only")
    assert found["n_raw"] == math.comb(144, 72)
    text = run("enumerate", parent(k2tacl6()), "--supercell", 3, 3, 2, "--count-only").stdout
    assert re.search(r"KTaCl6 +k.cif +3x3x2 +576 +1.5e42 +\d\.\de39 +all", text)
    assert run("enumerate", parent(k2tacl6()), "--supercell", 3, 3, 2).exit_code == 2


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (283, "283"), (10**12 - 1, "999,999,999,999"), (10**12, "1.0e12")],
)
def test_short_numbers(number, text):
    assert short(number) == text
    assert short(12 * 10**4000) == "1.2e4001"


def test_not_neutral_is_counted_all_the_same(parent):
    path = parent(li3ycl6(), "li.cif")
    result = run("enumerate", path, "--json")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: no usual oxidation states make Li6Y3Cl18 neutral")
    found = json.loads(result.stdout)
    assert (found["n_raw"], found["n_distinct"]) == (924, 96)
    assert sum(found["degeneracies"]) == 924
    (note,) = found["notes"]
    assert f"note: {note}\n" == result.stderr
    assert "Ewald energy" not in run("enumerate", path).stdout


def test_what_people_see(parent):
    result = run("enumerate", parent(k2tacl6()), "--supercell", 2, 1, 1)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["KTaCl6", "k.cif", "2x1x1", "64", "12,870", "283", "all"] in lines
    rows = [line for line in lines if len(line) == 4 and line[0].isdigit()]
    assert [row[0] for row in rows] == [str(i) for i in range(1, 21)]
    assert [row[1] for row in rows] == [f"KTaCl6-k-2x1x1-{i}" for i in range(1, 21)]
    energies = [float(row[3]) for row in rows]
    assert energies == sorted(energies)
    assert "… 259 more; --out DIR writes them all" in result.stdout
    assert "279 distinct crystals: 4 of the orderings are one of the others" in result.stdout


def test_nothing_to_order(parent):
    found = as_json("enumerate", parent(k2tacl6(1.0)))
    assert (found["n_raw"], found["n_distinct"], found["degeneracies"]) == (1, 1, [1])


def test_other_files_than_cif(parent, tmp_path):
    path = tmp_path / "POSCAR"
    k2tacl6(1.0).to(str(path), fmt="poscar")
    assert as_json("enumerate", path)["formula"] == "K2TaCl6"


@pytest.mark.parametrize(
    ("contents", "ion"),
    [
        ({"K": 0.5, "Na": 1}, "K"),  # the one that is disordered
        ({"K": 1, "Na": 0.5}, "Na"),
        ({"K": 1, "Na": 1}, "K"),  # of two ordered ones that of which there is more
    ],
)
def test_the_mobile_ion(parent, contents, ion):
    structure = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(10),
        [{"K": contents["K"]}, {"Na": contents["Na"]}, "Y", "Cl"],
        [(0.25, 0.25, 0.25), (0.5, 0.5, 0.5), (0, 0, 0), (0.25, 0, 0)],
    )
    assert as_json("enumerate", parent(structure), "--count-only")["mobile_ion"] == ion


K_LINE, LAST = "K K1 0.25 0.25 0.25 0.5", "Cl Cl1 0.239 0 0 1\n"
BAD_CIFS = {
    "K K1 0.25 0.25 0.25 1.2": r"k.cif: site K1 has the occupancy 1.2; needed: 0 to 1\n",
    "K K1 0.25 0.25 0.25 1.004": r"occupancy 1.004; needed: 0 to 1",
    "K K1 0.25 0.25 0.25 -0.5": r"occupancy -0.5; needed",
    "K K1 0.25 0.25 0.25 nan": r"occupancy nan; needed",
    "K K1 0.25 0.25 0.25 half": r"occupancy half; needed",
    f"{K_LINE}\nNa Na1 0.25 0.25 0.25 0.7": r"the place of Na1 sum to 1.2; needed: at most 1\n",
    "Foo K1 0.25 0.25 0.25 0.5": r"k.cif: site K1 holds Foo, which is no element; needed: its",
    "Xx K1 0.25 0.25 0.25 0.5": r"site K1 holds Xx, which is no element",
    "Ag Ag1 0.25 0.25 0.25 0.5": r"k.cif: no mobile site: .* Ag, Cl, Ta; needed: Li, Na or K",
    "K K1 0.25 0.25 0.25 0.3": r"k.cif: 2.4 K on 8 sites; .* 5 times .* of 2/8 or 3/8\n",
    "K K1 0.25": r"k.cif: cannot be read as a structure: .*; needed: a CIF, a POSCAR or",
}


@pytest.mark.parametrize("line", BAD_CIFS)
def test_a_bad_cif(parent, tmp_path, line):
    path = parent(CIF.replace(K_LINE, line))
    for options in ([], ["--count-only"], ["--out", tmp_path / "out"], ["--json"]):
        message = refused("enumerate", path, *options)
        assert re.search(BAD_CIFS[line], message), message
        assert message.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["k.cif"]


def test_that_cif_without_the_fault(parent):
    assert as_json("enumerate", parent(CIF), "--count-only")["n_distinct"] == 6
    two = CIF.replace(LAST, f"{LAST}K+ K2 0.25 0.25 0.25 0.25\n")  # more of it on the same place
    assert as_json("enumerate", parent(two), "--count-only")["n_raw"] == 28


def test_charges_of_the_file_that_do_not_sum_to_zero(parent):
    message = refused("enumerate", parent(k2tacl6(0.75, charged=True)))
    assert re.search(r"k.cif: the charges of the file sum to \+2 a cell; needed: 0, .*4", message)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("no.cif", None, r"no.cif: no such file\n"),
        ("empty.cif", "", r"empty.cif: cannot be read as a structure: Invalid CIF file"),
        ("POSCAR", "hello\n", r"POSCAR: cannot be read as a structure: "),
        ("k.xyz.txt", "hello\n", r"cannot be read as a structure: Unrecognized extension"),
        ("k.json", "{}", r"k.json: cannot be read as a structure: KeyError 'lattice'"),
        ("demo.yaml", "name: [", r"demo.yaml: 1 problem\n"),
        ("no.yaml", None, r"no.yaml: cannot be read: no such file or directory\n"),
    ],
)
def test_files_that_are_no_source(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert re.search(message, refused("enumerate", path))


@pytest.mark.parametrize("supercell", [(0, 1, 1), (1, -1, 1)])
def test_no_supercell(parent, supercell):
    message = refused("enumerate", parent(k2tacl6()), "--supercell", *supercell)
    assert re.match(r"--supercell is \d -?\d \d; needed: three whole numbers, each at", message)


def test_a_supercell_beyond_counting(parent):
    message = refused("enumerate", parent(k2tacl6()), "--supercell", 10, 10, 10, "--count-only")
    assert "8,000 sites to be ordered under 192,000 symmetry operations are too many" in message


def test_options_that_do_not_fit(parent, config, tmp_path):
    assert "--supercell is for a structure" in refused("enumerate", config, "--supercell", 1, 1, 1)
    options = "--count-only", "--out", tmp_path / "out"
    assert "--count-only makes no candidates" in refused("enumerate", parent(k2tacl6()), *options)
    assert run("enumerate", parent(k2tacl6()), "--supercell", 2, "x", 1).exit_code == 2


def test_more_than_is_made_at_once(parent, monkeypatch):
    monkeypatch.setattr(enumeration, "MAX_MADE", 282)
    result = run("enumerate", parent(k2tacl6()), "--supercell", 2, 1, 1)
    assert result.exit_code == 2
    assert re.match(r"283 orderings, more than the 282 .*--count-only, or .*--out", result.stderr)


def test_more_than_can_be_written(parent, tmp_path):
    options = "--supercell", 3, 3, 2, "--out", tmp_path / "out"
    result = run("enumerate", parent(k2tacl6()), *options)
    assert result.exit_code == 2
    assert re.match(r"1.3e39 orderings, more than the 1,000,000,000 .*sample", result.stderr)
    assert not (tmp_path / "out").exists()


def test_a_campaign(config):
    result = run("enumerate", config)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["KTaCl6", "k2ptcl6", "1x1x1", "32", "70", "6", "all"] in lines
    assert ["NaTaCl6", "k2ptcl6", "1x1x1", "32", "70", "6", "all"] in lines
    assert "in all 140 configurations, 12 distinct orderings, 12 kept" in result.stdout
    assert "left out: K2TaCl6: k2ptcl6: neutral only with Ta 4+; allowed: Ta 5+" in result.stdout
    assert "12 candidates" in result.stdout


def test_a_campaign_as_json(config):
    counted = as_json("enumerate", config, "--count-only")
    assert (counted["n_configurations"], counted["n_orderings"], counted["n_kept"]) == (140, 12, 12)
    assert [entry["formula"] for entry in counted["left_out"]] == ["K2TaCl6", "Na2TaCl6"]
    assert "n_candidates" not in counted
    made = as_json("enumerate", config)
    assert made["n_candidates"] == 12
    for entry, before in zip(made["compositions"], counted["compositions"], strict=True):
        assert sum(entry.pop("degeneracies")) == entry["n_configurations"] == 70
        assert entry == before


def test_too_many_orderings_of_a_campaign(config, tmp_path):
    text = CONFIG.replace("[5]}\n", "[5]}\n      supercell: [2, 1, 1]\n")
    config.write_text(text)
    counted = run("enumerate", config, "--count-only")
    assert counted.exit_code == 0
    assert "too many" in counted.stdout
    assert re.search(r"KTaCl6 has 283 distinct .*raise max_orderings", counted.stderr)
    planned = run("plan", config)
    assert planned.exit_code == 2
    assert planned.stderr == counted.stderr
    assert "too many" in planned.stdout
    for options in ([], ["--out", tmp_path / "out"]):
        made = run("enumerate", config, *options)
        assert made.exit_code == 2
        assert made.stderr == counted.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["demo.yaml"]
    config.write_text(text.replace("[2, 1, 1]\n", "[2, 1, 1]\n      when_more: sample\n"))
    assert "100 random" in run("enumerate", config, "--count-only").stdout
    assert as_json("enumerate", config)["n_candidates"] <= 200


def test_plan(config, tmp_path):
    result = run("plan", config)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "at most 12 candidates would be relaxed, and at most 36 dynamics runs" in result.stdout
    assert "(at 600, 700, 800 K; gates decide which)" in result.stdout
    assert "left out: K2TaCl6" in result.stdout
    found = as_json("plan", config)
    assert (found["campaign"], found["results_dir"]) == ("demo", str(tmp_path / "demo"))
    assert (found["n_relaxations_at_most"], found["n_dynamics_at_most"]) == (12, 36)
    assert found["compositions"] == as_json("enumerate", config, "--count-only")["compositions"]
    assert [p.name for p in tmp_path.iterdir()] == ["demo.yaml"]


def test_a_plan_for_nothing(config):
    config.write_text(CONFIG.replace("x: [1, 2]", "x: [2]"))
    result = run("plan", config)
    assert result.exit_code == 2
    assert "no composition is left" in result.stdout
    assert "left out: K2TaCl6" in result.stdout


def test_to_a_folder(parent, tmp_path):
    path, out = parent(k2tacl6()), tmp_path / "out"
    first = run("enumerate", path, "--out", out)
    assert first.exit_code == 0
    assert re.fullmatch(rf"6 candidates written in \d+ s, 6 are in {out}\n", first.stderr)
    with gzip.open(out / "candidates-00000.jsonl.gz") as lines:
        made = [Candidate.model_validate_json(line) for line in lines]
    assert [c.id for c in made] == [f"KTaCl6-k-{i}" for i in range(1, 7)]
    assert len(list((out / "structures").glob("*.cif"))) == 6
    again = run("enumerate", path, "--out", out, "--json")
    assert (again.exit_code, again.stderr) == (0, f"nothing to do: all 6 candidates are in {out}\n")
    found = json.loads(again.stdout)
    assert (found["out"], found["n_candidates"], found["n_distinct"]) == (str(out), 6, 6)
    assert sum(found["degeneracies"]) == 70
    other = run("enumerate", path, "--supercell", 2, 1, 1, "--out", out)
    assert other.exit_code == 2
    assert "holds candidates of other settings or structures (k.cif)" in other.stderr


def test_an_unknown_element_in_a_poscar(tmp_path):
    path = tmp_path / "POSCAR"
    k2tacl6(1.0).to(str(path), fmt="poscar")
    path.write_text(path.read_text().replace(" Cl\n", " Foo\n", 1))
    assert "Can't parse Element or Species from 'Foo'" in refused("enumerate", path)


def test_progress_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(counts, "_LINE_EVERY_S", 0)
    with counts.candidate_progress(1000) as show:
        show(500)
    assert capsys.readouterr().err == "candidates 500 of 1,000\n"


def test_a_campaign_to_a_folder(config, tmp_path):
    found = as_json("enumerate", config, "--out", tmp_path / "out")
    assert found["n_candidates"] == 12
    assert [entry["n_candidates"] for entry in found["compositions"]] == [6, 6]
    assert len(list((tmp_path / "out" / "structures").iterdir())) == 12
    index = json.loads((tmp_path / "out" / "enumeration.json").read_text())
    assert [entry["formula"] for entry in index["left_out"]] == ["K2TaCl6", "Na2TaCl6"]


def halideflow(*arguments):
    command = [sys.executable, "-m", "workflows.cli", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_gone_on_with(parent, tmp_path, how):
    command = "enumerate", parent(k2tacl6()), "--supercell", 3, 1, 1, "--out"
    stopped = halideflow(*command, tmp_path / "stopped")
    while not (tmp_path / "stopped" / "candidates-00000.jsonl.gz").exists():
        assert stopped.poll() is None
        time.sleep(0.005)
    stopped.send_signal(how)
    _, stderr = stopped.communicate()
    assert not json.loads((tmp_path / "stopped" / "enumeration.json").read_text())["finished"]
    if how == signal.SIGINT:
        assert stopped.returncode == 3
        assert re.search(r"stopped; [\d,]+ candidates are in .*, the same command goes on", stderr)
    else:
        assert stopped.returncode == -signal.SIGKILL
    again, undisturbed = run(*command, tmp_path / "stopped"), run(*command, tmp_path / "whole")
    n_written, n_all = (int(n.replace(",", "")) for n in re.findall(r"[\d,]{4,}", again.stderr))
    assert n_written in {n_all - 10_000, n_all - 20_000}
    assert undisturbed.exit_code == again.exit_code == 0
    files = {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / "stopped").iterdir()} == files
    assert len(files) == 4


def test_an_interruption_that_compiled_code_makes_another_error_of(parent, tmp_path, monkeypatch):
    def lines(block):
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise ValueError("error calling a function") from error
        yield b""

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(enumeration_files, "candidate_lines", lines)
        result = run("enumerate", parent(k2tacl6()), "--out", out)
    message = f"stopped; 0 candidates are in {out}, the same command goes on\n"
    assert (result.exit_code, result.stderr) == (3, message)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert run("enumerate", parent(k2tacl6()), "--out", out).exit_code == 0
