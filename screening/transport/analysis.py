"""From the runs of one candidate to its transport document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from screening.documents import Failure
from screening.errors import InvalidInput, UnusableRun
from screening.transport.arrhenius import fit_arrhenius
from screening.transport.diffusivity import DEFAULT_HOP_LENGTH_A, estimate_diffusivity
from screening.transport.documents import Diffusivity, Transport
from screening.transport.msd import mobile_mask
from screening.transport.trajectory import Trajectory


def analyse_run(
    trajectory: Trajectory, mobile_ion: str, *, hop_length_A: float = DEFAULT_HOP_LENGTH_A
) -> Diffusivity:
    """All that one run says of the mobile ion's diffusion."""
    return estimate_diffusivity(trajectory, mobile_ion, hop_length_A=hop_length_A)


def analyse_transport(
    runs: Sequence[Trajectory],
    mobile_ion: str,
    *,
    failures: Mapping[str, Failure] | None = None,
    charge: int = 1,
    hop_length_A: float = DEFAULT_HOP_LENGTH_A,
) -> Transport:
    """Diffusivity at every temperature, Arrhenius law, conductivity at 300 K.

    A run that carries no diffusivity becomes a failure under its temperature; the others go on.
    The charge carriers are the mobile ions of the runs' cell.

    Args:
        runs: production of one cell, at one temperature each, in any order.
        mobile_ion: element symbol.
        failures: temperatures that gave no run at all; passed on.
        charge: of the mobile ion, in elementary charges.
        hop_length_A: distance between neighbouring sites, Å.

    Raises:
        InvalidInput: no run, two runs of one temperature or of different cells, or anything else
            that no longer run would mend.
    """
    if not runs:
        raise InvalidInput("no run to analyse")
    runs = sorted(runs, key=lambda run: run.temperature_K)
    temperatures_K = [run.temperature_K for run in runs]
    if len(set(temperatures_K)) < len(runs):
        raise InvalidInput(f"one run a temperature needed, got {temperatures_K} K")
    for run in runs[1:]:
        if run.species != runs[0].species or not np.allclose(run.cell_A, runs[0].cell_A):
            raise InvalidInput(
                f"the runs at {runs[0].temperature_K:g} and {run.temperature_K:g} K are of "
                "different cells; analyse one candidate at a time"
            )
    diffusivities = []
    all_failures = dict(failures or {})
    for run in runs:
        try:
            diffusivities.append(analyse_run(run, mobile_ion, hop_length_A=hop_length_A))
        except UnusableRun as error:
            all_failures[f"{run.temperature_K:g}"] = Failure(code=error.code, message=str(error))
    return Transport(
        diffusivities=tuple(diffusivities),
        failures=all_failures,
        arrhenius=fit_arrhenius(
            diffusivities,
            n_mobile=int(mobile_mask(runs[0], mobile_ion).sum()),
            volume_A3=abs(float(np.linalg.det(runs[0].cell_A))),
            charge=charge,
        ),
    )
