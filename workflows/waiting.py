"""Why jobs wait: for others, for somebody who holds them back, or for a place to run."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from workflows.execution_settings import QUEUED_STAGES
from workflows.views import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workflows.execution.jobs import JobTable

_Kind = tuple[str, str | None]  # stage and candidate
_MOST_NAMED = 2  # kinds of jobs that one waits for
_SEVERAL = ""  # in the place of a candidate


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides whether a job that could start does.

    Args:
        is_being_run: whether a process runs the campaign.
        cluster: that the config names.
        over_budget: what there is to say of a budget that is spent.
        trouble: that whoever runs the campaign noted.
    """

    is_being_run: bool
    cluster: str | None = None
    over_budget: str | None = None
    trouble: str | None = None

    @property
    def command(self) -> str:
        """What goes on with the campaign."""
        return f"halideflow {'submit' if self.cluster else 'run'} CAMPAIGN"

    def why_ready(self, stage: str) -> str:
        """Why a job of this stage, which waits for no other, has not started."""
        if not self.is_being_run:
            return "ready, but nobody runs this campaign"
        if stage in QUEUED_STAGES:
            if self.over_budget:
                return self.over_budget
            if self.cluster:
                return self.trouble or "ready: goes to the queue with others"
        return "ready: starts when a worker is free"


@dataclass(frozen=True, slots=True)
class Hold:
    """Jobs that are held back; see `workflows.execution.selection.Selection`."""

    stage: str | None
    candidate: str | None
    since: float

    def includes(self, stage: str, candidate: str | None) -> bool:
        """Whether a job is held back by it."""
        return self.stage in (None, stage) and self.candidate in (None, candidate)


def holds_of(table: JobTable) -> list[Hold]:
    """All that there are, the oldest first."""
    rows = table.select("select stage, candidate, since from holds order by since")
    return [Hold(*row) for row in rows]


def why_paused(holds: Iterable[Hold], stage: str, candidate: str | None) -> str | None:
    """Since when a job is held back; None where it is not."""
    for hold in holds:
        if hold.includes(stage, candidate):
            return f"paused since {time.strftime('%Y-%m-%d %H:%M', time.localtime(hold.since))}"
    return None


def unfinished_behind(
    table: JobTable, run: int, parents: Iterable[str]
) -> dict[str, Counter[_Kind]]:
    """Each job -> what of it, and of all that it spawned, is not finished.

    Behind the enumeration there are all jobs but the ranking, which is told without following who
    spawned whom.
    """
    found: dict[str, Counter[_Kind]] = defaultdict(Counter)
    rest = set(parents)
    for (uuid,) in table.select(
        "select uuid from jobs where run = ? and stage = 'enumerate'", (run,)
    ):
        if uuid in rest:
            rest.remove(uuid)
            found[uuid] = _unfinished(table, run)
    wanted = orjson.dumps(sorted(rest)).decode()
    for parent, stage, candidate, number in table.select(
        "with recursive behind (parent, uuid, idx) as ("
        "select wanted.value, job.uuid, job.idx from json_each(?) as wanted "
        "join jobs as job on job.uuid = wanted.value union "
        "select parent, spawned.uuid, spawned.idx from behind join spawned "
        "on spawner_uuid = behind.uuid and spawner_idx = behind.idx where kind != 'addition') "
        "select parent, stage, candidate, count(*) from behind join jobs as job "
        "on job.uuid = behind.uuid and job.idx = behind.idx where +job.run = ? "
        "and state in ('waiting', 'queued', 'running') group by parent, stage, candidate",
        (wanted, run),
    ):
        found[parent][stage, candidate] += number
    return found


def _unfinished(table: JobTable, run: int) -> Counter[_Kind]:
    """All jobs of a run but its ranking; where they are of many kinds, by stage alone."""
    unfinished = (
        "from jobs where run = ? and stage in (select value from json_each(?)) "
        "and state in ('waiting', 'queued', 'running')"
    )
    stages = orjson.dumps([stage for stage in STAGES if stage != "rank"]).decode()
    kinds = list(
        table.select(
            f"select distinct stage, candidate {unfinished} limit {_MOST_NAMED + 1}", (run, stages)
        )
    )
    of = "candidate" if len(kinds) <= _MOST_NAMED else f"'{_SEVERAL}'"
    return Counter(
        {
            (stage, candidate): number
            for stage, candidate, number in table.select(
                f"select stage, {of} as of, count(*) {unfinished} group by stage, of",
                (run, stages),
            )
        }
    )


def in_words(unfinished: Mapping[_Kind, int], candidate: str | None) -> str:
    """For instance `waits for stability of KCl-rocksalt-1`, or `waits for 312 jobs: relax 312`."""
    if len(unfinished) <= _MOST_NAMED and all(of != _SEVERAL for _, of in unfinished):
        kinds = []
        for (stage, of), number in unfinished.items():
            name = f"{stage} of {of}" if of else stage
            kinds.append(f"{name} ({number} jobs)" if number > 1 else name)
        return f"waits for {' and '.join(kinds)}"
    stages: Counter[str] = Counter()
    for (stage, _), number in unfinished.items():
        stages[stage] += number
    counted = ", ".join(f"{stage} {number:,}" for stage, number in stages.items())
    of_one = {of for _, of in unfinished} == {candidate}
    owner = f" of {candidate}" if of_one and candidate else ""
    return f"waits for {sum(stages.values()):,} jobs{owner}: {counted}"
