"""The peers' side of benchmarks/transport.py; runs in the peers' own environment.

    python transport.py PEER < works

Each line of the input is a work: `positions_A`, an npy file of unwrapped positions, shape
(n_frames, n_atoms, 3), with `species`, `cell_A`, `timestep_fs`, `stride` and `temperature_K`. Each
gives a line with `D_cm2_s`, its intervals as the peer states them, and `cpu_s` from the positions
in memory to there. Outside of the clock: imports, reading the file, bringing positions into the
form that the peer keeps them in (fractional, wrapped, its own objects). Inside: drift,
displacements, mean squared displacement, D, its error. No peer builds Structures of the frames:
that alone costs more than all of its analysis.

What is the user's choice: kinisi's lags are a hundred, evenly spread over the run, and its
diffusive regime begins at 4 ps, where the memory of these walks ends; all of its lags, the default,
take the square of the number of frames. MDAnalysis has no fit, its guide asks for a straight line:
here from 1 to 10 % of the run. It knows no drift either. GEMDAT's error is the scatter between ten
parts of the run, as in its own Arrhenius fit.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Interval = tuple[float, float]
Answer = tuple[float, Interval, Interval]
"""D, its 68 % and its 95 % interval, cm²/s."""
Run = Callable[[], Answer]

ION = "K"
KINISI_LAGS = 100
KINISI_START_PS = 4.0
GEMDAT_PARTS = 10
A2_PER_PS_TO_CM2_PER_S = 1e-4
M2_TO_CM2 = 1e4


@dataclass(frozen=True)
class Work:
    """A trajectory, in memory."""

    positions_A: Any
    cell_A: Any
    species: list[str]
    timestep_fs: float
    stride: int
    temperature_K: float

    @property
    def interval_ps(self) -> float:
        """Time between two frames."""
        return self.timestep_fs * self.stride / 1000

    @property
    def mobile(self) -> Any:
        """Indices of the mobile ions."""
        return np.flatnonzero([symbol == ION for symbol in self.species])

    def fractional(self) -> Any:
        """Wrapped into the cell, float64."""
        coordinates = self.positions_A.astype(np.float64) @ np.linalg.inv(self.cell_A)
        return np.mod(coordinates, 1.0, out=coordinates)


def normal(mean: float, error: float) -> Answer:
    """A value with a standard deviation."""
    reach = 1.96 * error
    return mean, (mean - error, mean + error), (mean - reach, mean + reach)


def diffusionanalyzer(work: Work) -> Run:
    """Displacements of all atoms, smoothed="max" as by default."""
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Structure

    structure = Structure(work.cell_A, work.species, work.positions_A[0], coords_are_cartesian=True)

    def run() -> Answer:
        displacements_A = np.swapaxes(work.positions_A - work.positions_A[0], 0, 1)
        found = DiffusionAnalyzer(
            structure, displacements_A, ION, work.temperature_K, work.timestep_fs, work.stride
        )
        return normal(float(found.diffusivity), float(found.diffusivity_std_dev))

    return run


def kinisi(work: Work) -> Run:
    """Its parser on arrays, its mean squared displacements, its Bayesian regression."""
    import scipp as sc
    from kinisi.diffusion import Diffusion
    from kinisi.displacement import calculate_msd
    from kinisi.parser import Parser

    n_frames = len(work.positions_A)
    spacing = max(1, (n_frames - 1) // KINISI_LAGS)
    lags = np.arange(spacing, n_frames, spacing)
    fs, one = sc.Unit("fs"), sc.units.dimensionless
    every = sc.array(
        dims=["time", "row", "column"],
        values=np.broadcast_to(work.cell_A, (n_frames, 3, 3)),
        unit="angstrom",
    )
    coords = sc.array(dims=["time", "particle", "dimension"], values=work.fractional())
    others = np.setdiff1d(np.arange(len(work.species)), work.mobile)

    def run() -> Answer:
        np.random.seed(0)  # noqa: NPY002  the chains draw from here
        parser = Parser(
            coords,
            every,
            time_step=sc.scalar(work.timestep_fs, unit=fs),
            step_skip=sc.scalar(work.stride, unit=one),
            dt=sc.array(
                dims=["time interval"], values=lags * work.timestep_fs * work.stride, unit=fs
            ),
            specie_indices=sc.array(dims=["particle"], values=work.mobile),
            drift_indices=sc.array(dims=["particle"], values=others),
        )
        fit = Diffusion(calculate_msd(parser, progress=False))
        start_fs = max(KINISI_START_PS * 1000, lags[0] * work.timestep_fs * work.stride)
        fit.bayesian_regression(sc.scalar(start_fs, unit=fs), progress=False)
        D_cm2_s = fit.gradient.values / 6 * 1000 * A2_PER_PS_TO_CM2_PER_S
        low_95, low_68, middle, high_68, high_95 = np.percentile(
            D_cm2_s, [2.5, 15.87, 50, 84.13, 97.5]
        ).tolist()
        return middle, (low_68, high_68), (low_95, high_95)

    return run


def gemdat(work: Work) -> Run:
    """Its drift, its mean squared displacement, its D and the scatter of that between parts."""
    from gemdat import Trajectory
    from gemdat.metrics import TrajectoryMetricsStd
    from pymatgen.core import Element

    trajectory = Trajectory(
        species=[Element(symbol) for symbol in work.species],
        coords=work.fractional(),
        lattice=work.cell_A,
        constant_lattice=True,
        time_step=work.interval_ps * 1e-12,
    )

    def run() -> Answer:
        ions = trajectory.apply_drift_correction(floating_species=ION).filter(ION)
        ions.mean_squared_displacement()
        parts = ions.split(GEMDAT_PARTS, equal_parts=True)
        found = TrajectoryMetricsStd(parts).tracer_diffusivity(dimensions=3)
        return normal(float(found.nominal_value) * M2_TO_CM2, float(found.std_dev) * M2_TO_CM2)

    return run


def mdanalysis(work: Work) -> Run:
    """Its mean squared displacement by FFT and a straight line."""
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD
    from scipy.stats import linregress

    universe = MDAnalysis.Universe.empty(len(work.species), trajectory=True)
    universe.add_TopologyAttr("name", work.species)
    universe.load_new(work.positions_A, order="fac", dt=work.interval_ps)

    def run() -> Answer:
        result = EinsteinMSD(universe, select=f"name {ION}", fft=True).run().results
        first, last = len(result.timeseries) // 100, len(result.timeseries) // 10
        line = linregress(result.delta_t_values[first:last], result.timeseries[first:last])
        scale = A2_PER_PS_TO_CM2_PER_S / 6
        return normal(line.slope * scale, line.stderr * scale)

    return run


PEERS = {run.__name__: run for run in (diffusionanalyzer, kinisi, gemdat, mdanalysis)}


def cpu_s() -> float:
    """CPU time of this process, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """A work a line, an answer a line."""
    warnings.simplefilter("ignore")
    peer = PEERS[sys.argv[1]]
    for line in sys.stdin:
        message = json.loads(line)
        message["positions_A"] = np.load(message["positions_A"])
        message["cell_A"] = np.array(message["cell_A"])
        run = peer(Work(**message))
        start_s = cpu_s()
        D_cm2_s, within_68, within_95 = run()
        answer = {"D_cm2_s": D_cm2_s, "D_68_cm2_s": within_68, "D_95_cm2_s": within_95}
        print(json.dumps(answer | {"cpu_s": cpu_s() - start_s}), flush=True)


if __name__ == "__main__":
    main()
