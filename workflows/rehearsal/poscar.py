"""POSCAR and CONTCAR, with every digit that a double has.

pymatgen writes velocities in fixed point, which loses digits; a run that goes on from its CONTCAR
must be the run that never stopped.

CONTCAR of molecular dynamics: positions of the next step, velocities half a step before it, and in
the predictor-corrector block, which VASP keeps for itself, the thermostat. Velocities without that
block, as people write them, belong to the positions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from workflows.rehearsal import NOTICE
from workflows.rehearsal.stopped import Stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_EXACT = " % .16E"
_FIRST_ATOM_LINE_VASP5 = 7


@dataclass(frozen=True)
class ThermostatState:
    """The variable of a Nosé–Hoover thermostat and its rate, per fs."""

    position: float = 0.0
    rate_per_fs: float = 0.0


@dataclass(frozen=True)
class Poscar:
    """A crystal on its way.

    Args:
        comment: first line.
        symbols: of the blocks of atoms; one may come twice.
        counts: atoms of each block.
        cell_A: rows are lattice vectors, shape (3, 3).
        fractional: positions, shape (n, 3).
        movable: selective dynamics, shape (n, 3); None if all are.
        velocities_A_per_fs: shape (n, 3), or None.
        thermostat: of a run that goes on, whose velocities are half a step behind its positions.
    """

    comment: str
    symbols: tuple[str, ...]
    counts: tuple[int, ...]
    cell_A: NDArray[np.float64]
    fractional: NDArray[np.float64]
    movable: NDArray[np.bool_] | None = None
    velocities_A_per_fs: NDArray[np.float64] | None = None
    thermostat: ThermostatState | None = None

    @property
    def species(self) -> list[str]:
        """The symbol of every atom."""
        return [s for s, n in zip(self.symbols, self.counts, strict=True) for _ in range(n)]

    @property
    def formula(self) -> str:
        """What the blocks hold, as Na4Cl4."""
        return "".join(f"{s}{n}" for s, n in zip(self.symbols, self.counts, strict=True))

    @property
    def title(self) -> str:
        """The comment with the notice that this is no DFT, once."""
        if NOTICE in self.comment:
            return self.comment
        return f"{self.comment.strip() or self.formula} | {NOTICE}"

    def moved(self, cell_A: NDArray[np.float64], fractional: NDArray[np.float64]) -> Poscar:
        """The same atoms elsewhere, at rest."""
        return replace(
            self, cell_A=cell_A, fractional=fractional, velocities_A_per_fs=None, thermostat=None
        )

    def text(self, timestep_fs: float = 0.0) -> str:
        """Contents of a CONTCAR.

        Args:
            timestep_fs: of the run, for the predictor-corrector block.
        """
        lines = [self.title, "   1.00000000000000"]
        lines += _lines(self.cell_A)
        lines += ["   " + "   ".join(self.symbols), "   " + "   ".join(map(str, self.counts))]
        if self.movable is None:
            lines += ["Direct", *_lines(self.fractional)]
        else:
            lines += ["Selective dynamics", "Direct"]
            lines += [
                line + "".join("   T" if free else "   F" for free in row)
                for line, row in zip(_lines(self.fractional), self.movable, strict=True)
            ]
        if self.velocities_A_per_fs is not None:
            lines += ["", *_lines(self.velocities_A_per_fs)]
            if (state := self.thermostat) is not None:
                last = self.velocities_A_per_fs * timestep_fs @ np.linalg.inv(self.cell_A)
                lines += [
                    "",
                    "           1",
                    f"  {timestep_fs:.16E}",
                    f" {state.position: .16E} {state.rate_per_fs: .16E} {0: .16E} {0: .16E}",
                    *_lines(self.fractional),
                    *_lines(last),
                    *_lines(np.zeros_like(last)),
                ]
        return "\n".join(lines) + "\n"


def parse_poscar(text: str, default_symbols: Sequence[str]) -> Poscar:
    """Read a POSCAR of VASP 4, 5 or 6.

    Args:
        text: of the file.
        default_symbols: those of the POTCAR, for a file that names none.

    Raises:
        Stopped: it is no POSCAR.
    """
    try:
        return _parse(text.rstrip().splitlines(), default_symbols)
    except (ValueError, IndexError) as error:
        raise Stopped(f"ERROR: POSCAR cannot be read: {error}") from error


def _parse(lines: list[str], default_symbols: Sequence[str]) -> Poscar:
    vectors_A = np.array([line.split()[:3] for line in lines[2:5]], dtype=np.float64)
    scale = _scale(vectors_A, [float(word) for word in lines[1].split()])
    cell_A = vectors_A * scale
    words = lines[5].split()
    n_before = 6
    if words[0].isdigit():
        symbols = tuple(default_symbols)
    else:
        symbols = tuple(word.split("/")[0].split("_")[0] for word in words)
        words = lines[6].split()
        n_before = _FIRST_ATOM_LINE_VASP5
    counts = tuple(int(word) for word in words if word.isdigit())
    if len(counts) != len(symbols):
        raise ValueError(f"{len(symbols)} species, but {len(counts)} numbers of atoms")
    selective = lines[n_before].strip()[:1] in {"S", "s"}
    n_before += selective
    is_cartesian = lines[n_before].strip()[:1] in {"C", "c", "K", "k"}
    first, last = n_before + 1, n_before + 1 + sum(counts)
    rows = [line.split() for line in lines[first:last]]
    positions = np.array([row[:3] for row in rows], dtype=np.float64).reshape(sum(counts), 3)
    if is_cartesian:
        positions = positions * scale @ np.linalg.inv(cell_A)
    movable = None
    if selective:
        flags = np.array(
            [[word.strip(".")[:1].upper() == "T" for word in row[3:6]] for row in rows]
        )
        movable = None if flags.all() else flags
    if abs(np.linalg.det(cell_A)) < 1e-6:
        raise ValueError("lattice vectors that span no volume")
    poscar = Poscar(lines[0], symbols, counts, cell_A, positions, movable)
    return _in_motion(poscar, lines[last:])


def _scale(vectors_A: NDArray[np.float64], numbers: list[float]) -> NDArray[np.float64]:
    """One number for each direction; a negative one is the volume."""
    if len(numbers) == 3:
        return np.array(numbers)
    if numbers[0] < 0:
        return np.full(3, (-numbers[0] / abs(np.linalg.det(vectors_A))) ** (1 / 3))
    return np.full(3, numbers[0])


def _in_motion(poscar: Poscar, lines: list[str]) -> Poscar:
    """With the velocities and the thermostat that follow the positions, if any do."""
    n_atoms = sum(poscar.counts)
    if lines and lines[0].strip()[:1] in {"L", "l"}:
        lines = lines[
            8:
        ]  # lattice velocities: a title, a flag, six vectors; the cell is fixed here
    if len(lines) <= n_atoms:
        return poscar
    style = lines[0].strip()[:1]
    velocities = np.array([line.split()[:3] for line in lines[1 : n_atoms + 1]], dtype=np.float64)
    if style in {"D", "d"}:
        velocities = velocities @ poscar.cell_A
    block = [line for line in lines[n_atoms + 1 :] if line.strip()]
    state = None
    if len(block) >= 3 and block[0].split()[0] == "1":
        position, rate = (float(word) for word in block[2].split()[:2])
        state = ThermostatState(position, rate)
    if state is None and not velocities.any():
        return poscar
    return replace(poscar, velocities_A_per_fs=velocities, thermostat=state)


def _lines(array: NDArray[np.float64]) -> list[str]:
    row = 3 * _EXACT
    return [row % (x, y, z) for x, y, z in array.tolist()]
