"""What the ranking's two axes hold of each candidate, for every drawing of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from screening.ranked import RankedCandidate

Interval = tuple[float, float]


@dataclass(frozen=True)
class Quantity:
    """How mobile an ion is: σ at 300 K in S/cm, or D at some temperature in cm²/s.

    Args:
        diffusivity_at_K: None stands for σ(300 K).
    """

    diffusivity_at_K: float | None = None

    @property
    def symbol(self) -> str:
        """`σ(300 K)` or `D(600 K)`."""
        return "σ(300 K)" if self.diffusivity_at_K is None else f"D({self.diffusivity_at_K:g} K)"

    @property
    def unit(self) -> str:
        """Of its values."""
        return "S/cm" if self.diffusivity_at_K is None else "cm²/s"

    @property
    def axis_label(self) -> str:
        """Symbol and unit."""
        return f"{self.symbol} ({self.unit})"

    @property
    def column(self) -> str:
        """Its name in tables."""
        if self.diffusivity_at_K is None:
            return "conductivity_300K_S_cm"
        return f"D_{self.diffusivity_at_K:g}K_cm2_s"

    def of(self, row: RankedCandidate) -> tuple[float | None, Interval | None, float | None]:
        """Value, 68 % interval and upper bound at 95 %; of what is unknown all are None."""
        if self.diffusivity_at_K is None:
            value = row.conductivity_300K_S_cm
            bound = row.conductivity_300K_upper_bound_S_cm
            return value, row.conductivity_300K_68_S_cm, bound if value is None else None
        for entry in row.diffusivity:
            if entry.temperature_K == self.diffusivity_at_K:
                if entry.framework_moves:  # the crystal's own is anything up to it
                    highest = entry.D_95_cm2_s[1] if entry.D_95_cm2_s else entry.upper_bound_cm2_s
                    return None, None, highest
                return entry.D_cm2_s, entry.D_68_cm2_s, entry.upper_bound_cm2_s
        return None, None, None


class ParetoPoint(NamedTuple):
    """A candidate with a window and a conductivity or diffusivity, or a bound of it.

    Args:
        value: None where there is only an upper bound.
        upper_bound: at 95 % confidence; None where there is a value.
        front: 1 for the best; None where it is not ranked.
    """

    id: str
    formula: str
    mobile_ion: str
    window_V: float
    window_68_V: Interval | None
    value: float | None
    value_68: Interval | None
    upper_bound: float | None
    front: int | None
    rank: int | None
    state: str
    suspect: bool

    @property
    def height(self) -> float:
        """Where it is drawn: the value, or else the bound."""
        height = self.value if self.value is not None else self.upper_bound
        assert height is not None
        return height

    @property
    def is_ranked(self) -> bool:
        """Neither rejected nor suspect."""
        return self.rank is not None


@dataclass(frozen=True)
class ParetoPoints:
    """The points of one drawing.

    Args:
        quantity: on the second axis.
        points: in the order of the rows.
        n_without: rows that lack a window, or the quantity.
    """

    quantity: Quantity
    points: tuple[ParetoPoint, ...]
    n_without: int

    @property
    def edge(self) -> list[ParetoPoint]:
        """Values of the first front that no other of its values exceeds in both, by the window."""
        first = [p for p in self.points if p.front == 1 and p.value is not None]
        found: list[ParetoPoint] = []
        for point in sorted(first, key=lambda p: (-p.window_V, -p.height)):
            if not found or point.height > found[-1].height:
                found.append(point)
        return found[::-1]

    @property
    def height_range(self) -> tuple[float, float]:
        """For a logarithmic axis: all points with their intervals, and two decades or more."""
        ends = [end for p in self.points for end in (p.height, *(p.value_68 or ())) if end > 0]
        if not ends:
            return 1e-8, 1e-2
        low, high = min(ends), max(ends)
        wider = max(2.0, 10 / (high / low) ** 0.5)
        return low / wider, high * wider


def best_known_quantity(rows: Sequence[RankedCandidate]) -> Quantity | None:
    """What the rows say most about: σ(300 K), or D at the temperature that most of them share.

    Values count before bounds, and σ before D.

    Returns:
        None where nothing is known of any of them.
    """
    conductivity = Quantity()
    if any(row.conductivity_300K_S_cm is not None for row in rows):
        return conductivity
    known = [d for row in rows for d in row.diffusivity if not d.framework_moves]
    temperature_K = _most_common(d.temperature_K for d in known if d.D_cm2_s is not None)
    if temperature_K is not None:
        return Quantity(temperature_K)
    if any(row.conductivity_300K_upper_bound_S_cm is not None for row in rows):
        return conductivity
    temperature_K = _most_common(d.temperature_K for d in known)
    return None if temperature_K is None else Quantity(temperature_K)


def _most_common(temperatures_K: Iterable[float]) -> float | None:
    """The highest of those that occur most often."""
    counts = Counter(temperatures_K)
    return max(counts, key=lambda t: (counts[t], t), default=None)


def pareto_points(
    rows: Sequence[RankedCandidate], quantity: Quantity | None = None
) -> ParetoPoints:
    """The rows that have a place on both axes.

    Args:
        rows: of a ranking, or some of them.
        quantity: on the second axis; None chooses the one that is known best.
    """
    quantity = quantity or best_known_quantity(rows) or Quantity()
    points = []
    for row in rows:
        if row.window_V is None:
            continue
        value, value_68, upper_bound = quantity.of(row)
        if value is None and upper_bound is None:
            continue
        points.append(
            ParetoPoint(
                row.id,
                row.formula,
                row.mobile_ion,
                row.window_V,
                row.window_68_V,
                value,
                value_68,
                upper_bound,
                row.pareto_front,
                row.rank,
                row.state,
                row.suspect,
            )
        )
    return ParetoPoints(quantity, tuple(points), len(rows) - len(points))
