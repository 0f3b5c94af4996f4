"""How much of a run's start is not yet equilibrium.

The cut is where the rest holds the most independent samples: a start that differs from the rest
raises the rest's correlation time as long as it is in it. On a stationary run that cut wanders, for
the correlation time is known roughly only. It is therefore made only where what it leaves out
differs from what it keeps beyond chance. It never leaves out more than half.

Four quantities are looked at, those that there are: potential energy, kinetic temperature, and how
far the framework and the mobile ions move from one stretch of time to the next. The mean positions
of two neighbouring stretches are compared, so that vibration does not count. The ions' hops are few
and come in bursts: they call for a cut only if single ions, too, agree on it.

Reference:
    Chodera, J. Chem. Theory Comput. 12, 1799 (2016), doi:10.1021/acs.jctc.5b00784.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from screening.transport.documents import Equilibration
from screening.transport.msd import mobile_mask
from screening.transport.series import MAX_BLOCKS, block_means, statistical_inefficiency
from screening.transport.trajectory import Trajectory

MIN_FRAMES = 100
MAX_SHARE = 0.5
CUTS_TRIED = 50
SIGNIFICANCE = 0.001
STRETCH_PS = 0.5
STRETCH_SHARE = 1 / 40


@dataclass(frozen=True)
class _Series:
    """A quantity over time, stationary once the run is in equilibrium.

    Args:
        name: as the report calls it.
        values: shape (n,).
        spacing: frames from one value to the next.
        per_atom: shape (n, n_atoms), whose mean over atoms `values` is; None where there is none.
    """

    name: str
    values: NDArray[np.float64]
    spacing: int
    per_atom: NDArray[np.float64] | None = None


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
    cuts = {one.name: _cut(one) for one in series}
    late = max(cuts, key=lambda name: cuts[name])
    cut_ps = cuts[late] * trajectory.frame_interval_ps
    found = (
        f"{late} differs from the rest of the run up to {cut_ps:.3g} ps"
        if cuts[late]
        else "no start differs from the rest"
    )
    test = (
        "the cut that leaves the most independent samples (Chodera 2016), if what it leaves out "
        f"differs at p < {SIGNIFICANCE:g}, of {', '.join(cuts)}: {found}"
    )
    return cuts[late], Equilibration(cut_ps=cut_ps, test=test)


def _recorded(trajectory: Trajectory) -> list[_Series]:
    recorded = {
        "potential energy": trajectory.potential_energies_eV,
        "kinetic temperature": trajectory.kinetic_temperatures_K,
    }
    return [
        _Series(name, *block_means(values))
        for name, values in recorded.items()
        if values is not None
    ]


def _movements(trajectory: Trajectory, mobile_ion: str) -> list[_Series]:
    """|mean position of the next stretch - mean position of this|², framework and ions.

    Some `MAX_BLOCKS` evenly spaced frames stand for all.
    """
    mobile = mobile_mask(trajectory, mobile_ion)
    n_frames = len(trajectory.positions_A)
    spacing = -(-n_frames // MAX_BLOCKS)
    r_A = trajectory.positions_A[::spacing].astype(np.float64)
    r_A -= r_A[0].copy()
    r_A -= r_A[:, ~mobile].mean(axis=1, keepdims=True)
    stretch_frames = max(STRETCH_PS / trajectory.frame_interval_ps, STRETCH_SHARE * n_frames)
    stretch = min(math.ceil(stretch_frames / spacing), len(r_A) // 8)
    sums_A = np.cumsum(r_A, axis=0, out=r_A)
    means_A = (sums_A[stretch:] - sums_A[:-stretch]) / stretch
    moved_A2 = np.square(means_A[stretch:] - means_A[:-stretch]).sum(axis=2)
    over = f"over {stretch * spacing * trajectory.frame_interval_ps:.3g} ps"
    return [
        _Series(f"{name} {over}", moved_A2[:, who].mean(axis=1), spacing, moved_A2[:, who])
        for name, who in (
            ("displacement of the framework", ~mobile),
            (f"displacement of {mobile_ion}", mobile),
        )
    ]


def _cut(series: _Series) -> int:
    """First frame to keep for the sake of one quantity; 0 unless what is left out differs."""
    values = series.values
    tried = np.unique(np.linspace(0, MAX_SHARE * len(values), CUTS_TRIED + 1).astype(int))
    samples = [(len(values) - cut) / statistical_inefficiency(values[cut:]) for cut in tried]
    cut = int(tried[int(np.argmax(samples))])
    if cut == 0 or not _differs(values, cut, max(samples)):
        return 0
    if series.per_atom is not None and not _atoms_agree(series.per_atom, cut):
        return 0
    return cut * series.spacing


def _differs(values: NDArray[np.float64], cut: int, n_samples: float) -> bool:
    """T test of the mean of what is left out, by the scatter of the rest."""
    out, rest = values[:cut], values[cut:]
    n_out = max(n_samples * len(out) / len(rest), 1.0)
    error = float(rest.std(ddof=1)) * math.sqrt(1 / n_samples + 1 / n_out)
    difference = abs(float(out.mean() - rest.mean()))
    reach = float(stats.t.ppf(1 - SIGNIFICANCE / 2, max(n_samples - 1, 1.0)))
    return difference > reach * error


def _atoms_agree(per_atom: NDArray[np.float64], cut: int) -> bool:
    """Paired t test over atoms: whether the difference is more than a few atoms' doing."""
    change = per_atom[:cut].mean(axis=0) - per_atom[cut:].mean(axis=0)
    if change.size < 2:
        return False
    reach = float(stats.t.ppf(1 - SIGNIFICANCE / 2, change.size - 1))
    return abs(float(change.mean())) > reach * float(stats.sem(change))
