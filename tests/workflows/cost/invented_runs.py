"""Tables of jobs as a run leaves them, without computing anything."""

from __future__ import annotations

import time
from collections import defaultdict

from jobflow import CURRENT_JOB

from screening.candidates import enumerate_candidates
from workflows.campaign import build_campaign, formula_flow
from workflows.config import CampaignConfig
from workflows.execution.jobs import JobRecord, JobTable, Outcome
from workflows.execution.worker import records_of
from workflows.stages.transport import TransportMaker


def campaign(**changes) -> CampaignConfig:
    """KTaCl6 in six orderings and K2TaCl6 in one, moved at two temperatures."""
    family = {
        "formula": "A(x)TaCl6",
        "prototype": "k2ptcl6",
        "elements": {"A": ["K"]},
        "x": [1, 2],
        "oxidation_states": {"Ta": [4, 5]},
    }
    settings = {
        "name": "planned",
        "candidates": {"families": [family]},
        "dynamics": {"temperatures_K": [600, 800]},
    }
    return CampaignConfig(**settings | changes)


class FakeRun:
    """A campaign that was enumerated; jobs end as they are told to."""

    def __init__(self, path, config: CampaignConfig) -> None:
        self.config = config
        self.table = JobTable(path)
        self.run = self.table.begin_run(config.name, config.model_dump_json(), {}, time.time())
        flow = build_campaign(config, {})
        self.table.claim(records_of(flow), self.run)
        formulas = defaultdict(list)
        for candidate in enumerate_candidates(config.candidates, {}).candidates:
            formulas[candidate.formula].append(candidate)
        self.outputs, spawned = {}, ()
        for candidates in formulas.values():
            made, outputs = formula_flow(candidates, config)
            self.outputs |= {entry.candidate.id: entry for entry in outputs}
            spawned += records_of(made, "detour")
        self.records = {record.uuid: record for record in spawned}
        self._end((flow.job_uuids[0], 1), "done", spawned)

    def relax(self, candidate: str, state="done", n_steps=60, core_hours=0.01) -> None:
        self._end(
            (self.outputs[candidate].relax.uuid, 1),
            state,
            n_steps=n_steps if state == "done" else None,
            core_hours=core_hours,
        )

    def ask_gates(self, candidate: str, state="done") -> list[str]:
        """What its gates answer; the uuids of its dynamics if they let it through."""
        entry = self.outputs[candidate]
        key = entry.transport.uuid, 1
        if state != "done" or self.config.dynamics is None:
            self._end(key, state)
            return []
        maker = TransportMaker(self.config.engine, self.config.dynamics, self.config.gates)
        job = next(j for j in self._jobs(candidate) if j.uuid == entry.transport.uuid)
        CURRENT_JOB.job = job
        flow = maker.measure(entry.relax, entry.candidate.mobile_ion, job.function_args[-1])
        CURRENT_JOB.reset()
        spawned = records_of(flow, "replace")
        self._end(key, "done", spawned)
        return [record.uuid for record in spawned if record.stage == "dynamics"]

    def move(self, uuid: str, state="done", n_steps=53_500, core_hours=1.0) -> None:
        self._end((uuid, 1), state, n_steps=n_steps, core_hours=core_hours)

    def end_piece(self, uuid: str, index: int, core_hours: float, record: JobRecord) -> None:
        """A run of VASP that goes on as the same job."""
        self._end((uuid, index), "done", (record,), core_hours=core_hours)

    def _jobs(self, candidate: str):
        formula = self.outputs[candidate].candidate.formula
        of_formula = [
            c
            for c in enumerate_candidates(self.config.candidates, {}).candidates
            if c.formula == formula
        ]
        return [job for job, _ in formula_flow(of_formula, self.config)[0].iterflow()]

    def _end(self, key, state, spawned=(), **numbers) -> None:
        self.table.start(key, time.time())
        self.table.finish(key, Outcome(state, spawned=tuple(spawned), **numbers), time.time())
        self.table._connection.execute("update jobs set run = ?", (self.run,))
