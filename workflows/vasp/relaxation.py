"""Relaxation and energy of a candidate by VASP: relax, relax again, single point, corrections."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pymatgen.core.structure import Structure

from screening.documents import Relaxation
from screening.errors import MixedConventions
from screening.stability.conventions import is_rehearsal
from workflows.rehearsal import REHEARSAL_VERSION
from workflows.vasp.calculations import Calculated, run_calculation, tidy
from workflows.vasp.energies import corrected
from workflows.vasp.makers import relaxation_makers

if TYPE_CHECKING:
    from pathlib import Path

    from screening.documents import EnergyConvention
    from workflows.vasp.makers import Program
    from workflows.vasp_settings import VaspSettings


def relax(
    structure: Structure,
    settings: VaspSettings,
    program: Program,
    convention: EnergyConvention,
    folder: Path,
) -> Relaxation:
    """Run MPGGADoubleRelaxStaticMaker; what an earlier call finished is not run again.

    Args:
        structure: to be relaxed.
        settings: of the campaign.
        program: what is started.
        convention: of the energies that are expected.
        folder: of the three runs' folders.

    Raises:
        EngineFailure: a run gave no usable result.
        MixedConventions: what ran is not what the convention says.
        MissingCorrection, InvalidInput: the energy cannot be brought onto the hull.
    """
    runs: list[Calculated] = []
    previous = None
    start = structure.get_sorted_structure()
    for name, maker in relaxation_makers(settings, program).items():
        accept = partial(_accept, convention=convention, is_energy=name == "static")
        run = run_calculation(maker, start, folder / name, program, accept, previous)
        runs.append(run)
        start, previous = run.structure, folder / name
    *relaxed, static = runs
    entry = corrected(static.entry)
    for run in runs:
        tidy(folder / run.record.name, program.execution.vasp_files)
    end = static.structure
    return Relaxation(
        structure=Structure(end.lattice, end.species, end.frac_coords),  # without its moments
        energy_eV_per_atom=float(entry.energy_per_atom),
        n_steps=sum(run.record.n_ionic_steps for run in relaxed),
        max_force_eV_per_A=static.max_force_eV_per_A,
        volume_change_percent=100 * (end.volume / structure.volume - 1),
        convention=convention,
        calculations=tuple(run.record for run in runs),
    )


def _accept(run: Calculated, *, convention: EnergyConvention, is_energy: bool) -> None:
    """See that a run is of the program and, if it gives the energy, in the settings that count."""
    require_program(run.record.version, convention)
    if is_energy:
        corrected(run.entry)


def require_program(version: str, convention: EnergyConvention) -> None:
    """Refuse a rehearsal where VASP is meant, and VASP where a rehearsal is.

    Raises:
        MixedConventions: naming both.
    """
    was_rehearsal = version == REHEARSAL_VERSION
    if was_rehearsal != is_rehearsal(convention):
        raise MixedConventions(
            f"what ran says that it is version {version}, which is "
            f"{'a rehearsal' if was_rehearsal else 'VASP'}; the campaign's energies are of "
            f"{convention.code} ({convention.functional}); mend execution.vasp_command or "
            "engine.name"
        )
