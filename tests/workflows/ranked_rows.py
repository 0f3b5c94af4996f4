"""Rows of a ranking with what a test says of them."""

from __future__ import annotations

from screening.ranked import RankedCandidate
from screening.transport.documents import Diffusivity


def bare_row(identifier="KCl-a-1", **known):
    """A finished candidate of which nothing is known but what `known` says."""
    values = {
        "rank": None,
        "id": identifier,
        "formula": "KCl",
        "mobile_ion": "K",
        "state": "done",
        "stage": "transport",
        "engine": "chgnet",
        "host": "rocksalt",
        "degeneracy": 1,
    }
    return RankedCandidate(**{**values, **known})


def row(identifier, window_V=2.0, sigma_S_cm=None, bound_S_cm=None, **known):
    """A finished, ranked candidate of the first front, unless `known` says otherwise."""
    ion = known.pop("mobile_ion", "K")
    sigma_68 = (sigma_S_cm / 2, sigma_S_cm * 2) if sigma_S_cm else None
    return RankedCandidate(
        **{
            "rank": 1,
            "pareto_front": 1,
            "id": identifier,
            "formula": f"{ion}TaCl6",
            "mobile_ion": ion,
            "state": "done",
            "stage": "transport",
            "engine": "chgnet",
            "host": "k2ptcl6",
            "degeneracy": 1,
            "window_V": window_V,
            "window_68_V": None if window_V is None else (window_V - 0.1, window_V + 0.2),
            "conductivity_300K_S_cm": sigma_S_cm,
            "conductivity_300K_68_S_cm": sigma_68,
            "conductivity_300K_upper_bound_S_cm": bound_S_cm,
        }
        | known
    )


def diffusivity(temperature_K, D_cm2_s=None, bound_cm2_s=None, **known):
    """A value with intervals, or an upper bound."""
    intervals = (
        {}
        if D_cm2_s is None
        else {"D_68_cm2_s": (D_cm2_s / 2, D_cm2_s * 2), "D_95_cm2_s": (D_cm2_s / 4, D_cm2_s * 4)}
    )
    return Diffusivity(
        species="K",
        temperature_K=temperature_K,
        duration_ps=40.0,
        n_hops=10.0,
        D_cm2_s=D_cm2_s,
        upper_bound_cm2_s=bound_cm2_s,
        reason=None if bound_cm2_s is None else "few hops",
        **intervals,
        **known,
    )
