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

from screening.documents import UNCORRECTED, EnergyConvention, Relaxation
from screening.errors import InvalidInput, NotConverged
from screening.potential.elements import NOT_IN_MPTRJ

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymatgen.core.structure import Structure

    from screening.potential.calculator import PotentialCalculator
    from screening.potential.evaluation import Potential
    from screening.transport.documents import MolecularDynamics
    from screening.transport.stopping import StoppingRule
    from workflows.config import DynamicsSettings, RelaxSettings


@dataclass(frozen=True)
class _Fitted:
    """What weights were fitted to.

    Args:
        functional: of the energies.
        corrections: in them.
        unknown: elements among the first 94 that nothing fitted to held.
    """

    functional: str
    corrections: str
    unknown: frozenset[str]


_FITTED = {
    "0.3.0": _Fitted("PBE/PBE+U", "MP2020, inside the potential", NOT_IN_MPTRJ),
    # MP-r2SCAN: Huang et al., npj Comput. Mater. (2025), "Cross-functional transferability"
    "r2scan": _Fitted("r2SCAN", UNCORRECTED, NOT_IN_MPTRJ | {"Yb"}),
}
_N_ELEMENTS = 94


def unknown_elements(model: str, symbols: Iterable[str]) -> list[str]:
    """Those that the weights say nothing of, known without loading them."""
    from pymatgen.core.periodic_table import Element

    unknown = _FITTED[model].unknown
    return [s for s in symbols if s in unknown or Element(s).Z > _N_ELEMENTS]


@lru_cache
def convention(model: str) -> EnergyConvention:
    """Identity of the potential; reads the weights file but does not load it."""
    return EnergyConvention(
        code="chgnet",
        functional=_FITTED[model].functional,
        corrections=_FITTED[model].corrections,
        potential=f"chgnet {model}",
        weights_sha256=hashlib.sha256(weights_file(model).read_bytes()).hexdigest(),
    )


def weights_file(model: str) -> Path:
    """The packaged weights, found without importing torch.

    Raises:
        InvalidInput: no weights of that name are known here.
        FileNotFoundError: they are not where the chgnet package should have them.
    """
    spec = importlib.util.find_spec("chgnet")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("chgnet is not installed; pip install -c constraints.txt -e .")
    folder = Path(spec.origin).parent / "pretrained" / model
    found = sorted(folder.glob("*.tar"))
    if not found and model not in _FITTED:
        raise InvalidInput(f"no weights {model!r}; needed: one of {', '.join(_FITTED)}")
    if not found:
        raise FileNotFoundError(
            f"the installed chgnet ships no weights {model}; pip install -c constraints.txt -e ."
        )
    return found[0]


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
        from screening.potential.evaluation import Potential
        from workflows.execution.process import one_torch_thread

        one_torch_thread()
        return Potential(weights_file(self.model))

    def calculator(self) -> PotentialCalculator:
        """Energies, forces and stress; in a batch with others inside `run_together`."""
        from screening.potential.calculator import PotentialCalculator

        return PotentialCalculator(self._potential)

    def move(
        self,
        structure: Structure,
        temperature_K: float,
        settings: DynamicsSettings,
        mobile_ion: str,
        rule: StoppingRule,
        folder: Path,
    ) -> MolecularDynamics:
        """All of a run, in this process."""
        from workflows.molecular_dynamics import run_molecular_dynamics

        return run_molecular_dynamics(
            structure,
            self.calculator(),
            self.convention,
            temperature_K,
            settings,
            checkpoints=folder,
            mobile_ion=mobile_ion,
            rule=rule,
        )

    def relax(self, structure: Structure, settings: RelaxSettings) -> Relaxation:
        """Relax cell and positions with atomate2's `ForceFieldRelaxMaker` (FIRE, Frechet cell)."""
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        from screening.potential.cell_filter import CellFilter
        from workflows.execution.progress import is_heard

        maker = ForceFieldRelaxMaker(
            force_field_name="CHGNet",
            steps=settings.max_steps,
            relax_kwargs={
                "fmax": settings.max_force_eV_per_A,
                "cell_filter": CellFilter,
                "interval": settings.max_steps + 1,  # no one asks for the frames in between
                "final_atoms_object_file": None,
                "logfile": "-" if is_heard() else None,  # what people look at while it runs
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
