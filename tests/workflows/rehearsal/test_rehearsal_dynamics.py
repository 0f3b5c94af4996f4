"""Molecular dynamics of the stand-in: laws, ensembles, and runs in pieces."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.io.vasp.inputs import Poscar
from rehearsal_runs import MD, NACL, NOSE, NVE, done, go_on, ktacl6, prepare, shaken, vasprun

from screening.units import BOLTZMANN_EV_PER_K
from workflows.rehearsal.inputs import read_inputs
from workflows.rehearsal.program import run
from workflows.rehearsal.settings import read_settings
from workflows.rehearsal.thermostats import EV_PER_U_A2_PER_FS2, Atoms, inertia_eV_fs2


def series(run_, name):
    return np.array([step[name] for step in run_.ionic_steps])


def temperatures_K(run_):
    n_freedoms = 3 * len(run_.final_structure) - 3
    return 2 * series(run_, "kinetic") / (n_freedoms * BOLTZMANN_EV_PER_K)


def positions(run_):
    return np.array([structure.frac_coords for structure in run_.structures])


def farthest_A(first, second):
    """Largest distance between frames of two runs."""
    moves = positions(first) - positions(second)
    moves -= np.round(moves)
    return np.abs(moves @ first.final_structure.lattice.matrix).max()


@pytest.mark.parametrize("ensemble", [NVE, NOSE], ids=["NVE", "Nosé"])
def test_the_conserved_energy_is_conserved_with_the_square_of_the_step(tmp_path, ensemble):
    """Verlet's error: half the step, a quarter of the fluctuation; and no drift."""
    fluctuations_eV = []
    for step_fs in (2, 1):
        tags = ensemble | {"POTIM": step_fs, "NSW": 160 // step_fs, "TEBEG": 300}
        run_ = done(tmp_path / str(step_fs), shaken(NACL), **tags)
        total_eV = series(run_, "total")
        fluctuations_eV.append(total_eV.std())
        assert abs(total_eV[-1] - total_eV[0]) < 0.01 * series(run_, "kinetic").mean()
    assert 2.5 < fluctuations_eV[0] / fluctuations_eV[1] < 6


def test_what_is_exchanged_is_what_the_total_adds_up(tmp_path):
    run_ = done(tmp_path, shaken(NACL), **NOSE | {"NSW": 10})
    parts = ("e_fr_energy", "kinetic", "nosepot", "nosekinetic")
    assert_allclose(sum(series(run_, part) for part in parts), series(run_, "total"), atol=1e-7)
    assert series(run_, "nosekinetic")[-1] > 0


def test_the_thermostat_brings_the_mean_temperature(tmp_path):
    run_ = done(tmp_path, shaken(NACL, 0.3), **NOSE | {"NSW": 500})
    assert temperatures_K(run_)[100:].mean() == pytest.approx(600, rel=0.06, abs=0)


@pytest.mark.parametrize(
    "tags",
    [
        MD | {"MDALGO": 3, "LANGEVIN_GAMMA": "20 20"},
        MD | {"MDALGO": 1, "ANDERSEN_PROB": 0.1},
        MD | {"SMASS": -1, "NBLOCK": 2},
        MD | {"SMASS": 0.5},
    ],
    ids=["Langevin", "Andersen", "scaled", "Nosé by SMASS"],
)
def test_every_thermostat_does(tmp_path, tags):
    run_ = done(tmp_path, shaken(NACL, 0.3), **tags | {"NSW": 250})
    assert temperatures_K(run_)[50:].mean() == pytest.approx(600, rel=0.12, abs=0)


def test_without_collisions_andersen_is_microcanonical(tmp_path):
    """What atomate2 writes for its NVE ensemble."""
    plain = done(tmp_path / "plain", shaken(NACL), **NVE)
    andersen = MD | {"MDALGO": 1, "ANDERSEN_PROB": 0.0}
    assert_array_equal(
        positions(done(tmp_path / "andersen", shaken(NACL), **andersen)), positions(plain)
    )


def test_a_ramp_is_linear(tmp_path):
    tags = MD | {"SMASS": -1, "TEBEG": 100, "TEEND": 500, "NSW": 40}
    run_ = done(tmp_path, shaken(NACL, 0.0), **tags)
    assert_allclose(temperatures_K(run_)[1:], 100 + 10 * np.arange(2, 41), rtol=1e-5)


def test_velocities_begin_at_tebeg_with_the_centre_of_mass_at_rest(tmp_path):
    run_ = done(tmp_path, NACL, **NVE | {"TEBEG": 450})
    assert temperatures_K(run_)[0] == pytest.approx(450, rel=1e-6)
    masses_u = np.repeat([header.mass_u for header in read_inputs(tmp_path).headers], 4)
    velocities = np.array(Poscar.from_file(tmp_path / "CONTCAR").velocities)
    assert_allclose((masses_u[:, None] * velocities).sum(axis=0), 0, atol=1e-5)


def test_a_seed_gives_its_own_velocities_again(tmp_path):
    runs = [
        done(tmp_path / str(i), NACL, **NVE | {"RANDOM_SEED": f"{seed} 0 0"})
        for i, seed in enumerate((7, 7, 8))
    ]
    assert farthest_A(runs[0], runs[1]) == 0
    assert farthest_A(runs[0], runs[2]) > 1e-3


def test_velocities_of_the_poscar_are_used(tmp_path):
    """A pair without forces on it, to begin with: it moves on as told."""
    prepare(tmp_path, NACL, **NVE | {"NSW": 1, "POTIM": 0.5})
    velocities = np.zeros((8, 3))
    velocities[0], velocities[4] = (1e-3, 0, 0), (-1e-3, 0, 0)
    Poscar(NACL, velocities=velocities.tolist()).write_file(tmp_path / "POSCAR")
    assert run(tmp_path) == 0
    moved = Poscar.from_file(tmp_path / "CONTCAR").structure.frac_coords - NACL.frac_coords
    moved -= np.round(moved)
    assert_allclose(moved * 5.69, 0.5 * velocities, atol=2e-6)


def test_the_first_frame_is_the_poscar_and_the_contcar_is_the_next(tmp_path):
    structure = shaken(NACL)
    run_ = done(tmp_path / "one", structure, **NVE | {"NSW": 4})
    assert_allclose(positions(run_)[0], structure.frac_coords % 1, atol=1e-8)
    done(tmp_path / "two", structure, **NVE | {"NSW": 3})
    after_three = Poscar.from_file(tmp_path / "two" / "CONTCAR").structure.frac_coords
    assert_allclose(positions(run_)[3], after_three, atol=1e-8)


@pytest.mark.parametrize(
    ("tags", "n_steps"),
    [
        (NOSE, 500),
        (NVE, 100),
        (MD | {"MDALGO": 3, "LANGEVIN_GAMMA": "10 10 10"}, 50),
        (MD | {"MDALGO": 1, "ANDERSEN_PROB": 0.2}, 50),
    ],
    ids=["Nosé", "NVE", "Langevin", "Andersen"],
)
def test_a_run_in_five_segments_is_the_unbroken_run(tmp_path, tags, n_steps):
    """To the last digit: what is written is what goes on."""
    structure = shaken(ktacl6(), 0.05)
    whole = done(tmp_path / "whole", structure, **tags | {"NSW": n_steps})
    parts = [done(tmp_path / "parts", structure, **tags | {"NSW": n_steps // 5})]
    parts += [go_on(tmp_path / "parts") for _ in range(4)]
    frames = np.concatenate([positions(part) for part in parts])
    assert_array_equal(frames, positions(whole))
    conserved_eV = np.concatenate([series(part, "total") for part in parts])
    assert_array_equal(conserved_eV, series(whole, "total"))
    assert (tmp_path / "parts" / "CONTCAR").read_bytes() == (
        tmp_path / "whole" / "CONTCAR"
    ).read_bytes()


def test_a_run_goes_on_from_what_pymatgen_makes_of_its_contcar(tmp_path):
    """Which rounds velocities to sixteen decimals; atomate2 hands segments on that way."""
    structure = shaken(NACL)
    whole = done(tmp_path / "whole", structure, **NOSE | {"NSW": 40})
    done(tmp_path / "parts", structure, **NOSE | {"NSW": 20})
    Poscar.from_file(tmp_path / "parts" / "CONTCAR").write_file(tmp_path / "parts" / "POSCAR")
    assert run(tmp_path / "parts") == 0
    rest = positions(vasprun(tmp_path / "parts"))
    assert_allclose(rest, positions(whole)[20:], atol=1e-7)


@pytest.mark.slow
def test_a_large_run_in_five_segments_is_the_unbroken_run(tmp_path):
    structure = shaken(ktacl6() * (4, 2, 2), 0.05)
    structure = structure.get_sorted_structure(lambda site: site.specie.X)
    assert len(structure) == 128
    whole = done(tmp_path / "whole", structure, **NOSE | {"NSW": 500})
    parts = [done(tmp_path / "parts", structure, **NOSE | {"NSW": 100})]
    parts += [go_on(tmp_path / "parts") for _ in range(4)]
    frames = np.concatenate([positions(part) for part in parts])
    assert_array_equal(frames, positions(whole))


def test_the_thermostat_goes_on_where_the_temperature_changes(tmp_path):
    """Heating, then production: rate and velocities of the thermostat carry over."""
    heated = done(tmp_path, shaken(NACL), **NOSE | {"TEBEG": 100, "TEEND": 600, "NSW": 30})
    produced = go_on(tmp_path, **NOSE | {"NSW": 3})
    kinetic_eV = [*series(heated, "kinetic")[-2:], *series(produced, "kinetic")[:2]]
    steps = np.diff(kinetic_eV)
    assert abs(steps[1] - steps[0]) < 0.5 * abs(steps).max() + 0.02
    before = np.sqrt(series(heated, "nosekinetic")[-1] / 600)
    after = np.sqrt(series(produced, "nosekinetic")[0] / 600)
    assert before == pytest.approx(after, rel=0.2, abs=0)


def test_a_stopcar_ends_a_run_that_then_goes_on_as_if_nothing_had_been(tmp_path):
    structure = shaken(NACL)
    whole = done(tmp_path / "whole", structure, **NOSE | {"NSW": 6})
    folder = prepare(tmp_path / "parts", structure, **NOSE | {"NSW": 6})
    (folder / "STOPCAR").write_text("LSTOP = .TRUE.\n")
    assert run(folder) == 0
    stopped = vasprun(folder)
    assert len(stopped.ionic_steps) == 1
    assert not stopped.converged_ionic
    assert not (folder / "STOPCAR").exists()
    assert "soft stop encountered" in (folder / "OUTCAR").read_text()
    rest = go_on(folder, **NOSE | {"NSW": 5})
    assert_array_equal(positions(whole)[1:], positions(rest))


def test_what_selective_dynamics_holds_stays(tmp_path):
    structure = shaken(NACL)
    prepare(tmp_path, structure, **NOSE | {"NSW": 10})
    free = np.ones((8, 3), dtype=bool)
    free[0] = False
    free[1, 2] = False
    Poscar(structure, selective_dynamics=free).write_file(tmp_path / "POSCAR")
    assert run(tmp_path) == 0
    moves = positions(vasprun(tmp_path)) - structure.frac_coords
    moves -= np.round(moves)
    assert_allclose(moves[:, ~free], 0, atol=1e-8)
    assert (np.abs(moves[-1, free]) > 1e-6).all()


def test_nblock_thins_the_xdatcar_alone(tmp_path):
    run_ = done(tmp_path, NACL, **NVE | {"NSW": 7, "NBLOCK": 3})
    assert len(run_.ionic_steps) == 7
    lines = (tmp_path / "XDATCAR").read_text().splitlines()
    titles = [line for line in lines if line.startswith("Direct")]
    assert [int(title.split("=")[1]) for title in titles] == [1, 4, 7]


@pytest.mark.parametrize(("smass", "period_steps"), [(0, 40), (0.5, None)])
def test_the_inertia_of_the_thermostat_is_vasps(tmp_path, smass, period_steps):
    folder = prepare(tmp_path, NACL, **NOSE | {"SMASS": smass, "TEBEG": 300, "TEEND": 600})
    inputs = read_inputs(folder)
    atoms = Atoms(np.ones((8, 1)), inputs.poscar.cell_A, None)
    inertia = inertia_eV_fs2(atoms, read_settings(inputs))
    if period_steps is None:
        assert inertia == pytest.approx(smass * 5.69**2 * EV_PER_U_A2_PER_FS2, rel=1e-6)
        return
    frequency_per_fs = np.sqrt(2 * 21 * BOLTZMANN_EV_PER_K * 600 / inertia)
    assert 2 * np.pi / frequency_per_fs == pytest.approx(period_steps * 2, rel=1e-9)
