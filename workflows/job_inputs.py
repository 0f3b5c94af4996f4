"""What a job was told, against what it would be told without the campaign's file saying anything.

A job carries its settings; a run of VASP also leaves its INCAR, mesh and potentials, which are held
against what the Materials Project's set gives for the same structure.
"""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from screening.documents import VaspCalculation
from screening.gates import Gates
from workflows.config import (
    AmorphousSettings,
    DynamicsSettings,
    EngineSettings,
    RelaxSettings,
    StabilitySettings,
)
from workflows.execution.folders import KEPT_FILES
from workflows.job_files import run_of_vasp
from workflows.vasp_settings import VaspSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from atomate2.vasp.jobs.md import MDMaker
    from pydantic import BaseModel
    from pymatgen.core.structure import Structure
    from pymatgen.io.vasp.inputs import VaspInput

    from workflows.job_files import JobFile
    from workflows.read_model import CampaignResults
    from workflows.vasp.makers import Program
    from workflows.views import JobView

_NOT_SET = "not set"
_UNKNOWN = "–"
_WORDS = {"ALGO", "PREC", "LREAL"}
# Key of the campaign's file -> its model, in the order of the file.
_SETTINGS: dict[str, type[BaseModel]] = {
    "engine": EngineSettings,
    "relax": RelaxSettings,
    "stability": StabilitySettings,
    "dynamics": DynamicsSettings,
    "amorphous": AmorphousSettings,
    "gates": Gates,
}
# Tags that say where a run begins, which the run before it decides.
_OF_THE_RUN_BEFORE = {"MAGMOM", "ICHARG", "ISTART"}


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that a job was told.

    Args:
        default: what it would have been told otherwise.
        why: what made the difference; empty where there is none.
        meaning: in words, where it is known.
    """

    name: str
    default: str
    value: str
    why: str = ""
    meaning: str = ""

    @property
    def differs(self) -> bool:
        """Whether there is a difference, other than in spelling."""
        return self.value != self.default


@dataclass(frozen=True, slots=True)
class InputSheet:
    """What one run was told; `basis` says what it is held against."""

    name: str
    basis: str
    inputs: tuple[Input, ...]

    @property
    def changed(self) -> tuple[Input, ...]:
        """Those that differ."""
        return tuple(entry for entry in self.inputs if entry.differs)

    @property
    def unchanged(self) -> tuple[Input, ...]:
        """The rest."""
        return tuple(entry for entry in self.inputs if not entry.differs)


@dataclass(frozen=True, slots=True)
class JobSettings:
    """The settings that a job carries, as plain values.

    Args:
        by_key: of the campaign's file.
        labels: of the job.
    """

    by_key: Mapping[str, Mapping[str, Any]]
    labels: Mapping[str, str]

    @classmethod
    def of(cls, results: CampaignResults, job: JobView) -> JobSettings:
        """As they were when the job was made."""
        content = orjson.loads(results.table.spec((job.uuid, job.index)))
        given = [*content.get("function_args", ()), *content.get("function_kwargs", {}).values()]
        classes = {kind.__name__: key for key, kind in _SETTINGS.items()}
        found = {}
        for value in given:
            if isinstance(value, dict) and (key := classes.get(value.get("@class", ""))):
                found[key] = {k: v for k, v in value.items() if not k.startswith("@")}
        return cls(found, content["metadata"])

    @property
    def melt_temperature_K(self) -> float | None:
        """Of a job that makes a glass."""
        text = self.labels.get("melt_temperature_K")
        return None if text is None else float(text)

    @property
    def runs_vasp(self) -> bool:
        """Whether VASP, or its stand-in, computes."""
        return bool(self.by_key.get("engine", {}).get("name", "chgnet") != "chgnet")

    def sheets(self) -> list[InputSheet]:
        """Each key against the defaults of this version; VASP's own are its INCAR."""
        found = []
        for key, model in _SETTINGS.items():
            values = self.by_key.get(key, {})
            inputs = tuple(
                Input(
                    f"{key}.{name}",
                    _in_words(field.get_default(call_default_factory=True)),
                    _in_words(values[name]),
                    "the campaign's file",
                    field.description or "",
                )
                for name, field in model.model_fields.items()
                if name in values and self._counts(key, name)
            )
            if inputs:
                found.append(InputSheet(key, "defaults of halideflow", inputs))
        return found

    def _counts(self, key: str, name: str) -> bool:
        if key == "relax" and self.runs_vasp:
            return name == "rattle_A"  # the rest is said by INCAR
        return not (key == "engine" and name == "vasp")


def vasp_sheets(
    results: CampaignResults,
    job: JobView,
    calculations: Iterable[VaspCalculation],
    files: Mapping[str, JobFile],
) -> list[InputSheet]:
    """Each run of VASP of a job against its set; those that left neither files nor a record not.

    Args:
        results: of the campaign.
        job: of it.
        calculations: records of runs that have ended.
        files: of the job.
    """
    settings = JobSettings.of(results, job)
    if not settings.runs_vasp:
        return []
    records = {record.name: record for record in calculations}
    found = [run for name in files if (run := run_of_vasp(name))]
    runs = {run for run, name in found if name == "INCAR"} | records.keys()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets, about what is asked of them here
        told = [_Told.of(name, records.get(name), files) for name in sorted(runs, key=_order)]
        return [_sheet(run, settings, files) for run in told if run is not None]


@dataclass(frozen=True, slots=True)
class _Told:
    """What a run of VASP was told, by itself."""

    name: str
    incar: Mapping[str, Any]
    kpoints: str
    potcars: tuple[str, ...]
    corrections: tuple[str, ...]

    @classmethod
    def of(
        cls, name: str, record: VaspCalculation | None, files: Mapping[str, JobFile]
    ) -> _Told | None:
        """From its record, or, while it runs or where it failed, from its files."""
        if record is not None:
            labels = tuple(title.split()[1] for title in record.potcars if " " in title)
            return cls(name, record.incar, record.kpoints, labels, record.corrections)
        from pymatgen.io.vasp.inputs import Incar, Kpoints

        from workflows.vasp.calculations import mesh_in_words
        from workflows.vasp.failures import corrections_in

        incar = _located(files, name, "INCAR")
        if incar is None:
            return None
        mesh = _located(files, name, "KPOINTS")
        return cls(
            name,
            dict(Incar.from_file(incar)),
            mesh_in_words(Kpoints.from_file(mesh) if mesh else None),
            (),
            corrections_in(incar.parent),
        )

    @property
    def kind(self) -> str:
        """Key under `engine.vasp` of the campaign's file."""
        if "-from-" in self.name:
            return "dynamics"
        return "static" if self.name == "static" else "relax"


def _sheet(run: _Told, settings: JobSettings, files: Mapping[str, JobFile]) -> InputSheet:
    from workflows.vasp.calculations import mesh_in_words

    own = settings.by_key["engine"]["vasp"][run.kind]
    poscar = _located(files, run.name, "POSCAR")
    if poscar is None:
        basis = "no defaults, for its POSCAR is not on this machine"
        alone = tuple(Input(tag, _UNKNOWN, _of_incar(v)) for tag, v in sorted(run.incar.items()))
        return InputSheet(run.name, basis, alone)
    default = _default_set(run, poscar)
    tags = dict(default.incar)
    inputs = []
    for tag in sorted(tags.keys() | run.incar.keys()):
        before = _of_incar(tags[tag]) if tag in tags else _NOT_SET
        now = _of_incar(run.incar[tag]) if tag in run.incar else _NOT_SET
        now = before if _means_the_same(tag, before, now) else now
        inputs.append(Input(tag, before, now, _why(tag, run, own["incar"])))
    because = f"engine.vasp.{run.kind}.kpoints" if own["kpoints"] else "custodian, or another cell"
    inputs.append(Input("KPOINTS", mesh_in_words(default.kpoints), run.kpoints, because))
    if run.potcars:
        labels = " ".join(str(default.potcar).split())
        inputs.append(Input("POTCAR", labels, " ".join(run.potcars), "engine.vasp.potcar"))
    return InputSheet(run.name, _basis(run.kind), tuple(inputs))


def _basis(kind: str) -> str:
    return {
        "relax": "MPRelaxSet of the Materials Project for this structure",
        "static": "MPStaticSet of the Materials Project for this structure",
        "dynamics": "dynamics of halideflow with the time step, length, temperatures and "
        "thermostat that the campaign asks for",
    }[kind]


def _why(tag: str, run: _Told, own: Mapping[str, Any]) -> str:
    if tag in own:
        return f"engine.vasp.{run.kind}.incar of the campaign's file"
    if any(tag in correction for correction in run.corrections):
        return "custodian, see the corrections"
    return "the run before it" if tag in _OF_THE_RUN_BEFORE else "unknown"


def _default_set(run: _Told, poscar: Path) -> VaspInput:
    """What a run would be told if the campaign's file said nothing of VASP."""
    from pymatgen.core.structure import Structure

    from workflows.execution_settings import ExecutionSettings
    from workflows.vasp.files import text_of
    from workflows.vasp.makers import Program, relaxation_makers

    program = Program.of(is_rehearsal=True, execution=ExecutionSettings())  # it is not run
    structure = Structure.from_file(poscar)
    maker = (
        _dynamics_maker(run, structure, text_of(poscar), program)
        if run.kind == "dynamics"
        else relaxation_makers(VaspSettings(), program)[run.name]
    )
    made: VaspInput = maker.input_set_generator.get_input_set(structure, potcar_spec=True)
    return made


def _dynamics_maker(run: _Told, structure: Structure, poscar: str, program: Program) -> MDMaker:
    from workflows.vasp.makers import dynamics_maker
    from workflows.vasp.progress import StepCounter

    return dynamics_maker(
        VaspSettings(),
        program,
        poscar_text=poscar,
        symbols=list(dict.fromkeys(site.specie.symbol for site in structure)),
        n_steps=int(run.incar["NSW"]),
        timestep_fs=float(run.incar["POTIM"]),
        from_K=float(run.incar["TEBEG"]),
        to_K=float(run.incar["TEEND"]),
        nose_mass=float(run.incar["SMASS"]),
        counter=StepCounter(0, 1),
    )


def _located(files: Mapping[str, JobFile], run: str, name: str) -> Path | None:
    """A file of a run of VASP, gzipped or not."""
    for ending in ("", ".gz"):
        if file := files.get(f"{KEPT_FILES}/{run}/{name}{ending}"):
            return file.path
    return None


def _order(run: str) -> tuple[int, str]:
    """Pieces of dynamics by the step that they begin at."""
    name, _, step = run.rpartition("-from-")
    return (int(step) if name and step.isdigit() else 0), run


def _means_the_same(tag: str, one: str, other: str) -> bool:
    """VASP reads no more than the first letters of some words, and no difference in their case."""
    if tag in _WORDS:
        one, other = one.lower(), other.lower()
        return one.startswith(other) or other.startswith(one)
    return one.lower() == other.lower()


def _of_incar(value: Any) -> str:
    """As VASP's own notation has it: `32*0.6` for a list of what is alike."""
    if isinstance(value, list | tuple):
        alike = [(text, len(list(run))) for text, run in itertools.groupby(map(_of_incar, value))]
        return " ".join(text if n == 1 else f"{n}*{text}" for text, n in alike)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.10g}"


def _in_words(value: Any) -> str:
    """As YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.10g}" if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_in_words, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k}: {_in_words(v)}' for k, v in value.items())}}}"
    return str(value)
