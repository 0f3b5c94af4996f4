"""The peers' side of benchmarks/motion.py; runs in the environment of `peers/transport.txt`.

    python motion.py PEER PATHS.npy CELL.json VOXELS DENSITY.npy

PATHS holds wrapped fractional coordinates of the mobile ions alone, shape (n_frames, n_ions, 3),
the form that both peers keep them in: neither reads a file or removes drift inside of the clock.
They write the visits to each voxel and print the CPU seconds.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def pymatgen(paths: Any, cell_A: Any, spacing_A: float) -> tuple[Any, float]:
    from pymatgen.analysis.diffusion.aimd.pathway import ProbabilityDensityAnalysis
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice(cell_A), ["K"] * paths.shape[1], paths[0])
    start_s = time.process_time()
    # a hair more than the spacing: np.arange would make one more point of some edges
    found = ProbabilityDensityAnalysis(
        structure, paths, interval=spacing_A * (1 + 1e-12), species=("K",)
    )
    cpu_s = time.process_time() - start_s
    n_visits = paths.shape[0] * paths.shape[1]
    return found.Pr * structure.volume / found.Pr.size * n_visits, cpu_s


def gemdat(paths: Any, cell_A: Any, spacing_A: float) -> tuple[Any, float]:
    from gemdat import Trajectory
    from pymatgen.core import Element, Lattice

    trajectory = Trajectory(
        species=[Element("K")] * paths.shape[1],
        coords=paths,
        lattice=Lattice(cell_A).matrix,
        constant_lattice=True,
        time_step=1e-14,
    )
    start_s = time.process_time()
    volume = trajectory.to_volume(resolution=spacing_A * (1 - 1e-12))
    return volume.data, time.process_time() - start_s


def main() -> None:
    warnings.simplefilter("ignore")
    peer, paths, cell, voxels, density = sys.argv[1:]
    cell_A = np.array(json.loads(Path(cell).read_text()))
    spacing_A = float(np.linalg.norm(cell_A[0])) / int(voxels)
    visits, cpu_s = {"pymatgen": pymatgen, "gemdat": gemdat}[peer](
        np.load(paths), cell_A, spacing_A
    )
    np.save(density, visits)
    print(json.dumps({"cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
