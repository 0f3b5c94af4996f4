"""Which jobs a run of a campaign would start, by number of atoms, without running any.

What is finished is known by the same fingerprints that a run goes by. Dynamics is for candidates
that pass the gates: where that is not known yet, what would follow is kept apart. Where a gate lets
the lowest ordering alone through, the orderings of a composition in a host count as one candidate.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workflows.cost.known import KnownJobs, Standing, sizes_of
from workflows.execution_settings import QueuedStage

if TYPE_CHECKING:
    from screening.survey import Survey
    from workflows.config import CampaignConfig

Bundle = tuple[tuple[QueuedStage, int, int], ...]
"""Jobs that follow together once a candidate has passed its gates: stage, atoms, how many."""


@dataclass
class StageJobs:
    """Jobs of one stage that are certain to be run, or were.

    Args:
        new: number of atoms -> jobs that never ran to an end.
        redo: the same of those that failed.
        in_queue: the same of those that the queue of a cluster holds.
        n_reused: finished.
        spent_core_hours: on the new ones, which have come some way already.
    """

    new: Counter[int] = field(default_factory=Counter)
    redo: Counter[int] = field(default_factory=Counter)
    in_queue: Counter[int] = field(default_factory=Counter)
    n_reused: int = 0
    spent_core_hours: float = 0.0

    def add(self, standing: Standing, n_atoms: int, n_jobs: int = 1) -> None:
        """Count jobs of one size."""
        match standing:
            case "finished":
                self.n_reused += n_jobs
            case "failed":
                self.redo[n_atoms] += n_jobs
            case "in queue":
                self.in_queue[n_atoms] += n_jobs
            case "new":
                self.new[n_atoms] += n_jobs


@dataclass
class ExpectedJobs:
    """All that a run would do.

    Args:
        stages: stage -> jobs that are certain.
        undecided: candidates whose gates have not been asked, by what would follow.
        n_passed: candidates that have passed their gates, of this config.
        n_stopped: candidates that have not.
        of_earlier_settings: that these are not of this config, of which none has come to the gates.
        n_not_looked_up: candidates that were too many to be looked up, though there are results.
    """

    stages: dict[QueuedStage, StageJobs]
    undecided: Counter[Bundle] = field(default_factory=Counter)
    n_passed: int = 0
    n_stopped: int = 0
    of_earlier_settings: bool = False
    n_not_looked_up: int = 0

    @property
    def n_asked(self) -> int:
        """Candidates that have come to the gates."""
        return self.n_passed + self.n_stopped

    def undecided_jobs(self, stage: QueuedStage) -> int:
        """Jobs of a stage that would follow if all candidates passed."""
        return sum(
            n_candidates * n_jobs
            for bundle, n_candidates in self.undecided.items()
            for of_stage, _, n_jobs in bundle
            if of_stage == stage
        )


def no_jobs(config: CampaignConfig) -> ExpectedJobs:
    """An empty account of the stages that a campaign has."""
    wanted: dict[QueuedStage, object] = {
        "relax": config.relax,
        "dynamics": config.dynamics,
        "quench": config.dynamics and config.amorphous,
    }
    return ExpectedJobs({stage: StageJobs() for stage, has in wanted.items() if has is not None})


def surveyed_jobs(survey: Survey, config: CampaignConfig) -> ExpectedJobs:
    """All of a campaign that was never run; a few fewer where orderings are the same crystal."""
    expected = no_jobs(config)
    bundles: dict[object, Counter[Bundle]] = defaultdict(Counter)
    for sizes in sizes_of(survey, config).values():
        expected.stages["relax"].add("new", sizes.relax, sizes.n_kept)
        if bundle := _bundle(sizes.following(config)):
            bundles[sizes.rivals][bundle] += sizes.n_kept
    for rivals in bundles.values():
        if only_one_passes(config):
            expected.undecided[_largest(rivals)] += 1
        else:
            expected.undecided += rivals
    return expected


def known_jobs(known: Iterable[KnownJobs], config: CampaignConfig) -> ExpectedJobs:
    """All of a campaign that was run before, as far as it has come."""
    expected = no_jobs(config)
    contests: dict[object, list[KnownJobs]] = defaultdict(list)
    for number, candidate in enumerate(known):
        expected.stages["relax"].add(candidate.relax, candidate.sizes.relax)
        contests[candidate.sizes.rivals if only_one_passes(config) else number].append(candidate)
    for contest in contests.values():
        is_decided = any(candidate.gates == "passed" for candidate in contest)
        expected.n_passed += is_decided
        expected.n_stopped += all(candidate.gates == "stopped" for candidate in contest)
        open_ = Counter(
            bundle
            for candidate in contest
            if (bundle := _count_known(expected, candidate)) and not is_decided
        )
        if open_:
            expected.undecided[_largest(open_)] += 1
    return expected


def only_one_passes(config: CampaignConfig) -> bool:
    """Whether gates let no more than the lowest ordering of a composition in a host through."""
    return config.gates.max_e_above_lowest_eV_per_atom == 0


def _count_known(expected: ExpectedJobs, candidate: KnownJobs) -> Bundle:
    """Count what is certain behind a candidate's gates; what else there would be."""
    rest: list[tuple[QueuedStage, int, int]] = []
    for job in candidate.following:
        stage = expected.stages[job.stage]
        if candidate.gates == "passed" or job.standing in ("finished", "in queue"):
            stage.add(job.standing, job.n_atoms)
            stage.spent_core_hours += job.spent_core_hours if job.standing == "new" else 0.0
        else:
            rest.append((job.stage, job.n_atoms, 1))
    return _bundle(rest)


def _bundle(jobs: Iterable[tuple[QueuedStage, int, int]]) -> Bundle:
    counts: Counter[tuple[QueuedStage, int]] = Counter()
    for stage, n_atoms, n_jobs in jobs:
        counts[stage, n_atoms] += n_jobs
    return tuple(sorted((stage, n, count) for (stage, n), count in counts.items()))


def _largest(bundles: Iterable[Bundle]) -> Bundle:
    """By atoms, since nobody knows which of them it will be."""
    return max(bundles, key=lambda bundle: (sum(n * count for _, n, count in bundle), bundle))
