"""Diffusivities with intervals: ours against DiffusionAnalyzer, kinisi, GEMDAT and MDAnalysis.

Speed: mean squared displacement, D and its interval, from positions in memory, of two synthetic
trajectories (T1, 100,000 frames of 128 atoms; T2, 10,000 frames of 512 atoms; a quarter of the
atoms hop). A ratio is the peer's CPU time over ours, medians over the runs, which alternate; one
thread each. Peers run in processes of their own, driven in the fastest way found
(`peers/transport.py` says which); `make bench-peers` installs them. Beside it stands the cost of
all that we say about a run: principal axes, charge diffusivity, equilibration and framework.
Every D has to agree with the known one: ours within its interval, a peer's within the scatter that
it has over replicas, because what most of them state as error is none.

Coverage: the classes of walks in `walks.py`, many replicas each. How often the intervals hold the
known D, the median bias, the spread of D; peers on the same trajectories. Errors are compared on
the replicas that both have, and about the known D: a D that is always wrong by the same factor has
a small spread. No floor rests on the harder classes. kinisi takes a second of CPU each time and
gets fewer replicas.

Memory: the peak while analysing T1 and T2 in a process of its own, trajectory included, what Python
and its libraries take before left out.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from transport_coverage import Answer, Peer, coverage, work_of
from walks import CLASSES, Hopping, Walk

from screening.transport.analysis import analyse_run
from screening.transport.diffusivity import VIBRATION_MEMORY_PS
from screening.transport.msd import series_from_framework
from screening.transport.posterior import ONE_SIGMA, interval
from screening.transport.slope import Motion, diffusive_slope
from screening.transport.trajectory import Trajectory
from screening.units import A2_PER_PS_TO_CM2_PER_S

SIZES = {
    "T1": Hopping((2, 2, 4), 100_000, 0.02, 3000),
    "T2": Hopping((4, 4, 4), 10_000, 0.02, 1250),
}
PEERS = ("diffusionanalyzer", "kinisi", "gemdat", "mdanalysis")
RATIO_FLOORS = {
    "T1_vs_diffusionanalyzer": 6,
    "T1_vs_kinisi": 25,
    "T1_vs_gemdat": 5,
    "T1_vs_mdanalysis": 3,
    "T2_vs_diffusionanalyzer": 15,
    "T2_vs_kinisi": 40,
    "T2_vs_gemdat": 15,
    "T2_vs_mdanalysis": 6,
}
ROUNDS = 3
RUNS_OF_OURS = 3
WARM_UP = Hopping((2, 2, 2), 3000, 0.02, 100)
REPLICAS = dict.fromkeys(("ours", *PEERS), 400) | {"kinisi": 100}
MAX_RMS = 1.0
"""Error of ours over the least of a peer's, on the same replicas."""
MEMORY_LIMIT = 2.0
"""Peak over the trajectory's own size."""
AGREEMENT_SIGMAS = 3.0


def cpu_s() -> float:
    """CPU time of this process, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True)
class Speed:
    """CPU seconds and answers of all tools for one trajectory."""

    D_cm2_s: float
    cpu_s: dict[str, float]
    all_of_ours_cpu_s: float
    answers: dict[str, Answer]

    def agree(self, scatter: dict[str, float]) -> bool:
        """Whether all D are the known one within their errors.

        Args:
            scatter: relative, of each peer's D over replicas.
        """
        ours = self.answers["ours"]
        if ours.D_cm2_s is None:
            return False
        low, high = np.log(ours.D_68_cm2_s)
        correct = True
        for name, answer in self.answers.items():
            error = (high - low) / 2 if name == "ours" else scatter[name]
            off = abs(math.log((answer.D_cm2_s or math.inf) / self.D_cm2_s))
            print(
                f"  {name:18} D / known D {(answer.D_cm2_s or 0) / self.D_cm2_s:.3f} ± {error:.3f}"
            )
            correct = correct and off <= AGREEMENT_SIGMAS * error
        return correct


def speed(hopping: Hopping) -> Speed:
    """All tools on one trajectory, in turn."""
    warm_up, walk = hopping_walk(WARM_UP), hopping_walk(hopping)
    analyse_run(warm_up.trajectory, "K")
    tracer(warm_up.trajectory)
    costs_s: dict[str, list[float]] = {name: [] for name in ("ours", "all of ours", *PEERS)}
    answers = {}
    with ExitStack() as stack:
        peers = {name: stack.enter_context(Peer(name)) for name in PEERS}
        small = stack.enter_context(work_of(warm_up.trajectory))
        work = stack.enter_context(work_of(walk.trajectory))
        for peer in peers.values():
            peer.send(small)
            peer.answer()
        for _ in range(ROUNDS):
            for _ in range(RUNS_OF_OURS):
                start_s = cpu_s()
                answers["ours"] = tracer(walk.trajectory)
                costs_s["ours"].append(cpu_s() - start_s)
                start_s = cpu_s()
                analyse_run(walk.trajectory, "K")
                costs_s["all of ours"].append(cpu_s() - start_s)
            for name, peer in peers.items():
                peer.send(work)
                answers[name] = peer.answer()
                costs_s[name].append(answers[name].cpu_s)
    medians_s = {name: median(times_s) for name, times_s in costs_s.items()}
    all_of_ours_s = medians_s.pop("all of ours")
    return Speed(walk.D_cm2_s, medians_s, all_of_ours_s, answers)


def tracer(trajectory: Trajectory) -> Answer:
    """What peers give and no more: the MSD at all lags, D and its intervals."""
    motion = Motion.of(series_from_framework(trajectory, "K"))
    slope, _ = diffusive_slope(
        motion, math.ceil(VIBRATION_MEMORY_PS / trajectory.frame_interval_ps)
    )
    D_cm2_s = slope.mean / 6 / trajectory.frame_interval_ps * A2_PER_PS_TO_CM2_PER_S
    error = (slope.variance / slope.mean**2, slope.hop_variance / slope.variance, slope.dof)
    return Answer(D_cm2_s, *(interval(D_cm2_s, *error, share) for share in (ONE_SIGMA, 0.95)))


def hopping_walk(hopping: Hopping) -> Walk:
    return hopping.walk(seed=5)


def status_kB(key: str) -> int:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[key].split()[0])


def memory_alone() -> None:
    """In a process of its own; reads a work as peers do, prints what `peak_memory` reads."""
    analyse_run(hopping_walk(WARM_UP).trajectory, "K")
    before_kB = status_kB("VmRSS")
    message = json.loads(sys.stdin.readline())
    positions_A, cell_A = np.load(message.pop("positions_A")), np.array(message.pop("cell_A"))
    trajectory = Trajectory(positions_A, cell_A, **message)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    analyse_run(trajectory, "K")
    print((status_kB("VmHWM") - before_kB) * 1024 / positions_A.nbytes)


def peak_memory(hopping: Hopping) -> float:
    """Peak over the size of the trajectory."""
    with work_of(hopping_walk(hopping).trajectory) as work:
        command = [sys.executable, __file__, "memory"]
        return float(subprocess.check_output(command, input=work + "\n", text=True))


def main() -> None:
    """Measure, print, and fail if a floor is broken."""
    memory = {name: round(peak_memory(hopping), 2) for name, hopping in SIZES.items()}
    print(f"peak memory over the trajectory's: {memory}, at most {MEMORY_LIMIT:g} allowed")
    ratios, speeds = {}, {}
    print(f"{'':28}{'ours, CPU s':>14}{'peer, CPU s':>14}{'ratio':>10}{'floor':>8}")
    for size, hopping in SIZES.items():
        speeds[size] = speed(hopping)
        ours_s = speeds[size].cpu_s["ours"]
        for peer in PEERS:
            key, peer_s = f"{size}_vs_{peer}", speeds[size].cpu_s[peer]
            ratios[key] = round(peer_s / ours_s, 1)
            print(f"{key:28}{ours_s:14.3f}{peer_s:14.2f}{ratios[key]:10.1f}{RATIO_FLOORS[key]:8}")
        print(f"{size}, all that we say of a run: {speeds[size].all_of_ours_cpu_s:.3f} CPU s")
    tables, against_peers = coverage(REPLICAS)
    scatter = {name: tables["rattling"][name].spread for name in PEERS}
    agreements = [found.agree(scatter) for found in speeds.values()]
    correct = all(agreements)
    holds = (
        correct
        and all(ratio >= RATIO_FLOORS[key] for key, ratio in ratios.items())
        and max(memory.values()) <= MEMORY_LIMIT
        and all(tables[name]["ours"].holds for name in CLASSES)
        and all(against_peers[name]["rms"] <= MAX_RMS for name in CLASSES)
    )
    result = {"benchmark": "transport", "ratios": ratios, "correct": correct}
    result |= {"floors_hold": holds, "peak_memory_of_trajectory": memory}
    result["cpu_s"] = {
        size: {name: round(value, 3) for name, value in found.cpu_s.items()}
        for size, found in speeds.items()
    }
    result["coverage"] = {
        title: {name: row.figures() for name, row in table.items()}
        for title, table in tables.items()
    }
    result["ours_over_least_peer"] = against_peers
    print(json.dumps(result))
    if not holds:
        raise SystemExit(1)


if __name__ == "__main__":
    memory_alone() if sys.argv[1:] == ["memory"] else main()
