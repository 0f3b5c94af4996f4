"""Frames as files hold them, wrapped or not, joined into unwrapped positions as they are read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput, UnusableRun
from screening.transport.trajectory import SERIES, Trajectory
from workflows.trajectory_files.contents import Block, check_cell

CELL_TOLERANCE_A = 1e-3
LARGEST_STEP = 0.45
FARTHEST = 1e6
SAME_FRAME_A = 1e-5
LARGEST_JUMP = 2.0
_GROWTH = 1.25


@dataclass
class _Seam:
    """Where one part of a run goes on after another."""

    name: str
    frame: int
    atom: int
    step_A: float
    step: float


@dataclass
class UnwrappedFrames:
    """Positions of one run, unwrapped frame by frame, in memory linear in their number.

    Between two frames an atom is taken to move by its minimum image: the shortest of the steps that
    end on one of its periodic copies, along each lattice vector. Files that are unwrapped already
    stay as they are. A step of more than `LARGEST_STEP` of the cell is refused, for it cannot be
    told from one the other way.

    A first frame that repeats the last one of the part before is left out. Parts that do not go on
    where the one before ends are refused: where an atom jumps `LARGEST_JUMP` times as far as any
    does between two frames elsewhere. So are files that begin with the same frame: one is a copy.

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
    _starts: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _series: dict[str, list[NDArray[np.float64]] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._positions_A = np.empty((0, len(self.species), 3), dtype=np.float32)
        self._series = {name: [] for name in SERIES}

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
        first = 0
        within = steps[1:] if block.begins_part else steps
        if block.begins_part:
            self._check_start(block.fractional[0], cell_A, name)
            if self._n_frames:
                first = self._check_seam(steps[0], cell_A, name)
        self._check_steps(within, self._n_frames + len(steps) - len(within), name)
        self._note_longest(within @ cell_A)
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
            **series,
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
        bad = ~(np.abs(fractional) < FARTHEST).all(axis=(1, 2))
        if bad.any():
            raise UnusableRun(
                f"{name}: positions are not finite, or {FARTHEST:g} cells away, in frame "
                f"{self._n_frames + int(bad.argmax())}; the run exploded or the file is damaged; "
                "give the frames before it"
            )

    def _check_steps(self, steps: NDArray[np.float64], first: int, name: str) -> None:
        """See that no atom moves too far to tell how, on the way to frame `first` and later."""
        lengths = np.abs(steps).max(axis=2)
        if not (lengths > LARGEST_STEP).any():
            return
        row, atom = (int(i) for i in np.unravel_index(lengths.argmax(), lengths.shape))
        raise UnusableRun(
            f"{name}: atom {atom} ({self.species[atom]}) moves {lengths.max():.2f} of the cell "
            f"from frame {first + row - 1} to {first + row}; whether it went this way or the other "
            f"way round cannot be told beyond {LARGEST_STEP:g}; store frames more often"
        )

    def _check_start(
        self, fractional: NDArray[np.float64], cell_A: NDArray[np.float64], name: str
    ) -> None:
        """See that no file before begins with the frame that this one begins with."""
        if name in self._starts:
            return
        for other, start in self._starts.items():
            steps = fractional - start
            if np.abs((steps - np.rint(steps)) @ cell_A).max() < SAME_FRAME_A:
                raise InvalidInput(
                    f"{name}: begins with the same frame as {other}; needed: each part of the run "
                    "once"
                )
        self._starts[name] = fractional.copy()

    def _check_seam(
        self, steps: NDArray[np.float64], cell_A: NDArray[np.float64], name: str
    ) -> int:
        """Look at the step into a new part; the frames to leave out, 1 where one is repeated."""
        lengths_A = np.linalg.norm(steps @ cell_A, axis=1)
        atom = int(lengths_A.argmax())
        if lengths_A[atom] < SAME_FRAME_A:
            self.notes.append(f"{name}: its first frame repeats the one before and is left out")
            return 1
        step_A, step = float(lengths_A[atom]), float(np.abs(steps).max())
        self._seams.append(_Seam(name, self._n_frames, atom, step_A, step))
        return 0

    def _check_order(self) -> None:
        for seam in self._seams:
            jumps = 0 < LARGEST_JUMP * self._longest_A < seam.step_A
            if jumps or seam.step > LARGEST_STEP:
                raise InvalidInput(
                    f"{seam.name}: does not go on where the part before it ends: atom {seam.atom} "
                    f"({self.species[seam.atom]}) jumps {seam.step_A:.2f} Å to its first frame "
                    f"(frame {seam.frame}), while no atom moves more than {self._longest_A:.2f} Å "
                    "between frames elsewhere; needed: the parts of one run, all of them, in order"
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
