"""A crystal and the glasses quenched from its melts, side by side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from screening.amorphous.documents import Amorphous, DiffusivityOrder, Phase, PhaseRuns
from screening.disorder.report import disorder_report
from screening.documents import Failure
from screening.errors import UnusableRun
from screening.transport.documents import Diffusivity, FrameworkMotion
from screening.transport.equilibration import find_equilibration
from screening.transport.trajectory import Trajectory


def melt_caveats(motion: Sequence[FrameworkMotion], melt: Trajectory) -> tuple[str, ...]:
    """What to know of a glass: whether what it was quenched from had melted."""
    if any(evidence.leaves_the_crystal for evidence in motion):
        return ()
    return (
        f"the host shows no sign of melting in {melt.duration_ps:.3g} ps at "
        f"{melt.temperature_K:g} K: what was quenched may be no melt; melt hotter or longer",
    )


def compare_phases(
    phases: Sequence[PhaseRuns],
    mobile_ion: str,
    *,
    failures: Mapping[str, Failure],
    caveats: Sequence[str] = (),
) -> Amorphous:
    """Local order of all phases at the lowest temperature that all were run at, and who is faster.

    Args:
        phases: the crystal first.
        mobile_ion: element symbol.
        failures: phases that came to nothing; passed on.
        caveats: passed on.

    Raises:
        UnusableRun: there is no temperature that all phases were run at.
    """
    common_K = set.intersection(*({run.temperature_K for run in phase.runs} for phase in phases))
    if not common_K:
        found = "; ".join(
            f"{phase.name}: {sorted(run.temperature_K for run in phase.runs)}" for phase in phases
        )
        raise UnusableRun(f"no temperature at which every phase has a run ({found} K)")
    temperature_K = min(common_K)
    return Amorphous(
        phases=tuple(_describe(phase, temperature_K, mobile_ion) for phase in phases),
        disorder_temperature_K=temperature_K,
        orders=tuple(
            order
            for t in sorted({run.temperature_K for phase in phases for run in phase.runs})
            if (order := _order(phases, t))
        ),
        failures=dict(failures),
        caveats=tuple(caveats),
    )


def _describe(phase: PhaseRuns, temperature_K: float, mobile_ion: str) -> Phase:
    run = next(run for run in phase.runs if run.temperature_K == temperature_K)
    run = run.from_frame(find_equilibration(run, mobile_ion)[0])
    energies_eV = run.potential_energies_eV
    return Phase(
        name=phase.name,
        melt_temperature_K=phase.melt_temperature_K,
        n_atoms=len(run.species),
        structure=phase.structure,
        transport=phase.transport,
        disorder=disorder_report(run, mobile_ion),
        potential_energy_eV_per_atom=(
            None if energies_eV is None else float(np.mean(energies_eV)) / len(run.species)
        ),
    )


def _order(phases: Sequence[PhaseRuns], temperature_K: float) -> DiffusivityOrder | None:
    """None where fewer than two phases have a diffusivity."""
    found = [
        (phase.name, diffusivity)
        for phase in phases
        for diffusivity in phase.transport.diffusivities
        if diffusivity.temperature_K == temperature_K
    ]
    if len(found) < 2:
        return None
    found.sort(key=lambda entry: -_value(entry[1]))
    return DiffusivityOrder(
        temperature_K=temperature_K,
        names=tuple(name for name, _ in found),
        apart=tuple(
            _interval(faster)[0] > _interval(slower)[2]
            for (_, faster), (_, slower) in itertools.pairwise(found)
        ),
    )


def _value(diffusivity: Diffusivity) -> float:
    return _interval(diffusivity)[1]


def _interval(diffusivity: Diffusivity) -> tuple[float, float, float]:
    """Lower end, value and upper end; a bound is its own value and upper end."""
    if diffusivity.D_cm2_s is not None and diffusivity.D_68_cm2_s is not None:
        low, high = diffusivity.D_68_cm2_s
        return low, diffusivity.D_cm2_s, high
    bound = diffusivity.upper_bound_cm2_s
    assert bound is not None, "a diffusivity is a value or a bound"
    return 0.0, bound, bound
