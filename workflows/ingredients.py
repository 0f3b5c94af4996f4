"""What a campaign's results were really made with: codes, energies, references, methods.

Read from the documents that the jobs left, not from what the config asks for: a run that never got
to dynamics has used none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from screening.documents import EnergyConvention, Origin
from screening.errors import InvalidInput
from screening.stability.references import ReferencePhases
from screening.stability.snapshots import shipped_snapshots
from workflows.config import CampaignConfig

if TYPE_CHECKING:
    from workflows.read_model import CampaignResults

_ANSWERS_AT_ONCE = 200


@dataclass(frozen=True)
class Run:
    """One `run` or `submit` of the campaign, with the versions that it noted."""

    number: int
    started_at: float
    ended_at: float | None
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Snapshot:
    """The reference phases of the last run.

    Args:
        name: shipped name or path, as in the config.
        sha256: as the run noted it.
        known: its source, date and size; None where the file is not there any more, or has another
            content now.
        is_shipped: it comes with Halideflow.
    """

    name: str
    sha256: str | None
    known: KnownSnapshot | None
    is_shipped: bool

    @property
    def is_of_the_materials_project(self) -> bool:
        """Whether any of its energies are."""
        return self.known is not None and "materials project" in self.known.source.lower()


@dataclass(frozen=True)
class KnownSnapshot:
    """What the file of a snapshot says about itself."""

    source: str
    date: str
    n_phases: int


@dataclass(frozen=True)
class Vasp:
    """Runs of VASP behind relaxations and single points.

    Args:
        versions: of the program, each once.
        potcars: title -> hash.
        with_hubbard_u: whether any run had LDAU.
        n_corrections: what custodian changed -> in how many runs.
    """

    versions: tuple[str, ...] = ()
    potcars: Mapping[str, str] = field(default_factory=dict)
    with_hubbard_u: bool = False
    n_corrections: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Dynamics:
    """Runs of molecular dynamics that gave a diffusivity or a bound.

    Args:
        durations_ps: temperature in K -> analysed length of each candidate's run.
        outcomes: why runs were ended -> how many.
        species: that moved.
        is_cut: whether the start of a run was left out.
    """

    durations_ps: Mapping[float, tuple[float, ...]] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    species: tuple[str, ...] = ()
    is_cut: bool = False


@dataclass(frozen=True)
class Ingredients:
    """All of it.

    Args:
        config: of the last run.
        runs: all of the results folder, for what was done before is used again.
        conventions: of the energies of the candidates, each once.
        enthalpy_sources: keys of the measured enthalpies behind the windows' intervals.
        origins: each host once, with what it is called in the library or the user's file.
        on_cluster: whether any job was sent to a queue.
    """

    config: CampaignConfig
    runs: tuple[Run, ...]
    conventions: tuple[EnergyConvention, ...]
    vasp: Vasp
    n_candidates: int
    n_relaxed: int
    n_on_hull: int
    n_with_intervals: int
    n_interfaces: int
    n_glasses: int
    dynamics: Dynamics
    snapshot: Snapshot
    enthalpy_sources: tuple[str, ...]
    origins: tuple[Origin, ...]
    on_cluster: bool

    @property
    def versions(self) -> dict[str, str]:
        """Of each package all that the runs had, in their order: `2.1 and 2.2`."""
        found: dict[str, list[str]] = {}
        for run in self.runs:
            for name, version in run.versions.items():
                if version not in found.setdefault(name, []):
                    found[name].append(version)
        return {name: " and ".join(each) for name, each in found.items() if name != "references"}

    @property
    def has_soft_forces(self) -> bool:
        """Whether CHGNet computed them, itself or behind a stand-in."""
        return any("chgnet" in convention.potential for convention in self.conventions)

    @property
    def corrects_energies(self) -> bool:
        """Whether MP2020's corrections are in any energy."""
        return any("MP2020" in convention.corrections for convention in self.conventions)


def ingredients(results: CampaignResults) -> Ingredients:
    """What the results of the last run were made with.

    Raises:
        InvalidInput: the config of that run is one of another version.
    """
    entries = results.enumerated
    relaxed = [
        {key: result.get(key) for key in ("convention", "calculations")}
        for result in _results_of(results, entries, "relax")
    ]
    on_hull = [
        (_has_interval(result), bool(result.get("interfaces")))
        for result in _results_of(results, entries, "stability")
    ]
    moved = [
        _without_curves(result)
        for result in _results_of(results, entries, "transport")
        if "diffusivities" in result
    ]
    runs = _runs(results)
    try:
        config = CampaignConfig.model_validate(results.last_config)
    except ValidationError as error:
        raise InvalidInput(
            "the last run was one of another version of halideflow, whose config this one cannot "
            "read; `halideflow run CAMPAIGN` brings the results up to date"
        ) from error
    n_with_intervals = sum(has_interval for has_interval, _ in on_hull)
    snapshot, references = _snapshot(config, runs[-1])
    return Ingredients(
        config=config,
        runs=runs,
        conventions=_conventions(relaxed),
        vasp=_vasp(calculation for r in relaxed for calculation in r.get("calculations") or ()),
        n_candidates=len(entries),
        n_relaxed=len(relaxed),
        n_on_hull=len(on_hull),
        n_with_intervals=n_with_intervals,
        n_interfaces=sum(has_interfaces for _, has_interfaces in on_hull),
        n_glasses=sum(1 for _ in _results_of(results, entries, "amorphous")),
        dynamics=_dynamics(moved),
        snapshot=snapshot,
        enthalpy_sources=_enthalpy_sources(references) if n_with_intervals else (),
        origins=_origins(entries),
        on_cluster=_was_queued(results),
    )


def _results_of(
    results: CampaignResults, entries: Iterable[Mapping[str, Any]], stage: str
) -> Iterator[dict[str, Any]]:
    """As they are stored, some at a time: thousands of whole answers would fill the memory."""
    left = iter(dict.fromkeys(entry[stage]["uuid"] for entry in entries if entry.get(stage)))
    while some := list(islice(left, _ANSWERS_AT_ONCE)):
        for output in results.outputs(some).values():
            if output.get("result"):
                yield output["result"]


def _without_curves(transport: Mapping[str, Any]) -> dict[str, Any]:
    """What is read here of a transport answer, without its mean squared displacements."""
    wanted = ("temperature_K", "duration_ps", "species", "equilibration")
    diffusivities = [{key: d.get(key) for key in wanted} for d in transport["diffusivities"]]
    return {"diffusivities": diffusivities, "ends": transport.get("ends")}


def _runs(results: CampaignResults) -> tuple[Run, ...]:
    rows = results.table.select(
        "select run, started_at, ended_at, versions from runs where run <= ? order by run",
        (results.run,),
    )
    return tuple(
        Run(number, started_at, ended_at, orjson.loads(versions))
        for number, started_at, ended_at, versions in rows
    )


def _conventions(relaxed: Iterable[Mapping[str, Any]]) -> tuple[EnergyConvention, ...]:
    fields = EnergyConvention.model_fields
    found = {
        tuple(result["convention"].get(name) for name in fields): result["convention"]
        for result in relaxed
    }
    return tuple(
        EnergyConvention(**{name: convention.get(name) for name in fields})
        for convention in found.values()
    )


def _vasp(calculations: Iterable[Mapping[str, Any]]) -> Vasp:
    versions: dict[str, None] = {}
    potcars: dict[str, str] = {}
    corrections: Counter[str] = Counter()
    with_hubbard_u = False
    for calculation in calculations:
        versions[calculation["version"]] = None
        potcars |= calculation["potcars"]
        corrections.update(set(calculation["corrections"]))
        with_hubbard_u |= bool(calculation["incar"].get("LDAU"))
    return Vasp(tuple(versions), potcars, with_hubbard_u, corrections)


def _has_interval(stability: Mapping[str, Any]) -> bool:
    windows = (stability.get("candidate_window"), stability.get("equilibrium_window"))
    return any(window and window.get("width_68_V") for window in windows)


def _dynamics(moved: Iterable[Mapping[str, Any]]) -> Dynamics:
    durations_ps: dict[float, list[float]] = {}
    outcomes: Counter[str] = Counter()
    species: dict[str, None] = {}
    is_cut = False
    for transport in moved:
        for diffusivity in transport["diffusivities"]:
            durations_ps.setdefault(diffusivity["temperature_K"], []).append(
                diffusivity["duration_ps"]
            )
            species[diffusivity["species"]] = None
            is_cut |= (diffusivity.get("equilibration") or {}).get("cut_ps", 0.0) > 0
        outcomes.update(end["outcome"] for end in (transport.get("ends") or {}).values())
    return Dynamics(
        {t: tuple(durations_ps[t]) for t in sorted(durations_ps)}, outcomes, tuple(species), is_cut
    )


def _snapshot(config: CampaignConfig, run: Run) -> tuple[Snapshot, ReferencePhases | None]:
    """What is known of the reference phases, and the phases where they are still the same."""
    name, sha256 = config.stability.references, run.versions.get("references")
    is_shipped = name in shipped_snapshots()
    try:
        references = ReferencePhases.load(name)
    except (InvalidInput, OSError):
        return Snapshot(name, sha256, None, is_shipped), None
    if references.sha256 != sha256:
        return Snapshot(name, sha256, None, is_shipped), None
    known = KnownSnapshot(references.source, references.date, len(references.phases))
    return Snapshot(name, sha256, known, is_shipped), references


def _enthalpy_sources(references: ReferencePhases | None) -> tuple[str, ...]:
    """Where the measured enthalpies are from that the engine's error was found with."""
    if references is None:
        return ()
    from screening.stability.enthalpies import halide_errors

    values = [error.halide.values for error in halide_errors(references)]
    return tuple(dict.fromkeys(next(iter(sources)) for sources in values))


def _origins(entries: Iterable[Mapping[str, Any]]) -> tuple[Origin, ...]:
    found: dict[tuple[str, str], Origin] = {}
    for entry in entries:
        candidate = entry["candidate"]
        for origin in (candidate["origin"], *candidate.get("other_origins", ())):
            key = origin["host"], origin["source"]
            if key not in found:
                fields = Origin.model_fields
                found[key] = Origin(**{k: v for k, v in origin.items() if k in fields})
    return tuple(found.values())


def _was_queued(results: CampaignResults) -> bool:
    ((tables,),) = results.table.select(
        "select count(*) from sqlite_master where name = 'queue_jobs'"
    )
    return bool(tables) and bool(list(results.table.select("select 1 from queue_jobs limit 1")))
