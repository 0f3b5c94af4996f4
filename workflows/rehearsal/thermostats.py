"""Ensembles of molecular dynamics: what acts on velocities before and behind a Verlet step.

Random numbers are drawn from the seed and the positions, so that a run that goes on from its
CONTCAR draws what the unbroken run would have drawn.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import constants

from screening.units import BOLTZMANN_EV_PER_K
from workflows.rehearsal.poscar import ThermostatState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workflows.rehearsal.inputs import Inputs
    from workflows.rehearsal.settings import Settings

EV_PER_U_A2_PER_FS2: float = constants.atomic_mass * 1e10 / constants.e
"""Twice the kinetic energy of one u at one Å/fs."""

_DEFAULT_PERIOD_STEPS = 40


@dataclass(frozen=True)
class Atoms:
    """What is constant about the atoms of a run.

    Args:
        masses_u: shape (n, 1).
        cell_A: shape (3, 3).
        movable: along the lattice vectors, shape (n, 3); None if all are.
    """

    masses_u: NDArray[np.float64]
    cell_A: NDArray[np.float64]
    movable: NDArray[np.bool_] | None

    @property
    def n_freedoms(self) -> int:
        """Degrees of freedom, without those of a centre of mass that stands still."""
        return 3 * len(self.masses_u) - 3 if self.movable is None else int(self.movable.sum())

    def kinetic_eV(self, velocities: NDArray[np.float64]) -> float:
        """Energy of velocities in Å/fs."""
        return 0.5 * EV_PER_U_A2_PER_FS2 * float((self.masses_u * velocities**2).sum())

    def temperature_K(self, velocities: NDArray[np.float64]) -> float:
        """Of velocities in Å/fs."""
        kinetic_eV = self.kinetic_eV(velocities)
        return 2 * kinetic_eV / (max(self.n_freedoms, 1) * BOLTZMANN_EV_PER_K)

    def allowed(self, velocities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Without what selective dynamics forbids."""
        if self.movable is None:
            return velocities
        return velocities @ np.linalg.inv(self.cell_A) * self.movable @ self.cell_A

    def at_rest(self, velocities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Allowed ones whose centre of mass stands still, where all atoms are free."""
        if self.movable is None:
            momentum = (self.masses_u * velocities).sum(axis=0)
            return np.asarray(velocities - momentum / self.masses_u.sum())
        return self.allowed(velocities)

    def thermal(self, generator: np.random.Generator, at_K: float) -> NDArray[np.float64]:
        """Velocities by Maxwell and Boltzmann, Å/fs."""
        width = np.sqrt(BOLTZMANN_EV_PER_K * at_K / (self.masses_u * EV_PER_U_A2_PER_FS2))
        return generator.normal(size=(len(self.masses_u), 3)) * width


class Microcanonical:
    """Nothing acts; the parent of what does."""

    def __init__(self, atoms: Atoms) -> None:
        self.atoms = atoms

    @property
    def state(self) -> ThermostatState:
        """What a CONTCAR must hold besides positions and velocities."""
        return ThermostatState()

    def energies_eV(self, at_K: float) -> tuple[float, float]:
        """Potential and kinetic energy of the thermostat."""
        return 0.0, 0.0

    def before(
        self, velocities: NDArray[np.float64], fractional: NDArray[np.float64], at_K: float
    ) -> NDArray[np.float64]:
        """Velocities that a Verlet step begins with."""
        return velocities

    def behind(
        self, velocities: NDArray[np.float64], fractional: NDArray[np.float64], at_K: float
    ) -> NDArray[np.float64]:
        """Velocities at the end of a Verlet step."""
        return velocities


class NoseHoover(Microcanonical):
    """One thermostat, moved for half a time step before and behind.

    Args:
        atoms: that it acts on.
        inertia_eV_fs2: Q.
        timestep_fs: of the run.
        state: of the thermostat.

    Reference:
        Martyna et al., Mol. Phys. 87, 1117 (1996), doi:10.1080/00268979600100761.
    """

    def __init__(
        self, atoms: Atoms, inertia_eV_fs2: float, timestep_fs: float, state: ThermostatState
    ) -> None:
        super().__init__(atoms)
        self._inertia = inertia_eV_fs2
        self._half_fs = timestep_fs / 2
        self._state = state

    @property
    def state(self) -> ThermostatState:
        """Its variable and the rate."""
        return self._state

    def energies_eV(self, at_K: float) -> tuple[float, float]:
        """Potential and kinetic energy of the thermostat."""
        kT_eV = BOLTZMANN_EV_PER_K * at_K
        return (
            self.atoms.n_freedoms * kT_eV * self._state.position,
            0.5 * self._inertia * self._state.rate_per_fs**2,
        )

    def before(
        self, velocities: NDArray[np.float64], fractional: NDArray[np.float64], at_K: float
    ) -> NDArray[np.float64]:
        """Half a time step of the thermostat."""
        wanted_eV = self.atoms.n_freedoms * BOLTZMANN_EV_PER_K * at_K
        half = self._half_fs
        twice_eV = 2 * self.atoms.kinetic_eV(velocities)
        rate = self._state.rate_per_fs + half / 2 * (twice_eV - wanted_eV) / self._inertia
        factor = math.exp(-rate * half)
        position = self._state.position + rate * half
        rate += half / 2 * (twice_eV * factor**2 - wanted_eV) / self._inertia
        self._state = ThermostatState(position, rate)
        return velocities * factor

    behind = before


class Langevin(Microcanonical):
    """Friction and noise, for half a time step before and behind."""

    def __init__(
        self,
        atoms: Atoms,
        frictions_per_fs: NDArray[np.float64],
        timestep_fs: float,
        seed: tuple[int, ...],
    ) -> None:
        super().__init__(atoms)
        self._kept = np.exp(-frictions_per_fs * timestep_fs / 2)
        self._seed = seed

    def before(
        self, velocities: NDArray[np.float64], fractional: NDArray[np.float64], at_K: float
    ) -> NDArray[np.float64]:
        """Half a time step of friction and noise."""
        noise = self.atoms.thermal(generator(self._seed, fractional, 1), at_K)
        return self.atoms.at_rest(self._kept * velocities + np.sqrt(1 - self._kept**2) * noise)

    def behind(
        self, velocities: NDArray[np.float64], fractional: NDArray[np.float64], at_K: float
    ) -> NDArray[np.float64]:
        """The other half, with other noise."""
        noise = self.atoms.thermal(generator(self._seed, fractional, 2), at_K)
        return self.atoms.at_rest(self._kept * velocities + np.sqrt(1 - self._kept**2) * noise)


class Andersen(Microcanonical):
    """Collisions with a bath."""

    def __init__(self, atoms: Atoms, probability: float, seed: tuple[int, ...]) -> None:
        super().__init__(atoms)
        self._probability = probability
        self._seed = seed

    def behind(
        self, velocities: NDArray[np.float64], fractional: NDArray[np.float64], at_K: float
    ) -> NDArray[np.float64]:
        """New velocities of the atoms that collided."""
        random = generator(self._seed, fractional, 1)
        hit = random.random((len(velocities), 1)) < self._probability
        if not hit.any():
            return velocities
        return self.atoms.at_rest(np.where(hit, self.atoms.thermal(random, at_K), velocities))


class Rescaled(Microcanonical):
    """Velocities brought to the temperature every so many steps."""

    def __init__(self, atoms: Atoms, stride: int) -> None:
        super().__init__(atoms)
        self._stride = stride
        self._n_steps = 0

    def behind(
        self, velocities: NDArray[np.float64], fractional: NDArray[np.float64], at_K: float
    ) -> NDArray[np.float64]:
        """Scaled ones, if it is time."""
        self._n_steps += 1
        now_K = self.atoms.temperature_K(velocities)
        if self._n_steps % self._stride or not now_K:
            return velocities
        return velocities * math.sqrt(at_K / now_K)


def generator(
    seed: tuple[int, ...], fractional: NDArray[np.float64], purpose: int
) -> np.random.Generator:
    """Random numbers that depend on nothing but the seed, the positions and what they are for."""
    digest = zlib.crc32(np.ascontiguousarray(fractional).tobytes())
    return np.random.default_rng([*(abs(number) for number in seed), digest, purpose])


def make_ensemble(
    atoms: Atoms, inputs: Inputs, settings: Settings, state: ThermostatState
) -> Microcanonical:
    """The one that MDALGO and SMASS name."""
    timestep_fs = settings.timestep_fs
    if settings.mdalgo == 1 and settings.andersen_probability > 0:
        return Andersen(atoms, settings.andersen_probability, settings.seed)
    if settings.mdalgo == 3:
        frictions = np.repeat(settings.friction_per_ps, inputs.poscar.counts)[:, None] / 1000
        return Langevin(atoms, frictions, timestep_fs, settings.seed)
    if settings.mdalgo in {0, 2} and settings.smass >= 0:
        return NoseHoover(atoms, inertia_eV_fs2(atoms, settings), timestep_fs, state)
    if settings.mdalgo == 0 and settings.smass == -1:
        return Rescaled(atoms, settings.stride)
    return Microcanonical(atoms)


def inertia_eV_fs2(atoms: Atoms, settings: Settings) -> float:
    """Q of the thermostat: from SMASS, or for a period of 40 steps where that is 0."""
    if settings.smass > 0:
        first_A2 = float((atoms.cell_A[0] ** 2).sum())
        return settings.smass * first_A2 * EV_PER_U_A2_PER_FS2
    kT_eV = BOLTZMANN_EV_PER_K * max(settings.begin_K, settings.end_K)
    period_fs = _DEFAULT_PERIOD_STEPS * settings.timestep_fs
    return 2 * max(atoms.n_freedoms, 1) * kT_eV * (period_fs / (2 * math.pi)) ** 2
