"""Which error model of formation energies predicts halides of metals that it was not fitted to.

    python benchmarks/uncertainty.py [SNAPSHOT]

Each model is fitted without one fifth of the metals and scored on their halides: log probability
density of the measured errors (natural logarithm, summed), and how many of the measured limits
(oxidation of alkali halides, reduction of all others) lie in the 68 % intervals that follow, as
the Monte Carlo leaves them and widened to hold the engine's value.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.periodic_table import Element
from scipy.optimize import minimize

from screening.stability.enthalpies import (
    HIDDEN_DIVALENT,
    HalideError,
    halide_errors,
    halide_window,
    limit_errors,
)
from screening.stability.references import ReferencePhases

N_FOLDS = 5
N_SAMPLES = 100

Floats = NDArray[np.float64]


class Halides:
    """Columns of all halides."""

    def __init__(self, errors: Sequence[HalideError]) -> None:
        halides = [error.halide for error in errors]
        self.formulas = [h.formula for h in halides]
        self.errors_eV = np.array([error.error_eV for error in errors])
        self.engine_eV = {error.halide.formula: error.engine_eV for error in errors}
        self.variance = np.array([h.uncertainty_eV for h in halides]) ** 2
        self.n_atoms = np.array([h.n_atoms for h in halides])
        self.n_ions = np.array([h.n_halogen for h in halides])
        self.n_metal = self.n_atoms - self.n_ions
        self.charge = np.array([h.charge for h in halides])
        self.metal = np.array([h.metal for h in halides])
        self.kind = np.array([h.kind for h in halides])
        blocks = np.array([Element(h.metal).block for h in halides])
        self.outside_s = (blocks != "s").astype(float)
        self.in_p = (blocks == "p").astype(float)
        self.same_metal = self.metal[:, None] == self.metal
        halogen = np.array([h.halogen for h in halides])
        self.same_halogen = halogen[:, None] == halogen


@dataclass(frozen=True)
class Model:
    """Means (n, n_biases) and a covariance from logarithms of spreads."""

    name: str
    n_spreads: int
    means: Callable[[Halides], Floats]
    covariance: Callable[[Halides, Floats], Floats]

    def fit(self, data: Halides, used: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Mean and covariance of all halides from those used."""
        means = self.means(data)

        def parts(t: Floats) -> tuple[Floats, Floats, Floats]:
            covariance = self.covariance(data, np.exp(t))
            inner = covariance[np.ix_(used, used)] + np.diag(data.variance[used])
            root = np.linalg.cholesky(inner)
            white = np.linalg.solve(root, means[used])
            target = np.linalg.solve(root, data.errors_eV[used])
            bias = np.linalg.lstsq(white, target, rcond=None)[0]
            rest = target - white @ bias
            return covariance, bias, 0.5 * rest @ rest + np.log(np.diag(root)).sum()

        start = np.full(self.n_spreads, np.log(0.08))
        bounds = [(-7.0, 3.0)] * self.n_spreads
        best = minimize(lambda t: parts(t)[2], start, method="L-BFGS-B", bounds=bounds)
        covariance, bias, _ = parts(best.x)
        return means @ bias, covariance


def _no_bias(d: Halides) -> Floats:
    return np.zeros((len(d.formulas), 0))


def _by_charge(d: Halides) -> Floats:
    return np.column_stack([d.n_ions, d.n_ions * d.charge])


def _by_charge_and_block(d: Halides) -> Floats:
    return np.column_stack([_by_charge(d), d.n_ions * d.in_p])


def _per_atom(d: Halides, s: Floats) -> Floats:
    return np.diag((s[0] * d.n_atoms) ** 2)


def _elements(d: Halides, s: Floats) -> Floats:
    metals = s[0] ** 2 * np.outer(d.n_metal, d.n_metal) * d.same_metal
    halogens = s[1] ** 2 * np.outer(d.n_ions, d.n_ions) * d.same_halogen
    return metals + halogens + np.diag((s[2] * d.n_atoms) ** 2)


def _classes(d: Halides, s: Floats) -> Floats:
    covalent = np.isin(d.kind, ["d metal, charge 4 and more", "p metal"])
    size = np.where(covalent, s[2], np.where(d.outside_s > 0, s[1], s[0]))
    return np.diag((size * d.n_atoms) ** 2)


def _ions(d: Halides, s: Floats) -> Floats:
    return np.diag((s[0] * d.n_ions) ** 2)


def _shared(d: Halides, s: Floats) -> Floats:
    return s[0] ** 2 * np.outer(d.n_ions, d.n_ions) * d.same_metal + np.diag((s[1] * d.n_ions) ** 2)


def _shared_scaled(d: Halides, s: Floats) -> Floats:
    n = d.n_ions * np.where(d.outside_s > 0, s[2], 1.0)
    return s[0] ** 2 * np.outer(n, n) * d.same_metal + np.diag((s[1] * n) ** 2)


MODELS = (
    Model("independent per atom", 1, _no_bias, _per_atom),
    Model("shared by element, rest per atom", 3, _no_bias, _elements),
    Model("independent per atom, three classes", 3, _no_bias, _classes),
    Model("bias by charge, independent per ion", 1, _by_charge, _ions),
    Model("bias by charge, shared by metal", 2, _by_charge, _shared),
    Model("and larger outside the s block", 3, _by_charge, _shared_scaled),
    Model("and a bias of p metals (used)", 3, _by_charge_and_block, _shared_scaled),
)


def score(model: Model, data: Halides, limits: dict[str, tuple[str, str, float, float]]) -> dict:
    metals = sorted(set(data.metal))
    draws = np.random.default_rng(0).standard_normal((N_SAMPLES // 2, len(data.formulas)))
    log_score, raw, widened, widths = 0.0, [], [], []
    for fold in range(N_FOLDS):
        left_out = np.isin(data.metal, metals[fold::N_FOLDS])
        mean, covariance = model.fit(data, ~left_out)
        inner = covariance[np.ix_(left_out, left_out)] + np.diag(data.variance[left_out])
        root = np.linalg.cholesky(inner)
        white = np.linalg.solve(root, (data.errors_eV - mean)[left_out])
        log_score -= 0.5 * white @ white + np.log(np.diag(root)).sum()
        log_score -= 0.5 * left_out.sum() * np.log(2 * np.pi)
        spread = draws @ np.linalg.cholesky(covariance + 1e-12 * np.eye(len(mean))).T
        for index in np.flatnonzero(left_out):
            formula = data.formulas[index]
            if formula not in limits:
                continue
            against, limit, measured_V, engine_V = limits[formula]
            near = [
                i
                for i, other in enumerate(data.formulas)
                if data.same_halogen[i, index] and data.metal[i] in (data.metal[index], against)
            ]
            sampled = [
                halide_window(
                    {
                        data.formulas[i]: data.engine_eV[data.formulas[i]] - mean[i] - sign * s[i]
                        for i in near
                    },
                    formula,
                    against,
                )[0 if limit == "reduction" else 1]
                for s in spread
                for sign in (1, -1)
            ]
            low, high = np.quantile(sampled, (0.1587, 0.8413))
            raw.append(low <= measured_V <= high)
            low, high = min(low, engine_V), max(high, engine_V)
            widened.append(low <= measured_V <= high)
            widths.append(high - low)
    return {
        "model": model.name,
        "n_parameters": model.n_spreads + model.means(data).shape[1],
        "log_score": float(log_score),
        "coverage_raw": float(np.mean(raw)),
        "coverage": float(np.mean(widened)),
        "median_width_V": float(np.median(widths)),
    }


def main() -> None:
    snapshot = sys.argv[1] if len(sys.argv) > 1 else "chgnet-0.3.0"
    references = ReferencePhases.load(snapshot)
    errors = [e for e in halide_errors(references) if e.halide.metal not in HIDDEN_DIVALENT]
    data = Halides(errors)
    limits = {
        e.formula: (e.against, e.limit, e.measured_V, e.engine_V) for e in limit_errors(errors)
    }
    rows = []
    for model in MODELS:
        rows.append(score(model, data, limits))
        print(
            f"{rows[-1]['model']:36s} {rows[-1]['n_parameters']} parameters  "
            f"log score {rows[-1]['log_score']:7.1f}  coverage {rows[-1]['coverage_raw']:.2f} "
            f"({rows[-1]['coverage']:.2f} widened)  width {rows[-1]['median_width_V']:.2f} V",
            file=sys.stderr,
            flush=True,
        )
    print(
        json.dumps(
            {
                "snapshot": snapshot,
                "references_sha256": references.sha256,
                "n_halides": len(errors),
                "n_limits": len(limits),
                "models": rows,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
