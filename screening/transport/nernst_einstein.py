"""Conductivity and diffusivity, joined by the law of Nernst and Einstein."""

from __future__ import annotations

from screening.units import BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C


def conductivity_per_diffusivity(
    carriers_per_cm3: float, charge: int, temperature_K: float
) -> float:
    """σ / D = n z² e² / (kB T), in S s/cm³.

    The carriers move independently of each other (Haven ratio 1).

    Args:
        carriers_per_cm3: n, number density of the mobile ions.
        charge: z, in elementary charges.
        temperature_K: T.
    """
    kT_J = BOLTZMANN_J_PER_K * temperature_K
    return carriers_per_cm3 * (charge * ELEMENTARY_CHARGE_C) ** 2 / kT_J
