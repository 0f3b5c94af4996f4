"""What runs of VASP have left of one molecular-dynamics run: its pieces, and where it goes on.

A piece is what one run of VASP did. It is known by a file of its own, written last and atomically:
the frames, the state that the next piece starts from, and the record of the run.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from screening.documents import VaspCalculation
from screening.transport.trajectory import SERIES
from workflows.execution.folders import OWN_ATTEMPTS
from workflows.vasp.files import write_atomically


@dataclass(frozen=True, eq=False)
class Piece:
    """What one run of VASP did.

    Step 0 of a run is where its first piece starts; frame i of a piece, counted from 0, holds the
    positions after `first_step + i` steps.

    Args:
        first_step: steps of the whole run before it.
        n_steps: its own.
        steps: shape (n_frames,), of the frames that are kept.
        fractional: shape (n_frames, n_atoms, 3), unwrapped within the piece.
        first: shape (n_atoms, 3), of its first step.
        last: shape (n_atoms, 3), of its last step, unwrapped within the piece.
        series: by name, shape (n_frames,), as in `Trajectory`.
        hottest_K: highest kinetic temperature of all its steps.
        n_unconverged: steps whose electrons did not converge.
        contcar: positions, velocities and thermostat that follow on its last step.
        record: of the run of VASP.
    """

    first_step: int
    n_steps: int
    steps: NDArray[np.int64]
    fractional: NDArray[np.float64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    series: dict[str, NDArray[np.float64]]
    hottest_K: float
    n_unconverged: int
    contcar: str
    record: VaspCalculation

    def write(self, folder: Path) -> None:
        """Whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            first_step=self.first_step,
            n_steps=self.n_steps,
            steps=self.steps,
            fractional=self.fractional,
            first=self.first,
            last=self.last,
            hottest_K=self.hottest_K,
            n_unconverged=self.n_unconverged,
            contcar=np.array(self.contcar),
            record=np.array(self.record.model_dump_json()),
            **cast("dict[str, Any]", self.series),
        )
        path = folder / f"piece-{self.first_step:09d}.npz"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(
                first_step=int(stored["first_step"]),
                n_steps=int(stored["n_steps"]),
                steps=stored["steps"],
                fractional=stored["fractional"],
                first=stored["first"],
                last=stored["last"],
                series={name: stored[name] for name in SERIES if name in stored},
                hottest_K=float(stored["hottest_K"]),
                n_unconverged=int(stored["n_unconverged"]),
                contcar=str(stored["contcar"]),
                record=VaspCalculation(**json.loads(str(stored["record"]))),
            )


def read_pieces(folder: Path) -> list[Piece]:
    """All pieces of a run, in order."""
    return [Piece.read(path) for path in sorted(folder.glob("piece-*.npz"))]


def joined(pieces: list[Piece]) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Frames and series of all pieces, unwrapped across them.

    From the last step of a piece to the first of the next an atom takes one step, by its minimum
    image. The conserved energy goes on where it was: a thermostat that starts anew begins from
    another zero.

    Returns:
        fractional positions, shape (n_frames, n_atoms, 3), and what was recorded beside them in
        every piece.
    """
    frames: list[NDArray[np.float64]] = []
    image: NDArray[np.float64] | float = 0.0
    end: NDArray[np.float64] | None = None
    for piece in pieces:
        if end is not None:
            image = np.rint(end - piece.first)
        frames.append(piece.fractional + image)
        end = piece.last + image
    recorded = [piece.series for piece in pieces if len(piece.steps)]
    series = {
        name: [part[name] for part in recorded]
        for name in SERIES
        if recorded and all(name in part for part in recorded)
    }
    conserved = series.get("conserved_energies_eV", [])
    for n in range(1, len(conserved)):
        conserved[n] = conserved[n] + (conserved[n - 1][-1] - conserved[n][0])
    return np.concatenate(frames), {name: np.concatenate(parts) for name, parts in series.items()}


def attempts(folder: Path, name: str) -> int:
    """How often a piece was begun and not finished."""
    noted = _noted(folder)
    return int(noted.get("n", 0)) if noted.get("piece") == name else 0


def note_attempt(folder: Path, name: str) -> None:
    """Count an attempt before it is made: whatever kills it, it counts."""
    content = json.dumps({"piece": name, "n": attempts(folder, name) + 1})
    write_atomically(folder / OWN_ATTEMPTS, content)


def forget_attempts(folder: Path) -> None:
    """Count anew."""
    (folder / OWN_ATTEMPTS).unlink(missing_ok=True)


def _noted(folder: Path) -> dict[str, Any]:
    try:
        noted: dict[str, Any] = json.loads((folder / OWN_ATTEMPTS).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return noted
