"""From runs at several temperatures to one document."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_walks import CELL_A, brownian, trajectory_of

from screening.documents import Failure
from screening.errors import InvalidInput
from screening.transport.analysis import analyse_transport
from screening.transport.documents import Transport
from screening.units import BOLTZMANN_EV_PER_K


def run_at(temperature_K, seed=0, ea_eV=0.2):
    rng = np.random.default_rng([seed, int(temperature_K)])
    D_A2_per_frame = 0.3 * np.exp(-ea_eV / (BOLTZMANN_EV_PER_K * temperature_K))
    paths_A = brownian(rng, 500, 16, D_A2_per_frame=D_A2_per_frame)
    return trajectory_of(rng, paths_A, temperature_K=temperature_K)


def frozen_at(temperature_K):
    rng = np.random.default_rng(0)
    return trajectory_of(rng, np.zeros((500, 16, 3)), temperature_K=temperature_K)


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
