"""Argon by Lennard-Jones: real forces in no time, and ways to die."""

from __future__ import annotations

from ase.calculators.lj import LennardJones
from pymatgen.core import Lattice, Structure

from screening.documents import EnergyConvention

CONVENTION = EnergyConvention(
    code="lj", functional="none", corrections="none", potential="Lennard-Jones argon"
)
# Argon in all but name: calcium and potassium have its mass, and pymatgen misses the
# electronegativity of argon.
ARGON = Structure.from_spacegroup(
    "Pm-3m", Lattice.cubic(5.3), ["K", "Ca"], [[0, 0, 0], [0, 0.5, 0.5]]
)


class Killed(Exception):
    """As a process is."""


class Argon(LennardJones):
    """Real forces; dies after a number of evaluations, as a killed process would.

    Or stiffens so much that the time step cannot follow.
    """

    def __init__(self, dies_after=None, epsilon_eV=0.0104, stiffens_after=None):
        super().__init__(sigma=3.4, epsilon=epsilon_eV, rc=8.0, smooth=True)
        self.left = dies_after
        self.soft = stiffens_after

    def calculate(self, *args, **kwargs):
        if self.soft is not None:
            self.soft -= 1
            if self.soft == 0:
                self.parameters.epsilon = 600.0
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        super().calculate(*args, **kwargs)
