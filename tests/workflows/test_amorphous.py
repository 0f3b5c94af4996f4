"""Glasses in a campaign: what is asked for, what follows a failure, and one run for real."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from campaigns import SMALL, halideflow, ranking, rock_salt, write_campaign
from jobflow import OutputReference
from pydantic import ValidationError
from pymatgen.core import Structure
from rich.console import Console

from screening.amorphous.documents import MeltQuench, MeltQuenchDocument
from screening.candidates import enumerate_candidates
from screening.documents import EnergyConvention, Failure, Rejection, RelaxDocument
from screening.gates import Gates
from screening.transport.documents import (
    DynamicsDocument,
    MolecularDynamics,
    RunEnd,
    TransportDocument,
)
from screening.transport.trajectory import Trajectory
from workflows.campaign import formula_flow
from workflows.cli.amorphous_section import amorphous_sections
from workflows.config import AmorphousSettings, CampaignConfig, DynamicsSettings, EngineSettings
from workflows.config_file import load_campaign, read_structures
from workflows.stages.amorphous import AmorphousMaker, MeltQuenchMaker, amorphous, compare, quench
from workflows.stages.transport import fit_runs

CONVENTION = EnergyConvention(code="c", functional="f", corrections="m", potential="p")
FAILURE = Failure(code="RUN_EXPLODED", message="9999 K")
KCL = rock_salt("K", "Cl", 6.3)
DYNAMICS = DynamicsSettings(temperatures_K=(300.0,))
MAKER = AmorphousMaker(EngineSettings(), AmorphousSettings(), DYNAMICS, Gates())
REFERENCE = OutputReference("00000000-0000-0000-0000-000000000000")

SECTION = """\
amorphous:
  melt_temperatures_K: [1500, 2500]
  heating_ps: 0.02
  hold_ps: 0.2
  quench_ps: 0.02
  min_cell_width_A: 3
"""


def trajectory(seed=0):
    rng = np.random.default_rng(seed)
    return Trajectory(
        positions_A=(KCL.cart_coords + rng.normal(0, 0.1, (101, len(KCL), 3))).astype(np.float32),
        cell_A=KCL.lattice.matrix,
        species=tuple(site.specie.symbol for site in KCL),
        timestep_fs=2,
        stride=10,
        temperature_K=300.0,
    )


def moved(seed=0):
    return DynamicsDocument(
        state="done",
        temperature_K=300.0,
        result=MolecularDynamics(
            temperature_K=300.0,
            mean_temperature_K=300.0,
            timestep_fs=2,
            n_heating_steps=0,
            n_equilibration_steps=0,
            n_production_steps=1000,
            end=RunEnd(outcome="budget", message="2 ps"),
            energy_drift_eV_per_atom_per_ps=0.0,
            seed=0,
            convention=CONVENTION,
            trajectory=trajectory(seed),
        ),
    )


def glass(melt_temperature_K, caveats=()):
    return MeltQuenchDocument(
        state="done",
        melt_temperature_K=melt_temperature_K,
        result=MeltQuench(
            structure=KCL,
            melt_temperature_K=melt_temperature_K,
            mean_melt_temperature_K=melt_temperature_K,
            quench_temperature_K=300.0,
            heating_ps=2,
            hold_ps=20,
            quench_ps=2,
            timestep_fs=2,
            seed=0,
            convention=CONVENTION,
            motion=(),
            caveats=caveats,
            melt=trajectory(),
        ),
    )


CRYSTAL = [moved()]
TRANSPORT = fit_runs(CRYSTAL, [300.0], "K")
EXPLODED = DynamicsDocument(state="failed", temperature_K=300.0, failure=FAILURE)
NO_GLASS = MeltQuenchDocument(state="failed", melt_temperature_K=2000.0, failure=FAILURE)


def compared(quenched, glasses, transport=TRANSPORT, crystal=CRYSTAL):
    return compare.original(transport, crystal, quenched, glasses, MAKER, "K")


def test_the_crystal_comes_first_and_then_its_glasses():
    made = compared([glass(1200.0, ("no melt",)), glass(2000.0)], [[moved(1)], [moved(2)]])
    assert made.state == "done"
    assert [phase.name for phase in made.result.phases] == [
        "crystal",
        "quenched from 1200 K",
        "quenched from 2000 K",
    ]
    assert [phase.structure is None for phase in made.result.phases] == [True, False, False]
    assert made.result.caveats == ("quenched from 1200 K: no melt",)


@pytest.mark.parametrize(
    ("document", "runs"), [(NO_GLASS, [None]), (glass(2000.0), [EXPLODED]), (None, [None])]
)
def test_a_glass_that_failed_is_kept_with_its_cause(document, runs):
    made = compared([glass(1200.0), document], [[moved()], runs])
    assert [phase.name for phase in made.result.phases] == ["crystal", "quenched from 1200 K"]
    failure = made.result.failures["quenched from 2000 K"]
    assert failure.code == ("LOST" if document is None else FAILURE.code)


def test_a_glass_is_shown_where_the_crystal_failed():
    failed = TransportDocument(state="failed", failure=FAILURE)
    made = compared([glass(1200.0), NO_GLASS], [[moved()], [None]], failed, [EXPLODED])
    assert [phase.name for phase in made.result.phases] == ["quenched from 1200 K"]
    assert made.result.failures["crystal"] == FAILURE


def test_without_any_glass_the_stage_has_failed():
    made = compared([NO_GLASS, NO_GLASS], [[None], [None]])
    assert (made.state, made.failure) == ("failed", FAILURE)


def printed(document):
    console = Console(file=io.StringIO(), width=120)
    for part in amorphous_sections(document):
        console.print(part)
    return console.file.getvalue()


def test_phases_are_printed_side_by_side_and_failures_with_their_cause():
    text = printed(compared([glass(1200.0, ("no melt",)), NO_GLASS], [[moved(1)], [None]]))
    for words in (
        "crystal and glasses",
        "300 K",
        "quenched from 1200 K",
        "≈",
        "quenched from 1200 K: no melt",
        "RUN_EXPLODED: 9999 K",
    ):
        assert words in text
    assert "RUN_EXPLODED" in printed(compared([NO_GLASS, NO_GLASS], [[None], [None]]))


REJECTED = TransportDocument(
    state="rejected", rejection=Rejection(gate="max_e_hull_eV_per_atom", value=1, threshold=0.1)
)


@pytest.mark.parametrize("transport", [None, TransportDocument(state="skipped"), REJECTED])
def test_no_glass_is_made_of_what_was_never_moved(transport):
    made = amorphous.original("uuid", "uuid", transport, "K", MAKER, {})
    assert made.state == "skipped"


@pytest.mark.parametrize("relaxed", [None, RelaxDocument(state="failed", failure=FAILURE)])
def test_nothing_is_quenched_behind_a_failure(relaxed):
    made = quench.original(relaxed, 1200.0, "K", EngineSettings(), AmorphousSettings(), DYNAMICS)
    assert (made.state, made.melt_temperature_K) == ("skipped", 1200)


def quench_uuid(melt_temperature_K=1200.0, dynamics=DYNAMICS, **options):
    maker = MeltQuenchMaker(EngineSettings(), AmorphousSettings(**options), dynamics)
    return maker.make(REFERENCE, melt_temperature_K, "K", {}).uuid


def test_a_glass_is_known_by_how_it_was_made():
    assert quench_uuid(melt_temperatures_K=(1200.0,)) == quench_uuid()
    assert quench_uuid(dynamics=DynamicsSettings(temperatures_K=(500.0,))) == quench_uuid()
    others = {
        quench_uuid(1300.0),
        quench_uuid(hold_ps=10.0),
        quench_uuid(quench_temperature_K=200.0),
        quench_uuid(dynamics=DYNAMICS.model_copy(update={"seed": 1})),
        quench_uuid(),
    }
    assert len(others) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amorphous": {}, "dynamics": None}, "dynamics is null"),
        ({"amorphous": {"min_cell_width_A": 5}}, "make them at least equal"),
        ({"amorphous": {"melt_temperatures_K": [1200, 250]}}, "must all lie above"),
        ({"amorphous": {"melt_temperatures_K": [1200, 1200]}}, "names one twice"),
    ],
)
def test_settings_that_make_no_glass_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        CampaignConfig(
            name="n", candidates={"files": [{"path": "a.cif", "mobile_ion": "K"}]}, **options
        )


def write_with_glasses(folder):
    config = write_campaign(folder, {"kcl-a": SMALL["kcl-a"]}, temperatures=(300.0,))
    config.write_text(config.read_text() + SECTION)
    return config


def test_glasses_wait_for_the_crystal(tmp_path):
    path = write_with_glasses(tmp_path)
    config = load_campaign(path)
    (candidate,) = enumerate_candidates(config.candidates, read_structures(config, path)).candidates
    flow, (outputs,) = formula_flow([candidate], config)
    jobs = {job.metadata["stage"]: job for job in flow.jobs}
    assert jobs["transport"].uuid in jobs["amorphous"].input_uuids
    assert outputs.amorphous.uuid == jobs["amorphous"].uuid
    without = config.model_copy(update={"amorphous": None})
    flow, (outputs,) = formula_flow([candidate], without)
    assert outputs.amorphous is None
    assert "amorphous" not in {job.metadata["stage"] for job in flow.jobs}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    config = write_with_glasses(tmp_path_factory.mktemp("glass"))
    return config, halideflow("run", config, "--workers", 1)


@pytest.mark.slow
def test_a_campaign_quenches_and_compares(campaign):
    config, run = campaign
    assert run.returncode == 0, run.stderr
    stages = json.loads(halideflow("status", config, "--json").stdout)["stages"]
    assert stages["quench"] == {"done": 2}
    assert stages["dynamics"] == {"done": 3}
    assert stages["amorphous"] == {"done": 1}
    (row,) = ranking(config)
    shown = json.loads(halideflow("show", config, row["id"], "--json").stdout)
    result = shown["amorphous"]["result"]
    assert [phase["name"] for phase in result["phases"]] == [
        "crystal",
        "quenched from 1500 K",
        "quenched from 2500 K",
    ]
    assert all(phase["potential_energy_eV_per_atom"] < -2 for phase in result["phases"])
    text = halideflow("show", config, row["id"]).stdout
    assert "crystal and glasses" in text
    assert "quenched from 2500 K" in text


@pytest.mark.slow
def test_a_finished_campaign_is_not_run_again(campaign):
    config, _ = campaign
    again = halideflow("run", config, "--workers", 1)
    assert again.returncode == 0
    assert "quench 2/2 (2 reused)" in again.stderr + again.stdout


@pytest.mark.slow
def test_tables_figures_and_structures_are_exported(campaign, tmp_path):
    config, _ = campaign
    made = halideflow("export", config, "--format", "glass", "--out", tmp_path)
    assert made.returncode == 0, made.stderr
    (folder,) = (tmp_path / "glasses").iterdir()
    assert {path.name for path in folder.iterdir()} >= {
        "diffusivities.csv",
        "rdf.csv",
        "symmetry.csv",
        "rdf.pdf",
        "glass-1500K.cif",
        "glass-2500K.cif",
    }
    with (folder / "rdf.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["phase"] for row in rows} >= {"crystal", "quenched from 1500 K"}
    assert Structure.from_file(folder / "glass-1500K.cif").composition.reduced_formula == "KCl"
