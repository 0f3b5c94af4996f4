"""What became of a candidate, and what the marks in a ranking mean: the same words everywhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from screening.ranked import RankedCandidate

METASTABLE, INTERVAL, SUSPECT, MOVES, BENT, BOUND = "*", "(…)", "?", "†", "‡", "<"
"""Marks beside values in a ranking."""
_MOST_CAVEATS = 8


@dataclass(frozen=True)
class Footnote:
    """A mark and what it means."""

    mark: str
    text: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.mark} {self.text}"


def footnotes(rows: Iterable[RankedCandidate], teller: str) -> list[Footnote]:
    """What the marks mean that occur in some rows.

    Args:
        rows: that are shown.
        teller: what says more of one candidate.
    """
    rows = list(rows)
    reasons = any(d.reason for row in rows for d in row.diffusivity)
    occurring = {
        METASTABLE: any(row.window_of == "equilibrium" for row in rows),
        INTERVAL: any(row.window_68_V for row in rows),
        SUSPECT: any(row.suspect for row in rows),
        MOVES: any(d.framework_moves for row in rows for d in row.diffusivity),
        BENT: any(row.one_arrhenius_law is False for row in rows),
        BOUND: reasons,
    }
    meanings = {
        METASTABLE: "metastable: the window is that of the phases it decomposes into",
        INTERVAL: "68 % interval of the width in V, from the engine's error on energies",
        SUSPECT: f"suspect, therefore without a rank: a guard failed; {teller} says which",
        MOVES: "the framework itself moves at this temperature: not the crystal's D",
        BENT: "D follows no single Arrhenius law, so σ(300 K) is not to be relied on; "
        f"{teller} gives the evidence",
        BOUND: f"upper bound at 95 % confidence; {teller} gives each reason",
    }
    return [Footnote(mark, text) for mark, text in meanings.items() if occurring[mark]]


def common_caveats(rows: Iterable[RankedCandidate]) -> tuple[list[str], int]:
    """Caveats of the ranked ones among some rows, most frequent first, and how many more."""
    counts = Counter(caveat for row in rows if row.rank is not None for caveat in row.caveats)
    common = [caveat for caveat, _ in counts.most_common(_MOST_CAVEATS)]
    return common, len(counts) - len(common)


def more_caveats(number: int, teller: str) -> str:
    """Where there are more than `common_caveats` gives."""
    return (
        f"and {number} more caveats, each of fewer candidates; {teller} gives those of a candidate"
    )


def verdict(row: RankedCandidate) -> list[str]:
    """What became of a candidate: a sentence, and one for each run that gave nothing."""
    if row.rejection:
        gate = row.rejection
        value = "unknown" if gate.value is None else f"{gate.value:.4g}"
        return [f"{row.id} was rejected by {gate.gate}: {value}, allowed {gate.threshold:g}"]
    if row.failure:
        return [f"{row.id} failed in {row.stage} with {row.failure.code}: {row.failure.message}"]
    if row.state != "done":
        return [f"{row.id} is {row.state}: {row.stage}"]
    if row.suspect:
        return [f"{row.id} is done, but suspect: a guard failed"]
    return [
        f"{row.id} is done, rank {row.rank}; no gate rejected it",
        *(f"its run at {t} K gave nothing: {code}" for t, code in row.lost_runs.items()),
    ]
