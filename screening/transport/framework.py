"""Whether the host of a run stays: melting, broken shells, turning units.

The run is cut into `N_STRETCHES` stretches. The mean positions of the host atoms in the first are
compared with those in the last, so that vibration counts little.

- An atom has left its site if it has moved farther than half the distance to its nearest host
  neighbour and than twice its vibration, and if its species goes on moving: the mean squared
  displacement over half the run and more is at least `GROWTH` times that from one stretch to the
  next. That of slow and wide vibrations is not.
- A bond is a host cation and a host anion within `BOND` of the sum of their covalent radii, in the
  first frame and in the first stretch on average; it is broken if they end up farther apart than
  `BROKEN` of it.
- A bond that holds has turned if its direction has changed by more than 45°.

Atoms that leave their sites, or whose bonds turn, while their bonds hold and the atoms at the other
end stay, are rotating units: that is no melting. All else that leaves its site is. A tenth of the
atoms of a species must take part, and two where there are two: that share does not depend on the
size of the cell, and one defect in a large cell is no melt. A tenth of the shells must be broken.

Reference:
    Covalent radii: Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j, by way of
    pymatgen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element
from pymatgen.core.molecule_structure_comparator import CovalentRadius
from pymatgen.optimization.neighbors import find_points_in_spheres

from screening.transport.documents import FrameworkMotion
from screening.transport.msd import framework_mask
from screening.transport.trajectory import Trajectory

BOND = 1.2
BROKEN = 1.44
TURNED_COSINE = math.cos(math.pi / 4)
MIN_SHARE = 0.1
MIN_ATOMS = 2
N_STRETCHES = 10
FRAMES_PER_STRETCH = 20
VIBRATIONS = 2.0
GROWTH = 2.0
STRETCH_PS = 0.5
ALONE_A = 5.0


@dataclass(frozen=True)
class _Host:
    """Host atoms in all stretches of a run, drift removed.

    Args:
        symbols: shape (n_atoms,).
        r_A: positions, shape (n_stretches, n_frames, n_atoms, 3).
        cell_A: lattice vectors as rows.
    """

    symbols: NDArray[np.str_]
    r_A: NDArray[np.float64]
    cell_A: NDArray[np.float64]

    @property
    def moved_A(self) -> NDArray[np.float64]:
        """From mean position to mean position, shape (n_atoms,)."""
        return _length(self.r_A[-1].mean(axis=0) - self.r_A[0].mean(axis=0))

    @property
    def vibration_A(self) -> NDArray[np.float64]:
        """Root mean square distance from the mean position, shape (n_atoms,)."""
        return np.asarray(np.sqrt(self.r_A[[0, -1]].var(axis=1).sum(axis=-1).mean(axis=0)))

    @cached_property
    def msd_A2(self) -> NDArray[np.float64]:
        """Of mean positions over one stretch and over half of all and more, shape (2, n_atoms)."""
        mean_A = self.r_A.mean(axis=1)
        over_A2 = [
            np.square(mean_A[lag:] - mean_A[:-lag]).sum(axis=2).mean(axis=0)
            for lag in range(1, N_STRETCHES)
        ]
        return np.array([over_A2[0], np.mean(over_A2[N_STRETCHES // 2 - 1 :], axis=0)])


@dataclass(frozen=True)
class _Bonds:
    """Cation–anion pairs of the start and what became of them, arrays of shape (n_bonds,)."""

    cation: NDArray[np.int64]
    anion: NDArray[np.int64]
    early_A: NDArray[np.float64]
    late_A: NDArray[np.float64]
    broken: NDArray[np.bool_]
    turned: NDArray[np.bool_]


def framework_motion(trajectory: Trajectory, mobile_ion: str) -> tuple[FrameworkMotion, ...]:
    """Evidence that the host does not stay, species by species; nothing where it does.

    Args:
        trajectory: finite positions. Of less than ten frames nothing can be said; of a run that is
            shorter than `N_STRETCHES` × `STRETCH_PS`, the time that vibration takes to be
            forgotten, only whether shells are broken.
        mobile_ion: element symbol; all other atoms but alkali metals are the host.

    Returns:
        Of every species at most one of 'diffuses' and 'turns'; 'loses coordination' of cations.

    Raises:
        InvalidInput: no such ion, or nothing but that ion.
    """
    framework = framework_mask(trajectory, mobile_ion)
    if len(trajectory.positions_A) < N_STRETCHES:
        return ()
    host = _host(trajectory, framework)
    bonds, site_radius_A = _bonds(host)
    after = f"after {trajectory.duration_ps:.3g} ps"
    found = _lost_coordination(host, bonds, after)
    if round(trajectory.duration_ps, 6) >= N_STRETCHES * STRETCH_PS:
        found += _departures(host, bonds, site_radius_A, after)
    return tuple(sorted(found, key=lambda motion: (motion.species, motion.kind)))


def _host(trajectory: Trajectory, host: NDArray[np.bool_]) -> _Host:
    """Positions less the mean displacement of the host, in some frames of every stretch."""
    length = len(trajectory.positions_A) // N_STRETCHES
    within = np.unique(np.linspace(0, length - 1, FRAMES_PER_STRETCH).astype(int))
    frames = np.arange(N_STRETCHES)[:, None] * length + within
    r_A = trajectory.positions_A[frames][:, :, host].astype(np.float64)
    r_A -= (r_A - r_A[0, 0]).mean(axis=2, keepdims=True)
    return _Host(
        symbols=np.array(trajectory.species)[host],
        r_A=r_A,
        cell_A=np.ascontiguousarray(trajectory.cell_A, dtype=np.float64),
    )


def _enough(atoms: NDArray[np.bool_]) -> float:
    """How many of these atoms must take part."""
    n_atoms = int(atoms.sum())
    return max(MIN_SHARE * n_atoms, min(MIN_ATOMS, n_atoms))


def _left(host: _Host, site_radius_A: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which atoms have left their sites, of species of which enough have and that go on moving."""
    far = host.moved_A > np.maximum(site_radius_A, VIBRATIONS * host.vibration_A)
    left = np.zeros_like(far)
    for species in set(host.symbols.tolist()):
        atoms = host.symbols == species
        before_A2, after_A2 = host.msd_A2[:, atoms].mean(axis=1)
        if (far & atoms).sum() >= _enough(atoms) and after_A2 > GROWTH * before_A2:
            left |= far & atoms
    return left


def _bonds(host: _Host) -> tuple[_Bonds, NDArray[np.float64]]:
    """Bonds of the start, and half the distance of each atom to its nearest neighbour, Å.

    An atom without a neighbour in reach is taken to have one there. Of two elements the one with
    the higher electronegativity is the anion.
    """
    radii_A = np.array([CovalentRadius.radius.get(symbol, 0.0) for symbol in host.symbols])
    reach_A = max(ALONE_A, 2 * BOND * float(radii_A.max()))
    start_A = np.ascontiguousarray(host.r_A[0, 0])
    first, second, images, distances_A = find_points_in_spheres(
        start_A, start_A, r=reach_A, pbc=np.ones(3, dtype=np.int64), lattice=host.cell_A
    )
    others = (first != second) | (images != 0).any(axis=1)
    nearest_A = np.full(len(start_A), reach_A)
    np.minimum.at(nearest_A, first[others], distances_A[others])

    X = np.array([_electronegativity(symbol) for symbol in host.symbols.tolist()])
    sums_A = radii_A[first] + radii_A[second]
    near = others & (X[first] < X[second]) & (distances_A < BOND * sums_A)
    first, second, sums_A = first[near], second[near], sums_A[near]
    ends_A = host.r_A[[0, -1]]
    vectors_A = ends_A[:, :, second] + images[near] @ host.cell_A - ends_A[:, :, first]
    lengths_A = _length(vectors_A)
    early_A, late_A = lengths_A.mean(axis=1)
    # short where the direction is lost within the stretch
    early, late = (vectors_A / lengths_A[..., None]).mean(axis=1)
    broken = late_A > BROKEN * sums_A
    turned = ~broken & ((early * late).sum(axis=1) < TURNED_COSINE)
    bonded = early_A < BOND * sums_A
    bonds = _Bonds(*(x[bonded] for x in (first, second, early_A, late_A, broken, turned)))
    return bonds, nearest_A / 2


def _electronegativity(symbol: str) -> float:
    """Pauling's; NaN for what forms no bonds here: noble gases and elements without a radius."""
    if symbol not in CovalentRadius.radius or Element(symbol).is_noble_gas:
        return math.nan
    return float(Element(symbol).X)


def _turning(host: _Host, bonds: _Bonds, left: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which atoms move about neighbours that stay and that they stay bound to.

    They have left their sites, or are the end that moves more of a bond that has turned: a unit
    that spins fast has no other trace.
    """
    bound, free, turned = np.zeros((3, len(left)), dtype=bool)
    motion_A = np.hypot(host.moved_A, host.vibration_A)
    for end, other in ((bonds.cation, bonds.anion), (bonds.anion, bonds.cation)):
        bound[end] = True
        free[end[bonds.broken | left[other]]] = True
        turned[end[bonds.turned & (motion_A[end] > motion_A[other])]] = True
    return np.asarray(bound & ~free & (left | turned))


def _departures(
    host: _Host, bonds: _Bonds, site_radius_A: NDArray[np.float64], after: str
) -> list[FrameworkMotion]:
    """Species that leave their sites or turn."""
    left = _left(host, site_radius_A)
    turning = _turning(host, bonds, left)
    found = []
    for species in sorted(set(host.symbols.tolist())):
        atoms = host.symbols == species
        gone, turns = atoms & left & ~turning, atoms & turning
        if gone.sum() >= _enough(atoms):
            before_A2, after_A2 = host.msd_A2[:, atoms].mean(axis=1)
            message = (
                f"{gone.sum()} of {atoms.sum()} {species} have left their sites {after}, by "
                f"{host.moved_A[gone].mean():.2g} Å on average (sites end at "
                f"{site_radius_A[atoms].mean():.2g} Å); the mean squared displacement of {species} "
                f"grows from {before_A2:.2g} Å² between neighbouring tenths of the run to "
                f"{after_A2:.2g} Å² over half of it and more"
            )
            found.append(FrameworkMotion(species=species, kind="diffuses", message=message))
        elif turns.sum() >= _enough(atoms):
            message = (
                f"{turns.sum()} of {atoms.sum()} {species} have moved about the neighbours that "
                f"they stay bound to {after}: rigid units rotate"
            )
            found.append(FrameworkMotion(species=species, kind="turns", message=message))
    return found


def _lost_coordination(host: _Host, bonds: _Bonds, after: str) -> list[FrameworkMotion]:
    """Cations of whose anion shells enough are broken."""
    found = []
    for species in sorted(set(host.symbols[bonds.cation[bonds.broken]].tolist())):
        own = host.symbols[bonds.cation] == species
        broken = own & bonds.broken
        n_shells, n_hurt = (len(np.unique(bonds.cation[some])) for some in (own, broken))
        if n_hurt < MIN_SHARE * n_shells:
            continue
        anions = "/".join(sorted(set(host.symbols[bonds.anion[broken]].tolist())))
        message = (
            f"{broken.sum()} of {own.sum()} bonds of {species} are broken {after}, in the shells "
            f"of {n_hurt} of {n_shells} {species}: {species}–{anions} from "
            f"{bonds.early_A[broken].mean():.2g} to {bonds.late_A[broken].mean():.2g} Å on average"
        )
        found.append(FrameworkMotion(species=species, kind="loses coordination", message=message))
    return found


def _length(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(vectors, axis=-1))
