"""Local structure of crystals, glasses and liquids that were made to order."""

import time

import numpy as np
import pytest
from local_structures import OCTAHEDRON, antifluorite, gas, trajectory_at, turned
from pymatgen.core import Lattice, Structure

from screening.disorder.documents import DisorderReport
from screening.disorder.report import disorder_report
from screening.errors import InvalidInput


def coordination(report):
    return {(each.centre, each.neighbours): each for each in report.coordination}


def test_a_crystal_of_octahedra():
    report = disorder_report(antifluorite(), "K")
    found = coordination(report)
    assert found["Ta", ("Cl",)].numbers == (6,)
    assert found["Ta", ("Cl",)].shares == (1.0,)
    assert found["K", ("Cl",)].mean == pytest.approx(12, abs=0.05)
    assert found["Cl", ("Ta",)].numbers == (1,)
    assert found["Cl", ("K",)].mean == pytest.approx(4, abs=0.05)
    assert [each.centre for each in report.symmetry] == ["Ta"]
    assert report.symmetry[0].share_of_six == 1
    assert report.half_width_A == pytest.approx(5.0, rel=1e-12)
    assert report.caveats == ()


@pytest.mark.parametrize("rattle_A", [0.02, 0.08])
def test_the_measure_of_vibrations_follows_equipartition(rattle_A):
    """Of 21 coordinates 3 shift, 3 turn and 1 grows: S = 100 x 14 sigma² / (6 bond²)."""
    report = disorder_report(antifluorite(n_frames=400, rattle_A=rattle_A), "K")
    symmetry = report.symmetry[0]
    expected = 100 * 14 * rattle_A**2 / (6 * 2.35**2)
    assert symmetry.mean == pytest.approx(expected, rel=0.04, abs=0)
    assert symmetry.n_values == 1600
    # S is a chi² of 14 degrees of freedom
    assert symmetry.standard_deviation == pytest.approx(expected * np.sqrt(2 / 14), rel=0.1, abs=0)
    assert symmetry.quantiles_05_95[0] < symmetry.median < symmetry.quantiles_05_95[1]
    assert sum(symmetry.density) * symmetry.bin_width == pytest.approx(1, rel=1e-3)
    assert symmetry.standard_error < 0.05 * expected


def test_turned_octahedra_are_as_regular():
    """What turns are units, and the measure does not mind."""
    crystal = antifluorite(n_frames=1, rattle_A=0.0)
    positions_A = crystal.positions_A[0].copy()
    for k in range(4):
        positions_A[12 + 6 * k : 18 + 6 * k] = positions_A[8 + k] + 2.35 * turned(OCTAHEDRON, k)
    report = disorder_report(trajectory_at([positions_A], crystal.cell_A, crystal.species), "K")
    assert report.symmetry[0].mean == pytest.approx(0, abs=1e-6)
    assert report.symmetry[0].share_of_six == 1


def test_units_that_lost_an_anion_are_said_and_left_out():
    crystal = antifluorite(n_frames=50)
    positions_A = crystal.positions_A.copy()
    positions_A[:, 12] = [5.0, 0.0, 0.0]  # a Cl of the first Ta, now far from all of them
    report = disorder_report(trajectory_at(positions_A, crystal.cell_A, crystal.species), "K")
    found = coordination(report)["Ta", ("Cl",)]
    assert found.numbers == (5, 6)
    assert found.shares == pytest.approx((0.25, 0.75), rel=1e-12)
    assert coordination(report)["Cl", ("Ta",)].numbers == (0, 1)
    assert report.symmetry[0].share_of_six == pytest.approx(0.75, rel=1e-12)
    assert report.symmetry[0].n_centres == 3


def test_mixed_anions_count_together_each_by_its_own_shell():
    crystal = antifluorite(n_frames=60, rattle_A=0.05)
    species = list(crystal.species)
    positions_A = crystal.positions_A.copy()
    for atom in range(12, 36, 2):  # half of the corners, 0.3 Å further out
        species[atom] = "Br"
        centre_A = crystal.positions_A[:, 8 + (atom - 12) // 6]
        positions_A[:, atom] += 0.3 / 2.35 * (positions_A[:, atom] - centre_A)
    report = disorder_report(trajectory_at(positions_A, crystal.cell_A, species), "K")
    found = coordination(report)["Ta", ("Br", "Cl")]
    assert found.numbers == (6,)
    assert len(found.cutoffs_A) == 2
    assert report.symmetry[0].neighbours == ("Br", "Cl")


def test_a_gas_has_no_shells_and_says_so():
    report = disorder_report(gas(200, ("K",) * 6 + ("Cl",) * 10), "K")
    assert report.coordination == ()
    assert report.symmetry == ()
    assert any("K-Cl: no coordination is counted" in caveat for caveat in report.caveats)


def test_a_structure_alone():
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    found = coordination(disorder_report([salt], "Na"))
    assert found["Na", ("Cl",)].numbers == (6,)
    assert found["Cl", ("Na",)].mean == 6


def test_nothing_but_the_ion():
    report = disorder_report(gas(3, ("K",) * 4), "K")
    assert report.caveats == ("no cation beside an anion, so no coordination is counted",)


def test_it_survives_json():
    report = disorder_report(antifluorite(n_frames=3), "K")
    assert DisorderReport.model_validate_json(report.model_dump_json()) == report
    assert len(report.model_dump_json()) < 40_000


def test_the_ion_must_be_there():
    with pytest.raises(InvalidInput, match=r"no Na among the species \(Cl, K, Ta\)"):
        disorder_report(antifluorite(n_frames=1), "Na")


def test_a_large_run_takes_seconds_at_most():
    trajectory = gas(1000, ("K",) * 128 + ("Ta",) * 64 + ("Cl",) * 320, np.eye(3) * 24.0)
    disorder_report(gas(1, ("K", "Ta", "Cl")), "K")  # compiled
    start = time.process_time()
    report = disorder_report(trajectory, "K")
    assert report.n_frames == 500
    assert time.process_time() - start < 2.0  # 0.25 s alone on a core
