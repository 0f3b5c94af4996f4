"""The campaign file on VASP: messages with their line, round trips, and what decides a result."""

import json
import os

import pytest
from monty.json import MontyDecoder, MontyEncoder

from workflows.config import EngineSettings
from workflows.config_file import ConfigError, load_campaign, resolve_references
from workflows.engines import engine_identity, unknown_elements
from workflows.execution_settings import ExecutionSettings
from workflows.fingerprint import fingerprint
from workflows.vasp.execution import current_execution, processes_execute

HEAD = """\
name: c
candidates:
  files:
    - {path: a.cif, mobile_ion: Na}
"""
N_LINES = HEAD.count("\n")


def load(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(HEAD + text)
    return load_campaign(path)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            "engine:\n  name: vasp\n  vasp:\n    relax:\n      incar: {ENCTU: 600}\n",
            5,
            "engine.vasp.relax.incar: ENCTU is no tag of VASP; did you mean ENCUT?",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    relax:\n      incar: {GGA: PE}\n",
            4,
            "relax.incar sets GGA: energies of another functional share no hull",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    static:\n      incar: {VDW_S8: 1}\n",
            4,
            "static.incar sets VDW_S8: energies of another functional",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    static:\n      incar: {ENCUT: 400}\n",
            4,
            "static.incar sets ENCUT to 400, below the 520 eV of the reference phases",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    relax:\n      incar: {IBRION: 0}\n",
            4,
            "relax.incar sets IBRION or NSW so that nothing is relaxed",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    static:\n      incar: {NSW: 5}\n",
            4,
            "static.incar sets NSW, which follows from a single point",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    dynamics:\n      incar: {POTIM: 1}\n",
            4,
            "dynamics.incar sets POTIM, which follows from dynamics.timestep_fs",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    static:\n"
            "      kpoints: {Gamma: [2, 2, 2], Automatic: 30}\n",
            5,
            "kpoints names 2 meshes; needed: one of Gamma, Monkhorst-Pack, Automatic",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    relax: {incar: {EDIFF: high}}\n",
            4,
            "incar: EDIFF is 'high'; needed: a number",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    relax: {incar: {NCORE: 2.5}}\n",
            4,
            "incar: NCORE is 2.5; needed: a whole number",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    relax: {incar: {LWAVE: 1}}\n",
            4,
            "incar: LWAVE is 1; needed: true or false",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    static: {incar: {MAGMOM: [1, 1]}}\n",
            4,
            "incar: MAGMOM is (1, 1); needed: a block of elements",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    static: {incar: {EDIFF: {a: 1}}}\n",
            4,
            "needed: a number",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    static: {incar: {LDAUU: {K: 3}}}\n",
            4,
            "static.incar sets LDAUU: the Materials Project's own",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    dynamics: {incar: {SMASS: 0}}\n",
            4,
            "dynamics.incar sets SMASS, which follows from dynamics.thermostat_period_fs",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n"
            "    static: {incar: {KSPACING: 0.2}, kpoints: {Gamma: [2, 2, 2]}}\n",
            4,
            "both say the mesh",
        ),
        (
            "engine:\n  name: vasp\n  vasp:\n    potcar: {K: Na_pv}\n",
            4,
            "potcar: Na_pv is no label of K, such as K or K_sv",
        ),
        (
            "execution:\n  vasp_command: srun 'vasp\n",
            2,
            "vasp_command cannot be read as a command: No closing quotation",
        ),
        (
            "engine:\n  name: rehearsal\n  model: r2scan\n",
            3,
            "model is r2scan, but engine rehearsal",
        ),
        (
            "engine: {name: vasp}\nrelax:\n  max_steps: 50\n",
            2,
            "relax.max_steps is for engine chgnet",
        ),
        (
            "engine: {name: rehearsal}\namorphous:\n  hold_ps: 5\n",
            2,
            "amorphous is for engine chgnet",
        ),
        (
            "execution:\n  wall_time_h: 0.05\n",
            2,
            "stop_before_min=5 leaves nothing of wall_time_h=0.05",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, line, message):
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    lines = str(refused.value).splitlines()
    assert lines[0].endswith(": 1 problem")
    assert lines[1].strip().startswith(f"line {N_LINES + line}, ")
    assert message in lines[1]


def test_newer_tags_than_the_list_of_upstream_are_taken(tmp_path):
    tags = "{ML_LMLFF: true, NHC_NCHAINS: 2, MAGMOM: {Fe: 5}, LREAL: Auto, NCORE: 4, ALGO: null}"
    config = load(tmp_path, f"engine: {{name: vasp, vasp: {{dynamics: {{incar: {tags}}}}}}}\n")
    assert config.engine.vasp.dynamics.incar["ML_LMLFF"] is True


@pytest.mark.parametrize("references", ["chgnet-0.3.0", "rehearsal"])
def test_reference_phases_of_another_engine_are_refused_and_both_named(tmp_path, references):
    config = load(tmp_path, f"engine: {{name: vasp}}\nstability: {{references: {references}}}\n")
    with pytest.raises(ConfigError, match=r"engine is MP legacy PBE.*references fetch") as refused:
        resolve_references(config, tmp_path / "c.yaml")
    assert "chgnet 0.3.0" in str(refused.value)


ENGINE = EngineSettings(
    name="vasp",
    vasp={
        "relax": {
            "incar": {
                "EDIFFG": -0.02,
                "NCORE": 4,
                "ALGO": "Normal",
                "LREAL": None,
                "LASPH": True,
                "MAGMOM": {"Na": 1.5},
                "ROPT": [1e-3, 2e-3],
            },
            "kpoints": {"Monkhorst-Pack": (2, 2, 4)},
        },
        "potcar": {"Na": "Na_pv"},
    },
)


def test_settings_survive_the_way_through_a_job():
    """A job carries them as JSON; every type of a tag comes back as it was."""
    there = json.loads(json.dumps({"engine": ENGINE}, cls=MontyEncoder))
    back = MontyDecoder().process_decoded(there)["engine"]
    assert back == ENGINE
    incar = back.vasp.relax.incar
    assert incar["LASPH"] is True
    assert isinstance(incar["NCORE"], int)
    assert incar["LREAL"] is None
    assert back.vasp.relax.kpoints.monkhorst_pack == (2, 2, 4)


def identity(engine, *calculations):
    return fingerprint("stage", 1, engine_identity(engine, *calculations))


def test_a_stage_depends_on_its_own_calculations_alone():
    other = EngineSettings(name="vasp", vasp={"dynamics": {"incar": {"EDIFF": 1e-6}}})
    plain = EngineSettings(name="vasp")
    assert identity(plain, "relax", "static") == identity(other, "relax", "static")
    assert identity(plain, "dynamics") != identity(other, "dynamics")
    rehearsal = EngineSettings(name="rehearsal")
    assert identity(plain, "relax") != identity(rehearsal, "relax")


def test_the_embedded_engine_is_known_as_it_was_before_there_was_vasp():
    """What was computed with it stays known, whatever stands in the block of VASP."""
    told = EngineSettings(vasp={"relax": {"incar": {"ENCUT": 600}}})
    assert identity(told, "relax", "static") == identity(EngineSettings(), "relax", "static")


def test_what_has_no_potcar_is_known_beforehand():
    symbols = ["Na", "Po", "Cl"]
    assert unknown_elements(EngineSettings(name="vasp"), symbols) == ["Po"]
    told = EngineSettings(name="vasp", vasp={"potcar": {"Po": "Po_d"}})
    assert unknown_elements(told, symbols) == []


def test_processes_are_told_how_to_run_vasp():
    settings = ExecutionSettings(vasp_command="srun vasp_std", wall_time_h=3, vasp_files="keep")
    with processes_execute(settings):
        assert current_execution() == settings
    assert current_execution() == ExecutionSettings()
    assert "HALIDEFLOW_EXECUTION" not in os.environ
