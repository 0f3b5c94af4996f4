"""Frames as files hold them, wrapped or not, joined into unwrapped positions as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput, UnusableRun
from screening.transport.trajectory import Trajectory

CELL_TOLERANCE_A = 1e-3
LARGEST_STEP = 0.45
SAME_FRAME_A = 1e-5
LARGEST_JUMP = 2.0
FRAMES_PER_BLOCK = 64
_GROWTH = 1.25


class CutShort(Exception):
    """A file ends within a frame, which is left out; the message says what was found."""


@dataclass(frozen=True)
class Block:
    """Some frames in succession.

    Args:
        fractional: shape (n_frames, n_atoms, 3), wrapped or not.
        cell_A: shape (3, 3), of all of them.
        potential_energies_eV: shape (n_frames,), of the whole cell; None where the file is silent.
        kinetic_temperatures_K: shape (n_frames,); None where the file is silent.
        stride: steps between two frames; None where the file does not say.
        begins_part: the first frame begins a file, or a run that was appended to another one.
    """

    fractional: NDArray[np.float64]
    cell_A: NDArray[np.float64]
    potential_energies_eV: NDArray[np.float64] | None = None
    kinetic_temperatures_K: NDArray[np.float64] | None = None
    stride: int | None = None
    begins_part: bool = False

    @classmethod
    def of_cartesian(
        cls,
        positions_A: NDArray[np.floating[Any]],
        cell_A: NDArray[np.float64],
        name: str,
        potential_energies_eV: NDArray[np.float64] | None = None,
        kinetic_temperatures_K: NDArray[np.float64] | None = None,
        stride: int | None = None,
        begins_part: bool = False,
    ) -> Block:
        """From Cartesian positions in the file `name`.

        Raises:
            InvalidInput: no cell.
        """
        check_cell(cell_A, name)
        return cls(
            positions_A.astype(np.float64) @ np.linalg.inv(cell_A),
            cell_A,
            potential_energies_eV,
            kinetic_temperatures_K,
            stride,
            begins_part,
        )


def check_cell(cell_A: NDArray[np.float64], name: str) -> None:
    """Let three vectors with a volume pass.

    Raises:
        InvalidInput: anything else.
    """
    if not np.isfinite(cell_A).all() or abs(np.linalg.det(cell_A)) < CELL_TOLERANCE_A**3:
        raise InvalidInput(
            f"{name}: no periodic cell, but the vectors {cell_A.tolist()} Å; needed: three that "
            "span a volume"
        )


@dataclass(frozen=True)
class Contents:
    """What a file says of the whole run, and its frames one block after the other.

    Args:
        species: n_atoms element symbols.
        blocks: read as they are asked for. It may raise `CutShort` where the file ends too early.
        notes: what a reader of the results should know of the file.
        timestep_fs: None where the file does not say.
        temperature_K: of the thermostat; None where the file does not say.
        n_frames: None where only reading the file tells.
    """

    species: tuple[str, ...]
    blocks: Iterator[Block]
    notes: tuple[str, ...] = ()
    timestep_fs: float | None = None
    temperature_K: float | None = None
    n_frames: int | None = None


def is_cut(lines: list[bytes], n_lines: int) -> bool:
    """Whether some of the lines of a frame lack, or digits at the end of the last one."""
    if len(lines) < n_lines:
        return True
    return not lines[-1].endswith(b"\n") and len(lines[-1]) < len(lines[-2 % len(lines)].rstrip())


@dataclass
class _Seam:
    """Where one part of a run goes on after another."""

    name: str
    frame: int
    atom: int
    step_A: float


@dataclass
class UnwrappedFrames:
    """Positions of one run, unwrapped frame by frame, in memory linear in their number.

    Between two frames an atom is taken to move by its minimum image: the shortest of the steps that
    end on one of its periodic copies, along each lattice vector. Files that are unwrapped already
    stay as they are. A step of more than `LARGEST_STEP` of the cell is refused, for it cannot be
    told from one the other way.

    A first frame that repeats the last one of the part before is left out. Parts that do not go on
    where the one before ends are refused: where an atom jumps `LARGEST_JUMP` times as far as any
    does between two frames elsewhere.

    Args:
        species: n_atoms element symbols.
    """

    species: tuple[str, ...]
    notes: list[str] = field(default_factory=list)
    _n_frames: int = 0
    _positions_A: NDArray[np.float32] = field(init=False)
    _cell_A: NDArray[np.float64] | None = None
    _last: NDArray[np.float64] | None = None
    _image: NDArray[np.float64] | None = None
    _longest_A: float = 0.0
    _seams: list[_Seam] = field(default_factory=list)
    _series: dict[str, list[NDArray[np.float64]] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._positions_A = np.empty((0, len(self.species), 3), dtype=np.float32)
        self._series = {"potential_energies_eV": [], "kinetic_temperatures_K": []}

    def __len__(self) -> int:
        return self._n_frames

    def extend(self, block: Block, name: str) -> None:
        """Take in the frames that follow.

        Args:
            block: of as many atoms as there are species.
            name: of the file, for messages.

        Raises:
            InvalidInput: another cell than before, or none.
            UnusableRun: positions that are not finite, or steps too long to unwrap.
        """
        cell_A = self._checked_cell(block.cell_A, name)
        self._check_finite(block.fractional, name)
        if self._last is None or self._image is None:
            self._last = block.fractional[0].copy()
            self._image = np.zeros_like(self._last)
        path = np.concatenate((self._last[None], block.fractional))
        steps = np.diff(path, axis=0)
        images = np.rint(steps)
        steps -= images
        self._check_steps(steps, name)
        first = self._check_seam(steps @ cell_A, name) if block.begins_part else 0
        if block.begins_part and self._n_frames:
            self._note_longest(steps[1:] @ cell_A)
        else:
            self._note_longest(steps @ cell_A)
        unwrapped = block.fractional + (self._image - np.cumsum(images, axis=0))
        self._append(unwrapped[first:] @ cell_A)
        self._record(block, first)
        self._last = block.fractional[-1].copy()
        self._image = self._image - images.sum(axis=0)

    def trajectory(self, timestep_fs: float, stride: int, temperature_K: float) -> Trajectory:
        """All frames taken in; nothing can be added afterwards.

        Raises:
            InvalidInput: parts that do not follow each other.
        """
        assert self._cell_A is not None, "no frame taken in"
        self._check_order()
        self._positions_A.resize((self._n_frames, len(self.species), 3), refcheck=False)
        series = {
            name: np.concatenate(parts) if parts else None for name, parts in self._series.items()
        }
        return Trajectory(
            positions_A=self._positions_A,
            cell_A=self._cell_A,
            species=self.species,
            timestep_fs=timestep_fs,
            stride=stride,
            temperature_K=temperature_K,
            notes=tuple(self.notes),
            potential_energies_eV=series["potential_energies_eV"],
            kinetic_temperatures_K=series["kinetic_temperatures_K"],
        )

    def _checked_cell(self, cell_A: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        """The cell of the first frame, which all frames are taken to have."""
        if self._cell_A is None:
            check_cell(cell_A, name)
            self._cell_A = cell_A.copy()
        change_A = float(np.abs(cell_A - self._cell_A).max())
        if not change_A <= CELL_TOLERANCE_A:
            raise InvalidInput(
                f"{name}: the cell changes, by {change_A:.2g} Å from the first frame to frame "
                f"{self._n_frames}; needed: one cell (NVT), so run at a fixed cell, or give the "
                "segments that share one"
            )
        return self._cell_A

    def _check_finite(self, fractional: NDArray[np.float64], name: str) -> None:
        bad = ~np.isfinite(fractional).all(axis=(1, 2))
        if bad.any():
            raise UnusableRun(
                f"{name}: positions are not finite in frame {self._n_frames + int(bad.argmax())}; "
                "the run exploded or the file is damaged; give the frames before it"
            )

    def _check_steps(self, steps: NDArray[np.float64], name: str) -> None:
        lengths = np.abs(steps).max(axis=2)
        if lengths.max() > LARGEST_STEP:
            self._refuse_step(lengths, name)

    def _refuse_step(self, lengths: NDArray[np.float64], name: str) -> NoReturn:
        frame, atom = (int(i) for i in np.unravel_index(lengths.argmax(), lengths.shape))
        frame += self._n_frames
        raise UnusableRun(
            f"{name}: atom {atom} ({self.species[atom]}) moves {lengths.max():.2f} of the cell "
            f"from frame {frame - 1} to {frame}; whether it went this way or the other way round "
            f"cannot be told beyond {LARGEST_STEP:g}; store frames more often, or unwrap them "
            "where the run was made"
        )

    def _check_seam(self, steps_A: NDArray[np.float64], name: str) -> int:
        """Look at the step into a new part; the frames to leave out, 1 where one is repeated."""
        if not self._n_frames:
            return 0
        lengths_A = np.linalg.norm(steps_A[0], axis=1)
        atom = int(lengths_A.argmax())
        if lengths_A[atom] < SAME_FRAME_A:
            self.notes.append(f"{name}: its first frame repeats the one before and is left out")
            return 1
        self._seams.append(_Seam(name, self._n_frames, atom, float(lengths_A[atom])))
        return 0

    def _check_order(self) -> None:
        for seam in self._seams:
            if 0 < LARGEST_JUMP * self._longest_A < seam.step_A:
                raise InvalidInput(
                    f"{seam.name}: does not go on where the part before it ends: atom {seam.atom} "
                    f"({self.species[seam.atom]}) jumps {seam.step_A:.2f} Å to its first frame "
                    f"(frame {seam.frame}), while no atom moves more than {self._longest_A:.2f} Å "
                    "between frames elsewhere; give the segments of one run, all of them, in order"
                )

    def _note_longest(self, steps_A: NDArray[np.float64]) -> None:
        if len(steps_A):
            longest_A2 = float(np.square(steps_A).sum(axis=2).max())
            self._longest_A = max(self._longest_A, longest_A2**0.5)

    def _append(self, positions_A: NDArray[np.float64]) -> None:
        needed = self._n_frames + len(positions_A)
        if needed > len(self._positions_A):
            # realloc: the pages of a large block move without being copied
            room = int(needed * _GROWTH)
            self._positions_A.resize((room, len(self.species), 3), refcheck=False)
        self._positions_A[self._n_frames : needed] = positions_A
        self._n_frames = needed

    def _record(self, block: Block, first: int) -> None:
        """What was recorded besides positions; None once it is missing somewhere."""
        for name, parts in self._series.items():
            values = getattr(block, name)
            if values is None or parts is None:
                self._series[name] = None
            else:
                parts.append(np.asarray(values, dtype=np.float64)[first:])
