"""The embedded default: CHGNet through atomate2's force-field Maker, weights inside its package.

Reference: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import math
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screening.documents import EnergyConvention, Relaxation
from screening.errors import EnergyNotFinite, EngineFailure, NotConverged

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator
    from pymatgen.core.structure import Structure

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
    """CHGNet on the CPU or, where torch sees one, a GPU; one thread a process."""

    model: str

    @property
    def convention(self) -> EnergyConvention:
        """Identity of the potential."""
        return convention(self.model)

    @cached_property
    def _network(self) -> Any:
        import torch
        from chgnet.model import CHGNet

        torch.set_num_threads(1)  # processes, not threads, share the cores
        with contextlib.redirect_stdout(io.StringIO()):  # it prints even where asked not to
            return CHGNet.load(model_name=self.model, verbose=False)

    def calculator(self) -> Calculator:
        """Energies and forces; neither stress nor magnetic moments, which NVT does not ask for."""
        return _guarded_calculator(self._network, task="ef")

    def relax(self, structure: Structure, settings: RelaxSettings) -> Relaxation:
        """Relax cell and positions with atomate2's `ForceFieldRelaxMaker` (FIRE, Frechet cell)."""
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        maker = ForceFieldRelaxMaker(
            force_field_name="CHGNet",
            steps=settings.max_steps,
            relax_kwargs={"fmax": settings.max_force_eV_per_A, "final_atoms_object_file": None},
        )
        calculator = _guarded_calculator(self._network, task="efs")
        maker._calculator = calculator  # the Maker would load the weights anew each time
        with warnings.catch_warnings():
            # of the cell's deformation, by some 1e-13, at every step of a cell that grows far
            warnings.filterwarnings("ignore", "logm result may be inaccurate", RuntimeWarning)
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
            n_steps=len(result.trajectory) - 2,  # the first and the last frame are no steps
            max_force_eV_per_A=max_force,
            volume_change_percent=100 * (relaxed.volume / structure.volume - 1),
            convention=self.convention,
        )


def _guarded_calculator(network: Any, task: str) -> Calculator:
    """CHGNet's own ASE calculator, asked for `task` alone and never silent about NaN."""
    import numpy as np
    from chgnet.model.dynamics import CHGNetCalculator

    class GuardedCalculator(CHGNetCalculator):
        implemented_properties = ("energy", "free_energy", "forces", *("stress",) * ("s" in task))

        def calculate(self, atoms: Any = None, properties: Any = None, changes: Any = None) -> None:
            try:
                super().calculate(atoms, properties, changes, task=task)
            except ValueError as error:
                if "isolated atom" not in str(error):
                    raise
                raise EngineFailure(
                    "CHGNet cannot treat an atom with no neighbour within 6 Å; the cell is too "
                    "large or the structure has flown apart"
                ) from error
            for name in ("energy", "forces", "stress"):
                value = self.results.get(name)
                if value is not None and not np.all(np.isfinite(value)):
                    raise EnergyNotFinite(
                        f"CHGNet gave a {name} that is not finite; atoms too close together or a "
                        "structure far from what it was trained on"
                    )
            self.results["energy"] = self.results["free_energy"] = float(self.results["energy"])

    with contextlib.redirect_stdout(io.StringIO()):
        return GuardedCalculator(network, on_isolated_atoms="error")
