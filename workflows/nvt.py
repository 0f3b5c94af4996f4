"""NVT molecular dynamics along a programme of temperatures, that survives being killed.

The thermostat is ASE's Nosé–Hoover chain (Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635
(1992), doi:10.1063/1.463940). A checkpoint holds all that the next step depends on (positions,
momenta, thermostat variables; the programme gives the temperature), so that a run in pieces is the
same run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.velocitydistribution import Stationary, thermalize_momenta

from screening.errors import RunExploded
from screening.transport.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

STATE = "state.npz"
EXPLODED_AT = 10.0  # times the highest temperature of the programme


@dataclass(frozen=True)
class Leg:
    """A part of a temperature programme: linear in time, or constant.

    Args:
        n_steps: its length.
        from_K: target at its start.
        to_K: target at its end.
    """

    n_steps: int
    from_K: float
    to_K: float


def target_temperature(legs: Sequence[Leg], step: int) -> float:
    """What the thermostat aims at after `step` steps, K; behind the last leg, its end."""
    for leg in legs:
        if step < leg.n_steps:
            return leg.from_K + (leg.to_K - leg.from_K) * step / leg.n_steps
        step -= leg.n_steps
    return legs[-1].to_K


class NvtRun:
    """A run on its way: the integrator and what was recorded so far.

    Goes on from a checkpoint if one lies in the folder. The frames of each piece are a file of
    their own; the state file, replaced last and atomically, says up to which step they count.

    Args:
        atoms: with a calculator; moved in place.
        legs: the temperature programme; the last leg's end holds for ever after.
        timestep_fs: of the integrator.
        thermostat_period_fs: of the Nosé–Hoover chain, at every temperature.
        seed: of the velocities that the first leg starts with.
        record_from: the step of the first frame.
        stride: steps between two frames.
        save_every: steps between two checkpoints.
        folder: survives this process.
        on_save: told the step of each checkpoint.
    """

    def __init__(
        self,
        atoms: Atoms,
        legs: Sequence[Leg],
        *,
        timestep_fs: float,
        thermostat_period_fs: float,
        seed: int,
        record_from: int,
        stride: int,
        save_every: int,
        folder: Path,
        on_save: Callable[[int], None],
    ) -> None:
        self.atoms = atoms
        self.step = 0
        self.timestep_fs = timestep_fs
        self.stride = stride
        self._legs = tuple(legs)
        self._record_from = record_from
        self._save_every = save_every
        self._folder = folder
        self._on_save = on_save
        self._limit_K = EXPLODED_AT * max(max(leg.from_K, leg.to_K) for leg in legs)
        self._frames: list[NDArray[np.float32]] = []
        self._series: dict[str, list[float]] = {
            "kinetic_temperatures_K": [],
            "potential_energies_eV": [],
            "conserved_eV": [],
        }
        self._n_saved = 0
        start_K = target_temperature(legs, 0)
        thermalize_momenta(atoms, start_K, rng=np.random.default_rng(seed))
        Stationary(atoms)
        self._period = thermostat_period_fs * units.fs
        self._integrator = NoseHooverChainNVT(
            atoms, timestep=timestep_fs * units.fs, temperature_K=start_K, tdamp=self._period
        )
        self._restore()

    @property
    def n_frames(self) -> int:
        """Frames recorded so far."""
        return len(self._frames)

    @property
    def kinetic_temperatures_K(self) -> NDArray[np.float64]:
        """Of every frame, shape (n_frames,)."""
        return np.array(self._series["kinetic_temperatures_K"])

    def advance(self, step: int) -> None:
        """Integrate until `step` steps are done, recording and saving on the way.

        Raises:
            RunExploded: the kinetic temperature passed ten times the highest target, or is not
                finite. What was recorded before is still there.
            EngineFailure: as the calculator raises it.
        """
        while self.step < step:
            self._aim_at(target_temperature(self._legs, self.step + 1))
            with np.errstate(over="ignore", invalid="ignore"):  # the temperature tells
                self._integrator.step()
            self.step += 1
            kinetic_K = self._intact_temperature()
            done = self.step - self._record_from
            if done >= 0 and done % self.stride == 0:
                self._record(kinetic_K)
            if self.step % self._save_every == 0:
                self._save()
                self._on_save(self.step)

    def trajectory(self) -> Trajectory:
        """What was recorded so far, with the temperature that the programme ends at."""
        return Trajectory(
            positions_A=np.array(self._frames, dtype=np.float32),
            cell_A=np.array(self.atoms.cell),
            species=tuple(self.atoms.get_chemical_symbols()),
            timestep_fs=self.timestep_fs,
            stride=self.stride,
            temperature_K=self._legs[-1].to_K,
            potential_energies_eV=np.array(self._series["potential_energies_eV"]),
            kinetic_temperatures_K=self.kinetic_temperatures_K,
            conserved_energies_eV=np.array(self._series["conserved_eV"]),
        )

    def drift_eV_per_atom_per_ps(self) -> float:
        """Slope of the conserved quantity over the frames; zero for an exact integrator.

        It is conserved at a constant temperature only.
        """
        time_ps = self.stride * self.timestep_fs / 1000 * np.arange(self.n_frames)
        return float(np.polyfit(time_ps, self._series["conserved_eV"], 1)[0] / len(self.atoms))

    def _aim_at(self, temperature_K: float) -> None:
        """Thermostat at a temperature, its period the same."""
        thermostat = self._integrator._thermostat
        kT = units.kB * temperature_K
        thermostat._kT = kT
        thermostat._Q[0] = 3 * len(self.atoms) * kT * self._period**2
        thermostat._Q[1:] = kT * self._period**2

    def _intact_temperature(self) -> float:
        """Kinetic temperature, if the cell has not flown apart."""
        kinetic_K = float(self.atoms.get_temperature())
        if not kinetic_K < self._limit_K:  # NaN lands here too
            target_K = target_temperature(self._legs, self.step)
            raise RunExploded(
                f"{kinetic_K:.0f} K after {self.step} steps at a target of {target_K:g} K; "
                "use a shorter dynamics.timestep_fs, or look at the relaxed structure"
            )
        return kinetic_K

    def _record(self, kinetic_K: float) -> None:
        self._frames.append(self.atoms.get_positions().astype(np.float32))
        self._series["kinetic_temperatures_K"].append(kinetic_K)
        self._series["potential_energies_eV"].append(float(self.atoms.get_potential_energy()))
        self._series["conserved_eV"].append(self._integrator.get_conserved_energy())

    def _save(self) -> None:
        new = slice(self._n_saved, None)
        _write(
            self._folder / f"frames-{self.step:09d}.npz",
            frames_A=np.array(self._frames[new], dtype=np.float32),
            **{name: values[new] for name, values in self._series.items()},
        )
        thermostat = self._integrator._thermostat
        _write(
            self._folder / STATE,
            step=self.step,
            positions_A=self.atoms.get_positions(),
            momenta=self.atoms.get_momenta(),
            eta=thermostat._eta,
            p_eta=thermostat._p_eta,
        )
        self._n_saved = self.n_frames

    def _restore(self) -> None:
        """Continue from the folder if a state lies there."""
        if (self._folder / STATE).exists():
            self._restore_state()
        for piece in sorted(self._folder.glob("frames-*.npz")):
            if int(piece.stem.removeprefix("frames-")) > self.step:
                piece.unlink()  # its state was never written; it must not count later
                continue
            with np.load(piece) as saved:
                self._frames += list(saved["frames_A"])
                for name, series in self._series.items():
                    series.extend(saved[name].tolist())
        self._n_saved = self.n_frames

    def _restore_state(self) -> None:
        thermostat = self._integrator._thermostat
        with np.load(self._folder / STATE) as state:
            self.step = int(state["step"])
            self.atoms.set_positions(state["positions_A"])
            self.atoms.set_momenta(state["momenta"])
            thermostat._eta[:] = state["eta"]
            thermostat._p_eta[:] = state["p_eta"]
        # The integrator keeps its own copies of positions and momenta.
        self._integrator._q = self.atoms.get_positions()
        self._integrator._p = self.atoms.get_momenta()


def _write(path: Path, **arrays: Any) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
