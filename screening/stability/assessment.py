"""Stability of one candidate: place on the hull, decomposition, electrochemical window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core.composition import Composition

from screening.documents import EnergyConvention, Stability
from screening.errors import EnergyNotFinite, InvalidInput, MixedConventions, UnusableStructure
from screening.stability.hull import place_on_hull, reference_entries
from screening.stability.references import ReferencePhase, ReferencePhases
from screening.stability.window import Window, electrochemical_window

ALKALI_METALS = ("Li", "Na", "K", "Rb", "Cs")
ON_HULL_EV_PER_ATOM = 1e-4  # a relaxation does not tell energies closer than this apart
SUSPICIOUS_DEPTH_EV_PER_ATOM = 0.050
SAME_LIMIT_V = 1e-6


def assess_stability(
    composition: Composition,
    energy_eV_per_atom: float,
    convention: EnergyConvention,
    references: ReferencePhases,
    mobile_ion: str,
) -> Stability:
    """Compare a candidate with the reference phases of its elements.

    Polymorphs of the candidate's own composition compete. A candidate on or below the hull of all
    other phases is stable and has a window of its own; the window of any other is that of the
    equilibrium at its composition. `decomposition` names the competitors at the candidate's
    composition in both cases: what a metastable candidate decomposes into, and what a stable one
    is formed from with the gain `energy_below_competitors_eV_per_atom`. All amounts are per
    reduced formula unit of the candidate.

    Args:
        composition: contains the mobile ion and another element; amounts of any scale.
        energy_eV_per_atom: relaxed, in the convention of the references.
        convention: of that energy.
        references: hold every element of the candidate and their competing compounds.
        mobile_ion: symbol of an alkali metal; potentials are against this metal, in volts.

    Raises:
        MixedConventions: the candidate's energy and the references differ in convention.
        MissingReference: an element of the candidate has no elemental phase.
        EnergyNotFinite: an energy that is NaN or infinite.
        InvalidInput: a mobile ion that is not a monovalent alkali metal.
        UnsoundHull: the metal is not in equilibrium at 0 V.
        UnusableStructure: a candidate without the mobile ion, or of nothing else.
    """
    _require_same_convention(convention, references.convention)
    _require_usable(composition, energy_eV_per_atom, mobile_ion)
    system = sorted(element.symbol for element in composition)
    phases = references.for_system(system)
    candidate = PDEntry(composition, energy_eV_per_atom * composition.num_atoms)

    entries = reference_entries(phases)
    competitors = PhaseDiagram(entries)
    place = place_on_hull(competitors, candidate)
    depth_eV_per_atom = place.energy_below_competitors_eV_per_atom
    window = electrochemical_window(PhaseDiagram([*entries, candidate]), composition, mobile_ion)
    stable = depth_eV_per_atom > -ON_HULL_EV_PER_ATOM
    formed = {*place.decomposition, *window.reduction.products, *window.oxidation.products}

    return Stability(
        formation_energy_eV_per_atom=place.formation_energy_eV_per_atom,
        e_hull_eV_per_atom=max(0.0, -depth_eV_per_atom),
        energy_below_competitors_eV_per_atom=depth_eV_per_atom,
        decomposition=place.decomposition,
        reduction_limit_V=window.reduction.potential_V,
        oxidation_limit_V=window.oxidation.potential_V,
        reduction_products=window.reduction.products,
        oxidation_products=window.oxidation.products,
        reduction_reaction=window.reduction.reaction,
        oxidation_reaction=window.oxidation.reaction,
        window_of="candidate" if stable else "equilibrium",
        references_sha256=references.sha256,
        caveats=tuple(_caveats(composition, depth_eV_per_atom, references, phases, formed, window)),
    )


def _require_same_convention(candidate: EnergyConvention, references: EnergyConvention) -> None:
    differing = [
        f"{field}: {ours!r} against {theirs!r}"
        for field, ours in candidate
        if ours != (theirs := getattr(references, field))
    ]
    if differing:
        raise MixedConventions(
            f"the candidate's energy is of {candidate.potential}, the reference phases' of "
            f"{references.potential}, and the two differ in {'; '.join(differing)}; use reference "
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
    depth_eV_per_atom: float,
    references: ReferencePhases,
    phases: Iterable[ReferencePhase],
    formed: set[str],
    window: Window,
) -> Iterator[str]:
    formula = composition.reduced_formula
    if depth_eV_per_atom > SUSPICIOUS_DEPTH_EV_PER_ATOM:
        yield (
            f"{1000 * depth_eV_per_atom:.0f} meV/atom below the hull of all other phases: a "
            "competing phase is probably missing, or the relaxed structure is not what it was"
        )
    elements = set(composition.elements)
    if not any(set(phase.composition) == elements for phase in phases):
        yield (
            f"no reference phase contains {', '.join(sorted(e.symbol for e in elements))} "
            "together: the energy above hull is a lower bound and the window may be narrower"
        )
    if window.oxidation.potential_V - window.reduction.potential_V < SAME_LIMIT_V:
        yield (
            f"{formula} lies where three or more phases coexist at one potential: its equilibrium "
            "has a window of zero width"
        )
    for symbol, text in references.element_caveats.items():
        if symbol in composition:
            yield text
    for phase in phases:
        if phase.formula in formed:
            yield from phase.caveats
