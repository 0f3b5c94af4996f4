"""From the runs of one candidate to its transport document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from screening.documents import Failure
from screening.errors import InvalidInput, UnusableRun
from screening.transport.arrhenius import fit_arrhenius
from screening.transport.diffusivity import (
    DEFAULT_HOP_LENGTH_A,
    check_run,
    estimate_diffusivity,
)
from screening.transport.documents import Diffusivity, Transport
from screening.transport.equilibration import find_equilibration
from screening.transport.framework import framework_motion
from screening.transport.msd import mobile_mask, msd_curves
from screening.transport.run_flags import run_flags
from screening.transport.trajectory import Trajectory


def analyse_run(
    trajectory: Trajectory, mobile_ion: str, *, hop_length_A: float = DEFAULT_HOP_LENGTH_A
) -> Diffusivity:
    """All that one run says of the mobile ion's diffusion, and what to know before trusting it.

    What equilibration took is cut off (`equilibration`), the rest is analysed (`diffusivity`), and
    looked at for a host that moves (`framework`) and for drifts of energy and temperature
    (`run_flags`). In a host that melts D is not that of the crystal: `framework_moves` then keeps
    it out of the Arrhenius law and the ranking. Units that only turn are a caveat.

    Raises:
        InvalidInput, UnusableRun: as `estimate_diffusivity`.
    """
    check_run(trajectory, mobile_ion)
    first, equilibration = find_equilibration(trajectory, mobile_ion)
    kept = trajectory.from_frame(first)
    diffusivity = estimate_diffusivity(kept, mobile_ion, hop_length_A=hop_length_A)
    framework = framework_motion(kept, mobile_ion)
    return diffusivity.model_copy(
        update={
            "equilibration": equilibration,
            "msd": msd_curves(kept, mobile_ion),
            "framework": framework,
            "framework_moves": any(motion.leaves_the_crystal for motion in framework),
            "caveats": (
                *trajectory.notes,
                *(motion.message for motion in framework),
                *run_flags(kept),
            ),
        }
    )


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
