"""What another snapshot of reference phases changed: E_hull and limits, before and after.

A result is known by its inputs, so the answers for an earlier snapshot stay in the store beside
those for the present one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import orjson
from pydantic import ValidationError

from screening.stability.documents import Stability, StabilityDocument

if TYPE_CHECKING:
    from typing import Any

    from workflows.read_model import CampaignResults

# What tables show: below this nothing is seen to change.
SAME_ENERGY_EV_PER_ATOM = 5e-5
SAME_POTENTIAL_V = 5e-3


@dataclass(frozen=True)
class Snapshot:
    """Reference phases as a run used them; hashes are unknown for runs of earlier versions."""

    name: str
    sha256: str | None


@dataclass(frozen=True)
class Place:
    """What the reference phases make of a candidate."""

    e_hull_eV_per_atom: float
    reduction_limit_V: float
    oxidation_limit_V: float
    reduction_products: tuple[str, ...]
    oxidation_products: tuple[str, ...]

    @classmethod
    def of(cls, stability: Stability) -> Place:
        """The window that is ranked, and the place on the hull."""
        window = stability.window
        return cls(
            stability.e_hull_eV_per_atom,
            window.reduction.potential_V,
            window.oxidation.potential_V,
            window.reduction.products,
            window.oxidation.products,
        )

    def is_as(self, other: Place) -> bool:
        """Equal but for rounding."""
        return (
            abs(self.e_hull_eV_per_atom - other.e_hull_eV_per_atom) < SAME_ENERGY_EV_PER_ATOM
            and abs(self.reduction_limit_V - other.reduction_limit_V) < SAME_POTENTIAL_V
            and abs(self.oxidation_limit_V - other.oxidation_limit_V) < SAME_POTENTIAL_V
            and set(self.reduction_products) == set(other.reduction_products)
            and set(self.oxidation_products) == set(other.oxidation_products)
        )


@dataclass(frozen=True)
class Change:
    """A candidate before and after."""

    candidate: str
    formula: str
    before: Place
    after: Place


@dataclass(frozen=True)
class SnapshotChange:
    """What one snapshot in place of another did to a campaign.

    Args:
        before: the earlier snapshot.
        after: that of the last run.
        changed: candidates whose numbers or products are not the same.
        n_unchanged: candidates computed again to the same numbers, or not concerned at all.
    """

    before: Snapshot
    after: Snapshot
    changed: tuple[Change, ...]
    n_unchanged: int


def snapshot_changes(
    results: CampaignResults, since_last_run: bool = False
) -> tuple[SnapshotChange, ...]:
    """Differences from each earlier snapshot that results of the last run have replaced.

    Every candidate is compared with its latest earlier answer for another snapshot, of the same
    relaxed structure.

    Args:
        results: of the campaign.
        since_last_run: leave out what an earlier run has replaced already.

    Returns:
        One entry an earlier snapshot, the latest first; none where there was only one ever.
    """
    found: dict[int, list[Change]] = {}
    n_candidates = len(results.entries())
    oldest = _last_finished_run(results) if since_last_run else 0
    for run, change in _replaced(results):
        if run < oldest:
            continue
        found.setdefault(run, [])
        if not change.before.is_as(change.after):
            found[run].append(change)
    after = _snapshot(results, results.run)
    by_snapshot: dict[Snapshot, list[Change]] = {}
    for run in sorted(found, reverse=True):
        by_snapshot.setdefault(_snapshot(results, run), []).extend(found[run])
    return tuple(
        SnapshotChange(before, after, tuple(changed), n_candidates - len(changed))
        for before, changed in by_snapshot.items()
    )


def _replaced(results: CampaignResults) -> Iterator[tuple[int, Change]]:
    """Run of the earlier answer, and both answers, for each candidate that has an earlier one."""
    present: dict[str, tuple[str, str]] = {}  # candidate -> uuids of stability and relaxation
    formulas = {}
    for entry in results.entries():
        info = entry["candidate"]
        present[info["id"]] = entry["stability"]["uuid"], entry["relax"]["uuid"]
        formulas[info["id"]] = info["formula"]
    earlier: dict[str, tuple[int, str]] = {}
    for uuid, candidate, run, parents in results.table.select(
        "select uuid, candidate, run, parents from jobs where stage = 'stability' "
        "and state = 'done' and run < ? order by run",
        (results.run,),
    ):
        if candidate in present and present[candidate][1] in orjson.loads(parents):
            earlier[candidate] = run, uuid
    uuids = [uuid for _, uuid in earlier.values()]
    outputs = results.outputs([*uuids, *(present[candidate][0] for candidate in earlier)])
    for candidate, (run, uuid) in earlier.items():
        before, after = (_stability(outputs.get(u)) for u in (uuid, present[candidate][0]))
        if before and after and before.references_sha256 != after.references_sha256:
            yield run, Change(candidate, formulas[candidate], Place.of(before), Place.of(after))


def _stability(output: dict[str, Any] | None) -> Stability | None:
    """None where there is none, or where an earlier version wrote another shape."""
    if output is None:
        return None
    try:
        plain = {key: value for key, value in output.items() if not key.startswith("@")}
        return StabilityDocument(**plain).result
    except ValidationError:
        return None


def _last_finished_run(results: CampaignResults) -> int:
    ((run,),) = results.table.select(
        "select max(run) from runs where run < ? and ended_at is not null", (results.run,)
    )
    return run or 0


def _snapshot(results: CampaignResults, run: int) -> Snapshot:
    ((config, versions),) = results.table.select(
        "select config, versions from runs where run = ?", (run,)
    )
    name = orjson.loads(config)["stability"]["references"]
    return Snapshot(PurePath(name).name, orjson.loads(versions).get("references"))
