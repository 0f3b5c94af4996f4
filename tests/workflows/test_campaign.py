"""The campaign as a graph, and small campaigns run for real through the command line."""

from __future__ import annotations

import csv
import json
import re
import shutil

import numpy as np
import pytest
from campaigns import SMALL, halideflow, overlapping, ranking, rock_salt, write_campaign
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder
from pymatgen.core import Lattice, Structure

from screening.ranked import Ranking
from screening.stability.snapshots import locate_snapshot
from screening.units import BOLTZMANN_EV_PER_K
from workflows.campaign import build_campaign, enumerate_campaign
from workflows.config_file import load_campaign, read_structures
from workflows.store.sqlite import SqliteStore

FIELDS = {
    "id",
    "formula",
    "mobile_ion",
    "state",
    "engine",
    "e_hull_eV_per_atom",
    "reduction_limit_V",
    "oxidation_limit_V",
    "reduction_products",
    "oxidation_products",
    "diffusivity",
    "activation_energy_eV",
    "conductivity_300K_S_cm",
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two candidates that go through, one gate, and three ways to fail."""
    structures = {
        **SMALL,
        "overlap": ("K", overlapping()),
        "lonely": ("K", Structure(Lattice.cubic(15), ["K"], [[0, 0, 0]])),
        "unknown-phases": ("K", rock_salt("K", "Se", 6.6).get_primitive_structure()),
        "expanded": ("Na", Structure(Lattice.cubic(3.3), ["Na", "Cl"], [[0] * 3, [0.5] * 3])),
    }
    config = write_campaign(tmp_path_factory.mktemp("mixed"), structures, max_e_hull=0.005)
    return config, halideflow("run", config, "--workers", 2)


def test_a_failing_candidate_fails_alone(mixed):
    config, run = mixed
    assert run.returncode == 4, run.stderr
    states = {row["id"].split("-")[-1]: row["state"] for row in ranking(config)}
    rows = {row["id"]: row for row in ranking(config)}
    failed = {name: row for name, row in rows.items() if row["state"] == "failed"}
    assert len(failed) == 3, states
    codes = sorted(row["failure"]["code"] for row in failed.values())
    assert codes == ["ENGINE_FAILURE", "MISSING_REFERENCE", "UNUSABLE_STRUCTURE"]
    assert all(row["failure"]["message"] for row in failed.values())
    assert all(row["failure"]["log_tail"] for row in failed.values())
    assert sum(row["state"] == "done" for row in rows.values()) == 3


def test_failures_are_listed_with_their_cause(mixed):
    config, _ = mixed
    listed = halideflow("failures", config)
    assert listed.returncode == 4
    assert "UNUSABLE_STRUCTURE" in listed.stdout
    assert "Å apart" in listed.stdout
    assert len(json.loads(halideflow("failures", config, "--json").stdout)) == 3


def test_a_rejected_candidate_keeps_gate_value_and_threshold(mixed):
    config, _ = mixed
    (rejected,) = [row for row in ranking(config) if row["state"] == "rejected"]
    assert rejected["rejection"]["gate"] == "max_e_hull_eV_per_atom"
    assert rejected["rejection"]["threshold"] == 0.005
    assert rejected["rejection"]["value"] == rejected["e_hull_eV_per_atom"] > 0.005
    assert rejected["diffusivity"] == []  # nothing costly was run


def test_rank_json_has_what_scripts_rely_on(mixed):
    config, _ = mixed
    rows = ranking(config)
    assert all(row.keys() >= FIELDS for row in rows)
    for row in rows:
        if row["state"] != "done":
            continue
        assert row["reduction_limit_V"] == pytest.approx(0, abs=0.05)  # stable against the metal
        assert row["oxidation_limit_V"] > 3
        assert row["oxidation_products"] == ["Cl2"]
        assert [d["temperature_K"] for d in row["diffusivity"]] == [300, 600]
        for d in row["diffusivity"]:
            assert d["D_cm2_s"] is None
            assert d["upper_bound_cm2_s"] > 0
            assert "ps" in d["reason"]


def test_status_counts_every_stage(mixed):
    config, _ = mixed
    status = halideflow("status", config, "--json")
    assert status.returncode == 4
    stages = json.loads(status.stdout)["stages"]
    assert stages["relax"] == {"done": 5, "failed": 2}
    assert stages["dynamics"] == {"done": 6}
    assert stages["transport"] == {"done": 3, "rejected": 1, "skipped": 3}
    assert halideflow("status", config.parent / "campaign").returncode == 4  # the folder will do


def test_show_and_export(mixed, tmp_path):
    config, _ = mixed
    best = ranking(config)[0]
    shown = halideflow("show", config, best["id"])
    assert shown.returncode == 0
    assert "window" in shown.stdout
    assert json.loads(halideflow("show", config, best["id"], "--json").stdout)["row"] == best
    wrong = halideflow("show", config, best["id"] + "x")
    assert wrong.returncode == 2
    assert f"did you mean {best['id']}" in wrong.stderr

    assert halideflow("export", config, "--out", tmp_path / "out").returncode == 0
    with (tmp_path / "out" / "ranking.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == [row["id"] for row in ranking(config)]
    assert float(table[0]["e_hull_eV_per_atom"]) == best["e_hull_eV_per_atom"]
    assert table[0].keys() >= {"suspect", "caveats", "window_68_V_low", "oxidation_limit_68_V_high"}
    assert json.loads((tmp_path / "out" / "ranking.json").read_text()) == ranking(config)
    relaxed = Structure.from_file(tmp_path / "out" / "structures" / f"{best['id']}.cif")
    assert relaxed.composition.reduced_formula == best["formula"]


def test_trajectories_are_files_that_numpy_opens(mixed):
    config, _ = mixed
    files = sorted((config.parent / "campaign" / "arrays").glob("*.npz"))
    assert len(files) == 6
    with np.load(files[0]) as arrays:
        assert arrays["positions_A"].shape[0] == 21
        assert float(arrays["timestep_fs"]) == 2.0


def test_documents_stay_small_and_carry_their_fingerprint(mixed):
    config, _ = mixed
    store = SqliteStore(config.parent / "campaign" / "results.sqlite")
    store.connect()
    for document in store.query():
        assert len(json.dumps(document, default=str)) < 100_000
        assert len(document["metadata"]["fingerprint"]) == 64
    store.close()


def test_every_job_has_an_output_schema_and_a_fingerprint(tmp_path):
    config_file = write_campaign(tmp_path, SMALL)
    config = load_campaign(config_file)
    flow = build_campaign(config, read_structures(config, config_file))
    for job, _ in flow.iterflow():
        assert job.output_schema is not None
        assert len(job.metadata["fingerprint"]) == 64
    assert flow.jobs[-1].output_schema is Ranking


def test_jobflow_itself_runs_the_same_graph_to_the_same_ranking(tmp_path, mixed):
    """`run_locally` as an independent executor of the same Flow."""
    config_file, _ = mixed
    config = load_campaign(config_file)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    flow = build_campaign(config, read_structures(config, config_file))
    run_locally(flow, store=store, log=False, root_dir=tmp_path, create_folders=True)
    theirs = MontyDecoder().process_decoded(store.get_output(flow.jobs[-1].uuid))
    theirs = [row.model_dump(mode="json") for row in theirs.candidates]
    ours = ranking(config_file)
    for row in (*theirs, *ours):
        if row["failure"]:
            row["failure"]["log_tail"] = ""  # line numbers of other callers
    assert theirs == ours


@pytest.mark.parametrize("command", ["status", "rank", "failures"])
def test_reading_before_there_is_anything_says_what_to_do(tmp_path, command):
    config = write_campaign(tmp_path, SMALL)
    asked = halideflow(command, config)
    assert asked.returncode == 3
    assert "no results yet; start with `halideflow run" in asked.stderr
    assert not (tmp_path / "campaign").exists()


def test_a_results_file_that_is_none_is_said_so(tmp_path):
    config = write_campaign(tmp_path, SMALL)
    (tmp_path / "campaign").mkdir()
    (tmp_path / "campaign" / "results.sqlite").write_bytes(b"no database, " * 100)
    asked = halideflow("status", config)
    assert asked.returncode == 2
    assert "results.sqlite: file is not a database" in asked.stderr


def roots(config_file):
    config = load_campaign(config_file)
    return build_campaign(config, read_structures(config, config_file)).job_uuids


@pytest.mark.parametrize("stage", ["relax", "stability", "gates", "dynamics", "transport"])
def test_new_code_of_a_stage_makes_the_enumeration_ask_anew(tmp_path, monkeypatch, stage):
    config_file = write_campaign(tmp_path, SMALL)
    before = roots(config_file)
    monkeypatch.setattr(f"workflows.stages.{stage}.VERSION", 99)
    assert not set(before) & set(roots(config_file))


def test_other_reference_phases_make_the_enumeration_ask_anew(tmp_path):
    config_file = write_campaign(tmp_path, SMALL)
    snapshot = json.loads(locate_snapshot("chgnet-0.3.0").read_text())
    snapshot["phases"] = snapshot["phases"][:-1]
    (tmp_path / "refs.json").write_text(json.dumps(snapshot))
    config = load_campaign(config_file)
    stability = config.stability.model_copy(update={"references": str(tmp_path / "refs.json")})
    other = config.model_copy(update={"stability": stability})
    structures = read_structures(config, config_file)
    before, after = (build_campaign(c, structures).job_uuids for c in (config, other))
    assert not set(before) & set(after)


def test_names_and_descriptions_do_not(tmp_path):
    config_file = write_campaign(tmp_path, SMALL)
    config = load_campaign(config_file)
    structures = read_structures(config, config_file)
    other = config.model_copy(update={"description": "another", "results_dir": "elsewhere"})
    before, after = (build_campaign(c, structures).job_uuids for c in (config, other))
    assert before == after


def test_documents_that_are_gone_are_not_taken_for_done(tmp_path, mixed):
    config, _ = mixed
    folder = tmp_path / "copy"
    shutil.copytree(config.parent, folder)
    store = SqliteStore(folder / "campaign" / "results.sqlite")
    store.connect()
    store.remove_docs({})
    store.close()
    refused = halideflow("run", folder / "campaign.yaml")
    assert refused.returncode == 2
    assert "not in the store any more" in refused.stderr


def test_another_store_is_refused_and_changes_nothing(tmp_path, mixed):
    config, _ = mixed
    folder = tmp_path / "copy"
    shutil.copytree(config.parent, folder)
    copy = folder / "campaign.yaml"
    before = ranking(copy)
    text = copy.read_text()
    copy.write_text(text + "store: {backend: mongodb, host: 127.0.0.1, port: 1}\n")
    assert halideflow("run", copy).returncode == 2
    copy.write_text(text)
    assert ranking(copy) == before


def test_one_crystal_from_two_files_is_one_candidate_that_names_both(tmp_path):
    cell = rock_salt("K", "Cl", 6.3).get_primitive_structure()
    config = write_campaign(tmp_path, {"a": ("K", cell), "b": ("K", cell)}, temperatures=(300.0,))
    assert halideflow("run", config).returncode == 0
    (row,) = ranking(config)
    shown = halideflow("show", config, row["id"]).stdout
    assert "a.cif" in shown
    assert re.search(r"also from\s+b\.cif", shown)


def test_orderings_of_a_composition_are_weighed_with_their_degeneracies(tmp_path):
    """`show` against the Boltzmann weights of the relaxed energies, written out by hand."""
    mixed_site = rock_salt("K", "Cl", 6.0).get_primitive_structure()
    mixed_site.replace_species({"K": {"K": 0.5, "Na": 0.5}})
    config = write_campaign(tmp_path, {"mixed": ("K", mixed_site)}, max_e_hull=0)
    config.write_text(config.read_text().replace("{path:", "{supercell: [2, 2, 1], path:"))
    assert halideflow("run", config).returncode in (0, 4)
    shown = {
        row["id"]: json.loads(halideflow("show", config, row["id"], "--json").stdout)
        for row in ranking(config)
    }
    entries = [entry for entry in shown.values() if entry["ensemble"]]
    assert len(entries) == len(shown) > 1
    energies_eV = np.array([entry["relax"]["result"]["energy_eV_per_atom"] for entry in entries])
    n_atoms = len(entries[0]["relax"]["result"]["structure"]["sites"])
    weights = np.array([entry["info"]["origin"]["degeneracy"] for entry in entries]) * np.exp(
        -(energies_eV - energies_eV.min()) * n_atoms / (BOLTZMANN_EV_PER_K * 300)
    )
    for entry, weight in zip(entries, weights / weights.sum(), strict=True):
        assert entry["ensemble"]["probability"] == pytest.approx(weight, rel=1e-6, abs=0)
    assert "counting degeneracies" in halideflow("show", config, next(iter(shown))).stdout


def test_a_file_that_cannot_be_ordered_counts_as_a_failure(tmp_path):
    third = rock_salt("K", "Cl", 6.2)
    third.replace_species({"K": {"K": 1 / 3, "Na": 2 / 3}})
    structures = {"third": ("K", third), "fine": SMALL["kcl-a"]}
    config = write_campaign(tmp_path, structures, temperatures=(300.0,))
    run = halideflow("run", config)
    assert run.returncode == 4
    assert "left out: third.cif" in run.stderr
    (row,) = ranking(config)
    assert row["state"] == "done"
    assert "third.cif" in halideflow("failures", config).stdout


def test_a_config_that_changed_since_its_run_is_said_so(tmp_path, mixed):
    config, _ = mixed
    folder = tmp_path / "copy"
    shutil.copytree(config.parent, folder)
    copy = folder / "campaign.yaml"
    assert "has changed" not in halideflow("status", copy).stderr
    copy.write_text(copy.read_text().replace("600.0", "650.0"))
    status = halideflow("status", copy)
    assert status.returncode == 3
    assert "has changed since its last run" in status.stderr


def test_export_needs_a_folder(tmp_path, mixed):
    config, _ = mixed
    (tmp_path / "taken").touch()
    refused = halideflow("export", config, "--out", tmp_path / "taken")
    assert refused.returncode == 2
    assert "is a file; --out needs a folder" in refused.stderr


def jobs_of(config_file):
    """All jobs that the enumeration answers with, by stage."""
    config = load_campaign(config_file)
    made = enumerate_campaign.original(config, read_structures(config, config_file))
    jobs = [job for flow in made.detour for job, _ in flow.iterflow()]
    return {
        stage: [job for job in jobs if job.metadata["stage"] == stage]
        for stage in {job.metadata["stage"] for job in jobs}
    }


def test_polymorphs_of_all_hosts_compete_and_orderings_within_theirs(tmp_path):
    """Two hosts of KCl, one of them with no other ordering, and NaCl alone."""
    structures = {
        "rock-salt": ("K", rock_salt("K", "Cl", 6.3).get_primitive_structure()),
        "caesium-chloride": (
            "K",
            Structure(Lattice.cubic(3.8), ["K", "Cl"], [[0] * 3, [0.5] * 3]),
        ),
        "alone": SMALL["nacl-a"],
    }
    config_file = write_campaign(tmp_path, structures, temperatures=())
    text = config_file.read_text()
    config_file.write_text(text.replace("gates: {", "gates: {max_e_above_lowest_eV_per_atom: 0, "))
    jobs = jobs_of(config_file)
    (polymorph,) = jobs["polymorph"]
    relaxed = {job.uuid for job in jobs["relax"] if job.metadata["formula"] == "KCl"}
    assert len(relaxed) == 2
    assert set(polymorph.input_uuids) == relaxed
    assert len(jobs["lowest"]) == 3
    for job in jobs["stability"]:
        competes = polymorph.uuid in job.input_uuids
        assert competes == (job.metadata["formula"] == "KCl")
    assert len(jobs["gates"]) == 3
    assert "transport" not in jobs


def test_one_structure_for_two_mobile_ions_keeps_each_ion(tmp_path):
    cell = Structure(
        Lattice.cubic(7), ["K", "Na", "Cl", "Cl"], [[0] * 3, [0.5] * 3, [0.5, 0, 0], [0, 0.5, 0.5]]
    )
    config_file = write_campaign(tmp_path, {"mixed": ("K", cell)})
    text = config_file.read_text()
    first = "    - {path: mixed.cif, mobile_ion: K}\n"
    config_file.write_text(text.replace(first, first + first.replace("ion: K", "ion: Na")))
    config = load_campaign(config_file)
    made = enumerate_campaign.original(config, read_structures(config, config_file))
    relaxations = [
        job
        for flow in made.detour
        for job, _ in flow.iterflow()
        if job.metadata["stage"] == "relax"
    ]
    asked = {job.metadata["mobile_ion"]: job.function_args[1] for job in relaxations}
    assert asked == {"K": "K", "Na": "Na"}


def test_polymorphs_compete_whichever_of_their_ions_is_mobile(tmp_path):
    cells = {
        ion: Structure(
            Lattice.cubic(side_A), ["K", "Na", "Cl", "Cl"], [[0] * 3, [0.5] * 3, *between]
        )
        for ion, side_A, between in (
            ("K", 7, ([0.5, 0, 0], [0, 0.5, 0.5])),
            ("Na", 8, ([0.5, 0, 0.5], [0, 0.5, 0])),
        )
    }
    structures = {f"mixed-{ion}": (ion, cell) for ion, cell in cells.items()}
    jobs = jobs_of(write_campaign(tmp_path, structures, temperatures=()))
    (polymorph,) = jobs["polymorph"]
    assert set(polymorph.input_uuids) == {job.uuid for job in jobs["relax"]}
    assert {job.metadata["mobile_ion"] for job in jobs["relax"]} == {"K", "Na"}
    assert all(polymorph.uuid in job.input_uuids for job in jobs["stability"])
