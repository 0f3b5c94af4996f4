"""Relaxing reference structures in several processes, with a journal that outlives them."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from screening.errors import EngineFailure
from screening.prototypes.competing import (
    competing_formulas,
    competing_sources,
    competing_structures,
)
from screening.prototypes.phases import (
    formula_amounts,
    is_hypothetical,
    reference_phase_names,
    reference_source,
    reference_structure,
)
from screening.stability.references import (
    RelaxationProtocol,
    plain_structure,
    structure_from_plain,
)
from workflows.execution.process import computing_processes

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from workflows.config import EngineSettings


AS = " as "  # between a formula and the structure type that a model of it has
_SYMPREC_A = 1e-3


@dataclass(frozen=True)
class Start:
    """A structure to be relaxed."""

    name: str
    structure: Structure
    source: str

    @cached_property
    def sha256(self) -> str:
        """Identity of the structure, whatever it is called."""
        return _sha256(plain_structure(self.structure))


@dataclass(frozen=True)
class Compound:
    """A phase of the snapshot to be: one structure, or several models of an unknown one."""

    name: str
    starts: tuple[Start, ...]

    @cached_property
    def sha256(self) -> str:
        """Identity of all structures that it may start from."""
        if len(self.starts) == 1:
            return self.starts[0].sha256
        return _sha256(sorted(start.sha256 for start in self.starts))

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of what it is made of."""
        return frozenset(element.symbol for element in self.starts[0].structure.composition)


class Relaxed(NamedTuple):
    """Where a relaxation ended: a structure and its energy, or the reason why it has none."""

    structure: Structure | None
    energy_eV_per_atom: float
    failure: str = ""


def shipped_compounds(elements: Collection[str] | None = None) -> list[Compound]:
    """The reference phases that come with the package, all models of one formula put together.

    Args:
        elements: only phases made of nothing else; all phases if None.
    """
    known: list[Compound] = []
    models: dict[str, list[Start]] = {}
    for start, is_model in _shipped_starts(elements):
        if is_model:
            formula = start.structure.composition.reduced_formula
            models.setdefault(formula, []).append(start)
        else:
            known.append(Compound(start.name, (start,)))
    taken = {compound.name for compound in known}
    return [*known, *(Compound(_name(starts, taken), tuple(starts)) for starts in models.values())]


def _name(models: Sequence[Start], taken: Collection[str]) -> str:
    """A compound's formula as its first model writes it, if no known structure is called so."""
    formula = models[0].name.partition(AS)[0]
    return models[0].name if formula in taken else formula


def _shipped_starts(elements: Collection[str] | None) -> Iterator[tuple[Start, bool]]:
    """Every structure, and whether it is only a model of a compound."""

    def is_wanted(formula: str) -> bool:
        return elements is None or formula_amounts(formula).keys() <= set(elements)

    for name in filter(is_wanted, reference_phase_names()):
        structure = reference_structure(name).remove_oxidation_states()
        yield Start(name, structure, reference_source(name)), is_hypothetical(name)
    for formula in filter(is_wanted, competing_formulas()):
        sources = competing_sources(formula)
        for kind, structure in competing_structures(formula).items():
            yield Start(f"{formula}{AS}{kind}", structure, sources[kind]), True


def _primitive(structure: Structure) -> Structure:
    """The smallest cell of a crystal; a distortion, however small, is kept."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    primitive = SpacegroupAnalyzer(structure, symprec=_SYMPREC_A).find_primitive()
    return structure if primitive is None else primitive


class Journal:
    """The relaxations that have ended, one line each; a line that was cut off does not count.

    Args:
        path: of the file, which need not be there.
        how: all that decides an energy besides the starting structure.
    """

    def __init__(self, path: Path, how: str) -> None:
        self._path = path
        self._how = _sha256(how)

    def read(self) -> dict[str, Relaxed]:
        """Hash of a start -> where its relaxation ended."""
        found: dict[str, Relaxed] = {}
        if not self._path.exists():
            return found
        for line in self._path.read_text(encoding="utf-8").splitlines():
            entry = _entry(line)
            if entry and entry["how"] == self._how:
                structure = structure_from_plain(entry["structure"])
                found[entry["start"]] = Relaxed(structure, entry["energy"], entry["failure"])
        return found

    def note(self, start: Start, relaxed: Relaxed) -> None:
        """Add a line that is on disk when this returns."""
        entry = {
            "how": self._how,
            "start": start.sha256,
            "name": start.name,
            "energy": relaxed.energy_eV_per_atom,
            "failure": relaxed.failure,
            "structure": relaxed.structure and plain_structure(relaxed.structure),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._cut_off() + json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def forget(self, starts: Collection[str]) -> None:
        """Take out relaxations by the hashes of their starts; an empty journal is removed."""
        if not self._path.exists():
            return
        kept = [
            line + "\n"
            for line in self._path.read_text(encoding="utf-8").splitlines()
            if (entry := _entry(line))
            and (entry["how"] != self._how or entry["start"] not in starts)
        ]
        if not kept:
            self._path.unlink()
            return
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(self._path)

    def _cut_off(self) -> bool:
        """Whether the last line has no end."""
        if not self._path.exists() or not self._path.stat().st_size:
            return False
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"


def _entry(line: str) -> dict[str, Any] | None:
    """A line of a journal; None if it was cut off."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry


def relax_all(
    starts: Collection[Start],
    settings: EngineSettings,
    protocol: RelaxationProtocol,
    n_workers: int,
) -> Iterator[tuple[Start, Relaxed]]:
    """Relax structures in several processes and yield each as it ends, the largest first.

    Raises:
        EngineFailure: a process died, for instance for want of memory.
    """
    if not starts:
        return
    by_size = sorted(starts, key=lambda start: -len(start.structure))
    context = multiprocessing.get_context("spawn")  # torch does not survive a fork
    pool = ProcessPoolExecutor(min(n_workers, len(by_size)), context, _die_with, (os.getpid(),))
    try:
        with computing_processes():  # each submission may start a process
            futures: dict[Future[Relaxed], Start] = {
                pool.submit(relax, start.structure, settings, protocol): start for start in by_size
            }
        for future in as_completed(futures):
            yield futures[future], future.result()
        pool.shutdown()  # its thread, left to itself, may trip over the end of the interpreter
    except BrokenProcessPool as error:
        raise EngineFailure(
            "a process that relaxed reference phases died, perhaps for want of memory; what was "
            "done is kept: run the command again, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()


def relax(structure: Structure, settings: EngineSettings, protocol: RelaxationProtocol) -> Relaxed:
    """Relax the primitive cell; whatever goes wrong is its answer, not the end of all others."""
    from workflows.config import RelaxSettings
    from workflows.engines import load_engine

    relax_settings = RelaxSettings(
        max_force_eV_per_A=protocol.max_force_eV_per_A, max_steps=protocol.max_steps, rattle_A=0.0
    )
    try:
        answer = load_engine(settings).relax(_primitive(structure), relax_settings)
    except Exception as error:
        return Relaxed(None, 0.0, f"{type(error).__name__}: {error}")
    # what a process sends back must not hold the calculator, and the journal keeps no more digits
    structure = structure_from_plain(plain_structure(answer.structure))
    return Relaxed(structure, float(answer.energy_eV_per_atom))


def _die_with(parent: int) -> None:
    """In a worker: leave interruptions to the parent, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True", UserWarning)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
