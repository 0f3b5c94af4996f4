import numpy as np
import pytest
from lattice_walks import KT_EV, OBLIQUE_A, brownian_paths, lattice_paths, trajectory_of
from scipy import special

from screening.errors import InvalidInput
from screening.motion.documents import MotionReport
from screening.motion.report import motion_report


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(1)
    paths, _ = lattice_paths(rng, 3000, 16, 3, hops_per_frame=0.004)
    return trajectory_of(rng, paths, OBLIQUE_A, rattle_A=0.3)


def test_the_report_says_what_moves(run):
    report = motion_report(run, "K")
    assert (report.species, report.n_ions, report.temperature_K) == ("K", 16, 800.0)
    assert report.duration_ps == pytest.approx(2999 * 0.02)
    assert len(report.sites) == 27
    assert sum(site.occupancy for site in report.sites) == pytest.approx(16, rel=0.01)
    low_ps, high_ps = report.jumps.residence_68_ps
    assert 0.8 * low_ps < 0.02 / 0.004 < 1.2 * high_ps
    assert report.jumps.dimension == 3
    assert len(report.jumps.kinds) == 3


def test_the_report_is_small_and_survives_storing(run):
    report = motion_report(run, "K")
    text = report.model_dump_json()
    assert len(text) < 50_000
    assert MotionReport.model_validate_json(text) == report


def test_two_runs_of_the_same_are_the_same(run):
    assert motion_report(run, "K") == motion_report(run, "K")


def test_brownian_ions_in_channels_move_as_lifson_and_jackson_have_it():
    # D = D0 / (<exp(V/kT)> <exp(-V/kT)>) for any barrier, J. Chem. Phys. 36, 2410 (1962)
    rng = np.random.default_rng(5)
    barrier_eV, D_A2_per_step, steps = 0.25, 0.003, 5
    paths = brownian_paths(
        rng, 8000, 32, (barrier_eV, 2.5, 2.5), n=3, edge_A=12.0, D_A2_per_step=D_A2_per_step
    )
    run = trajectory_of(rng, paths, np.eye(3) * 12.0, rattle_A=0.0)
    report = motion_report(run, "K")
    assert report.percolation.dimension == report.jumps.dimension == 1
    assert report.percolation.barriers_eV[0] == pytest.approx(barrier_eV, abs=0.5 * KT_EV)
    assert report.jumps.shares_along_xyz == pytest.approx((1.0, 0.0, 0.0), abs=1e-3)
    D_A2_per_ps = D_A2_per_step / special.i0(barrier_eV / 2 / KT_EV) ** 2 * steps / 0.02
    # ions move along one axis of three
    assert report.jumps.uncorrelated_D_cm2_s * report.jumps.correlation_factor == pytest.approx(
        D_A2_per_ps * 1e-4 / 3, rel=0.3, abs=0
    )


def test_jumps_that_leave_no_path_are_said(run):
    # hops happen between two frames here: nothing is ever seen on the pass
    report = motion_report(run, "K")
    assert report.percolation.dimension == 0
    assert any("jumps link the sites in 3 dimensions" in caveat for caveat in report.caveats)
    assert any("store frames more often" in caveat for caveat in report.caveats)


def test_a_run_without_jumps_says_so():
    rng = np.random.default_rng(2)
    paths, _ = lattice_paths(rng, 500, 8, 3, hops_per_frame=0.0)
    report = motion_report(trajectory_of(rng, paths, OBLIQUE_A, rattle_A=0.1), "K")
    assert report.jumps.n_jumps == 0
    assert report.jumps.residence_at_least_ps > 0
    assert report.percolation.barriers_eV == ()
    assert any("jumps between sites: 0" in caveat for caveat in report.caveats)


def test_barriers_beyond_what_the_run_sees_are_said():
    rng = np.random.default_rng(3)
    x = np.concatenate([np.full(4000, 0.5), np.linspace(0.5, 1.5, 60), np.full(4000, 1.5)])
    paths = np.full((len(x), 1, 3), 0.5)
    paths[:, 0, 0] = x
    report = motion_report(trajectory_of(rng, paths, np.eye(3) * 6.0, rattle_A=0.05), "K")
    assert report.percolation.dimension == 1
    assert any("rests on one quarter" in caveat for caveat in report.caveats)


def test_a_fluid_has_a_density_but_no_sites():
    rng = np.random.default_rng(4)
    paths, _ = lattice_paths(rng, 2000, 1, 3, hops_per_frame=0.0)
    paths += np.cumsum(rng.normal(scale=0.08, size=paths.shape), axis=0)
    report = motion_report(trajectory_of(rng, paths, np.eye(3) * 24.0), "K")
    assert report.sites == ()
    assert report.jumps is None
    assert "these ions have no sites" in report.caveats[0]
    assert report.percolation.seen_up_to_eV > 0


def test_an_ion_that_is_not_there_is_refused(run):
    with pytest.raises(InvalidInput, match="no Li among"):
        motion_report(run, "Li")
