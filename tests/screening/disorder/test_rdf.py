"""Radial distributions against brute force, pymatgen, the ideal gas and known crystals."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from local_structures import SKEWED_A, antifluorite, gas, trajectory_at
from pymatgen.core import Lattice, Structure

from screening.disorder.documents import FirstShell
from screening.disorder.frames import Frames
from screening.disorder.rdf import BIN_WIDTH_A, bin_centres_A, first_shell, partial_rdfs, reach_of
from screening.errors import InvalidInput

SPECIES = ("K",) * 3 + ("Cl",) * 6 + ("Ta",) * 2


def by_pair(frames, reach_A=None):
    return {(rdf.centre, rdf.neighbour): rdf for rdf in partial_rdfs(frames, reach_A)}


def neighbour_distances_A(trajectory, centre, neighbour, reach_A):
    """By pymatgen, all periodic images, over all frames."""
    found = []
    for positions_A in trajectory.positions_A:
        structure = Structure(
            Lattice(trajectory.cell_A),
            trajectory.species,
            positions_A.astype(float),
            coords_are_cartesian=True,
        )
        i, j, _, distances_A = structure.get_neighbor_list(reach_A)
        symbols = np.array(trajectory.species)
        found.append(distances_A[(symbols[i] == centre) & (symbols[j] == neighbour)])
    return np.concatenate(found)


@pytest.mark.parametrize("reach_A", [3.0, 6.0, 11.0])
def test_running_numbers_are_pymatgens_neighbours(reach_A):
    """Within half the width, beyond it, and beyond a whole cell."""
    trajectory = gas(4, SPECIES)
    edges_A = bin_centres_A(reach_A) + BIN_WIDTH_A / 2
    for (centre, neighbour), rdf in by_pair(Frames.of(trajectory), reach_A).items():
        distances_A = neighbour_distances_A(trajectory, centre, neighbour, reach_A)
        n = trajectory.species.count(centre) * len(trajectory.positions_A)
        expected = np.searchsorted(np.sort(distances_A), edges_A) / n
        # single precision may move a pair at an edge into the next bin
        near = np.searchsorted(np.sort(distances_A), edges_A + 1e-5) / n - expected
        difference = np.array(rdf.running_number) - expected
        assert (np.abs(difference) <= near + 1e-4 * expected + 1e-12).all()
        assert np.abs(difference).mean() < 1e-3 * max(expected[-1], 1)


def test_an_ideal_gas_has_no_structure():
    """g = 1 of unlike pairs and 1 - 1/N of like ones, within Poisson errors."""
    trajectory = gas(500, ("K",) * 4 + ("Cl",) * 12)
    frames = Frames.of(trajectory)
    half_A = frames.widths_A.min() / 2
    r_A = bin_centres_A(half_A)
    for (centre, neighbour), rdf in by_pair(frames, half_A).items():
        weights = r_A**2
        mean = np.average(rdf.g, weights=weights)
        like = centre == neighbour
        expected = 1 - 1 / rdf.n_neighbours if like else 1.0
        n_pairs = 500 * rdf.n_centres * rdf.n_neighbours / (2 if like else 1)
        share = 4 / 3 * np.pi * half_A**3 / frames.volume_A3
        assert mean == pytest.approx(expected, rel=5 / np.sqrt(n_pairs * share), abs=0)
        assert rdf.shell is None
        assert "no peak" in rdf.no_shell


@given(seed=st.integers(0, 1000), shift_A=st.floats(-50, 50))
@settings(max_examples=10, deadline=None)
def test_where_the_origin_is_and_the_order_of_atoms_do_not_matter(seed, shift_A):
    trajectory = gas(2, SPECIES, seed=seed)
    order = np.random.default_rng(seed).permutation(len(SPECIES))
    moved = trajectory_at(
        trajectory.positions_A[:, order] + np.float32(shift_A),
        SKEWED_A,
        [SPECIES[i] for i in order],
    )
    ours, theirs = by_pair(Frames.of(trajectory)), by_pair(Frames.of(moved))
    assert ours.keys() == theirs.keys()
    for pair, rdf in ours.items():
        difference = np.subtract(rdf.running_number, theirs[pair].running_number)
        # positions are single precision: a pair at an edge may change its bin, and no more
        assert np.count_nonzero(np.abs(difference) > 1e-3) <= 2


def test_a_supercell_is_the_same_crystal():
    """Images stand for the atoms that a larger cell would hold."""
    small = antifluorite(n_frames=1, rattle_A=0.05)
    shifts_A = [np.array([i, j, k]) @ small.cell_A for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    large = trajectory_at(
        np.concatenate([small.positions_A + shift_A for shift_A in shifts_A], axis=1),
        2 * small.cell_A,
        small.species * 8,
    )
    ours, theirs = by_pair(Frames.of(small), 8.0), by_pair(Frames.of(large), 8.0)
    for pair, rdf in ours.items():
        difference = np.subtract(rdf.running_number, theirs[pair].running_number)
        assert np.count_nonzero(np.abs(difference) > 1e-3) <= 2


def test_the_first_shell_of_a_crystal():
    rdf = by_pair(Frames.of(antifluorite()))["Ta", "Cl"]
    assert rdf.shell.peak_A == pytest.approx(2.35, abs=0.1)
    assert 2.8 < rdf.shell.minimum_A < 4.5  # the next Cl are 5.5 Å away
    assert rdf.shell.g_at_minimum < 1e-3
    assert rdf.shell.coordination_number == pytest.approx(6, abs=1e-9)
    potassium = by_pair(Frames.of(antifluorite()))["K", "Cl"]
    assert potassium.shell.coordination_number == pytest.approx(12, abs=0.01)


def test_g_and_n_belong_together():
    """n is the integral of g, and n at large r tends to the density."""
    frames = Frames.of(antifluorite())
    edges_A = BIN_WIDTH_A * np.arange(len(bin_centres_A(reach_of(frames))) + 1)
    volumes_A3 = 4 / 3 * np.pi * np.diff(edges_A**3)
    for rdf in partial_rdfs(frames):
        n = np.cumsum(np.array(rdf.g) * volumes_A3) * rdf.n_neighbours / frames.volume_A3
        np.testing.assert_allclose(rdf.running_number, n, rtol=1e-3, atol=1e-3)


def shell_of(g, expected=1e6):
    r_A = bin_centres_A(len(g) * BIN_WIDTH_A)
    return first_shell(g, np.cumsum(g * r_A**2), np.full(len(g), expected))


def peaks_of(*peaks):
    """g(r) up to 10 Å: Gaussians (centre, width, height) on a density of 1 beyond 6 Å."""
    r_A = bin_centres_A(10.0)
    g = 0.5 * (1 + np.tanh((r_A - 6.0) / 0.5))
    return g + sum(h * np.exp(-((r_A - c) ** 2) / (2 * w**2)) for c, w, h in peaks)


def test_the_minimum_is_where_the_curve_has_it():
    shell = shell_of(peaks_of((2.4, 0.15, 10), (4.4, 0.3, 3)))
    assert isinstance(shell, FirstShell)
    assert shell.peak_A == pytest.approx(2.4, abs=0.1)
    assert 2.9 < shell.minimum_A < 3.6


def test_bonds_of_slightly_different_length_are_one_shell():
    shell = shell_of(peaks_of((2.3, 0.03, 20), (2.55, 0.03, 10), (5.0, 0.3, 3)))
    assert 2.7 < shell.minimum_A < 4.5


def test_few_pairs_show_no_shell():
    """A bump is none where five Poisson errors hide it."""
    bump = peaks_of((3.0, 0.3, 0.6)) + np.linspace(0.9, 0, 200)
    assert isinstance(shell_of(bump, expected=1e4), FirstShell)
    assert "no peak" in shell_of(bump, expected=0.5)


def test_a_curve_cut_before_its_minimum_says_so():
    r_A = bin_centres_A(8.0)
    assert "no minimum behind its first peak up to 8.0" in shell_of(
        5 * np.exp(-((r_A - 7) ** 2) / 2)
    )


@pytest.mark.parametrize(("width_A", "reach_A"), [(6.0, 8.0), (18.0, 9.0), (40.0, 10.0)])
def test_the_reach_follows_the_cell(width_A, reach_A):
    trajectory = gas(1, SPECIES, np.eye(3) * width_A)
    assert reach_of(Frames.of(trajectory)) == pytest.approx(reach_A, rel=1e-12)


def test_a_reach_below_a_bin_is_refused():
    with pytest.raises(InvalidInput, match="below one bin"):
        partial_rdfs(Frames.of(gas(1, SPECIES)), 0.01)
