"""Known structures with other ions on their sites, chosen by the user or by statistics.

Reference:
    Hautier, Fischer, Ehrlacher, Jain, Ceder, Inorg. Chem. 50, 656 (2011), doi:10.1021/ic102031h:
    how likely one ion is to take the place of another, by way of pymatgen.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pymatgen.core.periodic_table import Element, Species

from screening.candidate_settings import Substitution
from screening.compositions import (
    Constituent,
    LeftOut,
    amounts_formula,
    likeliest_states,
    usual_oxidation_states,
    why_not_neutral,
)
from screening.errors import InvalidInput, ScreeningError
from screening.formulas import Amount, parse_ion
from screening.hosts import ALKALI_METALS, Disorder, Host, file_host
from screening.occupation import most_mobile_ion
from screening.prototypes.library import ionic_radius

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

Exchange = dict[Species, str]  # for each ion of the structure what takes its place: "K", "Nb5+"


def substituted_hosts(
    settings: Substitution, structure: Structure
) -> tuple[list[Host], list[LeftOut]]:
    """Every neutral substitution whose radii fit, and what is left out with its reason.

    Lengths are scaled by the rule of prototypes, and the disorder of the file stays. A host's notes
    say what took whose place, with the ratio of radii and the probability.

    Args:
        settings: a block of the campaign file.
        structure: what was read from its `path`.

    Raises:
        InvalidInput: the structure cannot be used: no alkali metal, unknown charges, an ion to be
            replaced that it does not hold, or one that the statistics do not know.
    """
    host = _file_host(settings, structure)
    exchanges = _given(settings, host) if settings.ions else _likely(settings, host)
    hosts: dict[frozenset[tuple[Species, Species]], Host] = {}
    left_out: dict[tuple[str, str], LeftOut] = {}
    for exchange in exchanges:
        parts = _constituents(settings, host, exchange)
        try:
            new = _charged(host, exchange, parts)
            key = frozenset(new.items())
            if key not in hosts:
                hosts[key] = _substituted(settings, host, new)
        except ScreeningError as error:
            parts.sort(key=lambda part: Element(part.symbol).X)
            formula, reason = amounts_formula(parts, Fraction(0)), f"{settings.path}: {error}"
            left_out[formula, reason] = LeftOut(formula=formula, reason=reason)
    return list(hosts.values()), list(left_out.values())


def _file_host(settings: Substitution, structure: Structure) -> Host:
    symbols = [element.symbol for element in structure.composition.elements]
    present = [symbol for symbol in (settings.mobile_ion, *ALKALI_METALS) if symbol in symbols]
    mobile_ion = present[0] if present else settings.mobile_ion
    host = file_host(settings.path, structure, mobile_ion, settings.oxidation_states)
    unknown = sorted({ion.symbol for ion in host.amounts() if not ion.oxi_state})
    if unknown:
        raise InvalidInput(
            f"{settings.path}: the charge of {', '.join(unknown)} is unknown; set oxidation_states"
        )
    return host


def _given(settings: Substitution, host: Host) -> Iterator[Exchange]:
    """The user's exchanges in every combination."""
    ions = list(host.amounts())
    options: dict[Species, tuple[str, ...]] = {ion: (str(ion),) for ion in ions}
    for name, new in settings.ions.items():
        symbol, state = parse_ion(name)
        replaced = [ion for ion in ions if ion.symbol == symbol and state in (None, ion.oxi_state)]
        if not replaced:
            raise InvalidInput(
                f"{settings.path} holds no {name} that could be replaced; it holds "
                f"{', '.join(map(str, ions))}"
            )
        options.update(dict.fromkeys(replaced, new))
    for chosen in itertools.product(*options.values()):
        yield dict(zip(options, chosen, strict=True))


def _likely(settings: Substitution, host: Host) -> Iterator[Exchange]:
    """Neutral exchanges above a probability that leave something mobile, the likeliest first."""
    amounts = host.amounts()
    statistics = _statistics()
    if unknown := [ion for ion in amounts if ion not in statistics.species]:
        raise InvalidInput(
            f"{settings.path}: the statistics know no {', '.join(map(str, unknown))}; say under "
            "ions what is to be replaced"
        )
    for exchange, _ in predicted_exchanges(list(amounts), settings.min_probability):
        charge = sum(Fraction(exchange[ion].oxi_state or 0) * n for ion, n in amounts.items())
        mobile = any(new.symbol in ALKALI_METALS for new in exchange.values())
        if not charge and mobile and any(old != new for old, new in exchange.items()):
            yield {old: str(new) for old, new in exchange.items()}


def predicted_exchanges(
    ions: list[Species], min_probability: float
) -> list[tuple[dict[Species, Species], float]]:
    """Sets of ions that may take the place of others, with their probability, likeliest first.

    The probability is the product over the ions of p(old | new): that of pymatgen's
    `SubstitutionPredictor.list_prediction(ions, to_this_composition=False)`. No two ions become
    one. Neutrality is not asked for.
    """
    statistics = _statistics()
    chances = [
        sorted(
            ((statistics.cond_prob(old, new), new) for new in statistics.species),
            key=lambda chance: (-chance[0], str(chance[1])),
        )
        for old in ions
    ]
    best = [math.prod(row[0][0] for row in chances[i:]) for i in range(len(ions) + 1)]
    found: list[tuple[dict[Species, Species], float]] = []

    def extend(chosen: tuple[Species, ...], probability: float) -> None:
        i = len(chosen)
        if i == len(ions):
            found.append((dict(zip(ions, chosen, strict=True)), probability))
            return
        for chance, new in chances[i]:
            if probability * chance * best[i + 1] <= min_probability:
                return
            if new not in chosen:
                extend((*chosen, new), probability * chance)

    extend((), 1.0)
    return sorted(found, key=lambda pair: -pair[1])


@functools.cache
def _statistics() -> Any:
    """Pymatgen's table of probabilities, read once a process."""
    from pymatgen.core.structure_prediction import substitution_probability

    table: Any = substitution_probability.SubstitutionProbability
    return table()


def _constituents(settings: Substitution, host: Host, exchange: Exchange) -> list[Constituent]:
    """The new composition, with the charges that each new ion may have."""
    amounts = host.amounts()
    whole = math.lcm(*(n.denominator for n in amounts.values()))
    n_formulas = Fraction(math.gcd(*(int(n * whole) for n in amounts.values())), whole)
    symbols = {parse_ion(new)[0] for new in exchange.values()}
    parts = []
    for old, new in exchange.items():
        symbol, state = parse_ion(new)
        states = (state,) if state else tuple(settings.oxidation_states.get(symbol, ()))
        states = states or usual_oxidation_states(symbol, with_oxygen="O" in symbols)
        parts.append(Constituent(symbol, states, Amount(amounts[old] / n_formulas)))
    return parts


def _charged(host: Host, exchange: Exchange, parts: list[Constituent]) -> dict[Species, Species]:
    """The exchange with the charges of all ions.

    Raises:
        InvalidInput: it is not neutral.
    """
    states = likeliest_states(parts, Fraction(0))
    if states is None:
        raise InvalidInput(why_not_neutral(parts, Fraction(0), (Fraction(0), Fraction(0))))
    return {
        old: Species(part.symbol, state)
        for old, (part, state) in zip(exchange, states, strict=True)
    }


def _substituted(settings: Substitution, host: Host, new: Mapping[Species, Species]) -> Host:
    """The host with other ions, scaled.

    Raises:
        InvalidInput: nothing mobile is left, or a radius or the sign of a charge is too different.
    """
    amounts = host.amounts()
    new_amounts: dict[Species, Fraction] = {}
    for old, number in amounts.items():
        new_amounts[new[old]] = new_amounts.get(new[old], Fraction(0)) + number
    held = {ion.symbol for ion in new_amounts}
    mobile_ion = (
        settings.mobile_ion if settings.mobile_ion in held else most_mobile_ion(new_amounts)
    )
    notes = []
    for old, ion in new.items():
        if old != ion:
            ratio = _checked_ratio(old, ion, settings.max_radius_mismatch)
            notes.append(f"{ion} in place of {old}: radius ratio {ratio:.3f}")
    statistics = _statistics()
    if notes and all({old, ion} <= statistics.species for old, ion in new.items()):
        probability = math.prod(statistics.cond_prob(old, ion) for old, ion in new.items())
        notes.append(f"probability of the substitution {probability:.2g}")
    scale = _length_ratio(amounts, new)
    structure = host.structure.copy()
    present = set(structure.species)  # a second occupant of a disordered site is not
    structure.replace_species({old: ion for old, ion in new.items() if old in present})
    structure.scale_lattice(structure.volume * scale**3)
    disorder = (_renamed(sublattice, new) for sublattice in host.disorder)
    return replace(
        host,
        mobile_ion=mobile_ion,
        structure=structure,
        disorder=tuple(sublattice for sublattice in disorder if sublattice),
        notes=(*host.notes, *notes),
    )


def _checked_ratio(old: Species, new: Species, max_mismatch: float) -> float:
    """New radius over old radius."""
    if (old.oxi_state or 0) * (new.oxi_state or 0) < 0:
        raise InvalidInput(f"{new} in place of {old}: charges of opposite sign")
    ratio = ionic_radius(new) / ionic_radius(old)
    if abs(math.log(ratio)) > max_mismatch:
        raise InvalidInput(
            f"{new} in place of {old}: radii of {ionic_radius(new):.2f} and "
            f"{ionic_radius(old):.2f} Å, |ln ratio| {abs(math.log(ratio)):.2f}; allowed: "
            f"max_radius_mismatch={max_mismatch:g}"
        )
    return ratio


def _length_ratio(amounts: Mapping[Species, Fraction], new: Mapping[Species, Species]) -> float:
    """The rule of prototypes: the mean cation-anion contact, or more where the framework asks."""

    def is_anion(ion: Species) -> bool:
        return (ion.oxi_state or 0) < 0

    def is_framework(ion: Species) -> bool:
        return not is_anion(ion) and ion.symbol not in (*ALKALI_METALS, "H")

    def contact_ratio(is_cation: Callable[[Species], bool]) -> float:
        cations, anions = list(filter(is_cation, amounts)), list(filter(is_anion, amounts))
        if not cations or not anions:
            return 1.0
        new_A, old_A = (
            _mean_radius(amounts, anions, image) + _mean_radius(amounts, cations, image)
            for image in (new, {ion: ion for ion in amounts})
        )
        return new_A / old_A

    mean = contact_ratio(lambda ion: not is_anion(ion) and ion.symbol != "H")
    return max(mean, math.sqrt(mean * contact_ratio(is_framework)))


def _mean_radius(
    amounts: Mapping[Species, Fraction], ions: Iterable[Species], image: Mapping[Species, Species]
) -> float:
    """Mean ionic radius of what is on the sites of some ions, in Å."""
    weights = {ion: float(amounts[ion]) for ion in ions}
    total = sum(weights.values())
    return sum(n * ionic_radius(image[ion]) for ion, n in weights.items()) / total


def _renamed(sublattice: Disorder, new: Mapping[Species, Species]) -> Disorder | None:
    """The sublattice with other occupants; None where only one is left."""
    shares: dict[Species | None, Fraction] = {}
    for occupant, fraction in zip(sublattice.occupants, sublattice.fractions, strict=True):
        ion = None if occupant is None else new[occupant]
        shares[ion] = shares.get(ion, Fraction(0)) + fraction
    if len(shares) == 1 and not sublattice.satellites:
        return None
    return replace(sublattice, occupants=tuple(shares), fractions=tuple(shares.values()))
