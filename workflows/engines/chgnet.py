"""The embedded default: CHGNet through atomate2's force-field Maker, weights inside its package.

Reference: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from screening.documents import EnergyConvention, Relaxation
from screening.errors import NotConverged

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from screening.potential.calculator import PotentialCalculator
    from screening.potential.evaluation import Potential
    from workflows.config import RelaxSettings


@lru_cache
def convention(model: str) -> EnergyConvention:
    """Identity of the potential; reads the weights file but does not load it."""
    return EnergyConvention(
        code="chgnet",
        functional="PBE/PBE+U",
        corrections="MP2020, inside the potential",
        potential=f"chgnet {model}",
        weights_sha256=hashlib.sha256(weights_file(model).read_bytes()).hexdigest(),
    )


def weights_file(model: str) -> Path:
    """The packaged weights, found without importing torch."""
    spec = importlib.util.find_spec("chgnet")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("chgnet is not installed; pip install -c constraints.txt -e .")
    folder = Path(spec.origin).parent / "pretrained" / model
    return next(iter(sorted(folder.glob("*.tar"))))


@dataclass(frozen=True)
class ChgnetEngine:
    """CHGNet on the CPU or, where torch sees one, a GPU; see `screening.potential`."""

    model: str

    @property
    def convention(self) -> EnergyConvention:
        """Identity of the potential."""
        return convention(self.model)

    @cached_property
    def _potential(self) -> Potential:
        import torch

        from screening.potential.evaluation import Potential

        torch.set_num_threads(1)  # processes, not threads, share the cores
        return Potential(weights_file(self.model))

    def calculator(self) -> PotentialCalculator:
        """Energies, forces and stress; in a batch with others inside `run_together`."""
        from screening.potential.calculator import PotentialCalculator

        return PotentialCalculator(self._potential)

    def relax(self, structure: Structure, settings: RelaxSettings) -> Relaxation:
        """Relax cell and positions with atomate2's `ForceFieldRelaxMaker` (FIRE, Frechet cell)."""
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        from screening.potential.cell_filter import CellFilter

        maker = ForceFieldRelaxMaker(
            force_field_name="CHGNet",
            steps=settings.max_steps,
            relax_kwargs={
                "fmax": settings.max_force_eV_per_A,
                "cell_filter": CellFilter,
                "interval": settings.max_steps + 1,  # no one asks for the frames in between
                "final_atoms_object_file": None,
                "logfile": None,
                "verbose": True,  # it would put another stdout in place, for all of a batch
            },
        )
        calculator = self.calculator()
        maker._calculator = calculator  # the Maker would load the package's own
        result = maker.run_ase(structure)
        max_force = max(math.hypot(*force) for force in calculator.results["forces"])
        if not result.converged:
            raise NotConverged(
                f"largest force {max_force:.3g} eV/Å after {settings.max_steps} steps, needed "
                f"{settings.max_force_eV_per_A:g}, of the cell as of the atoms; raise "
                "relax.max_steps or relax.max_force_eV_per_A, or look at the structure"
            )
        relaxed = result.final_mol_or_struct
        return Relaxation(
            structure=relaxed,
            energy_eV_per_atom=calculator.results["energy"] / len(relaxed),
            n_steps=calculator.n_evaluations - 1,
            max_force_eV_per_A=max_force,
            volume_change_percent=100 * (relaxed.volume / structure.volume - 1),
            convention=self.convention,
        )
