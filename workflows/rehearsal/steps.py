"""What is recorded of an ionic step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from workflows.rehearsal.surface import Point

KILOBAR_PER_EV_PER_A3 = 1602.1766340
_USUAL_ELECTRONIC_STEPS = 4


@dataclass(frozen=True)
class Motion:
    """Energies of moving atoms.

    Args:
        kinetic_eV: of the atoms.
        temperature_K: it means, with the centre of mass at rest.
        thermostat_potential_eV, thermostat_kinetic_eV: of a Nosé–Hoover thermostat.
    """

    kinetic_eV: float
    temperature_K: float
    thermostat_potential_eV: float = 0.0
    thermostat_kinetic_eV: float = 0.0

    def conserved_eV(self, potential_eV: float) -> float:
        """What an exact integrator would keep."""
        return (
            potential_eV
            + self.kinetic_eV
            + self.thermostat_potential_eV
            + self.thermostat_kinetic_eV
        )


@dataclass(frozen=True)
class IonicStep:
    """One evaluation on the way of the atoms.

    Args:
        number: from 1.
        cell_A: rows are lattice vectors, shape (3, 3).
        fractional: positions, shape (n, 3), inside the cell.
        point: energies, forces and stress there.
        motion: in molecular dynamics.
        electronic: NELM where the electrons are to fail to converge, else None.
        is_last: whether no step follows.
    """

    number: int
    cell_A: NDArray[np.float64]
    fractional: NDArray[np.float64]
    point: Point
    motion: Motion | None = None
    electronic: int | None = None
    is_last: bool = False

    @property
    def stress_kB(self) -> NDArray[np.float64]:
        """As VASP has it: positive where the cell would expand."""
        return -self.point.stress_eV_per_A3 * KILOBAR_PER_EV_PER_A3

    @property
    def volume_A3(self) -> float:
        """Of the cell."""
        return float(abs(np.linalg.det(self.cell_A)))

    def electronic_energies_eV(self) -> Iterator[tuple[float, float]]:
        """Energy and its change in every electronic step; the last energy is that of the step."""
        n = self.electronic or _USUAL_ELECTRONIC_STEPS + (self.number == 1)
        before = 0.0
        for k in range(1, n + 1):
            energy = self.point.energy_eV + (10.0 ** max(2 - 2 * k, -6) if k < n else 0.0)
            yield energy, energy - before
            before = energy


def wrapped(fractional: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same positions in [0, 1)."""
    inside = fractional - np.floor(fractional)
    inside[inside >= 1.0] = 0.0  # a negative number too small to be seen from 1
    return inside


def rows(template: str, array: NDArray[np.float64]) -> str:
    """A template filled in with each row of an array."""
    return (len(array) * template) % tuple(array.ravel().tolist())
