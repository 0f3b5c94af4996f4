"""Adaptive AIMD: molecular dynamics by VASP, one run of it a job, until the answer is known.

Heating, equilibration and production are one programme of temperatures. Each call does one piece of
it and asks, where a segment is complete, whether the run ends; the question and its answer are
those of the embedded potential's dynamics. Positions, velocities and the thermostat pass from piece
to piece in CONTCAR, so that five segments are the same run as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from ase import units
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp.inputs import Poscar

from screening.errors import (
    CommandNotFound,
    DiskFull,
    EngineFailure,
    MissingPotcar,
    ProgramKilled,
    RunExploded,
    WallTimeReached,
)
from screening.transport.documents import MolecularDynamics, RunEnd
from screening.transport.stopping import conserved_drift_eV_per_atom_per_ps, judge
from screening.transport.trajectory import Trajectory
from workflows.execution.folders import KEPT_FILES
from workflows.molecular_dynamics import HEATED_FROM_K, run_seed, widened
from workflows.nvt import EXPLODED_AT, Leg, target_temperature
from workflows.stages.boundary import failure_of
from workflows.vasp.calculations import explained, put_aside, record_of, run_maker, tidy
from workflows.vasp.files import write_atomically
from workflows.vasp.makers import dynamics_maker
from workflows.vasp.pieces import (
    Piece,
    attempts,
    forget_attempts,
    joined,
    note_attempt,
    read_pieces,
)
from workflows.vasp.progress import StepCounter
from workflows.vasp.relaxation import require_program
from workflows.vasp.segments import read_segment, require_as_asked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from atomate2.vasp.jobs.md import MDMaker
    from pymatgen.core.structure import Structure

    from screening.documents import EnergyConvention
    from screening.transport.stopping import StoppingRule
    from workflows.config import DynamicsSettings
    from workflows.vasp.makers import Program
    from workflows.vasp_settings import VaspSettings

MAX_ATTEMPTS = 3
"""A piece that failed this often ends its run."""
_LEAST_FRAMES = 2
# Another attempt would end the same.
_HOPELESS = (CommandNotFound, MissingPotcar, RunExploded, DiskFull, WallTimeReached)
_JUDGED = "judged"
_AMU_EV_FS2_PER_A2 = 1.0 / (units.fs**2)  # ASE's time unit is Å·sqrt(amu/eV)


@dataclass(frozen=True)
class VaspRun:
    """A run on its way, and all that it depends on.

    Args:
        structure: relaxed cell, repeated until it is `settings.min_cell_width_A` wide.
        temperature_K: of the thermostat.
        settings: lengths, time step, seed.
        vasp: tags, mesh, potentials.
        program: what is started.
        convention: identity of the engine, for the record.
        folder: survives this process.
    """

    structure: Structure
    temperature_K: float
    settings: DynamicsSettings
    vasp: VaspSettings
    program: Program
    convention: EnergyConvention
    folder: Path

    def go_on(self, mobile_ion: str, rule: StoppingRule) -> MolecularDynamics | None:
        """Do one piece; None where another one is to follow.

        Raises:
            EngineFailure: VASP gave nothing, again and again, before there was anything to keep.
        """
        try:
            if (end := self._end(mobile_ion, rule)) is None:
                self._advance()
                end = self._end(mobile_ion, rule)
        except EngineFailure as error:
            end = self._after_failure(error)
        return None if end is None else self._document(end)

    @cached_property
    def cell(self) -> Structure:
        """What moves, in VASP's order: species by species."""
        return widened(self.structure, self.settings.min_cell_width_A).get_sorted_structure()

    @cached_property
    def pieces(self) -> list[Piece]:
        """What is done."""
        return read_pieces(self.folder)

    @property
    def _step(self) -> int:
        """Steps that are done."""
        return sum(piece.n_steps for piece in self.pieces)

    def production(self) -> Trajectory:
        """All frames so far."""
        fractional, series = joined(self.pieces)
        cell_A = self.cell.lattice.matrix
        return Trajectory(
            positions_A=(fractional @ cell_A).astype(np.float32),
            cell_A=cell_A,
            species=tuple(site.specie.symbol for site in self.cell),
            timestep_fs=self.settings.timestep_fs,
            stride=self._stride,
            temperature_K=self.temperature_K,
            **cast("dict[str, Any]", series),
        )

    # The programme, in steps.

    def _steps(self, time_ps: float) -> int:
        return round(time_ps * 1000 / self.settings.timestep_fs)

    @property
    def _stride(self) -> int:
        return max(self._steps(self.settings.frame_interval_fs / 1000), 1)

    @property
    def _segment(self) -> int:
        return max(self._steps(self.settings.segment_ps), 1)

    @property
    def _legs(self) -> tuple[Leg, ...]:
        s, T = self.settings, self.temperature_K
        return (
            Leg(self._steps(s.heating_ps), min(HEATED_FROM_K, T), T),
            Leg(self._steps(s.equilibration_ps), T, T),
        )

    @property
    def n_before(self) -> int:
        """Steps before the production."""
        return sum(leg.n_steps for leg in self._legs)

    @property
    def _n_most(self) -> int:
        return self.n_before + self._steps(self.settings.production_ps)

    def next_stop(self, step: int) -> tuple[str, int]:
        """Name of the piece that begins at a step, and the step it is to end at."""
        heating, equilibration = (leg.n_steps for leg in self._legs)
        if step < heating:
            return "heating", heating
        if step < heating + equilibration:
            return "equilibration", heating + equilibration
        n = (step - self.n_before) // self._segment + 1
        return f"production-{n:04d}", min(self.n_before + n * self._segment, self._n_most)

    # What happens.

    def _end(self, mobile_ion: str, rule: StoppingRule) -> RunEnd | None:
        """Whether the run ends where it is; asked once at the end of each segment."""
        step = self._step
        produced = step - self.n_before
        if produced <= 0 or (produced % self._segment and step < self._n_most):
            return None
        marker = self.folder / _JUDGED
        if marker.exists() and marker.read_text() == str(step):
            return None
        is_last = step >= self._n_most
        end = judge(self.production(), mobile_ion, rule, is_last=is_last)
        if end is None:
            write_atomically(marker, str(step))
        return end

    def _advance(self) -> None:
        """Run VASP for one piece and keep what it did."""
        step = self._step
        name, stop = self.next_stop(step)
        folder = self.folder / KEPT_FILES / f"{name}-from-{step}"
        if attempts(self.folder, folder.name) >= MAX_ATTEMPTS:
            raise ProgramKilled(
                f"{folder.name}: the process that ran VASP was killed {MAX_ATTEMPTS} times; see "
                "the queue's own log; the next run tries again"
            )
        with explained(folder):
            note_attempt(self.folder, folder.name)
            put_aside(folder)
            start = self.pieces[-1].contcar if self.pieces else self.initial_poscar()
            maker = self.maker(step, stop, start)
            task = run_maker(maker, self.cell, folder, self.program)
            record = record_of(task, folder)
            require_program(record.version, self.convention)
            piece = read_segment(folder, record, step, self.n_before, self._stride)
            require_as_asked(piece, maker.input_set_generator)
            if not piece.hottest_K < EXPLODED_AT * self.temperature_K:  # NaN lands here too
                raise RunExploded(
                    f"{piece.hottest_K:.0f} K between steps {step} and {stop} at a target of "
                    f"{self.temperature_K:g} K; use a shorter dynamics.timestep_fs, or look at the "
                    "relaxed structure"
                )
            piece.write(self.folder)
            self.pieces.append(piece)
            tidy(folder, self.program.execution.vasp_files)
            forget_attempts(self.folder)

    def maker(self, step: int, stop: int, poscar_text: str) -> MDMaker:
        """atomate2's Maker of a piece, from a step of the programme to another."""
        start_K, end_K = (target_temperature(self._legs, n) for n in (step, stop))
        return dynamics_maker(
            self.vasp,
            self.program,
            poscar_text=poscar_text,
            symbols=list(dict.fromkeys(site.specie.symbol for site in self.cell)),
            n_steps=stop - step,
            timestep_fs=self.settings.timestep_fs,
            from_K=start_K,
            to_K=end_K,
            nose_mass=nose_mass(self.cell, self.temperature_K, self.settings.thermostat_period_fs),
            counter=StepCounter(step, self._n_most),
        )

    def first_pieces(self) -> Iterator[tuple[str, int, int]]:
        """Name, first and last step of each piece up to the first of the production."""
        step = 0
        while step <= self.n_before:
            name, stop = self.next_stop(step)
            yield name, step, stop
            step = stop

    def initial_poscar(self) -> str:
        """The relaxed cell with velocities, the same on every machine."""
        atoms = AseAtomsAdaptor.get_atoms(self.cell, msonable=False)
        start_K = target_temperature(self._legs, 0)
        thermalize_momenta(atoms, start_K, rng=np.random.default_rng(self._seed))
        Stationary(atoms)
        velocities_A_per_fs = atoms.get_velocities() * units.fs
        poscar = Poscar(
            self.cell,
            comment=self.cell.composition.reduced_formula,
            velocities=velocities_A_per_fs.tolist(),
        )
        text: str = poscar.get_str()
        return text

    @property
    def _seed(self) -> int:
        return run_seed(self.structure, self.temperature_K, self.settings.seed)

    def _after_failure(self, error: EngineFailure) -> RunEnd | None:
        """What follows on a piece that failed: another attempt, or the end with what there is."""
        step = self._step
        name, _ = self.next_stop(step)
        n_failed = attempts(self.folder, f"{name}-from-{step}")
        if n_failed < MAX_ATTEMPTS and not isinstance(error, _HOPELESS):
            return None
        forget_attempts(self.folder)
        if step < self.n_before + _LEAST_FRAMES * self._stride:
            raise error
        if isinstance(error, RunExploded):
            return RunEnd(outcome="exploded", message=str(error))
        failure = failure_of(error)
        obtained_ps = (step - self.n_before) * self.settings.timestep_fs / 1000
        return RunEnd(
            outcome="failed",
            message=f"{failure.message}; given up after attempt {n_failed}, and the "
            f"{obtained_ps:.4g} ps before count",
            failure=failure,
        )

    def _document(self, end: RunEnd) -> MolecularDynamics:
        heating, equilibration = (leg.n_steps for leg in self._legs)
        trajectory = self.production()
        temperatures_K = trajectory.kinetic_temperatures_K
        assert temperatures_K is not None  # `read_segment` sees to it
        drift = conserved_drift_eV_per_atom_per_ps(trajectory)
        (self.folder / _JUDGED).unlink(missing_ok=True)
        return MolecularDynamics(
            temperature_K=self.temperature_K,
            mean_temperature_K=float(np.mean(temperatures_K)),
            timestep_fs=self.settings.timestep_fs,
            n_heating_steps=heating,
            n_equilibration_steps=equilibration,
            n_production_steps=self._step - self.n_before,
            end=end,
            energy_drift_eV_per_atom_per_ps=drift[0] if drift else None,
            seed=self._seed,
            convention=self.convention,
            trajectory=trajectory,
            calculations=tuple(piece.record for piece in self.pieces),
        )


def nose_mass(structure: Structure, temperature_K: float, period_fs: float) -> float:
    """SMASS of VASP for a thermostat that oscillates with a period.

    VASP counts it in atomic mass units times the square of the first lattice vector; SMASS = 0
    means the same with a period of 40 time steps.

    Reference:
        S. Nosé, J. Chem. Phys. 81, 511 (1984), doi:10.1063/1.447334.
    """
    n_free = 3 * (len(structure) - 1)
    mass_eV_fs2 = 2 * n_free * units.kB * temperature_K * (period_fs / (2 * math.pi)) ** 2
    return float(mass_eV_fs2 / (_AMU_EV_FS2_PER_A2 * structure.lattice.a**2))
