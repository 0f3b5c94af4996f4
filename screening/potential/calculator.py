"""The potential as an ASE calculator, alone or in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from screening.errors import EngineFailure
from screening.potential.graph import Crystal
from screening.potential.together import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

    from screening.potential.evaluation import Potential


class PotentialCalculator(Calculator):  # type: ignore[misc]  # ASE is not typed
    """Energy, forces and stress of periodic cells.

    Inside `run_together`, the calculators of all programs are evaluated as one batch.

    Args:
        potential: what computes; any number of calculators may share it.

    Raises:
        EngineFailure: from `calculate`, where the potential has no number for the structure.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self._potential = potential
        self.n_evaluations = 0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] | None = None,
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """All properties at once: the stress costs next to nothing."""
        super().calculate(atoms, properties, system_changes)
        if not self.atoms.pbc.all():
            raise EngineFailure(
                "the structure is not periodic in all three directions; CHGNet knows crystals only"
            )
        answer = ask(
            self._potential,
            Crystal(
                self.atoms.numbers.astype("int64"),
                self.atoms.get_positions(),
                self.atoms.cell.array,
            ),
        )
        if isinstance(answer, EngineFailure):
            raise answer
        self.n_evaluations += 1
        self.results: dict[str, Any] = {
            "energy": answer.energy_eV,
            "free_energy": answer.energy_eV,
            "forces": answer.forces_eV_per_A,
            "stress": full_3x3_to_voigt_6_stress(answer.stress_eV_per_A3),
        }
