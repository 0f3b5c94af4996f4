"""Which jobs a run would start, against the graph that a run makes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_runs import FakeRun, campaign
from jobflow import CURRENT_JOB, OutputReference
from pymatgen.core import Lattice, Structure

from screening.documents import RelaxDocument
from screening.gates import Gates
from screening.survey import survey_candidates
from screening.transport.documents import TransportDocument
from workflows.config import AmorphousSettings, DynamicsSettings, EngineSettings
from workflows.cost.jobs import known_jobs, surveyed_jobs
from workflows.cost.known import KnownCandidates
from workflows.cost.price import price_campaign
from workflows.molecular_dynamics import widened
from workflows.stages.amorphous import AmorphousMaker
from workflows.stages.dynamics import DynamicsMaker
from workflows.stages.relax import RelaxMaker
from workflows.stages.sizes import OF_DYNAMICS, OF_QUENCH, size_labels
from workflows.stages.transport import TransportMaker

LOWEST_ONLY = {"gates": {"max_e_above_lowest_eV_per_atom": 0}}


@pytest.fixture
def make_run(tmp_path):
    made = []

    def make(**changes):
        made.append(FakeRun(tmp_path / f"{len(made)}.sqlite", campaign(**changes)))
        return made[-1]

    yield make
    for run in made:
        run.table.close()


def ids(run, formula="KTaCl6"):
    return [name for name, entry in run.outputs.items() if entry.candidate.formula == formula]


def expected_by(run, config=None):
    """By the table where the config is the run's own, by fingerprints where it is another."""
    config = config or run.config
    survey = survey_candidates(config.candidates, {})
    known = KnownCandidates(run.table, config, survey)
    if config is run.config:
        ((uuid,),) = run.table.select("select uuid from jobs where stage = 'enumerate'")
        found = known.enumerated_by(uuid)
    else:
        from workflows.cost.price import _formulas

        found = known.of_graph(_formulas(survey), lambda n: None)
    return known_jobs(found, config)


def price(run, config=None):
    config = config or run.config
    survey = survey_candidates(config.candidates, {})
    return price_campaign(config, survey, {}, run.table.path, n_cores=2)


lattices = st.builds(
    lambda lengths, angles: Lattice.from_parameters(*lengths, *angles),
    st.tuples(*[st.floats(2.5, 15)] * 3),
    st.tuples(*[st.floats(70, 110)] * 3),
)


@settings(deadline=None)
@given(lattice=lattices, width_A=st.floats(3, 14), n_atoms=st.integers(1, 5))
def test_sizes_are_those_of_the_cells_that_are_moved(lattice, width_A, n_atoms):
    coords = np.linspace(0, 1, 3 * n_atoms, endpoint=False).reshape(n_atoms, 3)
    structure = Structure(lattice, ["K"] * n_atoms, coords)
    dynamics = DynamicsSettings(min_cell_width_A=width_A)
    glass = AmorphousSettings(min_cell_width_A=width_A + 2)
    assert size_labels(structure, dynamics, glass) == {
        OF_DYNAMICS: str(len(widened(structure, width_A))),
        OF_QUENCH: str(len(widened(structure, width_A + 2))),
    }
    assert size_labels(structure, None, None) == {}


def test_jobs_carry_their_sizes_and_no_fingerprint_knows_of_them():
    structure = Structure(Lattice.cubic(5), ["K", "Cl"], [[0] * 3, [0.5] * 3])
    engine, dynamics, gates = EngineSettings(), DynamicsSettings(), Gates()
    relaxed = OutputReference("relaxed", output_schema=RelaxDocument)
    sizes = size_labels(structure, dynamics, AmorphousSettings())
    assert sizes == {OF_DYNAMICS: "16", OF_QUENCH: "54"}
    relaxation = RelaxMaker(engine, campaign().relax).make(structure, "K", {})
    assert relaxation.metadata["n_atoms"] == 2
    mover = DynamicsMaker(engine, dynamics, gates)
    sized, unsized = (mover.make(relaxed, 600, "K", labels) for labels in (sizes, {}))
    assert sized.uuid == unsized.uuid
    assert sized.metadata["n_atoms"] == 16
    assert "n_atoms" not in unsized.metadata
    assert not {OF_DYNAMICS, OF_QUENCH} & sized.metadata.keys()
    transporter = TransportMaker(engine, dynamics, gates)
    first, second = (
        transporter.make(relaxed, relaxed, None, "K", labels) for labels in (sizes, {})
    )
    assert first.uuid == second.uuid


def test_glasses_are_melted_and_moved_in_their_own_size():
    structure = Structure(Lattice.cubic(5), ["K", "Cl"], [[0] * 3, [0.5] * 3])
    dynamics, glass = DynamicsSettings(), AmorphousSettings()
    maker = AmorphousMaker(EngineSettings(), glass, dynamics, Gates())
    relaxed = OutputReference("relaxed", output_schema=RelaxDocument)
    transported = OutputReference("transported", output_schema=TransportDocument)
    labels = size_labels(structure, dynamics, glass)
    CURRENT_JOB.job = maker.make(relaxed, transported, "K", labels)
    flow = maker.measure(relaxed, transported, "K", labels)
    CURRENT_JOB.reset()
    sizes = Counter((j.metadata["stage"], j.metadata.get("n_atoms")) for j, _ in flow.iterflow())
    assert sizes == {("quench", 54): 2, ("dynamics", 54): 6, ("amorphous", None): 1}


def test_a_campaign_that_was_never_run_is_all_new():
    config = campaign(amorphous={"min_cell_width_A": 12})
    expected = surveyed_jobs(survey_candidates(config.candidates, {}), config)
    relax, *_ = expected.stages.values()
    assert relax.new == {32: 6, 36: 1}
    assert expected.undecided_jobs("dynamics") == 7 * 2 + 7 * 2 * 2
    assert expected.undecided_jobs("quench") == 7 * 2
    assert dict.fromkeys(expected.stages) == dict.fromkeys(("relax", "dynamics", "quench"))
    assert expected.n_asked == 0


def test_without_dynamics_there_are_relaxations_alone():
    config = campaign(dynamics=None)
    expected = surveyed_jobs(survey_candidates(config.candidates, {}), config)
    assert list(expected.stages) == ["relax"]
    assert not expected.undecided


def test_what_is_finished_is_not_run_again(make_run):
    run = make_run()
    first, second, third, fourth, *_ = ids(run)
    for name in (first, second, third):
        run.relax(name)
    run.relax(fourth, state="failed")
    moved, failed = run.ask_gates(first)
    run.move(moved)
    run.move(failed, state="failed")
    run.ask_gates(second, state="rejected")
    run.ask_gates(fourth, state="skipped")
    for expected in (expected_by(run), expected_by(run, run.config.model_copy())):
        relax, dynamics = expected.stages.values()
        assert (relax.new, relax.redo, relax.n_reused) == ({32: 2, 36: 1}, {32: 1}, 3)
        assert (dynamics.new, dynamics.redo, dynamics.n_reused) == ({}, {32: 1}, 1)
        assert (expected.n_passed, expected.n_stopped) == (1, 1)
        # that whose relaxation failed may pass once it is redone
        assert expected.undecided == {(("dynamics", 32, 2),): 4, (("dynamics", 36, 2),): 1}


def test_another_temperature_is_new_and_the_others_are_reused(make_run):
    run = make_run()
    first = ids(run)[0]
    run.relax(first)
    for uuid in run.ask_gates(first):
        run.move(uuid)
    config = campaign(dynamics={"temperatures_K": [600, 800, 1000]})
    expected = expected_by(run, config)
    relax, dynamics = expected.stages.values()
    assert (relax.n_reused, dynamics.n_reused) == (1, 2)
    assert expected.undecided[(("dynamics", 32, 1),)] == 1
    assert expected.undecided[(("dynamics", 32, 3),)] == 5


def test_other_settings_of_the_relaxation_make_all_new(make_run):
    run = make_run()
    run.relax(ids(run)[0])
    expected = expected_by(run, campaign(relax={"max_force_eV_per_A": 0.05}))
    assert expected.stages["relax"].n_reused == 0
    assert expected.stages["relax"].new == {32: 6, 36: 1}


def test_the_queue_holds_what_it_was_given(make_run):
    run = make_run()
    name = ids(run)[0]
    uuid = run.outputs[name].relax.uuid
    connection = run.table._connection
    connection.execute("update jobs set state = 'queued' where uuid = ?", (uuid,))
    assert expected_by(run).stages["relax"].new[32] == 6
    connection.execute(
        "insert into queue_jobs (uuid, stage, worker, n_cores, core_hours_promised, sent_at, state)"
        " values ('q', 'relax', 'w', 4, 7.5, 0, 'running')"
    )
    connection.execute("insert into queue_job_parts values ('q', ?, 1)", (uuid,))
    relax = expected_by(run).stages["relax"]
    assert relax.in_queue == {32: 1}
    assert relax.new[32] == 5
    assert price(run).stages[0].n_in_queue == 1


def test_only_the_lowest_ordering_is_moved_where_a_gate_says_so(make_run):
    config = campaign(**LOWEST_ONLY)
    expected = surveyed_jobs(survey_candidates(config.candidates, {}), config)
    assert expected.undecided == {(("dynamics", 32, 2),): 1, (("dynamics", 36, 2),): 1}
    run = make_run(**LOWEST_ONLY)
    for name in run.outputs:
        run.relax(name)
    expected = expected_by(run)
    assert expected.undecided == {(("dynamics", 32, 2),): 1, (("dynamics", 36, 2),): 1}
    *others, lowest = ids(run)
    for name in others[:-1]:
        run.ask_gates(name, state="rejected")
    run.ask_gates(lowest)
    expected = expected_by(run)
    assert expected.undecided == {(("dynamics", 36, 2),): 1}  # one of the others has passed
    assert expected.stages["dynamics"].new == {32: 2}
    assert (expected.n_passed, expected.n_stopped) == (1, 0)


def test_orderings_that_compete_came_to_the_gates_as_one(make_run):
    run = make_run(**LOWEST_ONLY)
    for name in run.outputs:
        run.relax(name)
    for name in ids(run)[1:]:
        run.ask_gates(name, state="rejected")
    run.ask_gates(ids(run)[0])
    run.ask_gates(ids(run, "K2TaCl6")[0], state="rejected")
    gates = LOWEST_ONLY["gates"] | {"max_e_hull_eV_per_atom": 0.04}
    changed = price(run, campaign(gates=gates))
    assert any("1 of 2 candidates that came to the gates of earlier" in n for n in changed.notes)


def test_parts_of_a_run_that_are_done_are_not_paid_for_twice(make_run):
    run = make_run()
    name = ids(run)[0]
    run.relax(name)
    uuid, _ = run.ask_gates(name)
    before = price(run).stages[1]
    assert before.n_new == 2
    piece = replace(run.records[run.outputs[name].relax.uuid], uuid=uuid, index=2)
    piece = replace(piece, stage="dynamics", spawn_kind="replace")
    spent = before.core_hours.low / 10
    run.end_piece(uuid, 1, spent, piece)
    after = price(run).stages[1]
    assert after.n_new == 2
    assert before.core_hours.median - after.core_hours.median == pytest.approx(spent, rel=1e-6)


def test_the_share_that_passes_is_that_of_the_campaign_so_far(make_run):
    run = make_run()
    upper = price(run)
    assert upper.stages[1].n_expected is None
    assert any("upper bound" in note for note in upper.notes)
    for name in ids(run):
        run.relax(name)
    for name in ids(run)[:5]:
        run.ask_gates(name, state="rejected")
    for uuid in run.ask_gates(ids(run)[5]):
        run.move(uuid)
    priced = price(run)
    dynamics = priced.stages[1]
    assert (dynamics.n_reused, dynamics.n_undecided) == (2, 2)
    assert dynamics.n_expected == pytest.approx(2 * 1.5 / 7, rel=0.1)  # Jeffreys: (1 + ½) / (6 + 1)
    assert any("1 of 6 candidates that came to the gates have passed" in n for n in priced.notes)
    changed = price(run, campaign(gates={"max_e_hull_eV_per_atom": 0.04}))
    assert any("of earlier settings" in note for note in changed.notes)


def test_the_basis_says_what_was_measured(make_run):
    run = make_run()
    assert price(run).basis.startswith("prior: 79 jobs of 2 to 136 atoms")
    for name in ids(run):
        run.relax(name)
    assert price(run).basis.startswith(
        "relaxations measured on 6 finished jobs of this campaign; dynamics prior: 79 jobs"
    )
    for uuid in run.ask_gates(ids(run)[0]):
        run.move(uuid)
    assert price(run).basis == "measured on 8 finished jobs of this campaign"


def test_too_many_candidates_are_not_looked_up(make_run, monkeypatch):
    run = make_run()
    run.relax(ids(run)[0])
    monkeypatch.setattr("workflows.cost.price.MAX_LOOKED_UP", 6)
    known = price(run)
    assert known.stages[0].n_reused == 1  # the run's own enumeration knows them all
    changed = price(run, campaign(gates={"max_e_hull_eV_per_atom": 0.04}))
    assert changed.stages[0].n_reused == 0
    assert changed.stages[0].n_new == 7
    assert any("7 candidates are too many to look up" in note for note in changed.notes)


def test_schemas_are_as_they_were_after_a_look(make_run):
    before = RelaxDocument.model_json_schema()
    expected_by(make_run(), campaign())
    assert "model_json_schema" not in vars(RelaxDocument)
    assert RelaxDocument.model_json_schema() == before
