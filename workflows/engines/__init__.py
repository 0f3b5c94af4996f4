"""Engines: what computes energies and forces, one thin binding a file."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from workflows.engines import chgnet

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator
    from pymatgen.core.structure import Structure

    from screening.documents import EnergyConvention, Relaxation
    from workflows.config import EngineSettings, RelaxSettings


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


def engine_convention(settings: EngineSettings) -> EnergyConvention:
    """Identity of an engine without loading it."""
    return chgnet.convention(settings.model)
