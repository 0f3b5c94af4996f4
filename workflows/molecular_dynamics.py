"""NVT molecular dynamics that survives being killed.

The thermostat is ASE's Nosé–Hoover chain (Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635
(1992), doi:10.1063/1.463940). A checkpoint holds all that the next step depends on (positions,
momenta, thermostat variables), so that a run in pieces is the same run.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from pymatgen.io.ase import AseAtomsAdaptor

from screening.documents import EnergyConvention
from screening.errors import RunExploded
from screening.transport.documents import MolecularDynamics
from screening.transport.trajectory import Trajectory
from workflows.execution.progress import report_progress

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from workflows.config import DynamicsSettings

STATE = "state.npz"
_EXPLODED_AT = 10.0  # times the target temperature


@dataclass
class _Run:
    """A run on its way: the integrator and what was recorded so far."""

    integrator: NoseHooverChainNVT
    step: int = 0
    frames: list[NDArray[np.float32]] = field(default_factory=list)
    temperatures_K: list[float] = field(default_factory=list)
    conserved_eV: list[float] = field(default_factory=list)
    n_saved: int = 0


def run_molecular_dynamics(
    structure: Structure,
    calculator: Calculator,
    convention: EnergyConvention,
    temperature_K: float,
    settings: DynamicsSettings,
    checkpoints: Path,
) -> MolecularDynamics:
    """Equilibrate and produce at one temperature, going on from a checkpoint if there is one.

    Args:
        structure: relaxed cell, repeated here until it is `settings.min_cell_width_A` wide.
        calculator: gives energies and forces.
        convention: identity of the engine, for the record.
        temperature_K: of the thermostat.
        settings: lengths, time step, seed.
        checkpoints: folder that survives this process. The frames of each piece are a file of their
            own; the state file, replaced last and atomically, says up to which step they count.

    Raises:
        RunExploded: the kinetic temperature passed ten times the target, or is not finite.
    """
    atoms = AseAtomsAdaptor.get_atoms(widened(structure, settings.min_cell_width_A), msonable=False)
    atoms.calc = calculator
    n_equilibration = round(settings.equilibration_ps * 1000 / settings.timestep_fs)
    n_production = round(settings.production_ps * 1000 / settings.timestep_fs)
    stride = max(round(settings.frame_interval_fs / settings.timestep_fs), 1)
    save_every = max(round(settings.checkpoint_ps * 1000 / settings.timestep_fs), 1)
    seed = _seed(structure, temperature_K, settings.seed)

    run = _start(atoms, temperature_K, settings, seed)
    _restore(run, checkpoints)
    n_steps = n_equilibration + n_production
    while run.step < n_steps:
        with np.errstate(over="ignore", invalid="ignore"):  # the temperature tells
            run.integrator.step()
        run.step += 1
        kinetic_K = _intact_temperature(run, temperature_K)
        if run.step >= n_equilibration and (run.step - n_equilibration) % stride == 0:
            _record(run, kinetic_K)
        if run.step % save_every == 0:
            _save(run, checkpoints)
            report_progress(run.step / n_steps)
    return MolecularDynamics(
        temperature_K=temperature_K,
        mean_temperature_K=float(np.mean(run.temperatures_K)),
        timestep_fs=settings.timestep_fs,
        n_equilibration_steps=n_equilibration,
        n_production_steps=n_production,
        energy_drift_eV_per_atom_per_ps=_drift(run, stride * settings.timestep_fs / 1000),
        seed=seed,
        convention=convention,
        trajectory=Trajectory(
            positions_A=np.array(run.frames, dtype=np.float32),
            cell_A=np.array(atoms.cell),
            species=tuple(atoms.get_chemical_symbols()),
            timestep_fs=settings.timestep_fs,
            stride=stride,
            temperature_K=temperature_K,
        ),
    )


def widened(structure: Structure, min_width_A: float) -> Structure:
    """The smallest diagonal supercell whose three perpendicular widths reach `min_width_A`."""
    widths = 1 / np.linalg.norm(structure.lattice.inv_matrix, axis=0)
    return structure.make_supercell(np.ceil(min_width_A / widths - 1e-6), in_place=False)


def _seed(structure: Structure, temperature_K: float, seed: int) -> int:
    """A seed of its own for every composition, size and temperature, the same on every machine."""
    text = f"{structure.composition.alphabetical_formula} {len(structure)} {temperature_K:g} {seed}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _start(atoms: Atoms, temperature_K: float, settings: DynamicsSettings, seed: int) -> _Run:
    thermalize_momenta(atoms, temperature_K, rng=np.random.default_rng(seed))
    Stationary(atoms)
    integrator = NoseHooverChainNVT(
        atoms,
        timestep=settings.timestep_fs * units.fs,
        temperature_K=temperature_K,
        tdamp=settings.thermostat_period_fs * units.fs,
    )
    return _Run(integrator)


def _intact_temperature(run: _Run, temperature_K: float) -> float:
    """Kinetic temperature, if the cell has not flown apart."""
    kinetic_K = float(run.integrator.atoms.get_temperature())
    if not kinetic_K < _EXPLODED_AT * temperature_K:  # NaN lands here too
        raise RunExploded(
            f"{kinetic_K:.0f} K after {run.step} steps at a target of {temperature_K:g} K; "
            "use a shorter dynamics.timestep_fs, or look at the relaxed structure"
        )
    return kinetic_K


def _record(run: _Run, kinetic_K: float) -> None:
    run.frames.append(run.integrator.atoms.get_positions().astype(np.float32))
    run.temperatures_K.append(kinetic_K)
    run.conserved_eV.append(run.integrator.get_conserved_energy())


def _drift(run: _Run, interval_ps: float) -> float:
    """Slope of the conserved quantity, per atom; zero for an exact integrator."""
    time_ps = interval_ps * np.arange(len(run.conserved_eV))
    return float(np.polyfit(time_ps, run.conserved_eV, 1)[0] / len(run.integrator.atoms))


def _save(run: _Run, folder: Path) -> None:
    new = slice(run.n_saved, None)
    _write(
        folder / f"frames-{run.step:09d}.npz",
        frames_A=np.array(run.frames[new], dtype=np.float32),
        temperatures_K=run.temperatures_K[new],
        conserved_eV=run.conserved_eV[new],
    )
    atoms, thermostat = run.integrator.atoms, run.integrator._thermostat
    _write(
        folder / STATE,
        step=run.step,
        positions_A=atoms.get_positions(),
        momenta=atoms.get_momenta(),
        eta=thermostat._eta,
        p_eta=thermostat._p_eta,
    )
    run.n_saved = len(run.frames)


def _write(path: Path, **arrays: Any) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _restore(run: _Run, folder: Path) -> None:
    """Continue from `folder` if a state lies there."""
    if not (folder / STATE).exists():
        return
    atoms, thermostat = run.integrator.atoms, run.integrator._thermostat
    with np.load(folder / STATE) as state:
        run.step = int(state["step"])
        atoms.set_positions(state["positions_A"])
        atoms.set_momenta(state["momenta"])
        thermostat._eta[:] = state["eta"]
        thermostat._p_eta[:] = state["p_eta"]
    # The integrator keeps its own copies of positions and momenta.
    run.integrator._q = atoms.get_positions()
    run.integrator._p = atoms.get_momenta()
    for piece in sorted(folder.glob("frames-*.npz")):
        if int(piece.stem.removeprefix("frames-")) <= run.step:
            with np.load(piece) as saved:
                run.frames += list(saved["frames_A"])
                run.temperatures_K += saved["temperatures_K"].tolist()
                run.conserved_eV += saved["conserved_eV"].tolist()
    run.n_saved = len(run.frames)
