"""Diffusivities that follow an Arrhenius law, or are bounds."""

import numpy as np
from scipy import stats

from screening.transport.documents import Diffusivity
from screening.units import BOLTZMANN_EV_PER_K

TEMPERATURES_K = (600.0, 700.0, 850.0, 1000.0)
LAW_EV = 0.35


def value(temperature_K, D_cm2_s, ln_error=0.1, dof=np.inf):
    """A value whose ln has the 68 % half-width `ln_error`."""
    reach = np.exp(ln_error)
    wide = np.exp(ln_error * stats.t.ppf(0.975, dof) / stats.t.ppf(0.84135, dof))
    return Diffusivity(
        species="K",
        temperature_K=temperature_K,
        duration_ps=40.0,
        n_hops=100.0,
        D_cm2_s=D_cm2_s,
        D_68_cm2_s=(D_cm2_s / reach, D_cm2_s * reach),
        D_95_cm2_s=(D_cm2_s / wide, D_cm2_s * wide),
    )


def bound(temperature_K, bound_cm2_s=1e-7, n_hops=0.0):
    return Diffusivity(
        species="K",
        temperature_K=temperature_K,
        duration_ps=40.0,
        n_hops=n_hops,
        upper_bound_cm2_s=bound_cm2_s,
        reason=f"{n_hops:.1f} hops",
    )


def melted(entry):
    return entry.model_copy(update={"framework_moves": True})


def law(temperature_K, ea_eV=LAW_EV, d0_cm2_s=1e-3):
    return d0_cm2_s * np.exp(-ea_eV / (BOLTZMANN_EV_PER_K * temperature_K))
