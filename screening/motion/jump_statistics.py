"""Rates, directions and correlation of jumps, with errors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from screening.motion.concerted import concerted_pairs
from screening.motion.documents import Interval, JumpKind, Jumps, Site
from screening.motion.jumps import JumpEvents
from screening.motion.periodic_sets import link, new_sets
from screening.transport.posterior import ONE_SIGMA
from screening.units import A2_PER_PS_TO_CM2_PER_S

ONE_SIGMA_TAIL = (1 - ONE_SIGMA) / 2
EVENTS_AT_95 = -math.log(0.05)
MIN_PAIRS = 10
MIN_IONS_FOR_SPREAD = 4
KIND_TOLERANCE_A = 0.7
MAX_KINDS = 12


def site_documents(
    sites: NDArray[np.float64], events: JumpEvents, *, n_frames: int, frame_interval_ps: float
) -> tuple[Site, ...]:
    """Occupancy and mean stay at each site.

    The mean stay is the time ions belonged to the site over the departures, which is right for
    stays cut off by the run's ends; its interval is that of a Poisson count.
    """
    departures = np.bincount(events.origin, minlength=len(sites)).tolist()
    frames = events.frames_at.sum(axis=0).tolist()
    documents = []
    for site, n_departures, n_at in zip(sites.tolist(), departures, frames, strict=True):
        time_ps = n_at * frame_interval_ps
        documents.append(
            Site(
                fractional=(site[0], site[1], site[2]),
                occupancy=n_at / n_frames,
                n_departures=n_departures,
                residence_ps=time_ps / n_departures if n_departures else None,
                residence_68_ps=_inverted(rate_interval(n_departures, time_ps)),
                residence_at_least_ps=None if n_departures else time_ps / EVENTS_AT_95,
            )
        )
    return tuple(documents)


def jump_statistics(
    events: JumpEvents,
    sites: NDArray[np.float64],
    cell_A: NDArray[np.float64],
    *,
    frame_interval_ps: float,
) -> Jumps:
    """What all jumps together say.

    Rates have the interval of a Poisson count, widened where ions differ in their numbers of jumps
    more than Poisson counts do. The error of the correlation is a jackknife over ions.
    """
    times_ps = events.frames_at.sum(axis=1) * frame_interval_ps
    time_ps = float(times_ps.sum())
    dispersion = _dispersion(events, times_ps)
    squares_A2 = np.square(events.vector_A).sum(axis=0)
    x, y, z = (squares_A2 / squares_A2.sum()).tolist() if len(events) else (0.0, 0.0, 0.0)
    pairs = _successive(events)
    n_back = int(_undone(events)[pairs].sum())
    back_68, factor, factor_68 = None, None, None
    if pairs.size:
        back_68 = _share_interval(n_back, pairs.size)
    if pairs.size >= MIN_PAIRS:
        factor, factor_68 = _correlation_factor(events, pairs)
    n_concerted, expected = concerted_pairs(
        events, sites, cell_A, frame_interval_ps=frame_interval_ps
    )
    return Jumps(
        n_jumps=len(events),
        residence_ps=time_ps / len(events) if len(events) else None,
        residence_68_ps=_inverted(rate_interval(len(events), time_ps, dispersion)),
        residence_at_least_ps=None if len(events) else time_ps / EVENTS_AT_95,
        dimension=_network_dimension(events, len(sites)),
        shares_along_xyz=(x, y, z) if len(events) else None,
        uncorrelated_D_cm2_s=float(squares_A2.sum()) / (6 * time_ps) * A2_PER_PS_TO_CM2_PER_S
        if len(events)
        else None,
        n_pairs=int(pairs.size),
        back_jump_fraction=n_back / pairs.size if pairs.size else None,
        back_jump_68=back_68,
        correlation_factor=factor,
        correlation_factor_68=factor_68,
        concerted_ratio=n_concerted / expected if expected > 0 else None,
        n_concerted=n_concerted,
        kinds=_kinds(events, time_ps),
    )


def rate_interval(n_events: int, time_ps: float, dispersion: float = 1.0) -> Interval | None:
    """68 % interval of the rate of a Poisson process, per ps; None without events.

    Exact (Garwood 1936, doi:10.1093/biomet/28.3-4.437); a dispersion above 1 makes as many events
    count as one.
    """
    if not n_events:
        return None
    n, time_ps = n_events / dispersion, time_ps / dispersion
    low = float(stats.gamma.ppf(ONE_SIGMA_TAIL, n)) / time_ps
    high = float(stats.gamma.ppf(1 - ONE_SIGMA_TAIL, n + 1)) / time_ps
    return low, high


def _inverted(rates: Interval | None) -> Interval | None:
    return (1 / rates[1], 1 / rates[0]) if rates else None


def _share_interval(n_hits: int, n: int) -> Interval:
    """68 % interval of a binomial share (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404)."""
    low = stats.beta.ppf(ONE_SIGMA_TAIL, n_hits, n - n_hits + 1) if n_hits else 0.0
    high = stats.beta.ppf(1 - ONE_SIGMA_TAIL, n_hits + 1, n - n_hits) if n_hits < n else 1.0
    return float(low), float(high)


def _dispersion(events: JumpEvents, times_ps: NDArray[np.float64]) -> float:
    """Variance over mean of the ions' numbers of jumps, at least 1."""
    if len(times_ps) < MIN_IONS_FOR_SPREAD or not len(events):
        return 1.0
    counts = np.bincount(events.ion, minlength=len(times_ps))
    expected = len(events) * times_ps / times_ps.sum()
    seen = expected > 0
    chi2 = float((np.square(counts - expected)[seen] / expected[seen]).sum())
    return max(1.0, chi2 / max(int(seen.sum()) - 1, 1))


def _successive(events: JumpEvents) -> NDArray[np.int64]:
    """Jumps that the same ion follows up with another one."""
    return np.flatnonzero(events.ion[:-1] == events.ion[1:])


def _undone(events: JumpEvents) -> NDArray[np.bool_]:
    """Whether the next jump in the list leads back, shape (n_jumps - 1,)."""
    same_site = events.origin[:-1] == events.target[1:]
    return np.asarray(same_site & (events.image[:-1] == -events.image[1:]).all(axis=1))


def _correlation_factor(
    events: JumpEvents, pairs: NDArray[np.int64]
) -> tuple[float | None, Interval | None]:
    """(1 + c) / (1 - c), exact where a jump depends on the one before and no other.

    Reference:
        Compaan and Haven, Trans. Faraday Soc. 52, 786 (1956), doi:10.1039/TF9565200786.
    """
    along_A2 = np.einsum("ij,ij->i", events.vector_A[pairs], events.vector_A[pairs + 1])
    squares_A2 = np.square(events.vector_A).sum(axis=1)
    lengths_A2 = (squares_A2[pairs] + squares_A2[pairs + 1]) / 2
    n_ions = len(events.frames_at)
    sums = np.stack(
        [np.bincount(events.ion[pairs], w, minlength=n_ions) for w in (along_A2, lengths_A2)]
    )[:, np.bincount(events.ion[pairs], minlength=n_ions) > 0]
    cosine = float(sums[0].sum() / sums[1].sum())
    if cosine >= 1:
        return None, None
    n_groups = sums.shape[1]
    if n_groups < MIN_IONS_FOR_SPREAD:
        return _factor(cosine), None
    without = (sums[0].sum() - sums[0]) / (sums[1].sum() - sums[1])
    reach = float(stats.t.ppf(1 - ONE_SIGMA_TAIL, n_groups - 1))
    error = reach * math.sqrt((n_groups - 1) * float(without.var()))
    if cosine + error >= 1:
        return _factor(cosine), None
    return _factor(cosine), (_factor(max(cosine - error, -1.0)), _factor(cosine + error))


def _factor(cosine: float) -> float:
    return (1 + cosine) / (1 - cosine)


def _network_dimension(events: JumpEvents, n_sites: int) -> int:
    """Independent directions along which the sites' jumps run through the crystal."""
    parent, shift, windings, rank = new_sets(n_sites)
    routes = np.unique(
        np.column_stack([events.origin, events.target, events.image]), axis=0
    ).tolist()
    for origin, target, x, y, z in routes:
        link(parent, shift, windings, rank, origin, target, x, y, z)
    return int(rank.max())


def _kinds(events: JumpEvents, time_ps: float) -> tuple[JumpKind, ...]:
    """Jumps grouped by their vectors up to sign, within `KIND_TOLERANCE_A`."""
    if not len(events):
        return ()
    routes, counts = np.unique(np.round(events.vector_A, 4), axis=0, return_counts=True)
    centres: list[NDArray[np.float64]] = []
    members: list[int] = []
    for route in np.argsort(-counts, kind="stable"):
        vector_A, n = routes[route], int(counts[route])
        for kind, centre_A in enumerate(centres):
            sign = 1.0 if vector_A @ centre_A >= 0 else -1.0
            if np.linalg.norm(sign * vector_A - centre_A) < KIND_TOLERANCE_A:
                centres[kind] = (centre_A * members[kind] + sign * vector_A * n) / (
                    members[kind] + n
                )
                members[kind] += n
                break
        else:
            centres.append(vector_A)
            members.append(n)
    documents = []
    for kind in np.argsort(-np.array(members), kind="stable")[:MAX_KINDS]:
        x, y, z = centres[kind].tolist()
        rates = rate_interval(members[kind], time_ps)
        assert rates is not None
        documents.append(
            JumpKind(
                vector_A=(x, y, z),
                length_A=math.hypot(x, y, z),
                n_jumps=members[kind],
                rate_per_ion_per_ps=members[kind] / time_ps,
                rate_68_per_ion_per_ps=rates,
            )
        )
    return tuple(documents)
