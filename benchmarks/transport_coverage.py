"""What answers about diffusivities are worth: how often their intervals hold the known D.

The part of `transport.py` that runs our analysis and the peers' processes over the replicas of the
walks in `walks.py`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from walks import CLASSES, HARDER, Hopping

from screening.transport.analysis import analyse_run
from screening.transport.documents import Diffusivity
from screening.transport.trajectory import Trajectory

FOLDER = Path(__file__).resolve().parent
COVERS_68, COVERS_95, MAX_BIAS = (0.62, 0.74), (0.92, 0.98), 0.03
SHARE_OF_HARDER = 0.25
"""Of the replicas; no floor rests on these classes."""
STATE_ERRORS = ("diffusionanalyzer", "kinisi", "gemdat")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Answer:
    """What a tool says about a run; without a value, ours has only an upper bound."""

    D_cm2_s: float | None
    D_68_cm2_s: Sequence[float]
    D_95_cm2_s: Sequence[float]
    cpu_s: float = math.nan

    @classmethod
    def of_ours(cls, found: Diffusivity) -> Answer:
        """From our document."""
        bound_cm2_s = (0.0, found.upper_bound_cm2_s or math.inf)
        return cls(found.D_cm2_s, found.D_68_cm2_s or bound_cm2_s, found.D_95_cm2_s or bound_cm2_s)


class Peer:
    """A peer's process: works go in, answers come out, in order."""

    def __init__(self, name: str) -> None:
        python = FOLDER.parent / ".venv-peers-transport" / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"{python} is not there; run `make bench-peers` first")
        self.process = subprocess.Popen(
            [python, FOLDER / "peers/transport.py", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | ONE_THREAD,
            text=True,
        )

    def send(self, work: str) -> None:
        """Ask."""
        assert self.process.stdin is not None
        self.process.stdin.write(work + "\n")
        self.process.stdin.flush()

    def answer(self) -> Answer:
        """Wait for the answer to the work sent first."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended without an answer")
        return Answer(**json.loads(line))

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


@contextmanager
def work_of(trajectory: Trajectory) -> Iterator[str]:
    """The trajectory as peers read it; its file goes in the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "positions_A.npy"
        np.save(path, trajectory.positions_A)
        yield json.dumps(
            {
                "positions_A": str(path),
                "cell_A": trajectory.cell_A.tolist(),
                "species": trajectory.species,
                "timestep_fs": trajectory.timestep_fs,
                "stride": trajectory.stride,
                "temperature_K": trajectory.temperature_K,
            }
        )


HEAD = (
    f"{'':20}{'replicas':>9}{'values':>8}{'in 68 %':>9}{'in 95 %':>9}{'med. bias':>10}"
    f"{'spread':>9}{'rms err.':>9}{'stated σ':>10}"
)


@dataclass(frozen=True)
class Coverage:
    """What the answers of one tool to the replicas of one class are worth.

    Args:
        values: share of the replicas that gave a D; all else is of those.
        spread: standard deviation of D, relative to the known one.
        rms: root mean square of what D is off, relative.
        states: median of the half width of the 68 % interval, relative to D.
    """

    n_replicas: int
    values: float
    covers_68: float
    covers_95: float
    median_bias: float
    spread: float
    rms: float
    states: float

    @classmethod
    def over(cls, answers: Sequence[Answer], true_cm2_s: float) -> Coverage:
        """Shares, bias and spread are those of the runs that gave a value."""
        valued = [answer for answer in answers if answer.D_cm2_s is not None]
        if len(valued) < 2:
            return cls(len(answers), len(valued) / len(answers), *(math.nan,) * 6)
        ratios = np.array([answer.D_cm2_s for answer in valued]) / true_cm2_s
        within_68 = np.array([answer.D_68_cm2_s for answer in valued]) / true_cm2_s
        within_95 = np.array([answer.D_95_cm2_s for answer in valued]) / true_cm2_s
        shares = [((low <= 1) & (high >= 1)).mean() for low, high in (within_68.T, within_95.T)]
        return cls(
            n_replicas=len(answers),
            values=len(valued) / len(answers),
            covers_68=float(shares[0]),
            covers_95=float(shares[1]),
            median_bias=float(np.median(ratios)) - 1,
            spread=float(ratios.std(ddof=1)),
            rms=float(np.sqrt(np.square(ratios - 1).mean())),
            states=float(np.median(np.ptp(within_68, axis=1) / 2 / ratios)),
        )

    @property
    def holds(self) -> bool:
        """What is asked of ours."""
        return (
            COVERS_68[0] <= self.covers_68 <= COVERS_68[1]
            and COVERS_95[0] <= self.covers_95 <= COVERS_95[1]
            and abs(self.median_bias) < MAX_BIAS
        )

    def figures(self) -> dict[str, float]:
        """Rounded, for JSON."""
        return {name: round(value, 4) for name, value in vars(self).items()}

    def row(self, name: str) -> str:
        """A line of the table."""
        return (
            f"  {name:18}{self.n_replicas:9}{self.values:8.0%}{self.covers_68:9.1%}"
            f"{self.covers_95:9.1%}{self.median_bias:+10.1%}{self.spread:9.3f}{self.rms:9.3f}"
            f"{self.states:10.3f}"
        )


def answers_to(hopping: Hopping, replicas: dict[str, int]) -> dict[str, list[Answer]]:
    """Answers of all tools to the replicas of a class; seeds count from 0."""
    answers: dict[str, list[Answer]] = {name: [] for name in replicas}
    with ExitStack() as stack:
        peers = {n: stack.enter_context(Peer(n)) for n in replicas if n != "ours"}
        for seed in range(max(replicas.values())):
            walk = hopping.walk(seed)
            asked = {n: peer for n, peer in peers.items() if seed < replicas[n]}
            with work_of(walk.trajectory) as work:
                for peer in asked.values():
                    peer.send(work)
                if seed < replicas["ours"]:
                    found = analyse_run(walk.trajectory, "K")
                    answers["ours"].append(Answer.of_ours(found))
                for name, peer in asked.items():
                    answers[name].append(peer.answer())
    return answers


Table = dict[str, Coverage]
"""By tool."""


def least(answers: dict[str, list[Answer]], true_cm2_s: float, figure: str) -> float:
    """A figure of ours over the least that a peer has, on the replicas of that peer.

    Peers are those that state an error; MDAnalysis leaves the fit to its user.
    """
    shares = []
    for name, theirs in answers.items():
        if name in STATE_ERRORS:
            both = (answers["ours"][: len(theirs)], theirs)
            ours, peer = (getattr(Coverage.over(a, true_cm2_s), figure) for a in both)
            shares.append(ours / peer)
    return max(shares)


def coverage(replicas: dict[str, int]) -> tuple[dict[str, Table], dict[str, dict[str, float]]]:
    """Tables by class, and our spread and rms error over the least of a peer's, by class."""
    tables, ratios = {}, {}
    for title, hopping in (CLASSES | HARDER).items():
        share = 1 if title in CLASSES else SHARE_OF_HARDER
        answers = answers_to(hopping, {name: int(share * n) for name, n in replicas.items()})
        D_cm2_s = hopping.D_cm2_s
        tables[title] = {name: Coverage.over(a, D_cm2_s) for name, a in answers.items()}
        ratios[title] = {key: round(least(answers, D_cm2_s, key), 3) for key in ("spread", "rms")}
        print(f"{title}, {hopping.n_hops:g} hops of {hopping.n_ions} ions; known D {D_cm2_s:.3g}")
        print(HEAD)
        for name, row in tables[title].items():
            print(row.row(name))
        print(f"  ours over the least of the peers': {ratios[title]}", flush=True)
    return tables, ratios
