"""Which compositions of a family are neutral, and why the others are not."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pydantic import Field
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element, Species

from screening.documents import Document
from screening.prototypes.library import Prototype, Role

FILLING_TOLERANCE = Fraction(1, 2000)  # 0.333 is read as 1/3


class LeftOut(Document):
    """A composition, or a file of the user's, that became no candidate."""

    formula: str = Field(description="or the path of the file")
    reason: str


@dataclass(frozen=True)
class NeutralComposition:
    """One ion for each role of a prototype, and how many mobile sites of the cell are filled."""

    species: Mapping[Role, Species]
    n_filled: int


def neutral_compositions(
    prototype: Prototype,
    mobile_ions: Sequence[str],
    framework: Sequence[str],
    anions: Sequence[str],
    fillings: Sequence[float],
    oxidation_states: Mapping[str, Sequence[int]],
    n_cells: int = 1,
) -> tuple[list[NeutralComposition], list[LeftOut]]:
    """All combinations of a family, parted into neutral ones and others.

    Charges are summed as whole numbers: mobile ions are 1+, anions 1-, and all framework sites
    hold the same ion, whose charge follows from the filling.

    Args:
        prototype: gives the number of sites of each role.
        mobile_ions: alkali metals.
        framework: elements, of which one fills all framework sites.
        anions: halogens.
        fillings: fractions of the mobile sites filled.
        oxidation_states: allowed to a framework element; elements not named may have their
            common ones (see `likely_oxidation_states`).
        n_cells: conventional cells over which a filling must give a whole number of ions.
    """
    n_mobile, n_framework, n_anion = (
        n_cells * prototype.n_sites(role) for role in ("mobile", "framework", "anion")
    )
    neutral: dict[tuple[str, str, str, int], NeutralComposition] = {}
    left_out = []
    for ion, metal, anion, filling in itertools.product(mobile_ions, framework, anions, fillings):
        n_filled = whole_number_of(filling, n_mobile)
        n_ions = Fraction(filling) * n_mobile if n_filled is None else Fraction(n_filled)
        allowed = oxidation_states.get(metal) or likely_oxidation_states(metal)
        needed = (n_anion - n_ions) / n_framework
        if metal in (ion, anion):
            reason = f"{metal} would be framework and {'mobile' if metal == ion else 'anion'}"
        elif n_filled is None:
            reason = (
                f"{filling:g} of {n_mobile} mobile sites is {float(n_ions):g} ions; choose a "
                "filling or a supercell that gives a whole number"
            )
        elif not allowed:
            reason = f"no positive oxidation state of {metal} is known; set oxidation_states"
        elif needed not in allowed:
            states = ", ".join(f"{state}+" for state in allowed)
            reason = f"neutral only with {metal} {float(needed):.4g}+; allowed: {states}"
        else:
            neutral[ion, metal, anion, n_filled] = NeutralComposition(
                {
                    "mobile": Species(ion, 1),
                    "framework": Species(metal, int(needed)),
                    "anion": Species(anion, -1),
                },
                n_filled,
            )
            continue
        if n_filled is None:
            formula = (
                f"{ion}{float(n_ions / n_framework):.4g}{metal}{anion}{n_anion / n_framework:g}"
            )
        else:
            ions = Counter([ion] * n_filled + [metal] * n_framework + [anion] * n_anion)
            formula = Composition(ions).reduced_formula
        left_out.append(LeftOut(formula=formula, reason=f"{prototype.name}: {reason}"))
    return list(neutral.values()), left_out


def whole_number_of(fraction: float, n: int) -> int | None:
    """The k > 0 with k / n the fraction within FILLING_TOLERANCE; None where there is none."""
    k = round(Fraction(fraction) * n)
    return k if k and abs(Fraction(fraction) - Fraction(k, n)) <= FILLING_TOLERANCE else None


def likely_oxidation_states(symbol: str) -> tuple[int, ...]:
    """Positive common oxidation states of an element; where it has none, those in the ICSD."""
    element = Element(symbol)
    for states in (element.common_oxidation_states, element.icsd_oxidation_states):
        if positive := tuple(int(state) for state in states if state > 0):
            return positive
    return ()
