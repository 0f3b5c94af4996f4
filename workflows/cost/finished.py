"""What the finished jobs of a campaign tell of their cost, read from its table of jobs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import orjson

from workflows.cost.model import Measured
from workflows.execution_settings import QUEUED_STAGES, QueuedStage

if TYPE_CHECKING:
    from workflows.config import EngineSettings
    from workflows.execution.jobs import JobTable


def measured_jobs(table: JobTable, engine: EngineSettings) -> dict[QueuedStage, Measured]:
    """Steps and core-hours of the jobs that are done, by stage.

    Only those count that were run with the same engine. What goes on as itself, such as dynamics by
    VASP run after run, is one job here. A job whose process was killed goes on from what it had
    saved, but its time until then is nowhere; with the embedded potential, whose jobs end in no
    other way before they are done, the time of those that took several attempts does not count.
    """
    runs = ", ".join(
        str(run)
        for run, config in table.select("select run, config from runs")
        if _same(engine, orjson.loads(config)["engine"])
    )
    columns: dict[QueuedStage, list[tuple[float, ...]]] = defaultdict(list)
    for stage, *numbers, attempts in table.select(
        "select stage, max(n_atoms), max(n_steps), sum(core_hours), max(attempts) from jobs "
        f"where run in ({runs}) and stage in ({', '.join('?' * len(QUEUED_STAGES))}) "
        "group by uuid having min(state) = 'done' and max(state) = 'done' "
        "and max(n_atoms) > 0 and max(n_steps) >= 0 and min(core_hours) > 0 "
        "and count(core_hours) = count(*)",
        QUEUED_STAGES,
    ):
        columns[stage].append((*numbers, engine.runs_vasp or attempts == 1))
    return {stage: _columns(rows) for stage, rows in columns.items()}


def _same(engine: EngineSettings, earlier: dict[str, str]) -> bool:
    return (engine.name, engine.model) == (earlier["name"], earlier.get("model"))


def _columns(rows: list[tuple[float, ...]]) -> Measured:
    n_atoms, n_steps, core_hours, timed = np.array(rows, dtype=float).T
    return Measured(n_atoms, n_steps, core_hours, timed.astype(bool))
