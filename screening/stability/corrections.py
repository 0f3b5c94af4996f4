"""Corrections of halide energies: what they are, and whether each reference phase holds its own.

Materials Project energies, and VASP energies that are mixed with them, hold an empirical energy for
every anion. Upstream loses that of a halide without a word where the oxidation states of a compound
with several anions cannot be guessed, and then windows come out wrong by volts, for Na and K even
negative. A halogen is an anion here if the less electronegative elements, in their highest
oxidation states, can pay for it and for every more electronegative element.

Reference:
    Wang, Kingsbury, McDermott, Horton, Jain, Ong, Dwaraknath, Persson, Sci. Rep. 11, 15496 (2021),
    doi:10.1038/s41598-021-94550-5.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cache

from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from screening.documents import EnergyConvention
from screening.errors import InvalidInput, MissingCorrection
from screening.stability.conventions import MP2020
from screening.stability.references import ReferencePhase, ReferencePhases

HALOGENS = ("F", "Cl", "Br", "I")
SAME_CORRECTION_EV_PER_ATOM = 1e-3
_OXYGEN = ("oxide", "peroxide", "superoxide", "ozonide")
_SHOWN = 10


def halide_correction_eV_per_atom(composition: Composition) -> float:
    """What MP2020 adds to an energy for the F, Cl, Br and I of a composition, in eV per atom.

    Zero for elements, and for halogens that are no anions: the Cl of KClO4.
    """
    constants_eV, _ = _constants()
    anions = halide_anions(composition) | _most_electronegative(composition)
    total_eV = sum(constants_eV[symbol] * composition[symbol] for symbol in anions)
    return float(total_eV / composition.num_atoms)


def without_halide_corrections(composition: Composition, energy_eV_per_atom: float) -> float:
    """An energy as the functional gave it for halides: what MP2020 adds is subtracted.

    Args:
        composition: of that energy; amounts of any scale.
        energy_eV_per_atom: with corrections, be they added to a VASP energy or learned by a
            potential from corrected ones.
    """
    return energy_eV_per_atom - halide_correction_eV_per_atom(composition)


def halide_anions(composition: Composition) -> frozenset[str]:
    """The halogens of a composition that the other elements can reduce to X-."""
    present = {e: n for e, n in composition.element_composition.items() if n > 0}
    return frozenset(
        halogen.symbol
        for halogen in present
        if halogen.symbol in HALOGENS and len(present) > 1 and _can_be_paid_for(halogen, present)
    )


def holds_halide_corrections(
    composition: Composition, correction_eV_per_atom: float | None
) -> bool:
    """Whether a correction is that of the halides and any choice of what else may be corrected.

    Args:
        composition: of the phase.
        correction_eV_per_atom: the sum of all that its energy holds; None: not known.
    """
    composition = composition.element_composition
    anions = halide_anions(composition)
    if not anions:
        return True
    if correction_eV_per_atom is None:
        return False
    constants_eV, mixing_eV = _constants()
    needed_eV = sum(constants_eV[symbol] * composition[symbol] for symbol in anions)
    rest_eV = correction_eV_per_atom * composition.num_atoms - needed_eV
    others = _other_corrections(composition, anions, constants_eV, mixing_eV)
    return any(
        abs(rest_eV - sum(choice)) < SAME_CORRECTION_EV_PER_ATOM * composition.num_atoms
        for choice in itertools.product(*others)
    )


def require_corrections(references: ReferencePhases) -> None:
    """Refuse MP2020 energies of which a phase has lost the correction of a halide.

    Conventions with the corrections inside the potential have none that could be lost.

    Raises:
        MissingCorrection: names the phases, what they hold and what they need.
    """
    if references.convention.corrections != MP2020:
        return
    lost = [
        phase
        for phase in references.phases
        if not holds_halide_corrections(phase.composition, phase.correction_eV_per_atom)
    ]
    if lost:
        listed = "; ".join(_shortfall(phase) for phase in lost[:_SHOWN])
        more = f"; and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        raise MissingCorrection(
            f"halides without their MP2020 correction: {listed}{more}. A hull of corrected and "
            "uncorrected halides gives wrong windows; fetch or build these phases again, or "
            "remove them"
        )


def require_raw_halides(convention: EnergyConvention) -> None:
    """Refuse to take corrections out of energies that hold none.

    Raises:
        InvalidInput: there are none.
    """
    if not convention.is_corrected:
        raise InvalidInput(
            f"raw_halide_energies: energies of {convention.potential} ({convention.functional}) "
            "hold no corrections that could be taken out; they are raw already: leave it out"
        )


def _can_be_paid_for(halogen: Element, present: Mapping[Element, float]) -> bool:
    """Whether the less electronegative elements have the electrons for it and all others."""
    available = needed = 0.0
    for element, amount in present.items():
        states = element.icsd_oxidation_states or element.oxidation_states or (0,)
        if element == halogen:
            needed += amount
        elif element.X < halogen.X:
            available += amount * max(states)
        else:
            needed -= amount * min(states)
    return available >= needed - 1e-6


def _most_electronegative(composition: Composition) -> frozenset[str]:
    """The halogen that upstream takes for the anion whatever the charges are, if there is one."""
    if len(composition.elements) == 1:
        return frozenset()
    highest = max(composition.elements, key=lambda element: element.X).symbol
    return frozenset({highest} & set(HALOGENS))


def _other_corrections(
    composition: Composition,
    anions: frozenset[str],
    constants_eV: Mapping[str, float],
    mixing_eV: Mapping[str, float],
) -> Iterator[tuple[float, ...]]:
    """For each element, the energies that its correction may have, in eV for all its atoms."""
    for element, amount in composition.items():
        symbol = element.symbol
        values = [mixing_eV[symbol]] if symbol in mixing_eV else []
        if symbol == "O":
            values += [constants_eV[kind] for kind in _OXYGEN]
        elif symbol in constants_eV and symbol not in anions:
            values.append(constants_eV[symbol])
        yield (0.0, *(amount * value for value in values))


def _shortfall(phase: ReferencePhase) -> str:
    constants_eV, _ = _constants()
    anions = sorted(halide_anions(phase.composition))
    needed_eV = sum(constants_eV[symbol] * phase.composition[symbol] for symbol in anions)
    held = phase.correction_eV_per_atom
    return (
        f"{phase.name} holds {'none' if held is None else f'{held:.3f} eV/atom'} and needs "
        f"{needed_eV / phase.composition.num_atoms:.3f} for {', '.join(anions)}"
    )


@cache
def _constants() -> tuple[dict[str, float], dict[str, float]]:
    """Upstream's energies in eV per atom: of anions, and of metals that were computed with a U."""
    from pymatgen.analysis.compatibility import MaterialsProject2020Compatibility

    scheme = MaterialsProject2020Compatibility()
    mixing_eV: dict[str, float] = {}
    for anion in ("O", "F"):
        mixing_eV |= scheme.u_corrections[anion]
    return dict(scheme.comp_correction), mixing_eV
