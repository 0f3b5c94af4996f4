"""Relaxations of the stand-in: what ISIF lets move, where they end, and the sign of stress."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import Outcar
from rehearsal_runs import (
    NACL,
    NACL_PRIMITIVE,
    done,
    go_on,
    ktacl6,
    prepare,
    shaken,
    vasprun,
    write_incar,
)

from screening.potential.calculator import PotentialCalculator
from screening.potential.evaluation import Potential
from workflows.engines.chgnet import weights_file
from workflows.rehearsal.program import run

RELAX = {"IBRION": 2, "ISIF": 3, "NSW": 80, "EDIFFG": -0.005}
EV_PER_A3_IN_KB = 1602.1766


def strained(structure, strain):
    """A cell deformed with its atoms."""
    lattice = Lattice(structure.lattice.matrix @ (np.eye(3) + strain))
    return Structure(lattice, structure.species, structure.frac_coords)


ODD_STRAIN = np.array([[0.02, 0.015, 0.0], [0.015, -0.01, 0.0], [0.0, 0.0, 0.03]])
DISTORTED = strained(shaken(NACL, 0.1), ODD_STRAIN)


@pytest.mark.parametrize(
    ("isif", "positions_move", "shape_changes", "volume_changes"),
    [
        (0, True, False, False),
        (1, True, False, False),
        (2, True, False, False),
        (3, True, True, True),
        (4, True, True, False),
        (5, False, True, False),
        (6, False, True, True),
        (7, False, False, True),
        (8, True, False, True),
    ],
)
def test_isif_says_what_moves(tmp_path, isif, positions_move, shape_changes, volume_changes):
    run_ = done(tmp_path, DISTORTED, **RELAX | {"ISIF": isif})
    assert run_.converged_ionic
    before, after = DISTORTED.lattice, run_.final_structure.lattice
    moved = run_.final_structure.frac_coords - DISTORTED.frac_coords
    moved -= np.round(moved)
    assert (np.abs(moved).max() > 1e-3) == positions_move
    assert (abs(after.volume / before.volume - 1) > 1e-3) == volume_changes
    shapes = [lattice.matrix / lattice.volume ** (1 / 3) for lattice in (before, after)]
    assert (np.abs(shapes[1] - shapes[0]).max() > 1e-3) == shape_changes
    if not volume_changes:
        assert after.volume == pytest.approx(before.volume, rel=1e-6)


def test_what_may_move_is_relaxed(tmp_path):
    run_ = done(tmp_path, DISTORTED, **RELAX)
    last = run_.ionic_steps[-1]
    assert np.linalg.norm(last["forces"], axis=1).max() < 0.005
    energies_eV = [step["e_0_energy"] for step in run_.ionic_steps]
    assert energies_eV[-1] < energies_eV[0]
    assert "reached required accuracy" in (tmp_path / "OUTCAR").read_text()
    perfect = done(tmp_path / "perfect", NACL, **RELAX)
    assert run_.final_energy == pytest.approx(perfect.final_energy, abs=1e-3)
    assert run_.final_structure.volume == pytest.approx(perfect.final_structure.volume, rel=3e-3)


def test_a_real_candidate_relaxes_from_far_away_within_the_steps_of_the_materials_project(tmp_path):
    structure = strained(shaken(ktacl6(), 0.3), 0.05 * np.eye(3))
    run_ = done(tmp_path, structure, **RELAX | {"NSW": 99, "EDIFFG": -0.02})
    assert run_.converged_ionic
    assert len(run_.ionic_steps) < 60


@pytest.mark.parametrize(("strain", "sign"), [(-0.02, 1), (0.05, -1)])
def test_a_compressed_cell_has_positive_stress_and_expands(tmp_path, strain, sign):
    structure = strained(NACL_PRIMITIVE, strain * np.eye(3))
    run_ = done(tmp_path, structure, **RELAX)
    first_kB = np.trace(run_.ionic_steps[0]["stress"]) / 3
    assert np.sign(first_kB) == sign
    assert np.sign(run_.final_structure.volume - structure.volume) == sign
    assert f"external pressure = {first_kB:12.2f} kB" in (tmp_path / "OUTCAR").read_text()


def test_stress_is_the_derivative_of_the_energy_by_the_volume(tmp_path):
    """Independently of the calculator: p = -dE/dV."""
    volumes_A3, energies_eV = [], []
    for strain in (-1e-3, 1e-3):
        run_ = done(tmp_path / str(strain), strained(NACL, (strain - 0.02) * np.eye(3)))
        volumes_A3.append(run_.final_structure.volume)
        energies_eV.append(run_.final_energy)
    pressure_kB = -np.diff(energies_eV) / np.diff(volumes_A3) * EV_PER_A3_IN_KB
    here = done(tmp_path / "here", strained(NACL, -0.02 * np.eye(3)), ISIF=2)
    stress_kB = np.trace(here.ionic_steps[0]["stress"]) / 3
    assert_allclose(stress_kB, pressure_kB, rtol=5e-3)


def test_forces_are_the_calculators(tmp_path):
    structure = shaken(ktacl6(), 0.2)
    run_ = done(tmp_path, structure)
    atoms = structure.to_ase_atoms()
    atoms.calc = PotentialCalculator(Potential(weights_file("0.3.0")))
    assert_allclose(run_.ionic_steps[0]["forces"], atoms.get_forces(), atol=2e-5)
    stress_kB = -atoms.get_stress(voigt=False) * EV_PER_A3_IN_KB
    assert_allclose(run_.ionic_steps[0]["stress"], stress_kB, atol=1e-3)


def test_pressure_shrinks_the_cell_to_where_its_stress_is_the_pressure(tmp_path):
    free = done(tmp_path / "free", NACL_PRIMITIVE, **RELAX | {"EDIFFG": -0.0005})
    pressed = done(
        tmp_path / "pressed", NACL_PRIMITIVE, **RELAX | {"EDIFFG": -0.0005, "PSTRESS": 20}
    )
    assert pressed.final_structure.volume < 0.97 * free.final_structure.volume
    assert_allclose(pressed.ionic_steps[-1]["stress"], 20 * np.eye(3), atol=0.2)
    assert_allclose(free.ionic_steps[-1]["stress"], np.zeros((3, 3)), atol=0.2)


def test_what_selective_dynamics_holds_stays_along_its_lattice_vector(tmp_path):
    structure = shaken(ktacl6(), 0.2)  # whose vectors are not orthogonal
    prepare(tmp_path, structure, **RELAX | {"ISIF": 2, "EDIFFG": -0.05})
    free = np.ones((8, 3), dtype=bool)
    free[0] = False
    free[3] = True, False, True
    Poscar(structure, selective_dynamics=free).write_file(tmp_path / "POSCAR")
    assert run(tmp_path) == 0
    run_ = vasprun(tmp_path)
    assert run_.converged_ionic
    contcar = Poscar.from_file(tmp_path / "CONTCAR")
    assert_array_equal(contcar.selective_dynamics, free)
    moved = contcar.structure.frac_coords - structure.frac_coords
    moved -= np.round(moved)
    assert_allclose(moved[~free], 0, atol=1e-14)
    assert (np.abs(moved[free]) > 1e-6).all()
    assert_array_equal(run_.final_structure.site_properties["selective_dynamics"], free)


def gains_eV(run_):
    """What each step and the nine before it have gained: as long as VASP's line minimisations."""
    energies_eV = np.array([step["e_0_energy"] for step in run_.ionic_steps])
    return np.abs(energies_eV[10:] - energies_eV[:-10])


def test_a_positive_ediffg_is_a_change_of_energy(tmp_path):
    run_ = done(tmp_path, DISTORTED, **RELAX | {"EDIFFG": 1e-3})
    assert gains_eV(run_)[-1] < 1e-3
    assert (gains_eV(run_)[:-1] >= 1e-3).all()


def test_its_default_is_ten_times_ediff(tmp_path):
    run_ = done(tmp_path, DISTORTED, **RELAX | {"EDIFFG": None, "EDIFF": 1e-4})
    assert run_.parameters["EDIFFG"] == pytest.approx(1e-3, abs=0)
    assert gains_eV(run_)[-1] < 1e-3 <= gains_eV(run_)[-2]


def test_a_run_that_uses_up_its_steps_leaves_where_to_go_on_from(tmp_path):
    run_ = done(tmp_path, DISTORTED, **RELAX | {"NSW": 2})
    assert len(run_.ionic_steps) == 2
    assert not run_.converged_ionic
    last = run_.ionic_steps[-1]["structure"].frac_coords
    following = Poscar.from_file(tmp_path / "CONTCAR").structure
    assert np.abs(following.frac_coords - last).max() > 1e-4
    assert_allclose(run_.final_structure.frac_coords, following.frac_coords % 1, atol=1e-8)
    again = go_on(tmp_path, **RELAX)
    assert again.converged_ionic
    assert_allclose(again.structures[0].frac_coords, following.frac_coords % 1, atol=1e-8)


def test_all_ways_downhill_end_at_the_same_place(tmp_path):
    energies_eV = [
        done(
            tmp_path / str(ibrion), DISTORTED, **RELAX | {"IBRION": ibrion, "EDIFFG": -2e-3}
        ).final_energy
        for ibrion in (1, 2, 3)
    ]
    assert np.ptp(energies_eV) < 5e-5


def test_a_stopcar_ends_a_relaxation_too(tmp_path):
    prepare(tmp_path, DISTORTED, **RELAX)
    (tmp_path / "STOPCAR").write_text("LABORT = .TRUE.\n")
    assert run(tmp_path) == 0
    assert len(vasprun(tmp_path).ionic_steps) == 1
    assert Outcar(tmp_path / "OUTCAR").is_stopped


@pytest.mark.parametrize("tags", [{"NSW": 0}, {"NSW": 5, "IBRION": -1}, {}])
def test_a_static_run_moves_nothing(tmp_path, tags):
    run_ = done(tmp_path, DISTORTED, **tags)
    assert len(run_.ionic_steps) == 1
    assert run_.converged
    assert_array_equal(
        Poscar.from_file(tmp_path / "CONTCAR").structure.frac_coords,
        Poscar.from_file(tmp_path / "POSCAR").structure.frac_coords,
    )


def test_an_edited_incar_counts_the_next_time(tmp_path):
    done(tmp_path, DISTORTED, **RELAX | {"NSW": 2})
    write_incar(tmp_path, NSW=0)
    assert run(tmp_path) == 0
    assert len(vasprun(tmp_path).ionic_steps) == 1
