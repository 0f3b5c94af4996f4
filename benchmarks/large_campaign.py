"""A campaign of thousands of candidates on disk: made-up numbers in documents of real shape.

Its candidates are those of a real enumeration of mixed chlorides, each of which stands for many
orderings. Failures, rejections by several gates, suspect candidates, lost runs and upper bounds are
all there, and jobs have specifications of real size; it was run on a cluster.

A campaign that runs has no ranking, and some of its jobs are left: waiting, running on the cluster,
in its queue, or paused. Whoever holds `ResultsFolder.locked()` makes it look being run.
"""

from __future__ import annotations

import re
import sqlite3
import time
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
from jobflow import CURRENT_JOB
from large_campaign_documents import (
    DEAD,
    DURATION_PS,
    EXPLODED,
    GATES,
    RELAX_FAILURES,
    TEMPERATURES_K,
    Hull,
    Moved,
    Plain,
    at_temperature,
    dynamics,
    hulls,
    plain,
    relaxation,
    transports,
    with_energy,
)

from screening.candidates import enumerate_candidates
from screening.documents import Candidate, CandidateInfo, Failure, Rejection
from screening.ranked import RankedCandidate, Ranking
from screening.transport.documents import TransportDocument
from screening.transport.trajectory import Trajectory
from workflows.campaign import build_campaign, formula_flow
from workflows.config import CampaignConfig
from workflows.config_file import load_campaign
from workflows.execution.jobs import JobRecord, JobTable
from workflows.execution.orders import Orders
from workflows.execution.selection import Selection
from workflows.execution.worker import records_of
from workflows.results import ResultsFolder
from workflows.stages.transport import TransportMaker

N_CANDIDATES, N_JOBS = 10_000, 50_000
CONFIG = f"""\
name: large
description: made up, to measure how readers fare
results_dir: .
candidates:
  families:
    - formula: A(2+x)Zr(1-x)M(x)Cl6
      prototype: k2ptcl6
      elements: {{A: [K, Na, Li], M: [Y, Sc, In]}}
      x: [0, 0.25, 0.5, 0.75, 1]
dynamics:
  temperatures_K: {[int(t) for t in TEMPERATURES_K]}
  timestep_fs: 2.0
  production_ps: {DURATION_PS:g}
gates:
{"".join(f"  {name}: {value}{chr(10)}" for name, value in GATES if value is not None)}
execution:
  cluster: large
  budget_core_hours: 100000
"""
# Shares of all candidates.
_FAILED, _ABOVE_LOWEST = 0.03, 0.02
# In a campaign that runs.
_RELAXED, _MEASURED = 0.97, 0.55
_N_RUNNING, _N_QUEUED = 6, 120
_JOBS_A_BATCH = 50
_MAX_WRITTEN = 500  # documents a transaction


@dataclass
class Row:
    """A job as the table has it."""

    record: JobRecord
    spec: bytes
    state: str
    failure: Failure | None = None
    attempts: int = 1
    started_at: float | None = None
    ended_at: float | None = None
    core_hours: float | None = None
    is_lost: bool = False


@dataclass(frozen=True)
class Kind:
    """A real candidate that stands for many orderings of its composition."""

    candidate: Candidate
    records: dict[str, JobRecord]  # by stage; dynamics with the temperature
    entry: str
    relaxed: Plain
    sound: list[Hull]
    broken: list[Hull]
    words: re.Pattern[str]

    @classmethod
    def of(cls, candidate: Candidate, config: CampaignConfig) -> Kind:
        """With its jobs, as the campaign makes them."""
        other = candidate.model_copy(update={"id": "other"})  # two of a composition are compared
        flow, (entry, _) = formula_flow([candidate, other], config)
        records: dict[str, JobRecord] = {}
        for made in flow.jobs:
            if made.metadata.get("candidate") in (None, candidate.id):
                (records[made.metadata["stage"]],) = records_of_job(made)
                if made.metadata["stage"] == "transport":
                    gate = made
        CURRENT_JOB.job = gate
        labels = {k: v for k, v in gate.metadata.items() if k not in ("stage", "fingerprint")}
        labels["n_atoms_of_dynamics"] = str(4 * len(candidate.structure))
        measuring = TransportMaker(config.engine, config.dynamics, config.gates).measure(
            entry.relax, candidate.mobile_ion, labels
        )
        CURRENT_JOB.reset()
        for record in records_of(measuring, "replace"):
            temperature = orjson.loads(record.spec)["metadata"].get("temperature_K", "fit")
            records[temperature] = record
        found = hulls(candidate)
        words = {candidate.id, *(record.uuid for record in records.values())}
        words |= {word.replace("-", "") for word in words if word != candidate.id}
        return cls(
            candidate=candidate,
            records=records,
            entry=orjson.dumps(plain(entry)).decode(),
            relaxed=relaxation(candidate),
            sound=[hull for hull in found if hull.rejection is None],
            broken=[hull for hull in found if hull.rejection is not None],
            words=re.compile("|".join(words)),
        )


def records_of_job(made: Any) -> tuple[JobRecord, ...]:
    ...
