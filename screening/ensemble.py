"""Thermal averages over the orderings of one cell.

A distinct ordering of degeneracy g has the probability g exp(-E / kB T) / Z, where E is the energy
of the whole cell, not per atom. A uniform random sample of the distinct orderings needs no other
weights: sums over it estimate those over all orderings up to one factor that numerator and
denominator share (a ratio estimator: consistent, with a bias that falls as 1/n).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from screening.errors import InvalidInput
from screening.units import BOLTZMANN_EV_PER_K

_EQUAL_ENERGY_EV = 1e-12  # ground states that differ by rounding alone


def boltzmann_weights(
    energies_eV: ArrayLike, degeneracies: ArrayLike, temperature_K: float
) -> NDArray[np.float64]:
    """Probability of each distinct ordering; the sum is 1.

    Args:
        energies_eV: shape (n,), per cell.
        degeneracies: shape (n,), positive whole numbers of any size.
        temperature_K: 0 leaves the ground states alone, infinity the degeneracies alone.

    Raises:
        InvalidInput: no ordering, an energy that is not finite, a degeneracy below 1, or a
            temperature that is negative or NaN.
    """
    energies, logs = np.asarray(energies_eV, dtype=np.float64), _logs(degeneracies)
    if energies.size == 0 or energies.shape != logs.shape:
        raise InvalidInput(
            f"{energies.size} energies and {logs.size} degeneracies; give one of each an ordering"
        )
    if n_bad := int((~np.isfinite(energies)).sum()):
        raise InvalidInput(f"{n_bad} of {energies.size} energies are not finite; leave those out")
    if not temperature_K >= 0:  # NaN lands here too
        raise InvalidInput(f"a temperature of {temperature_K:g} K; give 0 K or more")
    excess_eV = energies - energies.min()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scaled = excess_eV / (BOLTZMANN_EV_PER_K * temperature_K)
    exponents = logs - np.where(excess_eV < _EQUAL_ENERGY_EV, 0, scaled)
    weights = np.exp(exponents - exponents.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def thermal_average(values: ArrayLike, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over all configurations of what symmetry leaves as it is.

    Args:
        values: shape (n, ...), a number or array for each ordering.
        weights: shape (n,), of `boltzmann_weights`.
    """
    return np.tensordot(weights, np.asarray(values, dtype=np.float64), axes=1)


def configurational_entropy_eV_per_K(
    weights: NDArray[np.float64], degeneracies: ArrayLike, n_configurations: int | None = None
) -> float:
    """Entropy per cell, -kB times the sum of p ln p over all configurations.

    Args:
        weights: shape (n,), of `boltzmann_weights` with the same degeneracies.
        degeneracies: shape (n,).
        n_configurations: of the whole space, if the orderings are a sample of it.
    """
    logs, seen = _logs(degeneracies), weights > 0
    entropy = float(weights[seen] @ (logs[seen] - np.log(weights[seen])))
    if n_configurations is not None:
        entropy += math.log(n_configurations) - float(np.logaddexp.reduce(logs))
    return BOLTZMANN_EV_PER_K * entropy


def _logs(degeneracies: ArrayLike) -> NDArray[np.float64]:
    """Natural logarithms, also of whole numbers beyond any floating-point number."""
    counts = np.asarray(degeneracies)
    if counts.size and counts.min() < 1:
        raise InvalidInput(f"a degeneracy of {counts.min()}; each ordering counts itself at least")
    if counts.dtype != object:
        return np.asarray(np.log(counts), dtype=np.float64)
    return np.array([math.log(count) for count in counts.tolist()])
