"""vasprun.xml of VASP, finished, killed or still running.

It is read step by step, and each is forgotten once its positions are taken, so that a file cut
short gives all whole steps, and a large one needs little memory. Every step is in it, also where
NBLOCK makes the XDATCAR sparser; only ML_OUTBLOCK, from VASP 6.4.3 on, thins it.

Reference:
    https://www.vasp.at/wiki/index.php/ML_OUTBLOCK (which file holds what how often)
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput, UnusableRun
from screening.units import BOLTZMANN_EV_PER_K
from workflows.trajectory_files.contents import Contents, CutShort
from workflows.trajectory_files.ionic_steps import IonicStep, as_dynamics, blocks

_CHUNK_BYTES = 1 << 20
_ENERGIES = ("e_fr_energy", "kinetic", "total")
_SYMBOLS = {"X": "Xe", "r": "Zr"}  # what some versions of VASP write


def read_vasprun(stream: BufferedIOBase, name: str) -> Contents:
    """A vasprun.xml of molecular dynamics, from its beginning.

    Raises:
        CutShort: it ends before the first step.
        InvalidInput: no molecular dynamics, or at no constant temperature.
        UnusableRun: coordinates that are no numbers.
    """
    tags, contents = _open(stream, name)
    return as_dynamics(contents, tags, name)


def read_steps(stream: BufferedIOBase, name: str) -> Contents:
    """The ionic steps of a vasprun.xml, of relaxations and single points too.

    Raises:
        CutShort, InvalidInput, UnusableRun: as `read_vasprun` does, of whatever run.
    """
    return _open(stream, name)[1]


def _open(stream: BufferedIOBase, name: str) -> tuple[dict[str, str], Contents]:
    """The tags of the run, and its steps."""
    elements = _elements(stream)
    tags: dict[str, str] = {}
    for element in elements:
        if element.tag in {"generator", "incar", "parameters"}:
            tags |= _values(element)
        elif element.tag == "atominfo":
            break
    else:
        raise InvalidInput(f"{name}: XML, but no vasprun.xml: no list of atoms in it")
    species = _species(element)
    steps = (
        _step(element, name, len(species)) for element in elements if element.tag == "calculation"
    )
    return tags, Contents(species, blocks(steps, tags, name))


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


def _step(calculation: Element, name: str, n_atoms: int) -> IonicStep:
    structure = calculation.find("structure")
    energies = calculation.find("energy")
    forces = calculation.findall("varray[@name='forces']/v")
    if structure is None:
        raise CutShort("a step holds no structure")
    texts = {} if energies is None else _values(energies)
    # the centre of mass stands still
    K_per_eV = 2.0 / (3.0 * max(n_atoms - 1, 1) * BOLTZMANN_EV_PER_K)
    try:
        values = {key: float(texts[key]) for key in _ENERGIES if key in texts}
        kinetic_eV = values.get("kinetic")
        return IonicStep(
            fractional=_vectors(structure.findall("varray[@name='positions']/v"), n_atoms),
            cell_A=_vectors(structure.findall("crystal/varray[@name='basis']/v"), 3),
            forces_eV_per_A=_vectors(forces, n_atoms) if forces else None,
            energy_eV=values.get("e_fr_energy"),
            kinetic_temperature_K=None if kinetic_eV is None else kinetic_eV * K_per_eV,
            total_eV=values.get("total"),
        )
    except ValueError as error:
        raise UnusableRun(
            f"{name}: a step holds what are no numbers ({error}); the run exploded or the file is "
            "damaged; give the steps before it"
        ) from error


def _vectors(rows: list[Element], n_rows: int) -> NDArray[np.float64]:
    words = " ".join(row.text or "" for row in rows).split()
    return np.array(words, dtype=np.float64).reshape(n_rows, 3)
