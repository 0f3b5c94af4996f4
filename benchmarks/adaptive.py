"""Steps of adaptive molecular dynamics against runs of one fixed length, at equal median error.

    python benchmarks/adaptive.py [N_IONS]

Synthetic ions (see walks.py) whose diffusivities are spread evenly over four decades, in three
kinds of motion in turn: hops in three dimensions, hops along channels, and in a crystal that
drifts. Each is analysed after every segment, and the decision function says where the adaptive run
would have ended. An error is |ln(D / true D)|; a run that gives no value has an infinite one.

Either way of running has one length to choose: the fixed length, or the budget. Both get the
shortest with which the median error over all ions is `MEDIAN_ERROR`, and the mean number of steps
is compared. There is a gate that about half of the ions pass, as screening has one; what is saved
without it is printed too.

Correct means: at most 5 % of the ions that pass the gate are rejected, and the 68 % intervals of
runs that converged cover the truth in 58 to 78 %, as those of runs that nobody looked at should.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from walks import HOP_LENGTH_A, Hopping

from screening.errors import UnusableRun
from screening.transport.analysis import analyse_run
from screening.transport.documents import Diffusivity
from screening.transport.stopping import StoppingRule, Threshold, decide
from screening.transport.trajectory import Trajectory
from screening.units import A2_PER_PS_TO_CM2_PER_S

SLOWEST_CM2_S, FASTEST_CM2_S = 1e-8, 1e-4
GATE_CM2_S = 10**-6.25
TARGET = 0.25
MEDIAN_ERROR = 0.25
SEGMENT_PS, LONGEST_PS = 5.0, 300.0
FRAME_INTERVAL_PS = 0.1
KINDS = ({}, {"n_axes": 1}, {"drift_A": 12.0})
GRID = (2, 2, 4)
GATE = Threshold("min_diffusivity_cm2_s", GATE_CM2_S)


@dataclass(frozen=True)
class Ion:
    """What is known of an ion after each segment, and the truth."""

    D_cm2_s: float
    known: tuple[Diffusivity | None, ...]

    def error(self, n_segments: int) -> float:
        """Of the value after so many segments."""
        known = self.known[n_segments - 1]
        if known is None or known.D_cm2_s is None:
            return math.inf
        return math.log(known.D_cm2_s / self.D_cm2_s)

    def covers(self, n_segments: int) -> bool:
        """Whether the 68 % interval after so many segments holds the truth."""
        known = self.known[n_segments - 1]
        if known is None or known.D_68_cm2_s is None:
            return False
        return known.D_68_cm2_s[0] <= self.D_cm2_s <= known.D_68_cm2_s[1]

    def end(self, rule: StoppingRule) -> tuple[int, str]:
        """Segments after which the rule ends the run, and the outcome."""
        for n_segments, known in enumerate(self.known, start=1):
            if known and (end := decide(known, rule, is_last=False)):
                return n_segments, end.outcome
        return len(self.known), "budget"


def measured(D_cm2_s: float, seed: int) -> Ion:
    """Run an ion as long as any run may be, and analyse it after each segment."""
    n_frames = round(LONGEST_PS / FRAME_INTERVAL_PS) + 1
    motion = Hopping(GRID, n_frames, FRAME_INTERVAL_PS, 1.0, **KINDS[seed % len(KINDS)])
    D_A2_ps = D_cm2_s / A2_PER_PS_TO_CM2_PER_S
    n_hops = 6 * D_A2_ps * motion.n_ions * LONGEST_PS / HOP_LENGTH_A**2
    trajectory = replace(motion, n_hops=n_hops).walk(seed).trajectory
    n_segments = round(LONGEST_PS / SEGMENT_PS)
    known = [_analysed(trajectory, n * SEGMENT_PS) for n in range(1, n_segments + 1)]
    return Ion(D_cm2_s, tuple(known))


def _analysed(trajectory: Trajectory, length_ps: float) -> Diffusivity | None:
    n_frames = round(length_ps / FRAME_INTERVAL_PS) + 1
    try:
        return analyse_run(trajectory.until_frame(n_frames), "K")
    except UnusableRun:
        return None


def shortest(ions: Sequence[Ion], ends: Sequence[int]) -> tuple[float, float, int]:
    """Mean length, median error and budget (segments) of the shortest that is good enough.

    Args:
        ions: the set.
        ends: after how many segments each would be ended; the longest for a fixed length.
    """
    for budget in range(1, len(ions[0].known) + 1):
        lengths = np.minimum(ends, budget)
        errors = [abs(ion.error(n)) for ion, n in zip(ions, lengths, strict=True)]
        if (median := float(np.median(errors))) <= MEDIAN_ERROR:
            return float(lengths.mean()) * SEGMENT_PS, median, budget
    raise SystemExit(f"no budget up to {LONGEST_PS:g} ps gives a median error of {MEDIAN_ERROR}")


def main() -> None:
    n_ions = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    spread = (np.arange(n_ions) + 0.5) / n_ions
    D_cm2_s = SLOWEST_CM2_S * (FASTEST_CM2_S / SLOWEST_CM2_S) ** spread
    ions = [measured(float(D), seed) for seed, D in enumerate(D_cm2_s)]
    longest = len(ions[0].known)
    fixed_ps, fixed_error, _ = shortest(ions, [longest] * n_ions)
    print(f"{n_ions} ions, D {SLOWEST_CM2_S:g} to {FASTEST_CM2_S:g} cm²/s, gate {GATE_CM2_S:.1e}")
    print(f"fixed length:          {fixed_ps:6.1f} ps, median error {fixed_error:.3f}")

    ends = [ion.end(StoppingRule(TARGET, GATE)) for ion in ions]
    adaptive_ps, adaptive_error, budget = shortest(ions, [n for n, _ in ends])
    ungated = [ion.end(StoppingRule(TARGET))[0] for ion in ions]
    ungated_ps, ungated_error, _ = shortest(ions, ungated)
    print(
        f"adaptive:              {adaptive_ps:6.1f} ps, median error {adaptive_error:.3f}, "
        f"budget {budget * SEGMENT_PS:g} ps"
    )
    print(f"adaptive without gate: {ungated_ps:6.1f} ps, median error {ungated_error:.3f}")
    print(f"outcomes with a budget of {LONGEST_PS:g} ps:")
    for decade in range(-8, -4):
        group = [
            end
            for ion, end in zip(ions, ends, strict=True)
            if math.floor(math.log10(ion.D_cm2_s)) == decade
        ]
        outcomes = ", ".join(f"{n} {name}" for name, n in Counter(o for _, o in group).items())
        length_ps = np.mean([n for n, _ in group]) * SEGMENT_PS
        print(f"  1e{decade}  {length_ps:6.1f} ps  {outcomes}")

    passing = [end for ion, end in zip(ions, ends, strict=True) if ion.D_cm2_s > GATE_CM2_S]
    wrongly = float(np.mean([outcome == "bound_rejects" for _, outcome in passing]))
    converged = [
        (ion, n) for ion, (n, outcome) in zip(ions, ends, strict=True) if outcome == "converged"
    ]
    coverage = float(np.mean([ion.covers(n) for ion, n in converged]))
    bias = float(np.median([ion.error(n) for ion, n in converged]))
    print(
        f"{wrongly:.1%} of {len(passing)} ions that pass the gate are rejected; of "
        f"{len(converged)} converged runs {coverage:.0%} cover the truth, median bias {bias:+.1%}"
    )
    print(
        json.dumps(
            {
                "benchmark": "adaptive",
                "ratios": {
                    "steps_vs_fixed": round(adaptive_ps / fixed_ps, 3),
                    "steps_vs_fixed_without_gate": round(ungated_ps / fixed_ps, 3),
                },
                "correct": wrongly <= 0.05 and 0.58 <= coverage <= 0.78,
                "adaptive_ps": adaptive_ps,
                "fixed_ps": fixed_ps,
                "coverage_68": coverage,
                "median_bias": bias,
                "wrongly_rejected": wrongly,
            }
        )
    )


if __name__ == "__main__":
    main()
