"""What a host does is known: it rattles, flows, breaks, exchanges anions, librates or turns."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from synthetic_hosts import BOND_A, SPACING_A, noise, octahedra

from screening.errors import InvalidInput
from screening.transport.framework import framework_motion
from screening.transport.trajectory import Trajectory


def kinds(trajectory, mobile_ion="K"):
    return {(found.species, found.kind) for found in framework_motion(trajectory, mobile_ion)}


def brownian(rng, n_frames, n_atoms, *, rms_A):
    """Random walks that are `rms_A` from their start at the end."""
    steps_A = rng.standard_normal((n_frames, n_atoms, 3)) * rms_A / np.sqrt(3 * n_frames)
    return np.cumsum(steps_A, axis=0)


@pytest.mark.parametrize("rattle_A", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("n_frames", [10, 100, 400])
def test_rattling_host_stays(rattle_A, n_frames):
    rng = np.random.default_rng(1)
    assert framework_motion(octahedra(rng, n_frames, rattle_A=rattle_A), "K") == ()


def test_melting_host_diffuses():
    rng = np.random.default_rng(2)
    melt = octahedra(rng, centres_A=brownian(rng, 400, 8, rms_A=5.0))
    found = {motion.species: motion for motion in framework_motion(melt, "K")}
    assert {motion.kind for motion in found.values()} == {"diffuses"}
    assert found.keys() == {"Ta", "Cl"}
    assert "of 8 Ta have left their sites after 20 ps" in found["Ta"].message
    assert "sites end at 1" in found["Ta"].message
    assert "the mean squared displacement of Ta grows from" in found["Ta"].message


def test_slow_wide_vibration_is_no_melting():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        wide_A = 0.3 * noise(rng, 400, 8, 3, memory_ps=1.0)
        assert not kinds(octahedra(rng, centres_A=wide_A)) & {
            ("Ta", "diffuses"),
            ("Cl", "diffuses"),
        }


def test_a_new_modulation_of_the_host_is_no_melting():
    """All atoms shift by less than a site's radius and stay there: a change of phase."""
    rng = np.random.default_rng(3)
    shift_A = 0.6 * np.sign(rng.standard_normal((1, 8, 3))) / np.sqrt(3)
    after = (np.arange(400) > 150)[:, None, None]
    assert kinds(octahedra(rng, centres_A=after * shift_A)) == set()


def exchanging(n_pairs, n_frames=400, grid=(2, 2, 2)):
    """Anions of neighbouring octahedra trade places half-way through the run, one in every pair."""
    anions_A = np.zeros((n_frames, np.prod(grid), 6, 3))
    late = (np.arange(n_frames) > n_frames // 2)[:, None]
    hop_A = np.array([0.0, 0.0, SPACING_A])
    for pair in range(n_pairs):  # octahedra 2 p and 2 p + 1 are neighbours along z
        anions_A[:, 2 * pair, 0] += late * hop_A
        anions_A[:, 2 * pair + 1, 0] -= late * hop_A
    return anions_A


def test_exchanged_anions_are_lost_coordination():
    rng = np.random.default_rng(4)
    found = framework_motion(octahedra(rng, anions_A=exchanging(3)), "K")
    assert [(motion.species, motion.kind) for motion in found] == [
        ("Cl", "diffuses"),
        ("Ta", "loses coordination"),
    ]
    assert "6 of 48 Cl have left their sites" in found[0].message
    assert found[1].message.startswith(
        "6 of 48 bonds of Ta are broken after 20 ps, in the shells of 6 of 8 Ta: Ta–Cl from 2.4"
    )


def test_anions_that_leave_are_lost_coordination():
    rng = np.random.default_rng(5)
    away_A = np.zeros((400, 8, 6, 3))
    away_A[:, :, 0, 0] = np.clip(np.linspace(-1, 3, 400), 0, 1.0)[:, None] * 2.0
    found = framework_motion(octahedra(rng, anions_A=away_A), "K")
    assert ("Ta", "loses coordination") in {(motion.species, motion.kind) for motion in found}
    assert "Ta–Cl from 2.4 to 4.4 Å" in found[-1].message


def test_one_defect_in_a_large_cell_is_no_melt():
    rng = np.random.default_rng(6)
    large, small = (3, 3, 4), (2, 2, 2)
    assert kinds(octahedra(rng, 200, grid=large, anions_A=exchanging(1, 200, large))) == set()
    assert kinds(octahedra(rng, 200, grid=small, anions_A=exchanging(1, 200, small))) == {
        ("Ta", "loses coordination")
    }


def test_jumping_rotors_turn():
    rng = np.random.default_rng(7)
    quarter_turns = np.zeros((400, 8, 3))
    for unit in range(8):
        quarter_turns[rng.integers(100, 300) :, unit, rng.integers(3)] = np.pi / 2
    found = framework_motion(octahedra(rng, rotations=quarter_turns), "K")
    assert [(motion.species, motion.kind) for motion in found] == [("Cl", "turns")]
    # four of the six anions of each unit are off the axis
    assert "32 of 48 Cl have moved about the neighbours" in found[0].message


def test_spinning_rotors_turn():
    """So fast that all mean positions are those of the centres."""
    rng = np.random.default_rng(8)
    paths = np.cumsum(0.6 * rng.standard_normal((400, 8, 3)), axis=0)
    assert kinds(octahedra(rng, rotations=paths)) == {("Cl", "turns")}


def test_librating_units_stay():
    rng = np.random.default_rng(9)
    tilts = np.radians(10) * noise(rng, 400, 8, 3, memory_ps=0.3)
    assert kinds(octahedra(rng, rotations=tilts)) == set()


def test_spinning_hydroxide_is_hydrogen_that_turns():
    rng = np.random.default_rng(10)
    sites_A = 4.0 * np.argwhere(np.ones((2, 2, 2)))
    axes = rng.standard_normal((400, 8, 3))
    hydrogen_A = sites_A + 0.97 * axes / np.linalg.norm(axes, axis=2, keepdims=True)
    oxygen_A = np.broadcast_to(sites_A, (400, 8, 3))
    positions_A = np.concatenate([oxygen_A + 2.0, oxygen_A, hydrogen_A], axis=1)
    positions_A = positions_A + 0.05 * noise(rng, *positions_A.shape, memory_ps=0.1)
    run = Trajectory(
        positions_A.astype(np.float32),
        8.0 * np.eye(3),
        ("Li",) * 8 + ("O",) * 8 + ("H",) * 8,
        1.0,
        50,
        550.0,
    )
    assert kinds(run, "Li") == {("H", "turns")}


def test_mobile_ions_may_do_what_they_like():
    rng = np.random.default_rng(11)
    run = octahedra(rng)
    positions_A = run.positions_A.copy()
    positions_A[:, :16] += brownian(rng, 400, 16, rms_A=20.0)
    assert framework_motion(replace(run, positions_A=positions_A), "K") == ()


@pytest.mark.parametrize("n_frames", [60, 99])
def test_short_runs_say_only_that_shells_break(n_frames):
    rng = np.random.default_rng(12)
    melt_A = brownian(rng, n_frames, 8, rms_A=6.0)
    run = octahedra(rng, n_frames, centres_A=melt_A, anions_A=exchanging(3, n_frames))
    assert kinds(run) == {("Ta", "loses coordination")}


@settings(max_examples=15, deadline=None)
@given(
    flow_A=st.tuples(*[st.floats(-30, 30)] * 3),
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    seed=st.integers(0, 99),
)
def test_flow_orientation_and_order_of_atoms_do_not_matter(flow_A, turn, seed):
    rng = np.random.default_rng(seed)
    run = octahedra(
        rng, 150, centres_A=brownian(rng, 150, 8, rms_A=4.0), anions_A=exchanging(1, 150)
    )
    rotation = Rotation.from_rotvec(turn).as_matrix()
    order = rng.permutation(len(run.species))
    flow = np.linspace(0, 1, 150)[:, None, None] * np.array(flow_A)
    changed = replace(
        run,
        positions_A=((run.positions_A + flow)[:, order] @ rotation.T).astype(np.float32),
        cell_A=run.cell_A @ rotation.T,
        species=tuple(run.species[atom] for atom in order),
    )
    assert kinds(changed) == kinds(run)


def test_bonds_cross_the_cell_boundary():
    """One octahedron in a cell so small that anions bind to it from all sides."""
    rng = np.random.default_rng(13)
    run = octahedra(rng, 200, grid=(1, 1, 1), rattle_A=0.1)
    wrapped = run.positions_A % np.float32(SPACING_A)
    run = replace(run, positions_A=run.positions_A - run.positions_A[0] + wrapped[0])
    assert framework_motion(run, "K") == ()
    away = run.positions_A.copy()
    away[100:, 3:5] += np.array([0.0, 0.0, BOND_A + 1.0], dtype=np.float32)
    assert ("Ta", "loses coordination") in kinds(replace(run, positions_A=away))


def test_atoms_without_bonds_diffuse():
    """A host of a noble gas, or of an element without a radius, has only its sites."""
    rng = np.random.default_rng(14)
    run = octahedra(rng, centres_A=brownian(rng, 400, 8, rms_A=6.0))
    renamed = {"K": "K", "Ta": "Ar", "Cl": "D"}
    run = replace(run, species=tuple(renamed[symbol] for symbol in run.species))
    assert kinds(run) == {("Ar", "diffuses"), ("D", "diffuses")}


def test_the_host_must_be_there():
    run = octahedra(np.random.default_rng(15), 20)
    with pytest.raises(InvalidInput, match="no Na among the trajectory's species"):
        framework_motion(run, "Na")
    with pytest.raises(InvalidInput, match="drift needs a framework"):
        framework_motion(replace(run, species=("K",) * len(run.species)), "K")


def test_nothing_is_said_of_less_than_ten_frames():
    assert framework_motion(octahedra(np.random.default_rng(16), 9), "K") == ()
