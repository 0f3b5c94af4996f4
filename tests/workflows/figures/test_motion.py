"""The plots show what the report holds."""

import numpy as np
import pytest

from screening.motion.density import probability_density
from screening.motion.report import motion_report
from screening.transport.trajectory import Trajectory
from workflows.figures.motion import motion_figures
from workflows.figures.style import save

CELL_A = np.array([[8.0, 0.0, 0.0], [2.0, 7.0, 0.0], [0.0, 1.0, 6.0]])


def a_run(hops_per_frame):
    """Four K that diffuse along a, rattling, among fixed Cl."""
    rng = np.random.default_rng(1)
    paths = np.zeros((600, 12, 3)) + rng.random((12, 3))
    paths[:, :4] = [[0.1, 0.1, 0.1], [0.1, 0.6, 0.1], [0.1, 0.1, 0.6], [0.1, 0.6, 0.6]]
    hops = rng.random((600, 4)) < hops_per_frame
    paths[:, :4, 0] += np.cumsum(hops * rng.choice([-1 / 3, 1 / 3], size=(600, 4)), axis=0)
    positions_A = paths @ CELL_A + rng.normal(scale=0.2, size=(600, 12, 3))
    return Trajectory(
        positions_A.astype(np.float32), CELL_A, ("K",) * 4 + ("Cl",) * 8, 2.0, 10, 700.0
    )


@pytest.fixture(scope="module")
def run():
    return a_run(0.05)


@pytest.fixture(scope="module")
def report(run):
    return motion_report(run, "K")


@pytest.fixture(scope="module")
def figures(run, report):
    return motion_figures(run, "K", report)


def test_every_part_of_the_motion_has_its_figure(figures):
    assert list(figures) == [
        "density_bc",
        "density_ac",
        "density_ab",
        "percolation",
        "jumps",
        "van_hove_self",
        "van_hove_distinct",
    ]


def test_projections_show_the_density_in_its_oblique_plane(run, figures):
    axes = figures["density_ab"].axes[0]
    (mesh,) = axes.collections
    expected = probability_density(run, "K").projected_ions_per_A2(2)
    np.testing.assert_allclose(mesh.get_array().reshape(expected.shape), expected)
    corners_A = mesh.get_coordinates()[[0, -1, 0], [0, 0, -1]]
    np.testing.assert_allclose(corners_A, [[0, 0], CELL_A[0, :2], CELL_A[1, :2]], atol=1e-9)
    assert axes.get_xlabel() == "x ∥ a (Å)"


def test_sites_lie_where_the_projected_density_is_high(report, figures):
    (line,) = figures["density_ab"].axes[0].lines
    expected_A = np.array([site.fractional for site in report.sites])[:, :2] @ CELL_A[:2, :2]
    np.testing.assert_allclose(np.column_stack(line.get_data()), expected_A, atol=1e-9)


def test_curves_are_those_of_the_report(report, figures):
    for name, values in (("van_hove_self", "self_per_A"), ("van_hove_distinct", "distinct")):
        lines = {line.get_label(): line for line in figures[name].axes[0].lines}
        for curve in report.van_hove.curves[1:]:
            drawn = lines[f"{curve.lag_ps:.3g} ps"].get_ydata()
            np.testing.assert_array_equal(drawn, getattr(curve, values))
    title = figures["jumps"].axes[0].get_title()
    assert title.startswith(f"{report.jumps.n_jumps} jumps, ")


def test_a_run_without_jumps_has_no_figure_of_them():
    still = a_run(0.0)
    report = motion_report(still, "K")
    assert report.jumps.n_jumps == 0
    assert "jumps" not in motion_figures(still, "K", report)


def test_a_fluid_has_figures_without_sites(run, report):
    fluid = report.model_copy(update={"sites": (), "jumps": None})
    figures = motion_figures(run, "K", fluid)
    assert "jumps" not in figures
    assert len(figures["density_ab"].axes[0].lines[0].get_xdata()) == 0


def test_figures_can_be_saved(figures, tmp_path):
    for name in ("percolation", "density_bc"):
        assert all(path.stat().st_size > 0 for path in save(figures[name], tmp_path, name))
