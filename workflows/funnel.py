"""How many candidates came how far, and why the others did not: at any moment of a run.

Every candidate is counted once at each step up to the one where it stopped. What entered a step is
what passed the one before, and it passed, was rejected, failed, or is not finished there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from screening.gates import Gates

if TYPE_CHECKING:
    from screening.documents import Rejection
    from screening.ranked import RankedCandidate
    from workflows.read_model import CampaignResults

Stop = Literal["rejected", "failed", "unfinished"]

ENUMERATED, RELAXED, STABILITY, DYNAMICS, RANKED = (
    "enumerated", "relaxed", "stability", "dynamics", "ranked",
)  # fmt: skip
_QUANTITIES = {
    "volume_change_percent": ("|Volume change|", "%"),
    "e_above_lowest_eV_per_atom": ("E above lowest ordering", "eV/atom"),
    "e_hull_eV_per_atom": ("E above hull", "eV/atom"),
    "window_V": ("Window", "V"),
    "reduction_limit_V": ("Reduction limit", "V"),
    "oxidation_limit_V": ("Oxidation limit", "V"),
    "diffusivity_cm2_s": ("D at every temperature", "cm²/s"),
    "conductivity_300K_S_cm": ("σ(300 K)", "S/cm"),
}
_SMALLER = {"eV/atom": (1000, "meV/atom")}  # for values, which are small numbers
_AFTER_DYNAMICS = ("diffusivity_cm2_s", "conductivity_300K_S_cm")
_SUSPECT = "suspect: a guard failed, so that it has no rank"


@dataclass(frozen=True)
class FunnelStep:
    """What became of the candidates at one step.

    Args:
        name: `enumerated`, `relaxed`, `stability`, the name of a gate in the config, `dynamics`
            or `ranked`.
        label: for people; of a gate with its threshold and unit.
        rejected: left out, stopped by the gate, or, among the ranked, suspect.
        reasons: why they were rejected or failed, most frequent first; a failure by its code.
    """

    name: str
    label: str
    entered: int
    passed: int
    rejected: int
    failed: int
    unfinished: int
    reasons: tuple[tuple[str, int], ...]


def campaign_funnel(
    results: CampaignResults, rows: Sequence[RankedCandidate]
) -> tuple[FunnelStep, ...]:
    """The funnel of a campaign's last run.

    Args:
        results: of the campaign.
        rows: its ranking, which is costly to make twice.
    """
    moving = results.table.select(
        "select distinct candidate from jobs where run = ? and stage = 'dynamics'", (results.run,)
    )
    return funnel(
        rows,
        Gates.model_validate(results.last_config["gates"]),
        results.left_out(),
        with_dynamics=results.last_config["dynamics"] is not None,
        in_dynamics={candidate for (candidate,) in moving},
    )


def funnel(
    rows: Sequence[RankedCandidate],
    gates: Gates,
    left_out: Mapping[str, str],
    *,
    with_dynamics: bool = True,
    in_dynamics: Collection[str] = frozenset(),
) -> tuple[FunnelStep, ...]:
    """Each step from the enumeration to the ranking, with the open gates where they are asked.

    All gates but those on transport are asked at once, when a candidate is on the hull; a candidate
    is counted at the first that it breaks.

    Args:
        rows: the ranking.
        gates: of the config that was run.
        left_out: composition or file that became no candidate -> why.
        with_dynamics: whether the campaign asks for it.
        in_dynamics: candidates that have runs, so that they have passed the gates before.
    """
    names = _steps(rows, gates, with_dynamics)
    stops: dict[str, Counter[Stop]] = defaultdict(Counter)
    reasons: dict[str, list[str]] = defaultdict(list)
    stops[ENUMERATED]["rejected"] = len(left_out)
    reasons[ENUMERATED] = [reason.split(";")[0] for reason in left_out.values()]
    beyond: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.state == "done":
            if row.suspect:
                stops[RANKED]["rejected"] += 1
                reasons[RANKED].append(_SUSPECT)
            continue
        step = _where(row, names, gates, in_dynamics)
        if row.state == "rejected":
            stops[step]["rejected"] += 1
            if row.rejection is not None and row.rejection.value is not None:
                beyond[step].append(row.rejection.value)
            else:
                reasons[step].append("its value is unknown")
        elif row.state == "failed":
            stops[step]["failed"] += 1
            reasons[step].append(row.failure.code if row.failure else "no cause is known")
        else:
            stops[step]["unfinished"] += 1
    entered = len(rows) + len(left_out)
    steps = []
    for name in names:
        stopped = stops[name]
        counted = Counter(reasons[name]).most_common()
        if values := beyond[name]:
            counted.insert(0, (_range(name, values), len(values)))
        passed = entered - stopped.total()
        steps.append(
            FunnelStep(
                name,
                _label(name, rows, gates),
                entered,
                passed,
                stopped["rejected"],
                stopped["failed"],
                stopped["unfinished"],
                tuple(sorted(counted, key=lambda reason: -reason[1])),
            )
        )
        entered = passed
    return tuple(steps)


def _steps(rows: Sequence[RankedCandidate], gates: Gates, with_dynamics: bool) -> list[str]:
    """Names of the steps; a gate that is open and rejected somebody before has one, too."""
    rejecting = {row.rejection.gate for row in rows if row.rejection}
    asked = [
        gate for gate in Gates.model_fields if getattr(gates, gate) is not None or gate in rejecting
    ]
    late = [gate for gate in asked if _quantity(gate) in _AFTER_DYNAMICS]
    early = [gate for gate in asked if gate not in late]
    dynamics = [DYNAMICS] if with_dynamics else []
    return [ENUMERATED, RELAXED, STABILITY, *early, *dynamics, *late, RANKED]


def _where(
    row: RankedCandidate, names: list[str], gates: Gates, in_dynamics: Collection[str]
) -> str:
    """The step at which a candidate stopped, or is now."""
    if row.rejection is not None:
        return row.rejection.gate
    if row.stage in ("enumerate", "relax"):
        return RELAXED
    if row.stage in ("polymorph", "stability"):
        return STABILITY
    after_hull = names[names.index(STABILITY) + 1 :]
    last = DYNAMICS if DYNAMICS in names else RANKED
    if row.stage == "lowest" or (row.stage == "gates" and row.state == "failed"):
        return after_hull[0]
    if row.state == "failed" or row.id in in_dynamics or row.lost_runs or row.diffusivity:
        return last
    return next(_not_known_to_be_passed(row, after_hull, gates), last)


def _not_known_to_be_passed(
    row: RankedCandidate, steps: Sequence[str], gates: Gates
) -> Iterator[str]:
    """Gates before dynamics that a candidate still waits for; what it will break is one of them."""
    known = {
        "e_hull_eV_per_atom": row.e_hull_eV_per_atom,
        "window_V": row.window_V,
        "reduction_limit_V": row.reduction_limit_V,
        "oxidation_limit_V": row.oxidation_limit_V,
    }
    for gate in steps:
        if gate in (DYNAMICS, RANKED):
            return
        value = known.get(_quantity(gate))
        if value is None or gates.first_broken({_quantity(gate): value}):
            yield gate


def _quantity(gate: str) -> str:
    return gate.split("_", 1)[1]


def _label(name: str, rows: Sequence[RankedCandidate], gates: Gates) -> str:
    labels = {
        ENUMERATED: "Enumerated",
        RELAXED: "Relaxed",
        STABILITY: "Placed on the hull",
        DYNAMICS: "Molecular dynamics",
        RANKED: "Ranked",
    }
    if name in labels:
        return labels[name]
    threshold = getattr(gates, name)
    if threshold is None:
        threshold = next(
            row.rejection.threshold for row in rows if row.rejection and row.rejection.gate == name
        )
    return gate_label(name, threshold)


def gate_label(gate: str, threshold: float) -> str:
    """A gate as people read it: `E above hull ≤ 0.05 eV/atom`."""
    quantity, unit = _QUANTITIES[_quantity(gate)]
    return f"{quantity} {'≤' if gate.startswith('max_') else '≥'} {threshold:g} {unit}"


def rejection_label(rejection: Rejection) -> str:
    """What a candidate was rejected for: `E above hull 210 meV/atom, allowed ≤ 50`."""
    quantity, factor, unit = _as_value(rejection.gate)
    value = "unknown" if rejection.value is None else f"{factor * rejection.value:.3g} {unit}"
    sign = "≤" if rejection.gate.startswith("max_") else "≥"
    return f"{quantity} {value}, allowed {sign} {factor * rejection.threshold:g}"


def _range(gate: str, values: Sequence[float]) -> str:
    quantity, factor, unit = _as_value(gate)
    low, high = f"{factor * min(values):.3g}", f"{factor * max(values):.3g}"
    return f"{quantity} {low if low == high else f'{low}…{high}'} {unit}"


def _as_value(gate: str) -> tuple[str, float, str]:
    """Of the quantity that a gate asks for: its name, and a factor to the unit of its values."""
    quantity, unit = _QUANTITIES[_quantity(gate)]
    return quantity, *_SMALLER.get(unit, (1, unit))
