"""Molecular dynamics of one structure at one temperature: heat, equilibrate, produce."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.io.ase import AseAtomsAdaptor

from screening.cells import perpendicular_widths_A
from screening.documents import EnergyConvention
from screening.errors import EngineFailure
from screening.transport.documents import MolecularDynamics, RunEnd
from workflows.adaptive import produce_until_decided
from workflows.execution.progress import report_progress
from workflows.nvt import Leg, NvtRun

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from pymatgen.core.structure import Structure

    from screening.transport.stopping import StoppingRule
    from screening.transport.trajectory import Trajectory
    from workflows.config import DynamicsSettings

HEATED_FROM_K = 100.0
_LEAST_FRAMES = 2


def run_molecular_dynamics(
    structure: Structure,
    calculator: Calculator,
    convention: EnergyConvention,
    temperature_K: float,
    settings: DynamicsSettings,
    checkpoints: Path,
    mobile_ion: str,
    rule: StoppingRule,
) -> MolecularDynamics:
    """Heat from 100 K, equilibrate and produce until `rule` ends the run or the budget is used up.

    Goes on from a checkpoint if there is one.

    Args:
        structure: relaxed cell, repeated here until it is `settings.min_cell_width_A` wide.
        calculator: gives energies and forces.
        convention: identity of the engine, for the record.
        temperature_K: of the thermostat.
        settings: lengths, time step, seed.
        checkpoints: folder that survives this process.
        mobile_ion: whose diffusivity decides.
        rule: what ends the run before `settings.production_ps`.

    Returns:
        The run, with `end` saying why it ended; one that exploded carries the frames before.

    Raises:
        EngineFailure: the run flew apart before there was anything to keep.
    """
    atoms = AseAtomsAdaptor.get_atoms(widened(structure, settings.min_cell_width_A), msonable=False)
    atoms.calc = calculator
    seed = run_seed(structure, temperature_K, settings.seed)
    run = _HeatedRun(
        atoms=atoms,
        temperature_K=temperature_K,
        settings=settings,
        seed=seed,
        folder=checkpoints,
    )
    try:
        end = produce_until_decided(
            run,
            mobile_ion,
            rule,
            segment_ps=settings.segment_ps,
            budget_ps=settings.production_ps,
        )
    except EngineFailure as error:
        if run.nvt.n_frames < _LEAST_FRAMES:
            raise
        end = RunEnd(outcome="exploded", message=str(error))
    return MolecularDynamics(
        temperature_K=temperature_K,
        mean_temperature_K=float(np.mean(run.nvt.kinetic_temperatures_K)),
        timestep_fs=settings.timestep_fs,
        n_heating_steps=run.n_heating,
        n_equilibration_steps=run.n_equilibration,
        n_production_steps=run.nvt.step - run.n_before,
        end=end,
        energy_drift_eV_per_atom_per_ps=run.nvt.drift_eV_per_atom_per_ps(),
        seed=seed,
        convention=convention,
        trajectory=run.production(),
    )


class _HeatedRun:
    """A run whose production follows on heating and equilibration."""

    def __init__(
        self,
        *,
        atoms: Atoms,
        temperature_K: float,
        settings: DynamicsSettings,
        seed: int,
        folder: Path,
    ) -> None:
        self._timestep_fs = settings.timestep_fs
        self.n_heating = self._steps(settings.heating_ps)
        self.n_equilibration = self._steps(settings.equilibration_ps)
        self.n_before = self.n_heating + self.n_equilibration
        self._n_most = self.n_before + self._steps(settings.production_ps)
        self.nvt = NvtRun(
            atoms,
            [
                Leg(self.n_heating, min(HEATED_FROM_K, temperature_K), temperature_K),
                Leg(self.n_equilibration, temperature_K, temperature_K),
            ],
            timestep_fs=settings.timestep_fs,
            thermostat_period_fs=settings.thermostat_period_fs,
            seed=seed,
            record_from=self.n_before,
            stride=max(self._steps(settings.frame_interval_fs / 1000), 1),
            save_every=max(self._steps(settings.checkpoint_ps), 1),
            folder=folder,
            on_save=lambda step: report_progress(step / self._n_most),
        )

    @property
    def produced_ps(self) -> float:
        return max(self.nvt.step - self.n_before, 0) * self._timestep_fs / 1000

    def produce(self, until_ps: float) -> None:
        self.nvt.advance(self.n_before + self._steps(until_ps))

    def production(self) -> Trajectory:
        return self.nvt.trajectory()

    def _steps(self, time_ps: float) -> int:
        return round(time_ps * 1000 / self._timestep_fs)


def widened(structure: Structure, min_width_A: float) -> Structure:
    """The smallest diagonal supercell whose three perpendicular widths reach `min_width_A`."""
    widths_A = perpendicular_widths_A(structure.lattice.matrix)
    return structure.make_supercell(np.ceil(min_width_A / widths_A - 1e-6), in_place=False)


def run_seed(structure: Structure, temperature_K: float, seed: int) -> int:
    """A seed of its own for every composition, size and temperature, the same on every machine."""
    text = f"{structure.composition.alphabetical_formula} {len(structure)} {temperature_K:g} {seed}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
