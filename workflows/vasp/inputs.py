"""The inputs of VASP that a campaign would write, without running anything."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atomate2.vasp.files import write_vasp_input_set
from pymatgen.core.composition import Composition

from workflows.engines import engine_convention
from workflows.stages.relax import rattled
from workflows.vasp.dynamics import VaspRun
from workflows.vasp.makers import Program, relaxation_makers
from workflows.vasp.potcars import missing_labels, potcar_labels, synthetic_library

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atomate2.vasp.jobs.base import BaseVaspMaker
    from pymatgen.core.structure import Structure

    from screening.survey import Survey
    from workflows.config import CampaignConfig

ABOUT = """\
Inputs of VASP as the campaign would write them. relax-1 is exactly what would run. What follows
starts from what came before it, which is not known yet: relax-2, static and dynamics stand here
with the structure before its relaxation, equilibration and production with the velocities of
heating; their cells, meshes and POSCAR will be those of the relaxed structure.
"""


@dataclass(frozen=True)
class Potcars:
    """What a campaign needs of the user's library.

    Args:
        labels: by element.
        missing: those of them that are not there.
    """

    labels: dict[str, str]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, config: CampaignConfig, symbols: Iterable[str]) -> Potcars:
        """Of elements that VASP knows; a rehearsal makes its own and misses none."""
        labels = potcar_labels(sorted(symbols), config.engine.vasp.potcar)
        is_rehearsal = config.engine.name == "rehearsal"
        missing = [] if is_rehearsal else missing_labels(labels.values())
        return cls(labels, tuple(missing))


def symbols_of(survey: Survey) -> list[str]:
    """Elements of all candidates that there are to make."""
    formulas = {entry.counted.formula for entry in survey.cells}
    return sorted({symbol for f in formulas for symbol in Composition(f).get_el_amt_dict()})


def write_inputs(structure: Structure, config: CampaignConfig, folder: Path) -> None:
    """Write a folder for each run of VASP of a candidate.

    Without a library of POTCARs their labels are written, as POTCAR.spec.

    Args:
        structure: of the candidate.
        config: of the campaign.
        folder: of the candidate; made here.
    """
    program = Program.of(is_rehearsal=config.engine.name == "rehearsal", execution=config.execution)
    needed = Potcars.of(config, structure.composition.get_el_amt_dict())
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of POTCARs that are no VASP's, or of another set
        if config.engine.name == "rehearsal":
            made = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stack.enter_context(synthetic_library(needed.labels.values(), made))
        start = rattled(structure, config.relax).get_sorted_structure()
        for name, maker in relaxation_makers(config.engine.vasp, program).items():
            _write(maker, start, folder / name, is_spec=bool(needed.missing))
        for temperature_K in config.dynamics.temperatures_K if config.dynamics else ():
            assert config.dynamics is not None
            run = VaspRun(
                start,
                temperature_K,
                config.dynamics,
                config.engine.vasp,
                program,
                engine_convention(config.engine),
                folder,
            )
            for name, step, stop in run.first_pieces():
                maker = run.maker(step, stop, run.initial_poscar())
                place = folder / f"dynamics-{temperature_K:g}K" / name
                _write(maker, run.cell, place, is_spec=bool(needed.missing))


def _write(maker: BaseVaspMaker, structure: Structure, folder: Path, *, is_spec: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_vasp_input_set(
        structure,
        maker.input_set_generator,
        directory=folder,
        potcar_spec=is_spec,
        clean_prev=False,  # it would clean the working directory
        **maker.write_input_set_kwargs,
    )
