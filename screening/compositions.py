"""Which compositions of a formula are neutral and fit a supercell, and why the others do not."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pydantic import Field
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element, Species

from screening.candidate_settings import Equimolar, XRange
from screening.documents import Document
from screening.errors import InvalidInput
from screening.formulas import Amount, Formula, exact_fraction, ion_formula, parse_ion, written

Mixture = Mapping[str, Fraction]  # ions, such as Y or Ta5+, and their shares
Limits = tuple[Fraction, Fraction | None]  # smallest and largest x

_ANIONS = {"F": -1, "Cl": -1, "Br": -1, "I": -1, "O": -2, "S": -2, "Se": -2, "Te": -2, "N": -3}
_ALWAYS_THE_SAME = {*_ANIONS, "Li", "Na", "K", "H"}


class LeftOut(Document):
    """A composition, or a file of the user's, that became no candidate."""

    formula: str = Field(description="or the path of the file")
    reason: str


@dataclass(frozen=True)
class Constituent:
    """An element of a formula, with the oxidation states that it may have.

    `amount` is per formula unit; an element that several letters name has the sum.
    """

    symbol: str
    states: tuple[int, ...]
    amount: Amount


def mixtures(choice: str | Mapping[str, float] | Equimolar) -> list[Mixture]:
    """The mixtures that a choice for a letter stands for: shares of ions that sum to 1."""
    if isinstance(choice, str):
        return [{choice: Fraction(1)}]
    if isinstance(choice, Mapping):
        return [{ion: exact_fraction(share) for ion, share in choice.items()}]
    share = Fraction(1, choice.equimolar)
    return [
        dict.fromkeys(ions, share) for ions in itertools.combinations(choice.of, choice.equimolar)
    ]


def constituents(
    formula: Formula,
    letters: Mapping[str, Mixture],
    oxidation_states: Mapping[str, Sequence[int]],
) -> list[Constituent]:
    """The elements of a formula once every letter stands for one mixture.

    Args:
        formula: of elements and letters.
        letters: the mixture that each letter stands for.
        oxidation_states: allowed to an element whose ion is given without; one that is not named
            may have its usual ones.

    Raises:
        InvalidInput: an element has no oxidation state.
    """
    amounts: dict[tuple[str, int | None], Amount] = {}
    for name, amount in formula.amounts.items():
        for ion, share in letters.get(name, {name: Fraction(1)}).items():
            key = parse_ion(ion)
            amounts[key] = amounts.get(key, Amount(Fraction(0))) + amount * share
    symbols = {symbol for symbol, _ in amounts}
    found = []
    for (symbol, state), amount in amounts.items():
        states = (state,) if state else tuple(oxidation_states.get(symbol, ()))
        states = states or usual_oxidation_states(symbol, with_oxygen="O" in symbols)
        if not states:
            raise InvalidInput(f"no oxidation state of {symbol} is known; set oxidation_states")
        found.append(Constituent(symbol, states, amount))
    return found


def usual_oxidation_states(symbol: str, with_oxygen: bool = False) -> tuple[int, ...]:
    """Oxidation states of an element in the ICSD, by way of pymatgen.

    F, Cl, Br and I are 1-, O, S, Se and Te 2-, N is 3-, H beside oxygen 1+; all others are cations.
    """
    if symbol in _ANIONS:
        return (_ANIONS[symbol],)
    if symbol == "H" and with_oxygen:
        return (1,)
    element = Element(symbol)
    for states in (element.icsd_oxidation_states, element.common_oxidation_states):
        if positive := tuple(sorted(int(state) for state in states if state > 0)):
            return positive
    return ()


def likeliest_ions(parts: Sequence[Constituent], x: Fraction) -> dict[Species, Fraction] | None:
    """The neutral choice of `likeliest_states`; None where there is none.

    Returns:
        Ions with their amounts per formula unit, in the order of the formula.
    """
    states = likeliest_states(parts, x)
    if states is None:
        return None
    ions: dict[Species, Fraction] = {}
    for part, state in states:
        ion = Species(part.symbol, state)
        ions[ion] = ions.get(ion, Fraction(0)) + part.amount.at(x)
    return ions


def likeliest_states(
    parts: Sequence[Constituent], x: Fraction
) -> list[tuple[Constituent, int]] | None:
    """One oxidation state for each constituent present, neutral together; None where none is.

    Charges are summed as integers. Of several neutral choices it is the one with the largest sum,
    over all atoms, of how often the ion occurs in the ICSD: what pymatgen's
    `Composition.oxi_state_guesses` goes by.
    """
    present, _, choices = _charges(parts, x)
    if 0 not in choices:
        return None
    return list(zip(present, choices[0][1], strict=True))


def _charges(
    parts: Sequence[Constituent], x: Fraction
) -> tuple[list[Constituent], int, dict[int, tuple[int, tuple[int, ...]]]]:
    """Every total charge that the oxidation states allow.

    Returns:
        The constituents present at x, the number of formula units with whole atoms, and for each
        total charge of these the likeliest choice of states: its score and the states.
    """
    present = [part for part in parts if part.amount.at(x)]
    n_units = units_needed(present, x)
    choices: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    for part in present:
        n_atoms = int(part.amount.at(x) * n_units)
        longer: dict[int, tuple[int, tuple[int, ...]]] = {}
        for charge, (score, states) in choices.items():
            for state in part.states:
                total = charge + n_atoms * state
                likelihood = score + n_atoms * _occurrence(part.symbol, state)
                if total not in longer or likelihood > longer[total][0]:
                    longer[total] = (likelihood, (*states, state))
        choices = longer
    return present, n_units, choices


@functools.cache
def _occurrence(symbol: str, state: int) -> int:
    """How often an ion occurs in the ICSD; 0 for ions without an entry."""
    if Composition.oxi_prob is None:  # pymatgen reads its table with the first guess
        Composition("NaCl").oxi_state_guesses()
    return int((Composition.oxi_prob or {}).get(Species(symbol, state), 0))


def neutral_x(parts: Sequence[Constituent]) -> set[Fraction] | None:
    """Every x at which some choice of oxidation states is neutral; None: one is at every x.

    Whether amounts are positive there is not asked.
    """
    charges = {Amount(Fraction(0))}
    for part in parts:
        charges = {charge + part.amount * state for charge in charges for state in part.states}
    if Amount(Fraction(0)) in charges:
        return None
    return {-charge.constant / charge.slope for charge in charges if charge.slope}


def why_not_neutral(parts: Sequence[Constituent], x: Fraction, limits: Limits) -> str:
    """What it would take to make a composition neutral that is not."""
    present, n_units, choices = _charges(parts, x)
    free = [part for part in present if part.symbol not in _ALWAYS_THE_SAME]
    if len(free) == 1:
        (metal,) = free
        rest = sum(part.states[0] * part.amount.at(x) for part in present if part is not metal)
        needed = -rest / metal.amount.at(x)
        reason = f"neutral only with {metal.symbol} {_charge(needed)}"
    else:
        nearest = Fraction(min(choices, key=abs), n_units)
        reason = f"no choice of charges is neutral, the nearest leaves {_charge(nearest)} a formula"
    allowed = (f"{part.symbol} {' or '.join(map(_charge, part.states))}" for part in free)
    reason = "; allowed: ".join(filter(None, (reason, ", ".join(allowed))))
    low, high = limits
    roots = (r for r in neutral_x(parts) or () if r >= low and (high is None or r <= high))
    if nearest_roots := sorted(roots, key=lambda root: abs(root - x))[:2]:
        reason += f"; neutral at x = {' and '.join(map(written, sorted(nearest_roots)))}"
    return reason


def _charge(charge: Fraction | int) -> str:
    """`5+`, `4.75+`, `1-`."""
    return written(abs(Fraction(charge))) + ("-" if charge < 0 else "+")


def units_needed(parts: Iterable[Constituent], x: Fraction) -> int:
    """The smallest number of formula units with whole atoms; every such number is a multiple."""
    return math.lcm(*(part.amount.at(x).denominator for part in parts))


def x_values(
    wanted: Sequence[float] | XRange, parts: Sequence[Constituent], sizes: Sequence[Fraction]
) -> list[Fraction]:
    """The values of x that a family asks for.

    Args:
        wanted: a list, a grid, or from where to where; see `XRange`.
        parts: the composition.
        sizes: formula units in each supercell that is allowed.
    """
    if not isinstance(wanted, XRange):
        return list(dict.fromkeys(map(exact_fraction, wanted))) or [Fraction(0)]
    low, high = exact_fraction(wanted.min), exact_fraction(wanted.max)
    if wanted.step is None:
        return sorted({x for size in sizes for x in whole_x(parts, size, low, high)})
    step = exact_fraction(wanted.step)
    return [low + k * step for k in range((high - low) // step + 1)]


def whole_x(
    parts: Sequence[Constituent], n_units: Fraction, low: Fraction, high: Fraction
) -> list[Fraction]:
    """Every x from low to high for which n formula units hold whole atoms, rising.

    Where nothing depends on x, low stands for all.
    """
    amounts = [part.amount * n_units for part in parts]
    if any(not amount.slope and amount.constant.denominator > 1 for amount in amounts):
        return []
    moving = sorted((a for a in amounts if a.slope), key=lambda amount: abs(amount.slope))
    if not moving:
        return [low]
    slowest, *others = moving
    ends = sorted((slowest.at(low), slowest.at(high)))
    found = (
        (k - slowest.constant) / slowest.slope
        for k in range(math.ceil(ends[0]), math.floor(ends[1]) + 1)
    )
    return sorted(x for x in found if all(other.at(x).denominator == 1 for other in others))


def why_not_whole(
    parts: Sequence[Constituent],
    x: Fraction,
    sizes: Sequence[Fraction],
    limits: Limits,
    fits: Callable[[Fraction], bool] = lambda x: True,
) -> str:
    """What does not fit, the nearest x that do, and how many formula units this one needs.

    Args:
        parts: the composition.
        x: for which none of `sizes` holds whole atoms.
        sizes: formula units in each supercell that is allowed.
        limits: of x.
        fits: says whether another x that gives whole atoms is any good.
    """
    size = max(sizes)
    part = next(part for part in parts if (part.amount.at(x) * size).denominator > 1)
    atoms = f"{written(part.amount.at(x) * size)} {part.symbol}"
    units = f"{written(size)} formula unit{'' if size == 1 else 's'}"
    units += ", the largest supercell" if len(sizes) > 1 else ""
    needs = f"needs a multiple of {units_needed(parts, x)} formula units"
    if not any(part.amount.slope for part in parts):
        return f"{atoms} in {units}; it {needs}"
    near = [written(other) for other in _nearest_whole_x(parts, x, sizes, limits, fits)]
    works = f"the nearest x that work{'s' if len(near) == 1 else ''}: {' and '.join(near)}; "
    return (
        f"x = {written(x)} puts {atoms} into {units}; {works if near else ''}x = {written(x)} "
        f"{needs}"
    )


def _nearest_whole_x(
    parts: Sequence[Constituent],
    x: Fraction,
    sizes: Sequence[Fraction],
    limits: Limits,
    fits: Callable[[Fraction], bool],
) -> list[Fraction]:
    """The nearest fitting x below and above that some size holds in whole atoms, if any."""
    low, high = limits
    found = set()
    for size in sizes:
        periods = [1 / abs(part.amount.slope * size) for part in parts if part.amount.slope]
        period = Fraction(
            math.lcm(*(p.numerator for p in periods)), math.gcd(*(p.denominator for p in periods))
        )
        start, end = max(low, x - 2 * period), x + 2 * period
        found.update(whole_x(parts, size, start, end if high is None else min(high, end)))
    below = next(filter(fits, sorted((other for other in found if other < x), reverse=True)), None)
    above = next(filter(fits, sorted(other for other in found if other > x)), None)
    return [other for other in (below, above) if other is not None]


def amounts_formula(parts: Sequence[Constituent], x: Fraction) -> str:
    """The composition in words, each element once: `K2.3Zr0.7Y0.3Cl6`."""
    amounts: dict[str, Fraction] = {}
    for part in parts:
        if amount := part.amount.at(x):
            amounts[part.symbol] = amounts.get(part.symbol, Fraction(0)) + amount
    return ion_formula(list(amounts.items()))
