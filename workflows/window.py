"""The window of anybody's structure, without a campaign: read, check, relax, assess."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, computed_field

from screening.documents import Document, EnergyConvention, Relaxation
from screening.errors import (
    InvalidInput,
    MissingReference,
    MixedConventions,
    NotConverged,
    ScreeningError,
    UnusableStructure,
)
from screening.stability.documents import Stability
from workflows.structure_files import read_structure

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from screening.stability.references import ReferencePhases
    from workflows.config import EngineSettings, RelaxSettings


@dataclass(frozen=True)
class Question:
    """A structure that can be relaxed, and the ion whose metal potentials are against."""

    path: Path
    structure: Structure
    mobile_ion: str

    @property
    def formula(self) -> str:
        """Reduced."""
        return str(self.structure.composition.reduced_formula)


class UsedReferences(Document):
    """The snapshot that a candidate was compared with."""

    name: str
    source: str
    date: str
    sha256: str
    n_phases: int = Field(description="of the candidate's chemical system")
    missing_phases: dict[str, str] = Field(
        description="compounds of the system that the field knows and the snapshot lacks -> where "
        "they are described"
    )


class WindowReport(Document):
    """What `halideflow window` finds out about one structure."""

    structure_file: str
    formula: str = Field(description="reduced")
    mobile_ion: str
    raw_halide_energies: bool
    relaxation: Relaxation
    stability: Stability
    references: UsedReferences

    @computed_field  # type: ignore[prop-decorator]
    @property
    def reduction_limit_V(self) -> float:
        """Of the window that `window_of` names."""
        return self.stability.reduction_limit_V

    @computed_field  # type: ignore[prop-decorator]
    @property
    def oxidation_limit_V(self) -> float:
        """Of the window that `window_of` names."""
        return self.stability.oxidation_limit_V

    @computed_field  # type: ignore[prop-decorator]
    @property
    def width_V(self) -> float:
        """Of that window."""
        return self.stability.window.width_V

    @computed_field  # type: ignore[prop-decorator]
    @property
    def suspect(self) -> bool:
        """Whether a guard failed."""
        return self.stability.suspect


def read_question(path: Path, mobile_ion: str | None, references: ReferencePhases) -> Question:
    """Read a structure and see that it can be relaxed and compared, before anything slow.

    Args:
        path: whatever `read_structure` reads; oxidation states in it are dropped.
        mobile_ion: None takes the alkali metal of the structure, if there is exactly one.
        references: hold every element of the structure.

    Raises:
        InvalidInput: no structure, or an ion that is no alkali metal or not told.
        UnusableStructure: partial occupancies, no such ion in it, nothing but the ion, or atoms
            too close together.
        MissingReference: an element that the references lack.
    """
    from screening.structures import check_structure

    structure = read_structure(path)
    if not structure.is_ordered:
        raise UnusableStructure(
            f"{path}: partially occupied sites; needed: whole atoms. `halideflow enumerate {path} "
            "--out FOLDER` writes its distinct orderings, lowest Ewald energy first"
        )
    structure.remove_oxidation_states()
    symbols = sorted(element.symbol for element in structure.composition)
    ion = mobile_ion or _only_alkali_metal(path, symbols)
    _check_ion(path, ion, symbols)
    with _naming(path):
        check_structure(structure, ion)
    try:
        references.for_system(symbols)
    except MissingReference as error:
        raise MissingReference(
            f"{path}: {error}. Offline, `halideflow references build --elements "
            f"{','.join(symbols)} --out FILE` relaxes the reference structures that come with the "
            "package, and --references FILE uses them. `halideflow references fetch` (Materials "
            "Project) and `halideflow references vasp` (your runs) make snapshots of VASP "
            "energies, which compare with VASP energies only"
        ) from error
    return Question(path, structure, ion)


def require_convention_of(
    engine: EngineSettings, references: ReferencePhases, snapshot: str
) -> None:
    """Refuse references whose energies the engine's cannot be compared with.

    Raises:
        MixedConventions: naming both.
    """
    from workflows.engines import engine_convention

    ours, theirs = engine_convention(engine), references.convention
    if ours != theirs:
        raise MixedConventions(
            f"{snapshot}: its energies are of {_described(theirs)}; the structure would be relaxed "
            f"with {_described(ours)}, and the two cannot be compared. Needed: a snapshot of this "
            f"engine, such as the shipped {engine.references} (leave out --references) or one that "
            f"`halideflow references build --model {engine.model}` makes; or --model with the "
            "weights of the snapshot"
        )


def window_report(
    question: Question,
    references: ReferencePhases,
    snapshot: str,
    engine: EngineSettings,
    relax: RelaxSettings,
    raw_halide_energies: bool = False,
) -> WindowReport:
    """Relax a structure and assess its stability against the references.

    Args:
        question: what was read and checked.
        references: in the convention of the engine.
        snapshot: the name or path that they were loaded by.
        engine: relaxes the structure.
        relax: as in a campaign.
        raw_halide_energies: without the corrections of halide energies, see `assess_stability`.

    Raises:
        EngineFailure: the relaxation gave no usable answer.
        UnsoundHull: a hull or window that would be wrong.
    """
    from screening.stability.assessment import assess_stability
    from workflows.stages.relax import relaxation_of

    with _naming(question.path):
        try:
            relaxation = relaxation_of(question.structure, question.mobile_ion, engine, relax)
        except NotConverged as error:
            raise NotConverged(
                f"{error}. Those are keys of a campaign file, which can name this structure under "
                "candidates.files"
            ) from error
        stability = assess_stability(
            relaxation.structure.composition,
            relaxation.energy_eV_per_atom,
            relaxation.convention,
            references,
            question.mobile_ion,
            raw_halide_energies=raw_halide_energies,
        )
    return WindowReport(
        structure_file=str(question.path),
        formula=question.formula,
        mobile_ion=question.mobile_ion,
        raw_halide_energies=raw_halide_energies,
        relaxation=relaxation,
        stability=stability,
        references=_used(references, snapshot, question),
    )


def write_relaxed(report: WindowReport, path: Path) -> None:
    """The relaxed structure as CIF, whole or not at all."""
    from pymatgen.io.cif import CifWriter

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(str(CifWriter(report.relaxation.structure)))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _used(references: ReferencePhases, snapshot: str, question: Question) -> UsedReferences:
    from screening.stability.overview import missing_competitors

    composition = question.structure.composition
    symbols = [element.symbol for element in composition]
    return UsedReferences(
        name=snapshot,
        source=references.source,
        date=references.date,
        sha256=references.sha256,
        n_phases=len(references.for_system(symbols)),
        missing_phases=missing_competitors(references, composition),
    )


def _only_alkali_metal(path: Path, symbols: list[str]) -> str:
    from screening.stability.assessment import ALKALI_METALS

    present = [symbol for symbol in symbols if symbol in ALKALI_METALS]
    if not present:
        raise UnusableStructure(
            f"{path}: no alkali metal in {', '.join(symbols)}; needed: one of "
            f"{', '.join(ALKALI_METALS)}, whose metal potentials are against"
        )
    if len(present) > 1:
        raise InvalidInput(
            f"{path}: holds {' and '.join(present)}; needed: --ion with the one whose metal "
            "potentials are against"
        )
    return present[0]


def _check_ion(path: Path, ion: str, symbols: list[str]) -> None:
    from screening.stability.assessment import ALKALI_METALS

    if ion not in ALKALI_METALS:
        raise InvalidInput(
            f"--ion {ion}: potentials are against an alkali metal; needed: one of "
            f"{', '.join(ALKALI_METALS)}"
        )
    if ion not in symbols:
        raise UnusableStructure(
            f"{path}: no {ion} in it, but {', '.join(symbols)}; needed: an ion that it holds"
        )
    if symbols == [ion]:
        raise UnusableStructure(f"{path}: nothing but {ion}; needed: a compound of it")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Expected failures start with the file that they are about."""
    try:
        yield
    except ScreeningError as error:
        raise type(error)(f"{path}: {error}") from error


def _described(convention: EnergyConvention) -> str:
    return (
        f"{convention.potential} ({convention.functional}; corrections: {convention.corrections})"
    )
