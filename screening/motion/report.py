"""Everything about the structure of one run's motion, as one document."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from screening.errors import UnusableRun
from screening.motion.density import ProbabilityDensity, density_of_paths
from screening.motion.documents import Jumps, MotionReport, Percolation, Site
from screening.motion.jump_statistics import jump_statistics, site_documents
from screening.motion.jumps import find_jumps
from screening.motion.paths import mobile_paths
from screening.motion.percolation import density_percolation
from screening.motion.sites import find_sites
from screening.motion.van_hove import van_hove
from screening.transport.trajectory import Trajectory

MIN_JUMPS = 10


def motion_report(trajectory: Trajectory, mobile_ion: str) -> MotionReport:
    """Density and its percolation, sites, jumps and van Hove functions of the mobile ions.

    Args:
        trajectory: of production; equilibration left out.
        mobile_ion: element symbol.

    Returns:
        A small document; `caveats` say what the run is too short or too coarse for.

    Raises:
        InvalidInput: no such ion, or nothing but that ion.
        UnusableRun: a trajectory that cannot be used, see `mobile_paths`.
    """
    paths = mobile_paths(trajectory, mobile_ion)
    density = density_of_paths(paths, trajectory)
    percolation = density_percolation(density)
    interval_ps = trajectory.frame_interval_ps
    sites: tuple[Site, ...] = ()
    jumps, no_sites = None, None
    try:
        sites, jumps = _sites_and_jumps(density, paths, interval_ps)
    except UnusableRun as error:
        no_sites = str(error)
    step_A = float(np.linalg.norm(np.diff(paths, axis=0) @ trajectory.cell_A, axis=2).mean())
    caveats = _caveats(percolation, jumps, step_A)
    return MotionReport(
        species=mobile_ion,
        temperature_K=trajectory.temperature_K,
        duration_ps=trajectory.duration_ps,
        n_ions=paths.shape[1],
        percolation=percolation,
        sites=sites,
        jumps=jumps,
        van_hove=van_hove(paths, trajectory.cell_A, frame_interval_ps=interval_ps),
        caveats=(no_sites, *caveats) if no_sites else caveats,
    )


def _sites_and_jumps(
    density: ProbabilityDensity, paths: NDArray[np.float64], frame_interval_ps: float
) -> tuple[tuple[Site, ...], Jumps]:
    sites = find_sites(density)
    events = find_jumps(paths, sites, density.cell_A)
    return (
        site_documents(sites, events, n_frames=len(paths), frame_interval_ps=frame_interval_ps),
        jump_statistics(events, sites, density.cell_A, frame_interval_ps=frame_interval_ps),
    )


def _caveats(percolation: Percolation, jumps: Jumps | None, step_A: float) -> tuple[str, ...]:
    caveats = []
    if jumps and jumps.n_jumps < MIN_JUMPS:
        caveats.append(
            f"jumps between sites: {jumps.n_jumps}; rates need {MIN_JUMPS} or more, run longer"
        )
    if step_A > percolation.spacing_A * 2:
        caveats.append(
            f"ions move {step_A:.2f} Å between frames, more than two voxels of "
            f"{percolation.spacing_A:.2f} Å: paths have gaps and barriers may come out too high or "
            "not at all; store frames more often"
        )
    if jumps and jumps.dimension > percolation.dimension:
        caveats.append(
            f"jumps link the sites in {jumps.dimension} dimensions, visited places only in "
            f"{percolation.dimension}: the passes were crossed between frames or too seldom for a "
            "barrier"
        )
    unsure = [eV for eV in percolation.barriers_eV if eV > percolation.seen_up_to_eV]
    if unsure:
        caveats.append(
            f"barriers of {', '.join(f'{eV:.2f}' for eV in unsure)} eV rest on single visits: this "
            f"run tells free energies up to {percolation.seen_up_to_eV:.2f} eV; run longer"
        )
    if None in percolation.errors_eV:
        caveats.append(
            "a barrier rests on one quarter of the run: without it no path is left; run longer"
        )
    return tuple(caveats)
