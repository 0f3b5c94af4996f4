"""Which format a file has, told by its first bytes, whatever its name.

Read are XDATCAR, vasprun.xml, OUTCAR and extended XYZ, each also compressed with gzip, .traj files
of ASE, and the npz archives in `arrays/` of a results folder.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from screening.errors import InvalidInput
from workflows.trajectory_files.ase_traj import read_ase_traj
from workflows.trajectory_files.contents import Contents
from workflows.trajectory_files.extxyz import read_extxyz
from workflows.trajectory_files.outcar import read_outcar
from workflows.trajectory_files.stored import read_stored
from workflows.trajectory_files.vasprun import read_vasprun
from workflows.trajectory_files.xdatcar import read_xdatcar

READABLE = (
    "XDATCAR, vasprun.xml, OUTCAR or extended XYZ (these also with .gz), .traj of ASE, or .npz of "
    "a results folder"
)
_GZIP, _ULM, _ZIP = b"\x1f\x8b", b"- of Ulm", b"PK"
_HEAD_BYTES = 1 << 14


@dataclass(frozen=True)
class TrajectoryFile:
    """An open file.

    Args:
        contents: what it says and holds.
        position: given the frames taken from it, the bytes read so far.
    """

    contents: Contents
    position: Callable[[int], int]


def open_file(path: Path, stack: ExitStack) -> TrajectoryFile:
    """Open a file by what is in it.

    Args:
        path: of the file.
        stack: closes it.

    Raises:
        CutShort: it ends within its first frame.
        InvalidInput: no file, an empty one, or one of no format that is read.
    """
    if not path.is_file():
        raise InvalidInput(
            f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; needed: {READABLE}"
        )
    size = path.stat().st_size
    if not size:
        raise InvalidInput(f"{path}: is empty; needed: {READABLE}")
    raw = stack.enter_context(path.open("rb"))
    magic = raw.read(len(_ULM))
    raw.seek(0)
    if magic.startswith((_ULM, _ZIP)):
        whole = read_ase_traj(path, stack) if magic.startswith(_ULM) else read_stored(path)
        return TrajectoryFile(whole, lambda n: size * n // (whole.n_frames or 1))
    stream: BufferedIOBase = raw
    if magic.startswith(_GZIP):
        stream = stack.enter_context(gzip.GzipFile(fileobj=raw))
    contents = _text_reader(path, stream)(stream, str(path))
    return TrajectoryFile(contents, lambda _: raw.tell())


def _text_reader(path: Path, stream: BufferedIOBase) -> Callable[[BufferedIOBase, str], Contents]:
    try:
        head = stream.read1(_HEAD_BYTES)  # read would fail on a short archive that is cut off
        stream.seek(0)
    except (EOFError, OSError, zlib.error) as error:
        raise InvalidInput(f"{path}: a damaged archive: {error}; needed: {READABLE}") from error
    start = head.lstrip()[:64]
    if start.startswith((b"<?xml", b"<modeling")):
        return read_vasprun
    if b"direct configuration" in head.lower():
        return read_xdatcar
    if start.startswith(b"vasp."):
        return read_outcar
    first = head.split(b"\n", 1)[0].strip()
    if first.isdigit():
        return read_extxyz
    raise InvalidInput(f"{path}: no trajectory of a known format; needed: {READABLE}")
