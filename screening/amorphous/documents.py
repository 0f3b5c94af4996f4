"""What making glasses and comparing them with their crystal answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, PlainSerializer
from pymatgen.core.structure import Structure

from screening.disorder.documents import DisorderReport
from screening.documents import Document, EnergyConvention, Failure, StageDocument, StoredStructure
from screening.transport.documents import FrameworkMotion, Transport
from screening.transport.trajectory import Trajectory

CRYSTAL = "crystal"


def glass_name(melt_temperature_K: float) -> str:
    """What a glass is called wherever it is shown."""
    return f"quenched from {melt_temperature_K:g} K"


class MeltQuench(Document):
    """A glass and how it was made; `melt`, what was held above, is kept in the array store."""

    structure: StoredStructure = Field(description="the last frame, at the crystal's volume")
    melt_temperature_K: float
    mean_melt_temperature_K: float
    quench_temperature_K: float
    heating_ps: float
    hold_ps: float
    quench_ps: float
    timestep_fs: float
    seed: int
    convention: EnergyConvention
    motion: tuple[FrameworkMotion, ...] = Field(description="of the host, while it was held")
    caveats: tuple[str, ...]
    melt: Annotated[Trajectory, PlainSerializer(Trajectory.as_dict, return_type=dict[str, Any])]


class MeltQuenchDocument(StageDocument):
    """Answer of the quench stage at one melt temperature."""

    melt_temperature_K: float
    result: MeltQuench | None = None


class Phase(Document):
    """The crystal or a glass: how its ions move and how it is ordered."""

    name: str
    melt_temperature_K: float | None = Field(default=None, description="None: the crystal")
    n_atoms: int
    structure: StoredStructure | None = Field(
        default=None, description="of a glass, as quenched; None: the crystal, as relaxed"
    )
    transport: Transport
    disorder: DisorderReport
    potential_energy_eV_per_atom: float | None = Field(
        default=None, description="mean of the run that `disorder` is of; None if not recorded"
    )


class DiffusivityOrder(Document):
    """Phases by their diffusivity at one temperature."""

    temperature_K: float
    names: tuple[str, ...] = Field(description="fastest first; an upper bound counts as it is")
    apart: tuple[bool, ...] = Field(
        description="of each but the last: whether its 68 % interval lies above that of the next"
    )


class Amorphous(Document):
    """A crystal and its glasses."""

    phases: tuple[Phase, ...] = Field(description="the crystal first")
    disorder_temperature_K: float = Field(description="of the runs that `disorder` is of")
    orders: tuple[DiffusivityOrder, ...]
    failures: dict[str, Failure] = Field(description="phase -> why there is nothing of it")
    caveats: tuple[str, ...]


class AmorphousDocument(StageDocument):
    """Answer of the amorphous stage."""

    result: Amorphous | None = None


@dataclass(frozen=True)
class PhaseRuns:
    """What is known of a phase before the phases are compared.

    Args:
        name: for people.
        melt_temperature_K: None for the crystal.
        transport: its diffusivities.
        runs: its trajectories, one a temperature.
        structure: of a glass, as quenched.
    """

    name: str
    melt_temperature_K: float | None
    transport: Transport
    runs: Sequence[Trajectory]
    structure: Structure | None = None
