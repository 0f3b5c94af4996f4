import numpy as np
import pytest
from lattice_walks import OBLIQUE_A, cubic_sites
from scipy import stats

from screening.motion.van_hove import van_hove


def brownian(rng, n_frames, n_ions, cell_A, *, D_A2_per_frame):
    steps_A = rng.normal(scale=np.sqrt(2 * D_A2_per_frame), size=(n_frames, n_ions, 3))
    return rng.random((n_ions, 3)) + np.cumsum(steps_A, axis=0) @ np.linalg.inv(cell_A)


def test_the_self_part_of_a_brownian_ion_is_maxwells():
    rng = np.random.default_rng(1)
    paths = brownian(rng, 1024, 200, OBLIQUE_A, D_A2_per_frame=0.01)
    found = van_hove(paths, OBLIQUE_A, frame_interval_ps=0.1)
    r_A = np.array(found.self_r_A)
    assert [curve.lag_ps for curve in found.curves] == pytest.approx([0.0, 1.6, 6.4, 25.6])
    for curve in found.curves[1:]:
        width_A = np.sqrt(2 * 0.01 * curve.lag_ps / 0.1)
        np.testing.assert_allclose(
            curve.self_per_A, stats.maxwell.pdf(r_A, scale=width_A), atol=0.06 / width_A
        )
        assert np.sum(curve.self_per_A) * 0.1 == pytest.approx(1.0, abs=1e-9)
    assert np.array(found.curves[0].self_per_A)[1:].max() == 0


def test_the_distinct_part_of_an_ideal_gas_is_one():
    rng = np.random.default_rng(2)
    paths = rng.random((400, 60, 3))
    for curve in van_hove(paths, OBLIQUE_A, frame_interval_ps=0.1).curves:
        np.testing.assert_allclose(curve.distinct[10:], 1.0, atol=0.1)


def test_the_distinct_part_at_once_counts_pairs():
    rng = np.random.default_rng(3)
    paths = rng.random((1, 7, 3)).repeat(12, axis=0)
    found = van_hove(paths, OBLIQUE_A, frame_interval_ps=0.1)
    images = np.stack(np.meshgrid(*[range(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    off = (paths[0][:, None] - paths[0])[~np.eye(7, dtype=bool)]
    distances_A = np.linalg.norm((off[:, None] + images) @ OBLIQUE_A, axis=2)
    edges_A = 0.1 * np.arange(len(found.distinct_r_A) + 1)
    counts, _ = np.histogram(distances_A, bins=edges_A)
    ideal = 7 * 6 / np.linalg.det(OBLIQUE_A) * 4 / 3 * np.pi * np.diff(edges_A**3)
    for curve in found.curves:
        np.testing.assert_allclose(curve.distinct, counts / ideal)


def test_the_hole_an_ion_leaves_is_filled_by_the_next():
    # all ions of a row move on by one site: each stands where its neighbour stood
    paths = np.repeat(cubic_sites(3)[None], 200, axis=0)
    paths[100:, :, 0] += 1 / 3
    found = van_hove(paths, np.eye(3) * 12.0, frame_interval_ps=0.1)
    assert found.curves[0].distinct[0] == 0
    assert found.curves[-1].distinct[0] > 100


def test_a_single_ion_has_no_others():
    paths = np.zeros((20, 1, 3))
    for curve in van_hove(paths, OBLIQUE_A, frame_interval_ps=0.1).curves:
        assert set(curve.distinct) == {0.0}
