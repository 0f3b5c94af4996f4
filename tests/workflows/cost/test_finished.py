"""What the table of jobs tells of costs: only what is comparable counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from invented_runs import FakeRun, campaign

from workflows.config import EngineSettings
from workflows.cost.finished import measured_jobs
from workflows.cost.model import CostModel
from workflows.cost.prices import Prices
from workflows.cost.spending import Spending, spending


@pytest.fixture
def run(tmp_path):
    made = FakeRun(tmp_path / "results.sqlite", campaign())
    yield made
    made.table.close()


def ids(run, formula="KTaCl6"):
    return [name for name, entry in run.outputs.items() if entry.candidate.formula == formula]


def test_finished_jobs_are_read_with_their_size_steps_and_time(run):
    for name, n_steps in zip(ids(run), (50, 60, 70), strict=False):
        run.relax(name, n_steps=n_steps, core_hours=n_steps / 1000)
    run.relax(ids(run)[3], state="failed")
    moved, _ = run.ask_gates(ids(run)[0])
    run.move(moved)
    measured = measured_jobs(run.table, run.config.engine)
    relaxed = measured["relax"]
    assert sorted(relaxed.n_steps) == [50, 60, 70]
    assert sorted(relaxed.core_hours) == [0.05, 0.06, 0.07]
    assert set(relaxed.n_atoms) == {32}
    assert relaxed.timed.all()
    assert measured["dynamics"].n_steps.tolist() == [53_500]
    assert measured["dynamics"].n_atoms.tolist() == [32]


def test_jobs_of_another_engine_tell_nothing(run):
    run.relax(ids(run)[0])
    assert measured_jobs(run.table, EngineSettings(name="vasp")) == {}
    assert measured_jobs(run.table, EngineSettings(model="r2scan")) == {}


def test_jobs_of_an_earlier_version_tell_nothing(run):
    run.relax(ids(run)[0])
    run.relax(ids(run)[1])
    run.table._connection.execute(
        "update jobs set n_atoms = null where uuid = ?", (run.outputs[ids(run)[0]].relax.uuid,)
    )
    run.table._connection.execute(
        "update jobs set core_hours = null where uuid = ?", (run.outputs[ids(run)[1]].relax.uuid,)
    )
    assert measured_jobs(run.table, run.config.engine) == {}


def test_the_time_of_a_killed_process_is_nowhere(run):
    """With the embedded potential; VASP that ran into its wall time says what that took."""
    run.relax(ids(run)[0])
    run.table.wait_again([(run.outputs[ids(run)[0]].relax.uuid, 1)])
    run.relax(ids(run)[0])
    (relaxed,) = measured_jobs(run.table, run.config.engine).values()
    assert not relaxed.timed.any()
    assert len(relaxed) == 1


def test_what_goes_on_as_itself_is_one_job(run):
    uuid, _ = run.ask_gates(ids(run)[0])
    first = run.table.row((uuid, 1))
    piece = replace(next(iter(run.records.values())), uuid=uuid, index=2, stage="dynamics")
    piece = replace(piece, n_atoms=first.n_atoms, spawn_kind="replace")
    run.end_piece(uuid, 1, 2.0, piece)
    assert "dynamics" not in measured_jobs(run.table, run.config.engine)  # it is on its way
    run._end((uuid, 2), "done", n_steps=53_500, core_hours=3.0)
    dynamics = measured_jobs(run.table, run.config.engine)["dynamics"]
    assert dynamics.core_hours.tolist() == [5.0]
    assert dynamics.n_steps.tolist() == [53_500]


def test_spending_counts_failed_and_earlier_attempts_and_what_is_promised(run):
    assert spending(run.table, None) == Spending(0.0, 0.0, None)
    run.relax(ids(run)[0], core_hours=1.0)
    run.relax(ids(run)[1], state="failed", core_hours=2.0)
    run.relax(ids(run)[1], core_hours=0.5)
    for number, (state, promised) in enumerate([("sent", 8), ("running", 4), ("ended", 100)]):
        run.table._connection.execute(
            "insert into queue_jobs (uuid, stage, worker, n_cores, core_hours_promised, sent_at, "
            "state) values (?, 'relax', 'w', 1, ?, 0, ?)",
            (str(number), promised, state),
        )
    spent = spending(run.table, 20)
    assert spent == Spending(3.5, 12.0, 20)
    assert spent.left_core_hours == pytest.approx(4.5)
    assert spending(run.table, None).left_core_hours is None
    assert spending(run.table, 10).left_core_hours == pytest.approx(-5.5)


def test_prices_are_those_of_the_model_and_learn_when_asked_to(run):
    prices = Prices(run.config, run.table)
    prior = CostModel.of(run.config)
    assert prices.job("relax", 32) == prior.job("relax", 32).median
    assert prices.job("relax", None) == prior.job("relax", 50).median
    for name in ids(run):
        run.relax(name, n_steps=60, core_hours=0.002)
    assert prices.job("relax", 32) == prior.job("relax", 32).median
    prices.refresh()
    assert prices.job("relax", 32) == pytest.approx(0.002, rel=0.15)
    assert prices.job("relax", 64) > prices.job("relax", 32)
