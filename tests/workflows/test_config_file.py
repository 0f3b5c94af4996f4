import json
import pickle
import textwrap
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from screening.stability.references import ReferencePhases
from screening.stability.snapshots import locate_snapshot
from workflows.config import CampaignConfig
from workflows.config_docs import allowed, default_yaml, schema_at
from workflows.config_file import (
    ConfigError,
    load_campaign,
    read_structures,
    resolve_references,
    results_folder,
)

VALID = """\
name: demo
candidates:
  families:
    - formula: KMCl6
      prototype: k2ptcl6
      elements:
        M: [Ta]
      max_orderings: 6
"""
CANDIDATES = allowed(schema_at(["candidates"]))
N_LINES = VALID.count("\n")


@pytest.fixture
def campaign(tmp_path):
    """Writes a campaign file."""

    def write(text, valid=VALID):
        path = tmp_path / "my.yaml"
        path.write_text(valid + textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def message(campaign):
    """The whole message that a campaign file is refused with, and the file's name taken out."""

    def refuse(text, valid=VALID):
        path = campaign(text, valid)
        with pytest.raises(ConfigError) as caught:
            load_campaign(path)
        return str(caught.value).replace(str(path), "my.yaml")

    return refuse


def test_a_valid_file(campaign):
    config = load_campaign(campaign("dynamics: {temperatures_K: [600, 1e3], timestep_fs: 5e-1}"))
    assert config.name == "demo"
    assert config.dynamics.temperatures_K == (600.0, 1000.0)
    assert config.dynamics.timestep_fs == 0.5


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1", 1.0), (".5", 0.5), ("1_000", 1000.0), ("0x10", 16.0), ("+2E0", 2.0)],
)
def test_numbers_as_yaml_1_2_writes_them(campaign, text, value):
    config = load_campaign(campaign(f"dynamics: {{production_ps: 2000, checkpoint_ps: {text}}}"))
    assert config.dynamics.checkpoint_ps == value


def test_aliases_are_read(campaign):
    text = "gates: {min_window_V: &volts 2.5, min_oxidation_limit_V: *volts}"
    assert load_campaign(campaign(text)).gates.min_oxidation_limit_V == 2.5


def test_escaped_surrogates_become_characters(campaign):
    assert load_campaign(campaign(r'description: "\ud83d\ude00 \ud800"')).description == "😀 \ufffd"


def test_a_byte_order_mark_is_no_problem(campaign):
    path = campaign("")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_campaign(path).name == "demo"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (
            "relax: {max_step: 3}",
            1,
            "relax.max_step: unknown key; did you mean max_steps? "
            "allowed: max_force_eV_per_A, max_steps, rattle_A",
        ),
        (
            "relax:\n  max_steps: 3\n  colour: red",
            3,
            "relax.colour: unknown key; allowed: max_force_eV_per_A, max_steps, rattle_A",
        ),
        (
            "engine:\n  name: vaps",
            2,
            'engine.name: found "vaps"; did you mean vasp? allowed: "chgnet", "vasp" or',
        ),
        (
            "engine:\n  model: 0.4.0",
            2,
            'engine.model: found "0.4.0"; did you mean 0.3.0? allowed: "0.3.0" or "r2scan"',
        ),
        (
            "store: {backend: mongo}",
            1,
            'store.backend: found "mongo"; did you mean mongodb? allowed: "sqlite" or "mongodb"',
        ),
        (
            "dynamics:\n  temperatures_K:\n    - 600\n    - -800",
            4,
            "dynamics.temperatures_K[1]: found -800; allowed: a number > 0 and <= 3000",
        ),
        (
            "dynamics: {temperatures_K: []}",
            1,
            "dynamics.temperatures_K: found an empty list; "
            "allowed: a list of at least 1, each a number > 0 and <= 3000",
        ),
        (
            "dynamics:\n  temperatures_K: 600",
            2,
            "dynamics.temperatures_K: found 600; "
            "allowed: a list of at least 1, each a number > 0 and <= 3000",
        ),
        (
            "dynamics: {timestep_fs: '2'}",
            1,
            'dynamics.timestep_fs: found "2"; allowed: a number > 0 and <= 5',
        ),
        (
            "dynamics: {timestep_fs: yes}",
            1,
            'dynamics.timestep_fs: found "yes"; allowed: a number > 0 and <= 5',
        ),
        (
            "dynamics: {timestep_fs: true}",
            1,
            "dynamics.timestep_fs: found true; allowed: a number > 0 and <= 5",
        ),
        (
            "dynamics: {timestep_fs: }",
            1,
            "dynamics.timestep_fs: found nothing; allowed: a number > 0 and <= 5",
        ),
        (
            "dynamics: {timestep_fs: {fs: 2}}",
            1,
            "dynamics.timestep_fs: found a block of keys; allowed: a number > 0 and <= 5",
        ),
        (
            "gates: {min_window_V: 2024-01-01}",
            1,
            'gates.min_window_V: found "2024-01-01"; allowed: a number >= 0 or null',
        ),
        (
            "dynamics: {checkpoint_ps: .inf}",
            1,
            "dynamics.checkpoint_ps: found .inf; needed: a finite number",
        ),
        (
            "gates: {max_reduction_limit_V: .NaN}",
            1,
            "gates.max_reduction_limit_V: found .NaN; needed: a finite number",
        ),
        (
            "gates: {max_reduction_limit_V: 1e999}",
            1,
            "gates.max_reduction_limit_V: found 1e999; needed: a finite number",
        ),
        (
            f"dynamics: {{checkpoint_ps: {'9' * 400}}}",
            1,
            f"dynamics.checkpoint_ps: found {'9' * 59}…; needed: a finite number",
        ),
        (
            "relax: {max_steps: 2.5}",
            1,
            "relax.max_steps: found 2.5; allowed: a whole number >= 1",
        ),
        (
            "store: {port: 99999}",
            1,
            "store.port: found 99999; allowed: a whole number >= 1 and <= 65535",
        ),
        ("description: 12", 1, "description: found 12; allowed: text"),
        ("store: {database: ''}", 1, 'store.database: found ""; allowed: text, not empty'),
        (
            "relax:",
            1,
            "relax: found nothing; "
            "allowed: a block with the keys max_force_eV_per_A, max_steps, rattle_A",
        ),
        (
            "dynamics:\n  seed: 1\n  timestep_fs: 2\n  frame_interval_fs: 1",
            4,
            "dynamics.frame_interval_fs: frame_interval_fs=1 is shorter than timestep_fs=2",
        ),
        (
            "dynamics: {temperatures_K: [600, 600]}",
            1,
            "dynamics.temperatures_K: temperatures_K=[600.0, 600.0] names one twice",
        ),
        ("relax: {rattle_A: !odd 3}", 1, "relax.rattle_A: found the tag !odd; write a plain value"),
        ("relax: {? [1] : 2}", 1, "relax: found a list or block as a key; needed: text"),
        ("name: again", 1, "name: given twice, first on line 1; remove one"),
    ],
)
def test_one_problem_is_named_with_line_key_and_what_is_allowed(message, text, line, problem):
    lines = message(text).splitlines()
    assert lines[0] == "my.yaml: 1 problem"
    assert lines[1].startswith(f"  line {N_LINES + line}, {problem}")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        (
            "[Ta]",
            "[Ta, Tq]",
            7,
            'candidates.families[0].elements.M[1]: "Tq" is no element symbol; did you mean',
        ),
        (
            "[Ta]",
            "[Ta, {Y: 0.5, In: 0.6}]",
            7,
            "candidates.families[0].elements.M[1].Y: shares of {Y: 0.5, In: 0.6} add up to 1.1",
        ),
        (
            "KMCl6",
            "K(MCl6",
            4,
            "candidates.families[0].formula: ",
        ),
        (
            "max_orderings: 6",
            "when_more: [1]",
            8,
            'candidates.families[0].when_more: found a list of 1; allowed: "error", "lowest_ewald" '
            'or "sample"',
        ),
        (
            "max_orderings: 6",
            "supercell: [1, 2]",
            8,
            "candidates.families[0].supercell: found a list of 2; "
            "allowed: (a list of 3, each a whole number > 0) or (",
        ),
        (
            "max_orderings: 6",
            "supercell: [1, 2, 0]",
            8,
            "candidates.families[0].supercell[2]: found 0; allowed: a whole number > 0",
        ),
        (
            "max_orderings: 6",
            "supercell: {max_cells: 99}",
            8,
            "candidates.families[0].supercell.max_cells: found 99; allowed: a whole number >= 1",
        ),
        (
            "max_orderings: 6",
            "oxidation_states: {Nb: [5]}",
            8,
            "candidates.families[0].oxidation_states: oxidation_states names Nb, which ",
        ),
        (
            "max_orderings: 6",
            "oxidation_states: {Ta: [5, '4'], Tantalum: [3]}",
            8,
            'candidates.families[0].oxidation_states.Ta[1]: found "4"; allowed: a whole number',
        ),
        (
            "      prototype: k2ptcl6\n",
            "",
            4,
            "candidates.families[0].prototype: required key is missing; needed: text",
        ),
    ],
)
def test_problems_of_a_family(message, old, new, line, problem):
    assert f"\n  line {line}, {problem}" in message("", valid=VALID.replace(old, new))


def test_symbols_that_yaml_1_1_took_for_truth(campaign):
    config = load_campaign(campaign("", valid=VALID.replace("[Ta]", "[Y, No, N]")))
    assert config.candidates.families[0].elements == {"M": ("Y", "No", "N")}


def test_nothing_to_screen(message):
    assert message("name: a\ncandidates:\n  files: []\n", valid="").endswith(
        "line 3, candidates.files: families, files and substitutions are all empty; "
        "name at least one of them"
    )


def test_a_key_of_another_block_is_sent_home(message):
    expected = f"line {N_LINES + 1}, timestep_fs: unknown key; did you mean dynamics.timestep_fs?"
    assert expected in message("timestep_fs: 2")


def test_a_missing_required_key(message):
    assert message("description: none", valid="") == (
        "my.yaml: 2 problems\n"
        f"  line 1, candidates: required key is missing; needed: {CANDIDATES}\n"
        "  line 1, name: required key is missing; needed: text matching "
        "^[A-Za-z0-9][A-Za-z0-9_.-]*$"
    )


def test_all_problems_come_in_one_message_by_line(message):
    text = """\
        engine:
          name: vaps
        dynamics:
          temperature_K: 300
          timestep_fs: .nan
          timestep_fs: 2
        """
    places = [line.split(":")[0] for line in message(text).splitlines()]
    assert places == [
        "my.yaml",
        f"  line {N_LINES + 2}, engine.name",
        f"  line {N_LINES + 4}, dynamics.temperature_K",
        f"  line {N_LINES + 5}, dynamics.timestep_fs",
        f"  line {N_LINES + 6}, dynamics.timestep_fs",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [1, 2", "line 1, column 12: not YAML: while parsing a flow sequence"),
        ("name: a\n\tb: c", "line 2, column 1: not YAML: while scanning"),
        ("name: 'a", "line 1, column 9: not YAML: while scanning a quoted scalar"),
        ("name: a\nb: \x07", "line 2, column 4: not YAML: character"),
        ("name: *nobody", "line 1, column 7: not YAML: found undefined alias 'nobody'"),
        ("name: a\n---\nname: b", "line 2, column 1: not YAML: expected a single document"),
        ("%YAML 9.9\n---\nname: a", "line 1, column 1: not YAML: found incompatible YAML document"),
        ("name:\n%YAML 9.9\n---\n a: 1", "my.yaml: not YAML: KeyError"),
        ("", "my.yaml: is empty; `halideflow schema --defaults` prints one to start from"),
        ("# only a comment\n", "my.yaml: is empty"),
        ("[1, 2]", "my.yaml: found a list of 2; needed: keys and values"),
        ("just text", 'my.yaml: found "just text"; needed: keys and values'),
        ("[" * 5000, "line 1, column 21: not YAML: maximum depth"),
        ("a: &a [*a, *a]", "my.yaml: holds over 100000 values or nests deeper than 20"),
    ],
)
def test_a_file_that_is_no_campaign(message, text, expected):
    assert expected in message(text, valid="")


def test_aliases_of_aliases_do_not_explode(message):
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "holds over 100000 values" in message("\n".join(["l0: &l0 [1]", *levels]), valid="")


def test_not_utf8(campaign):
    path = campaign("")
    path.write_bytes("name: Zürich".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"my.yaml: is not UTF-8 text \(byte 7\)"):
        load_campaign(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"no.yaml: cannot be read: no such file"):
        load_campaign(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        load_campaign(tmp_path)


def test_the_error_survives_a_process_boundary(campaign):
    with pytest.raises(ConfigError) as caught:
        load_campaign(campaign("oops: 1"))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


_ODD_VALUES = (
    "no", "~", ".inf", "-.inf", "-1", "0", "1e400", "9" * 400, "'3'", "[]", "{}", "[[1]]", "{a: 1}",
    "!!set {a}", "!!float x", "!!int x", "!!python/name:os.system", "0x_", "1__0", "2020-13-41",
    '"\\ud800"', '"\\0"', "|\n", "*a", "&a 1", "<<", "NaN", "1:30",
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    text=st.text(st.characters() | st.sampled_from("\n\t :-[]{},&*!?#|>'\"%@`a1.~"), max_size=60)
)
def test_any_text_is_a_campaign_or_a_config_error(tmp_path_factory, text):
    _accepted_or_refused(tmp_path_factory, text.encode("utf-8", "surrogatepass"))


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_mutation_of_a_full_file_is_a_campaign_or_a_config_error(tmp_path_factory, data):
    lines = [line for line in default_yaml().splitlines() if line and "#" not in line]
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(lines) - 1))
        key, _, value = lines[i].partition(": ")
        lines[i] = data.draw(
            st.sampled_from(
                [f"{key}:", f"{key}x: {value}", f" {lines[i]}", f"{lines[i]}\n{lines[i]}"]
            )
            | st.sampled_from(_ODD_VALUES).map(lambda odd, key=key: f"{key}: {odd}")
            | st.text(max_size=8)
        )
    _accepted_or_refused(tmp_path_factory, "\n".join(lines).encode())


def _accepted_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(content)
    try:
        load_campaign(path)
    except ConfigError as error:
        json.dumps([asdict(problem) for problem in error.problems])
        str(error).encode()


def test_results_folder(tmp_path, campaign):
    config = load_campaign(campaign(""))
    assert results_folder(tmp_path / "my.yaml", config) == tmp_path / "my"
    assert results_folder(tmp_path / "my", config) == tmp_path / "my-results"
    config = load_campaign(campaign("results_dir: ../out"))
    assert results_folder(tmp_path / "my.yaml", config) == tmp_path.parent / "out"
    config = load_campaign(campaign("results_dir: /data/out"))
    assert str(results_folder(tmp_path / "my.yaml", config)) == "/data/out"


FILES = """\
name: demo
candidates:
  files:
    - {path: structures/salt.cif, mobile_ion: Na}
    - path: gone.cif
      mobile_ion: Na
    - {path: broken.cif, mobile_ion: Na}
    - {path: structures, mobile_ion: Na}
"""


def test_structures_are_read_relative_to_the_campaign(tmp_path, campaign, monkeypatch):
    (tmp_path / "structures").mkdir()
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )
    salt.to(str(tmp_path / "structures" / "salt.cif"))
    path = campaign("", valid="".join(FILES.splitlines(keepends=True)[:4]))
    monkeypatch.chdir("/")
    structures = read_structures(load_campaign(path), path)
    assert list(structures) == ["structures/salt.cif"]
    assert structures["structures/salt.cif"].composition == salt.composition


def test_structures_that_cannot_be_read(tmp_path, campaign):
    (tmp_path / "structures").mkdir()
    (tmp_path / "broken.cif").write_text("data_nothing\n", encoding="utf-8")
    path = campaign("", valid=FILES)
    with pytest.raises(ConfigError) as caught:
        read_structures(load_campaign(path), path)
    relative = "no such file; paths are relative to the campaign file"
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 4 problems"
    assert lines[1:3] == [
        f'  line 4, candidates.files[0].path: found "structures/salt.cif"; {relative}',
        f'  line 5, candidates.files[1].path: found "gone.cif"; {relative}',
    ]
    assert lines[3].startswith(
        '  line 7, candidates.files[2].path: found "broken.cif"; cannot be read as a structure: '
    )
    assert lines[4].startswith('  line 8, candidates.files[3].path: found "structures"; ')


def test_reference_phases_that_are_not_there(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(VALID + "stability: {references: chgnet-0.3.1}\n")
    with pytest.raises(
        ConfigError, match=r"line \d+, stability\.references.*did you mean chgnet-0"
    ):
        resolve_references(load_campaign(config), config)


def test_a_path_of_reference_phases_is_relative_to_the_campaign(tmp_path, monkeypatch):
    (tmp_path / "refs.json").write_bytes(locate_snapshot("chgnet-0.3.0").read_bytes())
    config = tmp_path / "c.yaml"
    config.write_text(VALID + "stability: {references: refs.json}\n")
    monkeypatch.chdir("/")
    resolved = resolve_references(load_campaign(config), config)
    assert resolved.stability.references == str(tmp_path / "refs.json")
    (tmp_path / "refs.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"stability\.references"):
        resolve_references(load_campaign(config), config)


PINNED = VALID + "stability:\n  references: refs.json\n  references_sha256: "


def test_a_snapshot_may_be_a_folder_and_a_pin_is_compared(tmp_path):
    shipped = ReferencePhases.load("chgnet-0.3.0")
    folder = tmp_path / "refs.json"
    folder.mkdir()
    for number, phases in enumerate((shipped.phases[:5], shipped.phases[5:])):
        part = shipped.model_copy(update={"phases": phases})
        (folder / f"{number}.json").write_text(part.dump(), encoding="utf-8")
    config = tmp_path / "c.yaml"
    config.write_text(f'{PINNED}"{shipped.sha256}"\n')
    resolved = resolve_references(load_campaign(config), config)
    assert resolved.stability.references == str(folder)
    (folder / "1.json").unlink()
    with pytest.raises(
        ConfigError,
        match=rf'line 11, stability.references_sha256: pinned to "{shipped.sha256}", but',
    ):
        resolve_references(load_campaign(config), config)


def test_reference_phases_of_another_engine_are_refused_before_anything_runs(tmp_path):
    shipped = ReferencePhases.load("chgnet-0.3.0")
    other = shipped.convention.model_copy(update={"code": "vasp", "potential": "PBE POTCARs"})
    theirs = shipped.model_copy(update={"convention": other})
    (tmp_path / "vasp.json").write_text(theirs.dump(), encoding="utf-8")
    config = tmp_path / "c.yaml"
    config.write_text(VALID + "stability:\n  references: vasp.json\n")
    with pytest.raises(
        ConfigError,
        match=r"line 10, stability\.references: vasp\.json holds energies of PBE POTCARs "
        r"\(PBE/PBE\+U; .*\), the campaign's engine is chgnet 0\.3\.0 \(PBE/PBE\+U; .*\); "
        r".* `halideflow references build \S+c\.yaml --out FILE`",
    ):
        resolve_references(load_campaign(config), config)


R2SCAN = VALID + "engine: {model: r2scan}\n"


def test_references_are_those_of_the_weights_unless_the_file_names_others(tmp_path):
    config = tmp_path / "c.yaml"
    for text, expected in (
        (VALID, "chgnet-0.3.0"),
        (R2SCAN, "chgnet-r2scan"),
        (R2SCAN + "stability: {electrodes: [K]}\n", "chgnet-r2scan"),
    ):
        config.write_text(text)
        resolved = resolve_references(load_campaign(config), config)
        assert resolved.stability.references == expected
        assert resolved.stability.electrodes == (("K",) if "electrodes" in text else ())
        assert CampaignConfig(**resolved.model_dump()) == resolved


def test_shipped_references_of_other_weights_are_refused(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(R2SCAN + "stability:\n  references: chgnet-0.3.0\n")
    with pytest.raises(
        ConfigError,
        match=r"line 11, stability\.references: chgnet-0\.3\.0 holds energies of chgnet 0\.3\.0 "
        r"\(PBE/PBE\+U; corrections: MP2020, inside the potential\), the campaign's engine is "
        r"chgnet r2scan \(r2SCAN; corrections: none\); .* shipped snapshot chgnet-r2scan",
    ):
        resolve_references(load_campaign(config), config)


def test_raw_halide_energies_need_corrections_that_can_be_taken_out(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(R2SCAN + "stability:\n  raw_halide_energies: true\n")
    with pytest.raises(
        ConfigError,
        match=r"line 11, stability\.raw_halide_energies: energies of chgnet r2scan \(r2SCAN\) hold "
        r"no corrections",
    ):
        resolve_references(load_campaign(config), config)


def test_an_electrode_that_the_snapshot_lacks_is_named_with_its_line(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(VALID + "stability:\n  electrodes: [Na, NaCrO]\n")
    with pytest.raises(
        ConfigError, match=r'line 10, stability.electrodes\[1\]: found "NaCrO"; did you mean NaCrO2'
    ):
        resolve_references(load_campaign(config), config)
    config.write_text(VALID + "stability: {electrodes: [Na, K]}\n")
    assert resolve_references(load_campaign(config), config).stability.electrodes == ("Na", "K")
