"""XDATCAR of VASP 5 and 6: wrapped fractional coordinates, neither time step nor temperature.

VASP writes a configuration every NBLOCK steps and numbers it by its step, so that the numbers tell
the stride. Programs that thin or join such files often number them anew, one by one.

Several in one file, appended to each other, are read as the parts of one run. pymatgen's
`Trajectory.write_Xdatcar` ends each line with the atom's symbol.

Reference:
    https://www.vasp.at/wiki/index.php/XDATCAR, https://www.vasp.at/wiki/index.php/NBLOCK
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput, UnusableRun
from workflows.trajectory_files.contents import FRAMES_PER_BLOCK, Block, Contents, CutShort, is_cut

_TITLE = re.compile(rb"\s*Direct configuration\s*=\s*(\S*)", re.IGNORECASE)
_HEADER_LINES = 7
_COUNTED = (
    "the stride is that of the numbers of its configurations; where another program thinned and "
    "renumbered them, --stride tells the true one"
)


@dataclass(frozen=True)
class _Header:
    cell_A: NDArray[np.float64]
    species: tuple[str, ...]


@dataclass(frozen=True)
class _Frame:
    header: _Header
    fractional: NDArray[np.float64]
    number: int | None


def read_xdatcar(stream: BufferedIOBase, name: str) -> Contents:
    """An XDATCAR, from its beginning.

    Raises:
        CutShort: the file ends within its header.
        InvalidInput: no header of VASP 5 or 6, configurations that are missing, or other atoms
            further down.
        UnusableRun: coordinates that are no numbers.
    """
    header = _read_header(stream, stream.readline(), name)
    return Contents(
        header.species,
        _blocks(_frames(stream, header, name), name),
        stride_note=f"{name}: {_COUNTED}",
    )


def _read_header(stream: BufferedIOBase, title: bytes, name: str) -> _Header:
    """Title, scale, three vectors, symbols and their numbers."""
    lines = [title, *islice(stream, _HEADER_LINES - 1)]
    if len(lines) < _HEADER_LINES:
        raise CutShort("it ends within a header")
    try:
        scale = float(lines[1])
        cell_A = np.array([line.split()[:3] for line in lines[2:5]], dtype=np.float64)
        if scale < 0:  # the volume
            scale = float((-scale / abs(np.linalg.det(cell_A))) ** (1 / 3))
        symbols = [_symbol(word) for word in lines[5].decode().split()]
        counts = [int(word) for word in lines[6].split()]
        species = [symbol for symbol, n in zip(symbols, counts, strict=True) for _ in range(n)]
    except ValueError as error:
        raise InvalidInput(
            f"{name}: no header as VASP 5 and 6 write it (title, scale, three vectors, element "
            f"symbols, their numbers): {error}"
        ) from error
    if not species:
        raise InvalidInput(f"{name}: a header without atoms; needed: symbols and their numbers")
    return _Header(cell_A * scale, tuple(species))


def _frames(stream: BufferedIOBase, header: _Header, name: str) -> Iterator[_Frame]:
    n_read = 0
    try:
        while title := stream.readline():
            if not title.strip():
                continue
            if (match := _TITLE.match(title)) is None:
                header = _next_header(stream, title, header, name)
                continue
            lines = list(islice(stream, len(header.species)))
            if is_cut(lines, len(header.species)):
                raise CutShort(f"it ends within frame {n_read}")
            number = (
                int(match[1]) if match[1].isdigit() else None
            )  # stars where Fortran has no room
            yield _Frame(header, _numbers(lines, n_read, name), number)
            n_read += 1
    except (EOFError, OSError, zlib.error) as error:
        raise CutShort(f"its archive is damaged after frame {n_read - 1}: {error}") from error


def _next_header(stream: BufferedIOBase, title: bytes, before: _Header, name: str) -> _Header:
    """A header repeated or appended; the one before where it says the same."""
    header = _read_header(stream, title, name)
    if header.species != before.species:
        raise InvalidInput(f"{name}: holds other atoms further down; needed: one run")
    return before if np.array_equal(header.cell_A, before.cell_A) else header


def _numbers(lines: list[bytes], frame: int, name: str) -> NDArray[np.float64]:
    """Three coordinates a line, and the atom's symbol after them where pymatgen wrote it."""
    words = b"".join(lines).split()
    if len(words) == 4 * len(lines):
        words = [word for i, word in enumerate(words) if i % 4 != 3]
    try:
        return np.array(words, dtype=np.float64).reshape(len(lines), 3)
    except ValueError as error:
        raise UnusableRun(
            f"{name}: frame {frame} does not hold three coordinates for each of {len(lines)} atoms "
            f"({error}); the run exploded or the file is damaged; give the frames before it"
        ) from error


def _blocks(frames: Iterator[_Frame], name: str) -> Iterator[Block]:
    """Frames of one header and one part, joined."""
    numbering = _Numbering(name)
    held: list[_Frame] = []
    begins_part = True
    cut: CutShort | None = None
    try:
        for frame in frames:
            restarts = numbering.follow(frame.number)
            full = len(held) == FRAMES_PER_BLOCK
            if held and (restarts or full or frame.header is not held[0].header):
                yield _joined(held, numbering, begins_part)
                held, begins_part = [], restarts
            held.append(frame)
    except CutShort as error:
        cut = error
    if held:
        yield _joined(held, numbering, begins_part)
    if cut:
        raise cut


def _joined(frames: list[_Frame], numbering: _Numbering, begins_part: bool) -> Block:
    return Block(
        np.array([frame.fractional for frame in frames]),
        frames[0].header.cell_A,
        stride=numbering.stride,
        begins_part=begins_part,
    )


@dataclass
class _Numbering:
    """The numbers of configurations, which must be equally far apart."""

    name: str
    stride: int | None = None
    _last: int | None = None

    def follow(self, number: int | None) -> bool:
        """Take in a number; whether it begins anew, as in a file appended to another one."""
        last, self._last = self._last, number
        if number is None or last is None:
            return False
        if number <= last:
            return True
        if self.stride is None:
            self.stride = number - last
        if number - last != self.stride:
            raise InvalidInput(
                f"{self.name}: configuration {number} follows on {last}, while others are "
                f"{self.stride} apart; needed: frames at equal distances in time"
            )
        return False


def _symbol(word: str) -> str:
    """`Ta` of `Ta`, `Ta_pv` or, as VASP 6 may write, `Ta/5f3a`."""
    return re.split(r"[_/]", word)[0]
