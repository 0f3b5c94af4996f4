"""Disk against files that are really written."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from invented_runs import campaign

from screening.transport.trajectory import Trajectory
from workflows.cost.disk import disk_GB
from workflows.cost.model import CostModel


def vibrating(n_frames: int, n_atoms: int) -> Trajectory:
    """Atoms that rattle by half an ångström about their sites."""
    rng = np.random.default_rng(0)
    sites_A = rng.uniform(0, 15, (n_atoms, 3))
    return Trajectory(
        positions_A=(sites_A + rng.normal(0, 0.3, (n_frames, n_atoms, 3))).astype(np.float32),
        cell_A=15 * np.eye(3),
        species=("K",) * n_atoms,
        timestep_fs=2.0,
        stride=10,
        temperature_K=600.0,
        potential_energies_eV=rng.normal(-100, 1, n_frames),
        kinetic_temperatures_K=rng.normal(600, 50, n_frames),
        conserved_energies_eV=rng.normal(-90, 0.01, n_frames),
    )


@pytest.mark.parametrize(("production_ps", "n_atoms"), [(10, 32), (4, 120)])
def test_a_trajectory_is_as_large_as_its_file(production_ps, n_atoms):
    config = campaign(dynamics={"production_ps": production_ps, "relative_error": None})
    n_frames = 1 + production_ps * 50
    file = base64.b64decode(vibrating(n_frames, n_atoms).as_dict()["npz"])
    model = CostModel.of(config)
    beside = disk_GB(config, model, "relax", n_atoms)  # documents, of much the same size
    estimate = disk_GB(config, model, "dynamics", n_atoms)
    assert 1e9 * estimate == pytest.approx(len(file), rel=0.15)
    assert beside < 0.2 * estimate


@pytest.mark.parametrize("stage", ["relax", "dynamics"])
@pytest.mark.parametrize("engine", ["rehearsal", "vasp"])
def test_files_of_vasp_are_kept_as_the_campaign_says(engine, stage):
    sizes = {
        kept: disk_GB(config, CostModel.of(config), stage, 64)
        for kept in ("keep", "compress", "delete")
        if (config := campaign(engine={"name": engine}, execution={"vasp_files": kept}))
    }
    assert sizes["keep"] > sizes["compress"] > sizes["delete"]
    assert sizes["delete"] < 0.05


def test_a_rehearsal_leaves_what_was_measured():
    """Of 32 atoms: 1.13 MB after 54 steps of relaxation, 14.13 MB after 1,000 of dynamics."""
    config = campaign(
        engine={"name": "rehearsal"},
        dynamics={
            "heating_ps": 0.4, "equilibration_ps": 0.4, "production_ps": 1.2, "segment_ps": 0.6,
            "relative_error": None,
        },
        execution={"vasp_files": "keep"},
    )  # fmt: skip
    model = CostModel.of(config)
    assert 1e3 * disk_GB(config, model, "dynamics", 32) == pytest.approx(14.1, rel=0.1)
    assert 1e3 * disk_GB(config, model, "relax", 32) == pytest.approx(1.13, rel=0.35)


def test_quenching_keeps_the_melt():
    config = campaign(amorphous={"hold_ps": 20})
    model = CostModel.of(config)
    assert disk_GB(config, model, "quench", 100) == pytest.approx(1001 * 1084 / 1e9, rel=0.05)
