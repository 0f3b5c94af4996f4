"""Which compositions of a formula are neutral and fit a supercell, and why the others do not."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pydantic import Field
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element, Species

from screening.candidate_settings import Equimolar, XRange
from screening.documents import Document
from screening.errors import InvalidInput
from screening.formulas import Amount, Formula, exact_fraction, ion_formula, parse_ion, written
from screening.prototypes.library import Prototype, Role

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
    parts: Sequence[Constituent], x: Fraction, sizes: Sequence[Fraction], limits: Limits
) -> str:
    """What does not fit, the nearest x that do, and how many formula units this one needs."""
    size = max(sizes)
    part = next(part for part in parts if (part.amount.at(x) * size).denominator > 1)
    atoms = f"{written(part.amount.at(x) * size)} {part.symbol}"
    units = f"{written(size)} formula unit{'' if size == 1 else 's'}"
    needs = f"needs a multiple of {units_needed(parts, x)} formula units"
    others = f"{' at most' if len(sizes) > 1 else ''}"
    if not any(part.amount.slope for part in parts):
        return f"{units}{others} would hold {atoms}; it {needs}"
    reason = f"x = {written(x)} puts {atoms} into {units}{others}"
    near = [written(other) for other in _nearest_whole_x(parts, x, sizes, limits)]
    if near:
        reason += f"; the nearest x that work{'s' if len(near) == 1 else ''}: {' and '.join(near)}"
    return f"{reason}; x = {written(x)} {needs}"


def _nearest_whole_x(
    parts: Sequence[Constituent], x: Fraction, sizes: Sequence[Fraction], limits: Limits
) -> list[Fraction]:
    """The nearest neutral x below and above that some size holds in whole atoms, if any."""
    low, high = limits
    neutral = neutral_x(parts)
    found = set()
    for size in sizes:
        periods = [1 / abs(part.amount.slope * size) for part in parts if part.amount.slope]
        period = Fraction(
            math.lcm(*(p.numerator for p in periods)), math.gcd(*(p.denominator for p in periods))
        )
        start = max(low, x - period)
        end = x + period if high is None else min(high, x + period)
        found.update(whole_x(parts, size, start, end))
    if neutral is not None:
        found &= neutral
    below = [max((other for other in found if other < x), default=None)]
    above = [min((other for other in found if other > x), default=None)]
    return [other for other in below + above if other is not None]


def amounts_formula(parts: Sequence[Constituent], x: Fraction) -> str:
    """The composition in words, each element once: `K2.3Zr0.7Y0.3Cl6`."""
    amounts: dict[str, Fraction] = {}
    for part in parts:
        if amount := part.amount.at(x):
            amounts[part.symbol] = amounts.get(part.symbol, Fraction(0)) + amount
    return ion_formula(list(amounts.items()))


FILLING_TOLERANCE = Fraction(1, 2000)  # 0.333 is read as 1/3


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
