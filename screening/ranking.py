"""From stage documents to a ranked list.

Two axes decide: the width of the electrochemical window (V) and the diffusivity of the mobile ion
(cm²/s). They share no unit, so nothing is added up: candidates are sorted into Pareto fronts. One
is placed behind another only if its window is not wider and its diffusivity lies below the other's
for certain, that is, if the 68 % intervals do not overlap. An upper bound is an interval that
starts at zero, and so is a diffusivity in a framework that moves itself. Within a front the wider
window comes first, then the lower energy above hull. Candidates that were rejected, failed or are
not finished follow unranked.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from screening.documents import (
    CandidateInfo,
    Diffusivity,
    LowestOrdering,
    RankedCandidate,
    Relaxation,
    Stability,
    StabilityDocument,
    StageDocument,
    Transport,
    TransportDocument,
)
from screening.gates import Gates


def gate_values(
    relaxation: Relaxation | None = None,
    stability: Stability | None = None,
    transport: Transport | None = None,
    lowest: LowestOrdering | None = None,
) -> dict[str, float | None]:
    """The quantities that gates ask for, as far as they are known."""
    values: dict[str, float | None] = {}
    if relaxation is not None:
        values["volume_change_percent"] = abs(relaxation.volume_change_percent)
        if lowest is not None and lowest.energy_eV_per_atom is not None:
            values["e_above_lowest_eV_per_atom"] = (
                relaxation.energy_eV_per_atom - lowest.energy_eV_per_atom
            )
    if stability is not None:
        values["e_hull_eV_per_atom"] = stability.e_hull_eV_per_atom
        values["window_V"] = stability.oxidation_limit_V - stability.reduction_limit_V
        values["reduction_limit_V"] = stability.reduction_limit_V
        values["oxidation_limit_V"] = stability.oxidation_limit_V
    if transport is not None:
        values["conductivity_300K_S_cm"] = transport.arrhenius.conductivity_300K_S_cm
    return values


def summarise(
    candidate: CandidateInfo,
    engine: str,
    gates: Gates,
    relax: StageDocument | None,
    stability: StageDocument | None,
    transport: StageDocument | None,
) -> RankedCandidate:
    """One unranked row from what is known of a candidate.

    A stage not finished yet is None; one that left no document of its own is a StageDocument.
    """
    stages: dict[str, StageDocument | None] = {
        "relax": relax,
        "stability": stability,
        "transport": transport,
    }
    state, stage = "done", "transport"
    decided: StageDocument | None = None
    for stage, document in stages.items():  # noqa: B007  the stage where the loop stopped
        if document is None or document.state == "skipped":
            state = "waiting"
            break
        if document.state != "done":
            state, decided = document.state, document
            break
    hull = stability.result if isinstance(stability, StabilityDocument) else None
    moved = transport.result if isinstance(transport, TransportDocument) else None
    rejection = decided.rejection if decided else None
    if state == "done" and (late := gates.first_broken(gate_values(transport=moved))):
        state, rejection = "rejected", late
    arrhenius = moved.arrhenius if moved else None
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
        diffusivity=moved.diffusivities if moved else (),
        caveats=hull.caveats if hull else (),
        **_window(hull),
        **(
            {}
            if arrhenius is None
            else arrhenius.model_dump(
                include={
                    "activation_energy_eV",
                    "activation_energy_68_eV",
                    "conductivity_300K_S_cm",
                    "conductivity_300K_68_S_cm",
                }
            )
        ),
    )


def rank(rows: Iterable[RankedCandidate]) -> tuple[RankedCandidate, ...]:
    """Finished candidates first, numbered from 1, then all others by how far they came."""
    rows = tuple(rows)
    finished = [row for row in rows if row.state == "done"]
    fronts = _pareto_fronts(finished)
    placed = sorted(
        (front, -(row.window_V or 0.0), row.e_hull_eV_per_atom or 0.0, row.id, row)
        for front, row in zip(fronts, finished, strict=True)
    )
    ranked = [
        row.model_copy(update={"rank": number, "pareto_front": front})
        for number, (front, *_, row) in enumerate(placed, start=1)
    ]
    order = ("running", "waiting", "rejected", "failed")
    others = sorted(
        (row for row in rows if row.state != "done"),
        key=lambda row: (order.index(row.state), row.e_hull_eV_per_atom or 0.0, row.id),
    )
    return (*ranked, *others)


def _window(hull: Stability | None) -> dict[str, Any]:
    if hull is None:
        return {}
    return {
        "formation_energy_eV_per_atom": hull.formation_energy_eV_per_atom,
        "e_hull_eV_per_atom": hull.e_hull_eV_per_atom,
        "reduction_limit_V": hull.reduction_limit_V,
        "oxidation_limit_V": hull.oxidation_limit_V,
        "window_V": hull.oxidation_limit_V - hull.reduction_limit_V,
        "window_of": hull.window_of,
        "reduction_products": hull.reduction_products,
        "oxidation_products": hull.oxidation_products,
    }


def _pareto_fronts(rows: Sequence[RankedCandidate]) -> list[int]:
    """Front number of each row, in O(n log n).

    Rows are taken by falling window. The highest certain diffusivity found in front k so far never
    rises with k (whoever is in front k + 1 was put there by a better one in front k), so the front
    of the next row follows by bisection.
    """
    temperature_K = _common_temperature(rows)
    intervals = [_diffusivity_interval(row.diffusivity, temperature_K) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (-(rows[i].window_V or 0.0), -intervals[i][0]))
    negated_best_lows: list[float] = []
    fronts = [0] * len(rows)
    for i in order:
        low, high = intervals[i]
        front = bisect.bisect_left(negated_best_lows, -high)
        if front == len(negated_best_lows):
            negated_best_lows.append(-low)
        else:
            negated_best_lows[front] = min(negated_best_lows[front], -low)
        fronts[i] = front + 1
    return fronts


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
