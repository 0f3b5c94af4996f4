"""The price of a campaign: core-hours and disk of what is still to be done, and the budget."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput
from workflows.cost.disk import disk_GB
from workflows.cost.finished import measured_jobs
from workflows.cost.jobs import ExpectedJobs, known_jobs, only_one_passes, surveyed_jobs
from workflows.cost.model import CostModel, Estimate, Measured
from workflows.cost.priors import priors_for
from workflows.cost.regression import N_DRAWS
from workflows.cost.spending import Spending, spending
from workflows.execution.jobs import JobTable

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from screening.documents import Candidate
    from screening.survey import Survey
    from workflows.config import CampaignConfig
    from workflows.cost.known import KnownJobs
    from workflows.execution_settings import QueuedStage

MAX_LOOKED_UP = 5_000
"""Candidates whose jobs are made to look up their fingerprints: some milliseconds each."""
_MAX_COMPARED = 2_000_000  # orderings, of which the lowest are to be found first: seconds
Fit = Literal["yes", "perhaps", "no"]
ByAtoms = dict[int, NDArray[np.int64]]


@dataclass(frozen=True)
class StagePrice:
    """What a stage still costs.

    Args:
        stage: of the campaign.
        n_new: jobs that are certain to be run.
        n_undecided: jobs that follow if all candidates pass whose gates were not asked yet.
        n_expected: of the undecided jobs, by the share of candidates that passed so far; None where
            none has come to the gates, and all count.
        n_reused: jobs that are finished.
        n_redo: jobs that failed.
        n_in_queue: jobs that are in the queue of a cluster, whose core-hours are promised already.
        core_hours: of all but those in the queue.
        disk_GB: of the same jobs.
    """

    stage: QueuedStage
    n_new: int
    n_undecided: int
    n_expected: float | None
    n_reused: int
    n_redo: int
    n_in_queue: int
    core_hours: Estimate
    disk_GB: float


@dataclass(frozen=True)
class CampaignPrice:
    """What is left to do, and what it is known from.

    Args:
        stages: in their order.
        core_hours: of all stages; parameters' errors are common to a stage's jobs.
        disk_GB: of all stages.
        wall_time_h: on this machine; None for VASP.
        n_cores: of this machine.
        basis: where the numbers are from.
        notes: what else is to be known of them.
        spending: core-hours used and promised so far.
        fits: into what is left of the budget; None without one.
    """

    stages: tuple[StagePrice, ...]
    core_hours: Estimate
    disk_GB: float
    wall_time_h: Estimate | None
    n_cores: int
    basis: str
    notes: tuple[str, ...]
    spending: Spending
    fits: Fit | None


def price_campaign(
    config: CampaignConfig,
    survey: Survey,
    structures: Mapping[str, Structure],
    database: Path,
    n_cores: int,
    on_progress: Callable[[int], None] = lambda n_candidates: None,
) -> CampaignPrice:
    """What a run of the campaign would cost from where it is.

    Args:
        config: with its reference phases resolved.
        survey: of its candidates, within their limits.
        structures: the user's own, by their path in the config.
        database: of its results, if there are any.
        n_cores: of this machine.
        on_progress: told how many candidates have been looked up.

    Raises:
        InvalidInput: the file of the results is none.
    """
    table = _table(database)
    if table is None:
        expected, measured = surveyed_jobs(survey, config), {}
        spent = Spending(0.0, 0.0, config.execution.budget_core_hours)
    else:
        measured = measured_jobs(table, config.engine)
        expected = _expected(table, config, survey, structures, on_progress)
        spent = spending(table, config.execution.budget_core_hours)
        table.close()
    model = CostModel.of(config, measured)
    counts = _to_run(expected)
    draws = {
        stage: np.maximum(model.total(stage, counts[stage]) - jobs.spent_core_hours, 0)
        for stage, jobs in expected.stages.items()
    }
    stages = tuple(
        _stage_price(config, model, expected, stage, counts[stage], drawn)
        for stage, drawn in draws.items()
    )
    total = np.sum(list(draws.values()), axis=0)
    wall_time_h = None
    if config.engine.name != "vasp":
        wall_time_h = Estimate.of(_wall_time_h(model, counts, draws, n_cores))
    left = spent.left_core_hours
    return CampaignPrice(
        stages=stages,
        core_hours=Estimate.of(total),
        disk_GB=sum(stage.disk_GB for stage in stages),
        wall_time_h=wall_time_h,
        n_cores=n_cores,
        basis=_basis(config, measured),
        notes=tuple(_notes(config, expected)),
        spending=spent,
        fits=None if left is None else _fit(Estimate.of(total), left),
    )


def _table(database: Path) -> JobTable | None:
    """None where nothing was ever run."""
    if not database.exists():
        return None
    try:
        table = JobTable(database, read_only=True)
        if any(table.select("select 1 from jobs limit 1")):
            return table
    except sqlite3.OperationalError:  # killed before there was a table
        return None
    except sqlite3.DatabaseError as error:
        raise InvalidInput(
            f"{database}: {error}; move the file away and run the campaign again"
        ) from error
    table.close()
    return None


def _expected(
    table: JobTable,
    config: CampaignConfig,
    survey: Survey,
    structures: Mapping[str, Structure],
    on_progress: Callable[[int], None],
) -> ExpectedJobs:
    from workflows.campaign import build_campaign
    from workflows.cost.known import KnownCandidates

    known = KnownCandidates(table, config, survey)
    found: Iterable[KnownJobs] | None = known.enumerated_by(
        build_campaign(config, structures).job_uuids[0]
    )
    n_kept = sum(counted.n_kept for counted in survey.counts)
    n_compared = sum(c.n_orderings for c in survey.counts if c.selection == "lowest_ewald")
    if found is None and n_kept <= MAX_LOOKED_UP and n_compared <= _MAX_COMPARED:
        found = known.of_graph(_formulas(survey), on_progress)
    if found is not None:
        expected = known_jobs(found, config)
    else:
        expected = surveyed_jobs(survey, config)
        expected.n_not_looked_up = n_kept
    if not expected.n_asked:
        expected.of_earlier_settings = True
        expected.n_passed, expected.n_stopped = known.n_passed_and_stopped(only_one_passes(config))
    return expected


def _formulas(survey: Survey) -> list[list[Candidate]]:
    from screening.candidates import iterate_candidates

    formulas: dict[str, list[Candidate]] = {}
    for candidate in iterate_candidates(survey):
        formulas.setdefault(candidate.formula, []).append(candidate)
    return list(formulas.values())


def _to_run(expected: ExpectedJobs) -> dict[QueuedStage, ByAtoms]:
    """Stage -> number of atoms -> how many jobs there are to run, in each draw.

    Where some candidates have come to the gates, the share of those that passed is known to the
    error that their number leaves (Jeffreys' prior); it is common to all that have not.
    """
    rng = np.random.default_rng(0)
    share = np.ones(N_DRAWS)
    if expected.n_asked:
        share = rng.beta(expected.n_passed + 0.5, expected.n_stopped + 0.5, size=N_DRAWS)
    counts: dict[QueuedStage, ByAtoms] = {
        stage: {n: np.full(N_DRAWS, n_jobs) for n, n_jobs in (jobs.new + jobs.redo).items()}
        for stage, jobs in expected.stages.items()
    }
    for bundle, n_candidates in sorted(expected.undecided.items()):
        n_passing = rng.binomial(n_candidates, share)
        for stage, n_atoms, n_jobs in bundle:
            counts[stage][n_atoms] = counts[stage].get(n_atoms, 0) + n_jobs * n_passing
    return counts


def _stage_price(
    config: CampaignConfig,
    model: CostModel,
    expected: ExpectedJobs,
    stage: QueuedStage,
    counts: ByAtoms,
    core_hours: NDArray[np.float64],
) -> StagePrice:
    jobs = expected.stages[stage]
    n_jobs = {n_atoms: float(np.mean(count)) for n_atoms, count in counts.items()}
    n_certain = jobs.new.total() + jobs.redo.total()
    return StagePrice(
        stage=stage,
        n_new=jobs.new.total(),
        n_undecided=expected.undecided_jobs(stage),
        n_expected=sum(n_jobs.values()) - n_certain if expected.n_asked else None,
        n_reused=jobs.n_reused,
        n_redo=jobs.redo.total(),
        n_in_queue=jobs.in_queue.total(),
        core_hours=Estimate.of(core_hours),
        disk_GB=sum(n * disk_GB(config, model, stage, n_atoms) for n_atoms, n in n_jobs.items()),
    )


def _wall_time_h(
    model: CostModel,
    counts: Mapping[QueuedStage, ByAtoms],
    core_hours: Mapping[QueuedStage, NDArray[np.float64]],
    n_cores: int,
) -> NDArray[np.float64]:
    """One stage after the other, none shorter than its longest job."""
    wall_time_h = np.zeros(N_DRAWS)
    for stage, drawn in core_hours.items():
        longest_h = model.job(stage, max(counts[stage])).median if counts[stage] else 0.0
        wall_time_h += np.maximum(drawn / n_cores, np.minimum(longest_h, drawn))
    return wall_time_h


def _basis(config: CampaignConfig, measured: Mapping[QueuedStage, Measured]) -> str:
    n_relaxed = len(measured.get("relax", ()))
    n_moved = len(measured.get("dynamics", ())) + len(measured.get("quench", ()))
    source = priors_for(config).source
    if config.dynamics is None:
        counts = {"": n_relaxed}
    elif n_relaxed and n_moved:
        counts = {"": n_relaxed + n_moved}
    else:
        counts = {"relaxations ": n_relaxed, "dynamics ": n_moved}
    known = [
        f"{what}measured on {n:,} finished jobs of this campaign" for what, n in counts.items() if n
    ]
    unknown = [what for what, n in counts.items() if not n]
    if not known:
        return f"prior: {source}"
    return "; ".join([*known, *(f"{what}prior: {source}" for what in unknown)])


def _notes(config: CampaignConfig, expected: ExpectedJobs) -> list[str]:
    notes = []
    n_undecided = expected.undecided.total()
    if n_undecided and expected.n_asked:
        notes.append(
            f"{expected.n_passed:,} of {expected.n_asked:,} candidates that came to the gates"
            f"{' of earlier settings' * expected.of_earlier_settings} have passed; as large a "
            f"share of {n_undecided:,} others is expected to"
        )
    elif n_undecided:
        notes.append(
            "an upper bound: what follows on the gates is counted as if every candidate passed"
        )
    if n_undecided and only_one_passes(config):
        notes.append(
            "max_e_above_lowest_eV_per_atom is 0: the orderings of a composition in a host count "
            "as one candidate for the gates"
        )
    if expected.n_not_looked_up:
        notes.append(
            f"{expected.n_not_looked_up:,} candidates are too many to look up what is finished "
            "of earlier settings: all count as new"
        )
    if any(stage.redo for stage in expected.stages.values()):
        notes.append("failed jobs are counted, though only --retry-failed tries them again")
    return notes


def _fit(price: Estimate, left_core_hours: float) -> Fit:
    if price.high <= left_core_hours:
        return "yes"
    return "no" if price.low > left_core_hours else "perhaps"
