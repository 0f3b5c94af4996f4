"""How much of a run's start is not yet equilibrium.

The cut is where the mean of the rest has the least standard error: a start that differs from the
rest adds to the rest's variance and correlation time as long as it is in it. On a stationary run
that cut wanders, for its error is known roughly only. It is therefore made only where what it
leaves out differs from what it keeps beyond chance. It never leaves out more than half.

These quantities are looked at, as far as there are any: potential energy, kinetic temperature, how
far the framework moves from one frame to the next (its heat), and how far framework and mobile ions
move from one stretch of time to the next. There the mean positions of two neighbouring stretches
are compared, so that vibration does not count. The ions' hops are few and come in bursts: they call
for a cut only if single ions, too, agree on it.

Reference:
    Clark, Cole, Michel, J. Chem. Theory Comput. 21, 88 (2025), doi:10.1021/acs.jctc.4c01359, after
    Chodera, ibid. 12, 1799 (2016), doi:10.1021/acs.jctc.5b00784.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from screening.transport.documents import Equilibration
from screening.transport.msd import framework_mask, mobile_mask
from screening.transport.series import MAX_BLOCKS, block_means, statistical_inefficiency
from screening.transport.trajectory import Trajectory

MIN_FRAMES = 100
MAX_SHARE = 0.5
CUTS_TRIED = 50
SIGNIFICANCE = 0.001
STRETCH_PS = 0.5
STRETCH_SHARE = 1 / 40
ROUNDING = 1e-12


@dataclass(frozen=True)
class _Series:
    """A quantity over time, stationary once the run is in equilibrium.

    Args:
        name: as the report calls it.
        per_atom: shape (n, n_atoms); one column for what has no atoms.
        spacing: frames from one value to the next.
    """

    name: str
    per_atom: NDArray[np.float64]
    spacing: int


def find_equilibration(trajectory: Trajectory, mobile_ion: str) -> tuple[int, Equilibration]:
    """The first frame to keep, and how it was found.

    Args:
        trajectory: positions must be finite.
        mobile_ion: element symbol.

    Raises:
        InvalidInput: no such ion, or nothing but that ion.
    """
    n_frames = len(trajectory.positions_A)
    if n_frames < MIN_FRAMES:
        mobile_mask(trajectory, mobile_ion)
        test = f"not tested: {n_frames} frames, at least {MIN_FRAMES} needed"
        return 0, Equilibration(cut_ps=0.0, test=test)
    series = [*_recorded(trajectory), *_movements(trajectory, mobile_ion)]
    if not series:
        test = "not tested: no energies, no temperatures, and single atoms only"
        return 0, Equilibration(cut_ps=0.0, test=test)
    cuts = {one.name: _cut(one) for one in series}
    late = max(cuts, key=lambda name: cuts[name])
    cut_ps = cuts[late] * trajectory.frame_interval_ps
    found = (
        f"{late} differs from the rest of the run up to {cut_ps:.3g} ps"
        if cuts[late]
        else "no start differs from the rest"
    )
    test = (
        "the cut that leaves the mean of the rest the least standard error (Clark 2024), if what "
        f"it leaves out differs at p < {SIGNIFICANCE:g}; of {', '.join(cuts)}: {found}"
    )
    return cuts[late], Equilibration(cut_ps=cut_ps, test=test)


def _recorded(trajectory: Trajectory) -> list[_Series]:
    """What varies of it: a temperature that is held exactly differs by rounding alone."""
    recorded = {
        "potential energy": trajectory.potential_energies_eV,
        "kinetic temperature": trajectory.kinetic_temperatures_K,
    }
    series = []
    for name, values in recorded.items():
        if values is not None:
            means, length = block_means(values)
            if np.ptp(means) <= ROUNDING * np.abs(means).max():
                continue
            series.append(_Series(name, means[:, None], length))
    return series


def _movements(trajectory: Trajectory, mobile_ion: str) -> list[_Series]:
    """Squared displacements from frame to frame, and from stretch to stretch of time.

    Some `MAX_BLOCKS` evenly spaced frames stand for all. A single atom is left out: nothing tells
    its hops from a start that differs.
    """
    mobile = mobile_mask(trajectory, mobile_ion)
    framework = framework_mask(trajectory, mobile_ion)
    r_A = trajectory.positions_A
    spacing = -(-len(r_A) // MAX_BLOCKS)
    frames = np.arange(0, len(r_A) - 1, spacing)
    steps_A = (r_A[frames + 1] - r_A[frames])[:, framework]
    steps_A -= steps_A.mean(axis=1, keepdims=True)

    stretch_frames = max(STRETCH_PS / trajectory.frame_interval_ps, STRETCH_SHARE * len(r_A))
    stretch = min(math.ceil(stretch_frames / spacing), len(frames) // 8)
    path_A = r_A[frames].astype(np.float64)
    path_A -= path_A[:, framework].mean(axis=1, keepdims=True)
    path_A -= path_A[0].copy()
    sums_A = np.cumsum(path_A, axis=0, out=path_A)
    # the difference of the sums over two neighbouring stretches
    moves_A = (
        sums_A[2 * stretch :] - 2 * sums_A[stretch:-stretch] + sums_A[: -2 * stretch]
    ) / stretch
    moved_A2 = np.einsum("tik,tik->ti", moves_A, moves_A)
    over = f"over {stretch * spacing * trajectory.frame_interval_ps:.3g} ps"
    heat_A2 = np.einsum("tik,tik->ti", steps_A, steps_A, dtype=np.float64)
    series = [
        _Series("displacement of the framework from frame to frame", heat_A2, spacing),
        _Series(f"displacement of the framework {over}", moved_A2[:, framework], spacing),
        _Series(f"displacement of {mobile_ion} {over}", moved_A2[:, mobile], spacing),
    ]
    return [one for one in series if one.per_atom.shape[1] > 1]


def _cut(series: _Series) -> int:
    """First frame to keep for the sake of one quantity; 0 unless what is left out differs."""
    values = series.per_atom.mean(axis=1)
    tried = np.unique(np.linspace(0, MAX_SHARE * len(values), CUTS_TRIED + 1).astype(int))
    errors = [_error_of_mean(values[cut:])[0] for cut in tried]
    cut = int(tried[int(np.argmin(errors))])
    agreed = cut > 0 and _differs(values, cut) and _atoms_agree(series.per_atom, cut)
    return cut * series.spacing if agreed else 0


def _error_of_mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """Standard error of the mean and the number of independent values that it rests on."""
    n_independent = len(values) / statistical_inefficiency(values)
    return float(values.std()) / math.sqrt(n_independent), n_independent


def _differs(values: NDArray[np.float64], cut: int) -> bool:
    """T test of the mean of what is left out, by the scatter of the rest."""
    out, rest = values[:cut], values[cut:]
    error, n_rest = _error_of_mean(rest)
    n_out = max(n_rest * len(out) / len(rest), 1.0)
    reach = float(stats.t.ppf(1 - SIGNIFICANCE / 2, max(n_rest - 1, 1.0)))
    return abs(float(out.mean() - rest.mean())) > reach * error * math.sqrt(1 + n_rest / n_out)


def _atoms_agree(per_atom: NDArray[np.float64], cut: int) -> bool:
    """Paired t test over atoms, if any: the difference is more than a few atoms' doing."""
    change = per_atom[:cut].mean(axis=0) - per_atom[cut:].mean(axis=0)
    if change.size == 1:
        return True
    reach = float(stats.t.ppf(1 - SIGNIFICANCE / 2, change.size - 1))
    return abs(float(change.mean())) > reach * float(stats.sem(change))
