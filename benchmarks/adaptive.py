"""Steps of adaptive molecular dynamics against runs of one fixed length, at equal median error.

    python benchmarks/adaptive.py [N_REPLICAS]

Synthetic ions (see walks.py) of nine diffusivities over four decades, in three kinds of motion in
turn: hops in three dimensions, hops along channels, and in a crystal that drifts. Each is analysed
after every segment, and the decision function says where the adaptive run ends. There is a gate
that five of the nine pass, as screening has one; the others are to be rejected.

An error is |ln(D / true D)|; a run that gives no value has an infinite one. The fixed length is the
shortest that serves as well: of no diffusivity that passes the gate is the median error over the
replicas larger than that of the adaptive runs. Steps are means over all ions.

Correct means: at most 5 % of the ions that pass the gate are rejected, at least 95 % of the others
are not taken for passing, and the 68 % intervals of runs that converged cover the truth as often as
they should, within 2.5 standard errors.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from walks import HOP_LENGTH_A, Hopping

from screening.errors import UnusableRun
from screening.transport.analysis import analyse_run
from screening.transport.documents import Diffusivity, RunEnd
from screening.transport.stopping import StoppingRule, Threshold, decide
from screening.transport.trajectory import Trajectory
from screening.units import A2_PER_PS_TO_CM2_PER_S

DIFFUSIVITIES_CM2_S = np.geomspace(1e-8, 1e-4, 9)
GATE_CM2_S = 10**-6.25
RULE = StoppingRule(0.25, Threshold("min_diffusivity_cm2_s", GATE_CM2_S))
SEGMENT_PS, BUDGET_PS = 5.0, 250.0
N_SEGMENTS = round(BUDGET_PS / SEGMENT_PS)
FRAME_INTERVAL_PS = 0.1
KINDS = ({}, {"n_axes": 1}, {"drift_A": 12.0})
GRID = (2, 2, 4)


@dataclass
class Ion:
    """A synthetic ion, and what is known of it after so many segments."""

    D_cm2_s: float
    seed: int
    known: dict[int, Diffusivity | None] = field(default_factory=dict)
    n_segments: int = N_SEGMENTS
    outcome: str = "budget"

    def trajectory(self) -> Trajectory:
        """A run as long as the budget."""
        n_frames = round(BUDGET_PS / FRAME_INTERVAL_PS) + 1
        kind = KINDS[self.seed % len(KINDS)]
        motion = Hopping(GRID, n_frames, FRAME_INTERVAL_PS, 1.0, **kind)
        D_A2_ps = self.D_cm2_s / A2_PER_PS_TO_CM2_PER_S
        n_hops = 6 * D_A2_ps * motion.n_ions * BUDGET_PS / HOP_LENGTH_A**2
        return replace(motion, n_hops=n_hops).walk(self.seed).trajectory

    def adapt(self) -> None:
        """Run until the rule ends it."""
        whole = self.trajectory()
        for n_segments in range(1, N_SEGMENTS + 1):
            if end := self._end(whole, n_segments):
                self.n_segments, self.outcome = n_segments, end.outcome
                return

    def _end(self, whole: Trajectory, n_segments: int) -> RunEnd | None:
        known = self._measure(whole, n_segments)
        return known and decide(known, RULE, is_last=n_segments == N_SEGMENTS)

    def measure(self, lengths: range) -> None:
        """Analyse fixed lengths, in segments."""
        whole = self.trajectory()
        for n_segments in lengths:
            self._measure(whole, n_segments)

    def _measure(self, whole: Trajectory, n_segments: int) -> Diffusivity | None:
        if n_segments not in self.known:
            n_frames = round(n_segments * SEGMENT_PS / FRAME_INTERVAL_PS) + 1
            try:
                self.known[n_segments] = analyse_run(whole.until_frame(n_frames), "K")
            except UnusableRun:
                self.known[n_segments] = None
        return self.known[n_segments]

    def error(self, n_segments: int) -> float:
        """ln(D / true D) after so many segments."""
        known = self.known[n_segments]
        if known is None or known.D_cm2_s is None:
            return math.inf
        return math.log(known.D_cm2_s / self.D_cm2_s)

    def covers(self) -> bool:
        """Whether the 68 % interval of the adaptive run holds the truth."""
        known = self.known[self.n_segments]
        if known is None or known.D_68_cm2_s is None:
            return False
        return known.D_68_cm2_s[0] <= self.D_cm2_s <= known.D_68_cm2_s[1]


def median_error(ions: list[Ion], n_segments: int | None = None) -> float:
    """Of |ln(D / true D)| after so many segments, or where the adaptive runs ended."""
    return float(np.median([abs(ion.error(n_segments or ion.n_segments)) for ion in ions]))


def fixed_length(groups: list[list[Ion]]) -> int:
    """Shortest length, in segments, at which no group has a larger median error than adaptively.

    Args:
        groups: of one diffusivity each, the smallest first; it decides, and the others are asked
            from there on.
    """
    n_segments = 0
    for ions in groups:
        limit = median_error(ions)
        while n_segments < N_SEGMENTS:
            n_segments += 1
            for ion in ions:
                ion.measure(range(n_segments, n_segments + 1))
            if median_error(ions, n_segments) <= limit:
                break
        n_segments -= 1
    return n_segments + 1


def main() -> None:
    n_replicas = int(sys.argv[1]) if len(sys.argv) > 1 else 18
    seeds = iter(range(len(DIFFUSIVITIES_CM2_S) * n_replicas))
    groups = [
        [Ion(float(D_cm2_s), next(seeds)) for _ in range(n_replicas)]
        for D_cm2_s in DIFFUSIVITIES_CM2_S
    ]
    print(f"gate {GATE_CM2_S:.1e} cm²/s, target {RULE.relative_error:.0%}, budget {BUDGET_PS:g} ps")
    print("D cm²/s   mean ps   median error   outcomes")
    for ions in groups:
        for ion in ions:
            ion.adapt()
        outcomes = Counter(ion.outcome for ion in ions)
        print(
            f"{ions[0].D_cm2_s:.1e} {np.mean([ion.n_segments for ion in ions]) * SEGMENT_PS:8.1f} "
            f"{median_error(ions):14.3f}   "
            + ", ".join(f"{n} {name}" for name, n in outcomes.items()),
            flush=True,
        )
    passing = [ions for ions in groups if ions[0].D_cm2_s > GATE_CM2_S]
    fixed_ps = fixed_length(passing) * SEGMENT_PS
    everyone = [ion for ions in groups for ion in ions]
    adaptive_ps = float(np.mean([ion.n_segments for ion in everyone])) * SEGMENT_PS
    print(f"adaptive {adaptive_ps:.1f} ps in the mean; fixed, as good: {fixed_ps:g} ps")

    rejected = [ion.outcome == "bound_rejects" for ions in passing for ion in ions]
    taken = [
        (known := ion.known[ion.n_segments]) is not None
        and known.D_68_cm2_s is not None
        and known.D_68_cm2_s[0] > GATE_CM2_S
        for ion in everyone
        if ion.D_cm2_s < GATE_CM2_S
    ]
    converged = [ion for ion in everyone if ion.outcome == "converged"]
    coverage = float(np.mean([ion.covers() for ion in converged]))
    bias = float(np.median([ion.error(ion.n_segments) for ion in converged]))
    tolerance = 2.5 * math.sqrt(0.68 * 0.32 / len(converged))
    print(
        f"{np.mean(rejected):.1%} of those that pass the gate are rejected, {np.mean(taken):.1%} "
        f"of the others taken for passing; of {len(converged)} converged runs {coverage:.0%} "
        f"cover the truth, median bias {bias:+.1%}"
    )
    correct = (
        np.mean(rejected) <= 0.05 and np.mean(taken) <= 0.05 and abs(coverage - 0.68) <= tolerance
    )
    print(
        json.dumps(
            {
                "benchmark": "adaptive",
                "ratios": {"steps_vs_fixed": round(adaptive_ps / fixed_ps, 3)},
                "correct": bool(correct),
                "adaptive_ps": adaptive_ps,
                "fixed_ps": fixed_ps,
                "coverage_68": coverage,
                "median_bias": bias,
                "wrongly_rejected": float(np.mean(rejected)),
            }
        )
    )


if __name__ == "__main__":
    main()
