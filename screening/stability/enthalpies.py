"""Measured formation enthalpies of solid halides, beside those of a set of reference phases.

Energies of an engine at 0 K without zero-point motion are compared with enthalpies at 298 K, as the
fit of MP2020's corrections does: for halides the difference is a few meV per atom. The measured
numbers and their sources are data/enthalpies/formation_enthalpies.yaml.

Reference:
    Wang, Kingsbury, McDermott, Horton, Jain, Ong, Dwaraknath, Persson, Sci. Rep. 11, 15496 (2021),
    doi:10.1038/s41598-021-94550-5.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element
from ruamel.yaml import YAML
from scipy import constants

from screening.stability.corrections import HALOGENS
from screening.stability.hull import Hull
from screening.stability.references import Hashed, ReferencePhases

KJ_PER_MOL_IN_EV: float = 1000.0 / (constants.N_A * constants.e)
HIDDEN_DIVALENT = ("Sm", "Eu", "Yb")  # computed with a potential that has no divalent state
ALKALI_OF_LIMITS = ("Na", "K", "Li")  # reduction limits are against the first whose halide is known
KINDS = (
    "alkali",
    "alkaline earth",
    "rare earth",
    "d metal, charge up to 3",
    "d metal, charge 4 and more",
    "p metal",
    "Sm, Eu, Yb",
)


@dataclass(frozen=True)
class MeasuredHalide:
    """A binary halide and its standard enthalpy of formation at 298.15 K, per formula unit.

    Args:
        formula: reduced.
        enthalpy_eV: of the first source.
        uncertainty_eV: the larger of what a source states and half the spread of the sources.
        values: source -> its value in kJ/mol.
    """

    formula: str
    metal: str
    halogen: str
    charge: float
    n_halogen: float
    n_atoms: float
    enthalpy_eV: float
    uncertainty_eV: float
    values: Mapping[str, float]

    @property
    def kind(self) -> str:
        """One of KINDS."""
        element = Element(self.metal)
        if self.metal in HIDDEN_DIVALENT:
            return "Sm, Eu, Yb"
        if element.is_alkali:
            return "alkali"
        if element.is_alkaline:
            return "alkaline earth"
        if element.is_rare_earth:
            return "rare earth"
        if not element.is_transition_metal:
            return "p metal"
        return f"d metal, charge {'4 and more' if self.charge >= 4 else 'up to 3'}"


@dataclass(frozen=True)
class HalideError:
    """What an engine makes of a measured halide; energies in eV per formula unit."""

    halide: MeasuredHalide
    engine_eV: float

    @property
    def error_eV(self) -> float:
        """Engine minus measurement."""
        return self.engine_eV - self.halide.enthalpy_eV

    @property
    def error_eV_per_atom(self) -> float:
        """Engine minus measurement."""
        return self.error_eV / self.halide.n_atoms

    @property
    def error_eV_per_halide_ion(self) -> float:
        """Engine minus measurement; what one electron's share of a limit goes wrong by."""
        return self.error_eV / self.halide.n_halogen


@dataclass(frozen=True)
class LimitError:
    """A limit of a binary halide from measured enthalpies and from the engine, against a metal.

    An alkali halide's limit is its oxidation, that of any other halide its reduction.
    """

    formula: str
    kind: str
    against: str
    limit: str
    measured_V: float
    engine_V: float

    @property
    def error_V(self) -> float:
        """Engine minus measurement."""
        return self.engine_V - self.measured_V


@functools.cache
def measured_halides() -> dict[str, MeasuredHalide]:
    """All measured halides by reduced formula."""
    return {formula: _halide(formula, values) for formula, values in _data()["halides"].items()}


def enthalpy_sources() -> dict[str, str]:
    """What the keys of `MeasuredHalide.values` stand for."""
    return dict(_data()["sources"])


def halide_errors(references: ReferencePhases) -> tuple[HalideError, ...]:
    """Every measured halide that the references hold with its elements, in the order of the data.

    Of polymorphs the lowest counts.
    """
    return _halide_errors(Hashed(references))


@functools.lru_cache(maxsize=16)
def _halide_errors(hashed: Hashed) -> tuple[HalideError, ...]:
    """Made once for each content: every candidate's guards ask for it."""
    lowest = _lowest_energies(hashed.references)
    elements = {
        composition.elements[0].symbol: energy
        for formula, energy in lowest.items()
        if len((composition := Composition(formula)).elements) == 1
    }
    errors = []
    for formula, halide in measured_halides().items():
        if formula in lowest and {halide.metal, halide.halogen} <= elements.keys():
            n_metal = halide.n_atoms - halide.n_halogen
            engine_eV = (
                lowest[formula] * halide.n_atoms
                - elements[halide.metal] * n_metal
                - elements[halide.halogen] * halide.n_halogen
            )
            errors.append(HalideError(halide, float(engine_eV)))
    return tuple(errors)


def mixing_errors_eV_per_atom(references: ReferencePhases) -> dict[str, float]:
    """Errors of forming halides of two metals from their binaries, engine minus measurement.

    Of those with a measured enthalpy whose binaries are measured too and among the references.
    """
    known = {error.halide.formula: error for error in halide_errors(references)}
    lowest = _lowest_energies(references)
    errors = {}
    for formula, values in _data()["mixed_halides"].items():
        composition = Composition(formula)
        hull = halide_hull({f: e.halide.enthalpy_eV for f, e in known.items()}, _symbols(formula))
        parts = hull.decomposition(hull.amounts(composition))
        if formula not in lowest or not parts.keys() <= known.keys():
            continue
        measured_eV, _ = _first_value(values)
        measured_eV -= sum(n * known[part].halide.enthalpy_eV for part, n in parts.items())
        engine_eV = lowest[formula] * composition.num_atoms - sum(
            n * lowest[part] * known[part].halide.n_atoms for part, n in parts.items()
        )
        errors[formula] = (engine_eV - measured_eV) / composition.num_atoms
    return errors


def limit_errors(errors: Iterable[HalideError]) -> tuple[LimitError, ...]:
    """How far the errors move the limits of these halides.

    Both limits come from hulls of the same halides: those of the metal with the halogen, and the
    alkali halide. A halide without any alkali halide of its halogen among `errors` is left out.
    """
    known = {error.halide.formula: error for error in errors}
    measured = {formula: error.halide.enthalpy_eV for formula, error in known.items()}
    engine = {formula: error.engine_eV for formula, error in known.items()}
    found = []
    for formula, error in known.items():
        halide = error.halide
        against, limit = halide.metal, "oxidation"
        if halide.kind != "alkali":
            limit = "reduction"
            near = [a for a in ALKALI_OF_LIMITS if f"{a}{halide.halogen}" in known]
            if not near:
                continue
            against = near[0]
        column = 0 if limit == "reduction" else 1
        found.append(
            LimitError(
                formula,
                halide.kind,
                against,
                limit,
                halide_window(measured, formula, against)[column],
                halide_window(engine, formula, against)[column],
            )
        )
    return tuple(found)


def halide_window(
    energies_eV: Mapping[str, float], formula: str, metal: str
) -> tuple[float, float]:
    """Reduction and oxidation limit of one halide against a metal, in volts.

    Args:
        energies_eV: formation energies per formula unit of binary halides; those of the elements
            at hand compete.
        formula: reduced, one of `energies_eV`.
        metal: monovalent.
    """
    from screening.stability.window import window_limits  # compiled; measured values do without

    hull = halide_hull(energies_eV, {metal, *_symbols(formula)}).without(formula)
    amounts = hull.amounts(Composition(formula))
    limits = window_limits(hull, amounts, energies_eV[formula], metal)
    return float(limits.reduction_V[0]), float(limits.oxidation_V[0])


def halide_hull(energies_eV: Mapping[str, float], elements: Iterable[str]) -> Hull:
    """The hull of compounds of some elements from formation energies per formula unit."""
    symbols = sorted(elements)
    formulas = [f for f in energies_eV if _symbols(f) <= set(symbols)]
    compositions = [Composition(f) for f in [*symbols, *formulas]]
    fractions = [[c.get_atomic_fraction(s) for s in symbols] for c in compositions]
    per_atom = [energies_eV[f] / Composition(f).num_atoms for f in formulas]
    return Hull.of(symbols, [*symbols, *formulas], fractions, [*np.zeros(len(symbols)), *per_atom])


def _lowest_energies(references: ReferencePhases) -> dict[str, float]:
    lowest: dict[str, float] = {}
    for phase in references.phases:
        energy = lowest.get(phase.formula, np.inf)
        lowest[phase.formula] = min(energy, phase.energy_eV_per_atom)
    return lowest


@functools.cache
def _symbols(formula: str) -> frozenset[str]:
    return frozenset(element.symbol for element in Composition(formula))


def _halide(formula: str, values: Mapping[str, Any]) -> MeasuredHalide:
    composition = Composition(formula)
    (metal,) = _symbols(formula) - set(HALOGENS)
    (halogen,) = _symbols(formula) - {metal}
    enthalpy_eV, uncertainty_eV = _first_value(values)
    return MeasuredHalide(
        formula=formula,
        metal=metal,
        halogen=halogen,
        charge=composition[halogen] / composition[metal],
        n_halogen=composition[halogen],
        n_atoms=composition.num_atoms,
        enthalpy_eV=enthalpy_eV,
        uncertainty_eV=uncertainty_eV,
        values={source: _pair(value)[0] for source, value in values.items()},
    )


def _first_value(values: Mapping[str, Any]) -> tuple[float, float]:
    """The first source's value and the uncertainty that all leave, in eV."""
    pairs = [_pair(value) for value in values.values()]
    kJ_mol = [value for value, _ in pairs]
    stated = max(uncertainty for _, uncertainty in pairs)
    uncertainty = max(stated, (max(kJ_mol) - min(kJ_mol)) / 2)
    return kJ_mol[0] * KJ_PER_MOL_IN_EV, uncertainty * KJ_PER_MOL_IN_EV


def _pair(value: float | list[float]) -> tuple[float, float]:
    number, uncertainty = value if isinstance(value, list) else (value, 0.0)
    return number, uncertainty


@functools.cache
def _data() -> dict[str, Any]:
    file = resources.files("screening.stability") / "data/enthalpies/formation_enthalpies.yaml"
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return content
