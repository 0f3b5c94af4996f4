"""Statistical inefficiency against the process that it is known of, and against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from screening.transport.series import (
    MAX_BLOCKS,
    block_means,
    change_along_line,
    statistical_inefficiency,
)


def autoregressive(rng, n, memory):
    kicks = rng.standard_normal(n)
    kicks[1:] *= np.sqrt(1 - memory**2)
    return lfilter([1], [1, -memory], kicks)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_inefficiency_of_an_autoregressive_process(memory):
    rng = np.random.default_rng(0)
    g = [statistical_inefficiency(autoregressive(rng, 20000, memory)) for _ in range(20)]
    assert np.median(g) == pytest.approx((1 + memory) / (1 - memory), rel=0.08)


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40))
def test_inefficiency_is_its_definition(values):
    values = np.array(values)
    fluctuation = values - values.mean()
    if np.square(fluctuation).mean() < 1e-6:
        return
    n, total = len(values), 0.0
    for lag in range(1, n):
        products = fluctuation[lag:] * fluctuation[:-lag]
        C = products.mean() / np.square(fluctuation).mean()
        if C <= 1e-9:
            if C > -1e-9:
                return  # the sign of zero is a matter of rounding
            break
        total += (1 - lag / n) * C
    assert statistical_inefficiency(values) == pytest.approx(max(1, 1 + 2 * total), rel=1e-6)


@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-10, 10), seed=st.integers(0, 99))
def test_inefficiency_knows_no_units(scale, shift, seed):
    values = autoregressive(np.random.default_rng(seed), 200, 0.7)
    changed = scale * (values + shift)
    assert statistical_inefficiency(changed) == pytest.approx(
        statistical_inefficiency(values), rel=1e-6
    )


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0], [3.0] * 50])
def test_what_does_not_fluctuate_has_no_memory(values):
    assert statistical_inefficiency(np.array(values)) == 1.0


@given(st.integers(1, 5000))
def test_block_means_are_means_of_blocks(n):
    values = np.random.default_rng(n).standard_normal(n)
    means, length = block_means(values)
    assert len(means) <= MAX_BLOCKS
    assert n - length < len(means) * length <= n
    last = values[(len(means) - 1) * length : len(means) * length]
    assert means[-1] == pytest.approx(last.mean(), rel=1e-9, abs=1e-12)


@given(change=st.floats(-1e3, 1e3), zero=st.floats(-1e3, 1e3), seed=st.integers(0, 99))
def test_change_along_a_line_is_that_of_least_squares(change, zero, seed):
    time = np.linspace(0, 1, 60)
    noise = autoregressive(np.random.default_rng(seed), 60, 0.5)
    found, error, _ = change_along_line(zero + change * time + noise)
    line = np.polynomial.Polynomial.fit(time, noise, 1).convert()
    assert found == pytest.approx(change + line.coef[1], rel=1e-9, abs=1e-9)
    assert error == pytest.approx(change_along_line(noise)[1], rel=1e-6, abs=0)


@pytest.mark.parametrize("n", [3, 10, 400])
def test_an_exact_line_has_no_error(n):
    change, error, dof = change_along_line(np.arange(n) / (n - 1) - 5.0)
    assert change == pytest.approx(1, rel=1e-9)
    assert error < 1e-14
    assert dof <= n - 2
    assert change_along_line(np.full(n, -512.0)) == (0.0, 0.0, n - 2)


@pytest.mark.parametrize(
    ("memory", "n", "least"),
    [(0.0, 400, 0.93), (0.9, 400, 0.93), (0.9, 100, 0.88), (0.98, 400, 0.9)],
)
def test_errors_of_changes_cover_what_chance_makes(memory, n, least):
    """Two standard errors hold 95 %, a little less where n is a few memories long."""
    rng = np.random.default_rng(0)
    lines = [change_along_line(autoregressive(rng, n, memory)) for _ in range(500)]
    ratios = np.array([change / error for change, error, _ in lines])
    assert least < np.mean(np.abs(ratios) < 2) < 0.995
    assert 0.6 < np.mean(np.abs(ratios) < 1) < 0.85
