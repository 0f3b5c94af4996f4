"""What each stage answers when the stages before it did not go well."""

from __future__ import annotations

import numpy as np
import pytest
from campaigns import rock_salt
from jobflow import OutputReference

from screening.documents import (
    EnergyConvention,
    Failure,
    LowestOrdering,
    Relaxation,
    RelaxDocument,
    StageDocument,
)
from screening.errors import RunExploded
from screening.gates import Gates
from screening.stability.documents import (
    Limit,
    Stability,
    StabilityDocument,
    VoltageProfile,
    Window,
)
from screening.stability.references import ReferencePhases
from screening.transport.documents import DynamicsDocument, MolecularDynamics, RunEnd
from screening.transport.trajectory import Trajectory
from workflows.config import DynamicsSettings, EngineSettings, RelaxSettings, StabilitySettings
from workflows.engines import engine_convention
from workflows.stages import stability as stability_stage
from workflows.stages.boundary import answer
from workflows.stages.dynamics import dynamics
from workflows.stages.gates import ask_gates
from workflows.stages.lowest import lowest
from workflows.stages.relax import relax
from workflows.stages.stability import StabilityMaker, competitors_sha256, stability
from workflows.stages.transport import TransportMaker, fit, transport

CONVENTION = EnergyConvention(code="c", functional="f", corrections="m", potential="p")
FAILURE = Failure(code="RUN_EXPLODED", message="9999 K")
KCL = rock_salt("K", "Cl", 6.3)


def relaxed(energy=-3.7):
    return RelaxDocument(
        state="done",
        result=Relaxation(
            structure=KCL,
            energy_eV_per_atom=energy,
            n_steps=1,
            max_force_eV_per_A=0.01,
            volume_change_percent=1.0,
            convention=CONVENTION,
        ),
    )


def stable():
    window = Window(
        reduction=Limit(potential_V=0.0, products=("K",), reaction=""),
        oxidation=Limit(potential_V=4.4, products=("Cl2",), reaction=""),
    )
    return StabilityDocument(
        state="done",
        result=Stability(
            formation_energy_eV_per_atom=-2.0,
            e_hull_eV_per_atom=0.0,
            energy_below_competitors_eV_per_atom=1.0,
            decomposition={},
            candidate_window=window,
            equilibrium_window=window,
            window_of="candidate",
            profile=VoltageProfile(
                oxidized={},
                steps=(),
                decomposition_potentials_V=(),
                decomposition_energies_eV_per_atom=(),
            ),
            guards=(),
            references_sha256="0" * 64,
        ),
    )


def run_at(temperature_K):
    rng = np.random.default_rng(0)
    start_A = KCL.cart_coords[None]
    return DynamicsDocument(
        state="done",
        temperature_K=temperature_K,
        result=MolecularDynamics(
            temperature_K=temperature_K,
            mean_temperature_K=temperature_K,
            timestep_fs=2,
            n_heating_steps=10,
            n_equilibration_steps=10,
            n_production_steps=1000,
            end=RunEnd(outcome="budget", message="fixed length of 2 ps"),
            energy_drift_eV_per_atom_per_ps=0.0,
            seed=0,
            convention=CONVENTION,
            trajectory=Trajectory(
                positions_A=(start_A + rng.normal(0, 0.1, (101, len(KCL), 3))).astype(np.float32),
                cell_A=KCL.lattice.matrix,
                species=tuple(site.specie.symbol for site in KCL),
                timestep_fs=2,
                stride=10,
                temperature_K=temperature_K,
            ),
        ),
    )


def exploded(temperature_K):
    return DynamicsDocument(state="failed", temperature_K=temperature_K, failure=FAILURE)


def test_one_temperature_that_failed_is_kept_with_its_cause():
    made = fit.original([run_at(300.0), exploded(900.0)], [300.0, 900.0], "K")
    assert made.state == "done"
    assert made.result.failures == {"900": FAILURE}
    (only,) = made.result.diffusivities
    assert only.temperature_K == 300
    outcomes = {t: end.outcome for t, end in made.result.ends.items()}
    assert outcomes == {"300": "budget", "900": "exploded"}
    assert only.upper_bound_cm2_s > 0


def test_a_stage_fails_with_the_cause_when_all_temperatures_did():
    made = fit.original([exploded(300.0), exploded(900.0)], [300.0, 900.0], "K")
    assert (made.state, made.failure) == ("failed", FAILURE)


def test_a_run_that_left_nothing_is_said_to_be_lost():
    made = fit.original([None, run_at(900.0)], [300.0, 900.0], "K")
    assert made.result.failures["300"].code == "LOST"


@pytest.mark.parametrize("upstream", [None, RelaxDocument(state="failed", failure=FAILURE)])
def test_stages_behind_a_failure_are_skipped(upstream):
    maker = TransportMaker(EngineSettings(), DynamicsSettings(), Gates())
    documents = [
        stability.original(upstream, None, "K", StabilitySettings(), ""),
        ask_gates.original(upstream, stable(), None, Gates()),
        dynamics.original(upstream, 300.0, "K", EngineSettings(), DynamicsSettings(), Gates()),
        transport.original("uuid", upstream, None, None, "K", maker, {}),
    ]
    assert [document.state for document in documents] == ["skipped"] * 4


def test_the_lowest_ordering_is_compared_with():
    failed = RelaxDocument(state="failed", failure=FAILURE)
    best = lowest.original([relaxed(-3.70), failed, relaxed(-3.75), None])
    assert best == LowestOrdering(energy_eV_per_atom=-3.75)
    assert lowest.original([failed]).energy_eV_per_atom is None
    gates = Gates(max_e_above_lowest_eV_per_atom=0.01)
    maker = TransportMaker(EngineSettings(), DynamicsSettings(), gates)
    made = transport.original("uuid", relaxed(-3.70), stable(), best, "K", maker, {})
    assert made.rejection.gate == "max_e_above_lowest_eV_per_atom"
    assert made.rejection.value == pytest.approx(0.05, abs=1e-9)


def test_without_dynamics_the_gates_alone_decide():
    gates = Gates(max_e_above_lowest_eV_per_atom=0.01, min_window_V=4.0)
    best = LowestOrdering(energy_eV_per_atom=-3.75)
    assert ask_gates.original(relaxed(-3.745), stable(), best, gates).state == "done"
    rejected = ask_gates.original(relaxed(-3.70), stable(), best, gates)
    assert (rejected.state, rejected.rejection.gate) == (
        "rejected",
        "max_e_above_lowest_eV_per_atom",
    )


def relaxed_with_chgnet(energy_eV_per_atom):
    convention = engine_convention(EngineSettings())
    result = relaxed(energy_eV_per_atom).result.model_copy(update={"convention": convention})
    return RelaxDocument(state="done", result=result)


def assessed_in(settings, energy_eV_per_atom=-3.7, polymorph=None):
    competitors = competitors_sha256(settings, frozenset(("K", "Cl")))
    return stability.original(
        relaxed_with_chgnet(energy_eV_per_atom), polymorph, "K", settings, competitors
    ).result


def test_a_lower_polymorph_of_the_campaign_competes_and_a_failed_one_blocks_nothing():
    own = next(
        phase.energy_eV_per_atom
        for phase in ReferencePhases.load("chgnet-0.3.0").phases
        if phase.formula == "KCl"
    )

    def assessed(polymorph):
        return assessed_in(StabilitySettings(), own, polymorph)

    alone = assessed(None)
    assert assessed(LowestOrdering(energy_eV_per_atom=None)) == alone
    assert assessed(LowestOrdering(energy_eV_per_atom=own)) == alone
    beaten = assessed(LowestOrdering(energy_eV_per_atom=own - 0.02))
    assert beaten.e_hull_eV_per_atom == pytest.approx(0.02, abs=1e-9)
    assert beaten.window_of == "equilibrium"
    assert beaten.decomposition == {"KCl": 1.0}


def test_electrodes_are_met_and_what_cannot_be_computed_is_said():
    settings = StabilitySettings(electrodes=("Na", "nothing"))
    made = assessed_in(settings)
    assert {interface.partner for interface in made.interfaces} == {"Na"}
    assert any(caveat.startswith("no interface with nothing: ") for caveat in made.caveats)
    assert not assessed_in(StabilitySettings()).interfaces


def test_a_snapshot_that_changes_during_a_run_gives_no_answer_in_the_name_of_the_old_one(tmp_path):
    file = tmp_path / "refs.json"
    shipped = ReferencePhases.load("chgnet-0.3.0")
    settings = StabilitySettings(references=str(file))
    file.write_text(shipped.dump(), encoding="utf-8")
    before = competitors_sha256(settings, frozenset(("K", "Cl")))
    assert before == competitors_sha256(StabilitySettings(), frozenset(("K", "Cl")))
    phases = tuple(phase for phase in shipped.phases if phase.formula != "KCl")
    file.write_text(shipped.model_copy(update={"phases": phases}).dump(), encoding="utf-8")
    made = stability.original(relaxed_with_chgnet(-3.7), None, "K", settings, before)
    assert made.failure.code == "INVALID_INPUT"
    assert "refs.json has changed since this run began" in made.failure.message


@pytest.mark.parametrize("option", [{"raw_halide_energies": True}, {"electrodes": ("Na",)}])
def test_what_decides_a_result_is_in_its_fingerprint(option):
    def fingerprint(**options):
        maker = StabilityMaker(StabilitySettings(**options))
        reference = OutputReference("00000000-0000-0000-0000-000000000000")
        return maker.make(reference, None, ["K", "Cl"], "K", {}).uuid

    assert fingerprint(**option) != fingerprint()
    assert fingerprint(references_sha256="0123abcd") == fingerprint()


def test_other_data_in_the_package_are_other_competitors(monkeypatch):
    """Potentials of electrodes, known phases and measured enthalpies are in no snapshot."""
    before = competitors_sha256(StabilitySettings(), frozenset(("K", "Cl")))
    monkeypatch.setattr(stability_stage, "data_sha256", lambda: "0" * 64)
    stability_stage._competitors_sha256.cache_clear()
    after = competitors_sha256(StabilitySettings(), frozenset(("K", "Cl")))
    stability_stage._competitors_sha256.cache_clear()
    assert before != after


def test_an_unusable_structure_is_a_failed_document():
    overlapping = KCL.copy()
    overlapping.append("Cl", [0.5, 0.5, 0.51])
    made = relax.original(overlapping, "K", EngineSettings(), RelaxSettings())
    assert (made.state, made.failure.code) == ("failed", "UNUSABLE_STRUCTURE")
    assert "Å apart" in made.failure.message


def test_exceptions_end_at_the_boundary():
    def explode():
        raise RunExploded("9999 K after 3 steps")

    def stumble():
        raise KeyError("nobody thought of this")

    made = answer(RelaxDocument, explode)
    assert (made.failure.code, made.failure.message) == ("RUN_EXPLODED", "9999 K after 3 steps")
    made = answer(RelaxDocument, stumble)
    assert made.failure.code == "UNEXPECTED"
    assert made.failure.message == "KeyError: 'nobody thought of this'"
    assert "stumble" in made.failure.log_tail
    assert isinstance(made, StageDocument)
