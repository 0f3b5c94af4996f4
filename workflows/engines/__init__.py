"""Engines: what computes energies and moves atoms, one thin binding a file."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from workflows.engines import chgnet, vasp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from screening.documents import EnergyConvention, Relaxation
    from screening.transport.documents import MolecularDynamics
    from screening.transport.stopping import StoppingRule
    from workflows.config import DynamicsSettings, EngineSettings, RelaxSettings
    from workflows.execution.batching import Batching


class Engine(Protocol):
    """What an engine adds to the generic stages."""

    @property
    def convention(self) -> EnergyConvention:
        """What makes its energies comparable."""

    def relax(self, structure: Structure, settings: RelaxSettings) -> Relaxation:
        """Relax cell and positions.

        Raises:
            EngineFailure: the engine gave no usable answer.
        """

    def move(
        self,
        structure: Structure,
        temperature_K: float,
        settings: DynamicsSettings,
        mobile_ion: str,
        rule: StoppingRule,
        folder: Path,
    ) -> MolecularDynamics | None:
        """Molecular dynamics until `rule` ends it, from where `folder` says that it was.

        None where the engine has done a part and another job is to go on in the same folder.

        Raises:
            EngineFailure: nothing was obtained.
        """


def load_engine(settings: EngineSettings) -> Engine:
    """The engine of a campaign."""
    return vasp.VaspEngine(settings) if settings.runs_vasp else load_potential(settings.model)


@lru_cache(maxsize=1)
def load_potential(model: str) -> chgnet.ChgnetEngine:
    """The embedded potential, which a worker process keeps warm."""
    return chgnet.ChgnetEngine(model)


def unknown_elements(settings: EngineSettings, symbols: Iterable[str]) -> list[str]:
    """Those that an engine says nothing of, known without loading it."""
    if settings.runs_vasp:
        return vasp.unknown_elements(settings, symbols)
    return chgnet.unknown_elements(settings.model, symbols)


def engine_convention(settings: EngineSettings) -> EnergyConvention:
    """Identity of an engine without loading it."""
    return vasp.convention(settings) if settings.runs_vasp else chgnet.convention(settings.model)


def engine_identity(settings: EngineSettings, *calculations: str) -> Any:
    """What of an engine decides the result of a stage.

    Args:
        settings: of the engine.
        calculations: of VASP that the stage runs: relax, static, dynamics.
    """
    energies = engine_convention(settings)
    if not settings.runs_vasp:
        return energies
    own = {name: getattr(settings.vasp, name) for name in calculations}
    return [energies, own, settings.vasp.potcar]


def batching(settings: EngineSettings) -> Batching:
    """Which stages may run side by side in one process, evaluated as one batch; loads torch.

    On a CPU eight atoms at a time are 2.3 times as fast as one structure after the other, 32 still
    1.4 times, and beyond 60 nothing is gained: dynamics, whose cells are larger, run alone, and no
    bit of any result depends on what it ran beside. A GPU is idle below thousands of atoms; there
    the last digits do depend on it. VASP computes in processes of its own.
    """
    from workflows.execution.batching import Batching

    if settings.runs_vasp:
        return Batching()
    import torch

    if torch.cuda.is_available():
        return Batching(frozenset({"relax", "dynamics", "quench"}), n_atoms=4_000)
    return Batching(frozenset({"relax"}), n_atoms=64)
