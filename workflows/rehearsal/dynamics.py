"""Molecular dynamics in a fixed cell by velocity Verlet, in halves.

A step of VASP's output holds positions, their forces, and velocities there. Then the atoms move on,
and the CONTCAR holds where they are next, with velocities half a step behind, as their forces are
not known yet. What is written is what is kept in memory: fractional coordinates, velocities in Å/fs
and the thermostat, so that a run in segments is the unbroken run, digit by digit.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from workflows.rehearsal.poscar import ThermostatState
from workflows.rehearsal.steps import IonicStep, Motion, wrapped
from workflows.rehearsal.stopcar import stop_is_wished
from workflows.rehearsal.thermostats import (
    EV_PER_U_A2_PER_FS2,
    Atoms,
    generator,
    make_ensemble,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workflows.rehearsal.faults import Faults
    from workflows.rehearsal.inputs import Inputs
    from workflows.rehearsal.outputs import Outputs
    from workflows.rehearsal.settings import Settings
    from workflows.rehearsal.surface import Surface


def run_dynamics(
    surface: Surface, inputs: Inputs, settings: Settings, faults: Faults, outputs: Outputs
) -> None:
    """Integrate NSW steps."""
    poscar = inputs.poscar
    atoms = Atoms(surface.masses_u[:, None], poscar.cell_A, poscar.movable)
    ensemble = make_ensemble(atoms, inputs, settings, poscar.thermostat or ThermostatState())
    to_fractional = np.linalg.inv(poscar.cell_A)
    half_fs = settings.timestep_fs / 2
    fractional = wrapped(poscar.fractional)
    velocities = _first_velocities(inputs, settings, atoms)
    is_half_behind = poscar.thermostat is not None
    for number in range(1, settings.n_steps + 1):
        at_K = settings.begin_K + (settings.end_K - settings.begin_K) * number / settings.n_steps
        surface.move_to(fractional)
        point = surface.here()
        kick = point.forces_eV_per_A / (atoms.masses_u * EV_PER_U_A2_PER_FS2) * half_fs
        if is_half_behind:
            velocities = ensemble.behind(atoms.allowed(velocities + kick), fractional, at_K)
        velocities = velocities * _fault_factor(faults, number, velocities, atoms, settings)
        motion = Motion(
            atoms.kinetic_eV(velocities),
            atoms.temperature_K(velocities),
            *ensemble.energies_eV(at_K),
        )
        is_stopped = stop_is_wished(inputs.folder)
        is_last = is_stopped or number == settings.n_steps
        step = IonicStep(
            number,
            poscar.cell_A,
            fractional,
            point,
            motion,
            faults.electronic_steps(settings.n_electronic),
            is_last,
        )
        velocities = atoms.allowed(ensemble.before(velocities, fractional, at_K) + kick)
        is_half_behind = True
        fractional = wrapped(fractional + velocities * settings.timestep_fs @ to_fractional)
        following = replace(
            poscar,
            fractional=fractional,
            velocities_A_per_fs=velocities,
            thermostat=ensemble.state,
        )
        outputs.record(step, following)
        if is_last:
            outputs.end(following, is_stopped=is_stopped)
            return


def _first_velocities(inputs: Inputs, settings: Settings, atoms: Atoms) -> NDArray[np.float64]:
    """Those of the POSCAR, or thermal ones at exactly TEBEG."""
    if inputs.poscar.velocities_A_per_fs is not None:
        return atoms.allowed(inputs.poscar.velocities_A_per_fs)
    random = generator(settings.seed, inputs.poscar.fractional, 0)
    velocities = atoms.at_rest(atoms.thermal(random, settings.begin_K))
    drawn_K = atoms.temperature_K(velocities)
    return velocities * math.sqrt(settings.begin_K / drawn_K) if drawn_K else velocities


def _fault_factor(
    faults: Faults,
    number: int,
    velocities: NDArray[np.float64],
    atoms: Atoms,
    settings: Settings,
) -> float:
    """By which velocities grow in a step that is to go wrong."""
    factor = faults.velocity_factor(number)
    rate = faults.drift_eV_per_atom_per_ps()
    kinetic_eV = atoms.kinetic_eV(velocities)
    if rate and kinetic_eV:
        added_eV = rate * len(velocities) * settings.timestep_fs / 1000
        factor *= math.sqrt(max(1 + added_eV / kinetic_eV, 0.0))
    return factor
