"""Stability of one candidate: place on the hull, windows, voltage profile, guards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from pymatgen.core.composition import Composition

from screening.documents import EnergyConvention
from screening.errors import EnergyNotFinite, InvalidInput, MixedConventions, UnusableStructure
from screening.stability.conventions import is_rehearsal
from screening.stability.corrections import (
    require_corrections,
    require_raw_halides,
    without_halide_corrections,
)
from screening.stability.documents import Limit, Stability, Window
from screening.stability.guards import check_guards
from screening.stability.hull import Hull, hull_of
from screening.stability.profile import Along
from screening.stability.references import Hashed, ReferencePhases
from screening.stability.uncertainty import Interval, error_model, limit_intervals

ALKALI_METALS = ("Li", "Na", "K", "Rb", "Cs")
ON_HULL_EV_PER_ATOM = 1e-3  # relaxed from two cells, one crystal differs by as much
ZERO_WIDTH_V = 1e-6
RAW_UNCERTAIN = "measured enthalpies say nothing of raw halide energies"
HULLS_KEPT = 256
RAW_HALIDES = (
    "computed without MP2020's correction of halide anions: limits that involve the halogen are "
    "lower than those of corrected energies, by 0.61 V where Cl2 forms from a chloride"
)


def assess_stability(
    composition: Composition,
    energy_eV_per_atom: float,
    convention: EnergyConvention,
    references: ReferencePhases,
    mobile_ion: str,
    *,
    polymorph_energy_eV_per_atom: float | None = None,
    raw_halide_energies: bool = False,
) -> Stability:
    """Compare a candidate with the reference phases of its elements.

    The energy above hull counts all phases, polymorphs of the candidate's own composition
    included. How far a candidate lies below its competitors, its own window and, if it is stable,
    its decomposition count phases of other compositions alone: a polymorph is no reaction
    product. All amounts are per reduced formula unit of the candidate.

    Args:
        composition: contains the mobile ion and another element; amounts of any scale.
        energy_eV_per_atom: relaxed, in the convention of the references.
        convention: of that energy.
        references: the whole snapshot: every element of the candidate, their competing compounds,
            and all halides whose measured enthalpies tell the engine's error.
        mobile_ion: symbol of an alkali metal; potentials are against this metal, in volts.
        polymorph_energy_eV_per_atom: of the lowest other structure of the same composition that
            is not among the references.
        raw_halide_energies: take MP2020's correction of halide anions out of all energies.

    Raises:
        MixedConventions: the candidate's energy and the references differ in convention.
        MissingReference: an element of the candidate has no elemental phase.
        MissingCorrection: a halide among the references lacks its correction.
        EnergyNotFinite: an energy that is NaN or infinite.
        InvalidInput: a mobile ion that is not a monovalent alkali metal, or raw halide energies
            of a convention that holds no corrections.
        UnusableStructure: a candidate without the mobile ion, or of nothing else.
    """
    _require_same_convention(convention, references.convention)
    _require_usable(composition, energy_eV_per_atom, mobile_ion)
    elements = [element.symbol for element in composition]
    system = references.system(elements)
    require_corrections(system)
    if raw_halide_energies:
        require_raw_halides(references.convention)
        energy_eV_per_atom = without_halide_corrections(composition, energy_eV_per_atom)
        if polymorph_energy_eV_per_atom is not None:
            polymorph_energy_eV_per_atom = without_halide_corrections(
                composition, polymorph_energy_eV_per_atom
            )
    known, others = _hulls(Hashed(system), composition.reduced_formula, raw_halide_energies)
    competitors = known
    if polymorph_energy_eV_per_atom is not None:
        competitors = known.with_phase(composition, polymorph_energy_eV_per_atom)

    amounts = known.amounts(composition.reduced_composition)
    n_atoms = amounts.sum()
    above_eV_per_atom = energy_eV_per_atom - float(competitors.energies_at(amounts)) / n_atoms
    stable = above_eV_per_atom < ON_HULL_EV_PER_ATOM
    reacting = Along.of(others, composition, energy_eV_per_atom, mobile_ion)
    coexisting = reacting
    if not stable:
        coexisting = Along.of(competitors, composition, energy_eV_per_atom, mobile_ion)
    model = RAW_UNCERTAIN if raw_halide_energies else error_model(references)
    intervals = limit_intervals(
        others,
        amounts,
        energy_eV_per_atom * n_atoms,
        mobile_ion,
        model,
        polymorph_eV=None if stable else _lowest_of_composition_eV(competitors, composition),
    )
    stability = Stability(
        formation_energy_eV_per_atom=energy_eV_per_atom
        - known.energy_of_elements_eV(amounts) / n_atoms,
        e_hull_eV_per_atom=max(0.0, above_eV_per_atom),
        energy_below_competitors_eV_per_atom=float(others.energies_at(amounts)) / n_atoms
        - energy_eV_per_atom,
        decomposition=(others if stable else competitors).decomposition(amounts),
        candidate_window=_window(
            reacting.candidate_window(),
            intervals.reduction_68_V,
            intervals.oxidation_68_V,
            intervals.width_68_V,
        ),
        equilibrium_window=_window(
            coexisting.equilibrium_window(),
            intervals.equilibrium_reduction_68_V,
            intervals.equilibrium_oxidation_68_V,
            intervals.equilibrium_width_68_V,
        ),
        window_of="candidate" if stable else "equilibrium",
        profile=coexisting.voltage_profile(composition.reduced_composition.weight, stable=stable),
        guards=check_guards(
            composition,
            energy_below_known_eV_per_atom=float(known.energies_at(amounts)) / n_atoms
            - energy_eV_per_atom,
            references=system,
            snapshot=references,
            mobile_ion=mobile_ion,
            raw_halide_energies=raw_halide_energies,
        ),
        references_sha256=system.sha256,
    )
    caveats = [*_caveats(composition, stability, system, raw_halide_energies)]
    if intervals.reason:
        caveats.append(f"no error bar on some limits: {intervals.reason}")
    return stability.model_copy(update={"caveats": tuple(dict.fromkeys(caveats))})


def _window(
    window: Window,
    reduction_68_V: Interval | None,
    oxidation_68_V: Interval | None,
    width_68_V: Interval | None,
) -> Window:
    """The window with its intervals; rounding does not put a limit outside its own."""
    return Window(
        reduction=_with_interval(window.reduction, reduction_68_V),
        oxidation=_with_interval(window.oxidation, oxidation_68_V),
        width_68_V=width_68_V,
    )


def _with_interval(limit: Limit, interval_V: Interval | None) -> Limit:
    if interval_V is not None:
        low_V, high_V = interval_V
        interval_V = min(low_V, limit.potential_V), max(high_V, limit.potential_V)
    return limit.model_copy(update={"potential_68_V": interval_V})


@lru_cache(maxsize=HULLS_KEPT)
def _hulls(hashed: Hashed, formula: str, raw_halide_energies: bool) -> tuple[Hull, Hull]:
    """The hull of a chemical system, with and without a composition."""
    phases = hashed.references.phases
    hull = hull_of(phases, frozenset[str]().union(*(phase.elements for phase in phases)))
    if raw_halide_energies:
        hull = hull.with_energies(
            [without_halide_corrections(p.composition, p.energy_eV_per_atom) for p in phases]
        )
    return hull, hull.without(formula)


def _lowest_of_composition_eV(hull: Hull, composition: Composition) -> float | None:
    """Energy of the lowest phase of a composition, per reduced formula unit; None without any."""
    found = [
        energy
        for formula, energy in zip(hull.formulas, hull.energies_eV_per_atom, strict=True)
        if formula == composition.reduced_formula
    ]
    return float(min(found)) * composition.reduced_composition.num_atoms if found else None


def _require_same_convention(candidate: EnergyConvention, references: EnergyConvention) -> None:
    differing = candidate.differences_from(references)
    if differing:
        raise MixedConventions(
            f"the candidate's energy is of {candidate.potential}, the reference phases' of "
            f"{references.potential}, and the two differ in {differing}; use reference "
            "phases computed with the campaign's engine"
        )


def _require_usable(composition: Composition, energy_eV_per_atom: float, mobile_ion: str) -> None:
    if not math.isfinite(energy_eV_per_atom):
        raise EnergyNotFinite(
            f"the energy of {composition.reduced_formula} is {energy_eV_per_atom} eV/atom"
        )
    if mobile_ion not in ALKALI_METALS:
        raise InvalidInput(
            f"the window is defined against an alkali metal, one of {', '.join(ALKALI_METALS)}, "
            f"not {mobile_ion!r}"
        )
    if mobile_ion not in composition or len(composition.elements) == 1:
        raise UnusableStructure(
            f"{composition.reduced_formula} needs {mobile_ion} and another element to have a "
            f"window against {mobile_ion} metal"
        )


def _caveats(
    composition: Composition,
    stability: Stability,
    references: ReferencePhases,
    raw_halide_energies: bool,
) -> Iterator[str]:
    formula = composition.reduced_formula
    if is_rehearsal(references.convention):
        potential = references.convention.potential
        yield f"a rehearsal, no DFT: a stand-in for VASP computed with {potential}"
    if raw_halide_energies:
        yield RAW_HALIDES
    elements = set(composition.elements)
    if not any(set(phase.composition) == elements for phase in references.phases):
        yield (
            f"no reference phase contains {', '.join(sorted(e.symbol for e in elements))} "
            "together: the energy above hull is a lower bound and the window may be narrower"
        )
    own = stability.candidate_window
    if stability.window_of == "equilibrium" and stability.equilibrium_window.width_V < ZERO_WIDTH_V:
        yield (
            f"{formula} lies where three or more phases coexist at one potential: its equilibrium "
            "has a window of zero width"
        )
    if own.reduction.potential_V > own.oxidation.potential_V:
        yield (
            f"at no potential is {formula} itself stable against taking up or giving off the metal"
        )
    for symbol, text in references.element_caveats.items():
        if symbol in composition:
            yield text
    formed = {
        *stability.decomposition,
        *(p for w in (own, stability.equilibrium_window) for p in w.reduction.products),
        *(p for w in (own, stability.equilibrium_window) for p in w.oxidation.products),
    }
    for phase in references.phases:
        if phase.formula in formed:
            yield from phase.caveats
