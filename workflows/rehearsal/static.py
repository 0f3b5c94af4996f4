"""Static runs: one ionic step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.rehearsal.steps import IonicStep, wrapped

if TYPE_CHECKING:
    from workflows.rehearsal.faults import Faults
    from workflows.rehearsal.inputs import Inputs
    from workflows.rehearsal.outputs import Outputs
    from workflows.rehearsal.settings import Settings
    from workflows.rehearsal.surface import Surface


def run_static(
    surface: Surface, inputs: Inputs, settings: Settings, faults: Faults, outputs: Outputs
) -> None:
    """Evaluate the structure as it is."""
    poscar = inputs.poscar
    step = IonicStep(
        1,
        poscar.cell_A,
        wrapped(poscar.fractional),
        surface.here(),
        electronic=faults.electronic_steps(settings.n_electronic),
        is_last=True,
    )
    outputs.record(step, poscar)
    outputs.end(poscar)
