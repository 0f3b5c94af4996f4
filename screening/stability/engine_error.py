"""The error of an engine's formation energies of halides, as a distribution fitted to measurements.

The error of a halide, engine minus truth, is a sum over its halide ions. An ion that belongs to the
cation M of charge z contributes

    bias(M, z) + scale(M) (b_M + c_MzX),
    bias(M, z) = alpha + beta z + (gamma, if M is a p metal),

where b_M ~ N(0, tau²) is shared by all halides of M and c_MzX ~ N(0, sigma²) by all that hold M in
the charge z with the halogen X; scale is 1 for s-block metals and one fitted number for all others.
The ions of a compound with several cations are dealt out by charge, so what two halides have in
common cancels in the reaction between them. Compounds of more than two elements add an error of
their own of N atoms × 24 meV, the scatter of reaction energies that Hautier et al. found for
ternary oxides formed from binaries. All numbers but this one are fitted to the measured enthalpies
in `screening.stability.enthalpies`; docs/uncertainty.md has the derivation and the scores.

Reference:
    Hautier, Ong, Jain, Moore, Ceder, Phys. Rev. B 85, 155208 (2012),
    doi:10.1103/PhysRevB.85.155208.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element
from scipy.optimize import minimize

from screening.stability.corrections import HALOGENS
from screening.stability.enthalpies import HIDDEN_DIVALENT, HalideError, halide_errors
from screening.stability.references import Hashed, ReferencePhases

MIXING_SPREAD_EV_PER_ATOM = 0.024  # Hautier et al. (2012)
MIN_HALIDES = 25
MIN_METALS = 10
USUAL_CHARGES = {"Al": 3.0, "Zn": 2.0, "Cd": 2.0, "Zr": 4.0, "Hf": 4.0}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ErrorModel:
    """Errors of an engine's halides; energies in eV per halide ion.

    Args:
        alpha_eV, beta_eV, gamma_eV: bias = alpha + beta × charge + gamma for p metals.
        shared_spread_eV: tau, of what all halides of an s-block metal share.
        own_spread_eV: sigma, of what an s-block metal and a halogen add to it.
        scale: of both spreads for metals outside the s block.
        n_halides: that it was fitted to.
        references_sha256: of the phases it was fitted to; None for a fit to a part of them.
    """

    alpha_eV: float
    beta_eV: float
    gamma_eV: float
    shared_spread_eV: float
    own_spread_eV: float
    scale: float
    n_halides: int
    references_sha256: str | None = None

    def draw_eV(self, phase: Composition, n_samples: int, seed: int) -> Floats:
        """Errors of a phase, engine minus truth, for the amount that `phase` stands for.

        Elements, and phases without a halogen, have none. The same labels get the same numbers
        wherever they are asked for: a metal's, a metal's in one charge with one halogen, and a
        composition's, polymorphs together.

        Args:
            phase: of any scale.
            n_samples: even; the second half are the first half's opposites.
            seed: of all draws.

        Returns:
            shape (n_samples,).
        """
        errors = np.zeros(n_samples)
        shares = halide_ions(phase)
        for (metal, charge, halogen), n_ions in shares.items():
            scale = 1.0 if _in_s_block(metal) else self.scale
            shared = self.shared_spread_eV * _normal(metal, n_samples, seed)
            own = self.own_spread_eV * _normal(f"{metal} {charge:.3f} {halogen}", n_samples, seed)
            errors += n_ions * (self._bias_eV(metal, charge) + scale * (shared + own))
        if shares and len(phase.elements) > 2:
            fractions = phase.fractional_composition.get_el_amt_dict()
            label = " ".join(f"{symbol} {fractions[symbol]:.6f}" for symbol in sorted(fractions))
            spread = MIXING_SPREAD_EV_PER_ATOM * phase.num_atoms
            errors += spread * _normal(label, n_samples, seed)
        return errors

    def _bias_eV(self, metal: str, charge: float) -> float:
        return self.alpha_eV + self.beta_eV * charge + self.gamma_eV * _in_p_block(metal)


def error_model(references: ReferencePhases) -> ErrorModel | str:
    """The error model of the engine behind a snapshot, or why there is none.

    Args:
        references: the whole snapshot, not one chemical system of it.
    """
    return _error_model(Hashed(references))


def fit_error_model(
    errors: Iterable[HalideError], references_sha256: str | None = None
) -> ErrorModel:
    """Fit the model by maximum likelihood.

    The biases are those of generalised least squares for each set of spreads. Sm, Eu and Yb are
    left out: their divalent state is missing from the potential, which no statistics covers.

    Args:
        errors: of binary halides.
        references_sha256: of the phases that they are of.
    """
    used = [e for e in errors if e.halide.metal not in HIDDEN_DIVALENT]
    data = _Residuals.of(used)
    start = np.log([0.05, 0.05, 2.0])
    bounds = [(math.log(1e-3), math.log(2.0))] * 2 + [(0.0, math.log(20.0))]
    best = minimize(data.minus_log_likelihood, start, method="L-BFGS-B", bounds=bounds)
    tau, sigma, scale = np.exp(best.x)
    alpha, beta, gamma = data.bias(best.x)
    return ErrorModel(
        alpha_eV=float(alpha),
        beta_eV=float(beta),
        gamma_eV=float(gamma),
        shared_spread_eV=float(tau),
        own_spread_eV=float(sigma),
        scale=float(scale),
        n_halides=len(used),
        references_sha256=references_sha256,
    )


def halide_ions(phase: Composition) -> dict[tuple[str, float, str], float]:
    """The halide ions of a phase dealt out to its cations: (metal, charge, halogen) -> number.

    Alkali metals are monovalent, alkaline earths divalent; what is left of the halide ions' charge
    goes to the other metals, all of it to a single one, and shared evenly where several have no
    usual charge. Empty for a phase without a halogen or without a metal.
    """
    halogens = {e.symbol: float(n) for e, n in phase.items() if e.symbol in HALOGENS}
    metals = {e.symbol: float(n) for e, n in phase.items() if e.symbol not in HALOGENS}
    n_halogen = sum(halogens.values())
    if not halogens or not metals:
        return {}
    charges = {m: c for m in metals if (c := _usual_charge(m, alone=len(metals) == 1)) is not None}
    variable = [m for m in metals if m not in charges]
    if not variable and not _neutral(charges, metals, n_halogen):
        variable = [m for m in metals if not _in_s_block(m)]
    fixed = sum(charges[m] * metals[m] for m in metals if m not in variable)
    n_variable = sum(metals[m] for m in variable)
    for m in variable:
        charges[m] = max(0.0, n_halogen - fixed) / n_variable
    total = sum(charges[m] * metals[m] for m in metals)
    scale = n_halogen / total if total else 0.0
    return {
        (m, charges[m] * scale, x): charges[m] * metals[m] * scale * n_x / n_halogen
        for m in metals
        for x, n_x in halogens.items()
        if charges[m] > 0
    }


def _neutral(charges: dict[str, float], metals: dict[str, float], n_halogen: float) -> bool:
    return abs(sum(charges[m] * n for m, n in metals.items()) - n_halogen) < 1e-6 * n_halogen


def _usual_charge(metal: str, *, alone: bool) -> float | None:
    element = Element(metal)
    if element.is_alkali:
        return 1.0
    if element.is_alkaline:
        return 2.0
    if alone:
        return None
    if element.is_rare_earth:
        return 3.0
    return USUAL_CHARGES.get(metal)


def _in_s_block(metal: str) -> bool:
    return Element(metal).block == "s"


def _in_p_block(metal: str) -> bool:
    return Element(metal).block == "p"


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Errors per formula unit with what the model says of their means and covariances."""

    errors_eV: Floats  # (n,)
    uncertainties_eV: Floats  # (n,)
    n_halogen: Floats  # (n,)
    outside_s_block: Floats  # (n,), 0 or 1
    same_metal: Floats  # (n, n), 0 or 1
    means: Floats  # (n, 3): of alpha, beta, gamma

    @classmethod
    def of(cls, errors: Sequence[HalideError]) -> _Residuals:
        halides = [e.halide for e in errors]
        n_halogen = np.array([h.n_halogen for h in halides])
        charge = np.array([h.charge for h in halides])
        p_block = np.array([_in_p_block(h.metal) for h in halides], dtype=float)
        metals = np.array([h.metal for h in halides])
        return cls(
            errors_eV=np.array([e.error_eV for e in errors]),
            uncertainties_eV=np.array([h.uncertainty_eV for h in halides]),
            n_halogen=n_halogen,
            outside_s_block=np.array([not _in_s_block(h.metal) for h in halides], dtype=float),
            same_metal=(metals[:, None] == metals).astype(float),
            means=np.column_stack([n_halogen, n_halogen * charge, n_halogen * p_block]),
        )

    def covariance(self, log_spreads: Floats) -> Floats:
        tau, sigma, scale = np.exp(log_spreads)
        per_formula = self.n_halogen * np.where(self.outside_s_block > 0, scale, 1.0)
        shared = tau**2 * np.outer(per_formula, per_formula) * self.same_metal
        own = np.diag((sigma * per_formula) ** 2 + self.uncertainties_eV**2)
        covariance: Floats = shared + own
        return covariance

    def bias(self, log_spreads: Floats) -> Floats:
        whitening = np.linalg.cholesky(self.covariance(log_spreads))
        left = np.linalg.solve(whitening, self.means)
        right = np.linalg.solve(whitening, self.errors_eV)
        solution: Floats = np.linalg.lstsq(left, right, rcond=None)[0]
        return solution

    def minus_log_likelihood(self, log_spreads: Floats) -> float:
        whitening = np.linalg.cholesky(self.covariance(log_spreads))
        remaining = self.errors_eV - self.means @ self.bias(log_spreads)
        white = np.linalg.solve(whitening, remaining)
        n = len(white)
        log_determinant = np.log(np.diag(whitening)).sum()
        return float(0.5 * white @ white + log_determinant + 0.5 * n * math.log(2 * math.pi))


@lru_cache(maxsize=8)
def _error_model(key: Hashed) -> ErrorModel | str:
    errors = halide_errors(key.references)
    used = [e.halide for e in errors if e.halide.metal not in HIDDEN_DIVALENT]
    n_metals = len({halide.metal for halide in used})
    if len(used) < MIN_HALIDES or n_metals < MIN_METALS:
        return (
            f"the reference phases hold {len(used)} halides of {n_metals} metals with measured "
            f"formation enthalpies; {MIN_HALIDES} of {MIN_METALS} metals are needed to know the "
            "error of these energies"
        )
    return fit_error_model(errors, key.references.sha256)


@lru_cache(maxsize=4096)
def _normal(label: str, n_samples: int, seed: int) -> Floats:
    """Standard normal numbers that belong to a label."""
    digest = hashlib.sha256(label.encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32).tolist()
    half = np.random.default_rng([seed, *words]).standard_normal(n_samples // 2)
    draws = np.concatenate([half, -half])
    draws.setflags(write=False)
    return draws
