"""Probability density on a grid: ours against pymatgen-analysis-diffusion and GEMDAT.

10,000 frames of 512 atoms, 128 of them mobile (T2), on a grid of 125³ voxels of 0.2 Å. Ours starts
from the positions of all atoms in memory and removes the framework's drift; the peers get the
mobile ions' fractional coordinates, wrapped, and do not. A ratio is the peer's CPU time over ours.
pymatgen takes a minute for it and gets every twentieth frame; its time is proportional to the
frames and is counted twenty times. All visits have to agree; pymatgen's voxels have their centres
where ours have their corners, so that it gets coordinates half a voxel further on.

What else a report holds (percolation, sites, jumps, van Hove) has no peer that does the same; its
time is printed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from screening.motion.density import probability_density
from screening.motion.paths import mobile_paths
from screening.motion.report import motion_report
from screening.transport.trajectory import Trajectory

FOLDER = Path(__file__).parent
N_FRAMES, N_ATOMS, N_IONS = 10_000, 512, 128
EDGE_A = 25.0
N_VOXELS = 125
N_SITES = 6
HOPS_PER_FRAME = 0.001
EVERY = {"pymatgen": 20, "gemdat": 1}
ROUNDS = 3
# a coordinate on the border of two voxels may fall to either
MAX_ELSEWHERE = 1e-5


def walk() -> Trajectory:
    """K hops on 6³ sites, everything rattles."""
    rng = np.random.default_rng(20260101)
    sites = np.stack(np.meshgrid(*[np.arange(N_SITES)] * 3), axis=-1).reshape(-1, 3)
    starts = sites[rng.permutation(len(sites))[:N_IONS]]
    hops = rng.random((N_FRAMES, N_IONS)) < HOPS_PER_FRAME
    steps = np.eye(3)[rng.integers(3, size=hops.shape)] * rng.choice([-1, 1], hops.shape)[..., None]
    ions_A = (starts + np.cumsum(hops[..., None] * steps, axis=0)) * EDGE_A / N_SITES
    positions_A = np.empty((N_FRAMES, N_ATOMS, 3), dtype=np.float32)
    positions_A[:, :N_IONS] = ions_A
    positions_A[:, N_IONS:] = rng.uniform(0, EDGE_A, (N_ATOMS - N_IONS, 3))
    positions_A += rng.normal(scale=0.3, size=positions_A.shape).astype(np.float32)
    species = ("K",) * N_IONS + ("Cl",) * (N_ATOMS - N_IONS)
    return Trajectory(positions_A, np.eye(3) * EDGE_A, species, 2.0, 10, 800.0)


def by_peer(peer: str, paths: np.ndarray, folder: Path) -> tuple[np.ndarray, float]:
    """Visits and CPU seconds."""
    python = FOLDER.parent / ".venv-peers-transport" / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there; run `make bench-peers` first")
    np.save(folder / "paths.npy", paths)
    (folder / "cell.json").write_text(json.dumps((np.eye(3) * EDGE_A).tolist()))
    names = [folder / "paths.npy", folder / "cell.json", str(N_VOXELS), folder / "density.npy"]
    finished = subprocess.run(
        [python, FOLDER / "peers/motion.py", peer, *names],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    cpu_s = json.loads(finished.stdout.splitlines()[-1])["cpu_s"]
    return np.load(folder / "density.npy"), cpu_s


def agrees(peer: str, paths: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether ours, counted by numpy, and theirs are the same histogram."""
    half = 0.5 / N_VOXELS if peer == "pymatgen" else 0.0
    ours, _ = np.histogramdd(
        (paths.reshape(-1, 3) + half) % 1.0, bins=[N_VOXELS] * 3, range=[(0, 1)] * 3
    )
    if theirs.shape != ours.shape:
        return False
    return np.abs(theirs - ours).sum() <= MAX_ELSEWHERE * 2 * ours.sum()


def main() -> None:
    trajectory = walk()
    density = probability_density(trajectory, "K")
    paths = mobile_paths(trajectory, "K") % 1.0
    visits = density.visits.sum(axis=0)
    correct = density.shape == (N_VOXELS,) * 3 and agrees("ours", paths, visits)
    ours_s: list[float] = []
    peers_s: dict[str, list[float]] = {peer: [] for peer in EVERY}
    with tempfile.TemporaryDirectory() as name:
        for peer, every in EVERY.items():
            for _ in range(ROUNDS):
                for _ in range(ROUNDS):
                    start_s = time.process_time()
                    probability_density(trajectory, "K")
                    ours_s.append(time.process_time() - start_s)
                theirs, cpu_s = by_peer(peer, paths[::every], Path(name))
                peers_s[peer].append(cpu_s * every)
            correct = correct and agrees(peer, paths[::every], theirs)
    motion_report(trajectory, "K")
    start_s = time.process_time()
    motion_report(trajectory, "K")
    report_s = time.process_time() - start_s
    print(f"ours {median(ours_s):.3f} CPU s; the whole report {report_s:.2f}")
    for peer, times_s in peers_s.items():
        print(f"{peer} {median(times_s):.2f} CPU s")
    ratios = {
        f"density_vs_{peer}": round(median(times_s) / median(ours_s), 1)
        for peer, times_s in peers_s.items()
    }
    print(json.dumps({"benchmark": "motion", "ratios": ratios, "correct": bool(correct)}))


if __name__ == "__main__":
    main()
