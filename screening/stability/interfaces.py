"""Reactions of a candidate with what it touches: electrodes, metals, other candidates.

The candidate and its partner mix in an unknown ratio x. Compositions are taken per atom,
C = x C_candidate + (1 - x) C_partner, and the interface may gain

    ΔE(x) = E_hull(C) - [x E_candidate + (1 - x) E_partner]  <=  0

by turning into the phases of lowest energy at C, candidate and partner among them. Open to the
metal A at the potential V, energies become grand potentials E - n_A μ_A with μ_A = μ0_A - V, and
compositions and energies count the atoms other than A. What of ΔE(x) the two would gain without
each other is x ΔE(1) + (1 - x) ΔE(0); the rest is their mutual reaction.

References:
    Zhu, He, Mo, J. Mater. Chem. A 4, 3253 (2016), doi:10.1039/c5ta08574h (mutual reaction);
    Richards, Miara, Wang, Kim, Ceder, Chem. Mater. 28, 266 (2016),
    doi:10.1021/acs.chemmater.5b04082 (open systems).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition

from screening.errors import (
    EnergyNotFinite,
    InvalidInput,
    MissingCorrection,
    MissingReference,
    MixedConventions,
    UnusableStructure,
)
from screening.stability.corrections import (
    require_corrections,
    require_raw_halides,
    without_halide_corrections,
)
from screening.stability.documents import Interface, InterfaceReaction
from screening.stability.mixing import Phases
from screening.stability.overview import missing_phases
from screening.stability.reactants import Reactant, snapshot_reactant
from screening.stability.references import ReferencePhase, ReferencePhases

AMOUNT_DECIMALS = 6
LARGEST_MULTIPLE = 12  # a reaction is written in integers if one of so many multiples allows it
ROUNDING_EV_PER_ATOM = 1e-9
NO_REACTION = "no reaction"


@dataclass(frozen=True)
class Interfaces:
    """Interfaces of one candidate, and what is to be known about them.

    Args:
        computed: of each partner in turn: closed, at its own and at the given potentials.
        left_out: partners that there is no number for -> reason.
        missing_phases: partner -> compounds of the pair's elements that the field knows and the
            snapshot lacks -> where they are described. None of them can be a product.
        caveats: what is known to be wrong with phases that form somewhere along the mixing ratio.
    """

    computed: tuple[Interface, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    missing_phases: dict[str, dict[str, str]] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


def interfaces(
    candidate: Reactant,
    references: ReferencePhases,
    mobile_ion: str,
    partners: Iterable[Reactant | str],
    potentials_V: Iterable[float] = (),
    *,
    raw_halide_energies: bool = False,
) -> Interfaces:
    """Each partner's interface closed, open at its own potential, and open at given potentials.

    Args:
        candidate: its elements are all in the snapshot.
        references: in the convention of the candidate.
        mobile_ion: symbol of the metal A.
        partners: reactants, or names of electrodes and other phases of the snapshot.
        potentials_V: against A, not negative.
        raw_halide_energies: take MP2020's correction of halide anions out of all energies.

    Raises:
        MissingReference, MissingCorrection: in the chemical system of the candidate itself.
        ScreeningError: what else `interface` raises.
    """
    require_corrections(references.system(_symbols(candidate.composition)))
    given_V = tuple(potentials_V)
    computed: list[Interface] = []
    left_out: dict[str, str] = {}
    missing: dict[str, dict[str, str]] = {}
    for partner in partners:
        name = partner if isinstance(partner, str) else partner.name
        try:
            reactant = (
                snapshot_reactant(partner, references, mobile_ion)
                if isinstance(partner, str)
                else partner
            )
            # closed (None) twice is closed once
            computed += [
                interface(
                    candidate,
                    reactant,
                    references,
                    mobile_ion,
                    potential_V,
                    raw_halide_energies=raw_halide_energies,
                )
                for potential_V in dict.fromkeys((None, reactant.potential_V, *given_V))
            ]
        except (MissingReference, MissingCorrection) as error:
            left_out[name] = str(error)
            continue
        missing[name] = missing_phases(
            references, _symbols(candidate.composition) | _symbols(reactant.composition)
        )
    formed = {formula for met in computed for kink in met.kinks for formula in kink.products}
    caveats = (text for p in references.phases if p.formula in formed for text in p.caveats)
    return Interfaces(tuple(computed), left_out, missing, tuple(dict.fromkeys(caveats)))


def interface(
    candidate: Reactant,
    partner: Reactant,
    references: ReferencePhases,
    mobile_ion: str,
    potential_V: float | None = None,
    *,
    raw_halide_energies: bool = False,
) -> Interface:
    """Reaction energy and products over the mixing ratio, with the worst case.

    An interface that is open to A with A itself as the partner has no mixing ratio: the metal is
    part of the reservoir, and what remains is the reaction of the candidate with the reservoir.

    Args:
        candidate: has another element than A.
        partner: a phase of any composition.
        references: the phases that may form, in the convention of both energies.
        mobile_ion: symbol of A.
        potential_V: None for a closed interface; otherwise open to A at this potential.
        raw_halide_energies: take MP2020's correction of halide anions out of all energies.

    Raises:
        MixedConventions: an energy in another convention than the references.
        MissingReference: an element without an elemental phase.
        MissingCorrection: a halide among the references lacks its correction.
        EnergyNotFinite: an energy that is NaN or infinite.
        InvalidInput: a potential below that of the metal, which would be plated without end; raw
            halide energies of a convention that holds no corrections.
        UnusableStructure: a candidate of nothing but A.
    """
    _require_usable(candidate, partner, references, mobile_ion, potential_V)
    if raw_halide_energies:
        require_raw_halides(references.convention)
    reservoir = set() if potential_V is None else {mobile_ion}
    system = references.system(
        _symbols(candidate.composition) | _symbols(partner.composition) | reservoir
    )
    require_corrections(system)
    line = _Line(candidate, partner, system, mobile_ion, potential_V, raw_halide_energies)
    kinks = tuple(line.reactions())
    worst = min(kinks, key=lambda kink: (kink.energy_eV_per_atom, -kink.mixing_fraction))
    return Interface(
        partner=partner.name,
        condition="closed" if potential_V is None else "open",
        potential_V=potential_V,
        worst_energy_eV_per_atom=worst.energy_eV_per_atom,
        mixing_fraction=worst.mixing_fraction,
        products=worst.products,
        reaction=worst.reaction,
        kinks=kinks,
    )


class _Line:
    """The line from the partner (x = 0) to the candidate (x = 1) among all phases.

    Phase 0 is the candidate, phase 1 the partner, the others are the references. Amounts of phases
    are in atoms, per atom of the mixture that counts.
    """

    def __init__(
        self,
        candidate: Reactant,
        partner: Reactant,
        system: ReferencePhases,
        metal: str,
        potential_V: float | None,
        raw_halide_energies: bool,
    ) -> None:
        reactants = (candidate, partner)
        phases = [(r.composition, r.energy_eV_per_atom) for r in reactants] + [
            (p.composition, p.energy_eV_per_atom)
            for p in system.phases
            if not _dominated(p, reactants)
        ]
        self.units = [composition.reduced_composition for composition, _ in phases]
        self.labels = [composition.reduced_formula for composition, _ in phases]
        energies_eV = np.array(
            [
                without_halide_corrections(*phase) if raw_halide_energies else phase[1]
                for phase in phases
            ]
        )
        elements = sorted({element for phase in system.phases for element in phase.elements})
        fractions = np.array([[c.get_atomic_fraction(s) for s in elements] for c, _ in phases])
        elements_eV = np.array([energies_eV[of == 1].min() for of in fractions.T])
        self.costs_eV = energies_eV - fractions @ elements_eV
        self.metal = None
        self.metal_fractions = np.zeros(len(phases))
        if potential_V is not None:
            self.metal = metal
            self.metal_fractions = fractions[:, elements.index(metal)]
            fractions = np.delete(fractions, elements.index(metal), axis=1)
            self.costs_eV += potential_V * self.metal_fractions
        self.fractions = fractions
        # Atoms that count, per atom of the phase: none of the metal in an open system, which is
        # part of its reservoir and of no mixture.
        self.counted = fractions.sum(axis=1)
        self.atoms_per_unit = np.array([unit.num_atoms for unit in self.units])

    def reactions(self) -> Iterator[InterfaceReaction]:
        """What happens at every kink, by rising mixing fraction."""
        kinks = [(x, amounts, self._energy_eV(x, amounts)) for x, amounts in self._kinks()]
        at_ends_eV = {x: energy_eV for x, _, energy_eV in kinks}
        for x, amounts, energy_eV in kinks:
            own_eV = x * at_ends_eV[1.0] + (1 - x) * at_ends_eV.get(0.0, 0.0)
            products, reaction = self._written(x, amounts if energy_eV else self._unmixed(x))
            yield InterfaceReaction(
                mixing_fraction=x,
                energy_eV_per_atom=energy_eV,
                mutual_energy_eV_per_atom=_at_most_zero(energy_eV - own_eV),
                products=products,
                reaction=reaction,
            )

    def _kinks(self) -> list[tuple[float, NDArray[np.float64]]]:
        """Mixing fractions where ΔE(x) bends, and both ends, with the amounts of phases there."""
        mixed = self.counted > 0
        phases = Phases(self.fractions[mixed], self.costs_eV[mixed])
        candidate = self.fractions[0] / self.counted[0]
        if mixed[1]:
            found = phases.kinks(self.fractions[1] / self.counted[1], candidate)
        else:
            found = [(1.0, phases.amounts_at(candidate))]
        kinks = []
        for x, of_mixed in found:
            amounts = np.zeros(len(mixed))
            amounts[mixed] = of_mixed
            kinks.append((x, amounts))
        return kinks

    def _unmixed(self, x: float) -> NDArray[np.float64]:
        """Candidate and partner before they react."""
        amounts = np.zeros(len(self.counted))
        amounts[0] = x / self.counted[0]
        if x < 1:
            amounts[1] = (1 - x) / self.counted[1]
        return amounts

    def _energy_eV(self, x: float, amounts: NDArray[np.float64]) -> float:
        return _at_most_zero(float(self.costs_eV @ (amounts - self._unmixed(x))))

    def _written(self, x: float, after: NDArray[np.float64]) -> tuple[dict[str, float], str]:
        """Products and balanced reaction, per formula unit of the candidate or else partner."""
        before = self._unmixed(x)
        unit = before[0] / self.atoms_per_unit[0] or before[1] / self.atoms_per_unit[1]
        products: dict[str, float] = {}
        for label, n_atoms, size in zip(self.labels, after, self.atoms_per_unit, strict=True):
            if n := round(float(n_atoms / size / unit), AMOUNT_DECIMALS):
                products[label] = products.get(label, 0.0) + n
        change = (after - before) / self.atoms_per_unit / unit
        terms = [(self._label(i), float(n)) for i, n in enumerate(change)]
        terms[2:] = sorted(terms[2:])
        if self.metal is not None:
            terms.insert(2, (self.metal, float((before - after) @ self.metal_fractions / unit)))
        return dict(sorted(products.items())), _equation(terms)

    def _label(self, i: int) -> str:
        """Formula of a phase; a polymorph of a reactant, which can only be stabler, says so."""
        polymorph = i > 1 and self.labels[i] in self.labels[:2]
        return f"{self.labels[i]} (stabler polymorph)" if polymorph else self.labels[i]


def _equation(terms: list[tuple[str, float]]) -> str:
    """What has a negative amount reacts, the rest forms; in small integers where they fit."""
    terms = [(label, n) for label, n in terms if abs(n) > 10.0**-AMOUNT_DECIMALS]
    if not terms:
        return NO_REACTION
    amounts = np.array([n for _, n in terms])
    for multiple in range(1, LARGEST_MULTIPLE + 1):
        integers = np.rint(multiple * amounts)
        if np.abs(integers - multiple * amounts).max() < 10.0**-AMOUNT_DECIMALS:
            amounts = integers
            break
    left, right = (
        " + ".join(
            label if (amount := f"{abs(n):.4g}") == "1" else f"{amount} {label}"
            for (label, _), n in zip(terms, amounts, strict=True)
            if n * sign > 0
        )
        for sign in (-1, 1)
    )
    return f"{left} -> {right}"


def _at_most_zero(energy_eV: float) -> float:
    """Without rounding: no mixture is lower than the hull, on which its own phases are."""
    assert energy_eV <= ROUNDING_EV_PER_ATOM, energy_eV
    return energy_eV if energy_eV < -ROUNDING_EV_PER_ATOM else 0.0


def _dominated(phase: ReferencePhase, reactants: Iterable[Reactant]) -> bool:
    """Whether one of the reactants is the same compound with no more energy."""
    return any(
        phase.formula == reactant.composition.reduced_formula
        and phase.energy_eV_per_atom >= reactant.energy_eV_per_atom - ROUNDING_EV_PER_ATOM
        for reactant in reactants
    )


def _symbols(composition: Composition) -> set[str]:
    return {element.symbol for element in composition}


def _require_usable(
    candidate: Reactant,
    partner: Reactant,
    references: ReferencePhases,
    metal: str,
    potential_V: float | None,
) -> None:
    for reactant in (candidate, partner):
        if differing := reactant.convention.differences_from(references.convention):
            raise MixedConventions(
                f"the energy of {reactant.name} and the reference phases differ in {differing}; "
                "use reference phases computed with the campaign's engine"
            )
        if not math.isfinite(reactant.energy_eV_per_atom):
            raise EnergyNotFinite(
                f"the energy of {reactant.name} is {reactant.energy_eV_per_atom} eV/atom"
            )
    if _symbols(candidate.composition) == {metal}:
        raise UnusableStructure(
            f"{candidate.name} is {metal} metal; name it as the partner, not as the candidate"
        )
    if potential_V is not None and not 0 <= potential_V < math.inf:
        raise InvalidInput(
            f"found a potential of {potential_V} V against {metal}; an open interface needs 0 V or "
            f"more: below, {metal} metal would be plated without end"
        )
