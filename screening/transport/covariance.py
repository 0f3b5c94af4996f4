"""The covariance of a mean squared displacement (MSD) between lags.

Every lag averages over the same trajectory, so that values at neighbouring lags are almost the same
number, and those at long lags rest on few independent stretches. Two parts add up.

Gaussian motion. For coordinates with stationary Gaussian increments all follows from the mean
products γ(k) of two coordinates' displacements themselves: increments over n and m frames whose
origins lie k frames apart have the covariance

    c(k) = [γ(k + m) + γ(k - n) - γ(k) - γ(k + m - n)] / 2,

and by Isserlis' theorem the averages over all origins have 2 Σ c(k)², the sum over all pairs of
origins and of coordinates, divided by the number of pairs of origins. Brownian motion with noise
(Michalet, Phys. Rev. E 82, 041914 (2010), doi:10.1103/PhysRevE.82.041914) is the case of a straight
γ.

Hops. Ions that hop now and then are not Gaussian: each hop adds its squared length to as many
origins as span it, at all lags alike. That part is the shot noise of counting hops.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_POINTS_ALONG_RUN = 400


@numba.njit(cache=True)
def gaussian_covariance(
    gamma: Array, weights: Array, lags: NDArray[np.int64], unit: int, n_origins: Array
) -> Array:
    """Covariance of the MSD of one ion between lags.

    Args:
        gamma: shape (n_pairs, n_units), Å²: mean products of displacements of pairs of coordinates
            at 0, 1, 2 ... units, up to twice the longest lag.
        weights: shape (n_pairs,), 1, or 2 for two different coordinates.
        lags: in units, ascending.
        unit: frames; the sum over origins is done in steps of it.
        n_origins: shape (n_lags,), origins that each lag is averaged over.

    Returns:
        shape (n_lags, n_lags); divide by the number of independent ions.
    """
    n_lags = lags.size
    covariance = np.zeros((n_lags, n_lags))
    for a in range(n_lags):
        for b in range(a, n_lags):
            n, m = lags[a], lags[b]
            total = 0.0
            for k in range(-m, n + 1):
                apart = k * unit
                pairs = min(n_origins[a], n_origins[b] - apart) - max(0.0, -apart)
                if pairs <= 0:
                    continue
                squared = 0.0
                for d in range(gamma.shape[0]):
                    common = 0.5 * (
                        gamma[d, abs(k + m)]
                        + gamma[d, abs(k - n)]
                        - gamma[d, abs(k)]
                        - gamma[d, abs(k + m - n)]
                    )
                    squared += weights[d] * common * common
                total += pairs * squared
            covariance[a, b] = 2.0 * unit * total / (n_origins[a] * n_origins[b])
            covariance[b, a] = covariance[a, b]
    return covariance


def hop_covariance(lags: NDArray[np.int64], n_frames: int) -> Array:
    """Shot noise of hops, for a relative variance of 1 of the slope of the MSD (per frame).

    A hop at time s is spanned by min(s, n_frames - s, lag, n_frames - lag) origins.

    Args:
        lags: in frames.
        n_frames: length of the run.

    Returns:
        shape (n_lags, n_lags), in units of the squared slope; for short lags the product of the
        lags.
    """
    s = (np.arange(_POINTS_ALONG_RUN) + 0.5) * (n_frames / _POINTS_ALONG_RUN)
    from_ends = np.minimum(s, n_frames - s)
    spanned = np.minimum(from_ends, np.minimum(lags, n_frames - lags)[:, None])
    share = spanned / (n_frames - lags)[:, None]
    return np.asarray(share @ share.T * (n_frames**2 / _POINTS_ALONG_RUN))
