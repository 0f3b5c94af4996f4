"""The chemical systems that a campaign needs reference phases of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from screening.errors import InvalidInput

if TYPE_CHECKING:
    from screening.survey import Survey

MAX_ELEMENTS = 9  # of a system; the Materials Project answers for no more at once

System = tuple[str, ...]  # symbols in the order of the alphabet


def chemical_systems(survey: Survey, electrodes: Sequence[str] = ()) -> list[System]:
    """The largest chemical systems of a campaign; others are part of these.

    Args:
        survey: of its candidates.
        electrodes: formulas; each forms a system with every candidate.

    Raises:
        InvalidInput: a system of more than MAX_ELEMENTS, or an electrode that is no formula.
    """
    candidates = {counted.formula: elements_of(counted.formula) for counted in survey.counts}
    partners = {name: elements_of(name) for name in electrodes}
    systems = set()
    for formula, elements in candidates.items():
        systems.add(_checked(elements, formula))
        for name, others in partners.items():
            systems.add(_checked(elements | others, f"{formula} with the electrode {name}"))
    return largest(systems)


def largest(systems: Iterable[System]) -> list[System]:
    """Those that are not part of another, in the order of the alphabet."""
    found = sorted(set(systems))
    return [system for system in found if not any(set(system) < set(other) for other in found)]


def elements_of(formula: str) -> frozenset[str]:
    """Symbols of the elements of a formula.

    Raises:
        InvalidInput: it is none.
    """
    from pymatgen.core.composition import Composition

    try:
        return frozenset(element.symbol for element in Composition(formula, strict=True))
    except ValueError as error:
        raise InvalidInput(f"{formula!r} is no formula: {error}") from error


def system_of(symbols: Iterable[str]) -> System:
    """A chemical system from symbols of elements, in any order.

    Raises:
        InvalidInput: something else than elements, none, or more than MAX_ELEMENTS.
    """
    return _checked(valid_symbols(symbols), "the list")


def valid_symbols(symbols: Iterable[str]) -> frozenset[str]:
    """Symbols of elements as somebody typed them.

    Raises:
        InvalidInput: something else than elements, or none.
    """
    from pymatgen.core.periodic_table import Element

    given = [symbol.strip() for symbol in symbols]
    wrong = [symbol for symbol in given if not Element.is_valid_symbol(symbol)]
    if wrong or not given:
        found = ", ".join(map(repr, wrong)) or "nothing"
        raise InvalidInput(f"found {found}; needed: symbols of elements, such as K,Ta,Cl")
    return frozenset(given)


def _checked(elements: frozenset[str], of: str) -> System:
    if len(elements) > MAX_ELEMENTS:
        raise InvalidInput(
            f"{of} has {len(elements)} elements ({', '.join(sorted(elements))}); the Materials "
            f"Project answers for at most {MAX_ELEMENTS} at once; leave out an element or an "
            "electrode"
        )
    return tuple(sorted(elements))
