"""What the table of jobs knows of a campaign's candidates: how far each has come."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import orjson

from screening.amorphous.documents import MeltQuenchDocument
from screening.documents import LowestOrdering, RelaxDocument, StageDocument
from screening.stability.documents import StabilityDocument
from workflows.execution_settings import QueuedStage

if TYPE_CHECKING:
    from jobflow import OutputReference
    from pydantic import BaseModel

    from screening.documents import Candidate
    from screening.survey import Survey
    from workflows.config import CampaignConfig
    from workflows.execution.jobs import JobTable

Standing = Literal["new", "finished", "failed", "in queue"]
Gates = Literal["passed", "stopped", "undecided"]

_LAST = ("transport", "gates")
_SCHEMA = "model_json_schema"
_WITH_REFERENCES: tuple[type[BaseModel], ...] = (
    RelaxDocument,
    StabilityDocument,
    LowestOrdering,
    StageDocument,
    MeltQuenchDocument,
)


@dataclass(frozen=True)
class Sizes:
    """Atoms that the jobs of a composition's candidates compute, as its supercell says.

    Args:
        rivals: composition and host, whose orderings a gate may compare.
        mobile_ion: of the composition.
        n_kept: candidates at most.
        relax: atoms of a candidate.
        dynamics: once it is wide enough to be moved; None without dynamics.
        quench: once it is wide enough to be melted; None without glasses.
    """

    rivals: tuple[str, str]
    mobile_ion: str
    n_kept: int
    relax: int
    dynamics: int | None
    quench: int | None

    def following(self, config: CampaignConfig) -> Iterator[tuple[QueuedStage, int, int]]:
        """What follows on the gates: stage, atoms, number of jobs."""
        if config.dynamics is None or self.dynamics is None:
            return
        n_runs = len(config.dynamics.temperatures_K)
        yield "dynamics", self.dynamics, n_runs
        if config.amorphous is not None and self.quench is not None:
            n_glasses = len(config.amorphous.melt_temperatures_K)
            yield "quench", self.quench, n_glasses
            yield "dynamics", self.quench, n_glasses * n_runs


@dataclass(frozen=True)
class FollowingJob:
    """A job behind the gates; `spent_core_hours` is what its finished parts took."""

    stage: QueuedStage
    n_atoms: int
    standing: Standing = "new"
    spent_core_hours: float = 0.0


@dataclass(frozen=True)
class KnownJobs:
    """A candidate's jobs that cost core-hours, and how far they have come."""

    sizes: Sizes
    relax: Standing
    gates: Gates
    following: tuple[FollowingJob, ...]


def sizes_of(survey: Survey, config: CampaignConfig) -> dict[str, Sizes]:
    """Label of a composition in a supercell -> sizes of its jobs."""
    from workflows.enumeration_files import is_refused
    from workflows.stages.sizes import n_cells_widened

    found = {}
    for surveyed in survey.cells:
        if is_refused(surveyed):
            continue
        counted, lattice = surveyed.counted, surveyed.cell.lattice
        dynamics, quench = (
            counted.n_atoms * n_cells_widened(lattice, wanted.min_cell_width_A) if wanted else None
            for wanted in (config.dynamics, config.amorphous)
        )
        found[surveyed.label] = Sizes(
            rivals=(counted.formula, counted.host),
            mobile_ion=counted.mobile_ion,
            n_kept=counted.n_kept,
            relax=counted.n_atoms,
            dynamics=dynamics,
            quench=quench,
        )
    return found


@dataclass
class _Row:
    """A job in the table, with all that goes on as it."""

    stage: str
    candidate: str
    parents: Sequence[str]
    states: list[str] = field(default_factory=list)
    core_hours: list[float] = field(default_factory=list)
    is_in_queue: bool = False

    @property
    def standing(self) -> Standing:
        match self.states[-1]:
            case "done" | "rejected" | "skipped":
                return "finished"
            case "failed":
                return "failed"
        return "in queue" if self.is_in_queue else "new"


class KnownCandidates:
    """Looks candidates up in a table of jobs."""

    def __init__(self, table: JobTable, config: CampaignConfig, survey: Survey) -> None:
        self._table = table
        self._config = config
        self._sizes = sizes_of(survey, config)

    def enumerated_by(self, enumeration: str) -> list[KnownJobs] | None:
        """Those that a finished enumeration made; None if it never finished.

        Args:
            enumeration: uuid of its job.
        """
        made = {
            uuid
            for (uuid,) in self._table.select(
                "select spawned.uuid from spawned join jobs on jobs.uuid = spawner_uuid and "
                "jobs.idx = spawner_idx where spawner_uuid = ? and state = 'done'",
                (enumeration,),
            )
        }
        relaxed = {uuid for uuid in made if uuid in self._rows and self._is(uuid, "relax")}
        last = {
            parent: uuid
            for uuid in made
            if uuid in self._rows and self._is(uuid, *_LAST)
            for parent in self._rows[uuid].parents
            if parent in relaxed
        }
        if not relaxed:
            return None
        return [
            self._known(self._rows[uuid].candidate, uuid, last.get(uuid))
            for uuid in sorted(relaxed)
        ]

    def of_graph(
        self, formulas: Sequence[Sequence[Candidate]], on_progress: Callable[[int], None]
    ) -> Iterator[KnownJobs]:
        """Candidates by the fingerprints of their jobs, a formula at a time."""
        from workflows.campaign import formula_flow

        n_made = 0
        with _schemas_made_once():
            for candidates in formulas:
                _, outputs = formula_flow(candidates, self._config)
                for made in outputs:
                    yield self._known(made.candidate.id, made.relax.uuid, made.transport.uuid)
                n_made += len(candidates)
                on_progress(n_made)

    def n_passed_and_stopped(self, only_one_passes: bool) -> tuple[int, int]:
        """Candidates that came to the gates of any settings that there ever were.

        Args:
            only_one_passes: those of a composition in a host count as one.
        """
        contests: dict[object, set[str]] = defaultdict(set)
        for uuid, row in self._rows.items():
            if row.stage in _LAST and row.states[0] in ("done", "rejected"):
                sizes = self._sizes.get(_label(row.candidate)) if only_one_passes else None
                contests[sizes.rivals if sizes else uuid].add(row.states[0])
        n_passed = sum("done" in answers for answers in contests.values())
        return n_passed, len(contests) - n_passed

    def _is(self, uuid: str, *stages: str) -> bool:
        return self._rows[uuid].stage in stages

    @cached_property
    def _rows(self) -> dict[str, _Row]:
        in_queue = set(
            self._table.select(
                "select part.uuid, idx from queue_job_parts as part "
                "join queue_jobs on queue_jobs.uuid = queue_job where state != 'ended'"
            )
        )
        rows: dict[str, _Row] = {}
        for uuid, index, stage, candidate, parents, state, core_hours in self._table.select(
            "select uuid, idx, stage, candidate, parents, state, core_hours from jobs where stage "
            "in ('relax', 'transport', 'gates', 'dynamics', 'quench') order by uuid, idx"
        ):
            row = rows.setdefault(uuid, _Row(stage, candidate or "", orjson.loads(parents)))
            row.states.append(state)
            row.core_hours.append(core_hours or 0.0)
            row.is_in_queue = (uuid, index) in in_queue
        return rows

    @cached_property
    def _have_followers(self) -> set[str]:
        """Relaxations and glasses that something was made to follow on behind the gates."""
        behind = [u for u, row in self._rows.items() if row.stage in ("dynamics", "quench")]
        specs = (orjson.loads(self._table.spec((uuid, 1))) for uuid in behind)
        return {spec["function_args"][0]["uuid"] for spec in specs}

    def _known(self, candidate: str, relax: str, last: str | None) -> KnownJobs:
        sizes = self._sizes_of(candidate, relax)
        relaxed = self._rows[relax].standing if relax in self._rows else "new"
        gates = self._gates(relaxed, self._rows.get(last or ""))
        following: tuple[FollowingJob, ...] = ()
        if gates != "stopped":
            following = tuple(self._following(sizes, relax))
        return KnownJobs(sizes, relaxed, gates, following)

    def _gates(self, relaxed: Standing, row: _Row | None) -> Gates:
        if row is None or row.states[0] in ("failed", "waiting", "running", "queued"):
            return "undecided"
        if row.states[0] == "done":
            return "passed"
        is_final = row.states[0] == "rejected" or relaxed == "finished"
        return "stopped" if is_final else "undecided"  # skipped since the relaxation failed

    def _sizes_of(self, candidate: str, relax: str) -> Sizes:
        """By the label in its name; a job of an earlier config may know it by another."""
        if (sizes := self._sizes.get(_label(candidate))) is not None:
            return sizes
        metadata = orjson.loads(self._table.spec((relax, 1)))["metadata"]
        alike = (s for s in self._sizes.values() if s.relax == metadata.get("n_atoms"))
        return next(alike, next(iter(self._sizes.values())))

    def _following(self, sizes: Sizes, relax: str) -> Iterator[FollowingJob]:
        """What is behind a candidate's gates; looked up only where there is anything."""
        if relax not in self._have_followers:
            for stage, n_atoms, n_jobs in sizes.following(self._config):
                yield from (FollowingJob(stage, n_atoms) for _ in range(n_jobs))
            return
        for stage, n_atoms, uuid in self._jobs_behind(sizes, relax):
            row = self._rows.get(uuid)
            if row is None:
                yield FollowingJob(stage, n_atoms)
            else:
                yield FollowingJob(stage, n_atoms, row.standing, sum(row.core_hours[:-1]))

    def _jobs_behind(self, sizes: Sizes, relax: str) -> Iterator[tuple[QueuedStage, int, str]]:
        from jobflow import OutputReference

        from workflows.stages.amorphous import MeltQuenchMaker
        from workflows.stages.dynamics import DynamicsMaker

        config, ion = self._config, sizes.mobile_ion
        if config.dynamics is None or sizes.dynamics is None:
            return
        mover = DynamicsMaker(config.engine, config.dynamics, config.gates)

        def moved(
            structure: OutputReference, n_atoms: int
        ) -> Iterator[tuple[QueuedStage, int, str]]:
            assert config.dynamics is not None
            for temperature_K in config.dynamics.temperatures_K:
                yield "dynamics", n_atoms, mover.make(structure, temperature_K, ion, {}).uuid

        relaxed = OutputReference(relax, output_schema=RelaxDocument)
        yield from moved(relaxed, sizes.dynamics)
        if config.amorphous is None or sizes.quench is None:
            return
        quencher = MeltQuenchMaker(config.engine, config.amorphous, config.dynamics)
        for melt_temperature_K in config.amorphous.melt_temperatures_K:
            glass = quencher.make(relaxed, melt_temperature_K, ion, {})
            yield "quench", sizes.quench, glass.uuid
            yield from moved(glass.output, sizes.quench)


def _label(candidate: str) -> str:
    """Of its composition and supercell; the rest is its number."""
    return candidate.rpartition("-")[0]


@contextlib.contextmanager
def _schemas_made_once() -> Iterator[None]:
    """Jobflow asks for the schema of a document at each reference to it: half of all the work."""
    made = {document: document.model_json_schema() for document in _WITH_REFERENCES}
    for document, schema in made.items():
        setattr(document, _SCHEMA, lambda schema=schema: schema)
    try:
        yield
    finally:
        for document in made:
            delattr(document, _SCHEMA)
