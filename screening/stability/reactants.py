"""What meets at an interface: candidates, electrodes, metals and other phases of a snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from pymatgen.core.composition import Composition

from screening.documents import EnergyConvention
from screening.errors import MissingReference
from screening.prototypes.electrodes import electrode_names, load_electrode
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
        name: of an electrode or a phase; an element or a formula that is no name stands for its
            phase of lowest energy.
        references: hold the phase, electrodes under their own names.
        mobile_ion: the electrode's potential counts if it is against this metal.

    Raises:
        MissingReference: the snapshot has no such phase.
    """
    found = phases_called(name, references)
    if not found:
        raise MissingReference(
            f"{name}: no such phase among the {len(references.phases)} of the snapshot, so its "
            "energy is unknown; add its structure to the snapshot"
        )
    phase = min(found, key=lambda p: p.energy_eV_per_atom)
    return Reactant(
        name=name,
        composition=phase.composition,
        energy_eV_per_atom=phase.energy_eV_per_atom,
        convention=references.convention,
        potential_V=_potential_V(name, mobile_ion),
    )


def phases_called(name: str, references: ReferencePhases) -> tuple[ReferencePhase, ...]:
    """Phases of an element, else the phase of a name, else those of a formula; none or several."""
    for same in (
        lambda phase: phase.elements == {name},
        lambda phase: phase.name == name,
        lambda phase: phase.formula == _reduced(name),
    ):
        if found := tuple(filter(same, references.phases)):
            return found
    return ()


def _reduced(name: str) -> str | None:
    try:
        return str(Composition(name).reduced_formula)
    except ValueError:  # a name that is no formula
        return None


def _potential_V(name: str, mobile_ion: str) -> float | None:
    if name == mobile_ion:
        return 0.0
    return load_electrode(name).potential_V if name in electrode_names(mobile_ion) else None
