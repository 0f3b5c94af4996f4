"""vasprun.xml of VASP's molecular dynamics, finished, killed or still running.

It is read step by step, and each is forgotten once its positions are taken, so that a file cut
short gives all whole steps, and a large one needs little memory. Every step is in it, also where
NBLOCK makes the XDATCAR sparser; only ML_OUTBLOCK, from VASP 6.4.3 on, thins it.

Reference:
    https://www.vasp.at/wiki/index.php/ML_OUTBLOCK (which file holds what how often)
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput, UnusableRun
from screening.units import BOLTZMANN_EV_PER_K
from workflows.trajectory_files.contents import FRAMES_PER_BLOCK, Block, Contents, CutShort

_CHUNK_BYTES = 1 << 20
_MOLECULAR_DYNAMICS = 0  # value of IBRION
_MICROCANONICAL = -3.0  # value of SMASS
_THINNED_FROM = (6, 4, 3)
_SYMBOLS = {"X": "Xe", "r": "Zr"}  # what some versions of VASP write


@dataclass(frozen=True)
class _Step:
    fractional: NDArray[np.float64]
    cell_A: NDArray[np.float64]
    energy_eV: float | None
    kinetic_energy_eV: float | None


def read_vasprun(stream: BufferedIOBase, name: str) -> Contents:
    """A vasprun.xml, from its beginning.

    Raises:
        CutShort: it ends before the first step.
        InvalidInput: no molecular dynamics, or at no constant temperature.
        UnusableRun: coordinates that are no numbers.
    """
    elements = _elements(stream)
    parameters: dict[str, str] = {}
    for element in elements:
        if element.tag in {"generator", "incar", "parameters"}:
            parameters |= _values(element)
        elif element.tag == "atominfo":
            break
    else:
        raise InvalidInput(f"{name}: XML, but no vasprun.xml: no list of atoms in it")
    species = _species(element)
    temperature_K, notes = _ensemble(parameters, name)
    return Contents(
        species,
        _blocks(elements, name, len(species), _stride(parameters, name)),
        notes,
        timestep_fs=_number(parameters, "POTIM", name),
        temperature_K=temperature_K,
    )


def _elements(stream: BufferedIOBase) -> Iterator[Element]:
    """The children of the root, each given away before the next one is looked for."""
    parser: XMLPullParser[Element] = XMLPullParser(events=("start", "end"))
    root: Element | None = None
    depth = 0
    try:
        while chunk := stream.read1(_CHUNK_BYTES):  # read loses what precedes damage
            parser.feed(chunk)
            events = cast("Iterator[tuple[str, Element]]", parser.read_events())
            for event, element in events:
                if root is None:
                    root = element
                depth += 1 if event == "start" else -1
                if event == "end" and depth == 1:
                    yield element
                    root.clear()
    except (EOFError, OSError, zlib.error) as error:
        raise CutShort(f"its archive is damaged: {error}") from error
    except ParseError as error:
        raise CutShort(f"it is no XML from line {error.position[0]} on") from error
    if depth or root is None:
        raise CutShort("it ends within a step")


def _values(element: Element) -> dict[str, str]:
    """Names and values of all single settings below."""
    return {i.get("name", ""): (i.text or "").strip() for i in element.iter("i")}


def _species(atominfo: Element) -> tuple[str, ...]:
    cells = atominfo.findall("array[@name='atoms']/set/rc")
    symbols = [(row.findtext("c") or "").strip() for row in cells]
    return tuple(_SYMBOLS.get(symbol, symbol) for symbol in symbols)


def _ensemble(parameters: dict[str, str], name: str) -> tuple[float | None, tuple[str, ...]]:
    """The temperature, and what is to be said of it."""
    ibrion = parameters.get("IBRION", "")
    if ibrion != str(_MOLECULAR_DYNAMICS):
        raise InvalidInput(
            f"{name}: IBRION = {ibrion or 'not set'}, which is no molecular dynamics; needed: a "
            f"run with IBRION = {_MOLECULAR_DYNAMICS}"
        )
    begin_K, end_K = (_number(parameters, key, name) for key in ("TEBEG", "TEEND"))
    if begin_K is not None and end_K is not None and begin_K != end_K:
        raise InvalidInput(
            f"{name}: heated or cooled from {begin_K:g} to {end_K:g} K (TEBEG, TEEND); needed: one "
            "temperature, so give the run after the ramp"
        )
    is_nose = not _number(parameters, "MDALGO", name)
    if is_nose and _number(parameters, "SMASS", name) == _MICROCANONICAL:
        return begin_K, (f"{name}: no thermostat (SMASS = -3); TEBEG is where the run began",)
    return begin_K, ()


def _stride(parameters: dict[str, str], name: str) -> int:
    version = tuple(int(part) for part in re.findall(r"\d+", parameters.get("version", ""))[:3])
    thinned = _number(parameters, "ML_OUTBLOCK", name) if version >= _THINNED_FROM else None
    return int(thinned or 1)


def _number(parameters: dict[str, str], key: str, name: str) -> float | None:
    text = parameters.get(key)
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: {key} = {text!r} is no number; the file is damaged") from error


def _blocks(elements: Iterator[Element], name: str, n_atoms: int, stride: int) -> Iterator[Block]:
    held: list[_Step] = []
    begins_part = True
    cut: CutShort | None = None
    try:
        for element in elements:
            if element.tag != "calculation":
                continue
            step = _step(element, name, n_atoms)
            changed = bool(held) and not np.array_equal(step.cell_A, held[0].cell_A)
            if changed or len(held) == FRAMES_PER_BLOCK:
                yield _joined(held, n_atoms, stride, begins_part)
                held, begins_part = [], False
            held.append(step)
    except CutShort as error:
        cut = error
    if held:
        yield _joined(held, n_atoms, stride, begins_part)
    if cut:
        raise cut


def _step(calculation: Element, name: str, n_atoms: int) -> _Step:
    structure = calculation.find("structure")
    energies = calculation.find("energy")
    if structure is None:
        raise CutShort("a step holds no structure")
    values = {} if energies is None else _values(energies)
    try:
        return _Step(
            _vectors(structure.findall("varray[@name='positions']/v"), n_atoms),
            _vectors(structure.findall("crystal/varray[@name='basis']/v"), 3),
            float(values["e_fr_energy"]) if "e_fr_energy" in values else None,
            float(values["kinetic"]) if "kinetic" in values else None,
        )
    except ValueError as error:
        raise UnusableRun(
            f"{name}: a step holds what are no numbers ({error}); the run exploded or the file is "
            "damaged; give the steps before it"
        ) from error


def _vectors(rows: list[Element], n_rows: int) -> NDArray[np.float64]:
    words = " ".join(row.text or "" for row in rows).split()
    return np.array(words, dtype=np.float64).reshape(n_rows, 3)


def _joined(steps: list[_Step], n_atoms: int, stride: int, begins_part: bool) -> Block:
    energies_eV = [step.energy_eV for step in steps]
    kinetic_eV = [step.kinetic_energy_eV for step in steps]
    # the centre of mass stands still
    K_per_eV = 2.0 / (3.0 * max(n_atoms - 1, 1) * BOLTZMANN_EV_PER_K)
    return Block(
        np.array([step.fractional for step in steps]),
        steps[0].cell_A,
        None if None in energies_eV else np.array(energies_eV, dtype=np.float64),
        None if None in kinetic_eV else np.array(kinetic_eV, dtype=np.float64) * K_per_eV,
        stride=stride,
        begins_part=begins_part,
    )
