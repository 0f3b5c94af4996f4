"""Relaxations of what ISIF lets move.

Atoms and cell are relaxed together: by BFGS with IBRION = 1, which asks for quasi-Newton steps,
else by FIRE, as the embedded engine does, so that both end in the same minimum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.optimize import BFGS, FIRE, LBFGS

from screening.potential.cell_filter import CellFilter
from workflows.rehearsal.steps import KILOBAR_PER_EV_PER_A3, IonicStep, wrapped
from workflows.rehearsal.stopcar import stop_is_wished

if TYPE_CHECKING:
    from ase.optimize.optimize import Optimizer
    from numpy.typing import NDArray

    from workflows.rehearsal.faults import Faults
    from workflows.rehearsal.inputs import Inputs
    from workflows.rehearsal.outputs import Outputs
    from workflows.rehearsal.poscar import Poscar
    from workflows.rehearsal.settings import Settings
    from workflows.rehearsal.surface import Surface

REACHED = "reached required accuracy - stopping structural energy minimisation"
_LONGEST_STEP_A = 0.2
_FIRST_CURVATURE_EV_PER_A2 = 20.0  # ionic crystals are softer than ASE's default supposes
_STEPS_OF_A_LINE = 10
_QUASI_NEWTON = 1  # value of IBRION
_MOST_ATOMS_OF_BFGS = 250  # of more, its Hessian takes longer than the forces
_IONS_MOVE = frozenset({0, 1, 2, 3, 4, 8})
_SHAPE_CHANGES = frozenset({3, 4, 5, 6})
_VOLUME_CHANGES = frozenset({3, 6, 7, 8})


def run_relaxation(
    surface: Surface, inputs: Inputs, settings: Settings, faults: Faults, outputs: Outputs
) -> None:
    """Move downhill until EDIFFG is reached or NSW steps are used up."""
    variables = _Variables(surface, inputs.poscar, settings)
    optimiser = _optimiser(settings.ibrion, variables)
    enthalpies_eV: list[float] = []
    for number in range(1, settings.n_steps + 1):
        point = surface.here()
        enthalpy_eV = point.energy_eV + variables.pressure_eV_per_A3 * surface.atoms.get_volume()
        gradient_eV_per_A = float(np.linalg.norm(variables.get_forces(), axis=1).max())
        enthalpies_eV.append(enthalpy_eV)
        is_relaxed = not faults.never_relaxed and _is_reached(
            settings.ediffg, gradient_eV_per_A, enthalpies_eV
        )
        is_stopped = stop_is_wished(inputs.folder)
        is_last = is_relaxed or is_stopped or number == settings.n_steps
        here = variables.poscar()
        step = IonicStep(
            number,
            here.cell_A,
            wrapped(here.fractional),
            point,
            electronic=faults.electronic_steps(settings.n_electronic),
            is_last=is_last,
        )
        if not is_relaxed:
            optimiser.step()
        following = here if is_relaxed else variables.poscar()
        outputs.record(step, following)
        if is_last:
            outputs.end(following, REACHED if is_relaxed else "", is_stopped=is_stopped)
            return


def _optimiser(ibrion: int, variables: _Variables) -> Optimizer:
    """Quasi-Newton steps as with IBRION = 1, or those that other engines here relax with."""
    if ibrion != _QUASI_NEWTON:
        return FIRE(variables, logfile=None)
    kind = BFGS if len(variables.atoms) <= _MOST_ATOMS_OF_BFGS else LBFGS
    return kind(variables, logfile=None, maxstep=_LONGEST_STEP_A, alpha=_FIRST_CURVATURE_EV_PER_A2)


def _is_reached(ediffg: float, gradient_eV_per_A: float, enthalpies_eV: list[float]) -> bool:
    """What EDIFFG asks for: small forces, or a small gain in energy.

    VASP compares the ends of two line minimisations, of which a few steps here are as long.
    """
    if ediffg < 0:
        return gradient_eV_per_A < -ediffg
    if len(enthalpies_eV) <= _STEPS_OF_A_LINE:
        return False
    return abs(enthalpies_eV[-1] - enthalpies_eV[-1 - _STEPS_OF_A_LINE]) < ediffg


class _Variables(CellFilter):
    """What ISIF and selective dynamics let move, under an outer pressure.

    Args:
        surface: whose atoms are moved.
        poscar: where they start.
        settings: ISIF and PSTRESS count.
    """

    def __init__(self, surface: Surface, poscar: Poscar, settings: Settings) -> None:
        super().__init__(surface.atoms)
        self.pressure_eV_per_A3 = settings.pressure_kB / KILOBAR_PER_EV_PER_A3
        self._isif = settings.isif
        self._start = poscar
        free = np.ones_like(poscar.fractional, dtype=bool)
        if poscar.movable is not None:
            free = poscar.movable.copy()
        self._free = free & (settings.isif in _IONS_MOVE)
        self._projectors = np.array([_projector(poscar.cell_A[row]) for row in self._free])

    def get_forces(self) -> NDArray[np.float64]:
        """Negative gradient of the enthalpy along what may move, shape (n + 3, 3)."""
        forces = super().get_forces().copy()
        forces[:-3] = np.einsum("nij,nj->ni", self._projectors, forces[:-3])
        # V = V_0 exp(tr U), so that the outer pressure adds P V to the diagonal
        outer_eV = self.pressure_eV_per_A3 * self.atoms.get_volume() / self.exp_cell_factor
        forces[-3:] -= outer_eV * np.eye(3)
        volumetric = np.trace(forces[-3:]) / 3 * np.eye(3)
        cell = np.zeros((3, 3))
        if self._isif in _SHAPE_CHANGES:
            cell += forces[-3:] - volumetric
        if self._isif in _VOLUME_CHANGES:
            cell += volumetric
        forces[-3:] = cell
        return forces

    def poscar(self) -> Poscar:
        """Where the atoms are; what may not move is where it was, to the last digit."""
        cell_A = self._start.cell_A
        if self._isif in _SHAPE_CHANGES | _VOLUME_CHANGES:
            cell_A = self.atoms.cell.array.copy()
        fractional = self.atoms.positions @ np.linalg.inv(cell_A)
        return self._start.moved(cell_A, np.where(self._free, fractional, self._start.fractional))


def _projector(vectors_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Onto the space that vectors span, shape (3, 3)."""
    if len(vectors_A) == 0:
        return np.zeros((3, 3))
    orthonormal, _ = np.linalg.qr(vectors_A.T)
    return np.asarray(orthonormal @ orthonormal.T)
