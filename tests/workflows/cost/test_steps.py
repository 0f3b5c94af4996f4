"""What a job says of itself when it ends: steps, and the time that it took."""

from __future__ import annotations

import time

import orjson
import pytest
from jobflow import JobStore, job
from maggma.stores import MemoryStore

from screening.amorphous.documents import MeltQuench, MeltQuenchDocument
from screening.documents import Failure, Relaxation, RelaxDocument
from screening.potential.together import run_together
from screening.transport.documents import DynamicsDocument, MolecularDynamics
from workflows.cost.cores import VARIABLE
from workflows.cost.steps import n_steps_of
from workflows.execution.worker import _run

FAILED = {"state": "failed", "failure": Failure(code="X", message="x")}


@job
def take_time(seconds, fails=False):
    time.sleep(seconds)
    if fails:
        raise ArithmeticError("no")


def relaxation(n_steps):
    return Relaxation.model_construct(n_steps=n_steps)


def outcome_of(made, stage, n_beside=0):
    """What a worker says of a job, alone or beside others that take their own time."""
    made.metadata = {"stage": stage}
    store = JobStore(MemoryStore())
    store.connect()
    spec = orjson.dumps(made.as_dict())
    programs = [lambda: _run(spec, store), *[lambda: time.sleep(0.2)] * n_beside]
    ended = run_together(lambda: programs.pop() if programs else None, n_atoms=10)
    return next(end.value for end in ended if end.value is not None)


@pytest.mark.parametrize("fails", [False, True])
def test_a_job_says_what_it_took_however_it_ended(fails, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    outcome = outcome_of(take_time(0.3, fails), "relax", n_beside=3)
    assert outcome.state == ("failed" if fails else "done")
    assert 0.3 <= 3600 * outcome.core_hours < 0.6
    assert outcome.n_steps is None


def test_jobs_that_take_many_cores_are_paid_for_all_of_them(monkeypatch):
    monkeypatch.setenv(VARIABLE, "16")
    assert 3600 * outcome_of(take_time(0.1), "dynamics").core_hours >= 1.6
    assert 3600 * outcome_of(take_time(0.1), "stability").core_hours < 1.6  # python takes one


def test_steps_are_those_of_the_document():
    run = MolecularDynamics.model_construct(
        n_heating_steps=10, n_equilibration_steps=20, n_production_steps=300
    )
    glass = MeltQuench.model_construct(heating_ps=1.0, hold_ps=2.0, quench_ps=0.5, timestep_fs=2.0)
    assert n_steps_of(RelaxDocument(state="done", result=relaxation(0))) == 0
    assert n_steps_of(RelaxDocument(**FAILED)) is None
    moved = DynamicsDocument.model_construct(state="done", result=run, partial=None)
    exploded = DynamicsDocument.model_construct(state="failed", result=None, partial=run)
    assert n_steps_of(moved) == n_steps_of(exploded) == 330
    assert n_steps_of(DynamicsDocument(**FAILED, temperature_K=600)) is None
    quenched = MeltQuenchDocument.model_construct(state="done", result=glass)
    assert n_steps_of(quenched) == 1750
    assert n_steps_of(None) is None
    assert n_steps_of({"n_steps": 3}) is None
