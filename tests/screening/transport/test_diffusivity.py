"""Diffusivities of walks whose D is known: recovered, covered, bounded, invariant."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_walks import CELL_A, brownian, hopping, to_and_fro, trajectory_of

from screening.errors import InvalidInput, UnusableRun
from screening.transport.diffusivity import estimate_diffusivity
from screening.transport.trajectory import Trajectory

A2_PER_FRAME_TO_CM2_S = 1e-4 / 0.05  # frames of synthetic walks are 0.05 ps apart


def hopping_run(seed, *, n_ions, n_frames, n_hops, **kwargs):
    """A run with `n_hops` hops expected, and its D in cm²/s."""
    rng = np.random.default_rng(seed)
    rate = n_hops / (n_ions * n_frames)
    paths_A = hopping(rng, n_frames, n_ions, hops_per_frame=rate, hop_length_A=3.5)
    return trajectory_of(rng, paths_A, **kwargs), rate * 3.5**2 / 6 * A2_PER_FRAME_TO_CM2_S


def brownian_run(seed, *, n_ions, n_frames, D_A2_per_frame):
    rng = np.random.default_rng(seed)
    paths_A = brownian(rng, n_frames, n_ions, D_A2_per_frame=D_A2_per_frame)
    return trajectory_of(rng, paths_A), D_A2_per_frame * A2_PER_FRAME_TO_CM2_S


def frozen_run(seed=0, *, n_frames=400, n_ions=16, **kwargs):
    return trajectory_of(np.random.default_rng(seed), np.zeros((n_frames, n_ions, 3)), **kwargs)


def coverage(make, n_replicas):
    """Share of values whose 68 and 95 % intervals hold the truth, and of runs that gave a value."""
    held = []
    for seed in range(n_replicas):
        run, true_cm2_s = make(seed)
        answer = estimate_diffusivity(run, "K")
        if answer.D_cm2_s is not None:
            held.append(
                [low <= true_cm2_s <= high for low, high in (answer.D_68_cm2_s, answer.D_95_cm2_s)]
            )
    share_68, share_95 = np.mean(held, axis=0)
    return share_68, share_95, len(held) / n_replicas


REGIMES = {
    "few ions, few hops": lambda seed: hopping_run(seed, n_ions=4, n_frames=800, n_hops=25),
    "few ions, many hops": lambda seed: hopping_run(seed, n_ions=4, n_frames=1000, n_hops=200),
    "many ions, few hops": lambda seed: hopping_run(seed, n_ions=24, n_frames=800, n_hops=30),
    "many ions, many hops": lambda seed: hopping_run(seed, n_ions=24, n_frames=600, n_hops=500),
    "few ions, many small steps": lambda seed: brownian_run(
        seed, n_ions=4, n_frames=600, D_A2_per_frame=0.02
    ),
    "many ions, many small steps": lambda seed: brownian_run(
        seed, n_ions=24, n_frames=400, D_A2_per_frame=0.02
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("regime", REGIMES)
def test_intervals_cover(regime):
    share_68, share_95, share_of_values = coverage(REGIMES[regime], 400)
    assert 0.62 <= share_68 <= 0.76
    assert 0.92 <= share_95 <= 0.985
    assert share_of_values > 0.9


@pytest.mark.parametrize("regime", ["few ions, few hops", "many ions, many small steps"])
def test_intervals_cover_quick(regime):
    share_68, share_95, share_of_values = coverage(REGIMES[regime], 80)
    assert 0.55 <= share_68 <= 0.82
    assert share_95 >= 0.89
    assert share_of_values > 0.85


def test_ions_that_hop_together_have_wider_intervals():
    run, true_cm2_s = hopping_run(3, n_ions=8, n_frames=800, n_hops=60, amplitude_A=0.0)
    first_A = run.positions_A[:, :8]
    together = replace(
        run,
        positions_A=np.concatenate([first_A, first_A, first_A, run.positions_A], axis=1),
        species=("K",) * 24 + run.species,
    )
    alone, joined = estimate_diffusivity(run, "K"), estimate_diffusivity(together, "K")
    low_cm2_s, high_cm2_s = alone.D_68_cm2_s  # the fit may begin at another lag
    assert low_cm2_s < joined.D_cm2_s < high_cm2_s
    width = np.log(joined.D_68_cm2_s[1] / joined.D_68_cm2_s[0])
    assert width > 0.75 * np.log(alone.D_68_cm2_s[1] / alone.D_68_cm2_s[0])
    assert joined.D_95_cm2_s[0] < true_cm2_s < joined.D_95_cm2_s[1]


def test_line_through_the_displacements_starts_at_the_rattling():
    """An Ornstein–Uhlenbeck vibration adds six times its variance along an axis."""
    run, _ = brownian_run(0, n_ions=64, n_frames=2000, D_A2_per_frame=0.002)
    answer = estimate_diffusivity(run, "K")
    assert answer.msd_offset_A2 == pytest.approx(6 * 0.25**2, rel=0.1)


def test_hops_are_counted():
    run, _ = hopping_run(0, n_ions=24, n_frames=2000, n_hops=600)
    answer = estimate_diffusivity(run, "K")
    assert answer.n_hops == pytest.approx(600, rel=0.15)
    assert answer.duration_ps == pytest.approx(1999 * 0.05)
    shorter = estimate_diffusivity(run, "K", hop_length_A=1.75)
    assert shorter.n_hops == pytest.approx(4 * answer.n_hops)
    assert shorter.D_cm2_s == pytest.approx(answer.D_cm2_s, rel=1e-12, abs=0)


@pytest.mark.parametrize("n_hops", [0.5, 3.2, 6.0])
def test_upper_bound_holds_and_is_not_loose(n_hops):
    ratios = []
    for seed in range(60):
        run, true_cm2_s = hopping_run(seed, n_ions=8, n_frames=300, n_hops=n_hops)
        answer = estimate_diffusivity(run, "K")
        if answer.D_cm2_s is None:
            ratios.append(answer.upper_bound_cm2_s / true_cm2_s)
    assert len(ratios) >= 50
    assert np.mean(np.array(ratios) >= 1) >= 0.92
    assert np.median(ratios) < 2 + 4 / n_hops


@pytest.mark.slow
@pytest.mark.parametrize("n_ions", [1, 4, 32])
@pytest.mark.parametrize("n_hops", [1.0, 3.2, 5.0])
def test_upper_bound_holds(n_ions, n_hops):
    n_wrong = 0
    for seed in range(400):
        run, true_cm2_s = hopping_run(seed, n_ions=n_ions, n_frames=400, n_hops=n_hops)
        answer = estimate_diffusivity(run, "K")
        highest_cm2_s = answer.upper_bound_cm2_s or answer.D_95_cm2_s[1]
        n_wrong += highest_cm2_s < true_cm2_s
    assert n_wrong / 400 <= 0.06


def test_frozen_rattling_lattice_gives_a_bound_of_three_hops():
    run = frozen_run()
    answer = estimate_diffusivity(run, "K")
    assert answer.D_cm2_s is None
    assert answer.reason.startswith(f"{answer.n_hops:.1f} hops of 3.5 Å in 20 ps, at least 10")
    three_hops_cm2_s = 3 * 3.5**2 / (6 * 16 * run.duration_ps) * 1e-4
    assert three_hops_cm2_s < answer.upper_bound_cm2_s < 2.5 * three_hops_cm2_s


def test_lattice_without_any_motion_gives_a_bound():
    answer = estimate_diffusivity(frozen_run(amplitude_A=0.0), "K")
    assert answer.n_hops == 0
    assert answer.upper_bound_cm2_s > 0
    assert answer.reason.startswith("0.0 hops")


def test_large_rattling_of_many_ions_is_not_taken_for_hops():
    answers = [
        estimate_diffusivity(frozen_run(seed, n_ions=200, n_framework=200, amplitude_A=0.5), "K")
        for seed in range(5)
    ]
    assert all(answer.D_cm2_s is None for answer in answers)


@pytest.mark.parametrize(
    ("n_frames", "n_ions", "hops_per_frame"), [(800, 16, 0.03), (800, 64, 0.01), (3000, 16, 0.01)]
)
def test_ions_moving_to_and_fro_do_not_diffuse(n_frames, n_ions, hops_per_frame):
    """They have no memory after 1 / (2 hops_per_frame): 17 or 50 frames, 0.8 or 2.5 ps."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        paths_A = to_and_fro(rng, n_frames, n_ions, hops_per_frame=hops_per_frame, hop_length_A=3.5)
        answer = estimate_diffusivity(trajectory_of(rng, paths_A), "K")
        assert answer.D_cm2_s is None
        assert 0 < answer.upper_bound_cm2_s < 1e-5
        assert "no diffusive regime: log-log slope 0." in answer.reason or (
            "standard errors beyond rattling" in answer.reason
        )


def test_ions_in_wide_cages_do_not_diffuse():
    for seed in range(10):
        answer = estimate_diffusivity(
            frozen_run(seed, n_frames=800, amplitude_A=1.5, correlation_frames=20), "K"
        )
        assert answer.D_cm2_s is None
        assert "standard errors beyond rattling" in answer.reason


def test_short_runs_give_a_bound():
    run, true_cm2_s = hopping_run(0, n_ions=24, n_frames=80, n_hops=200)
    answer = estimate_diffusivity(run, "K")
    assert answer.reason == "3.95 ps, at least 5 ps needed to outlast the vibration; run longer"
    assert answer.upper_bound_cm2_s > true_cm2_s


def rotated(run):
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return replace(run, positions_A=run.positions_A @ rotation, cell_A=run.cell_A @ rotation)


def translated(run):
    return replace(run, positions_A=run.positions_A + np.float32(7.5))


def permuted(run):
    order = np.random.default_rng(2).permutation(len(run.species))
    species = tuple(run.species[atom] for atom in order)
    return replace(run, positions_A=run.positions_A[:, order], species=species)


def doubled(run):
    second_A = run.positions_A + run.cell_A[0].astype(np.float32)
    return replace(
        run,
        positions_A=np.concatenate([run.positions_A, second_A], axis=1),
        cell_A=run.cell_A * np.array([[2.0], [1.0], [1.0]]),
        species=run.species * 2,
    )


@pytest.mark.parametrize("change", [rotated, translated, permuted])
def test_diffusivity_is_invariant(change):
    run, _ = hopping_run(0, n_ions=8, n_frames=800, n_hops=100)
    before, after = estimate_diffusivity(run, "K"), estimate_diffusivity(change(run), "K")
    assert after.D_cm2_s == pytest.approx(before.D_cm2_s, rel=1e-4, abs=0)
    assert after.n_hops == pytest.approx(before.n_hops, rel=1e-4)
    np.testing.assert_allclose(after.D_68_cm2_s, before.D_68_cm2_s, rtol=1e-3)
    assert after.dimensionality == before.dimensionality
    # principal axes turn with the run; their order and values stay
    assert [axis.D_cm2_s for axis in after.principal] == pytest.approx(
        [axis.D_cm2_s for axis in before.principal], rel=0.01, abs=0
    )


def test_copied_ions_tell_the_same():
    """The same paths twice: another lag may be chosen, so that D moves within its error."""
    run, _ = hopping_run(0, n_ions=8, n_frames=800, n_hops=100)
    before, after = estimate_diffusivity(run, "K"), estimate_diffusivity(doubled(run), "K")
    low_cm2_s, high_cm2_s = before.D_68_cm2_s
    assert low_cm2_s < after.D_cm2_s < high_cm2_s
    assert after.n_hops / after.D_cm2_s == pytest.approx(2 * before.n_hops / before.D_cm2_s)


def test_diffusivity_scales_with_time_and_length():
    run, _ = hopping_run(6, n_ions=8, n_frames=800, n_hops=100)
    answer = estimate_diffusivity(run, "K")
    slower = estimate_diffusivity(replace(run, timestep_fs=2 * run.timestep_fs), "K")
    # vibration is forgotten after half the frames: another first lag, and another D within errors
    low_cm2_s, high_cm2_s = answer.D_95_cm2_s
    assert low_cm2_s < 2 * slower.D_cm2_s < high_cm2_s
    larger = replace(run, positions_A=2 * run.positions_A, cell_A=2 * run.cell_A)
    assert estimate_diffusivity(larger, "K", hop_length_A=7.0).D_cm2_s == pytest.approx(
        4 * answer.D_cm2_s, rel=1e-9, abs=0
    )


def channels_run(seed, direction, *, n_ions=24, n_frames=2000, n_hops=400):
    """Hops of 3.5 Å along one direction, D in cm²/s, a third of that along it."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(n_hops / (n_ions * n_frames), size=(n_frames, n_ions))
    steps_A = 3.5 * (2 * rng.binomial(counts, 0.5) - counts)
    paths_A = np.cumsum(steps_A, axis=0)[:, :, None] * np.asarray(direction)
    D_cm2_s = n_hops * 3.5**2 / (6 * n_ions * n_frames) * A2_PER_FRAME_TO_CM2_S
    return trajectory_of(rng, paths_A), D_cm2_s


@pytest.mark.parametrize("direction", [(0, 0, 1), (0.6, 0, 0.8), (3**-0.5,) * 3])
def test_channels_are_one_dimensional_whatever_their_direction(direction):
    for seed in range(5):
        run, true_cm2_s = channels_run(seed, direction)
        answer = estimate_diffusivity(run, "K")
        assert answer.dimensionality == 1
        along, *across = answer.principal
        assert abs(np.dot(along.axis, direction)) > 0.99
        assert along.D_cm2_s == pytest.approx(3 * answer.D_cm2_s, rel=0.1, abs=0)
        assert along.D_68_cm2_s[0] < along.D_cm2_s < along.D_68_cm2_s[1]
        for axis in across:
            assert axis.upper_bound_cm2_s is None or axis.upper_bound_cm2_s < true_cm2_s
        low_cm2_s, high_cm2_s = answer.D_95_cm2_s
        assert low_cm2_s / 1.2 < true_cm2_s < 1.2 * high_cm2_s


def test_principal_diffusivities_cover_each_axis():
    """D of 4, 2 and 1 along x, y and z, by their order of size."""
    held, dimensions = [], []
    shares = np.sqrt(np.array([4.0, 2.0, 1.0]) / (7 / 3))
    for seed in range(30):
        rng = np.random.default_rng(seed)
        paths_A = shares * brownian(rng, 1000, 24, D_A2_per_frame=0.02)
        answer = estimate_diffusivity(trajectory_of(rng, paths_A), "K")
        dimensions.append(answer.dimensionality)
        truths_cm2_s = 0.02 * A2_PER_FRAME_TO_CM2_S * shares**2
        for axis, true_cm2_s in zip(answer.principal, truths_cm2_s, strict=False):
            held.append(axis.D_68_cm2_s[0] < true_cm2_s < axis.D_68_cm2_s[1])
    assert dimensions.count(3) >= 28  # one run in fifty seems to have no diffusive regime
    assert 0.55 < np.mean(held) < 0.85


@pytest.mark.parametrize(("n_together", "least", "most"), [(1, 0.6, 1.7), (3, 0.18, 0.6)])
def test_haven_ratio_tells_how_many_ions_hop_as_one(n_together, least, most):
    """One where each hops alone, 1 / n where n hop together: the charge moves n² as far."""
    ratios, held = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        paths_A = brownian(rng, 2000, 6, D_A2_per_frame=0.01)
        run = trajectory_of(rng, np.repeat(paths_A, n_together, axis=1))
        answer = estimate_diffusivity(run, "K")
        if answer.haven_ratio is not None:
            ratios.append(answer.haven_ratio)
            low, high = answer.haven_ratio_68
            held.append(low < 1 / n_together < high)
            assert answer.charge_D_cm2_s == pytest.approx(answer.D_cm2_s / answer.haven_ratio)
            low, high = answer.charge_D_68_cm2_s
            assert low < answer.charge_D_cm2_s < high
    assert len(ratios) >= 20
    assert least < np.median(ratios) < most
    assert np.mean(held) > 0.45


def test_flying_ions_are_unusable():
    paths_A = np.arange(400)[:, None, None] * np.array([[[0.02, 0.01, 0.0]] * 3 + [[0, 0, 0.03]]])
    run = trajectory_of(np.random.default_rng(0), paths_A)
    with pytest.raises(
        UnusableRun, match=r"ions fly instead of diffusing \(log-log slope 1\.[5-9]"
    ):
        estimate_diffusivity(run, "K")


def test_wrapped_positions_are_unusable():
    run, _ = hopping_run(0, n_ions=4, n_frames=1500, n_hops=2000)
    wrapped = replace(run, positions_A=np.mod(run.positions_A, np.diag(CELL_A).astype(np.float32)))
    with pytest.raises(UnusableRun, match=r"crosses .* of the cell between .*; unwrap"):
        estimate_diffusivity(wrapped, "K")


def test_positions_that_are_no_numbers_are_unusable():
    run = frozen_run(n_frames=50)
    run.positions_A[30:, 3] = np.nan
    with pytest.raises(UnusableRun, match="not finite in 20 of 50 frames, first in frame 30"):
        estimate_diffusivity(run, "K")


def test_few_frames_are_unusable():
    with pytest.raises(UnusableRun, match="9 frames, at least 10 needed"):
        estimate_diffusivity(frozen_run(n_frames=9), "K")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"species": ("K", "Cl")}, r"shape \(50, 32, 3\) do not fit 2 species"),
        ({"timestep_fs": 0.0}, "timestep_fs=0 and stride=25 must both be positive"),
        ({"cell_A": np.zeros((3, 3))}, "has no volume"),
        ({"cell_A": np.full((3, 3), np.nan)}, "has no volume"),
        ({"species": ("Cl",) * 32}, r"no K among the trajectory's species \(Cl\)"),
        ({"species": ("K",) * 32}, "every atom is K"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InvalidInput, match=message):
        estimate_diffusivity(replace(frozen_run(n_frames=50), **changes), "K")


@pytest.mark.parametrize("hop_length_A", [0.0, -1.0, float("nan")])
def test_hop_length_must_be_positive(hop_length_A):
    with pytest.raises(InvalidInput, match=r"hop_length_A=.* must be positive"):
        estimate_diffusivity(frozen_run(n_frames=50), "K", hop_length_A=hop_length_A)


def test_ten_frames_are_enough_for_a_bound():
    run = Trajectory(np.zeros((10, 2, 3), np.float32), CELL_A, ("K", "Cl"), 2.0, 500, 300.0)
    assert estimate_diffusivity(run, "K").upper_bound_cm2_s > 0
