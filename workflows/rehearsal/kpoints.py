"""Points of the Brillouin zone: they cost VASP its time and this program nothing but lines."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workflows.rehearsal.stopped import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from workflows.rehearsal.incar import Incar
    from workflows.rehearsal.poscar import Poscar

_KSPACING_PER_A = 0.5  # what VASP takes without KPOINTS and KSPACING


@dataclass(frozen=True)
class Kpoints:
    """A mesh, reduced by symmetry, or a list.

    Args:
        style: "Gamma", "Monkhorst-Pack" or "Reciprocal" for a list.
        divisions: of the mesh; None for a list.
        shift: of the mesh, by the user.
        points: in reciprocal lattice vectors, shape (n, 3).
        weights: they sum to one.
    """

    style: str
    divisions: tuple[int, int, int] | None
    shift: tuple[float, float, float]
    points: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def is_gamma_alone(self) -> bool:
        """Whether the version for the Γ point can run it."""
        return len(self.points) == 1 and not self.points.any()


def read_kpoints(text: str | None, incar: Incar, poscar: Poscar) -> Kpoints:
    """Points of a run.

    Args:
        text: of the file KPOINTS; None if there is none.
        incar: whose KSPACING, KGAMMA and ISYM count.
        poscar: the crystal.

    Raises:
        Stopped: a file that cannot be read, or lines through the zone.
    """
    reciprocal_per_A = np.linalg.norm(np.linalg.inv(poscar.cell_A), axis=0)
    if text is None:
        spacing_per_A = incar.real("KSPACING", _KSPACING_PER_A)
        divisions = _three(
            max(1, math.ceil(2 * math.pi * b / spacing_per_A - 1e-9)) for b in reciprocal_per_A
        )
        return _mesh("G" if incar.flag("KGAMMA", default=True) else "M", divisions, incar, poscar)
    lines = text.splitlines()
    try:
        n_points = int(lines[1].split()[0])
        style = lines[2].strip()[:1].upper()
        if style == "L":
            raise Stopped(
                "KPOINTS: lines through the Brillouin zone ask for bands, which a rehearsal does "
                "not have; allowed: a mesh or a list of points"
            )
        if n_points > 0:
            rows = np.array([line.split()[:4] for line in lines[3 : 3 + n_points]], np.float64)
            points, weights = rows[:, :3], rows[:, 3]
            if style in {"C", "K"}:
                points = points @ poscar.cell_A.T / (2 * math.pi)
            return Kpoints("Reciprocal", None, (0.0, 0.0, 0.0), points, weights / weights.sum())
        words = lines[3].split()
        if style == "A":
            divisions = _three(max(1, int(float(words[0]) * b + 0.5)) for b in reciprocal_per_A)
            return _mesh("G", divisions, incar, poscar)
        if style not in {"G", "M"}:
            raise ValueError(f"{lines[2]!r} names no mesh")
        divisions = _three(int(word) for word in words[:3])
        shift = [float(word) for word in lines[4].split()[:3]] if len(lines) > 4 else []
        return _mesh(style, divisions, incar, poscar, shift)
    except (ValueError, IndexError) as error:
        raise Stopped(f"ERROR: KPOINTS cannot be read: {error}") from error


def _three(numbers: Iterable[int]) -> tuple[int, int, int]:
    first, second, third = numbers
    return first, second, third


def _mesh(
    style: str,
    divisions: tuple[int, int, int],
    incar: Incar,
    poscar: Poscar,
    shift: list[float] | None = None,
) -> Kpoints:
    by_user = np.array(shift or [0.0, 0.0, 0.0])
    n = np.array(divisions)
    halves = (n % 2 == 0) & (style == "M")
    name = "Monkhorst-Pack" if style == "M" else "Gamma"
    shifted = (float(by_user[0]), float(by_user[1]), float(by_user[2]))
    if by_user.any() or divisions == (1, 1, 1) or incar.whole("ISYM", 2) < 0:
        grid = np.array(list(itertools.product(*(range(int(i)) for i in n))), dtype=np.float64)
        points = (grid + 0.5 * halves + by_user) / n
        return Kpoints(name, divisions, shifted, points, np.full(len(points), 1 / len(points)))
    import spglib
    from ase.data import atomic_numbers

    cell = (poscar.cell_A, poscar.fractional, [atomic_numbers[s] for s in poscar.species])
    reduced = spglib.get_ir_reciprocal_mesh(
        n, cell, is_shift=halves.astype(int), symprec=incar.real("SYMPREC", 1e-5)
    )
    if reduced is None:
        raise Stopped("ERROR: the symmetry of POSCAR cannot be found; ISYM = -1 does without")
    mapping, addresses = reduced
    first, counts = np.unique(mapping, return_counts=True)
    points = (addresses[first] + 0.5 * halves) / n
    return Kpoints(name, divisions, shifted, points, counts / counts.sum())
