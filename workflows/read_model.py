"""What readers (status, rank, show, failures, export) see of a campaign, at any moment of a run.

It reads the job table and the stores and writes nothing. Only the jobs of the last run count, so
results of an older config that are still in the store do not mix in.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from screening.amorphous.documents import AmorphousDocument
from screening.documents import CandidateInfo, RelaxDocument, StageDocument
from screening.errors import InvalidInput, NotFinished, Unavailable
from screening.ranked import RankedCandidate
from screening.stability.documents import StabilityDocument
from screening.transport.documents import TransportDocument
from workflows.candidate_rows import CandidateRows, lean
from workflows.causes import with_causes
from workflows.config import NOT_SCIENCE, StabilitySettings
from workflows.enumerated import Enumerated, KeptEnumeration
from workflows.execution.jobs import JobTable
from workflows.execution.notes import TROUBLES, Note, Notes
from workflows.job_list import JobFilter, JobList
from workflows.memory import collector_paused
from workflows.ordering_ensemble import RelaxedOrdering, ensemble_of
from workflows.stored_documents import stored_document
from workflows.views import CandidateView, JobView
from workflows.waiting import Surroundings

if TYPE_CHECKING:
    from maggma.core import Store

    from workflows.config import CampaignConfig
    from workflows.cost.spending import Spending
    from workflows.results import ResultsFolder

D = TypeVar("D", bound=StageDocument)


class CampaignResults:
    """The results of one campaign.

    Raises:
        NotFinished: nothing has been run yet.
        InvalidInput: the results file is no results file.
        Unavailable: it is locked.
    """

    def __init__(
        self,
        config: CampaignConfig,
        folder: ResultsFolder,
        busy_timeout_s: float = 60,
        enumeration: KeptEnumeration | None = None,
    ) -> None:
        command = "submit" if config.execution.cluster else "run"
        nothing = f"{folder.path}: no results yet; start with `halideflow {command} CAMPAIGN`"
        if not folder.database.exists():
            raise NotFinished(nothing)
        self.config = config
        self.folder = folder
        self._enumeration = enumeration or KeptEnumeration()
        try:
            self.table = JobTable(folder.database, True, busy_timeout_s)
            with contextlib.ExitStack() as unless_it_is_usable:
                unless_it_is_usable.callback(self.table.close)
                ((run,),) = self.table.select("select max(run) from jobs")
                if run is None:
                    raise NotFinished(nothing)
                unless_it_is_usable.pop_all()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # killed before there was one
                raise NotFinished(nothing) from error
            raise Unavailable(f"{folder.database}: {error}; look again in a moment") from error
        except sqlite3.DatabaseError as error:
            raise InvalidInput(
                f"{folder.database}: {error}; move the file away and run the campaign again"
            ) from error
        self.run = int(run)

    def close(self) -> None:
        """Close the files."""
        self.table.close()
        if "_store" in vars(self):
            self._store.close()

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.config.name

    @cached_property
    def _store(self) -> Store:
        return self.folder.documents(self.config.store, read_only=True)

    def status(self) -> dict[str, dict[str, int]]:
        """Number of jobs per stage and state; a job that was replaced counts by its last part."""
        return self.jobs.counts()

    def failures(self) -> list[JobView]:
        """Failed jobs: of each candidate those of the earliest stage, where the cause lies."""
        return self.jobs.failures()

    @cached_property
    def notes(self) -> dict[str, Note]:
        """What whoever runs the campaign noted for people, by name."""
        return Notes(self.table).all()

    @cached_property
    def spent(self) -> Spending:
        """Core-hours used and promised, beside the budget."""
        from workflows.cost.spending import spending

        return spending(self.table, self.config.execution.budget_core_hours)

    @cached_property
    def running_since(self) -> float | None:
        """When the run that is in progress began; None where there is none."""
        if not self.surroundings.is_being_run:
            return None
        ((started_at,),) = self.table.select("select max(started_at) from runs")
        return None if started_at is None else float(started_at)

    @cached_property
    def surroundings(self) -> Surroundings:
        """Who runs the campaign, and what keeps jobs from being started."""
        is_being_run = self.folder.is_being_run()
        noted = [self.notes[name].text for name in TROUBLES if name in self.notes]
        return Surroundings(
            is_being_run,
            self.config.execution.cluster,
            self._over_budget(),
            "; ".join(noted) or None if is_being_run else None,
        )

    def _over_budget(self) -> str | None:
        """What there is to say of a budget that is spent, or promised away."""
        if self.config.execution.budget_core_hours is None:
            return None
        spent = self.spent
        if spent.left_core_hours is None or spent.left_core_hours > 0:
            return None
        return (
            f"the budget of {spent.budget_core_hours:g} core-hours is used up or promised; raise "
            "execution.budget_core_hours"
        )

    @cached_property
    def jobs(self) -> JobList:
        """The jobs of the last run, with why they wait."""
        return JobList(self.table, self.run, self.surroundings)

    def ranking(self) -> tuple[RankedCandidate, ...]:
        """All candidates of the last run: as its ranking job left them, or by what is known now."""
        with collector_paused():
            rows = self.ranking_stored()
            if not rows:
                candidates = CandidateRows()
                candidates.update(self)
                rows = candidates.ranked()
            return with_causes(rows, self.jobs.failures)

    def ended_with(self) -> tuple[str, float] | None:
        """The ranking job of the last run and when it ended; None while it has no result."""
        found = self.table.select(
            "select uuid, ended_at from jobs where run = ? and stage = 'rank' and state = 'done'",
            (self.run,),
        )
        return next(iter(list(found)), None)

    def ranking_stored(self) -> tuple[RankedCandidate, ...]:
        """As its ranking job left it; nothing while that has no result."""
        finished = self.table.select(
            "select uuid from jobs where run = ? and stage = 'rank' and state = 'done'", (self.run,)
        )
        for (uuid,) in finished:
            rows = self.listed(uuid, "candidates")
            return tuple(lean(stored_document(RankedCandidate, row)) for row in rows)
        return ()

    def candidate(self, identifier: str, rows: Sequence[RankedCandidate] = ()) -> CandidateView:
        """Everything about one candidate; the ranking is made unless `rows` gives it.

        Raises:
            InvalidInput: the campaign has no such candidate.
        """
        entry = self.enumerated.entry(identifier)
        outputs = self.outputs(_uuids(entry).values())
        (row,) = (row for row in rows or self.ranking() if row.id == identifier)
        return CandidateView(
            info=CandidateInfo(**entry["candidate"]),
            row=row,
            relax=stored_document(RelaxDocument, outputs.get(entry["relax"]["uuid"])),
            stability=stored_document(StabilityDocument, outputs.get(entry["stability"]["uuid"])),
            transport=stored_document(self.last_document, outputs.get(entry["transport"]["uuid"])),
            amorphous=stored_document(
                AmorphousDocument, outputs.get(_uuids(entry).get("amorphous", ""))
            ),
            ensemble=ensemble_of(identifier, self.relaxed_orderings(identifier)),
            jobs=tuple(self.jobs_of(identifier)),
        )

    def relaxed_orderings(self, identifier: str) -> tuple[RelaxedOrdering, ...]:
        """Of the configuration space that a candidate is of; none where it is of none.

        Raises:
            InvalidInput: the campaign has no such candidate.
        """
        known = self._enumeration.relaxed
        alike = [(e["relax"]["uuid"], e["candidate"]) for e in self.enumerated.alike(identifier)]
        unread = [uuid for uuid, _ in alike if uuid not in known]
        for uuid, output in self.outputs(unread).items() if unread else ():
            if relaxation := output["result"]:
                n_atoms = len(relaxation["structure"]["sites"])
                known[uuid] = relaxation["energy_eV_per_atom"], n_atoms
        return tuple(
            RelaxedOrdering(CandidateInfo(**candidate), *known[uuid])
            for uuid, candidate in alike
            if uuid in known
        )

    def jobs_of(self, identifier: str) -> list[JobView]:
        """Jobs of a candidate: by uuid, not by label, for one structure may serve several.

        Raises:
            InvalidInput: the campaign has no such candidate.
        """
        uuids = tuple(_uuids(self.enumerated.entry(identifier)).values())
        return self.jobs.page(JobFilter(of=uuids), order="stage")

    def relaxed(self) -> dict[str, RelaxDocument]:
        """Candidate id -> answer of its relaxation, where there is one."""
        return self._answers("relax", RelaxDocument)

    def stabilities(self) -> dict[str, StabilityDocument]:
        """Candidate id -> answer of its stability stage, where there is one."""
        return self._answers("stability", StabilityDocument)

    def transports(self) -> dict[str, TransportDocument]:
        """Candidate id -> answer of its transport stage, where dynamics was asked for."""
        if self.last_document is StageDocument:
            return {}
        return self._answers("transport", TransportDocument)

    def glasses(self) -> dict[str, AmorphousDocument]:
        """Candidate id -> crystal and glasses compared, where they were."""
        return self._answers("amorphous", AmorphousDocument)

    def _answers(self, stage: str, kind: type[D]) -> dict[str, D]:
        uuids = {entry["candidate"]["id"]: _uuids(entry).get(stage) for entry in self.entries()}
        outputs = self.outputs(uuid for uuid in uuids.values() if uuid)
        return {
            candidate: stored_document(kind, outputs[uuid])
            for candidate, uuid in uuids.items()
            if uuid in outputs
        }

    def left_out(self) -> dict[str, str]:
        """Compositions and files that became no candidate, with the reason."""
        return self.enumerated.left_out

    def left_out_files(self) -> dict[str, str]:
        """The user's own files that could not be used: as good as failed."""
        candidates = self.config.candidates
        files = {file.path for file in candidates.files}
        files |= {substitution.path for substitution in candidates.substitutions}
        return {name: reason for name, reason in self.left_out().items() if name in files}

    @cached_property
    def config_has_changed(self) -> bool:
        """Whether a run of this config would not find everything as the last run left it."""
        return _science(self.config.model_dump(mode="json")) != _science(self.last_config)

    @cached_property
    def last_config(self) -> dict[str, Any]:
        """The config of the last run, as plain values."""
        ((text,),) = self.table.select("select config from runs where run = ?", (self.run,))
        config: dict[str, Any] = orjson.loads(text)
        return config

    @property
    def last_document(self) -> type[StageDocument]:
        """What a candidate's last stage answers with: without dynamics, the gates do."""
        return StageDocument if self.last_config["dynamics"] is None else TransportDocument

    def entries(self) -> list[dict[str, Any]]:
        """Each candidate with the jobs of its stages."""
        return list(self.enumerated)

    @cached_property
    def enumerated(self) -> Enumerated:
        """The candidates of the last run."""
        return self._enumeration.of(self)

    def outputs(self, uuids: Any) -> dict[str, dict[str, Any]]:
        """Last output of each job that has one."""
        found: dict[str, tuple[int, dict[str, Any]]] = defaultdict(lambda: (0, {}))
        for document in self._store.query(
            {"uuid": {"$in": list(uuids)}}, properties=["uuid", "index", "output"]
        ):
            if document["index"] > found[document["uuid"]][0] and document["output"] is not None:
                found[document["uuid"]] = document["index"], document["output"]
        return {uuid: output for uuid, (_, output) in found.items() if output}

    def listed(self, uuid: str, name: str) -> Iterator[dict[str, Any]]:
        """A list in the last output of a job: one after the other, where that takes less memory."""
        from workflows.store.sqlite import SqliteStore

        store = self._store
        if not isinstance(store, SqliteStore):
            yield from self.outputs([uuid]).get(uuid, {}).get(name, ())
        elif parts := [index for (index,) in store.columns(["index"], {"uuid": uuid})]:
            yield from store.elements({"uuid": uuid, "index": max(parts)}, f"output.{name}")


def _uuids(entry: dict[str, Any]) -> dict[str, str]:
    """Stage -> job of a candidate; stages that were not asked for are not there."""
    stages = ("relax", "stability", "transport", "amorphous")
    return {stage: entry[stage]["uuid"] for stage in stages if entry.get(stage)}


def _science(config: dict[str, Any]) -> dict[str, Any]:
    """What of a config decides results; a path of references counts by its name here.

    A config of an earlier version may lack keys: what their defaults do is what it did.
    """
    kept = {k: v for k, v in config.items() if k not in NOT_SCIENCE or k == "store"}
    stability = StabilitySettings.model_validate(config["stability"]).model_dump(mode="json")
    del stability["references_sha256"]
    stability["references"] = PurePath(stability["references"]).name
    return {**kept, "stability": stability}
