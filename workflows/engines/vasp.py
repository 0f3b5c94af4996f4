"""VASP through atomate2 and custodian, and the rehearsal of it with a stand-in.

Both run the same Makers, files and parsers; they differ in what is started, in the potentials'
files and in what the energies may be compared with.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from screening.stability.conventions import VASP, rehearsal_of
from workflows.engines import chgnet
from workflows.execution.folders import KEPT_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pymatgen.core.structure import Structure

    from screening.documents import EnergyConvention, Relaxation
    from screening.transport.documents import MolecularDynamics
    from screening.transport.stopping import StoppingRule
    from workflows.config import DynamicsSettings, EngineSettings, RelaxSettings
    from workflows.vasp.makers import Program

REHEARSED_MODEL = "0.3.0"


def unknown_elements(settings: EngineSettings, symbols: Iterable[str]) -> list[str]:
    """Those without a POTCAR among the Materials Project's or the campaign's own."""
    if settings.name == "rehearsal":
        return chgnet.unknown_elements(REHEARSED_MODEL, symbols)
    from pymatgen.io.vasp.sets import MPRelaxSet

    known = MPRelaxSet.CONFIG["POTCAR"].keys() | settings.vasp.potcar.keys()
    return [symbol for symbol in symbols if symbol not in known]


def convention(settings: EngineSettings) -> EnergyConvention:
    """Identity of the energies."""
    if settings.name == "vasp":
        return VASP
    return rehearsal_of(chgnet.convention(REHEARSED_MODEL))


@dataclass(frozen=True)
class VaspEngine:
    """Runs VASP, or its stand-in, in the folder of the job."""

    settings: EngineSettings

    @property
    def convention(self) -> EnergyConvention:
        """Identity of the energies."""
        return convention(self.settings)

    def relax(self, structure: Structure, settings: RelaxSettings) -> Relaxation:
        """Relax and compute the energy with atomate2's `MPGGADoubleRelaxStaticMaker`.

        How far forces fall is said by INCAR, not by `settings`.
        """
        from workflows.vasp.relaxation import relax

        with self._potentials(structure):
            return relax(
                structure,
                self.settings.vasp,
                self._program(),
                self.convention,
                Path(KEPT_FILES).absolute(),
            )

    def move(
        self,
        structure: Structure,
        temperature_K: float,
        settings: DynamicsSettings,
        mobile_ion: str,
        rule: StoppingRule,
        folder: Path,
    ) -> MolecularDynamics | None:
        """One run of VASP of a longer one; None where another job is to go on."""
        from workflows.vasp.dynamics import VaspRun

        run = VaspRun(
            structure,
            temperature_K,
            settings,
            self.settings.vasp,
            self._program(),
            self.convention,
            folder,
        )
        with self._potentials(structure):
            return run.go_on(mobile_ion, rule)

    def _program(self) -> Program:
        from workflows.vasp.execution import current_execution
        from workflows.vasp.makers import Program

        return Program.of(
            is_rehearsal=self.settings.name == "rehearsal", execution=current_execution()
        )

    @contextlib.contextmanager
    def _potentials(self, structure: Structure) -> Iterator[None]:
        """The user's library of POTCARs; in a rehearsal, one that is made for it."""
        if self.settings.name == "vasp":
            yield
            return
        from workflows.vasp.potcars import potcar_labels, synthetic_library

        symbols = structure.composition.get_el_amt_dict()
        labels = potcar_labels(symbols, self.settings.vasp.potcar).values()
        with synthetic_library(labels, Path.cwd() / "potcars"):
            yield
