"""What meets at an interface: candidates, electrodes, metals and other phases of a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pymatgen.core.composition import Composition

from screening.documents import EnergyConvention
from screening.errors import InvalidInput, MissingReference
from screening.prototypes.electrodes import Electrode, load_electrode
from screening.stability.references import ReferencePhase, ReferencePhases


@dataclass(frozen=True)
class Reactant:
    """One side of an interface.

    Args:
        name: as in the answer.
        composition: of any scale.
        energy_eV_per_atom: its own, not that of the hull: what is metastable decomposes.
        convention: of that energy.
        potential_V: of the electrode at open circuit, against the metal of the candidate's mobile
            ion; None for what is no such electrode.
    """

    name: str
    composition: Composition
    energy_eV_per_atom: float
    convention: EnergyConvention
    potential_V: float | None = None


def snapshot_reactant(name: str, references: ReferencePhases, mobile_ion: str) -> Reactant:
    """An electrode, a metal or any other phase, with its energy in the snapshot.

    Args:
        name: see `phases_called`.
        references: whose energy it is.
        mobile_ion: the electrode's potential counts if it is against this metal.

    Raises:
        MissingReference: the snapshot has no such phase.
    """
    found = phases_called(name, references)
    if not found:
        raise MissingReference(
            f"{name}: none of the {len(references.phases)} phases of the snapshot, so that its "
            "energy is unknown; `halideflow references build` adds it"
        )
    phase = min(found, key=lambda p: p.energy_eV_per_atom)
    electrode = find_electrode(name)
    against_metal = electrode is not None and electrode.mobile_ion == mobile_ion
    return Reactant(
        name=electrode.name if electrode else name,
        composition=phase.composition,
        energy_eV_per_atom=phase.energy_eV_per_atom,
        convention=references.convention,
        potential_V=electrode.potential_V if electrode and against_metal else None,
    )


def phases_called(name: str, references: ReferencePhases) -> tuple[ReferencePhase, ...]:
    """Phases of a snapshot by a name that people give them; several are polymorphs.

    Args:
        name: an element, which stands for all its phases; else an electrode, for the phase with
            its structure; else the name of a phase; else a formula in any spelling.
        references: the snapshot.
    """
    electrode = find_electrode(name)
    names = {name, electrode.phase} if electrode else {name}
    fractions = _fractions(electrode.formula if electrode else name)
    for same in (
        lambda phase: phase.elements == {name},
        lambda phase: phase.name in names,
        lambda phase: _fractions(phase.formula) == fractions,
    ):
        if found := tuple(filter(same, references.phases)):
            return found
    return ()


def find_electrode(name: str) -> Electrode | None:
    """A shipped electrode by its name or formula; None if there is none."""
    try:
        return load_electrode(name)
    except InvalidInput:
        return None


@cache
def _fractions(formula: str) -> frozenset[tuple[str, float]] | None:
    """None for a name that is no formula."""
    try:
        composition = Composition(formula).fractional_composition
    except ValueError:
        return None
    return frozenset((e.symbol, round(share, 6)) for e, share in composition.items())
