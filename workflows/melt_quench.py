"""A glass of a crystal: melt it, hold it, quench it, at constant volume."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pymatgen.core.structure import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from screening.amorphous.comparison import melt_caveats
from screening.amorphous.documents import MeltQuench
from screening.transport.framework import framework_motion
from workflows.execution.progress import report_progress
from workflows.molecular_dynamics import HEATED_FROM_K, run_seed, widened
from workflows.nvt import Leg, NvtRun

if TYPE_CHECKING:
    from pathlib import Path

    from ase.calculators.calculator import Calculator

    from screening.documents import EnergyConvention
    from workflows.config import AmorphousSettings, DynamicsSettings


def run_melt_quench(
    structure: Structure,
    calculator: Calculator,
    convention: EnergyConvention,
    mobile_ion: str,
    melt_temperature_K: float,
    settings: AmorphousSettings,
    dynamics: DynamicsSettings,
    checkpoints: Path,
) -> MeltQuench:
    """Heat from 100 K to the melt, hold it and quench, going on from a checkpoint if there is one.

    The cell stays as it is: a glass has the crystal's density. Published runs do the same, with
    these times: Adv. Mater. 2023, 2308012, doi:10.1002/adma.202308012.

    Args:
        structure: relaxed crystal, repeated until it is `settings.min_cell_width_A` wide.
        calculator: gives energies and forces.
        convention: identity of the engine, for the record.
        mobile_ion: what is left of the melt without it is the host.
        melt_temperature_K: held for `settings.hold_ps`.
        settings: the programme of temperatures.
        dynamics: time step, thermostat, frames and checkpoints.
        checkpoints: folder that survives this process.

    Raises:
        RunExploded: the cell flew apart.
    """
    crystal = widened(structure, settings.min_cell_width_A)
    atoms = AseAtomsAdaptor.get_atoms(crystal, msonable=False)
    atoms.calc = calculator
    n_heating, n_hold, n_quench = (
        round(time_ps * 1000 / dynamics.timestep_fs)
        for time_ps in (settings.heating_ps, settings.hold_ps, settings.quench_ps)
    )
    n_steps = n_heating + n_hold + n_quench
    seed = run_seed(structure, melt_temperature_K, dynamics.seed)
    run = NvtRun(
        atoms,
        [
            Leg(n_heating, min(HEATED_FROM_K, melt_temperature_K), melt_temperature_K),
            Leg(n_hold, melt_temperature_K, melt_temperature_K),
            Leg(n_quench, melt_temperature_K, settings.quench_temperature_K),
        ],
        timestep_fs=dynamics.timestep_fs,
        thermostat_period_fs=dynamics.thermostat_period_fs,
        seed=seed,
        record_from=n_heating,
        stride=max(round(dynamics.frame_interval_fs / dynamics.timestep_fs), 1),
        save_every=max(round(dynamics.checkpoint_ps * 1000 / dynamics.timestep_fs), 1),
        folder=checkpoints,
        on_save=lambda step: report_progress(step / n_steps),
    )
    run.advance(n_steps)
    melt = replace(
        run.trajectory().until_frame(n_hold // run.stride + 1), temperature_K=melt_temperature_K
    )
    motion = framework_motion(melt, mobile_ion)
    return MeltQuench(
        structure=Structure(
            crystal.lattice,
            list(atoms.symbols),
            atoms.get_scaled_positions(),
            coords_are_cartesian=False,
        ),
        melt_temperature_K=melt_temperature_K,
        mean_melt_temperature_K=float(run.kinetic_temperatures_K[: len(melt.positions_A)].mean()),
        quench_temperature_K=settings.quench_temperature_K,
        heating_ps=settings.heating_ps,
        hold_ps=settings.hold_ps,
        quench_ps=settings.quench_ps,
        timestep_fs=dynamics.timestep_fs,
        seed=seed,
        convention=convention,
        motion=motion,
        caveats=melt_caveats(motion, melt),
        melt=melt,
    )
