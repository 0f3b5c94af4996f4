"""Disk that a job takes for good: documents, trajectories, files of VASP.

All constants are bytes, measured on 2026-11-30 unless it is said otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workflows.config import CampaignConfig
    from workflows.cost.model import CostModel
    from workflows.execution_settings import QueuedStage

_BYTES_PER_GB = 1e9
# The database after 54 candidates without dynamics, and after 25 with one run each: documents, job
# rows and indices of a candidate up to its gates, and of what follows on a run.
_DOCUMENTS = {"relax": 17_000, "dynamics": 10_000, "quench": 10_000}
# Compressed npz of 26 runs of 32 to 136 atoms and 21 to 601 frames, to 4 %.
_TRAJECTORY = 2_500
_PER_FRAME = 24.0
_PER_FRAME_AND_ATOM = 10.6
# Text that VASP writes (OUTCAR, vasprun.xml, XDATCAR, ...), what gzip leaves of it, and what stays
# where large files are deleted: from 70 runs of the rehearsal, 2 to 128 atoms, to 20 %.
_PER_RUN = 150_000.0
_PER_STEP = 6_000.0
_PER_STEP_AND_ATOM = 250.0
_GZIPPED_TEXT = 0.25
_SMALL_PER_RUN = 30_000.0
_SMALL_PER_STEP = 650.0
# A guess for VASP itself, from its grids: at 520 eV and 22 Å³ an atom CHGCAR is 1.4 MB an atom and
# spin, and three runs leave nine of them with AECCAR and LOCPOT; dynamics leaves a WAVECAR a run.
_DENSITIES_PER_ATOM = 13e6
_GZIPPED_DENSITIES = 0.4
_WAVECAR_PER_ATOM_SQUARED = 10_000.0
_RUNS_OF_A_RELAXATION = 3
_RUNS_BEFORE_PRODUCTION = 2


def disk_GB(config: CampaignConfig, model: CostModel, stage: QueuedStage, n_atoms: int) -> float:
    """What one job leaves, if it takes as many steps as such jobs do on average."""
    n_steps = float(np.median(model.lengths[stage].moments(n_atoms)[0]))
    size = _DOCUMENTS[stage] + _trajectory(config, stage, n_atoms, n_steps)
    if config.engine.runs_vasp:
        size += _files_of_vasp(config, stage, n_atoms, n_steps)
    return size / _BYTES_PER_GB


def _trajectory(config: CampaignConfig, stage: QueuedStage, n_atoms: int, n_steps: float) -> float:
    dynamics, glass = config.dynamics, config.amorphous
    if dynamics is None or stage == "relax":
        return 0.0
    if stage == "quench" and glass is not None:
        recorded_fs = 1000 * glass.hold_ps
    else:
        recorded_fs = n_steps * dynamics.timestep_fs
        recorded_fs -= 1000 * (dynamics.heating_ps + dynamics.equilibration_ps)
    n_frames = 1 + recorded_fs / dynamics.frame_interval_fs
    return _TRAJECTORY + n_frames * (_PER_FRAME + _PER_FRAME_AND_ATOM * n_atoms)


def _files_of_vasp(
    config: CampaignConfig, stage: QueuedStage, n_atoms: int, n_steps: float
) -> float:
    """By what `execution.vasp_files` says becomes of them."""
    dynamics, kept = config.dynamics, config.execution.vasp_files
    n_runs: float = _RUNS_OF_A_RELAXATION
    if stage != "relax" and dynamics is not None:
        before_ps = dynamics.heating_ps + dynamics.equilibration_ps
        production_ps = n_steps * dynamics.timestep_fs / 1000 - before_ps
        n_runs = _RUNS_BEFORE_PRODUCTION + production_ps / dynamics.segment_ps
    if kept == "delete":
        return n_runs * _SMALL_PER_RUN + n_steps * _SMALL_PER_STEP
    text = n_runs * _PER_RUN + n_steps * (_PER_STEP + n_atoms * _PER_STEP_AND_ATOM)
    grids, waves = 0.0, 0.0
    if config.engine.name == "vasp" and stage == "relax":
        grids = n_atoms * _DENSITIES_PER_ATOM
    elif config.engine.name == "vasp":
        waves = n_runs * n_atoms**2 * _WAVECAR_PER_ATOM_SQUARED
    if kept == "compress":
        return _GZIPPED_TEXT * text + _GZIPPED_DENSITIES * grids + waves
    return text + grids + waves
