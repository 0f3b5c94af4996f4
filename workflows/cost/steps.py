"""How many steps a job has computed, as its document tells."""

from __future__ import annotations

from typing import Any

from screening.amorphous.documents import MeltQuenchDocument
from screening.documents import RelaxDocument
from screening.transport.documents import DynamicsDocument


def n_steps_of(document: Any) -> int | None:
    """Steps of relaxation or dynamics, heating and equilibration too; None where none is known."""
    match document:
        case RelaxDocument(result=relaxed) if relaxed is not None:
            return relaxed.n_steps
        case DynamicsDocument() if (moved := document.result or document.partial) is not None:
            return moved.n_heating_steps + moved.n_equilibration_steps + moved.n_production_steps
        case MeltQuenchDocument(result=glass) if glass is not None:
            times_ps = (glass.heating_ps, glass.hold_ps, glass.quench_ps)
            return sum(round(1000 * time_ps / glass.timestep_fs) for time_ps in times_ps)
    return None
