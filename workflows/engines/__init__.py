"""Engines: what computes energies and forces, one thin binding a file."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from workflows.engines import chgnet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ase.calculators.calculator import Calculator
    from pymatgen.core.structure import Structure

    from screening.documents import EnergyConvention, Relaxation
    from workflows.config import EngineSettings, RelaxSettings
    from workflows.execution.batching import Batching


class Engine(Protocol):
    """What an engine adds to the generic stages."""

    @property
    def convention(self) -> EnergyConvention:
        """What makes its energies comparable."""

    def relax(self, structure: Structure, settings: RelaxSettings) -> Relaxation:
        """Relax cell and positions.

        Raises:
            EnergyNotFinite, NotConverged: the engine gave no usable answer.
        """

    def calculator(self) -> Calculator:
        """An ASE calculator of energies and forces for molecular dynamics at a fixed cell."""


@lru_cache(maxsize=1)
def load_engine(settings: EngineSettings) -> Engine:
    """The engine of a campaign; a worker process keeps it warm."""
    return chgnet.ChgnetEngine(settings.model)


def unknown_elements(settings: EngineSettings, symbols: Iterable[str]) -> list[str]:
    """Those that an engine says nothing of, known without loading it."""
    return chgnet.unknown_elements(settings.model, symbols)


def engine_convention(settings: EngineSettings) -> EnergyConvention:
    """Identity of an engine without loading it."""
    return chgnet.convention(settings.model)


def batching(settings: EngineSettings) -> Batching:
    """Which stages may run side by side in one process, evaluated as one batch; loads torch.

    On a CPU eight atoms at a time are 2.3 times as fast as one structure after the other, 32 still
    1.4 times, and beyond 60 nothing is gained: dynamics, whose cells are larger, run alone, and no
    bit of any result depends on what it ran beside. A GPU is idle below thousands of atoms; there
    the last digits do depend on it.
    """
    import torch

    from workflows.execution.batching import Batching

    if torch.cuda.is_available():
        return Batching(frozenset({"relax", "dynamics", "quench"}), n_atoms=4_000)
    return Batching(frozenset({"relax"}), n_atoms=64)
