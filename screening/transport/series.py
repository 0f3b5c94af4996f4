"""Means of correlated time series."""

from __future__ import annotations

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
