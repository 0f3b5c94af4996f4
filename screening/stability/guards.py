"""Guards: is a window sound? What makes windows wrong in silence is looked for, and said.

A guard that fails does not take the number away; it marks the candidate as suspect until somebody
has found the cause. What would make every number wrong (two conventions in one hull, an element
without reference, a missing correction) is an error instead: see `assessment`.
"""

from __future__ import annotations

from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from screening.stability.corrections import HALOGENS
from screening.stability.documents import Guard
from screening.stability.enthalpies import halide_errors
from screening.stability.references import ReferencePhases

SUSPICIOUS_DEPTH_EV_PER_ATOM = 0.050
# Engines are within 0.3 eV of experiment for alkali halides. A metal that is not the lowest phase
# of its element, a missing correction (0.61 eV a chlorine) or another functional is further off.
MAX_ALKALI_HALIDE_ERROR_EV = 0.35
ANIONS = frozenset(Element(symbol) for symbol in (*HALOGENS, "O", "S", "Se", "Te", "N", "H"))


def check_guards(
    composition: Composition,
    *,
    energy_below_known_eV_per_atom: float,
    references: ReferencePhases,
    snapshot: ReferencePhases,
    mobile_ion: str,
    raw_halide_energies: bool,
) -> tuple[Guard, ...]:
    """All guards of one candidate.

    Args:
        composition: of the candidate.
        energy_below_known_eV_per_atom: hull of all reference phases minus the candidate.
        references: of the candidate's chemical system, in the candidate's convention.
        snapshot: all reference phases.
        mobile_ion: symbol of the metal A.
        raw_halide_energies: whether the corrections of halide anions were taken out.
    """
    return (
        _conventions(references, raw_halide_energies),
        _metal_reference(composition, snapshot, mobile_ion, raw_halide_energies),
        _reference_space(composition, references),
        _depth(energy_below_known_eV_per_atom),
    )


def _conventions(references: ReferencePhases, raw_halide_energies: bool) -> Guard:
    convention = references.convention
    without = ", halide corrections taken out of all of them" if raw_halide_energies else ""
    return Guard(
        name="one_convention",
        passed=True,
        message=f"{len(references.phases)} phases and the candidate are of "
        f"{convention.potential} ({convention.functional}, corrections: "
        f"{convention.corrections}){without}",
    )


def _metal_reference(
    composition: Composition, snapshot: ReferencePhases, metal: str, raw_halide_energies: bool
) -> Guard:
    """The metal's zero is right if its halides have about the enthalpies that were measured.

    Those with a halogen of the candidate are looked at, if there are any.
    """
    halides = [error for error in halide_errors(snapshot) if error.halide.metal == metal]
    own = [error for error in halides if error.halide.halogen in composition]
    compared = [] if raw_halide_energies else own or halides
    passed = all(abs(error.error_eV) <= MAX_ALKALI_HALIDE_ERROR_EV for error in compared)
    if raw_halide_energies:
        message = "raw halide energies are not compared with experiment"
    elif not compared:
        message = f"the snapshot holds no halide of {metal} to compare with experiment"
    else:
        found = ", ".join(f"{error.halide.formula} {error.error_eV:+.2f}" for error in compared)
        message = f"formation energy minus measured enthalpy, eV per formula unit: {found}"
    if not passed:
        message += (
            f"; more than {MAX_ALKALI_HALIDE_ERROR_EV}: the reference of {metal} is not its lowest "
            "phase, a correction is missing or there twice, or functionals are mixed"
        )
    return Guard(name="metal_at_0_V", passed=passed, message=message)


def _reference_space(composition: Composition, references: ReferencePhases) -> Guard:
    """Each cation needs a competing compound with an anion of the candidate.

    Without a usual anion, as in Na3P, the most electronegative element is taken for one.
    """
    elements = set(composition.elements)
    anions = elements & ANIONS or {max(elements, key=lambda element: element.X)}
    compounds = [set(p.composition) for p in references.phases if len(p.composition) > 1]
    bare = sorted(
        cation.symbol
        for cation in elements - anions
        if not any(cation in compound and compound <= {cation} | anions for compound in compounds)
    )
    message = f"competing phases hold every cation: {len(compounds)} compounds"
    if bare:
        message = (
            f"no reference compound of {', '.join(bare)} with "
            f"{', '.join(sorted(anion.symbol for anion in anions))} alone: the "
            "window misses its main competitors"
        )
    return Guard(name="reference_space", passed=not bare, message=message)


def _depth(energy_below_known_eV_per_atom: float) -> Guard:
    passed = energy_below_known_eV_per_atom <= SUSPICIOUS_DEPTH_EV_PER_ATOM
    message = f"{1000 * energy_below_known_eV_per_atom:.0f} meV/atom below all reference phases"
    if energy_below_known_eV_per_atom <= 0:
        message = "not below the hull of the reference phases"
    elif not passed:
        message += (
            ": a competing phase is probably missing, or the relaxed structure is not what it was"
        )
    return Guard(name="depth", passed=passed, message=message)
