"""From stage documents to a ranked list.

Two axes decide: the width of the electrochemical window (V) and the diffusivity of the mobile ion
(cm²/s). They share no unit, so nothing is added up: candidates are sorted into Pareto fronts. One
is placed behind another only if its diffusivity lies below the other's for certain, that is, if the
68 % intervals do not overlap, and its window is not wider for certain. An upper bound is an
interval that starts at zero, and so is a diffusivity in a framework that moves itself; a window
without an interval is a point. Within a front the wider window comes first, then the lower energy
above hull. Without dynamics there is one front, and the windows alone decide.

A candidate with a failed guard is suspect: its numbers are more likely wrong than good. It has no
rank, puts nobody behind it, and follows all sound ones. Candidates that were rejected, failed or
are not finished come last.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from screening.documents import CandidateInfo, LowestOrdering, Relaxation, StageDocument
from screening.gates import Gates
from screening.ranked import RankedCandidate
from screening.stability.documents import Stability, StabilityDocument
from screening.transport.documents import Arrhenius, Diffusivity, Transport, TransportDocument

DETAILS: dict[str, Any] = {"principal": (), "equilibration": None, "msd": ()}
"""What takes most of the space of a diffusivity; rows leave it to the transport document."""


def gate_values(
    relaxation: Relaxation | None = None,
    stability: Stability | None = None,
    transport: Transport | None = None,
    lowest: LowestOrdering | None = None,
) -> dict[str, float | None]:
    """The quantities that gates ask for, as far as they are known.

    Of what has only an upper bound it is the bound: it breaks a gate only where the quantity does.
    """
    values: dict[str, float | None] = {}
    if relaxation is not None:
        values["volume_change_percent"] = abs(relaxation.volume_change_percent)
        if lowest is not None and lowest.energy_eV_per_atom is not None:
            values["e_above_lowest_eV_per_atom"] = (
                relaxation.energy_eV_per_atom - lowest.energy_eV_per_atom
            )
    if stability is not None:
        values["e_hull_eV_per_atom"] = stability.e_hull_eV_per_atom
        values["window_V"] = stability.window.width_V
        values["reduction_limit_V"] = stability.reduction_limit_V
        values["oxidation_limit_V"] = stability.oxidation_limit_V
    if transport is not None:
        values["diffusivity_cm2_s"] = min(
            (
                d.D_cm2_s or d.upper_bound_cm2_s or math.inf
                for d in transport.diffusivities
                if not d.framework_moves
            ),
            default=None,
        )
        values["conductivity_300K_S_cm"] = (
            transport.arrhenius.conductivity_300K_S_cm
            or transport.arrhenius.conductivity_300K_upper_bound_S_cm
        )
    return values


def summarise(
    candidate: CandidateInfo,
    engine: str,
    gates: Gates,
    relax: StageDocument | None,
    stability: StageDocument | None,
    last: StageDocument | None,
    last_stage: Literal["transport", "gates"] = "transport",
) -> RankedCandidate:
    """One unranked row from what is known of a candidate; its diffusivities without `DETAILS`.

    A stage not finished yet is None; one that left no document of its own is a StageDocument.

    Args:
        candidate: what it is.
        engine: name of the campaign's engine.
        gates: asked once more, now that transport is known.
        relax: answer of the relaxation.
        stability: answer of the stability stage.
        last: answer of the last stage.
        last_stage: transport, or the gates where no dynamics is asked for.
    """
    stages: dict[str, StageDocument | None] = {
        "relax": relax,
        "stability": stability,
        last_stage: last,
    }
    state, stage = "done", "relax"
    decided: StageDocument | None = None
    for stage, document in stages.items():  # noqa: B007  the stage where the loop stopped
        if document is None or document.state == "skipped":
            state = "waiting"
            break
        if document.state != "done":
            state, decided = document.state, document
            break
    hull = stability.result if isinstance(stability, StabilityDocument) else None
    moved = last.result if isinstance(last, TransportDocument) else None
    rejection = decided.rejection if decided else None
    if state == "done" and (late := gates.first_broken(gate_values(transport=moved))):
        state, rejection = "rejected", late
    return RankedCandidate(
        rank=None,
        id=candidate.id,
        formula=candidate.formula,
        mobile_ion=candidate.mobile_ion,
        state=state,
        stage=stage,
        engine=engine,
        host=candidate.origin.host,
        degeneracy=candidate.origin.degeneracy,
        rejection=rejection,
        failure=decided.failure if decided else None,
        diffusivity=tuple(d.model_copy(update=DETAILS) for d in moved.diffusivities)
        if moved
        else (),
        run_ends=moved.ends if moved else {},
        lost_runs={T: failure.code for T, failure in moved.failures.items()} if moved else {},
        **_window(hull),
        **_conductivity(moved),
    )


def rank(rows: Iterable[RankedCandidate]) -> tuple[RankedCandidate, ...]:
    """Finished candidates first, numbered from 1, then suspect ones, then all others.

    The others are in the order of how far they came. Ranks that rows have already say nothing.
    """
    rows = tuple(rows)
    finished = [row for row in rows if row.state == "done" and not row.suspect]
    fronts = _pareto_fronts(finished)
    placed = sorted(
        (front, *_within_front(row), row) for front, row in zip(fronts, finished, strict=True)
    )
    ranked = [
        row
        if (row.rank, row.pareto_front) == (number, front)
        else row.model_copy(update={"rank": number, "pareto_front": front})
        for number, (front, *_, row) in enumerate(placed, start=1)
    ]
    suspect = sorted(
        (row for row in rows if row.state == "done" and row.suspect), key=_within_front
    )
    order = ("running", "waiting", "rejected", "failed")
    others = sorted(
        (row for row in rows if row.state != "done"),
        key=lambda row: (order.index(row.state), row.e_hull_eV_per_atom or 0.0, row.id),
    )
    return (*ranked, *suspect, *others)


def _within_front(row: RankedCandidate) -> tuple[float, float, str]:
    return -(row.window_V or 0.0), row.e_hull_eV_per_atom or 0.0, row.id


def _window(hull: Stability | None) -> dict[str, Any]:
    if hull is None:
        return {}
    window = hull.window
    return {
        "formation_energy_eV_per_atom": hull.formation_energy_eV_per_atom,
        "e_hull_eV_per_atom": hull.e_hull_eV_per_atom,
        "reduction_limit_V": window.reduction.potential_V,
        "reduction_limit_68_V": window.reduction.potential_68_V,
        "oxidation_limit_V": window.oxidation.potential_V,
        "oxidation_limit_68_V": window.oxidation.potential_68_V,
        "window_V": window.width_V,
        "window_68_V": window.width_68_V,
        "window_of": hull.window_of,
        "reduction_products": window.reduction.products,
        "oxidation_products": window.oxidation.products,
        "suspect": hull.suspect,
        "caveats": (*(g.message for g in hull.guards if not g.passed), *hull.caveats),
    }


def _conductivity(moved: Transport | None) -> dict[str, Any]:
    if moved is None:
        return {}
    law = moved.arrhenius
    shared = RankedCandidate.model_fields.keys() & Arrhenius.model_fields.keys()
    return {
        **law.model_dump(include=set(shared)),
        "one_arrhenius_law": law.law.holds if law.law else None,
    }


def _pareto_fronts(rows: Sequence[RankedCandidate]) -> list[int]:
    """Front number of each row, in O(n log n).

    A row is in the front behind the last of those that hold those that it is placed behind. Rows
    are taken by falling upper end of their diffusivity. Who may put a row back has its lower end
    above that: it has been placed by then, and counts from then on. Among those who count, the last
    front of all whose window may be as wide is asked of a Fenwick tree over the upper ends of the
    windows.
    """
    temperature_K = _common_temperature(rows)
    diffusivities = [_diffusivity_interval(row.diffusivity, temperature_K) for row in rows]
    windows = [_window_interval(row) for row in rows]
    place = {high: i for i, high in enumerate(sorted({high for _, high in windows}))}
    ends = list(place)
    counting = _LastFront(len(ends))
    fronts = [0] * len(rows)
    by_low = sorted(range(len(rows)), key=lambda i: -diffusivities[i][0])
    n_counting = 0
    for i in sorted(range(len(rows)), key=lambda i: -diffusivities[i][1]):
        _, high = diffusivities[i]
        while n_counting < len(rows) and diffusivities[by_low[n_counting]][0] > high:
            other = by_low[n_counting]
            counting.add(place[windows[other][1]], fronts[other])
            n_counting += 1
        as_wide = bisect.bisect_left(ends, windows[i][0])
        fronts[i] = 1 + counting.from_place_on(as_wide)
    return fronts


class _LastFront:
    """The highest front number from any place to the end: a Fenwick tree, counted from the end."""

    def __init__(self, n_places: int) -> None:
        self._highest = [0] * (n_places + 1)

    def add(self, place: int, front: int) -> None:
        node = len(self._highest) - 1 - place
        while node < len(self._highest):
            self._highest[node] = max(self._highest[node], front)
            node += node & -node

    def from_place_on(self, place: int) -> int:
        node, highest = len(self._highest) - 1 - place, 0
        while node > 0:
            highest = max(highest, self._highest[node])
            node -= node & -node
        return highest


def _window_interval(row: RankedCandidate) -> tuple[float, float]:
    """68 % interval of the window's width in V; a point where there is none."""
    width_V = row.window_V or 0.0
    return row.window_68_V or (width_V, width_V)


def _common_temperature(rows: Sequence[RankedCandidate]) -> float | None:
    """The highest temperature at which most rows have something to compare."""
    counts = Counter(
        d.temperature_K for row in rows for d in row.diffusivity if not d.framework_moves
    )
    return max(counts, key=lambda t: (counts[t], t), default=None)


def _diffusivity_interval(
    diffusivities: Sequence[Diffusivity], temperature_K: float | None
) -> tuple[float, float]:
    """68 % interval of D in cm²/s; (0, bound) for an upper bound, (0, inf) if nothing is known.

    In a framework that moves, D is not that of the crystal: it may be anything up to it.
    """
    for diffusivity in diffusivities:
        if diffusivity.temperature_K == temperature_K:
            if diffusivity.D_68_cm2_s is None:
                return 0.0, diffusivity.upper_bound_cm2_s or math.inf
            low, high = diffusivity.D_68_cm2_s
            return (0.0 if diffusivity.framework_moves else low), high
    return 0.0, math.inf
