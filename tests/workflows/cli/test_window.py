"""`window` as people call it, with the embedded potential on small cells."""

import json
import re
from functools import partial

import pytest
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

import workflows.config
from screening.stability.references import ReferencePhases
from workflows.cli import app

CUBIC = Lattice.cubic(9.894)
SITES = [(0, 0, 0), (0.25, 0.25, 0.25), (0.239, 0, 0)]
VASP = {
    "code": "vasp",
    "functional": "PBE/PBE+U",
    "corrections": "MP2020",
    "potential": "MP legacy PBE POTCARs",
    "weights_sha256": None,
}


def kcl(lattice_constant_A=6.29):
    lattice = Lattice.cubic(lattice_constant_A)
    sites = [(0, 0, 0), (0.5, 0.5, 0.5)]
    return Structure.from_spacegroup("Fm-3m", lattice, ["K", "Cl"], sites).get_primitive_structure()


def ktacl6(k="K", chlorine="Cl"):
    """The ordering of cubic KTaCl6 with one formula unit."""
    cell = Structure.from_spacegroup("F-43m", CUBIC, ["Ta", k, chlorine], SITES)
    return cell.get_primitive_structure()


def partly_filled():
    return Structure.from_spacegroup("Fm-3m", CUBIC, ["Ta", {"K": 0.5}, "Cl"], SITES)


@pytest.fixture
def file(tmp_path):
    """Writes a structure, or a text, into a file."""

    def write(contents, name="mine.cif"):
        path = tmp_path / name
        if isinstance(contents, str):
            path.write_text(contents)
        else:
            contents.to(str(path))
        return path

    return write


def run(*arguments, width=100):
    runner = CliRunner(env={"COLUMNS": str(width), "NO_COLOR": "1"})
    return runner.invoke(app, ["window", *map(str, arguments)])


def refused(*arguments):
    """The one message on stderr."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    message = result.stderr.splitlines()[-1]
    assert result.stderr.count("\n") <= 2, result.stderr  # what is relaxed may stand before it
    return message


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """KTaCl6 as JSON and as text, and the file it was read from."""
    folder = tmp_path_factory.mktemp("ktacl6")
    path = folder / "ktacl6.cif"
    ktacl6().to(str(path))
    as_json = run(path, "--ion", "K", "--json")
    assert as_json.exit_code == 0, as_json.output
    text = run(path, "--out", folder / "relaxed.cif", width=80)
    assert text.exit_code == 0, text.output
    return json.loads(as_json.stdout), text.stdout, folder


def test_published_window_of_ktacl6(found):
    """2.414-4.826 V with PBE, doi:10.1016/j.ensm.2024.103618; CHGNet within 0.15 V of it."""
    document, *_ = found
    assert document["reduction_limit_V"] == pytest.approx(2.414, abs=0.15)
    assert document["oxidation_limit_V"] == pytest.approx(4.826, abs=0.15)
    window = document["stability"]["candidate_window"]
    assert sorted(window["reduction"]["products"]) == ["K2Ta3Cl9", "KCl"]
    assert sorted(window["oxidation"]["products"]) == ["Cl2", "TaCl5"]
    assert document["stability"]["window_of"] == "candidate"


def test_the_document_is_whole(found):
    document, *_ = found
    stability, used = document["stability"], document["references"]
    shipped = ReferencePhases.load("chgnet-0.3.0")
    assert (document["formula"], document["mobile_ion"]) == ("KTaCl6", "K")
    assert (used["name"], used["date"]) == ("chgnet-0.3.0", shipped.date)
    assert used["sha256"] == shipped.sha256
    assert used["n_phases"] == len(shipped.system(["K", "Ta", "Cl"]).phases)
    assert stability["guards"]
    assert all(guard["message"] for guard in stability["guards"])
    assert document["suspect"] == (not all(guard["passed"] for guard in stability["guards"]))
    for step in stability["profile"]["steps"]:
        assert {"potential_V", "products", "capacity_mAh_g", "energy_Wh_kg"} <= set(step)
    limits = [stability["candidate_window"][end] for end in ("reduction", "oxidation")]
    for limit in limits:
        if limit["potential_68_V"] is None:
            assert any("no error bar" in caveat for caveat in stability["caveats"])
        else:
            low_V, high_V = limit["potential_68_V"]
            assert low_V <= limit["potential_V"] <= high_V
            assert low_V < high_V
    assert document["width_V"] == limits[1]["potential_V"] - limits[0]["potential_V"]


def test_what_people_see_has_it_all_in_80_columns(found):
    document, text, _ = found
    stability = document["stability"]
    assert all(len(line) <= 80 for line in text.splitlines())
    plain = " ".join(text.split())
    limits = f"{document['reduction_limit_V']:.3f}–{document['oxidation_limit_V']:.3f} V"
    assert f"own window {limits}, {document['width_V']:.3f} V wide" in plain
    assert "in V against K/K+" in plain
    assert "█c" in text
    for step in stability["profile"]["steps"]:
        assert step["reaction"] in plain
        assert f"{step['potential_V']:.3f} {step['capacity_mAh_g']:.1f}" in plain
    for guard in stability["guards"]:
        assert f"{guard['name']} {'passed' if guard['passed'] else 'FAILED'}: " in plain
    for said in ("window of equilibrium", document["references"]["sha256"][:12]):
        assert said in plain


def test_only_the_relaxed_structure_is_written_and_only_when_asked(found):
    document, _, folder = found
    assert sorted(path.name for path in folder.iterdir()) == ["ktacl6.cif", "relaxed.cif"]
    written = Structure.from_file(folder / "relaxed.cif")
    assert (
        written.composition == Structure.from_dict(document["relaxation"]["structure"]).composition
    )
    assert written.volume == pytest.approx(
        Structure.from_dict(document["relaxation"]["structure"]).volume, rel=1e-4
    )


def test_several_structures_and_other_files(file):
    paths = [file(kcl(), "POSCAR"), file(kcl(6.5), "wide.cif")]
    result = run(*paths, "--json")
    assert result.exit_code == 0, result.stderr
    first, second = json.loads(result.stdout)
    assert [d["structure_file"] for d in (first, second)] == [str(path) for path in paths]
    for document in (first, second):
        assert document["reduction_limit_V"] == pytest.approx(0, abs=1e-9)
        assert document["oxidation_limit_V"] == pytest.approx(4.4, abs=0.1)
    assert first["oxidation_limit_V"] == pytest.approx(second["oxidation_limit_V"], abs=0.01)


def test_raw_halide_energies_lose_the_correction_of_chlorides(file):
    """MP2020's chloride correction is -0.614 eV an anion (doi:10.1038/s41598-021-94550-5)."""
    path = file(kcl())
    corrected, raw = (
        json.loads(run(path, "--json", *options).stdout)
        for options in ([], ["--raw-halide-energies"])
    )
    lowered_V = corrected["oxidation_limit_V"] - raw["oxidation_limit_V"]
    assert lowered_V == pytest.approx(0.614, abs=0.001)
    assert raw["raw_halide_energies"]
    assert any("correction" in caveat for caveat in raw["stability"]["caveats"])


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("", "cannot be read as a structure: Invalid CIF file"),
        ("data_x\n", "cannot be read as a structure"),
        ("\x00\x01", "cannot be read as a structure"),
    ],
)
def test_unreadable_structures(file, contents, message):
    path = file(contents)
    assert re.match(rf"{path}: {message}.*; needed: a CIF, a POSCAR or", refused(path))


def test_a_missing_file(tmp_path):
    assert refused(tmp_path / "no.cif") == f"{tmp_path / 'no.cif'}: no such file"


def test_partial_occupancies(file):
    path = file(partly_filled())
    message = refused(path)
    assert "partially occupied sites; needed: whole atoms" in message
    assert f"`halideflow enumerate {path} --out FOLDER`" in message


def test_a_structure_without_the_ion(file):
    path = file(kcl())
    assert re.match(rf"{path}: no Na in it, but Cl, K; needed", refused(path, "--ion", "Na"))


@pytest.mark.parametrize("ion", ["Ag", "Xx", "k", "K+"])
def test_an_unknown_ion(file, ion):
    message = refused(file(kcl()), "--ion", ion)
    assert message.startswith(f"--ion {ion}: ")
    assert message.endswith("needed: one of Li, Na, K, Rb, Cs")


def test_the_ion_that_is_meant(file):
    both = ktacl6()
    both.replace(1, "Na")
    both.append("K", [0.25, 0.25, 0.25])
    path = file(both)
    assert re.match(rf"{path}: holds K and Na; needed: --ion with the one", refused(path))
    silver = file(ktacl6("Ag"), "silver.cif")
    assert re.match(rf"{silver}: no alkali metal in Ag, Cl, Ta; needed", refused(silver))


def test_elements_that_the_snapshot_lacks(file):
    path = file(ktacl6(chlorine="At"))
    message = refused(path)
    assert re.match(rf"{path}: .*\bAt\b", message)
    for command in ("build", "vasp", "fetch"):
        assert f"halideflow references {command}" in message
    assert "Offline" in message


@pytest.mark.parametrize("content", ["{", "", '{"phases": []}', "\x00"])
def test_a_corrupt_snapshot(file, content):
    snapshot = file(content, "broken.json")
    message = refused(file(kcl()), "--references", snapshot)
    assert re.match(rf"{snapshot} is not a snapshot of reference phases: .*restore it", message)


def test_a_snapshot_that_is_not_there(file, tmp_path):
    message = refused(file(kcl()), "--references", tmp_path / "none.json")
    assert "none.json" in message
    assert "chgnet-0.3.0" in message


def test_a_snapshot_of_another_convention_is_refused_before_relaxing(file):
    shipped = ReferencePhases.load("chgnet-0.3.0").system(["K", "Cl"])
    convention = type(shipped.convention)(**VASP)
    phases = tuple(p.model_copy(update={"correction_eV_per_atom": 0.0}) for p in shipped.phases)
    other = shipped.model_copy(update={"convention": convention, "phases": phases})
    result = run(file(kcl()), "--references", file(other.dump(), "vasp.json"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "relaxing" not in result.stderr
    for named in ("vasp.json", "MP legacy PBE POTCARs", "chgnet 0.3.0", "references build"):
        assert named in result.stderr


def test_atoms_on_top_of_each_other(file):
    structure = kcl()
    structure.append("Cl", [0.5, 0.5, 0.52])
    path = file(structure)
    assert re.match(rf"{path}: Cl .* and Cl .* apart; needed", refused(path))


def test_an_unconverged_relaxation(file, monkeypatch):
    settings = partial(workflows.config.RelaxSettings, max_steps=2, max_force_eV_per_A=1e-4)
    monkeypatch.setattr(workflows.config, "RelaxSettings", settings)
    path = file(kcl(7))
    message = refused(path)
    found = rf"{path}: largest force .* after 2 steps, needed 0.0001, of the cell as of the atoms"
    assert re.match(found, message)
    assert "keys of a campaign file" in message


def test_an_isolated_atom(file):
    path = file(Structure(Lattice.cubic(20), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    assert re.match(rf"{path}: atom 0 has no neighbour within 6 Å", refused(path))


def test_one_failure_of_several_does_not_lose_the_others(file):
    far = file(Structure(Lattice.cubic(20), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]), "far.cif")
    result = run(far, file(kcl()), "--json")
    assert result.exit_code == 2
    assert f"{far}: atom 0 has no neighbour" in result.stderr
    assert [document["formula"] for document in json.loads(result.stdout)] == ["KCl"]


@pytest.mark.parametrize("bad", ["two", "folder", "nowhere"])
def test_where_the_relaxed_structure_cannot_go(file, tmp_path, bad):
    path = file(kcl())
    arguments = {
        "two": (path, path, "--out", tmp_path / "out.cif"),
        "folder": (path, "--out", tmp_path),
        "nowhere": (path, "--out", tmp_path / "no" / "out.cif"),
    }[bad]
    assert refused(*arguments).startswith("--out")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.cif"]
