import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lattice_walks import cubic_sites, lattice_paths
from scipy import stats

from screening.motion.jump_statistics import jump_statistics, rate_interval, site_documents
from screening.motion.jumps import find_jumps
from screening.transport.msd import displacement_tensor

CELL_A = np.eye(3) * 12.0
INTERVAL_PS = 0.02


def analysed(paths, n=3):
    events = find_jumps(paths, cubic_sites(n), CELL_A)
    jumps = jump_statistics(events, cubic_sites(n), CELL_A, frame_interval_ps=INTERVAL_PS)
    return events, jumps


@given(n=st.integers(1, 400), time_ps=st.floats(0.1, 1e4))
def test_the_interval_of_a_rate_holds_what_its_count_allows(n, time_ps):
    low, high = rate_interval(n, time_ps)
    assert low < n / time_ps < high
    # as many or more events have 16 % chance at the low end, as many or fewer at the high end
    assert stats.poisson.sf(n - 1, low * time_ps) == pytest.approx(0.15865, rel=1e-6)
    assert stats.poisson.cdf(n, high * time_ps) == pytest.approx(0.15865, rel=1e-6)


def test_intervals_of_rates_cover_the_truth():
    rng = np.random.default_rng(1)
    hops_per_frame, covered = 0.005, 0
    for _ in range(60):
        paths, _ = lattice_paths(rng, 600, 8, 3, hops_per_frame=hops_per_frame)
        low_ps, high_ps = analysed(paths)[1].residence_68_ps
        covered += low_ps <= INTERVAL_PS / hops_per_frame <= high_ps
    # 68 % of 60 is 41 ± 3.6; widening for ions that differ makes it rather more
    assert 32 <= covered <= 56


def test_ions_that_differ_widen_the_interval():
    rng = np.random.default_rng(2)
    slow, _ = lattice_paths(rng, 4000, 6, 3, hops_per_frame=0.001)
    fast, _ = lattice_paths(rng, 4000, 2, 3, hops_per_frame=0.05)
    events, jumps = analysed(np.concatenate([slow, fast], axis=1))
    low_ps, high_ps = jumps.residence_68_ps
    poisson_low_ps = 1 / rate_interval(len(events), 4000 * 8 * INTERVAL_PS)[1]
    assert jumps.residence_ps - low_ps > 3 * (jumps.residence_ps - poisson_low_ps)
    assert high_ps > jumps.residence_ps


@pytest.mark.parametrize("back", [0.1, 0.5, 0.8])
def test_back_jumps_and_the_correlation_factor_are_those_of_the_walk(back):
    rng = np.random.default_rng(3)
    paths, _ = lattice_paths(rng, 12_000, 16, 3, hops_per_frame=0.02, back=back)
    _, jumps = analysed(paths)
    # of the five other directions one goes straight on, four across
    cosine = -back + (1 - back) / 5
    exact = (1 + cosine) / (1 - cosine)
    low, high = jumps.correlation_factor_68
    error = (high - low) / 2
    assert error < 0.1 * exact + 0.02
    assert jumps.correlation_factor == pytest.approx(exact, abs=3.5 * error)
    low, high = jumps.back_jump_68
    assert jumps.back_jump_fraction == pytest.approx(back, abs=2 * (high - low))


def test_jumps_times_correlation_are_the_tracer_diffusivity():
    rng = np.random.default_rng(4)
    paths, _ = lattice_paths(rng, 12_000, 24, 3, hops_per_frame=0.05, back=0.5)
    _, jumps = analysed(paths)
    msd_A2 = displacement_tensor((paths @ CELL_A).transpose(1, 2, 0))[:3].sum(axis=0)
    slope_A2_per_ps = (msd_A2[1000] - msd_A2[500]) / (500 * INTERVAL_PS)
    assert jumps.uncorrelated_D_cm2_s * jumps.correlation_factor == pytest.approx(
        slope_A2_per_ps / 6 * 1e-4, rel=0.1, abs=0
    )


@pytest.mark.parametrize("axes", [(2,), (0, 2), (0, 1, 2)])
def test_directions_and_dimension_of_the_jumps(axes):
    rng = np.random.default_rng(5)
    paths, _ = lattice_paths(rng, 3000, 27, 3, hops_per_frame=0.05, axes=axes)
    _, jumps = analysed(paths)
    assert jumps.dimension == len(axes)
    for axis, share in enumerate(jumps.shares_along_xyz):
        assert share == pytest.approx(1 / len(axes) if axis in axes else 0.0, abs=0.05)
    assert len(jumps.kinds) == len(axes)
    assert sum(kind.n_jumps for kind in jumps.kinds) == jumps.n_jumps
    rates = [kind.rate_per_ion_per_ps for kind in jumps.kinds]
    assert rates == sorted(rates, reverse=True)
    assert sum(rates) == pytest.approx(1 / jumps.residence_ps)
    for kind in jumps.kinds:
        assert kind.length_A == pytest.approx(4.0)
        assert sorted(np.abs(kind.vector_A)) == pytest.approx([0.0, 0.0, 4.0])


def test_to_and_fro_between_two_sites_leads_nowhere():
    paths = np.zeros((100, 4, 3))
    paths[10::20] += [1 / 3, 0.0, 0.0]
    _, jumps = analysed(paths)
    assert jumps.dimension == 0
    assert jumps.back_jump_fraction == 1.0
    assert jumps.correlation_factor == 0.0


def test_ions_that_only_go_straight_on_have_no_correlation_factor():
    paths = np.zeros((100, 4, 3))
    paths[..., 0] = (np.arange(100) // 8 / 3)[:, None]
    _, jumps = analysed(paths)
    assert jumps.correlation_factor is None
    assert jumps.back_jump_fraction == 0.0
    assert jumps.dimension == 1


def test_independent_ions_are_not_concerted():
    rng = np.random.default_rng(6)
    paths, _ = lattice_paths(rng, 4000, 24, 3, hops_per_frame=0.01)
    _, jumps = analysed(paths)
    assert jumps.concerted_ratio == pytest.approx(1.0, abs=0.1)


def test_ions_in_a_row_that_move_together_are_concerted():
    rng = np.random.default_rng(7)
    leader, n_hops = lattice_paths(rng, 8000, 2, 3, hops_per_frame=0.002)
    paths = np.concatenate([leader, leader + np.array([1 / 3, 0.0, 0.0])], axis=1)
    _, jumps = analysed(paths)
    assert jumps.concerted_ratio > 3
    assert jumps.n_concerted >= n_hops


def test_without_jumps_there_are_bounds():
    events, jumps = analysed(np.zeros((500, 4, 3)))
    assert jumps.n_jumps == 0
    assert jumps.residence_ps is jumps.residence_68_ps is jumps.correlation_factor is None
    assert jumps.residence_at_least_ps == pytest.approx(
        500 * 4 * INTERVAL_PS / -np.log(0.05), rel=0.01
    )
    documents = site_documents(cubic_sites(3), events, n_frames=500, frame_interval_ps=INTERVAL_PS)
    assert documents[0].occupancy == 4.0
    assert documents[0].residence_at_least_ps == jumps.residence_at_least_ps
    assert documents[1].occupancy == 0.0


def test_sites_hold_the_ions_between_their_departures():
    rng = np.random.default_rng(8)
    paths, n_hops = lattice_paths(rng, 5000, 10, 2, hops_per_frame=0.02)
    events = find_jumps(paths, cubic_sites(2), CELL_A)
    documents = site_documents(cubic_sites(2), events, n_frames=5000, frame_interval_ps=INTERVAL_PS)
    assert sum(site.occupancy for site in documents) == pytest.approx(10)
    assert sum(site.n_departures for site in documents) == n_hops
    for site in documents:
        low_ps, high_ps = site.residence_68_ps
        assert low_ps < site.residence_ps < high_ps
        assert site.residence_ps == pytest.approx(INTERVAL_PS / 0.02, rel=0.4)
