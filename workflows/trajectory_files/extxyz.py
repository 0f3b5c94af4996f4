"""Extended XYZ: Cartesian coordinates, a `Lattice` in every comment line, no time step.

Comment lines and columns are understood as ASE understands them; the numbers are read in one go a
frame, which is some ten times as fast.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput, UnusableRun
from workflows.trajectory_files.contents import Block, Contents, CutShort, is_cut

_DEFAULT_COLUMNS = "species:S:1:pos:R:3"


@dataclass(frozen=True)
class _Frame:
    species: NDArray[np.str_]
    positions_A: NDArray[np.float64]
    cell_A: NDArray[np.float64]
    energy_eV: float | None


@dataclass(frozen=True)
class _Comment:
    cell_A: NDArray[np.float64]
    columns: dict[str, slice]
    energy_eV: float | None


def read_extxyz(stream: BufferedIOBase, name: str) -> Contents:
    """An extended XYZ file, from its beginning.

    Raises:
        CutShort: it ends within the first frame.
        InvalidInput: no cell, no positions, or other atoms further down.
        UnusableRun: coordinates that are no numbers.
    """
    frames = _frames(stream, name)
    first = next(frames, None)
    if first is None:
        raise CutShort("it is empty")
    return Contents(tuple(str(s) for s in first.species), _blocks(first, frames, name))


def _frames(stream: BufferedIOBase, name: str) -> Iterator[_Frame]:
    n_read = 0
    try:
        while (count := stream.readline()).strip():
            lines = list(islice(stream, _n_atoms(count, n_read, name) + 1))
            if is_cut(lines, int(count) + 1):
                raise CutShort(f"it ends within frame {n_read}")
            yield _frame(lines[0], lines[1:], n_read, name)
            n_read += 1
    except (EOFError, OSError, zlib.error) as error:
        raise CutShort(f"its archive is damaged after frame {n_read - 1}: {error}") from error


def _n_atoms(line: bytes, frame: int, name: str) -> int:
    if not line.strip().isdigit():
        raise InvalidInput(
            f"{name}: {line[:40]!r} where the number of atoms of frame {frame} should stand"
        )
    return int(line)


def _frame(line: bytes, lines: list[bytes], frame: int, name: str) -> _Frame:
    comment = _comment(line, frame, name)
    width = max(column.stop for column in comment.columns.values())
    try:
        words = np.array(b" ".join(lines).split()).reshape(len(lines), width)
        positions_A = words[:, comment.columns["pos"]].astype(np.float64).reshape(-1, 3)
        species = words[:, comment.columns["species"]].astype(np.str_).ravel()
    except ValueError as error:
        raise UnusableRun(
            f"{name}: frame {frame} does not hold {width} columns with numbers for positions "
            f"({error}); the run exploded or the file is damaged; give the frames before it"
        ) from error
    return _Frame(species, positions_A, comment.cell_A, comment.energy_eV)


def _comment(line: bytes, frame: int, name: str) -> _Comment:
    """The line before the atoms, as ASE understands it."""
    from ase.io.extxyz import key_val_str_to_dict, parse_properties

    try:
        info: dict[str, Any] = key_val_str_to_dict(line.decode().strip())
        columns = _columns(parse_properties(info.get("Properties", _DEFAULT_COLUMNS))[0])
        lattice = np.array(info.get("Lattice"), dtype=np.float64)
        energy_eV = float(info["energy"]) if "energy" in info else None
    except Exception as error:  # ASE raises whatever it stumbles over
        raise InvalidInput(
            f"{name}: the comment line of frame {frame} cannot be understood ({error}); needed: "
            "extended XYZ"
        ) from error
    if lattice.shape != (3, 3):
        raise InvalidInput(
            f"{name}: frame {frame} has no cell; needed: an extended XYZ file, with "
            'Lattice="ax ay az bx by bz cx cy cz" in every comment line'
        )
    if not {"species", "pos"} <= columns.keys():
        raise InvalidInput(f"{name}: frame {frame} lacks the columns species:S:1:pos:R:3")
    return _Comment(lattice.T, columns, energy_eV)  # ASE hands on the vectors as columns


def _columns(properties: dict[str, tuple[str, int]]) -> dict[str, slice]:
    """Where each property stands."""
    columns, start = {}, 0
    for name, (_, width) in properties.items():
        columns[name] = slice(start, start + width)
        start += width
    return columns


def _blocks(first: _Frame, frames: Iterator[_Frame], name: str) -> Iterator[Block]:
    yield _block(first, name, begins_part=True)
    for frame in frames:
        if not np.array_equal(frame.species, first.species):
            raise InvalidInput(
                f"{name}: holds other atoms, or in another order, further down; needed: one run"
            )
        yield _block(frame, name)


def _block(frame: _Frame, name: str, begins_part: bool = False) -> Block:
    energies_eV = None if frame.energy_eV is None else np.array([frame.energy_eV])
    return Block.of_cartesian(
        frame.positions_A[None], frame.cell_A, name, energies_eV, begins_part=begins_part
    )
