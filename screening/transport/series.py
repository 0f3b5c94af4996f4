"""Means of correlated time series."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

MAX_BLOCKS = 400


def block_means(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Means of equal blocks, at most `MAX_BLOCKS`, and the length of a block.

    A last block that is not full is left out.
    """
    length = -(-len(values) // MAX_BLOCKS)
    n_blocks = len(values) // length
    whole = np.asarray(values[: n_blocks * length], dtype=np.float64)
    return np.asarray(whole.reshape(n_blocks, length).mean(axis=1)), length


def statistical_inefficiency(values: NDArray[np.float64]) -> float:
    """How many neighbouring values are worth one independent value; at least 1.

    g = 1 + 2 Σ (1 - t/n) C(t), C being the autocorrelation up to where it first falls to zero.

    Args:
        values: shape (n,).

    Reference:
        Chodera et al., J. Chem. Theory Comput. 3, 26 (2007), doi:10.1021/ct0502864.
    """
    n = len(values)
    fluctuation = values - values.mean()
    if n < 3 or not np.any(fluctuation):
        return 1.0
    n_padded = scipy.fft.next_fast_len(2 * n, real=True)
    spectrum = scipy.fft.rfft(fluctuation, n_padded)
    products = scipy.fft.irfft(np.abs(spectrum) ** 2, n_padded)[:n]
    # C(t) is the mean of n - t products, so that their sum over that of t = 0 is (1 - t/n) C(t)
    weighted = products[1:] / products[0]
    falls_to_zero = np.flatnonzero(weighted <= 0)
    weighted = weighted[: falls_to_zero[0] if falls_to_zero.size else n]
    return max(1.0, 1.0 + 2.0 * float(weighted.sum()))


def change_along_line(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Change from the first value to the last along the least-squares line.

    Its error is that of independent values times √g, g being the statistical inefficiency of the
    residuals. Over a time not much longer than their memory, residuals seem to have less of it than
    they do. g is therefore at least (1 + φ) / (1 - φ), as of an autoregressive process with their
    correlation φ of neighbours, after that is freed of its bias, -(2 + 5 φ) / n about a line.

    Args:
        values: shape (n,), n >= 3.

    Returns:
        the change, its standard error, and the degrees of freedom of that.
    """
    n = len(values)
    time = np.linspace(-0.5, 0.5, n)
    fluctuation = values - values.mean()
    change = float(time @ fluctuation / (time @ time))
    residuals = fluctuation - change * time
    squares = float(residuals @ residuals)
    if squares == 0:
        return change, 0.0, n - 2.0
    memory = float(residuals[1:] @ residuals[:-1]) / squares
    memory = min(memory + (2 + 5 * memory) / n, 1 - 2 / n)
    g = max(statistical_inefficiency(residuals), (1 + memory) / (1 - memory))
    dof = max(n / g - 2, 1.0)
    error = math.sqrt(squares / n * g / float(time @ time) * (1 + 2 / dof))
    return change, error, dof
