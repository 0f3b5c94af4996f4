"""Intervals of electrochemical limits from the engine's error: Monte Carlo over the entries.

Each sample draws an error for every phase from `screening.stability.engine_error`, takes it out of
the energies and computes the limits anew. 68 % of the samples lie within an interval, which is
widened to hold the engine's own value where the engine's bias puts that outside.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from screening.stability.corrections import HALOGENS
from screening.stability.engine_error import ErrorModel, error_model
from screening.stability.enthalpies import HIDDEN_DIVALENT, measured_halides
from screening.stability.hull import Hull
from screening.stability.window import window_limits

__all__ = ["ErrorModel", "LimitIntervals", "error_model", "limit_intervals"]

SAME_LIMIT_V = 1e-3
QUANTILES_68 = (0.1587, 0.8413)
HULLS_KEPT = 16
N_SAMPLES = 200
# A sample is a hull: milliseconds, but in mixed halides of eight elements 0.1 s, of nine 0.3 s.
MANY_FACETS = 300
N_SAMPLES_OF_MANY = 40
REDUCTION = (0, 2, 3, 5)  # what a wrong reduction limit spoils, of the six fields below

Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class LimitIntervals:
    """68 % intervals of a candidate's own limits and of its equilibrium's, in volts.

    Each holds the engine's value. None: the limit is infinite, or there is no ground for an
    interval and `reason` says why.
    """

    reduction_68_V: Interval | None = None
    oxidation_68_V: Interval | None = None
    width_68_V: Interval | None = None
    equilibrium_reduction_68_V: Interval | None = None
    equilibrium_oxidation_68_V: Interval | None = None
    equilibrium_width_68_V: Interval | None = None
    reason: str = ""


def limit_intervals(
    hull: Hull,
    amounts: ArrayLike,
    energy_eV: float,
    metal: str,
    model: ErrorModel | str,
    n_samples: int | None = None,
    seed: int = 0,
    *,
    polymorph_eV: float | None = None,
) -> LimitIntervals:
    """Intervals of both windows of one candidate.

    Each sample takes one draw of errors from all phases and from the candidate and computes the
    limits anew. The perturbed hulls of the competitors are kept, so candidates of one chemical
    system meet the same samples: differences between them are not blurred by what they share.

    Args:
        hull: of the competitors, the candidate not among them.
        amounts: atoms of each element of the hull, (n_elements,), of whatever amount.
        energy_eV: of these amounts, from the engine.
        metal: symbol of the mobile ion, monovalent.
        model: from `error_model`; a reason instead of a model is handed on.
        n_samples: even; None takes as many as such a hull allows in a few seconds.
        seed: of all draws.
        polymorph_eV: of these amounts in another structure, which competes in the equilibrium and
            is no product of the candidate's own reactions; None if there is none.
    """
    if isinstance(model, str):
        return LimitIntervals(reason=model)
    if not _halides_only(hull.elements):
        return LimitIntervals(
            reason="the engine's error is known for halides only, and "
            f"{'-'.join(hull.elements)} is no system of metals and halogens alone"
        )
    if n_samples is None:
        n_samples = N_SAMPLES if len(hull.facets) < MANY_FACETS else N_SAMPLES_OF_MANY
    n = np.asarray(amounts, dtype=np.float64)
    candidate = Composition(dict(zip(hull.elements, n, strict=True)))
    energies_eV = np.array([energy_eV, math.inf if polymorph_eV is None else polymorph_eV])
    value = _limits_V(hull, n, energies_eV, metal)
    stable = energy_eV <= min(float(hull.energies_at(n)), energies_eV[1])
    sampled = np.array(
        [
            _limits_V(perturbed, n, energies_eV - error_eV, metal, ranked=stable)
            for perturbed, error_eV in zip(
                _perturbed(hull, model, n_samples, seed),
                model.draw_eV(candidate, n_samples, seed),
                strict=True,
            )
        ]
    )
    groundless = _groundless(hull, n, energies_eV, metal, value)
    reduction, oxidation, width, onset, end, span = (
        None if why else _interval(draws, at)
        for draws, at, why in zip(sampled.T, value, groundless, strict=True)
    )
    return LimitIntervals(
        reduction_68_V=reduction,
        oxidation_68_V=oxidation,
        width_68_V=width,
        equilibrium_reduction_68_V=onset,
        equilibrium_oxidation_68_V=end,
        equilibrium_width_68_V=span,
        reason="; ".join(dict.fromkeys(why for why in groundless if why)),
    )


def _halides_only(elements: tuple[str, ...]) -> bool:
    metals = {s for s in elements if Element(s).is_metal} | {
        halide.metal for halide in measured_halides().values()
    }
    return bool(set(elements) & set(HALOGENS)) and set(elements) <= metals | set(HALOGENS)


_PERTURBED: OrderedDict[tuple[object, ...], list[Hull]] = OrderedDict()


def _perturbed(hull: Hull, model: ErrorModel, n_samples: int, seed: int) -> list[Hull]:
    """The hull in each sample, made once for each chemical system."""
    energies = hull.energies_eV_per_atom
    key = (hull.elements, hull.formulas, energies.tobytes(), model, n_samples, seed)
    if key not in _PERTURBED:
        errors = np.array(
            [
                model.draw_eV(Composition(formula), n_samples, seed)
                / Composition(formula).num_atoms
                for formula in hull.formulas
            ]
        )
        _PERTURBED[key] = [hull.with_energies(energies - drawn) for drawn in errors.T]
        if len(_PERTURBED) > HULLS_KEPT:
            _PERTURBED.popitem(last=False)
    _PERTURBED.move_to_end(key)
    return _PERTURBED[key]


def _limits_V(
    hull: Hull, amounts: Floats, energies_eV: Floats, metal: str, *, ranked: bool = False
) -> Floats:
    """Reduction, oxidation, width, then the same of the equilibrium: (6,).

    A polymorph below the hull of the other phases is the equilibrium at its composition, and its
    own limits are those of the equilibrium: no hull with the polymorph in it is needed.

    Args:
        hull: of phases of other compositions.
        amounts: (n_elements,).
        energies_eV: of the candidate and of its polymorph; infinite if there is none, (2,).
        metal: symbol.
        ranked: where the candidate lies above the hull its limits are those of the equilibrium,
            as in a ranking: a large formula unit a little above it has own limits that are absurd.
    """
    limits = window_limits(hull, [amounts, amounts], energies_eV, metal)
    reduction, oxidation = limits.reduction_V[0], limits.oxidation_V[0]
    onset, end = limits.equilibrium_reduction_V[0], limits.equilibrium_oxidation_V[0]
    if limits.e_above_hull_eV_per_atom[1] < 0:
        onset, end = limits.reduction_V[1], limits.oxidation_V[1]
    if ranked and limits.e_above_hull_eV_per_atom[0] > 0:
        reduction, oxidation = onset, end
    widths = max(0.0, oxidation - reduction), max(0.0, end - onset)
    return np.array([reduction, oxidation, widths[0], onset, end, widths[1]])


def _interval(draws: Floats, value: float) -> Interval | None:
    if not (np.isfinite(draws).all() and math.isfinite(value)):
        return None
    low, high = np.quantile(draws, QUANTILES_68)
    return min(float(low), float(value)), max(float(high), float(value))


def _groundless(
    hull: Hull, amounts: Floats, energies_eV: Floats, metal: str, value: Floats
) -> list[str]:
    """For each of the six limits, why the model does not know its error; empty where it does."""
    why = [""] * len(value)
    hidden = [s for s in HIDDEN_DIVALENT if s in hull.elements]
    if hidden:
        for field in REDUCTION:
            why[field] = (
                f"the divalent state of {', '.join(hidden)} is missing from the potential: the "
                "error of reduction limits is far larger than that of any other metal"
            )
    kept = [i for i, formula in enumerate(hull.formulas) if not _without_halogen(formula)]
    if len(kept) < len(hull.formulas):
        rest = Hull.of(
            hull.elements,
            [hull.formulas[i] for i in kept],
            hull.fractions[kept],
            hull.energies_eV_per_atom[kept],
        )
        moved = np.abs(_limits_V(rest, amounts, energies_eV, metal) - value) > SAME_LIMIT_V
        for field in np.flatnonzero(moved).tolist():
            why[field] = why[field] or (
                "a limit depends on compounds without a halogen "
                f"({', '.join(sorted(set(hull.formulas) - set(rest.formulas)))}), and the "
                "engine's error is known for halides only"
            )
    return why


def _without_halogen(formula: str) -> bool:
    symbols = {element.symbol for element in Composition(formula)}
    return len(symbols) > 1 and not symbols & set(HALOGENS)
