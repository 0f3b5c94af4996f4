"""From one run to all it says, and from runs at several temperatures to one document."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_hosts import octahedra
from synthetic_walks import CELL_A, brownian, trajectory_of

from screening.documents import Failure
from screening.errors import InvalidInput
from screening.transport.analysis import analyse_run, analyse_transport
from screening.transport.diffusivity import estimate_diffusivity
from screening.transport.documents import Diffusivity, Transport
from screening.units import BOLTZMANN_EV_PER_K


def run_at(temperature_K, seed=0, ea_eV=0.2):
    rng = np.random.default_rng([seed, int(temperature_K)])
    D_A2_per_frame = 0.3 * np.exp(-ea_eV / (BOLTZMANN_EV_PER_K * temperature_K))
    paths_A = brownian(rng, 500, 16, D_A2_per_frame=D_A2_per_frame)
    return trajectory_of(rng, paths_A, temperature_K=temperature_K)


def frozen_at(temperature_K):
    rng = np.random.default_rng(0)
    return trajectory_of(rng, np.zeros((500, 16, 3)), temperature_K=temperature_K)


def test_a_run_with_a_host_that_stays_has_no_caveats():
    answer = analyse_run(octahedra(np.random.default_rng(0)), "K")
    assert answer.framework == ()
    assert not answer.framework_moves
    assert answer.caveats == ()
    assert [curve.species for curve in answer.msd] == ["K", "Ta", "Cl"]
    assert Diffusivity.model_validate_json(answer.model_dump_json()) == answer


def test_a_host_that_melts_is_a_caveat_with_its_evidence():
    rng = np.random.default_rng(0)
    walk_A = brownian(rng, 400, 8, D_A2_per_frame=0.02)
    answer = analyse_run(octahedra(rng, centres_A=walk_A), "K")
    assert answer.framework_moves
    found = {(motion.species, motion.kind) for motion in answer.framework}
    assert {("Ta", "diffuses"), ("Cl", "diffuses")} <= found
    assert answer.caveats == tuple(motion.message for motion in answer.framework)
    assert any("Ta have left their sites" in caveat for caveat in answer.caveats)


def test_units_that_turn_are_a_caveat_but_no_melt():
    rng = np.random.default_rng(0)
    rotations = np.zeros((400, 8, 3))
    rotations[:, :, 2] = np.cumsum(rng.normal(scale=0.2, size=(400, 8)), axis=0)
    answer = analyse_run(octahedra(rng, rotations=rotations), "K")
    assert not answer.framework_moves
    assert {motion.kind for motion in answer.framework} == {"turns"}
    assert any("rigid units rotate" in caveat for caveat in answer.caveats)


def test_what_the_reader_of_the_file_noted_and_drifts_are_caveats():
    run = octahedra(np.random.default_rng(0), notes=("the last frame was cut short",))
    energies_eV = -100 + 0.05 * np.arange(400.0) + np.random.default_rng(1).normal(size=400)
    answer = analyse_run(replace(run, potential_energies_eV=energies_eV), "K")
    assert answer.caveats[0] == "the last frame was cut short"
    assert any("energy" in caveat for caveat in answer.caveats[1:])


def test_equilibration_is_left_out_and_said():
    """The diffusivity is that of the run without its start, where the ions flew off."""
    run = run_at(1000.0)
    start_A = np.repeat(run.positions_A[:1], 60, axis=0)
    start_A[:, :16] -= np.linspace(15, 0, 60, dtype=np.float32)[:, None, None]
    late = replace(run, positions_A=np.concatenate([start_A, run.positions_A]))
    answer = analyse_run(late, "K")
    n_cut = round(answer.equilibration.cut_ps / 0.05)
    assert 50 <= n_cut <= 280
    assert answer.duration_ps == pytest.approx(late.duration_ps - answer.equilibration.cut_ps)
    assert answer.D_cm2_s == estimate_diffusivity(late.from_frame(n_cut), "K").D_cm2_s
    low_cm2_s, high_cm2_s = answer.D_95_cm2_s
    assert low_cm2_s < 0.3 * np.exp(-0.2 / (BOLTZMANN_EV_PER_K * 1000)) * 1e-4 / 0.05 < high_cm2_s


def test_activation_energy_and_conductivity_are_recovered():
    answer = analyse_transport([run_at(t) for t in (1000.0, 600.0, 800.0)], "K")
    assert [entry.temperature_K for entry in answer.diffusivities] == [600.0, 800.0, 1000.0]
    low_eV, high_eV = answer.arrhenius.activation_energy_68_eV
    assert low_eV - (high_eV - low_eV) < 0.2 < high_eV + (high_eV - low_eV)
    assert answer.failures == {}
    doubled = analyse_transport([run_at(t) for t in (600.0, 800.0, 1000.0)], "K", charge=2)
    assert doubled.arrhenius.conductivity_300K_S_cm == pytest.approx(
        4 * answer.arrhenius.conductivity_300K_S_cm, rel=1e-9, abs=0
    )
    assert Transport.model_validate_json(answer.model_dump_json()) == answer


def test_carriers_are_the_mobile_ions_of_the_cell():
    runs = [run_at(t) for t in (600.0, 800.0, 1000.0)]
    answer = analyse_transport(runs, "K").arrhenius
    n_per_cm3 = 16 / (np.linalg.det(CELL_A) * 1e-24)
    expected_S_cm = n_per_cm3 * 1.602176634e-19**2 / (1.380649e-23 * 300) * answer.D_300K_cm2_s
    assert answer.conductivity_300K_S_cm == pytest.approx(expected_S_cm, rel=1e-9, abs=0)


def test_a_lost_temperature_does_not_lose_the_others():
    exploded = run_at(900.0)
    exploded.positions_A[100:] = np.nan
    lost = {"1200": Failure(code="RUN_EXPLODED", message="gone")}
    runs = [run_at(600.0), exploded, frozen_at(400.0), run_at(800.0)]
    answer = analyse_transport(runs, "K", failures=lost)
    assert set(answer.failures) == {"900", "1200"}
    assert answer.failures["900"].code == "UNUSABLE_RUN"
    assert answer.diffusivities[0].upper_bound_cm2_s is not None
    assert answer.arrhenius.activation_energy_eV is not None
    assert answer.arrhenius.activation_energy_68_eV is None
    assert answer.arrhenius.reason == "2 of 3 temperatures carry a diffusivity; error bars need 3"


def test_no_run_two_of_one_temperature_or_of_different_cells():
    with pytest.raises(InvalidInput, match="no run to analyse"):
        analyse_transport([], "K")
    with pytest.raises(InvalidInput, match=r"one run a temperature needed, got \[800.0, 800.0\] K"):
        analyse_transport([frozen_at(800.0), frozen_at(800.0)], "K")
    other = replace(frozen_at(600.0), cell_A=CELL_A * 1.1)
    with pytest.raises(InvalidInput, match="runs at 600 and 800 K are of different cells"):
        analyse_transport([frozen_at(800.0), other], "K")


def test_absent_ion_is_the_users_mistake_not_a_lost_run():
    with pytest.raises(InvalidInput, match="no Na among"):
        analyse_transport([frozen_at(800.0)], "Na")
