"""The interval of a quantity that is proportional to squared displacements.

Two kinds of noise, two shapes. Gaussian motion makes the estimate a mean of squares: given the
estimate, the true value follows an inverse gamma distribution, long towards large values. Counting
hops is Poisson's: the true value follows a gamma distribution, long towards small ones. The
posterior is the distribution of the product, by the cumulants of its logarithm and the expansion of
Cornish and Fisher; of the prior 1/D for the one and Jeffreys's for the other.
"""

from __future__ import annotations

import math

from scipy import special

ONE_SIGMA = 0.6827  # confidence of what is called the 68 % interval


def interval(
    estimate: float, relative_variance: float, hop_share: float, dof: float, confidence: float
) -> tuple[float, float]:
    """Central interval, in the unit of `estimate`.

    Args:
        estimate: positive.
        relative_variance: of the estimate over its square.
        hop_share: part of that variance which is shot noise of hops, 0 to 1.
        dof: behind the variance; infinite where it is known.
        confidence: e.g. 0.95.
    """
    mean, variance, third = 0.0, 0.0, 0.0
    if hop_share < 1:
        shape = 1.0 / (relative_variance * (1 - hop_share))
        mean += math.log(shape) - special.psi(shape)
        variance += special.polygamma(1, shape)
        third -= special.polygamma(2, shape)
    if hop_share > 0:
        n_hops = 1.0 / (relative_variance * hop_share)
        mean += special.psi(n_hops + 0.5) - math.log(n_hops)
        variance += special.polygamma(1, n_hops + 0.5)
        third += special.polygamma(2, n_hops + 0.5)
    skewness = third / variance**1.5
    reach = float(special.stdtrit(dof, (1 + confidence) / 2))
    low, high = (
        estimate * math.exp(mean + (z + (z * z - 1) * skewness / 6) * math.sqrt(variance))
        for z in (-reach, reach)
    )
    return low, high
