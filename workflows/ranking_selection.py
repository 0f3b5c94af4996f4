"""Some rows of a ranking, in some order: by what, and how addresses say so."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, get_args

from screening.errors import InvalidInput
from screening.ranked import RankedCandidate
from workflows.pareto_points import Quantity, best_known_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

SIGMA = "sigma"
STATES = (*get_args(RankedCandidate.model_fields["state"].annotation), "suspect")
"""That rows may have; who is suspect is done, too."""
_ORDER_OF_STATES = ("done", "running", "waiting", "rejected", "failed")
_DIFFUSIVITY = re.compile(r"D_([0-9]{1,6}(?:\.[0-9]{1,6})?)K")
_LONGEST = 256  # characters: what an address holds stands in every link of the page
_ELEMENT = re.compile(r"[A-Z][a-z]?")


@lru_cache(maxsize=100_000)
def _elements(formula: str) -> frozenset[str]:
    return frozenset(_ELEMENT.findall(formula))


@lru_cache(maxsize=100_000)
def _by_numbers(identifier: str) -> tuple[Any, ...]:
    """So that -10 comes after -9."""
    return tuple(
        int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", identifier)
    )


def quantity_name(quantity: Quantity) -> str:
    """In addresses: `sigma` or `D_600K`."""
    kelvin = quantity.diffusivity_at_K
    return SIGMA if kelvin is None else f"D_{_decimal(kelvin)}K"


def _decimal(kelvin: float) -> str:
    return f"{kelvin:.6f}".rstrip("0").rstrip(".")


def quantity_named(name: str) -> Quantity | None:
    """The quantity of that name; None where there is none."""
    if name == SIGMA:
        return Quantity()
    found = _DIFFUSIVITY.fullmatch(name)
    return Quantity(float(found[1])) if found else None


@dataclass(frozen=True)
class RankingFilter:
    """What rows must be like; None and empty stand for anything.

    Args:
        q: words, each an element of the formula or a part of formula or id.
        state: as the rows have it, or `suspect`.
        max_e_hull_meV: per atom.
        min_window_V: of the window's width; with `max_window_V`, `min_y` and `max_y` a box in the
            Pareto plot.
        y: name of the quantity of `min_y` and `max_y`; None: the one that is plotted.
        min_y: asks for a value; one with an upper bound alone may be anything below it.
        max_y: of the value, or of its upper bound where there is no value.
        bounds: for `min_y`, too, an upper bound counts like a value, as if it were reached: of a
            box in the plot, which holds what is drawn in it.
    """

    q: str | None = None
    ion: str | None = None
    state: str | None = None
    host: str | None = None
    max_e_hull_meV: float | None = None
    min_window_V: float | None = None
    max_window_V: float | None = None
    y: str | None = None
    min_y: float | None = None
    max_y: float | None = None
    bounds: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """What an address asks for; of other things that it says nothing is taken.

        Raises:
            InvalidInput: a value that cannot be used.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            text = query.get(field.name, "").strip()
            if len(text) > _LONGEST:
                raise InvalidInput(f"{field.name}: at most {_LONGEST} characters, not {len(text)}.")
            if field.name == "bounds":
                if text not in ("", "1"):
                    raise InvalidInput(f"bounds={text}: needed is 1, or nothing.")
                values["bounds"] = text == "1"
            elif text:
                is_number = field.name.startswith(("min_", "max_"))
                values[field.name] = _number(field.name, text) if is_number else text
        if values.get("state", "done") not in STATES:
            raise InvalidInput(f"state={values['state']}: needed is one of {', '.join(STATES)}.")
        if quantity_named(values.get("y", SIGMA)) is None:
            raise InvalidInput(f"y={values['y']}: needed is {SIGMA}, or D_600K for D at 600 K.")
        return cls(**values)

    def query(self) -> list[tuple[str, str]]:
        """For an address; `from_query` reads it back."""
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [
            (name, _in_address(value))
            for name, value in found
            if value is not None and value is not False
        ]

    @property
    def is_open(self) -> bool:
        """Whether every row is let through."""
        return replace(self, y=None, bounds=False) == type(self)()

    @property
    def has_box(self) -> bool:
        """Whether a box in the plot is asked for, or a side of one."""
        return self.without_box() != replace(self, bounds=False)

    def without_box(self) -> Self:
        """The same for the rest."""
        return replace(
            self, min_window_V=None, max_window_V=None, min_y=None, max_y=None, bounds=False
        )

    def rows(self, rows: Iterable[RankedCandidate], plotted: Quantity) -> list[RankedCandidate]:
        """Those that it lets through, in their order.

        Args:
            rows: of a ranking.
            plotted: whose values count where `y` names no quantity.
        """
        conditions = list(self._conditions(plotted))
        return [row for row in rows if all(holds(row) for holds in conditions)]

    def _height(self, row: RankedCandidate, quantity: Quantity) -> float | None:
        """The value, or where it counts the bound."""
        value, _, bound = quantity.of(row)
        return bound if value is None and (self.min_y is None or self.bounds) else value

    def _conditions(self, plotted: Quantity) -> Iterator[Callable[[RankedCandidate], bool]]:
        if self.ion is not None:
            yield lambda row: row.mobile_ion == self.ion
        if self.state == "suspect":
            yield lambda row: row.suspect
        elif self.state is not None:
            yield lambda row: row.state == self.state
        if self.host is not None:
            yield lambda row: row.host == self.host
        if (highest_meV := self.max_e_hull_meV) is not None:
            yield lambda row: _within(row.e_hull_eV_per_atom, None, highest_meV / 1000)
        if self.min_window_V is not None or self.max_window_V is not None:
            yield lambda row: _within(row.window_V, self.min_window_V, self.max_window_V)
        if self.min_y is not None or self.max_y is not None:
            quantity = (quantity_named(self.y) if self.y else None) or plotted
            yield lambda row: _within(self._height(row, quantity), self.min_y, self.max_y)
        for word in (self.q or "").replace(",", " ").split():
            if _ELEMENT.fullmatch(word):
                yield lambda row, word=word: word in _elements(row.formula)  # type: ignore[misc]
            else:
                part = word.lower()
                yield lambda row, part=part: (  # type: ignore[misc]
                    part in row.id.lower() or part in row.formula.lower()
                )


@dataclass(frozen=True)
class RankingFacts:
    """What a whole ranking holds, whatever is shown of it.

    Args:
        best_known: what can be plotted of most rows; see `best_known_quantity`.
        temperatures_K: at which any row has a diffusivity or a bound, or lost a run.
        hosts: with how many rows.
        n_of_state: by state; `suspect` counts rows that are done, too.
    """

    best_known: Quantity
    temperatures_K: tuple[float, ...]
    ions: tuple[str, ...]
    hosts: tuple[tuple[str, int], ...]
    n_of_state: Mapping[str, int]

    @classmethod
    def of(cls, rows: Sequence[RankedCandidate]) -> Self:
        """Of all rows of a ranking."""
        states = Counter(row.state for row in rows)
        suspect = Counter("suspect" for row in rows if row.suspect)
        return cls(
            best_known=best_known_quantity(rows) or Quantity(),
            temperatures_K=tuple(
                sorted(
                    {d.temperature_K for row in rows for d in row.diffusivity}
                    | {float(kelvin) for row in rows for kelvin in row.lost_runs}
                )
            ),
            ions=tuple(sorted({row.mobile_ion for row in rows})),
            hosts=tuple(sorted(Counter(row.host for row in rows).items())),
            n_of_state=states + suspect,
        )


def sorted_rows(rows: Sequence[RankedCandidate], order: str | None) -> list[RankedCandidate]:
    """Values in the order asked for, then what has only an upper bound, then what is unknown.

    What is alike stays in the order of the ranking.

    Args:
        rows: of a ranking.
        order: name of a column, with a `-` before it for falling values; None: as they are.

    Raises:
        InvalidInput: there is no such column.
    """
    if not order:
        return list(rows)
    name, falling = order.removeprefix("-"), order.startswith("-")
    place = _place(name)
    known: list[tuple[Any, RankedCandidate]] = []
    bounds: list[tuple[Any, RankedCandidate]] = []
    unknown = []
    for row in rows:
        value, is_bound = place(row)
        if value is None:
            unknown.append(row)
        else:
            (bounds if is_bound else known).append((value, row))
    for group in (known, bounds):
        group.sort(key=lambda entry: entry[0], reverse=falling)
    return [*(row for _, row in known), *(row for _, row in bounds), *unknown]


COLUMNS: dict[str, Callable[[RankedCandidate], Any]] = {
    "rank": lambda row: row.rank,
    "front": lambda row: row.pareto_front,
    "id": lambda row: _by_numbers(row.id),
    "ion": lambda row: row.mobile_ion,
    "state": lambda row: (_ORDER_OF_STATES.index(row.state), row.suspect),
    "e_hull": lambda row: row.e_hull_eV_per_atom,
    "window": lambda row: row.window_V,
    "Ea": lambda row: row.activation_energy_eV,
    "caveats": lambda row: len(row.caveats) or None,
}
"""Those that are no `Quantity`, by their names in addresses."""


def _place(column: str) -> Callable[[RankedCandidate], tuple[Any, bool]]:
    """What a column sorts by, and whether that is only an upper bound."""
    if column in COLUMNS:
        of = COLUMNS[column]
        return lambda row: (of(row), False)
    quantity = quantity_named(column)
    if quantity is None:
        names = ", ".join([*COLUMNS, SIGMA, "D_600K"])
        raise InvalidInput(f"sort={column}: needed is one of {names}, - before it for falling.")

    def place(row: RankedCandidate) -> tuple[Any, bool]:
        value, _, bound = quantity.of(row)
        return (bound, True) if value is None else (value, False)

    return place


def _in_address(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return repr(value).removesuffix(".0") if isinstance(value, float) else "1"


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and (low is None or low <= value) and (high is None or value <= high)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidInput(f"{name}={text}: needed is a number.")
    return value
