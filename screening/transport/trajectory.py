"""A molecular-dynamics trajectory as arrays."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from monty.json import MSONable
from numpy.typing import NDArray

SERIES = ("potential_energies_eV", "kinetic_temperatures_K", "conserved_energies_eV")


@dataclass(frozen=True, eq=False)
class Trajectory(MSONable):
    """Unwrapped positions at a constant cell, and what was recorded beside them.

    Args:
        positions_A: shape (n_frames, n_atoms, 3), unwrapped Cartesian coordinates, float32.
        cell_A: shape (3, 3), lattice vectors as rows.
        species: n_atoms element symbols.
        timestep_fs: integration time step.
        stride: steps between two frames.
        temperature_K: target temperature of the thermostat.
        potential_energies_eV: shape (n_frames,), of the whole cell; None where not recorded.
        kinetic_temperatures_K: shape (n_frames,); None where not recorded.
        conserved_energies_eV: shape (n_frames,), of the extended system, i.e. with the thermostat's
            energy; constant for an exact integrator at constant temperature; None where not
            recorded.
        notes: what a reader of the results should know of where it came from, e.g. that a file
            was cut short.

    Serialises (`as_dict`, monty's protocol) to one base64 string of a compressed npz archive, so
    that a JSON encoder never walks over millions of floats; the array store writes those bytes to
    a file that `numpy.load` opens.
    """

    positions_A: NDArray[np.float32]
    cell_A: NDArray[np.float64]
    species: tuple[str, ...]
    timestep_fs: float
    stride: int
    temperature_K: float
    potential_energies_eV: NDArray[np.float64] | None = None
    kinetic_temperatures_K: NDArray[np.float64] | None = None
    conserved_energies_eV: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    @property
    def frame_interval_ps(self) -> float:
        """Time between two frames."""
        return self.timestep_fs * self.stride / 1000.0

    @property
    def duration_ps(self) -> float:
        """Time from the first frame to the last."""
        return self.frame_interval_ps * max(len(self.positions_A) - 1, 0)

    def from_frame(self, first: int) -> Self:
        """Without the frames before `first`."""
        return self._part(slice(first, None))

    def until_frame(self, end: int) -> Self:
        """The first `end` frames."""
        return self._part(slice(end))

    def _part(self, frames: slice) -> Self:
        return replace(
            self,
            positions_A=self.positions_A[frames],
            **{name: series[frames] for name, series in self._series().items()},
        )

    def _series(self) -> dict[str, Any]:
        """What was recorded once a frame besides positions."""
        series = {name: getattr(self, name) for name in SERIES}
        return {name: values for name, values in series.items() if values is not None}

    def as_dict(self) -> dict[str, Any]:
        """Monty's protocol: the arrays as base64 of a compressed npz archive."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            positions_A=np.asarray(self.positions_A, dtype=np.float32),
            cell_A=np.asarray(self.cell_A, dtype=np.float64),
            species=np.array(self.species),
            timestep_fs=self.timestep_fs,
            stride=self.stride,
            temperature_K=self.temperature_K,
            notes=np.array(self.notes, dtype=str),
            **self._series(),
        )
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            "npz": base64.b64encode(buffer.getvalue()).decode("ascii"),
        }

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Self:
        """Monty's protocol, the inverse of `as_dict`."""
        with np.load(io.BytesIO(base64.b64decode(d["npz"])), allow_pickle=False) as arrays:
            return cls(
                positions_A=arrays["positions_A"],
                cell_A=arrays["cell_A"],
                species=tuple(str(symbol) for symbol in arrays["species"]),
                timestep_fs=float(arrays["timestep_fs"]),
                stride=int(arrays["stride"]),
                temperature_K=float(arrays["temperature_K"]),
                notes=tuple(str(note) for note in arrays.get("notes", ())),
                **{name: arrays[name] for name in SERIES if name in arrays},
            )
