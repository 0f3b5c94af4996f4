"""Reference phases of an engine: the structures that come with the package, relaxed.

Every relaxation that ends is noted in a journal beside the file to be written, so that a build that
was killed goes on where it was, and phases that the file holds already are relaxed again only if
their starting structures have changed. A phase that fails is listed and stops nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from screening.documents import EnergyConvention
from screening.errors import EngineFailure, InvalidInput, MixedConventions
from screening.stability.caveats import compound_caveats, element_caveats
from screening.stability.references import (
    ENERGY_DECIMALS,
    ReferencePhase,
    ReferencePhases,
    RelaxationProtocol,
)
from workflows.engines import engine_convention, unknown_elements
from workflows.reference_relaxations import Compound, Journal, Relaxed, relax_all

if TYPE_CHECKING:
    from workflows.config import EngineSettings

PROTOCOL = RelaxationProtocol(  # an ideal structure keeps its symmetry: nothing is rattled
    maker="atomate2 ForceFieldRelaxMaker (FIRE, Frechet cell)",
    max_force_eV_per_A=0.03,
    max_steps=1000,
)
JOURNAL_SUFFIX = ".journal"


@dataclass(frozen=True)
class Built:
    """A snapshot and how it came about.

    Args:
        references: the snapshot.
        n_relaxed: structures.
        n_reused: phases that were there.
        failures: name of a structure -> why its relaxation gave nothing.
        left_out: name of a phase -> why the engine cannot be asked about it.
    """

    references: ReferencePhases
    n_relaxed: int
    n_reused: int
    failures: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def build(
    compounds: Iterable[Compound],
    settings: EngineSettings,
    out: Path,
    n_workers: int,
    advance: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Built:
    """Relax what `out` does not hold yet and write it.

    Phases of `out` with elements that no compound here has are kept, as are those that somebody
    added by hand, which name no starting structure. The file is written once, at
    the end; until then what was done is in the journal beside it.

    Args:
        compounds: to be in the snapshot.
        settings: of the engine.
        out: the snapshot's file, there or not.
        n_workers: processes that relax at a time.
        advance: called with a name and how many of how many relaxations have ended.

    Raises:
        MixedConventions: `out` is of another engine, or was relaxed differently.
        EngineFailure: nothing at all could be relaxed, or a process died.
    """
    convention = engine_convention(settings)
    compounds = list(compounds)
    left_out = {
        compound.name: f"{convention.potential} was never fitted to {', '.join(unknown)}"
        for compound in compounds
        if (unknown := unknown_elements(settings, sorted(compound.elements)))
    }
    compounds = [compound for compound in compounds if compound.name not in left_out]
    before = _previous(out, convention)
    kept = {p.start_sha256: p for p in before.phases if p.start_sha256} if before else {}
    reused = {c.name: kept[c.sha256] for c in compounds if c.sha256 in kept}
    wanted = [start for c in compounds if c.name not in reused for start in c.starts]
    journal = Journal(out.with_name(out.name + JOURNAL_SUFFIX), f"{convention}{PROTOCOL}")
    done = journal.read()
    waiting = {s.sha256: s for s in wanted if s.sha256 not in done}
    n_done = len(wanted) - len(waiting)
    advance("", n_done, len(wanted))
    for start, relaxed in relax_all(waiting.values(), settings, PROTOCOL, n_workers):
        done[start.sha256] = relaxed
        journal.note(start, relaxed)
        n_done += 1
        advance(start.name, n_done, len(wanted))
    failures = {s.name: done[s.sha256].failure for s in wanted if done[s.sha256].failure}
    phases = [
        _renamed(reused[c.name], c, convention)
        if c.name in reused
        else phase_of(c, done, convention)
        for c in compounds
    ]
    found = [phase for phase in phases if phase is not None]
    if not found:
        raise EngineFailure(
            f"none of {len(compounds)} phases could be relaxed; the first: "
            f"{next(iter((failures | left_out).items()), 'there is none of these elements')}"
        )
    source = f"structures that come with Halideflow, relaxed with {convention.potential}"
    for reason in dict.fromkeys(left_out.values()):
        source += f"; without {sum(its == reason for its in left_out.values())} phases: {reason}"
    references = _snapshot(found, before, compounds, convention, source)
    write_snapshot(out, references)
    journal.forget({start.sha256 for start in wanted})
    return Built(references, len(waiting), len(reused), failures, left_out)


def phase_of(
    compound: Compound, done: Mapping[str, Relaxed], convention: EnergyConvention
) -> ReferencePhase | None:
    """The lowest of a compound's relaxed structures; None where none could be relaxed.

    Args:
        compound: whose phase it is.
        done: hash of a start -> where its relaxation ended.
        convention: of the energies.
    """
    ended = [(done[start.sha256], start) for start in compound.starts]
    usable = [(relaxed, start) for relaxed, start in ended if relaxed.structure is not None]
    if not usable:
        return None
    lowest, start = min(usable, key=lambda pair: pair[0].energy_eV_per_atom)
    assert lowest.structure is not None
    source = start.source
    if len(compound.starts) > 1:
        above = sorted(
            (1000 * (relaxed.energy_eV_per_atom - lowest.energy_eV_per_atom), other.name)
            for relaxed, other in usable
            if other is not start
        )
        others = ", ".join(f"{name} (+{excess:.0f} meV/atom)" for excess, name in above)
        source = f"lowest of {len(usable)} prototypes: {start.name}; {source}; above it: {others}"
    return ReferencePhase(
        name=compound.name,
        formula=lowest.structure.composition.reduced_formula,
        structure=lowest.structure,
        energy_eV_per_atom=round(lowest.energy_eV_per_atom, ENERGY_DECIMALS),
        source=source,
        caveats=compound_caveats(lowest.structure.composition, corrected=convention.is_corrected),
        start_sha256=compound.sha256,
    )


def _renamed(
    phase: ReferencePhase, compound: Compound, convention: EnergyConvention
) -> ReferencePhase:
    """A phase kept from before, with the name and source that its structure has now."""
    source = compound.starts[0].source if len(compound.starts) == 1 else phase.source
    return phase.model_copy(
        update={
            "name": compound.name,
            "source": source,
            "caveats": compound_caveats(phase.composition, corrected=convention.is_corrected),
        }
    )


def _previous(out: Path, convention: EnergyConvention) -> ReferencePhases | None:
    """The snapshot that is there, if it can be added to."""
    if not out.exists():
        return None
    before = ReferencePhases.parse(out.read_bytes(), str(out))
    if before.convention != convention:
        raise MixedConventions(
            f"{out} is of {before.convention.potential} (weights "
            f"{before.convention.weights_sha256}), the engine is {convention.potential} (weights "
            f"{convention.weights_sha256}); write to another file"
        )
    if before.relaxation != PROTOCOL:
        raise MixedConventions(
            f"the phases of {out} were relaxed with {before.relaxation}, here it is {PROTOCOL}; "
            "write to another file"
        )
    return before


def _snapshot(
    phases: Collection[ReferencePhase],
    before: ReferencePhases | None,
    compounds: Iterable[Compound],
    convention: EnergyConvention,
    source: str,
) -> ReferencePhases:
    """The new phases, those of before that have other elements, and those that people added."""
    covered = frozenset[str]().union(*(compound.elements for compound in compounds))
    names = {phase.name for phase in phases}
    kept = [
        p
        for p in (before.phases if before else ())
        if p.name not in names and (p.start_sha256 is None or not p.elements <= covered)
    ]
    everything = (*phases, *kept)
    symbols = frozenset[str]().union(*(phase.elements for phase in everything))
    snapshot = ReferencePhases(
        convention=convention,
        relaxation=PROTOCOL,
        source=source,
        date=datetime.now(UTC).date().isoformat(),
        element_caveats=element_caveats(symbols, corrected=convention.is_corrected),
        phases=everything,
    )
    # parsed from its own text: what is returned is what a reader of the file will see
    snapshot = ReferencePhases.parse(snapshot.dump().encode(), "the snapshot built")
    if before is not None and before.sha256 == snapshot.sha256:
        return snapshot.model_copy(update={"date": before.date})
    return snapshot


def require_folder_of(out: Path) -> None:
    """Before anything is computed for it.

    Raises:
        InvalidInput: there is no folder to write `out` in.
    """
    if not out.absolute().parent.is_dir():
        raise InvalidInput(f"--out {out}: no folder {out.absolute().parent}; make it first")


def write_snapshot(out: Path, references: ReferencePhases) -> None:
    """Write a snapshot's file, whole or not at all."""
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    partial.write_text(references.dump(), encoding="utf-8")
    partial.replace(out)
