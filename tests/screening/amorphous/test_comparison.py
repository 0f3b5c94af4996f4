"""Crystals and glasses made by hand, of which the order is known."""

from __future__ import annotations

import numpy as np
import pytest

from screening.amorphous.comparison import compare_phases, melt_caveats
from screening.amorphous.documents import Amorphous, PhaseRuns
from screening.documents import Failure
from screening.errors import UnusableRun
from screening.prototypes.library import load_prototype
from screening.transport.analysis import analyse_transport
from screening.transport.documents import FrameworkMotion
from screening.transport.trajectory import Trajectory

N_FRAMES = 600
INTERVAL_PS = 0.1


def moved(D_A2_ps, disorder_A=0.0, temperature_K=600.0, energy_eV=-4.9, seed=0):
    """NaTaCl6: ions walk at random, the host vibrates about sites displaced by `disorder_A`."""
    rng = np.random.default_rng(seed)
    crystal = load_prototype("natacl6").own_structure()
    crystal.make_supercell([2, 1, 1])
    species = tuple(site.specie.element.symbol for site in crystal)
    sites_A = crystal.cart_coords + rng.normal(0, disorder_A, (len(crystal), 3))
    positions_A = sites_A + rng.normal(0, 0.1, (N_FRAMES, len(crystal), 3))
    steps_A = rng.normal(0, np.sqrt(2 * D_A2_ps * INTERVAL_PS), positions_A.shape)
    steps_A[:, np.array(species) != "Na"] = 0
    return Trajectory(
        positions_A=(positions_A + steps_A.cumsum(axis=0)).astype(np.float32),
        cell_A=crystal.lattice.matrix,
        species=species,
        timestep_fs=2.0,
        stride=round(INTERVAL_PS * 1000 / 2),
        temperature_K=temperature_K,
        potential_energies_eV=np.full(N_FRAMES, energy_eV * len(crystal)),
    )


def phase(name, melt_temperature_K, *runs):
    return PhaseRuns(name, melt_temperature_K, analyse_transport(runs, "Na"), runs)


@pytest.fixture(scope="module")
def compared():
    return compare_phases(
        [
            phase("crystal", None, moved(0.0), moved(0.05, temperature_K=700.0)),
            phase("slow", 1200.0, moved(0.3, 0.15, energy_eV=-4.88, seed=1)),
            phase("fast", 2000.0, moved(3.0, 0.4, energy_eV=-4.85, seed=2)),
        ],
        "Na",
        failures={"lost": Failure(code="RUN_EXPLODED", message="9999 K")},
        caveats=("by hand",),
    )


def test_phases_are_ordered_by_their_diffusivity(compared):
    (order,) = compared.orders  # at 700 K there is one phase alone
    assert order.temperature_K == 600
    assert order.names == ("fast", "slow", "crystal")
    assert order.apart == (True, True)


def test_the_more_disordered_the_less_regular_the_octahedra(compared):
    measures = [phase.disorder.symmetry[0].mean for phase in compared.phases]
    assert measures == sorted(measures)
    assert measures[-1] > 3 * measures[0] > 0


def test_local_order_is_that_of_the_lowest_common_temperature(compared):
    assert compared.disorder_temperature_K == 600
    assert all(phase.disorder.mobile_ion == "Na" for phase in compared.phases)
    energies_eV = [phase.potential_energy_eV_per_atom for phase in compared.phases]
    assert energies_eV == pytest.approx([-4.9, -4.88, -4.85])


def test_what_failed_and_what_to_know_is_passed_on(compared):
    assert compared.failures["lost"].code == "RUN_EXPLODED"
    assert compared.caveats == ("by hand",)


def test_a_comparison_survives_being_stored(compared):
    assert Amorphous.model_validate_json(compared.model_dump_json()) == compared


def test_intervals_that_overlap_are_not_apart():
    same = [phase(name, 1000.0 + k, moved(1.0, seed=k)) for k, name in enumerate("ab")]
    (order,) = compare_phases(same, "Na", failures={}).orders
    assert order.apart == (False,)


def test_phases_without_a_common_temperature_cannot_be_compared():
    phases = [
        phase("crystal", None, moved(0.5)),
        phase("glass", 1200.0, moved(0.5, temperature_K=700.0)),
    ]
    with pytest.raises(UnusableRun, match=r"crystal: \[600\.0\]; glass: \[700\.0\] K"):
        compare_phases(phases, "Na", failures={})


def test_units_that_only_turn_are_no_melt():
    melt = moved(0.1)
    turning = FrameworkMotion(species="Cl", kind="turns", message="")
    gone = FrameworkMotion(species="Ta", kind="diffuses", message="")
    (caveat,) = melt_caveats([turning], melt)
    assert "59.9 ps at 600 K" in caveat
    assert melt_caveats([turning, gone], melt) == ()
