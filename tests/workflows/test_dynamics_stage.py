"""The dynamics stage with the embedded potential: short runs, every atom moved by CHGNet."""

from __future__ import annotations

import numpy as np
import pytest
from argon import ARGON, CONVENTION, Argon
from campaigns import rock_salt

from screening.documents import Relaxation, RelaxDocument
from screening.gates import Gates
from workflows.config import DynamicsSettings, EngineSettings
from workflows.engines import engine_convention
from workflows.engines.chgnet import ChgnetEngine
from workflows.stages import dynamics as dynamics_stage
from workflows.stages.dynamics import DynamicsMaker, dynamics
from workflows.stages.transport import fit

NACL = RelaxDocument(
    state="done",
    result=Relaxation(
        structure=rock_salt("Na", "Cl", 5.6),
        energy_eV_per_atom=-3.4,
        n_steps=1,
        max_force_eV_per_A=0.01,
        volume_change_percent=0.0,
        convention=engine_convention(EngineSettings()),
    ),
)
SETTINGS = DynamicsSettings(
    temperatures_K=(300.0,),
    heating_ps=0.02,
    equilibration_ps=0.02,
    production_ps=2.0,
    segment_ps=0.2,
    frame_interval_fs=10,
    min_cell_width_A=5.0,
)


def moved(settings=SETTINGS, temperature_K=300.0, **gates):
    return dynamics.original(NACL, temperature_K, "Na", EngineSettings(), settings, Gates(**gates))


@pytest.mark.slow
def test_a_salt_that_does_not_conduct_is_ended_by_the_gate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    longer = SETTINGS.model_copy(update={"production_ps": 8.0, "segment_ps": 1.0})
    made = moved(longer, min_diffusivity_cm2_s=1.0)
    assert (made.state, made.result.end.outcome) == ("done", "bound_rejects")
    assert made.result.n_production_steps == 2500  # 5 ps: less does not outlast the vibration


def test_a_short_run_of_a_salt_is_not_judged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = moved(SETTINGS.model_copy(update={"production_ps": 0.4}), min_diffusivity_cm2_s=1.0)
    assert (made.state, made.result.end.outcome) == ("done", "budget")
    assert made.result.n_production_steps == 200
    trajectory = made.result.trajectory
    assert len(trajectory.potential_energies_eV) == len(trajectory.positions_A)
    assert trajectory.kinetic_temperatures_K.mean() == pytest.approx(made.result.mean_temperature_K)


class StiffeningArgon:
    """An engine whose bonds stiffen until the time step cannot follow them."""

    convention = CONVENTION

    def __init__(self, after):
        self.after = after

    def calculator(self):
        return Argon(stiffens_after=self.after)

    move = ChgnetEngine.move


@pytest.mark.parametrize(("after", "kept"), [(150, True), (5, False)])
def test_a_run_that_explodes_has_failed_and_keeps_what_there_was(
    tmp_path, monkeypatch, after, kept
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dynamics_stage, "load_engine", lambda _: StiffeningArgon(after))
    relaxed = NACL.model_copy(
        update={"result": NACL.result.model_copy(update={"structure": ARGON})}
    )
    settings = SETTINGS.model_copy(update={"relative_error": None})
    made = dynamics.original(relaxed, 60.0, "K", EngineSettings(), settings, Gates())
    assert (made.state, made.failure.code, made.result) == ("failed", "RUN_EXPLODED", None)
    assert (made.partial is not None) == kept
    if made.partial:
        assert made.partial.end.outcome == "exploded"
        assert np.isfinite(made.partial.trajectory.positions_A).all()
    fitted = fit.original([made, None], [60.0, 90.0], "K")
    assert fitted.failure.code == "RUN_EXPLODED"


def fingerprint(settings=SETTINGS, **gates):
    maker = DynamicsMaker(EngineSettings(), settings, Gates(**gates))
    return maker.make(NACL, 300.0, "Na", {}).uuid


def test_a_gate_that_may_end_a_run_is_part_of_its_identity():
    assert fingerprint(min_diffusivity_cm2_s=1e-7) != fingerprint()
    assert fingerprint(min_conductivity_300K_S_cm=1e-4) != fingerprint()
    assert fingerprint(min_window_V=2.0) == fingerprint()


def test_gates_do_not_touch_a_run_of_fixed_length():
    fixed = SETTINGS.model_copy(update={"relative_error": None})
    assert fingerprint(fixed, min_diffusivity_cm2_s=1e-7) == fingerprint(fixed)
    assert fingerprint(fixed) != fingerprint()
