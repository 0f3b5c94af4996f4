"""The symmetry measure of MX6 against its definition, known shapes and pymatgen's ChemEnv."""

from itertools import permutations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from local_structures import OCTAHEDRON, turned
from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import (
    LocalGeometryFinder,
)
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from screening.disorder.symmetry_measure import octahedral_symmetry_measure
from screening.errors import InvalidInput

DISTORTED = st.tuples(st.integers(0, 2**32 - 1), st.floats(0.0, 3.0))


def random_shape(seed, scatter):
    """Between a regular octahedron and no shape at all."""
    rng = np.random.default_rng(seed)
    return turned(2.4 * OCTAHEDRON, seed) + rng.normal(scale=scatter, size=(6, 3))


def by_all_permutations(anions):
    """The definition: every assignment of the corners, the best rotation by Kabsch's theorem."""
    points = np.concatenate([anions, np.zeros((1, 3))])
    points -= points.mean(axis=0)
    best = 0.0
    for order in permutations(range(6)):
        h = points[list(order)].T @ OCTAHEDRON
        singular = np.linalg.svd(h, compute_uv=False)
        singular[2] *= np.sign(np.linalg.det(h)) or 1.0  # proper rotations alone
        best = max(best, singular.sum())
    return 100 * (1 - best**2 / (6 * np.square(points).sum()))


def by_chemenv(anions):
    """The whole of pymatgen's ChemEnv, from a structure."""
    atoms = np.concatenate([np.zeros((1, 3)), anions]) + 15
    alone = Structure(Lattice.cubic(30), ["Ta"] + ["Cl"] * 6, atoms, coords_are_cartesian=True)
    finder = LocalGeometryFinder()
    finder.setup_structure(alone)
    environments = finder.compute_structure_environments(
        only_atoms=["Ta"],
        only_cations=False,
        valences="undefined",
        min_cn=6,
        max_cn=6,
        maximum_distance_factor=4.0,
    )
    octahedron = environments.ce_list[0][6][0]["O:6"]
    return octahedron["other_symmetry_measures"]["csm_wcs_ctwcc"]


@given(DISTORTED)
@settings(max_examples=20, deadline=None)
def test_it_is_the_minimum_over_all_assignments_and_rotations(shape):
    anions = random_shape(*shape)
    expected = by_all_permutations(anions)
    assert octahedral_symmetry_measure(anions) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("scatter", [0.05, 0.15, 0.5])
def test_chemenv_agrees(scatter):
    anions = random_shape(1, scatter)
    expected = by_chemenv(anions)
    assert octahedral_symmetry_measure(anions) == pytest.approx(expected, rel=1e-9, abs=0)


def test_shapes_with_published_or_exact_values():
    """Trigonal prism 16.74: Alvarez et al., New J. Chem. 26, 996 (2002), doi:10.1039/b200641n."""
    angles = np.deg2rad(np.arange(0, 360, 60))
    hexagon = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    triangle = np.deg2rad([0, 120, 240])
    radius = 1.0
    half_height = radius * np.sqrt(3) / 2  # all nine edges alike
    prism = np.array(
        [[np.cos(a), np.sin(a), side * half_height] for side in (1, -1) for a in triangle]
    )
    measures = octahedral_symmetry_measure(np.array([OCTAHEDRON, hexagon, prism]))
    np.testing.assert_allclose(measures[0], 0, atol=1e-12)
    np.testing.assert_allclose(measures[1], 100 / 3, rtol=1e-12)
    np.testing.assert_allclose(measures[2], 16.737, atol=5e-4)


@given(DISTORTED, st.floats(0.1, 10), st.permutations(range(6)), st.booleans())
@settings(deadline=None)
def test_orientation_size_order_and_hand_do_not_matter(shape, size, order, mirrored):
    anions = random_shape(*shape)
    moved = size * Rotation.random(random_state=shape[0] // 2).apply(anions[order])
    if mirrored:
        moved = moved * [1, 1, -1]
    np.testing.assert_allclose(
        octahedral_symmetry_measure(moved), octahedral_symmetry_measure(anions), atol=1e-9
    )


@given(st.floats(1e-4, 0.5))
def test_a_stretched_axis_follows_its_formula(strain):
    """Singular values 2, 2 and 2 (1 + e): S = 100 (1 - (3 + e)² / (3 (2 + (1 + e)²)))."""
    stretched = OCTAHEDRON * [1, 1, 1 + strain]
    expected = 100 * (1 - (3 + strain) ** 2 / (3 * (2 + (1 + strain) ** 2)))
    assert octahedral_symmetry_measure(stretched) == pytest.approx(expected, rel=1e-4, abs=1e-12)


@given(st.floats(1e-4, 0.5))
def test_a_centre_out_of_the_middle_counts(shift):
    """The octahedron and M at distance e: 6 e²/7 over 6 + 6 e²/7 of the squares are lost."""
    lost = 6 * shift**2 / 7
    expected = 100 * lost / (6 + lost)
    measure = octahedral_symmetry_measure(OCTAHEDRON - [shift, 0, 0])
    assert measure == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_any_leading_shape_is_kept():
    shapes = np.random.default_rng(0).normal(size=(4, 3, 6, 3))
    measures = octahedral_symmetry_measure(shapes)
    assert measures.shape == (4, 3)
    assert measures[2, 1] == pytest.approx(octahedral_symmetry_measure(shapes[2, 1]), rel=1e-12)
    assert octahedral_symmetry_measure(np.empty((0, 6, 3))).shape == (0,)
    assert ((measures >= 0) & (measures <= 100)).all()


def test_what_is_no_octahedron_is_refused():
    with pytest.raises(InvalidInput, match=r"shape \(\.\.\., 6, 3\), got \(5, 3\)"):
        octahedral_symmetry_measure(np.ones((5, 3)))
    with pytest.raises(InvalidInput, match="NaN coordinates or all its atoms at one point"):
        octahedral_symmetry_measure(np.full((6, 3), np.nan))
    with pytest.raises(InvalidInput, match="one point"):
        octahedral_symmetry_measure(np.zeros((2, 6, 3)))
