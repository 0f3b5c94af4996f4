"""The potential energy surface that the stand-in takes for PBE's: CHGNet without corrections.

CHGNet was fitted to energies that hold the Materials Project's corrections. They are taken off, so
that what pymatgen makes of the run is CHGNet's energy again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from workflows.rehearsal.corrections import correction_eV

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    from screening.potential.evaluation import Potential
    from workflows.rehearsal.inputs import Inputs

MODEL = "0.3.0"


@dataclass(frozen=True)
class Point:
    """One evaluation of the surface.

    Args:
        energy_eV: of the cell, uncorrected.
        forces_eV_per_A: shape (n, 3).
        stress_eV_per_A3: positive where the cell would shrink, shape (3, 3).
        took_s: time it took.
    """

    energy_eV: float
    forces_eV_per_A: NDArray[np.float64]
    stress_eV_per_A3: NDArray[np.float64]
    took_s: float


class Surface:
    """Energies, forces and stress of the atoms of a run, which its mover moves.

    Args:
        inputs: of the run; the correction is that of its first structure.
    """

    def __init__(self, inputs: Inputs) -> None:
        from ase import Atoms

        from screening.potential.calculator import PotentialCalculator

        poscar = inputs.poscar
        self.correction_eV = correction_eV(poscar)
        self.atoms: Atoms = Atoms(
            poscar.species,
            positions=poscar.fractional @ poscar.cell_A,
            cell=poscar.cell_A,
            pbc=True,
        )
        self.atoms.calc = PotentialCalculator(_potential())
        self.masses_u = np.repeat([header.mass_u for header in inputs.headers], poscar.counts)

    def move_to(self, fractional: NDArray[np.float64]) -> None:
        """Put the atoms there, the cell unchanged."""
        self.atoms.set_positions(fractional @ self.atoms.cell.array)

    def here(self) -> Point:
        """Evaluate the structure as it is.

        Raises:
            EngineFailure: the potential has no number for it.
        """
        start = time.perf_counter()
        energy_eV = float(self.atoms.get_potential_energy())
        return Point(
            energy_eV - self.correction_eV,
            np.asarray(self.atoms.get_forces(), dtype=np.float64),
            np.asarray(self.atoms.get_stress(voigt=False), dtype=np.float64),
            time.perf_counter() - start,
        )


@lru_cache(maxsize=1)
def _potential() -> Potential:
    from screening.potential.evaluation import Potential
    from workflows.engines.chgnet import weights_file
    from workflows.execution.process import one_torch_thread

    one_torch_thread()
    return Potential(weights_file(MODEL))
