"""OUTCAR of VASP, finished, killed or still running.

It is read line by line, and each step is forgotten once its numbers are taken, so that a file cut
short gives all whole steps, and a large one needs little memory. A step is whole where its energy
stands, in molecular dynamics that of atoms and thermostat. Its temperature is VASP's own, that of
all degrees of freedom that VASP counts.

Positions have five digits behind the point, in Å; those in vasprun.xml have more.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput, UnusableRun
from screening.formulas import check_element
from workflows.trajectory_files.contents import Contents, CutShort, check_cell
from workflows.trajectory_files.ionic_steps import (
    MOLECULAR_DYNAMICS,
    IonicStep,
    as_dynamics,
    blocks,
)

_VERSION = re.compile(rb"vasp\.(\d+(?:\.\d+)*)")
# What Fortran has no room for are stars: then the list of what INCAR holds may tell it.
_TAGS = re.compile(
    rb"\b(IBRION|POTIM|TEBEG|TEEND|SMASS|MDALGO|ANDERSEN_PROB|ML_OUTBLOCK)\s*=\s*([-+.\dEe]*\d\.?)"
)
_COMMENT = re.compile(rb"[#!].*")
_TITEL = re.compile(rb"TITEL\s*=\s*\S+\s+([A-Z][a-z]?)(?![a-z])")
_COUNTS = re.compile(rb"ions per type =((?:\s+\d+)+)")
_N_IONS = re.compile(rb"NIONS =\s*(\d+)")
_STEPS_BEGIN = re.compile(rb"-{5} *(?:Iteration|Ionic step) ")
_CELL, _TABLE = b"direct lattice vectors", b"TOTAL-FORCE (eV/Angst)"
# A sign may touch the number before it.
_DECIMAL = re.compile(rb"-?(?:\d+|(?<!\d))\.\d+|\*+|NaN|Infinity", re.IGNORECASE)
_ENERGY = re.compile(rb"free  energy(?:   | ML )TOTEN  =\s*(\S+)\s*eV")
_TEMPERATURE = re.compile(rb"\(temperature\s*(\S+)\s*K\)")
_TOTAL = re.compile(rb"total energy   ETOTAL =\s*(\S+)\s*eV")
_DONE = b"accounting informations for this job"


@dataclass
class _Header:
    """What stands before the first step."""

    tags: dict[str, str] = field(default_factory=dict)
    symbols: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    n_ions: int | None = None
    cell_A: NDArray[np.float64] | None = None

    def species(self, name: str) -> tuple[str, ...]:
        """Symbols of all atoms, in order.

        Raises:
            InvalidInput: potentials and numbers of atoms that do not fit together, or potentials of
                what is no element.
        """
        if not self.counts or len(self.symbols) != len(self.counts):
            raise InvalidInput(
                f"{name}: potentials of {', '.join(self.symbols) or 'nothing'} (TITEL), and numbers"
                f" of atoms {self.counts} (ions per type); needed: one number for each"
            )
        if self.n_ions not in {None, sum(self.counts)}:
            raise InvalidInput(
                f"{name}: NIONS = {self.n_ions}, but ions per type {self.counts}; the file is "
                "damaged"
            )
        try:
            for symbol in self.symbols:
                check_element(symbol)
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error}") from error
        pairs = zip(self.symbols, self.counts, strict=True)
        return tuple(symbol for symbol, n in pairs for _ in range(n))


def read_outcar(stream: BufferedIOBase, name: str) -> Contents:
    """An OUTCAR of molecular dynamics, from its beginning.

    Raises:
        CutShort: it ends within the first step.
        InvalidInput: no molecular dynamics, at no constant temperature, or not all positions.
        UnusableRun: coordinates that are no numbers.
    """
    tags, contents = _open(stream, name)
    return as_dynamics(contents, tags, name)


def read_steps(stream: BufferedIOBase, name: str) -> Contents:
    """The ionic steps of an OUTCAR, of relaxations and single points too.

    Raises:
        CutShort, InvalidInput, UnusableRun: as `read_outcar` does, of whatever run.
    """
    return _open(stream, name)[1]


def _open(stream: BufferedIOBase, name: str) -> tuple[dict[str, str], Contents]:
    """The tags of the run, of which some stand within its first step, and its steps."""
    lines = _lines(stream)
    header = _header(lines)
    species = header.species(name)
    steps = _steps(lines, header, len(species), name)
    first = next(steps, None)
    if first is None:
        raise CutShort("there is no step in it")
    return header.tags, Contents(species, blocks(chain([first], steps), header.tags, name))


def _lines(stream: BufferedIOBase) -> Iterator[bytes]:
    try:
        while line := stream.readline():
            yield line
    except (EOFError, OSError, zlib.error) as error:
        raise CutShort(f"its archive is damaged: {error}") from error


def _header(lines: Iterator[bytes]) -> _Header:
    header = _Header()
    for line in lines:
        if _STEPS_BEGIN.search(line):
            return header
        if match := _VERSION.match(line.lstrip()):
            header.tags["version"] = match[1].decode()
        elif match := _TITEL.search(line):
            header.symbols.append(match[1].decode())
        elif match := _COUNTS.search(line):
            header.counts = [int(word) for word in match[1].split()]
        elif match := _N_IONS.search(line):
            header.n_ions = int(match[1])
        elif _CELL in line:
            header.cell_A = _cell(lines)
        else:
            header.tags |= _tags(line)
    raise CutShort("it ends before the first step")


def _tags(line: bytes) -> dict[str, str]:
    found = _TAGS.findall(_COMMENT.sub(b"", line)) if b"=" in line else []
    return {key.decode(): value.decode() for key, value in found}


def _steps(lines: Iterator[bytes], header: _Header, n_atoms: int, name: str) -> Iterator[IonicStep]:
    moves = header.tags.get("IBRION") == MOLECULAR_DYNAMICS
    n_read = 0
    step = _Step(header.cell_A)
    for line in lines:
        if _DONE in line:
            return
        if _CELL in line:
            step.cell_A = _cell(lines, step.cell_A)
        elif _TABLE in line:
            step.table = list(islice(lines, n_atoms + 1))[1:]
            if len(step.table) < n_atoms or not step.table[-1].endswith(b"\n"):
                break
        elif match := _ENERGY.search(line):
            step.energy = match[1]
        elif match := _TEMPERATURE.search(line):
            step.temperature = match[1]
        elif match := _TOTAL.search(line):
            step.total = match[1]
        elif not n_read:
            header.tags |= _tags(line)
        if (step.total if moves else step.energy) is not None:
            yield step.finished(name, n_read, n_atoms)
            n_read += 1
            step = _Step(step.cell_A)
    raise CutShort("it ends before VASP was done")


@dataclass
class _Step:
    """A step on its way, as it stands in the file."""

    cell_A: NDArray[np.float64] | None
    table: list[bytes] = field(default_factory=list)
    energy: bytes | None = None
    temperature: bytes | None = None
    total: bytes | None = None

    def finished(self, name: str, step: int, n_atoms: int) -> IonicStep:
        """The step as numbers.

        Raises:
            InvalidInput: no positions, or no cell.
            UnusableRun: what are no numbers.
        """
        if not self.table or self.cell_A is None:
            raise InvalidInput(
                f"{name}: step {step} holds no positions or no cell; needed: an OUTCAR that holds "
                "them at every step (not NWRITE = 0), or vasprun.xml of the same run"
            )
        try:
            words = _DECIMAL.findall(b"".join(self.table))
            numbers = np.array(words, dtype=np.float64).reshape(n_atoms, 6)
            energy_eV, temperature_K, total_eV = (
                None if word is None else float(word)
                for word in (self.energy, self.temperature, self.total)
            )
        except ValueError as error:
            raise UnusableRun(
                f"{name}: step {step} holds what are no numbers ({error}); the run exploded or the "
                "file is damaged; give the steps before it"
            ) from error
        check_cell(self.cell_A, name)
        return IonicStep(
            fractional=numbers[:, :3] @ np.linalg.inv(self.cell_A),
            cell_A=self.cell_A,
            forces_eV_per_A=numbers[:, 3:],
            energy_eV=energy_eV,
            kinetic_temperature_K=temperature_K,
            total_eV=total_eV,
        )


def _cell(
    lines: Iterator[bytes], before: NDArray[np.float64] | None = None
) -> NDArray[np.float64] | None:
    """The three vectors that follow; the ones before where they are cut off."""
    rows = [_DECIMAL.findall(line)[:3] for line in islice(lines, 3)]
    try:
        return np.array(rows, dtype=np.float64).reshape(3, 3)
    except ValueError:
        return before
